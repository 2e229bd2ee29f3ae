/**
 * Avro's framing on TCP (Avro ipc's Netty transport, the same since 1.4): serial | N | N × (length | bytes), numbers
 * int32 big endian. The serial is the client's and comes back with the answer; the N buffers together are one call,
 * wherever they are cut.
 */
import { ProtocolError } from '../../lib/errors.ts';
import { ChunkQueue, joined } from './chunk-queue.ts';
import { MESSAGE_LIMIT_BYTES, strangerHint } from './rpc-faults.ts';

export interface AvroFrame {
  readonly serial: number;
  readonly payload: Buffer;
}

const HEADER_BYTES = 8;
const LENGTH_BYTES = 4;

/** Cuts one direction of a connection into frames. */
export class AvroFrames {
  readonly #queue = new ChunkQueue();
  #begun = false;
  #first: Buffer | undefined;
  #serial = 0;
  /** Buffers whose length is not read yet. */
  #buffersLeft = 0;
  /** Bytes missing of the buffer being read. */
  #missing = 0;
  #pieces: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): void {
    this.#first ??= chunk;
    this.#queue.push(chunk);
  }

  /** True in the middle of a frame. */
  get partial(): boolean {
    return this.#begun || this.#queue.length > 0;
  }

  /** The next frame that is complete. @throws ProtocolError what came is no frame; nothing more can be read then */
  next(): AvroFrame | undefined {
    const queue = this.#queue;
    if (!this.#begun) {
      if (queue.length < HEADER_BYTES) return undefined;
      this.#serial = queue.int32();
      this.#buffersLeft = queue.int32();
      this.#begun = true;
      if (this.#buffersLeft < 1 || this.#buffersLeft * 8 > MESSAGE_LIMIT_BYTES) throw this.#garbage(`a frame of ${this.#buffersLeft} buffers`);
    }
    for (;;) {
      if (this.#missing > 0) this.#missing -= queue.move(this.#missing, this.#pieces);
      if (this.#missing > 0) return undefined;
      if (this.#buffersLeft === 0) return this.#finish();
      if (queue.length < LENGTH_BYTES) return undefined;
      const length = queue.int32();
      this.#buffersLeft--;
      this.#length += length;
      if (length < 0 || this.#length > MESSAGE_LIMIT_BYTES) throw this.#garbage(`a frame of ${length < 0 ? length : this.#length} bytes`);
      this.#missing = length;
    }
  }

  #finish(): AvroFrame {
    const payload = joined(this.#pieces, this.#length);
    this.#begun = false;
    this.#pieces = [];
    this.#length = 0;
    return { serial: this.#serial, payload };
  }

  #garbage(what: string): ProtocolError {
    return new ProtocolError(`${what} is not Avro${strangerHint(this.#first as Buffer)}`);
  }
}
