/**
 * One connection to a Kafka broker, ours or a real one: negotiates versions, logs in, pipelines calls and matches the
 * answers. Retries, metadata and choosing brokers belong to whoever uses it.
 *
 * Versions: the first request is ApiVersions in our newest version; a broker that does not know it answers
 * UNSUPPORTED_VERSION in version 0 and names its own range (KIP-511). Each call then uses the highest version that both
 * sides have. Brokers answer in order; an answer out of order ends the connection.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';
import { ByteReader } from '../../lib/bytes.ts';
import { AppError, ProtocolError } from '../../lib/errors.ts';
import { ApiVersions } from '../apis/api-versions.ts';
import { ErrorCode, errorMessage, errorName } from '../errors.ts';
import { decodeResponse, encodeRequest } from '../headers.ts';
import { type AnyApi, type Range, type RequestDraft, type ResponseOf, rangeText } from '../schema.ts';
import { login, type SaslOptions } from './sasl.ts';

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** Shown in the broker's logs, and what client quotas go by. */
  readonly clientId: string;
  /** TLS if present. */
  readonly tls?: TlsOptions | undefined;
  readonly sasl?: SaslOptions | undefined;
  /** For TCP, TLS, versions and login together; default 10 s. */
  readonly connectTimeoutMs?: number;
  /** For each call that says nothing else; default 30 s. */
  readonly requestTimeoutMs?: number;
}

/** The broker cannot be reached, or the connection ended. Everything that was under way may or may not have happened. */
export class ConnectionError extends AppError {
  constructor(message: string, detail: { readonly fix?: string; readonly cause?: unknown } = {}) {
    super('KAFKA_CONNECTION', message, { retriable: true, ...detail });
  }
}

interface Call {
  readonly api: AnyApi;
  readonly version: number;
  readonly correlationId: number;
  /** performance.now() at which the answer is overdue. */
  readonly deadline: number;
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const SOFTWARE = { clientSoftwareName: 'millrace', clientSoftwareVersion: '1' };
/** More than any broker sends on purpose; guards against talking to something that is not Kafka. */
const MAX_FRAME = 1 << 30;

export class KafkaConnection {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #name: string;
  readonly #calls: Call[] = [];
  readonly #chunks: Buffer[] = [];
  #buffered = 0;
  #lastId = 0;
  #ranges = new Map<number, Range>();
  #failure: Error | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  /** Connects, asks for versions and logs in. @throws ConnectionError, or ProtocolError if the login is refused */
  static async open(options: ConnectionOptions): Promise<KafkaConnection> {
    const timeoutMs = options.connectTimeoutMs ?? 10_000;
    const name = `${options.host}:${options.port}`;
    const socket = options.tls
      ? connectTls({ ...(isIP(options.host) === 0 && { servername: options.host }), ...options.tls, host: options.host, port: options.port })
      : connectTcp(options.port, options.host);
    const overdue = setTimeout(() => socket.destroy(new ConnectionError(`no answer from ${name} within ${timeoutMs} ms`)), timeoutMs);
    try {
      await ready(socket, options.tls ? 'secureConnect' : 'connect', name);
      const connection = new KafkaConnection(options, socket);
      await connection.#negotiate(timeoutMs);
      if (options.sasl) await login(connection, options.sasl);
      return connection;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(overdue);
    }
  }

  private constructor(options: ConnectionOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#name = `${options.host}:${options.port}`;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) =>
      this.#end(error instanceof AppError ? error : new ConnectionError(`the connection to ${this.#name} failed: ${error.message}`, { cause: error })),
    );
    socket.on('close', () => this.#end(new ConnectionError(`${this.#name} closed the connection`)));
  }

  get isClosed(): boolean {
    return this.#failure !== undefined;
  }

  /** Answers that are still awaited. */
  get pending(): number {
    return this.#calls.length;
  }

  /** Called once when the connection ends, for whatever reason. */
  onClose: ((error: Error) => void) | undefined;

  /** What the broker offers, by API key. */
  get offered(): ReadonlyMap<number, Range> {
    return this.#ranges;
  }

  /** The highest version that both sides have, not above `limit`; -1 if there is none. */
  versionOf(api: AnyApi, limit = Number.POSITIVE_INFINITY): number {
    const range = this.#ranges.get(api.key);
    if (range === undefined) return -1;
    const version = Math.min(range[1], api.offered[1], limit);
    return version >= Math.max(range[0], api.offered[0]) ? version : -1;
  }

  /**
   * Sends a request and resolves with the answer; any number may be under way.
   * @throws ConnectionError, or ProtocolError if there is no common version or the answer does not parse
   */
  call<A extends AnyApi>(api: A, body: RequestDraft<A>, options: { readonly version?: number; readonly timeoutMs?: number } = {}): Promise<ResponseOf<A>> {
    const version = options.version ?? this.versionOf(api);
    if (version < 0) return Promise.reject(this.#noVersion(api));
    const timeoutMs = options.timeoutMs ?? this.#options.requestTimeoutMs ?? 30_000;
    return new Promise<ResponseOf<A>>((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const correlationId = this.#send(api, version, body);
      const deadline = performance.now() + timeoutMs;
      this.#calls.push({ api, version, correlationId, deadline, resolve: resolve as Call['resolve'], reject });
      this.#watch(deadline);
    });
  }

  /** Sends a request that has no answer: Produce with acks=0. @throws ConnectionError */
  post<A extends AnyApi>(api: A, body: RequestDraft<A>): void {
    if (this.#failure) throw this.#failure;
    const version = this.versionOf(api);
    if (version < 0) throw this.#noVersion(api);
    this.#send(api, version, body);
  }

  /** Bytes that the system has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Ends the connection; calls under way fail with ConnectionError. */
  close(): void {
    this.#end(new ConnectionError(`the connection to ${this.#name} was closed`));
  }

  #noVersion(api: AnyApi): ProtocolError {
    const range = this.#ranges.get(api.key);
    const theirs = range ? `versions ${rangeText(range)}` : 'none';
    return new ProtocolError(`${this.#name} offers ${theirs} of ${api.name}, we speak ${rangeText(api.offered)}`, { wireCode: ErrorCode.UNSUPPORTED_VERSION });
  }

  async #negotiate(timeoutMs: number): Promise<void> {
    let version: number = ApiVersions.offered[1];
    for (;;) {
      const answer = await this.call(ApiVersions, version >= 3 ? SOFTWARE : {}, { version, timeoutMs });
      this.#ranges = new Map(answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]));
      if (answer.errorCode === ErrorCode.NONE) return;
      if (answer.errorCode !== ErrorCode.UNSUPPORTED_VERSION || version === 0) {
        throw new ProtocolError(`${this.#name} refused ApiVersions: ${errorName(answer.errorCode)}: ${errorMessage(answer.errorCode)}`, {
          wireCode: answer.errorCode,
        });
      }
      version = Math.max(0, Math.min(version - 1, this.versionOf(ApiVersions)));
    }
  }

  #send<A extends AnyApi>(api: A, version: number, body: RequestDraft<A>): number {
    this.#lastId = (this.#lastId + 1) & 0x7fffffff;
    const parts = encodeRequest({ api, version, correlationId: this.#lastId, clientId: this.#options.clientId }, body);
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
    return this.#lastId;
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    try {
      for (let frame = this.#nextFrame(); frame !== null && !this.#failure; frame = this.#nextFrame()) this.#answer(frame);
    } catch (error) {
      this.#end(error as Error);
    }
  }

  /** The next whole frame without its size, or null. Chunks are joined once per frame, not once per chunk. */
  #nextFrame(): Buffer | null {
    if (this.#buffered < 4) return null;
    if (this.#chunks[0]!.length < 4) this.#join();
    const size = this.#chunks[0]!.readInt32BE(0);
    if (size < 4 || size > MAX_FRAME)
      throw new ProtocolError(`${this.#name} announced a response of ${size} bytes: that is not Kafka, or TLS is on at one end only`);
    if (this.#buffered < size + 4) return null;
    if (this.#chunks[0]!.length < size + 4) this.#join();
    const first = this.#chunks[0]!;
    if (first.length === size + 4) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(size + 4);
    this.#buffered -= size + 4;
    return first.subarray(4, size + 4);
  }

  #join(): void {
    const whole = Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    this.#chunks.push(whole);
  }

  #answer(frame: Buffer): void {
    const reader = new ByteReader(frame);
    const correlationId = reader.i32();
    const call = this.#calls.shift();
    if (call?.correlationId !== correlationId) {
      const expected = call ? `${call.correlationId} (${call.api.name})` : 'none';
      if (call) this.#calls.unshift(call);
      throw new ProtocolError(`${this.#name} answered request ${correlationId}, expected was ${expected}`);
    }
    const version = this.#isFallback(call, reader) ? 0 : call.version;
    try {
      call.resolve(decodeResponse(call.api, version, reader));
    } catch (error) {
      call.reject(error);
      throw error;
    }
  }

  /** An ApiVersions request that the broker finds too new is answered in version 0, error code first. */
  #isFallback({ api, version }: Call, reader: ByteReader): boolean {
    return api.key === ApiVersions.key && version > 0 && reader.remaining >= 2 && reader.buf.readInt16BE(reader.pos) === ErrorCode.UNSUPPORTED_VERSION;
  }

  /** One timer for all calls; one that fires early looks again, so it is rarely touched. */
  #watch(deadline: number): void {
    if (deadline >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    this.#timer = setTimeout(() => this.#checkDeadlines(), deadline - performance.now() + 1);
  }

  #checkDeadlines(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    const overdue = this.#calls.find(({ deadline }) => deadline <= now);
    if (overdue) this.#end(new ConnectionError(`${this.#name} did not answer ${overdue.api.name} in time`));
    else for (const { deadline } of this.#calls) this.#watch(deadline);
  }

  #end(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#socket.destroy();
    for (const call of this.#calls.splice(0)) call.reject(error);
    this.onClose?.(error);
  }
}

function ready(socket: Socket, event: 'connect' | 'secureConnect', name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void =>
      reject(
        error instanceof AppError
          ? error
          : new ConnectionError(`cannot connect to ${name}: ${error.message}`, { cause: error, fix: 'check the address and that the broker runs' }),
      );
    socket.once('error', onError);
    socket.once(event, () => {
      socket.off('error', onError);
      resolve();
    });
  });
}
