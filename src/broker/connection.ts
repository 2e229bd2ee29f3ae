/**
 * One client connection: cuts frames, decodes one request at a time, asks its handler, and writes the answers in the
 * order of the requests (Kafka's own rule, SocketServer: what a client pipelines is never reordered).
 *
 * Produce requests alone may overlap: a second one is appended while the first waits for its fdatasync, so that all of
 * them share it; the answers still leave in order. Nothing else starts before everything ahead is answered.
 * A client that does not read its answers is not read from either: no request starts while the socket is blocked.
 */
import type { Socket } from 'node:net';
import { codec } from '../kafka/compile.ts';
import { ErrorCode } from '../kafka/errors.ts';
import { apiVersionsFallback, encodeResponse, readRequestHeader } from '../kafka/headers.ts';
import type { AnyApi } from '../kafka/schema.ts';
import { plainAddress } from '../lib/addresses.ts';
import { ByteReader } from '../lib/bytes.ts';
import type { Timer } from '../lib/clock.ts';
import { errorText, ProtocolError } from '../lib/errors.ts';
import { SaslLogin } from './auth/login.ts';
import type { Broker } from './broker.ts';
import { FrameCutter } from './frames.ts';
import type { Listener } from './listeners.ts';
import type { Answer, Client, Handler, RequestContext } from './request.ts';

const PRODUCE = 0;
const API_VERSIONS = 18;
const SASL_HANDSHAKE = 17;
const SASL_AUTHENTICATE = 36;
/** Produce requests that may wait for the disk at once. */
const MAX_OVERLAP = 64;

/** A request under way; answers leave from the front. */
interface Slot {
  parts: readonly Buffer[] | null;
  done: boolean;
  readonly isProduce: boolean;
}

/** Where an answer belongs. */
interface Reply {
  readonly handler: Handler;
  readonly version: number;
  readonly correlationId: number;
  readonly slot: Slot;
  /** Monotonic ms. */
  readonly began: number;
  /** How long the client must wait because its requests keep the broker busy (request_percentage). */
  readonly throttleMs: number;
}

export class Connection {
  readonly id: number;
  readonly #socket: Socket;
  readonly #broker: Broker;
  readonly #listener: Listener;
  readonly #frames: FrameCutter;
  readonly #slots: Slot[] = [];
  readonly #gone = new AbortController();
  readonly #login: SaslLogin | null;
  readonly #host: string;
  readonly #reached: { readonly host: string; readonly port: number };
  #principal = 'User:ANONYMOUS';
  #blocked = false;
  #muted = false;
  #mutedUntil = 0;
  #unmute: Timer | undefined;
  #closing = false;

  constructor(id: number, socket: Socket, listener: Listener, broker: Broker) {
    this.id = id;
    this.#socket = socket;
    this.#broker = broker;
    this.#listener = listener;
    this.#frames = new FrameCutter(broker.config.own['socket.request.max.bytes']);
    this.#host = plainAddress(socket.remoteAddress ?? 'unknown');
    this.#reached = { host: plainAddress(socket.localAddress ?? '127.0.0.1'), port: socket.localPort ?? 0 };
    this.#login = listener.sasl ? new SaslLogin(listener, broker) : null;
    if (listener.principalOf) this.#principal = listener.principalOf(socket);
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    const idleMs = broker.config.own['connections.max.idle.ms'];
    if (idleMs > 0) socket.setTimeout(Math.min(idleMs, 2 ** 31 - 1), () => this.close('idle for connections.max.idle.ms'));
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => {
      this.#blocked = false;
      this.#pump();
    });
    socket.on('error', () => socket.destroy());
    socket.on('end', () => this.#onEnd());
    socket.on('close', () => {
      this.#closing = true;
      this.#unmute?.cancel();
      this.#gone.abort();
    });
  }

  /** Ends the connection at once; waiting requests of it are dropped. */
  close(reason: string): void {
    // Also one that is ending already: its client may never read what is left.
    if (this.#socket.destroyed) return;
    this.#closing = true;
    this.#broker.log.debug({ connection: this.id, host: this.#host, reason }, `closing connection from ${this.#host}: ${reason}`);
    this.#socket.destroy();
  }

  /** Ends the connection once all started requests are answered. */
  finish(): void {
    this.#closing = true;
    if (this.#slots.length === 0) this.#socket.end();
  }

  #onEnd(): void {
    // Half-closed by the client: answers to what it already sent may still leave.
    if (this.#slots.length === 0) this.#socket.end();
    else this.#closing = true;
  }

  #onData(chunk: Buffer): void {
    if (this.#closing) return;
    this.#broker.figures.bytesIn += chunk.length;
    this.#frames.push(chunk);
    this.#pump();
  }

  /** Starts every request that may start now, then pauses or resumes reading. */
  #pump(): void {
    while (!this.#closing && !this.#blocked && !this.#muted && this.#mayStart()) {
      const frame = this.#frames.next();
      if (frame === null) break;
      if (typeof frame === 'number') {
        this.#broker.figures.badFrames++;
        this.#broker.log.warn(
          { host: this.#host, size: frame },
          `${this.#host} announced a request of ${frame} bytes on ${this.#listener.label}${frameHint(frame)}; closed (socket.request.max.bytes)`,
        );
        return this.close('frame size refused');
      }
      this.#start(frame);
    }
    const wait =
      this.#closing || this.#blocked || this.#muted || this.#slots.length >= MAX_OVERLAP || (this.#slots.length > 0 && this.#frames.held > 4_194_304);
    if (wait) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  /** With requests under way only a Produce may follow Produces. */
  #mayStart(): boolean {
    if (this.#slots.length === 0) return true;
    if (this.#slots.length >= MAX_OVERLAP || this.#login?.pending) return false;
    return this.#slots.every((slot) => slot.isProduce) && this.#frames.peekApiKey() === PRODUCE;
  }

  #start(frame: Buffer): void {
    try {
      if (this.#login?.rawTokens) this.#rawToken(frame);
      else this.#request(frame);
    } catch (error) {
      this.#broker.figures.badFrames++;
      this.#broker.log.warn(
        { host: this.#host, err: error },
        `a request from ${this.#host} on ${this.#listener.label} cannot be read: ${errorText(error)}; closed`,
      );
      this.close('request does not parse');
    }
  }

  #request(frame: Buffer): void {
    const reader = new ByteReader(frame);
    const { apiKey, apiVersion: version, correlationId, clientId, api } = readRequestHeader(reader, (key) => this.#broker.handlers.get(key)?.api);
    this.#broker.figures.requests++;
    if (!api) {
      if (apiKey === API_VERSIONS) return this.#answerNow(apiVersionsFallback(correlationId));
      throw new ProtocolError(`API ${apiKey} version ${version} is not offered`, { wireCode: ErrorCode.UNSUPPORTED_VERSION });
    }
    const handler = this.#broker.handlers.get(apiKey) as Handler;
    if (this.#login && !this.#login.done && apiKey !== API_VERSIONS && apiKey !== SASL_HANDSHAKE && apiKey !== SASL_AUTHENTICATE) {
      throw new ProtocolError(`${api.name} before authentication`);
    }
    if (this.#login && apiKey !== SASL_HANDSHAKE && apiKey !== SASL_AUTHENTICATE && this.#broker.clock.monotonic() > this.#login.expiresAt) {
      return this.close('the login expired (connections.max.reauth.ms)');
    }
    const began = this.#broker.clock.monotonic();
    const request = codec(api, version).decodeRequest(reader);
    const slot: Slot = { parts: null, done: false, isProduce: apiKey === PRODUCE };
    this.#slots.push(slot);
    const context = this.#context(version, clientId ?? '');
    const answer =
      this.#login && (apiKey === SASL_HANDSHAKE || apiKey === SASL_AUTHENTICATE) ? this.#loginStep(apiKey, request, context) : handler.run(request, context);
    const throttleMs = this.#broker.quotas.worked(context, this.#broker.clock.monotonic() - began);
    const reply = { handler, version, correlationId, slot, began, throttleMs };
    if (answer instanceof Promise) {
      answer.then(
        (value) => this.#settle(reply, value),
        (error) => this.#fail(handler.api, error),
      );
    } else this.#settle(reply, answer);
  }

  #context(version: number, clientId: string): RequestContext {
    const client: Client = {
      connectionId: this.id,
      clientId,
      principal: this.#principal,
      host: this.#host,
      listener: this.#listener.name,
      reached: this.#reached,
      gone: this.#gone.signal,
    };
    return { broker: this.#broker, client, version, throttle: (ms) => this.#mute(ms), hangUp: (reason) => this.#hangUp(reason) };
  }

  #settle(reply: Reply, answer: Answer<AnyApi>): void {
    const { handler, version, correlationId, slot, began, throttleMs } = reply;
    this.#broker.figures.request(handler.api.key, this.#broker.clock.monotonic() - began);
    this.#mute(throttleMs);
    if (answer !== null) {
      try {
        const throttleTimeMs = Math.max(throttleMs, answer.throttleTimeMs ?? 0);
        slot.parts = encodeResponse({ api: handler.api, version, correlationId }, { ...answer, throttleTimeMs });
      } catch (error) {
        return this.#fail(handler.api, error);
      }
    }
    slot.done = true;
    this.#flush();
  }

  /** A handler that throws has no place to put an error: the connection ends, as a real broker's does. */
  #fail(api: AnyApi, error: unknown): void {
    if (this.#gone.signal.aborted) return;
    this.#broker.figures.failedRequests++;
    this.#broker.log.error({ err: error, api: api.name, host: this.#host }, `${api.name} from ${this.#host} failed: ${errorText(error)}`);
    this.close('handler failed');
  }

  /** Writes the answers that are ready, front first, then starts what waited for them. */
  #flush(): void {
    let wrote = false;
    while (this.#slots[0]?.done) {
      const slot = this.#slots.shift() as Slot;
      if (!slot.parts || this.#socket.destroyed) continue;
      if (!wrote) this.#socket.cork();
      wrote = true;
      for (const part of slot.parts) {
        this.#broker.figures.bytesOut += part.length;
        if (!this.#socket.write(part)) this.#blocked = true;
      }
    }
    if (wrote) this.#socket.uncork();
    if (this.#blocked && !this.#socket.writableNeedDrain) this.#blocked = false;
    if (this.#closing && this.#slots.length === 0 && !this.#socket.destroyed) this.#socket.end();
    else if (!this.#inPump) this.#pumpLater();
  }

  #inPump = false;

  /** Goes on with what is buffered; a fresh stack, so that a long pipeline of requests cannot overflow it. */
  #pumpLater(): void {
    this.#inPump = true;
    queueMicrotask(() => {
      this.#inPump = false;
      this.#pump();
    });
  }

  #answerNow(parts: readonly Buffer[]): void {
    this.#slots.push({ parts, done: true, isProduce: false });
    this.#flush();
  }

  /** Reads nothing for so long; of several waits at once the longest counts. */
  #mute(ms: number): void {
    if (ms <= 0) return;
    this.#broker.figures.throttle(ms);
    const until = this.#broker.clock.monotonic() + ms;
    if (until <= this.#mutedUntil || this.#gone.signal.aborted) return;
    this.#mutedUntil = until;
    this.#muted = true;
    this.#unmute?.cancel();
    this.#unmute = this.#broker.clock.after(ms, () => {
      this.#muted = false;
      this.#pump();
    });
  }

  #hangUp(reason: string): void {
    this.#broker.log.debug({ host: this.#host, reason }, `closing connection from ${this.#host} after the answer: ${reason}`);
    this.#closing = true;
  }

  #loginStep(apiKey: number, request: unknown, context: RequestContext): Answer<AnyApi> | Promise<Answer<AnyApi>> {
    const login = this.#login as SaslLogin;
    const answer: unknown = apiKey === SASL_HANDSHAKE ? login.handshake(request as never, context.version) : login.authenticate(request as never, context);
    if (login.done && login.user) this.#principal = `User:${login.user}`;
    return answer as Answer<AnyApi>;
  }

  /** SaslHandshake v0: tokens travel as bare frames, without Kafka headers. */
  #rawToken(frame: Buffer): void {
    const login = this.#login as SaslLogin;
    const token = login.token(frame);
    if (token === null) {
      login.noteFailure(this.#host);
      return this.close('login failed');
    }
    if (login.done && login.user) this.#principal = `User:${login.user}`;
    const size = Buffer.allocUnsafe(4);
    size.writeInt32BE(token.length, 0);
    this.#answerNow([size, token]);
  }
}

function frameHint(size: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(size);
  const text = bytes.toString('latin1');
  if (/^(GET |POST|PUT |HEAD)/.test(text)) return ' (that is an HTTP request)';
  if (bytes[0] === 0x16 && bytes[1] === 0x03) return ' (that is TLS on a plain-text listener)';
  return '';
}
