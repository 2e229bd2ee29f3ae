/**
 * The listening end of an RPC: connections, their TLS and compression, ipFilter, and one lane a connection, in which at
 * most one put is under way and answers leave in the order of the calls. While a put waits for room, the connection is
 * not read, so pressure goes back to the client. What the bytes mean is the session's business (avro-session.ts,
 * thrift-session.ts).
 *
 * An event is answered after the channel has it, never before. On a stop the call in work is finished and answered; calls
 * not begun get no answer, and their client sends them again.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError, ChannelError, ChannelFullError, errorText, ProtocolError } from '../../lib/errors.ts';
import { listenError } from '../../lib/listen-error.ts';
import type { Delivery, SourceContext } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { type ServerLayers, serveLayers } from './connection-layers.ts';
import type { IpFilter } from './ip-filter.ts';
import { faultText } from './rpc-faults.ts';

/** What became of a call's events: stored; refused by the channel; anything else, as a text for the client. */
export type Outcome = 'stored' | 'refused' | { readonly error: string };

/** One call of a client. */
export interface RpcCall {
  /** `none` has no events and is only answered. */
  readonly kind: 'append' | 'appendBatch' | 'none';
  readonly events: Event[];
  /** The bytes of the answer; empty = the call wants none. */
  answer(outcome: Outcome): Buffer;
}

/** The protocol on one connection. */
export interface RpcSession {
  push(chunk: Buffer): void;
  /** The next whole call. @throws ProtocolError the client does not speak the protocol; the connection is then closed */
  next(): RpcCall | undefined;
  /** True in the middle of a call. */
  readonly partial: boolean;
}

export interface RpcServerOptions {
  readonly ctx: SourceContext;
  readonly bind: string;
  readonly port: number;
  readonly session: () => RpcSession;
  /** Made at every start, since it reads files. @throws ConfigError */
  readonly layers: () => ServerLayers;
  readonly filter?: IpFilter | undefined;
}

/** What the avro and thrift sources promise. */
export const RPC_SOURCE_DELIVERY: Delivery = {
  crash: { effect: 'doubles', note: 'a batch stored but not yet answered is sent again by its client; nothing answered OK is lost here' },
  stop: { effect: 'nothing', note: 'the batch in work is stored and answered; what is not answered is the client’s to send again' },
  full: { effect: 'waits', note: 'batches are answered FAILED after keep-alive and are the client’s to send again' },
  replays: true,
};

/** As Flume: many clients may reconnect at once. */
const BACKLOG = 1_024;
/** For TLS handshakes of clients that say nothing. */
const HANDSHAKE_LIMIT_MS = 20_000;
/** How long a closed connection is still read (and its data thrown away) so that the last answer gets through. */
const LINGER_MS = 1_000;
/** The same complaint about clients is a warning once in this time. */
const REPEAT_LOG_MS = 60_000;

export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #lanes = new Set<Lane>();
  /** Sockets that are not yet lanes. */
  readonly #arriving = new Set<Socket>();
  readonly #complaints = new Map<string, number>();
  #server: Server | undefined;
  #starting: Promise<void> | undefined;
  #stopping = false;

  constructor(options: RpcServerOptions) {
    this.#options = options;
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
    const { bind, port, ctx } = this.#options;
    const layers = this.#options.layers();
    this.#stopping = false;
    // Half open: a client that has sent everything and says so still gets its answers.
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => void this.#accept(socket, layers));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, bind, port)));
      server.listen({ host: bind, port, backlog: BACKLOG, exclusive: true }, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', (error) => ctx.failed(listenError(error, bind, port)));
    this.#server = server;
    ctx.log.info(`listening on ${bind}:${this.port}${layers.tls === undefined ? '' : ', TLS'}${layers.deflate ? ', compressed' : ''}`);
  }

  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    this.#stopping = true;
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#arriving) socket.destroy();
    await Promise.all(Array.from(this.#lanes, (lane) => lane.stop()));
    await closed;
  }

  /** Never rejects. */
  async #accept(socket: Socket, layers: ServerLayers): Promise<void> {
    const { ctx, filter } = this.#options;
    const { counters, clock, log } = ctx;
    const from = socket.remoteAddress ?? '';
    counters.OpenConnectionCount++;
    socket.once('close', () => {
      counters.OpenConnectionCount--;
      this.#arriving.delete(socket);
    });
    socket.on('error', (error) => log.debug(`connection from ${from} broke: ${error.message}`));
    this.#arriving.add(socket);
    if (filter !== undefined && !(await filter.allows(from, socket.remotePort))) {
      log.debug(`ipFilterRules deny the connection from ${from}`);
      socket.destroy();
      return;
    }
    const timer = clock.after(HANDSHAKE_LIMIT_MS, () => socket.destroy(new Error('it did not finish the TLS handshake')));
    let stream: Duplex;
    try {
      stream = await serveLayers(socket, layers);
    } catch (error) {
      // A connection that was opened and closed without a word is somebody looking whether the port is open.
      if (socket.bytesRead > 0 && !this.#stopping) this.#complain(from, faultText(error)[0]);
      socket.destroy();
      return;
    } finally {
      timer.cancel();
    }
    if (this.#stopping || socket.destroyed) {
      socket.destroy();
      return;
    }
    this.#arriving.delete(socket);
    await this.#serve(new Lane(stream, socket, this.#options), from);
  }

  async #serve(lane: Lane, from: string): Promise<void> {
    this.#lanes.add(lane);
    try {
      await lane.run();
    } catch (error) {
      this.#options.ctx.counters.EventReadFail++;
      if (error instanceof AppError) this.#complain(from, error.message);
      else if ((error as NodeJS.ErrnoException).code !== undefined) this.#complain(from, faultText(error)[0]);
      else this.#options.ctx.log.error({ err: error }, 'a connection is closed after an unexpected error');
      lane.abandon();
    } finally {
      this.#lanes.delete(lane);
    }
  }

  /** One line a client and reason, and again a minute later. */
  #complain(from: string, what: string): void {
    const { clock, log } = this.#options.ctx;
    const text = `the connection from ${from} is closed: ${what}`;
    const now = clock.monotonic();
    const last = this.#complaints.get(text);
    if (last !== undefined && now - last < REPEAT_LOG_MS) {
      log.debug(text);
      return;
    }
    if (this.#complaints.size > 1_000) this.#complaints.clear();
    this.#complaints.set(text, now);
    log.warn(text);
  }
}

/** One connection after its handshakes. */
class Lane {
  readonly #stream: Duplex;
  readonly #socket: Socket;
  readonly #options: RpcServerOptions;
  #busy = false;
  #stopped = false;
  #closing = false;
  #done: Promise<void> = Promise.resolve();

  constructor(stream: Duplex, socket: Socket, options: RpcServerOptions) {
    this.#stream = stream;
    this.#socket = socket;
    this.#options = options;
  }

  /** Resolves when the connection has ended in order. Rejects when it was broken or not what it should be. */
  run(): Promise<void> {
    const work = this.#work();
    this.#done = work.catch(() => undefined);
    return work;
  }

  async #work(): Promise<void> {
    const stream = this.#stream;
    const session = this.#options.session();
    try {
      // Kept open behind the loop: the last answer may still be on its way.
      for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (this.#stopped) break;
        session.push(chunk);
        for (let call = session.next(); call !== undefined && !this.#stopped; call = session.next()) {
          this.#busy = true;
          await this.#handle(call);
          this.#busy = false;
        }
        if (this.#stopped) break;
      }
    } catch (error) {
      if (this.#stopped) return;
      if (!isBroken(error)) throw error;
      this.#options.ctx.log.debug(`a connection broke: ${errorText(error)}`);
    }
    if (session.partial && !this.#stopped) {
      this.#options.ctx.log.debug(
        `the connection from ${this.#socket.remoteAddress ?? 'a client'} ended in the middle of a request, which is dropped; its client knows`,
      );
    }
    this.#hangUp();
  }

  /** Stores, then answers. */
  async #handle(call: RpcCall): Promise<void> {
    const answer = call.answer(call.kind === 'none' ? 'stored' : await this.#store(call.kind, call.events));
    const stream = this.#stream;
    if (answer.length === 0 || stream.destroyed) return;
    if (stream.write(answer)) return;
    // A client that does not read its answers is not read either.
    await new Promise<void>((resolve) => {
      stream.once('drain', resolve);
      stream.once('close', resolve);
    });
  }

  async #store(kind: 'append' | 'appendBatch', events: Event[]): Promise<Outcome> {
    const { output, counters, log } = this.#options.ctx;
    if (kind === 'append') counters.AppendReceivedCount++;
    else counters.AppendBatchReceivedCount++;
    try {
      const { maxBatch } = output;
      if (events.length <= maxBatch) {
        if (events.length > 0) await output.put(events);
      } else for (let from = 0; from < events.length; from += maxBatch) await output.put(events.slice(from, from + maxBatch));
    } catch (error) {
      if (error instanceof ChannelFullError || error instanceof ChannelError) return 'refused';
      if (!(error instanceof AppError)) log.error({ err: error }, 'a request failed');
      return { error: errorText(error) };
    }
    if (kind === 'append') counters.AppendAcceptedCount++;
    else counters.AppendBatchAcceptedCount++;
    return 'stored';
  }

  /** Finishes and answers the call in work, then closes. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (!this.#busy) this.#hangUp();
    await this.#done;
    const socket = this.#socket;
    if (socket.closed) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#hangUp();
    await closed;
  }

  /** Closes at once. */
  abandon(): void {
    this.#stream.destroy();
    this.#socket.destroy();
  }

  /** Ends our side and closes, whatever the client does. */
  #hangUp(): void {
    const socket = this.#socket;
    if (socket.destroyed || this.#closing) return;
    this.#closing = true;
    if (this.#stream.writable) this.#stream.end();
    this.#stream.resume();
    const timer = this.#options.ctx.clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', () => timer.cancel());
  }
}

/** The client is gone or the line broke: nothing to tell anybody about. */
function isBroken(error: unknown): boolean {
  if (error instanceof ProtocolError) return false;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ABORT_ERR'].includes(code);
}
