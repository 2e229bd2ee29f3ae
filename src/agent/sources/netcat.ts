/**
 * Turns each line received on a TCP port into an event (Flume's NetcatSource).
 *
 * When data is safe: `OK` for a line means that every required channel has it. `FAILED: <why>` means none has, and the
 * line is the client's to send again. With `ack-every-event = false` nobody would, so lines that a channel has no room for
 * are kept and tried again while the connection is not read; only a stop of the source loses what was read by then.
 * Unlike Flume, the lines of one read are one transaction (cut to the channel's transactionCapacity), an interceptor that
 * throws is answered too, and lines before a malformed byte are taken.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { CharacterJoiner, type Charset, lookupCharset, MalformedInputError } from '../../lib/charset.ts';
import { AppError, errorText } from '../../lib/errors.ts';
import { LineSplitter } from '../../lib/lines.ts';
import { listenError } from '../../lib/listen-error.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool, type Config, charset, int, text } from '../../lib/props/spec.ts';
import { type Delivery, defineSource, type SourceContext } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { PatientOutput } from '../core/patient-output.ts';
import type { Source } from '../core/source.ts';

/** Bytes, and reads, taken in while a put is under way; then the socket is paused. */
const READ_AHEAD_BYTES = 131_072;
const READ_AHEAD_PIECES = 64;
/** How long a closed connection is still read (and its data thrown away) so that the last reply gets through. */
const LINGER_MS = 1_000;

const properties = {
  bind: text({ required: true, doc: 'Address or host name to listen on; 0.0.0.0 for all.' }),
  port: int({ required: true, min: 0, max: 65_535, doc: 'TCP port to listen on; 0 picks a free one.' }),
  'ack-every-event': bool({
    default: true,
    doc: 'Answer OK after each accepted line. Without answers, lines wait for room in the channel instead of failing.',
  }),
  'max-line-length': int({
    default: 512,
    min: 1,
    unit: 'characters',
    doc: 'Longest line, its line feed included; a longer one is answered FAILED and closes the connection.',
  }),
  encoding: charset({ default: 'utf-8', doc: 'Character set of the input and of the answers; bodies are always UTF-8.' }),
};
type NetcatConfig = Config<typeof properties>;

function check(config: NetcatConfig): FindingDraft[] {
  if (lookupCharset(config.encoding) !== undefined) return [];
  return [
    {
      code: 'unknown-charset',
      severity: 'error',
      message: `no character set "${config.encoding}"`,
      fix: 'name one such as UTF-8, GBK or ISO-8859-1',
      key: 'encoding',
    },
  ];
}

function delivery(config: NetcatConfig): Delivery {
  if (config['ack-every-event']) {
    return {
      crash: { effect: 'doubles', note: 'a line stored but not yet answered is sent again by a careful client; nothing answered OK is lost here' },
      stop: { effect: 'nothing', note: 'lines in work are stored and answered; what is not answered OK is the client’s to send again' },
      full: { effect: 'waits', note: 'lines are answered FAILED after keep-alive and are the client’s to send again' },
      replays: true,
    };
  }
  return {
    crash: {
      effect: 'loses',
      note: 'lines received but not yet stored are lost unnoticed',
      improve: 'set ack-every-event = true and let the client wait for OK',
    },
    stop: { effect: 'loses', note: 'lines received but not yet stored are lost', improve: 'set ack-every-event = true and let the client wait for OK' },
    full: { effect: 'waits', note: 'connections are not read until there is room' },
    replays: false,
  };
}

export default defineSource({
  type: 'netcat',
  aliases: ['org.apache.flume.source.NetcatSource'],
  summary: 'Turns each line received on a TCP port into an event.',
  properties,
  check,
  facts: (config) => ({ listens: [{ protocol: 'tcp', host: config.bind, port: config.port }] }),
  delivery,
  create: (config, ctx) => new NetcatSource(config, ctx),
});

/** What all connections of a source share. */
interface Shared {
  readonly ctx: SourceContext;
  readonly ack: boolean;
  readonly maxChars: number;
  readonly charset: Charset;
  /** Aborts when the source stops. */
  readonly stopping: AbortSignal;
  readonly patient: PatientOutput;
  readonly oks: Replies;
}

export class NetcatSource implements Source {
  readonly #config: NetcatConfig;
  readonly #ctx: SourceContext;
  readonly #connections = new Set<Connection>();
  #server: Server | undefined;
  #starting: Promise<void> | undefined;
  #abort = new AbortController();

  constructor(config: NetcatConfig, ctx: SourceContext) {
    this.#config = config;
    this.#ctx = ctx;
  }

  /** The port that is open; 0 before start and after stop. */
  get port(): number {
    const address = this.#server?.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  start(): Promise<void> {
    this.#starting = this.#listen();
    return this.#starting;
  }

  async #listen(): Promise<void> {
    const { bind, port, encoding } = this.#config;
    this.#abort = new AbortController();
    const set = lookupCharset(encoding) as Charset;
    const shared: Shared = {
      ctx: this.#ctx,
      ack: this.#config['ack-every-event'],
      maxChars: this.#config['max-line-length'],
      charset: set,
      stopping: this.#abort.signal,
      patient: new PatientOutput(this.#ctx, 'connections are not read', (error) => error instanceof AppError),
      oks: new Replies(set),
    };
    // Half open: a client that has said everything (`printf … | nc -N`) still gets its answers.
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => this.#accept(socket, shared));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, bind, port)));
      server.listen({ host: bind, port, exclusive: true }, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', (error) => this.#ctx.failed(listenError(error, bind, port)));
    this.#server = server;
    this.#ctx.log.info(`listening on ${bind}:${this.port}`);
  }

  #accept(socket: Socket, shared: Shared): void {
    const { counters } = this.#ctx;
    const connection = new Connection(socket, shared);
    this.#connections.add(connection);
    counters.OpenConnectionCount++;
    socket.once('close', () => {
      counters.OpenConnectionCount--;
      // A connection whose lines still wait for room stays known, so that a stop can wait for it.
      void connection.idle.then(() => this.#connections.delete(connection));
    });
  }

  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    this.#abort.abort();
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all(Array.from(this.#connections, (connection) => connection.stop()));
    await closed;
  }
}

/** `OK` lines in the connection's character set, ready made. */
class Replies {
  static readonly #most = 1_024;
  readonly #charset: Charset;
  readonly #unit: number;
  readonly #many: Buffer;

  constructor(charset: Charset) {
    // Without a byte order mark before every answer.
    this.#charset = charset.resolve(Buffer.alloc(0)).charset;
    const one = this.#charset.encode('OK\n');
    this.#unit = one.length;
    this.#many = Buffer.alloc(one.length * Replies.#most, one);
  }

  write(socket: Socket, count: number): void {
    for (let left = count; left > 0; left -= Replies.#most) socket.write(this.#many.subarray(0, this.#unit * Math.min(left, Replies.#most)));
  }

  failure(reason: string): Buffer {
    return this.#charset.encode(`FAILED: ${reason}\n`);
  }
}

/** One client. Pieces are worked on one after another; at most one put is under way. */
class Connection {
  readonly #socket: Socket;
  readonly #shared: Shared;
  readonly #joiner: CharacterJoiner;
  readonly #splitter: LineSplitter;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #busy = false;
  #work: Promise<void> = Promise.resolve();
  /** The client has said everything, or nothing more is read. */
  #ended = false;
  /** No more of the client's data is taken. */
  #deaf = false;
  /** Lines stored and not yet answered. */
  #owed = 0;
  #flushDue = false;
  #drained: (() => void) | undefined;

  constructor(socket: Socket, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    this.#joiner = new CharacterJoiner(shared.charset);
    this.#splitter = new LineSplitter({ ends: 'lf', maxChars: shared.maxChars });
    socket.on('data', (piece: Buffer) => this.#receive(piece));
    socket.on('end', () => {
      this.#ended = true;
      if (!this.#busy) socket.end();
    });
    const wake = (): void => this.#drained?.();
    socket.on('drain', wake);
    socket.on('close', wake);
    socket.on('error', (error) => shared.ctx.log.debug(`connection from ${socket.remoteAddress ?? 'a client'} broke: ${error.message}`));
  }

  /** Resolves when nothing that was received is left to do. Never rejects. */
  get idle(): Promise<void> {
    return this.#work;
  }

  /** Finishes what was received, answers it, and closes. */
  async stop(): Promise<void> {
    const socket = this.#socket;
    socket.pause();
    this.#ended = true;
    this.#drained?.();
    await this.#work;
    if (socket.closed) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#hangUp();
    await closed;
  }

  #receive(piece: Buffer): void {
    if (this.#deaf) return;
    this.#queue.push(piece);
    this.#queuedBytes += piece.length;
    if (!this.#busy) this.#work = this.#run();
    else if (this.#queuedBytes >= READ_AHEAD_BYTES || this.#queue.length >= READ_AHEAD_PIECES) this.#socket.pause();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    const socket = this.#socket;
    try {
      for (let piece = this.#queue.shift(); piece !== undefined; piece = this.#queue.shift()) {
        this.#queuedBytes -= piece.length;
        const goOn = await this.#take(piece);
        this.#flush();
        if (!goOn) return this.#hangUp();
        if (this.#queue.length === 0 && socket.isPaused() && !this.#ended) socket.resume();
        if (socket.writableNeedDrain && !this.#shared.stopping.aborted) await this.#drain();
      }
      if (this.#ended) socket.end();
    } catch (error) {
      // A bug, not a fault of channel or client: this connection cannot go on, the others can.
      this.#shared.ctx.log.error({ err: error }, 'a connection is closed after an unexpected error');
      socket.destroy();
    } finally {
      this.#busy = false;
    }
  }

  /** Waits until the client has read its answers: without that it is not read either. */
  async #drain(): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    this.#drained = undefined;
  }

  /** Stores and answers the lines of a piece. False = the connection is to be closed. */
  async #take(piece: Buffer): Promise<boolean> {
    const { ctx, maxChars } = this.#shared;
    const bytes = this.#joiner.write(piece);
    let malformed: MalformedInputError | undefined;
    let utf8: Buffer;
    try {
      utf8 = this.#joiner.charset.toUtf8(bytes, 'FAIL');
    } catch (error) {
      if (!(error instanceof MalformedInputError)) throw error;
      malformed = error;
      utf8 = this.#joiner.charset.toUtf8(bytes.subarray(0, error.position), 'FAIL');
    }
    const lines: Buffer[] = [];
    const fits = this.#splitter.push(utf8, lines);
    if (lines.length > 0 && !(await this.#store(lines))) return false;
    if (!fits) {
      ctx.counters.EventReadFail++;
      ctx.log.warn(`client sent a line of ${maxChars} characters or more; max-line-length allows ${maxChars} with the line feed`);
      this.#fail(1, `Event exceeds the maximum length (${maxChars} chars, including newline)`);
      return false;
    }
    if (malformed !== undefined) {
      ctx.counters.EventReadFail++;
      ctx.log.warn(`connection closed: its input is not ${this.#joiner.charset.name}; set encoding to what clients send`);
      return false;
    }
    return true;
  }

  /** False = the source stops and the rest of the lines is given up. */
  async #store(lines: readonly Buffer[]): Promise<boolean> {
    const { ctx, ack, patient, stopping } = this.#shared;
    const { maxBatch } = ctx.output;
    for (let from = 0; from < lines.length; from += maxBatch) {
      const batch = eventsOf(lines, from, Math.min(from + maxBatch, lines.length));
      const count = batch.length;
      this.#flushSoon();
      try {
        if (ack) {
          await ctx.output.put(batch);
          this.#owed += count;
        } else if (!(await patient.put(batch, stopping))) {
          ctx.log.warn(`stopped with ${lines.length - from} lines received and not stored; their client gets no answers and will not repeat them`);
          return false;
        }
      } catch (error) {
        this.#fail(count, errorText(error));
        if (stopping.aborted) return false;
      }
    }
    return true;
  }

  #fail(count: number, reason: string): void {
    this.#flush();
    const reply = this.#shared.oks.failure(reason);
    if (this.#socket.writable) this.#socket.write(count === 1 ? reply : Buffer.alloc(reply.length * count, reply));
  }

  /** Answers must not wait for a later batch of the same piece that finds no room. */
  #flushSoon(): void {
    if (this.#owed === 0 || this.#flushDue) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    const count = this.#owed;
    if (count === 0) return;
    this.#owed = 0;
    if (this.#socket.writable) this.#shared.oks.write(this.#socket, count);
  }

  /** Ends our side, reads on into nothing so that the last answer is not lost to a reset, and then closes whatever the client does. */
  #hangUp(): void {
    const socket = this.#socket;
    this.#deaf = true;
    this.#queue = [];
    if (socket.destroyed) return;
    socket.end();
    socket.resume();
    const timer = this.#shared.ctx.clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', () => timer.cancel());
  }
}

function eventsOf(lines: readonly Buffer[], from: number, end: number): Event[] {
  const batch: Event[] = [];
  for (let i = from; i < end; i++) batch.push({ headers: {}, body: lines[i] as Buffer });
  return batch;
}
