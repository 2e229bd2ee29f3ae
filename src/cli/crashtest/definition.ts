/** The copy of a definition that `flume-ng crashtest` runs: same components and limits, but ports, directories and sinks of its own. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { type LoadOptions, loadAgent } from '../../agent/config/load.ts';
import type { AgentModel, ChannelModel, SourceModel } from '../../agent/config/model.ts';
import { ConfigError } from '../../lib/errors.ts';
import { escapeProperty } from '../../lib/props/lexer.ts';

/** A source that events can be fed into. */
export interface FedSource {
  readonly name: string;
  readonly type: 'netcat' | 'spooldir';
  /** TCP port, or directory. */
  readonly place: number | string;
}

export interface CrashDefinition {
  readonly agent: string;
  readonly file: string;
  readonly sources: readonly FedSource[];
  readonly channels: readonly { readonly name: string; readonly sources: readonly string[]; readonly outputs: readonly string[] }[];
  /** What is different from the real one. */
  readonly notes: readonly string[];
}

/** Writes the copy into `dir`. @throws ConfigError the definition cannot run, or has no source that can be fed */
export async function crashDefinition(options: LoadOptions & { readonly name: string }, dir: string): Promise<CrashDefinition> {
  const { model, findings } = await loadAgent(options);
  if (model === null) throw new ConfigError(findings.find(({ severity }) => severity === 'error')?.message ?? `agent ${options.name} cannot run`);
  const lines = new Map<string, string>();
  const notes: string[] = [];
  const sources: FedSource[] = [];
  for (const source of model.sources) {
    const fed = await fedSource(source, dir, lines);
    if (fed) sources.push(fed);
    else notes.push(`source ${source.name} (${source.spec.type}) cannot be fed here and is left out`);
  }
  if (sources.length === 0)
    throw new ConfigError('no source of the agent can be fed and tells what it stored', { fix: 'crashtest can feed netcat and spooldir sources' });
  const used = model.channels.filter(({ name }) =>
    model.sources.some((source) => sources.some((fed) => fed.name === source.name) && source.channels.includes(name)),
  );
  for (const channel of used) copyChannel(channel, dir, lines);
  const channels = used.map((channel) => ({
    name: channel.name,
    sources: model.sources
      .filter(
        ({ name, channels: to, selector }) => sources.some((fed) => fed.name === name) && to.includes(channel.name) && selector.spec.type === 'replicating',
      )
      .map(({ name }) => name),
    outputs: copySinks(channel, model, dir, lines),
  }));
  const list = (names: readonly string[]): string => names.join(' ');
  lines.set('sources', list(sources.map(({ name }) => name)));
  lines.set('channels', list(used.map(({ name }) => name)));
  lines.set('sinks', list(channels.flatMap(({ outputs }) => outputs.map((output) => path.basename(output)))));
  const file = path.join(dir, 'agent.conf');
  fs.writeFileSync(file, [...lines].map(([key, value]) => `${model.name}.${key} = ${escapeProperty(value, 'value')}\n`).join(''));
  return { agent: model.name, file, sources, channels, notes };
}

async function fedSource(source: SourceModel, dir: string, lines: Map<string, string>): Promise<FedSource | null> {
  const { name, spec, raw, selector } = source;
  const prefix = `sources.${name}.`;
  if (spec.type !== 'netcat' && spec.type !== 'spooldir') return null;
  for (const [key, { value }] of Object.entries(raw)) lines.set(prefix + key, value);
  for (const [key, { value }] of Object.entries(selector.raw)) lines.set(`${prefix}selector.${key}`, value);
  lines.set(`${prefix}selector.type`, selector.type);
  lines.set(`${prefix}type`, spec.type);
  lines.set(`${prefix}channels`, source.channels.join(' '));
  if (spec.type === 'netcat') {
    const port = await freePort();
    lines.set(`${prefix}bind`, '127.0.0.1');
    lines.set(`${prefix}port`, String(port));
    lines.set(`${prefix}ack-every-event`, 'true');
    return { name, type: 'netcat', place: port };
  }
  const spool = path.join(dir, `spool-${name}`);
  fs.mkdirSync(spool);
  lines.set(`${prefix}spoolDir`, spool);
  for (const key of ['trackerDir', 'deletePolicy', 'fileSuffix', 'trackingPolicy', 'includePattern', 'ignorePattern']) lines.delete(prefix + key);
  return { name, type: 'spooldir', place: spool };
}

function copyChannel({ name, spec, raw }: ChannelModel, dir: string, lines: Map<string, string>): void {
  const prefix = `channels.${name}.`;
  for (const [key, { value }] of Object.entries(raw)) lines.set(prefix + key, value);
  lines.set(`${prefix}type`, spec.type);
  const own = (kind: string): string => path.join(dir, `channel-${name}`, kind);
  if (spec.type === 'jdbc') lines.set(`${prefix}driver.url`, `jdbc:sqlite:${own('events.sqlite')}`);
  if (spec.type !== 'file' && spec.type !== 'SPILLABLEMEMORY') return;
  const dataDirs = (raw.dataDirs?.value ?? 'data').split(',');
  lines.set(`${prefix}checkpointDir`, own('checkpoint'));
  lines.set(`${prefix}dataDirs`, dataDirs.map((_, i) => own(`data-${i}`)).join(','));
  if ('backupCheckpointDir' in raw) lines.set(`${prefix}backupCheckpointDir`, own('backup'));
}

/** A file_roll sink for each sink of the channel, at least one; answers their directories, named as the sinks. */
function copySinks(channel: ChannelModel, model: AgentModel, dir: string, lines: Map<string, string>): string[] {
  const sinks = model.sinks.filter((sink) => sink.channel === channel.name);
  const names = sinks.length === 0 ? [`crashtest-${channel.name}`] : sinks.map(({ name }) => name);
  return names.map((name, i) => {
    const output = path.join(dir, name);
    fs.mkdirSync(output);
    lines.set(`sinks.${name}.type`, 'file_roll');
    lines.set(`sinks.${name}.channel`, channel.name);
    lines.set(`sinks.${name}.sink.directory`, output);
    lines.set(`sinks.${name}.sink.rollInterval`, '0');
    lines.set(`sinks.${name}.sink.batchSize`, String(Math.min(sinks[i]?.facts.batchSize ?? 100, channel.facts.transactionCapacity ?? 100)));
    return output;
  });
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
