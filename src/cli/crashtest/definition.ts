/** The copy of a definition that `flume-ng crashtest` runs: same components and limits, but ports, directories and sinks of its own. */
import fs from 'node:fs';
import path from 'node:path';
import { type LoadOptions, loadAgent } from '../../agent/config/load.ts';
import type { AgentModel, ChannelModel, SinkModel, SourceModel } from '../../agent/config/model.ts';
import { ConfigError } from '../../lib/errors.ts';
import { freePort } from '../../lib/free-port.ts';
import { escapeProperty } from '../../lib/props/lexer.ts';
import type { OutputPlace } from './outputs.ts';

/** A source that events can be fed into. */
export type FedSource = { readonly name: string } & (
  | { readonly type: 'netcat'; readonly port: number }
  | { readonly type: 'avro' | 'thrift'; readonly port: number }
  | { readonly type: 'spooldir'; readonly dir: string }
  /** The file that the command follows, and where the agent tells what it has counted. */
  | { readonly type: 'exec'; readonly file: string; readonly monitoringPort: number }
  | { readonly type: 'kafka'; readonly topic: string; readonly brokerPort: number; readonly monitoringPort: number }
);

export interface CrashDefinition {
  readonly agent: string;
  readonly file: string;
  readonly sources: readonly FedSource[];
  readonly channels: readonly { readonly name: string; readonly sources: readonly string[]; readonly outputs: readonly OutputPlace[] }[];
  /** server.properties of a broker that must run; null = no sink needs one. */
  readonly broker: string | null;
  readonly monitoringPort: number;
  /** What is different from the real one. */
  readonly notes: readonly string[];
}

/** The copy while it is written. */
interface Draft {
  readonly dir: string;
  readonly lines: Map<string, string>;
  readonly monitoringPort: number;
  readonly brokerPort: number;
}

/** Writes the copy into `dir`. @throws ConfigError the definition cannot run, or has no source that can be fed */
export async function crashDefinition(options: LoadOptions & { readonly name: string }, dir: string): Promise<CrashDefinition> {
  const { model, findings } = await loadAgent(options);
  if (model === null) throw new ConfigError(findings.find(({ severity }) => severity === 'error')?.message ?? `agent ${options.name} cannot run`);
  const draft: Draft = { dir, lines: new Map(), monitoringPort: await freePort(), brokerPort: await freePort() };
  const notes = model.leftOut.map(({ kind, name }) => `${kind} ${name} cannot run as written and is left out; flume-ng validate says why`);
  const sources: FedSource[] = [];
  for (const source of model.sources) {
    const fed = await fedSource(source, draft);
    if (fed) sources.push(fed);
    else notes.push(`source ${source.name} (${source.spec.type}) cannot be fed here and is left out`);
  }
  if (sources.length === 0)
    throw new ConfigError('no source of the agent can be fed and tells what it stored', {
      fix: 'crashtest can feed netcat, avro, thrift, exec, spooldir and Kafka sources',
    });
  const isFed = (name: string): boolean => sources.some((fed) => fed.name === name);
  const used = model.channels.filter(({ name }) => model.sources.some((source) => isFed(source.name) && source.channels.includes(name)));
  for (const channel of used) copyChannel(channel, draft);
  const sinks: string[] = [];
  const channels = used.map((channel) => {
    const copied = copySinks(channel, model, draft);
    sinks.push(...copied.map(({ name }) => name));
    const fromHere = model.sources.filter((source) => isFed(source.name) && isPromised(source, channel.name));
    return { name: channel.name, sources: fromHere.map(({ name }) => name), outputs: copied.map(({ output }) => output) };
  });
  const { lines, monitoringPort } = draft;
  lines.set('sources', sources.map(({ name }) => name).join(' '));
  lines.set('channels', used.map(({ name }) => name).join(' '));
  lines.set('sinks', sinks.join(' '));
  const file = path.join(dir, 'agent.conf');
  fs.writeFileSync(file, [...lines].map(([key, value]) => `${model.name}.${key} = ${escapeProperty(value, 'value')}\n`).join(''));
  const needsBroker = sources.some(({ type }) => type === 'kafka') || channels.some(({ outputs }) => outputs.some(({ kind }) => kind === 'topic'));
  return { agent: model.name, file, sources, channels, broker: needsBroker ? writeBrokerSettings(draft) : null, monitoringPort, notes };
}

/** Whether what the source was told is stored is all in this channel: an optional one may refuse, and a header may choose another. */
function isPromised({ channels, selector }: SourceModel, channel: string): boolean {
  return channels.includes(channel) && selector.spec.type === 'replicating' && !(selector.config.optional as readonly string[]).includes(channel);
}

/** Settings of the fed sources that are about the outside world, which the copy has none of. */
const OUTSIDE: Readonly<Record<string, RegExp>> = {
  netcat: /^$/,
  avro: /^(ssl|keystore|truststore|include-|exclude-|enable-|component-|compression-|ipFilter|need-)/,
  thrift: /^(ssl|keystore|truststore|include-|exclude-|enable-|component-|protocol$|kerberos$|agent-)/,
  spooldir: /^(trackerDir|deletePolicy|fileSuffix|trackingPolicy|includePattern|ignorePattern)$/,
  exec: /^(shell|restart|restartThrottle|charset)$/,
  kafka: /^(kafka\.bootstrap|kafka\.topics|topic$|groupId|zookeeper|migrate|kafka\.consumer\.(security|ssl|sasl|bootstrap|group|auto|session|heartbeat))/,
};

/** Copies a source with a place of its own; null = nobody can feed it. */
async function fedSource(source: SourceModel, draft: Draft): Promise<FedSource | null> {
  const { name, spec, raw, selector } = source;
  const { lines, dir, monitoringPort } = draft;
  const outside = OUTSIDE[spec.type];
  if (outside === undefined) return null;
  const set = (key: string, value: string): unknown => lines.set(`sources.${name}.${key}`, value);
  for (const [key, { value }] of Object.entries(raw)) if (!outside.test(key)) set(key, value);
  for (const [key, { value }] of Object.entries(selector.raw)) set(`selector.${key}`, value);
  set('selector.type', selector.type);
  set('type', spec.type);
  set('channels', source.channels.join(' '));
  if (spec.type === 'spooldir') {
    const spool = path.join(dir, `spool-${name}`);
    fs.mkdirSync(spool);
    set('spoolDir', spool);
    return { name, type: 'spooldir', dir: spool };
  }
  if (spec.type === 'exec') {
    const file = path.join(dir, `exec-${name}`);
    set('command', `tail -n +1 -s 0.05 -F ${file}`);
    return { name, type: 'exec', file, monitoringPort };
  }
  if (spec.type === 'kafka') {
    const topic = `crashtest-in-${name}`;
    const settings = { 'group.id': 'crashtest', 'auto.offset.reset': 'earliest', 'group.instance.id': name };
    set('kafka.bootstrap.servers', `127.0.0.1:${draft.brokerPort}`);
    set('kafka.topics', topic);
    // With a fixed name, so that a start need not wait until the group has noticed the kill.
    for (const [key, value] of Object.entries(settings)) set(`kafka.consumer.${key}`, value);
    return { name, type: 'kafka', topic, brokerPort: draft.brokerPort, monitoringPort };
  }
  const port = await freePort();
  set('bind', '127.0.0.1');
  set('port', String(port));
  if (spec.type !== 'netcat') return { name, type: spec.type as 'avro' | 'thrift', port };
  set('ack-every-event', 'true');
  return { name, type: 'netcat', port };
}

function copyChannel({ name, spec, raw }: ChannelModel, { dir, lines }: Draft): void {
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

interface CopiedSink {
  readonly name: string;
  readonly output: OutputPlace;
}

/** Kafka sinks write to a broker of the test, all others become file_roll; at least one for each channel. */
function copySinks(channel: ChannelModel, model: AgentModel, draft: Draft): CopiedSink[] {
  const sinks = model.sinks.filter((sink) => sink.channel === channel.name);
  const room = channel.facts.transactionCapacity ?? 100;
  if (sinks.length === 0) return [fileSink(`crashtest-${channel.name}`, { channel: channel.name, batchSize: Math.min(100, room) }, draft)];
  return sinks.map((sink) => {
    const batchSize = Math.min(sink.facts.batchSize ?? 100, room);
    return sink.spec.type === 'kafka' ? kafkaSink(sink, batchSize, draft) : fileSink(sink.name, { channel: channel.name, batchSize }, draft);
  });
}

function fileSink(name: string, from: { readonly channel: string; readonly batchSize: number }, { dir, lines }: Draft): CopiedSink {
  const output = path.join(dir, `out-${name}`);
  fs.mkdirSync(output);
  const set = (key: string, value: string): unknown => lines.set(`sinks.${name}.${key}`, value);
  set('type', 'file_roll');
  set('channel', from.channel);
  set('sink.directory', output);
  set('sink.rollInterval', '0');
  set('sink.batchSize', String(from.batchSize));
  return { name, output: { kind: 'files', dir: output } };
}

/** Of the producer what says when an event is safe and how it is sent; the broker of the test knows no logins, and readers no transactions. */
function kafkaSink({ name, channel, raw }: SinkModel, batchSize: number, { brokerPort, lines }: Draft): CopiedSink {
  const topic = `crashtest-${name}`;
  const set = (key: string, value: string): unknown => lines.set(`sinks.${name}.${key}`, value);
  for (const [key, { value }] of Object.entries(raw)) {
    if (/^(requiredAcks|kafka\.client|kafka\.producer\.(?!security|ssl|sasl|transaction|bootstrap).*)$/.test(key)) set(key, value);
  }
  set('type', 'kafka');
  set('channel', channel);
  set('kafka.bootstrap.servers', `127.0.0.1:${brokerPort}`);
  set('kafka.topic', topic);
  set('allowTopicOverride', 'false');
  set('flumeBatchSize', String(batchSize));
  return { name, output: { kind: 'topic', topic, port: brokerPort } };
}

function writeBrokerSettings({ dir, brokerPort }: Draft): string {
  const file = path.join(dir, 'server.properties');
  const settings = [
    `listeners=PLAINTEXT://127.0.0.1:${brokerPort}`,
    `log.dirs=${path.join(dir, 'kafka')}`,
    'num.partitions=1',
    'group.initial.rebalance.delay.ms=0',
  ];
  fs.writeFileSync(file, settings.map((line) => `${line}\n`).join(''));
  return file;
}
