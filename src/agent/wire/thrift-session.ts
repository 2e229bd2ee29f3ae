/** A client of the thrift source: the calls of one connection (Flume: ThriftSource.ThriftSourceHandler). */
import type { RpcCall, RpcSession } from './rpc-server.ts';
import { ThriftFrames } from './thrift-frames.ts';
import { APPLICATION_ERROR, errorReply, readCall, statusReply, THRIFT_STATUS } from './thrift-messages.ts';
import { MESSAGE, type ThriftProtocolName } from './thrift-protocol.ts';

const SILENCE = Buffer.alloc(0);

export class ThriftSession implements RpcSession {
  readonly #protocol: ThriftProtocolName;
  readonly #frames = new ThriftFrames();

  constructor(protocol: ThriftProtocolName) {
    this.#protocol = protocol;
  }

  push(chunk: Buffer): void {
    this.#frames.push(chunk);
  }

  get partial(): boolean {
    return this.#frames.partial;
  }

  next(): RpcCall | undefined {
    const payload = this.#frames.next();
    if (payload === undefined) return undefined;
    const protocol = this.#protocol;
    const { head, events } = readCall(protocol, payload);
    const wanted = (reply: () => Buffer): Buffer => (head.kind === MESSAGE.oneway ? SILENCE : reply());
    if (events === null) {
      const text = `Invalid method name: '${head.name}'`;
      return { kind: 'none', events: [], answer: () => wanted(() => errorReply(protocol, head, APPLICATION_ERROR.unknownMethod, text)) };
    }
    return {
      kind: head.name as 'append' | 'appendBatch',
      events,
      answer: (outcome) =>
        wanted(() => {
          if (outcome === 'stored') return statusReply(protocol, head, THRIFT_STATUS.ok);
          if (outcome === 'refused') return statusReply(protocol, head, THRIFT_STATUS.failed);
          return errorReply(protocol, head, APPLICATION_ERROR.internal, `Internal error processing ${head.name}: ${outcome.error}`);
        }),
    };
  }
}
