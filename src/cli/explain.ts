/**
 * `flume-ng explain -f FILE -n NAME [--json]`: an agent's flows as a drawing, and for each what it promises: what a crash, a stop,
 * a full channel or a dead sink loses or doubles, and what to change. Worked out from the parts' own declarations.
 */
import { loadAgent } from '../agent/config/load.ts';
import type { AgentModel, ChannelModel, Part, SinkModel, SourceModel } from '../agent/config/model.ts';
import { type Command, EXIT } from './command.ts';
import { DEFINITION_OPTIONS, helpText, quietCatalog, readDefinitionWords } from './definition-options.ts';
import { countFindings, countText, findingRecord, findingText, wantsColour } from './finding-text.ts';
import { UsageError } from './flags.ts';
import { type Flow, flowsOf, type Grade, gradeOf, type Trouble } from './flow.ts';

const ABOUT = 'Draws the flows of an agent and says what each of them promises when things go wrong.';
const TROUBLES: readonly [Trouble, string][] = [
  ['crash', 'a crash'],
  ['stop', 'a stop'],
  ['full', 'a full channel'],
  ['dead', 'a dead sink'],
];

export const run: Command = async (words, context) => {
  const asked = readDefinitionWords(words, DEFINITION_OPTIONS);
  if (asked.help) {
    context.stdout.write(helpText('explain -f FILE -n NAME [--json]', ABOUT, DEFINITION_OPTIONS));
    return EXIT.ok;
  }
  const { cwd, env, systemProperties } = context;
  const options = { files: asked.files, catalog: quietCatalog(context), cwd, env, systemProperties };
  const name = asked.name ?? (await onlyAgent(options));
  const { model, findings } = await loadAgent({ ...options, name });
  if (asked.json) {
    const flows = model === null ? [] : flowsOf(model).map((flow) => ({ ...namesOf(flow), ...gradeOf(flow) }));
    context.stdout.write(`${JSON.stringify({ agent: name, flows, findings: findings.map(findingRecord) }, null, 2)}\n`);
  } else if (model === null) {
    context.stdout.write(findingText(findings, wantsColour(context.stdout, env)));
  } else {
    context.stdout.write(explanation(model));
    if (findings.length > 0)
      context.stdout.write(`\nThe definition has ${countText(findings)}; see flume-ng validate -f ${asked.files.join(' -f ')} -n ${name}\n`);
  }
  return model === null || countFindings(findings).error > 0 ? EXIT.failed : EXIT.ok;
};

/** @throws UsageError when there is not exactly one agent */
async function onlyAgent(options: Omit<Parameters<typeof loadAgent>[0], 'name'>): Promise<string> {
  const { agents } = await loadAgent({ ...options, name: '' });
  if (agents.length !== 1)
    throw new UsageError(agents.length === 0 ? 'no agent was named' : `the file has several agents: ${agents.join(', ')}`, 'write -n NAME');
  return agents[0]!;
}

function namesOf({ source, channel, sink, group }: Flow): object {
  return { source: source?.name, channel: channel.name, sink: sink?.name, group: group?.name };
}

/** The whole text for an agent. */
export function explanation(model: AgentModel): string {
  const parts = [`Agent ${model.name}\n`, ...drawing(model).map((line) => `  ${line}\n`)];
  for (const flow of flowsOf(model)) parts.push('\n', ...flowText(flow, gradeOf(flow)).map((line) => `${line}\n`));
  if (model.leftOut.length > 0) {
    parts.push('\nLeft out\n', ...model.leftOut.map(({ kind, name, findings }) => `  ${kind} ${name}: ${findings[0]?.message ?? 'cannot run'}\n`));
  }
  return parts.join('');
}

/** A tree for each source: its channels, and their sinks. */
function drawing(model: AgentModel): string[] {
  const lines: string[] = [];
  const roots: (SourceModel | undefined)[] = [...model.sources];
  const orphans = model.channels.filter((channel) => !model.sources.some((source) => source.channels.includes(channel.name)));
  if (orphans.length > 0) roots.push(undefined);
  for (const source of roots) {
    if (lines.length > 0) lines.push('');
    lines.push(source === undefined ? '(no source)' : label(source));
    for (const one of source?.interceptors ?? []) lines.push(`│   interceptor ${label(one)}`);
    const { spec, type } = source?.selector ?? {};
    if (source !== undefined && source.channels.length > 1) lines.push(`│   selector ${spec?.type ?? type}`);
    const channels = source === undefined ? orphans : source.channels.map((name) => model.channels.find((channel) => channel.name === name)!);
    lines.push(...branches(channels.map((channel) => channelTree(channel, model))));
  }
  return lines;
}

function channelTree(channel: ChannelModel, model: AgentModel): string[] {
  const sinks = model.sinks.filter((sink) => sink.channel === channel.name);
  return [label(channel), ...(sinks.length === 0 ? ['└─▶ (no sink)'] : branches(sinks.map((sink) => [sinkLabel(sink, model)])))];
}

/** Hangs subtrees below a line. */
function branches(subtrees: readonly (readonly string[])[]): string[] {
  return subtrees.flatMap(([head, ...rest], index) => {
    const last = index === subtrees.length - 1;
    return [`${last ? '└─▶' : '├─▶'} ${head}`, ...rest.map((line) => `${last ? '    ' : '│   '}${line}`)];
  });
}

function label(part: Part): string {
  const { batchSize, capacity, listens, reads, owns } = part.facts;
  const facts: string[] = [];
  for (const { protocol, host, port } of listens ?? []) facts.push(`${protocol} ${host}:${port}`);
  for (const path of [...(reads ?? []), ...(owns ?? [])]) facts.push(path);
  if (capacity !== undefined && capacity > 0) facts.push(`room for ${capacity.toLocaleString('en-US')}`);
  if (batchSize !== undefined) facts.push(`batches of ${batchSize}`);
  return `${part.name} (${part.spec.type})${facts.length === 0 ? '' : `  ${facts.join(', ')}`}`;
}

function sinkLabel(sink: SinkModel, model: AgentModel): string {
  const group = model.groups.find(({ sinks }) => sinks.includes(sink.name));
  return group === undefined ? label(sink) : `${label(sink)}  in group ${group.name} (${group.processor.spec.type})`;
}

function flowText(flow: Flow, grade: Grade): string[] {
  const { source, channel, sink } = flow;
  const lines = [`${source?.name ?? '(nothing)'} → ${channel.name} → ${sink?.name ?? '(nothing)'}: ${grade.promise}`];
  for (const [trouble, title] of TROUBLES) {
    const said = grade.contributions[trouble];
    if (said.length === 0) continue;
    said.forEach(({ part, loss }, index) => {
      const head = index === 0 ? `${title.padEnd(15)}${grade.effects[trouble].padEnd(8)}` : ' '.repeat(23);
      lines.push(`  ${head}  ${part}: ${loss.note}`);
    });
  }
  for (const note of grade.notes) lines.push(`  note: ${note}`);
  for (const better of grade.improve) lines.push(`  to improve: ${better}`);
  return lines;
}
