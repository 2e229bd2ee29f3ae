/**
 * `flume-ng crashtest -f FILE -n NAME [--kills N] [--seed S]`: what a user's own definition loses and doubles when its process
 * is killed again and again. Runs a copy of the definition in a temporary directory: own ports and directories, numbered
 * events into its sources, sinks that write to files or to a broker of the test; kill -9 at random moments, start, and so on;
 * at the end everything is drained and counted. Nothing of the real agent is touched.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Logger } from '../lib/log.ts';
import { type BrokerChild, startBrokerChild } from './broker-process.ts';
import { type Command, EXIT } from './command.ts';
import { type CrashDefinition, crashDefinition } from './crashtest/definition.ts';
import { type Feeder, feederFor } from './crashtest/feeders.ts';
import { type Output, outputOf } from './crashtest/outputs.ts';
import { DEFINITION_OPTIONS, helpText, quietCatalog } from './definition-options.ts';
import { parseOptions, UsageError } from './flags.ts';

const OPTIONS = [
  ...DEFINITION_OPTIONS,
  { long: 'kills', value: 'n', doc: 'how often the agent is killed; default 10' },
  { long: 'seed', value: 's', doc: 'of the random moments; default: from the clock, and shown' },
  { long: 'keep', doc: 'leave the temporary directory' },
];
const ABOUT = `Kills a copy of an agent again and again and counts what is lost or doubled. The copy has its own directories and
ports; interceptors are left out, since it is the channels that are tested. Kafka sinks write to a broker of the test (which is
not killed), all other sinks are replaced by file_roll. Fed are netcat, avro, thrift, exec, spooldir and Kafka sources;
what is acknowledged for exec is what the source had counted as stored, for a command is told nothing. The columns: acknowledged,
delivered; lost = acknowledged and did not come out; doubled = came more than once; unacknowledged = came out, though nobody had
been told; unstored = neither acknowledged nor delivered: others send that again, a command does not; invented = never sent.
Exit code 1 when something was lost or invented.`;

const START_LIMIT_MS = 60_000;
const DRAIN_IDLE_MS = 5_000;
/** Longest time between a start and its kill. */
const LIFE_MS = 1_200;

export const run: Command = async (words, context) => {
  const { values } = parseOptions(words, OPTIONS);
  if (values.has('help')) {
    context.stdout.write(helpText('crashtest -f FILE -n NAME [--kills N] [--seed S]', ABOUT, OPTIONS));
    return EXIT.ok;
  }
  const files = values.get('conf-file') ?? [];
  const name = values.get('name')?.[0];
  if (files.length === 0 || name === undefined) throw new UsageError('a definition and an agent are needed', 'write -f FILE -n NAME');
  const kills = wholeNumber(values.get('kills')?.[0] ?? '10', '--kills');
  const seed = wholeNumber(values.get('seed')?.[0] ?? String(Date.now() % 1_000_000), '--seed');
  const { cwd, env, systemProperties } = context;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-crashtest-'));
  try {
    const definition = await crashDefinition({ files, name, catalog: quietCatalog(context), cwd, env, systemProperties }, dir);
    for (const note of definition.notes) context.stderr.write(`Note: ${note}\n`);
    const result = await new CrashTest(definition, dir, seed).run(kills, (line) => context.stderr.write(line));
    context.stdout.write(values.has('json') ? `${JSON.stringify({ kills, seed, channels: result })}\n` : tableOf(result, kills, seed));
    return result.some(({ lost, invented }) => lost + invented > 0) ? EXIT.failed : EXIT.ok;
  } finally {
    if (values.has('keep')) context.stderr.write(`left in ${dir}\n`);
    else fs.rmSync(dir, { recursive: true, force: true });
  }
};

function wholeNumber(text: string, option: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${option} must be a whole number`);
  return Number(text);
}

/** What became of the events of one channel. */
export interface Outcome {
  readonly channel: string;
  readonly acknowledged: number;
  /** Different events that came out. */
  readonly delivered: number;
  readonly lost: number;
  /** Events that came out more than once, each further time counted. */
  readonly doubled: number;
  /** Came out, though their source was never told; a client would send these again. */
  readonly unacknowledged: number;
  /** Sent, and neither acknowledged nor delivered. */
  readonly unstored: number;
  /** Came out, but were never put in. */
  readonly invented: number;
}

const SILENT: Logger = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, isLevelEnabled: () => false };

interface Watched {
  readonly channel: string;
  /** Those of which every acknowledged event must come out here. */
  readonly feeders: readonly Feeder[];
  readonly outputs: readonly Output[];
}

class CrashTest {
  readonly #definition: CrashDefinition;
  readonly #dir: string;
  readonly #feeders: readonly Feeder[];
  readonly #watched: readonly Watched[];
  #agent: ChildProcess | undefined;
  #state: number;

  constructor(definition: CrashDefinition, dir: string, seed: number) {
    this.#definition = definition;
    this.#dir = dir;
    this.#state = seed >>> 0;
    this.#feeders = definition.sources.map((source) => feederFor(source, () => this.#random()));
    this.#watched = definition.channels.map(({ name, sources, outputs }) => ({
      channel: name,
      feeders: this.#feeders.filter(({ numbers }) => sources.includes(numbers.name)),
      outputs: outputs.map(outputOf),
    }));
  }

  #random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }

  /** @throws AppError the copy or its broker does not start */
  async run(kills: number, say: (line: string) => void): Promise<Outcome[]> {
    let broker: BrokerChild | undefined;
    try {
      if (this.#definition.broker !== null) broker = await startBrokerChild(this.#definition.broker, SILENT);
      for (let kill = 1; kill <= kills; kill++) {
        await this.#life();
        say(`\rkill ${kill} of ${kills}: ${this.#feeders.reduce((sum, { numbers }) => sum + numbers.acknowledged.size, 0)} events acknowledged`);
      }
      say('\n');
      const agent = await this.#start();
      await this.#drained();
      agent.kill('SIGTERM');
      await ended(agent);
      for (const feeder of this.#feeders) feeder.settle?.();
      for (const { outputs } of this.#watched) for (const output of outputs) await output.reread();
      return this.#watched.map((one) => outcomeOf(one, this.#feeders));
    } finally {
      this.#agent?.kill('SIGKILL');
      for (const { outputs } of this.#watched) for (const output of outputs) output.close();
      for (const feeder of this.#feeders) feeder.close?.();
      await broker?.stop();
    }
  }

  /** From a start to a kill at a random moment. */
  async #life(): Promise<void> {
    const agent = await this.#start();
    const stop = new AbortController();
    const feeding = this.#feeders.map((feeder) => feeder.feed(stop.signal));
    await sleep(this.#random() * LIFE_MS);
    agent.kill('SIGKILL');
    await ended(agent);
    stop.abort();
    await Promise.all(feeding);
  }

  /** Starts the copy and waits until every source takes events. @throws UsageError it ended, or takes too long */
  async #start(): Promise<ChildProcess> {
    for (const feeder of this.#feeders) await feeder.begin?.();
    const { file, agent: name, monitoringPort } = this.#definition;
    const log = fs.openSync(path.join(this.#dir, 'agent.log'), 'a');
    const args = [...process.execArgv, process.argv[1] as string, 'agent', '-f', file, '-n', name, '--no-reload-conf', '-Dflume.root.logger=INFO,console'];
    const monitoring = ['-Dflume.monitoring.type=http', `-Dflume.monitoring.port=${monitoringPort}`];
    const agent = spawn(process.execPath, [...args, ...monitoring], { cwd: this.#dir, stdio: ['ignore', log, log] });
    fs.closeSync(log);
    this.#agent = agent;
    const deadline = performance.now() + START_LIMIT_MS;
    for (const feeder of this.#feeders) {
      while (!(await feeder.isReady())) {
        if (agent.exitCode !== null || performance.now() > deadline) throw this.#notStarted(agent);
        await sleep(20);
      }
    }
    return agent;
  }

  #notStarted(agent: ChildProcess): UsageError {
    agent.kill('SIGKILL');
    const log = fs.readFileSync(path.join(this.#dir, 'agent.log'), 'utf8').split('\n').slice(-15).join('\n');
    return new UsageError(`the copy of the agent does not start:\n${log}`, 'flume-ng validate tells what is wrong with a definition', EXIT.failed);
  }

  /** Everything acknowledged has come out, or nothing moves any more. */
  async #drained(): Promise<void> {
    for (let since = performance.now(); performance.now() - since < DRAIN_IDLE_MS; await sleep(100)) {
      for (const feeder of this.#feeders) feeder.settle?.();
      let moved = false;
      for (const { outputs } of this.#watched) for (const output of outputs) if (await output.look()) moved = true;
      if (moved) since = performance.now();
      else if (this.#feeders.every((feeder) => feeder.isSettled?.() ?? true) && this.#watched.every((one) => outcomeOf(one, this.#feeders).lost === 0)) return;
    }
  }
}

/** `all`: a selector may bring events here of feeders that are not this channel's. */
export function outcomeOf({ channel, feeders, outputs }: Watched, all: readonly Feeder[]): Outcome {
  const seen = new Map<string, number>();
  for (const output of outputs) for (const [id, times] of output.seen) seen.set(id, (seen.get(id) ?? 0) + times);
  const outcome = { channel, acknowledged: 0, delivered: seen.size, lost: 0, doubled: 0, unacknowledged: 0, unstored: 0, invented: 0 };
  for (const [id, times] of seen) {
    outcome.doubled += times - 1;
    if (!all.some(({ numbers }) => numbers.sent.has(id))) outcome.invented++;
  }
  for (const { numbers } of feeders) {
    outcome.acknowledged += numbers.acknowledged.size;
    for (const id of numbers.sent) {
      const delivered = seen.has(id);
      const acknowledged = numbers.acknowledged.has(id);
      if (acknowledged && !delivered) outcome.lost++;
      else if (!acknowledged && delivered) outcome.unacknowledged++;
      else if (!acknowledged) outcome.unstored++;
    }
  }
  return outcome;
}

function tableOf(outcomes: readonly Outcome[], kills: number, seed: number): string {
  const head = ['channel', 'acknowledged', 'delivered', 'lost', 'doubled', 'unacknowledged', 'unstored', 'invented'] as const;
  const rows = outcomes.map((one) => head.map((column) => String(one[column])));
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] as string).length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join('  ');
  return `${[head, ...rows].map(line).join('\n')}\n${kills} kills, seed ${seed}\n`;
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.on('exit', () => resolve());
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
