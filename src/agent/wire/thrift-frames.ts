/** Thrift's framed transport (TFramedTransport): int32 length big endian, then one message. */
import { ProtocolError } from '../../lib/errors.ts';
import { ChunkQueue, joined } from './chunk-queue.ts';
import { MESSAGE_LIMIT_BYTES, strangerHint } from './rpc-faults.ts';

const LENGTH_BYTES = 4;

/** Cuts one direction of a connection into messages. */
export class ThriftFrames {
  readonly #queue = new ChunkQueue();
  #first: Buffer | undefined;
  /** Length of the frame being read; -1 = not known yet. */
  #length = -1;
  #missing = 0;
  #pieces: Buffer[] = [];

  push(chunk: Buffer): void {
    this.#first ??= chunk;
    this.#queue.push(chunk);
  }

  /** True in the middle of a frame. */
  get partial(): boolean {
    return this.#length >= 0 || this.#queue.length > 0;
  }

  /** The next message that is complete. @throws ProtocolError what came is no frame; nothing more can be read then */
  next(): Buffer | undefined {
    const queue = this.#queue;
    if (this.#length < 0) {
      if (queue.length < LENGTH_BYTES) return undefined;
      const length = queue.int32();
      if (length <= 0 || length > MESSAGE_LIMIT_BYTES) {
        // What looks like a length may be the first bytes of a message without a frame.
        const unframed = length >>> 16 === 0x8001 || length >>> 24 === 0x82;
        throw new ProtocolError(`a frame of ${length} bytes is not Thrift${unframed ? ' in the framed transport' : strangerHint(this.#first as Buffer)}`);
      }
      this.#length = length;
      this.#missing = length;
    }
    if (this.#missing > 0) this.#missing -= queue.move(this.#missing, this.#pieces);
    if (this.#missing > 0) return undefined;
    const message = joined(this.#pieces, this.#length);
    this.#length = -1;
    this.#pieces = [];
    return message;
  }
}
