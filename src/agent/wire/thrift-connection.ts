/** The calling end of Flume's Thrift service (Flume: ThriftRpcClient): batches as appendBatch, one call at a time. */
import { DeliveryError } from '../../lib/errors.ts';
import type { Sealed } from '../core/event.ts';
import { type AnswerReader, RpcCaller } from './rpc-caller.ts';
import type { RpcConnection, RpcOptions } from './rpc-connection.ts';
import { ThriftFrames } from './thrift-frames.ts';
import { batchCall, readReply, THRIFT_STATUS, THRIFT_STATUS_NAMES } from './thrift-messages.ts';
import type { ThriftProtocolName } from './thrift-protocol.ts';

/** @throws DeliveryError no connection */
export async function connectThrift(options: RpcOptions, protocol: ThriftProtocolName): Promise<RpcConnection> {
  return new ThriftConnection(await RpcCaller.open(options, new Answers(protocol)), protocol);
}

class Answers implements AnswerReader<number | string> {
  readonly #protocol: ThriftProtocolName;
  readonly #frames = new ThriftFrames();

  constructor(protocol: ThriftProtocolName) {
    this.#protocol = protocol;
  }

  push(chunk: Buffer): void {
    this.#frames.push(chunk);
  }

  next(): { readonly id: number; readonly answer: number | string } | undefined {
    const payload = this.#frames.next();
    return payload === undefined ? undefined : readReply(this.#protocol, payload);
  }
}

class ThriftConnection implements RpcConnection {
  readonly #caller: RpcCaller<number | string>;
  readonly #protocol: ThriftProtocolName;
  #id = 0;

  constructor(caller: RpcCaller<number | string>, protocol: ThriftProtocolName) {
    this.#caller = caller;
    this.#protocol = protocol;
  }

  get dead(): boolean {
    return this.#caller.dead;
  }

  async send(events: readonly Sealed[]): Promise<void> {
    this.#id = (this.#id + 1) & 0x7fffffff;
    const answer = await this.#caller.call(this.#id, batchCall(this.#protocol, this.#id, events));
    if (answer === THRIFT_STATUS.ok) return;
    const { place } = this.#caller;
    const error =
      typeof answer === 'string'
        ? new DeliveryError(`${place} answered with an error: ${answer}`, { fix: 'see the log of the other end' })
        : new DeliveryError(`${place} answered ${THRIFT_STATUS_NAMES[answer] ?? answer}`, { fix: 'its channel is full or failing; see the log there' });
    this.#caller.fail(error);
    throw error;
  }

  close(): Promise<void> {
    return this.#caller.close();
  }
}
