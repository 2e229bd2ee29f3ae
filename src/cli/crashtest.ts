/**
 * `flume-ng crashtest -f FILE -n NAME [--kills N] [--seed S]`: what a user's own definition loses and doubles when its process
 * is killed again and again. Runs a copy of the definition in a temporary directory: own ports and directories, numbered
 * events into its sources, sinks that write to files; kill -9 at random moments, start, and so on; at the end everything is
 * drained and counted. Nothing of the real agent is touched.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Command, EXIT } from './command.ts';
import { type CrashDefinition, crashDefinition } from './crashtest/definition.ts';
import { type Feeder, feederFor } from './crashtest/feeders.ts';
import { DEFINITION_OPTIONS, helpText, quietCatalog } from './definition-options.ts';
import { parseOptions, UsageError } from './flags.ts';

const OPTIONS = [
  ...DEFINITION_OPTIONS,
  { long: 'kills', value: 'n', doc: 'how often the agent is killed; default 10' },
  { long: 'seed', value: 's', doc: 'of the random moments; default: from the clock, and shown' },
  { long: 'keep', doc: 'leave the temporary directory' },
];
const ABOUT = `Kills a copy of an agent again and again and counts what is lost or doubled. The copy has its own directories and
ports; sinks are replaced by file_roll and interceptors left out, since it is the channels that are tested. Sources that
can be fed and that acknowledge take part: netcat, spooldir. Exit code 1 when something was lost.`;

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
    const test = new CrashTest(definition, dir, seed);
    await test.run(kills, (line) => context.stderr.write(line));
    const result = test.count();
    context.stdout.write(values.has('json') ? `${JSON.stringify({ kills, seed, channels: result })}\n` : tableOf(result, kills, seed));
    return result.some(({ lost }) => lost > 0) ? EXIT.failed : EXIT.ok;
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
interface Outcome {
  readonly channel: string;
  readonly acknowledged: number;
  /** Different events that came out. */
  readonly delivered: number;
  readonly lost: number;
  /** Events that came out more than once, each further time counted. */
  readonly doubled: number;
  /** Came out, though their source was never told; a client would send these again. */
  readonly unacknowledged: number;
  /** Came out, but were never put in. */
  readonly invented: number;
}

class CrashTest {
  readonly #definition: CrashDefinition;
  readonly #dir: string;
  readonly #feeders: readonly Feeder[];
  #state: number;

  constructor(definition: CrashDefinition, dir: string, seed: number) {
    this.#definition = definition;
    this.#dir = dir;
    this.#state = seed >>> 0;
    this.#feeders = definition.sources.map((source) => feederFor(source, () => this.#random()));
  }

  #random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }

  async run(kills: number, say: (line: string) => void): Promise<void> {
    for (let kill = 1; kill <= kills; kill++) {
      const agent = this.#start();
      await this.#ready(agent);
      const stop = new AbortController();
      const feeding = this.#feeders.map((feeder) => feeder.feed(stop.signal));
      await sleep(this.#random() * LIFE_MS);
      agent.kill('SIGKILL');
      await ended(agent);
      stop.abort();
      await Promise.all(feeding);
      say(`\rkill ${kill} of ${kills}: ${this.#feeders.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0)} events acknowledged`);
    }
    say('\n');
    const agent = this.#start();
    await this.#ready(agent);
    await this.#drained();
    agent.kill('SIGTERM');
    await ended(agent);
    for (const feeder of this.#feeders) feeder.settle();
  }

  #start(): ChildProcess {
    const log = fs.openSync(path.join(this.#dir, 'agent.log'), 'a');
    const args = [...process.execArgv, process.argv[1] as string, 'agent', '-f', this.#definition.file, '-n', this.#definition.agent, '--no-reload-conf'];
    const agent = spawn(process.execPath, [...args, '-Dflume.root.logger=INFO,console'], { cwd: this.#dir, stdio: ['ignore', log, log] });
    fs.closeSync(log);
    return agent;
  }

  /** Waits until every source takes events. @throws UsageError it ended, or takes too long */
  async #ready(agent: ChildProcess): Promise<void> {
    const deadline = performance.now() + START_LIMIT_MS;
    for (const feeder of this.#feeders) {
      while (!(await feeder.isReady())) {
        if (agent.exitCode !== null || performance.now() > deadline) {
          agent.kill('SIGKILL');
          const log = fs.readFileSync(path.join(this.#dir, 'agent.log'), 'utf8').split('\n').slice(-15).join('\n');
          throw new UsageError(`the copy of the agent does not start:\n${log}`, 'flume-ng validate tells what is wrong with a definition', EXIT.failed);
        }
        await sleep(20);
      }
    }
  }

  /** Everything acknowledged has come out, or nothing moves any more. */
  async #drained(): Promise<void> {
    let size = -1;
    for (let since = performance.now(); performance.now() - since < DRAIN_IDLE_MS; await sleep(100)) {
      for (const feeder of this.#feeders) feeder.settle();
      if (this.count().every(({ lost }) => lost === 0) && this.#feeders.every((feeder) => feeder.isSettled())) return;
      const now = outputBytes(this.#definition);
      if (now === size) continue;
      size = now;
      since = performance.now();
    }
  }

  count(): Outcome[] {
    return this.#definition.channels.map(({ name, outputs, sources }) => {
      const seen = new Map<string, number>();
      for (const dir of outputs) for (const id of eventsIn(dir)) seen.set(id, (seen.get(id) ?? 0) + 1);
      const feeders = this.#feeders.filter((feeder) => sources.includes(feeder.name));
      const acknowledged = feeders.flatMap((feeder) => [...feeder.acknowledged]);
      const told = new Set(acknowledged);
      let doubled = 0;
      let unacknowledged = 0;
      let invented = 0;
      for (const [id, times] of seen) {
        doubled += times - 1;
        if (!feeders.some((feeder) => feeder.sent.has(id))) invented++;
        else if (!told.has(id)) unacknowledged++;
      }
      const lost = acknowledged.filter((id) => !seen.has(id)).length;
      return { channel: name, acknowledged: told.size, delivered: seen.size, lost, doubled, unacknowledged, invented };
    });
  }
}

/** Numbered events in what a file_roll sink wrote; an end torn by a kill is no event. */
function eventsIn(dir: string): string[] {
  const found: string[] = [];
  for (const name of fs.readdirSync(dir)) {
    for (const line of fs.readFileSync(path.join(dir, name), 'latin1').split('\n')) {
      const match = /^crashtest (\S+ \d{9}) end$/.exec(line);
      if (match) found.push(match[1] as string);
    }
  }
  return found;
}

function outputBytes({ channels }: CrashDefinition): number {
  return channels
    .flatMap(({ outputs }) => outputs)
    .flatMap((dir) => fs.readdirSync(dir).map((name) => fs.statSync(path.join(dir, name)).size))
    .reduce((sum, size) => sum + size, 0);
}

function tableOf(outcomes: readonly Outcome[], kills: number, seed: number): string {
  const head = ['channel', 'acknowledged', 'delivered', 'lost', 'doubled', 'unacknowledged', 'invented'];
  const rows = outcomes.map((one) => [one.channel, one.acknowledged, one.delivered, one.lost, one.doubled, one.unacknowledged, one.invented].map(String));
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
