/**
 * `flume-ng channel ls|peek|export|import|drain|drop|verify -f FILE -n NAME CHANNEL`: what waits in a stored channel. `ls`,
 * `peek`, `export` and `verify` only read and may run beside the agent; the others need the channel for themselves, and say
 * who has it otherwise. Events are written as JSON lines: {"headers":{…},"body":"base64"}; every byte comes back by import.
 */
import { closeSync, createReadStream, existsSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { createInterface } from 'node:readline';
import { faultsOf, storedRows } from '../agent/channels/jdbc-database.ts';
import { databaseFile } from '../agent/channels/jdbc-settings.ts';
import { loadAgent } from '../agent/config/load.ts';
import type { ChannelModel } from '../agent/config/model.ts';
import type { Channel } from '../agent/core/channel.ts';
import type { Event } from '../agent/core/event.ts';
import { loneChannelContext } from '../agent/core/lone-channel.ts';
import { systemClock } from '../lib/clock.ts';
import { AppError, ConfigError, errorText } from '../lib/errors.ts';
import { realDisk } from '../lib/files.ts';
import type { Logger } from '../lib/log.ts';
import { cipherOf, homeDirs, type StorageConfig } from '../wal/queue/channel-config.ts';
import type { StoredEvent } from '../wal/queue/part.ts';
import { type VerifyReport, verifyFiles } from '../wal/queue/verify.ts';
import { QueueView } from '../wal/queue/view.ts';
import { type Command, type CommandContext, EXIT } from './command.ts';
import { DEFINITION_OPTIONS, helpText, quietCatalog } from './definition-options.ts';
import { parseOptions, UsageError } from './flags.ts';

const ACTIONS = ['ls', 'peek', 'export', 'import', 'drain', 'drop', 'verify'] as const;
type Action = (typeof ACTIONS)[number];

const OPTIONS = [
  ...DEFINITION_OPTIONS,
  { long: 'count', value: 'n', doc: 'peek: how many events; default 10' },
  { long: 'file', value: 'path', doc: 'export, drain: write to this file instead of stdout; import: read from it instead of stdin' },
  { long: 'yes', short: 'y', doc: 'drop: do not ask' },
];
const ABOUT = `Looks into a stored channel (file, SPILLABLEMEMORY, jdbc).
  ls       how many events wait, in which files
  peek     show the oldest events, without taking them
  export   write all events as JSON lines, without taking them
  import   put events from JSON lines into the channel
  drain    write all events as JSON lines and take them out
  drop     throw all events away
  verify   read everything and check it; changes nothing
ls, peek, export and verify may run beside the agent.`;

interface Task {
  readonly channel: ChannelModel;
  readonly agent: string;
  readonly context: CommandContext;
  readonly count: number;
  readonly file: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
}

export const run: Command = async (words, context) => {
  const { values, extra } = parseOptions(words, OPTIONS);
  const [action, name, ...rest] = extra;
  if (values.has('help') || action === undefined) {
    context.stdout.write(helpText(`channel ${ACTIONS.join('|')} -f FILE -n NAME CHANNEL`, ABOUT, OPTIONS));
    return action === undefined && !values.has('help') ? EXIT.usage : EXIT.ok;
  }
  if (!ACTIONS.includes(action as Action)) throw new UsageError(`channel ${action} is not known`, `write one of ${ACTIONS.join(', ')}`);
  if (rest.length > 0) throw new UsageError(`too many words: ${rest.join(' ')}`, 'name one channel');
  const files = values.get('conf-file') ?? [];
  const agent = values.get('name')?.[0];
  if (files.length === 0) throw new UsageError('no definition file was given', 'write -f FILE');
  if (agent === undefined) throw new UsageError('no agent was named', 'write -n NAME');
  const task: Task = {
    channel: await channelOf({ files, agent, name }, context),
    agent,
    context,
    count: Number(values.get('count')?.[0] ?? 10),
    file: values.get('file')?.[0],
    yes: values.has('yes'),
    json: values.has('json'),
  };
  return ACTION[action as Action](task);
};

/** The channel meant, also if its agent could not run. @throws ConfigError, UsageError */
async function channelOf(asked: { files: readonly string[]; agent: string; name: string | undefined }, context: CommandContext): Promise<ChannelModel> {
  const { cwd, env, systemProperties } = context;
  const { model, findings, agents } = await loadAgent({ files: asked.files, name: asked.agent, catalog: quietCatalog(context), cwd, env, systemProperties });
  if (model === null) {
    const first = findings.find(({ severity }) => severity === 'error');
    throw new ConfigError(first?.message ?? `agent ${asked.agent} cannot run`, { fix: first?.fix ?? `agents in the file: ${agents.join(', ')}` });
  }
  const stored = model.channels.filter(({ spec }) => isStored(spec.type));
  const found = asked.name === undefined && stored.length === 1 ? stored[0] : model.channels.find(({ name }) => name === asked.name);
  if (found === undefined) {
    throw new UsageError(
      asked.name === undefined ? 'no channel was named' : `agent ${asked.agent} has no channel ${asked.name}`,
      `stored channels: ${stored.map(({ name }) => name).join(', ') || 'none'}`,
    );
  }
  if (!isStored(found.spec.type))
    throw new ConfigError(`channel ${found.name} is of type ${found.spec.type}, which keeps nothing on disk`, { fix: 'look at it through monitoring' });
  return found;
}

function isStored(type: string): boolean {
  return ['file', 'SPILLABLEMEMORY', 'jdbc'].includes(type);
}

function homeOf(context: CommandContext): string {
  return context.systemProperties['user.home'] ?? homedir();
}

// ---- reading beside the agent ----

function openView({ channel, context }: Task, damaged: (text: string) => void): QueueView {
  const config = channel.config as StorageConfig;
  const options = {
    disk: realDisk,
    clock: systemClock,
    dirs: homeDirs(config, homeOf(context)),
    segmentBytes: config.maxFileSize,
    onDamage: ({ kind, file, position }: { kind: string; file: string; position: number }) => {
      if (kind !== 'torn-tail') damaged(`${file} is damaged at byte ${position}; the agent puts that aside when it opens the channel`);
    },
  };
  return new QueueView(options, cipherOf(config, realDisk));
}

/** What waits, oldest first; warnings go to stderr. */
function* waiting(task: Task): Generator<{ readonly sequence: number; readonly event: StoredEvent }> {
  if (task.channel.spec.type === 'jdbc') {
    yield* storedRows(databaseFile(task.channel.config, homeOf(task.context)));
    return;
  }
  const view = openView(task, (text) => task.context.stderr.write(`Warning: ${text}\n`));
  for (const note of view.notes) task.context.stderr.write(`Warning: ${note}\n`);
  yield* view.events();
}

async function ls(task: Task): Promise<number> {
  const { channel, context, json } = task;
  if (channel.spec.type === 'jdbc') {
    let events = 0;
    for (const _ of waiting(task)) events++;
    context.stdout.write(json ? `${JSON.stringify({ channel: channel.name, events })}\n` : `channel ${channel.name} (jdbc): ${events} events wait\n`);
    return EXIT.ok;
  }
  const view = openView(task, (text) => context.stderr.write(`Warning: ${text}\n`));
  const files = view.files();
  const answer = { channel: channel.name, events: view.size, first: view.first, next: view.next, stoppedInOrder: view.wasClean, files, notes: view.notes };
  if (json) context.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  else {
    context.stdout.write(`channel ${channel.name} (${channel.spec.type}): ${view.size} events wait (sequence ${view.first} to ${view.next})\n`);
    for (const { path, sizeBytes, firstSequence } of files) context.stdout.write(`  ${path}  ${sizeBytes} bytes, from sequence ${firstSequence}\n`);
    if (!view.wasClean) context.stdout.write('  open in an agent now, or not stopped in order\n');
    for (const note of view.notes) context.stdout.write(`  ${note}\n`);
  }
  await view.close();
  return EXIT.ok;
}

async function peek(task: Task): Promise<number> {
  let left = task.count;
  if (!(left >= 0)) throw new UsageError('--count must be a number');
  for (const { sequence, event } of waiting(task)) {
    if (left-- <= 0) break;
    if (task.json) task.context.stdout.write(eventLine(event));
    else
      task.context.stdout.write(
        `${sequence}  ${JSON.stringify(event.headers)}  ${JSON.stringify(event.body.toString('utf8', 0, 200))}${event.body.length > 200 ? ` … ${event.body.length} bytes` : ''}\n`,
      );
  }
  return EXIT.ok;
}

function eventLine({ headers, body }: StoredEvent): string {
  return `${JSON.stringify({ headers, body: body.toString('base64') })}\n`;
}

/** Where lines go: a new file, synced at each `flush`, or stdout. */
class LineOutput {
  readonly #fd: number;

  /** @throws UsageError the file is there already */
  constructor(file: string | undefined) {
    if (file !== undefined && existsSync(file)) throw new UsageError(`${file} is there already`, 'name a new file');
    this.#fd = file === undefined ? 1 : openSync(file, 'wx');
  }
  write(text: string): void {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length; ) {
      try {
        done += writeSync(this.#fd, bytes, done);
      } catch (error) {
        // A full pipe: its reader is slower than the disk.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
    }
  }
  flush(): void {
    if (this.#fd !== 1) fdatasyncSync(this.#fd);
  }
  close(): void {
    if (this.#fd !== 1) closeSync(this.#fd);
  }
}

async function exportEvents(task: Task): Promise<number> {
  const output = new LineOutput(task.file);
  let events = 0;
  let text = '';
  for (const { event } of waiting(task)) {
    text += eventLine(event);
    events++;
    if (text.length < 65_536) continue;
    output.write(text);
    text = '';
  }
  output.write(text);
  output.flush();
  output.close();
  task.context.stderr.write(`${events} events written\n`);
  return EXIT.ok;
}

async function verify(task: Task): Promise<number> {
  const { channel, context } = task;
  if (channel.spec.type === 'jdbc') {
    const faults = faultsOf(databaseFile(channel.config, homeOf(context)));
    context.stdout.write(task.json ? `${JSON.stringify({ faults }, null, 2)}\n` : faults.map((fault) => `  ${fault}\n`).join('') || 'no damage found\n');
    return faults.length > 0 ? EXIT.failed : EXIT.ok;
  }
  const report: VerifyReport = verifyFiles(realDisk, homeDirs(channel.config as StorageConfig, homeOf(context)));
  const isSound = report.bad.every(({ torn }) => torn) && report.unreadable.length === 0 && report.missing === 0;
  if (task.json) context.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else {
    context.stdout.write(`${report.files} data files, ${report.batches} batches, ${report.bytes} bytes read\n`);
    for (const { file, position, sizeBytes, torn } of report.bad) {
      context.stdout.write(
        torn && report.missing === 0
          ? `  ${file}: an unfinished write of ${sizeBytes} bytes at the end (harmless, it is cut off when the channel opens)\n`
          : `  ${file}: ${sizeBytes} bytes from ${position} on are damaged; they are put aside into quarantine/ when the channel opens or gets there\n`,
      );
    }
    for (const file of report.unreadable) context.stdout.write(`  ${file} is damaged\n`);
    if (report.missing > 0) context.stdout.write(`  ${report.missing} events that were stored cannot be read any more\n`);
    if (isSound) context.stdout.write('no damage found\n');
  }
  return isSound ? EXIT.ok : EXIT.failed;
}

// ---- changing, with the channel to oneself ----

/** Opens the channel as an agent would. @throws DirectoryInUseError an agent has it open */
async function openChannel({ channel, agent, context }: Task): Promise<Channel> {
  const warn = (...words: unknown[]): void => {
    context.stderr.write(`${words.filter((word) => typeof word === 'string').join(' ')}\n`);
  };
  const log: Logger = { trace() {}, debug() {}, info() {}, warn, error: warn, isLevelEnabled: () => false };
  const ctx = loneChannelContext({ name: channel.name, agent: `${agent} (flume-ng channel)`, home: homeOf(context), log });
  const opened = channel.spec.create(channel.config, ctx);
  await opened.start();
  return opened;
}

/** Takes everything, batch by batch; a batch is gone when `use` is through. */
async function takeAll(channel: Channel, use: (events: readonly StoredEvent[]) => void): Promise<number> {
  const { signal } = new AbortController();
  let events = 0;
  while (channel.gauges().size > 0) {
    const lease = await channel.take(1_000, signal);
    if (lease === null) break;
    use(lease.events);
    await lease.commit();
    events += lease.events.length;
  }
  return events;
}

async function drain(task: Task): Promise<number> {
  const channel = await openChannel(task);
  try {
    const output = new LineOutput(task.file);
    const events = await takeAll(channel, (batch) => {
      output.write(batch.map(eventLine).join(''));
      output.flush();
    });
    output.close();
    task.context.stderr.write(`${events} events written and taken out\n`);
  } finally {
    await channel.stop();
  }
  return EXIT.ok;
}

async function drop(task: Task): Promise<number> {
  const channel = await openChannel(task);
  try {
    const { size } = channel.gauges();
    if (size > 0 && !task.yes && !(await confirmed(`Throw ${size} events of channel ${task.channel.name} away? (yes/no) `))) {
      task.context.stderr.write('nothing was thrown away; --yes does it without asking\n');
      return EXIT.failed;
    }
    const events = await takeAll(channel, () => {});
    task.context.stderr.write(`${events} events thrown away\n`);
  } finally {
    await channel.stop();
  }
  return EXIT.ok;
}

/** Asks at the terminal; without one the answer is no. */
async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await new Promise<string>((resolve) => lines.question(question, resolve))).trim().toLowerCase() === 'yes';
  } finally {
    lines.close();
  }
}

async function importEvents(task: Task): Promise<number> {
  const channel = await openChannel(task);
  const { signal } = new AbortController();
  const most = Math.min(1_000, task.channel.facts.transactionCapacity ?? 1_000);
  const input = task.file === undefined ? process.stdin : createReadStream(task.file);
  let batch: Event[] = [];
  let events = 0;
  let line = 0;
  const store = async (): Promise<void> => {
    if (batch.length > 0) await channel.put(batch, signal);
    events += batch.length;
    batch = [];
  };
  try {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line++;
      if (text.trim() === '') continue;
      batch.push(eventOf(text, line));
      if (batch.length >= most) await store();
    }
    await store();
  } catch (error) {
    const fix = error instanceof AppError ? error.fix : undefined;
    throw new AppError('CHANNEL', `${errorText(error)}; ${events} events were put in before`, { cause: error, ...(fix === undefined ? {} : { fix }) });
  } finally {
    await channel.stop();
  }
  task.context.stderr.write(`${events} events put in\n`);
  return EXIT.ok;
}

/** @throws UsageError the line is no event */
function eventOf(text: string, line: number): Event {
  try {
    const { headers, body } = JSON.parse(text) as { headers?: Record<string, unknown>; body?: unknown };
    if (typeof body !== 'string') throw new Error('no body');
    const entries = Object.entries(headers ?? {}).map(([name, value]): [string, string] => {
      if (typeof value !== 'string') throw new Error(`header ${name} is no text`);
      return [name, value];
    });
    return { headers: Object.fromEntries(entries), body: Buffer.from(body, 'base64') };
  } catch (error) {
    throw new UsageError(`line ${line} is no event: ${errorText(error)}`, 'each line is {"headers":{"name":"value"},"body":"base64"}');
  }
}

const ACTION: Readonly<Record<Action, (task: Task) => Promise<number>>> = {
  ls,
  peek,
  export: exportEvents,
  import: importEvents,
  drain,
  drop,
  verify,
};
