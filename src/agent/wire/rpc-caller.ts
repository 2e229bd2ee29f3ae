/**
 * One connection on which calls wait for their answers: time limits, what happens when the other end goes away, and the
 * end. Encoding is the business of whoever owns it (avro-connection.ts, thrift-connection.ts).
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Timer } from '../../lib/clock.ts';
import { AppError, DeliveryError } from '../../lib/errors.ts';
import { openStream, placeOf, type RpcOptions } from './rpc-connection.ts';
import { connectionError } from './rpc-faults.ts';

interface Waiting<A> {
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: Timer;
}

/** Cuts answers out of what arrives. */
export interface AnswerReader<A> {
  push(chunk: Buffer): void;
  /** The next answer with the number of its call. @throws ProtocolError not the protocol */
  next(): { readonly id: number; readonly answer: A } | undefined;
}

export class RpcCaller<A> {
  readonly place: string;
  readonly #options: RpcOptions;
  readonly #socket: Socket;
  readonly #stream: Duplex;
  readonly #waiting = new Map<number, Waiting<A>>();
  #failure: Error | undefined;

  /** @throws DeliveryError no connection */
  static async open<A>(options: RpcOptions, reader: AnswerReader<A>): Promise<RpcCaller<A>> {
    const { socket, stream } = await openStream(options);
    return new RpcCaller(options, socket, stream, reader);
  }

  private constructor(options: RpcOptions, socket: Socket, stream: Duplex, reader: AnswerReader<A>) {
    this.#options = options;
    this.#socket = socket;
    this.#stream = stream;
    this.place = placeOf(options);
    stream.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
        for (let one = reader.next(); one !== undefined; one = reader.next()) this.#answered(one.id, one.answer);
      } catch (error) {
        this.fail(error);
      }
    });
    stream.on('error', (error) => this.fail(error));
    stream.on('end', () => this.#gone());
    stream.on('close', () => this.#gone());
    socket.on('close', () => this.#gone());
    // It may have broken before anybody listened.
    if (stream.destroyed || socket.destroyed) this.#gone();
  }

  get dead(): boolean {
    return this.#failure !== undefined;
  }
  /** Calls that wait for an answer. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Sends `bytes`, which must stay as they are until the answer, and waits for the answer `id`. @throws DeliveryError */
  call(id: number, bytes: Buffer): Promise<A> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { clock, requestTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = clock.after(requestTimeoutMs, () => {
        const fix = 'the other end may be slow or stuck (a full channel answers after its keep-alive); or set a longer request-timeout';
        this.fail(new DeliveryError(`${this.place} did not answer within ${requestTimeoutMs} ms`, { fix }));
      });
      this.#waiting.set(id, { resolve, reject, timer });
      this.#stream.write(bytes);
    });
  }

  /** The connection is of no use any more. Calls that wait are told why; what is not an AppError is put into words. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    const told =
      error instanceof DeliveryError
        ? error
        : error instanceof AppError
          ? new DeliveryError(`${this.place}: ${error.message}`, { cause: error })
          : connectionError(this.place, error, 'go on with');
    this.#failure = told;
    for (const { reject, timer } of this.#waiting.values()) {
      timer.cancel();
      reject(told);
    }
    this.#waiting.clear();
    this.#stream.destroy();
    this.#socket.destroy();
  }

  async close(): Promise<void> {
    this.#failure ??= new DeliveryError(`the connection to ${this.place} was closed here`);
    const socket = this.#socket;
    if (socket.closed) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#stream.destroy();
    socket.destroy();
    await closed;
  }

  #answered(id: number, answer: A): void {
    const waiting = this.#waiting.get(id);
    // An answer to nothing that was asked: nobody misses it.
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.timer.cancel();
    waiting.resolve(answer);
  }

  #gone(): void {
    const fix = this.waiting > 0 ? 'its log tells why; ssl and compression-type must be the same on both ends' : 'its log tells why';
    this.fail(new DeliveryError(`${this.place} closed the connection${this.waiting > 0 ? ' before it answered' : ''}`, { fix }));
  }
}
