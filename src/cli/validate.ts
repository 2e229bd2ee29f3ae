/**
 * `flume-ng validate -f FILE [-n NAME] [--json] [--strict]`: everything there is to say about a definition, at once, by the same
 * code as the start. Exit 0: sound, or warnings only; 1: errors (with --strict also warnings); 2: command line.
 */
import { type LoadedDefinition, loadAgent, loadDefinition, sorted } from '../agent/config/load.ts';
import type { AgentModel, LeftOut } from '../agent/config/model.ts';
import type { Finding } from '../lib/props/finding.ts';
import { type Command, EXIT } from './command.ts';
import { DEFINITION_OPTIONS, type DefinitionWords, helpText, quietCatalog, readDefinitionWords } from './definition-options.ts';
import { countFindings, countText, findingRecord, findingText, wantsColour } from './finding-text.ts';

const OPTIONS = [...DEFINITION_OPTIONS, { long: 'strict', doc: 'warnings count as errors' }];
const ABOUT = 'Checks a definition and says everything at once. Exit code 0: sound or warnings only, 1: errors, 2: command line.';

interface Verdict {
  readonly findings: readonly Finding[];
  /** By agent; null = nothing of it can run. */
  readonly models: ReadonlyMap<string, AgentModel | null>;
}

export const run: Command = async (words, context) => {
  const asked = readDefinitionWords(words, OPTIONS);
  if (asked.help) {
    context.stdout.write(helpText('validate -f FILE [-n NAME] [--json] [--strict]', ABOUT, OPTIONS));
    return EXIT.ok;
  }
  const catalog = quietCatalog(context);
  const { cwd, env, systemProperties } = context;
  const options = { files: asked.files, catalog, cwd, env, systemProperties };
  const verdict = asked.name === undefined ? allAgents(await loadDefinition(options)) : await oneAgent({ ...options, name: asked.name });
  const plugins = catalog
    .problems()
    .map(({ file, message, fix }): Finding => ({ code: 'plugin-problem', severity: 'warning', message, fix, where: { file, line: 1 } }));
  const findings = [...verdict.findings, ...plugins];
  if (asked.json) context.stdout.write(`${JSON.stringify(jsonOf({ ...verdict, findings }), null, 2)}\n`);
  else context.stdout.write(findingText(findings, wantsColour(context.stdout, env)) + summary({ ...verdict, findings }, asked));
  const { error, warning } = countFindings(findings);
  return error > 0 || (asked.options.values.has('strict') && warning > 0) ? EXIT.failed : EXIT.ok;
};

async function oneAgent(options: Parameters<typeof loadAgent>[0]): Promise<Verdict> {
  const { findings, model, agents } = await loadAgent(options);
  return { findings, models: new Map(agents.includes(options.name) ? [[options.name, model]] : []) };
}

function allAgents({ models, fileFindings, agentFindings }: LoadedDefinition): Verdict {
  const findings = new Set(fileFindings);
  for (const list of agentFindings.values()) for (const finding of list) findings.add(finding);
  return { findings: sorted([...findings]), models };
}

function summary({ findings, models }: Verdict, asked: DefinitionWords): string {
  const lines = [...models].map(([name, model]) => `agent ${name}: ${model === null ? 'nothing can run' : contents(model)}`);
  const blank = findings.length > 0 ? '\n' : '';
  return `${blank}${lines.map((line) => `${line}\n`).join('')}${asked.files.join(', ')}: ${countText(findings)}\n`;
}

function contents(model: AgentModel): string {
  const count = (items: readonly unknown[], one: string) => `${items.length} ${one}${items.length === 1 ? '' : 's'}`;
  const parts = [count(model.sources, 'source'), count(model.channels, 'channel'), count(model.sinks, 'sink')];
  if (model.groups.length > 0) parts.push(count(model.groups, 'sink group'));
  const out = model.leftOut.length === 0 ? '' : `; left out: ${model.leftOut.map(leftOutText).join(', ')}`;
  return `${parts.join(', ')} can run${out}`;
}

function leftOutText({ kind, name }: LeftOut): string {
  return `${kind === 'sinkgroup' ? 'sink group' : kind} ${name}`;
}

function jsonOf({ findings, models }: Verdict): object {
  const { error, warning, info } = countFindings(findings);
  return {
    errors: error,
    warnings: warning,
    infos: info,
    agents: [...models].map(([name, model]) => ({
      name,
      runs: model !== null,
      sources: model?.sources.map((source) => source.name) ?? [],
      channels: model?.channels.map((channel) => channel.name) ?? [],
      sinks: model?.sinks.map((sink) => sink.name) ?? [],
      leftOut: model?.leftOut.map(({ kind, name: out }) => ({ kind, name: out })) ?? [],
    })),
    findings: findings.map(findingRecord),
  };
}
