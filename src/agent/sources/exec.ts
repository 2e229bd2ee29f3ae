/**
 * Runs a command and turns each line of its output into an event (Flume's ExecSource).
 *
 * When data is safe: a line is safe once the channel has it; nobody can ask a command to print it again, so a crash loses
 * what was printed and not yet stored, and what is printed while the agent is down is never seen. A full channel loses
 * nothing (Flume drops the batch and kills the command): the output is not read until there is room.
 * Lines end with a line feed, a carriage return or both; the body keeps the bytes of the character set, bad ones replaced.
 * The lines of one read are stored together, also beyond `batchSize`; fewer wait for `batchTimeout` since the last batch.
 */
import { CharacterJoiner, type Charset, lookupCharset } from '../../lib/charset.ts';
import type { Timer } from '../../lib/clock.ts';
import { AppError, errorText } from '../../lib/errors.ts';
import { LineSplitter } from '../../lib/lines.ts';
import { type ProcessEnd, ProcessTree } from '../../lib/process-tree.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool, type Config, charset, duration, int, text } from '../../lib/props/spec.ts';
import { defineSource, type SourceContext } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { PatientOutput } from '../core/patient-output.ts';
import type { Source } from '../core/source.ts';

/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 2_000;
/** Output read while a put is under way; then the command's pipe is left to fill. */
const READ_AHEAD_BYTES = 262_144;
/** A longer line is cut: without a limit, output without line ends would take all memory. */
const MAX_LINE_BYTES = 16 * 1_048_576;
const MAX_STDERR_LINE_BYTES = 65_536;
/** A batch that is not full is stored without waiting for its timeout from this size on. */
const MAX_WAITING_BYTES = 1_048_576;

const REPLACEMENT = Buffer.from('\ufffd');

const properties = {
  command: text({ required: true, doc: 'Command to run. Without "shell" it is split at white space and run directly: no quotes, globs, pipes or $VARIABLES.' }),
  shell: text({ doc: 'Shell that runs the command as one argument, e.g. /bin/sh -c.' }),
  restart: bool({ default: false, doc: 'Run the command again when it ends, whatever its exit code.' }),
  restartThrottle: duration({ default: 10_000, unit: 'ms', doc: 'Pause before the command runs again.' }),
  logStdErr: bool({ default: false, doc: "Log the lines of the command's stderr at INFO; otherwise they are thrown away." }),
  batchSize: int({ default: 20, min: 1, unit: 'events', doc: 'Lines that are stored without waiting for batchTimeout.' }),
  batchTimeout: duration({ default: 3_000, unit: 'ms', doc: 'Longest wait of fewer lines than batchSize, counted from the last batch.' }),
  charset: charset({ default: 'UTF-8', doc: 'Character set of the output; bodies stay in it, with bad bytes replaced.' }),
};
type ExecConfig = Config<typeof properties>;

function check(config: ExecConfig): FindingDraft[] {
  const findings: FindingDraft[] = [];
  const { command, shell } = config;
  if (lookupCharset(config.charset) === undefined) {
    findings.push({
      code: 'unknown-charset',
      severity: 'error',
      message: `no character set "${config.charset}"`,
      fix: 'name one such as UTF-8, GBK or ISO-8859-1',
      key: 'charset',
    });
  }
  if (/\btail\s+(?:-\S+\s+)*-\w*f/.test(command)) {
    findings.push({
      code: 'tail-by-descriptor',
      severity: 'warning',
      message: '"tail -f" goes silent when the file is rotated',
      fix: 'write tail -F, which follows the name',
      key: 'command',
    });
  }
  const syntax = /[|<>;&`$*"']/.exec(command)?.[0];
  if (shell === undefined && syntax !== undefined) {
    findings.push({
      code: 'shell-syntax',
      severity: 'warning',
      message: `the command contains ${syntax}, which is passed on as it is since no shell runs it`,
      fix: 'set shell = /bin/sh -c if a shell is to read the command',
      key: 'command',
    });
  }
  return findings;
}

export default defineSource({
  type: 'exec',
  aliases: ['org.apache.flume.source.ExecSource'],
  summary: 'Runs a command and turns each line of its output into an event.',
  properties,
  counters: { LineCutCount: 'Lines of more than 16 MiB, cut into several events.' },
  check,
  facts: (config) => ({ batchSize: config.batchSize }),
  delivery: () => ({
    crash: {
      effect: 'loses',
      note: 'output that was not stored yet, or is printed while the agent is down, is lost',
      improve: 'let files be complete before they are read, with a spooldir source',
    },
    stop: {
      effect: 'loses',
      note: 'what the command would have printed while the agent is stopped is never seen',
      improve: 'let files be complete before they are read, with a spooldir source',
    },
    full: { effect: 'waits', note: 'the command’s output is not read until there is room; the command itself may block meanwhile' },
    replays: false,
  }),
  create: (config, ctx) => new ExecSource(config, ctx),
});

/** Java's String.split("\\s+") of a trimmed value. */
const SPACE = /[ \t\n\v\f\r]+/;

export class ExecSource implements Source {
  readonly #config: ExecConfig;
  readonly #ctx: SourceContext;
  #abort = new AbortController();
  #starting: Promise<void> | undefined;
  #loop: Promise<void> | undefined;
  #tree: ProcessTree | undefined;

  constructor(config: ExecConfig, ctx: SourceContext) {
    this.#config = config;
    this.#ctx = ctx;
  }

  /** Process id (and group) of the running command; undefined while none runs. */
  get pid(): number | undefined {
    return this.#tree?.pid;
  }

  start(): Promise<void> {
    this.#abort = new AbortController();
    this.#starting = this.#begin(this.#abort.signal);
    return this.#starting;
  }

  async #begin(stopping: AbortSignal): Promise<void> {
    const first = await this.#spawn();
    this.#loop = this.#run(first, stopping);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#starting?.catch(() => undefined);
    await this.#tree?.end();
    await this.#loop;
    this.#loop = undefined;
  }

  #spawn(): Promise<ProcessTree> {
    const { command, shell, logStdErr } = this.#config;
    const argv = shell === undefined ? command.split(SPACE) : [...shell.split(SPACE), command];
    return ProcessTree.start({ argv, stderr: logStdErr, clock: this.#ctx.clock, graceMs: GRACE_MS });
  }

  /** Runs the command, and again if so configured. Never rejects: what goes wrong is told to the supervisor. */
  async #run(first: ProcessTree, stopping: AbortSignal): Promise<void> {
    const ctx = this.#ctx;
    const { command, restart, restartThrottle } = this.#config;
    let tree: ProcessTree | undefined = first;
    try {
      for (;;) {
        if (tree !== undefined) {
          const { code } = await this.#follow(tree, stopping);
          if (stopping.aborted) return;
          ctx.log.info(restart ? `Restarting in ${restartThrottle}ms, exit code ${code}` : `Command [${command}] exited with ${code}`);
          if (!restart) return this.#finished(code);
        }
        await ctx.clock.sleep(restartThrottle, stopping);
        if (stopping.aborted) return;
        tree = await this.#again(stopping);
      }
    } catch (error) {
      ctx.failed(error instanceof Error ? error : new Error(errorText(error)));
    }
  }

  async #again(stopping: AbortSignal): Promise<ProcessTree | undefined> {
    try {
      const tree = await this.#spawn();
      if (stopping.aborted) await tree.end();
      this.#ctx.healthy();
      return tree;
    } catch (error) {
      // It ran before: the program may be being replaced. Said once a throttle, and in the status until it runs again.
      this.#ctx.log.error(`${errorText(error)}; trying again in ${this.#config.restartThrottle} ms`);
      this.#ctx.degraded(error as Error);
      return undefined;
    }
  }

  #finished(code: number): void {
    if (code === 0) return;
    this.#ctx.degraded(
      new AppError('COMMAND', `command [${this.#config.command}] exited with ${code}; no more events come from it`, {
        fix: 'Correct the command, or set restart = true to run it again. Set logStdErr = true to see what it says.',
      }),
    );
  }

  /** Reads one run of the command to its end. */
  async #follow(tree: ProcessTree, stopping: AbortSignal): Promise<ProcessEnd> {
    this.#tree = tree;
    if (stopping.aborted) void tree.end();
    const intake = new Intake(this.#config, this.#ctx, stopping);
    if (tree.stderr !== undefined) logStderr(tree.stderr, this.#ctx, lookupCharset(this.#config.charset) as Charset);
    const { stdout } = tree;
    stdout.on('data', (piece: Buffer) => {
      if (intake.offer(piece)) return;
      stdout.pause();
      void intake.ready().then(() => stdout.resume());
    });
    const end = await tree.ended;
    await intake.finish();
    // Background jobs of the command end with it; a stop, or the next run, must not find them.
    await tree.end();
    this.#tree = undefined;
    return end;
  }
}

/** From pieces of output to batches in the channel; at most one put is under way. */
class Intake {
  readonly #ctx: SourceContext;
  readonly #charset: Charset;
  readonly #batchSize: number;
  readonly #timeoutMs: number;
  readonly #stopping: AbortSignal;
  readonly #patient: PatientOutput;
  readonly #joiner: CharacterJoiner;
  readonly #splitter = new LineSplitter({ ends: 'any' });
  #pieces: Buffer[] = [];
  #queuedBytes = 0;
  #lines: Buffer[] = [];
  #lineBytes = 0;
  /** The line that has begun holds bytes that are not of the character set. */
  #suspect = false;
  #flushedAt: number;
  #timer: Timer | undefined;
  #busy = false;
  #work: Promise<void> = Promise.resolve();
  #lost = 0;

  constructor(config: ExecConfig, ctx: SourceContext, stopping: AbortSignal) {
    this.#ctx = ctx;
    this.#charset = lookupCharset(config.charset) as Charset;
    this.#batchSize = config.batchSize;
    this.#timeoutMs = config.batchTimeout;
    this.#stopping = stopping;
    this.#patient = new PatientOutput(ctx, 'the command’s output is not read');
    this.#joiner = new CharacterJoiner(this.#charset);
    this.#flushedAt = ctx.clock.monotonic();
  }

  /** Takes a piece; false = enough for now, wait for `ready`. */
  offer(piece: Buffer): boolean {
    this.#pieces.push(piece);
    this.#queuedBytes += piece.length;
    this.#wake(false);
    return this.#queuedBytes < READ_AHEAD_BYTES;
  }

  /** Resolves when all that was offered is stored or waits for its batch. */
  ready(): Promise<void> {
    return this.#work;
  }

  /** The output is complete: stores all that is left, a last line without its end too. */
  async finish(): Promise<void> {
    await this.#work;
    const cut = this.#joiner.rest();
    if (cut.length > 0) {
      this.#suspect = true;
      this.#splitter.push(this.#charset.asciiCompatible ? cut : REPLACEMENT, this.#lines);
    }
    this.#addRest();
    this.#wake(true);
    await this.#work;
    this.#timer?.cancel();
    if (this.#lost > 0) this.#ctx.log.warn(`stopped with ${this.#lost} lines read and not stored; they are lost`);
  }

  #wake(flush: boolean): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#work = this.#run(flush)
      .catch((error: unknown) => this.#ctx.failed(error instanceof Error ? error : new Error(errorText(error))))
      .finally(() => {
        this.#busy = false;
      });
  }

  async #run(flush: boolean): Promise<void> {
    if (flush) await this.#flush();
    for (let piece = this.#pieces.shift(); piece !== undefined; piece = this.#pieces.shift()) {
      this.#queuedBytes -= piece.length;
      this.#cut(piece);
      if (this.#isDue()) await this.#flush();
    }
    if (this.#lines.length > 0) this.#arm();
  }

  #isDue(): boolean {
    const count = this.#lines.length;
    if (count === 0) return false;
    return count >= this.#batchSize || this.#lineBytes >= MAX_WAITING_BYTES || this.#ctx.clock.monotonic() - this.#flushedAt >= this.#timeoutMs;
  }

  #arm(): void {
    if (this.#timer !== undefined) return;
    const waitMs = this.#flushedAt + this.#timeoutMs - this.#ctx.clock.monotonic();
    this.#timer = this.#ctx.clock.after(Math.max(0, waitMs), () => {
      this.#timer = undefined;
      // A run under way sees for itself what is due.
      if (this.#isDue()) this.#wake(true);
      else if (this.#lines.length > 0) this.#arm();
    });
  }

  async #flush(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    this.#lineBytes = 0;
    const { maxBatch } = this.#ctx.output;
    for (let from = 0; from < lines.length; from += maxBatch) {
      const stored = this.#lost === 0 && (await this.#patient.put(eventsOf(lines, from, Math.min(from + maxBatch, lines.length)), this.#stopping));
      if (!stored) {
        this.#lost += lines.length - from;
        break;
      }
    }
    this.#flushedAt = this.#ctx.clock.monotonic();
  }

  #cut(piece: Buffer): void {
    const { asciiCompatible } = this.#charset;
    const whole = this.#joiner.write(piece);
    const bytes = asciiCompatible ? whole : this.#joiner.charset.toUtf8(whole, 'REPLACE');
    const lines = this.#lines;
    const first = lines.length;
    this.#splitter.push(bytes, lines);
    const valid = !asciiCompatible || this.#charset.isValid(bytes);
    if (!asciiCompatible) for (let i = first; i < lines.length; i++) lines[i] = this.#charset.encode((lines[i] as Buffer).toString('utf8'));
    else if (!valid) for (let i = first; i < lines.length; i++) lines[i] = this.#clean(lines[i] as Buffer);
    else if (this.#suspect && lines.length > first) lines[first] = this.#clean(lines[first] as Buffer);
    this.#suspect = !valid || (this.#suspect && lines.length === first);
    this.#lineBytes += piece.length;
    if (this.#splitter.pendingBytes < MAX_LINE_BYTES) return;
    this.#addRest();
    if (this.#ctx.extra.LineCutCount === 0) this.#ctx.log.warn(`a line of more than ${MAX_LINE_BYTES} bytes is cut into several events`);
    this.#ctx.extra.LineCutCount = (this.#ctx.extra.LineCutCount ?? 0) + 1;
  }

  #addRest(): void {
    const rest = this.#splitter.rest();
    if (rest === null) return;
    if (!this.#charset.asciiCompatible) this.#lines.push(this.#charset.encode(rest.toString('utf8')));
    else this.#lines.push(this.#suspect ? this.#clean(rest) : rest);
  }

  /** The line with what is not of the character set replaced, as decoding and encoding it does. */
  #clean(line: Buffer): Buffer {
    return this.#charset.isValid(line) ? line : this.#charset.encode(this.#charset.decode(line, 'REPLACE'));
  }
}

function eventsOf(lines: readonly Buffer[], from: number, end: number): Event[] {
  const batch: Event[] = [];
  for (let i = from; i < end; i++) batch.push({ headers: {}, body: lines[i] as Buffer });
  return batch;
}

function logStderr(stderr: NodeJS.ReadableStream, ctx: SourceContext, set: Charset): void {
  const splitter = new LineSplitter({ ends: 'any' });
  let number = 0;
  const say = (line: Buffer): void => {
    number++;
    ctx.log.info(`StderrLogger[${number}] = '${set.decode(line, 'REPLACE')}'`);
  };
  stderr.on('data', (piece: Buffer) => {
    const lines: Buffer[] = [];
    splitter.push(piece, lines);
    lines.forEach(say);
    if (splitter.pendingBytes > MAX_STDERR_LINE_BYTES) say(splitter.rest() as Buffer);
  });
  stderr.on('end', () => {
    const rest = splitter.rest();
    if (rest !== null) say(rest);
  });
}
