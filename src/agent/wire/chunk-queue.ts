/**
 * Bytes of a connection on their way into frames: chunks go in as they arrive, pieces of asked lengths come out. What
 * lies within one chunk comes out as a view of it; only what spans chunks is copied, once.
 */

export class ChunkQueue {
  #chunks: Buffer[] = [];
  #head = 0;
  /** Read position in the chunk at #head. */
  #at = 0;
  #length = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** A big-endian 32-bit number; four bytes must be waiting. */
  int32(): number {
    const first = this.#chunks[this.#head] as Buffer;
    if (first.length - this.#at >= 4) {
      const value = first.readInt32BE(this.#at);
      this.#skip(4);
      return value;
    }
    let value = 0;
    for (let i = 0; i < 4; i++) {
      value = (value << 8) | ((this.#chunks[this.#head] as Buffer)[this.#at] as number);
      this.#skip(1);
    }
    return value;
  }

  /** Moves up to `max` waiting bytes into `out`, as views, and answers how many. */
  move(max: number, out: Buffer[]): number {
    let left = Math.min(max, this.#length);
    const moved = left;
    while (left > 0) {
      const first = this.#chunks[this.#head] as Buffer;
      const count = Math.min(left, first.length - this.#at);
      out.push(count === first.length ? first : first.subarray(this.#at, this.#at + count));
      this.#skip(count);
      left -= count;
    }
    return moved;
  }

  /** Within the chunk at the front. */
  #skip(count: number): void {
    this.#at += count;
    this.#length -= count;
    if (this.#at < (this.#chunks[this.#head] as Buffer).length) return;
    this.#at = 0;
    this.#head++;
    if (this.#head === this.#chunks.length) {
      this.#chunks = [];
      this.#head = 0;
    }
  }
}

/** The pieces as one slab of their own, or the only piece as it is. `length` = their sum. */
export function joined(pieces: readonly Buffer[], length: number): Buffer {
  if (pieces.length === 1) return pieces[0] as Buffer;
  // Not Buffer.concat: that may use Node's shared pool, and what keeps an event would keep the pool.
  const slab = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const piece of pieces) {
    slab.set(piece, at);
    at += piece.length;
  }
  return slab;
}
