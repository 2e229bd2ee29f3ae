/**
 * Cuts a byte stream into length-prefixed frames (i32 size, payload). Chunks are kept as they arrive and joined when a
 * frame is whole, so a client that announces 100 MB and sends nothing costs nothing. A frame inside one chunk is a view.
 */

export class FrameCutter {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #held = 0;

  /** @param maxBytes larger announced sizes are refused */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes waiting to become a frame. */
  get held(): number {
    return this.#held;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  /** The next whole frame without its length; null = not all there yet; a number = an announced size that is refused. */
  next(): Buffer | null | number {
    if (this.#held < 4) return null;
    const size = this.#peekSize();
    if (size < 0 || size > this.#maxBytes) return size;
    if (this.#held < size + 4) return null;
    const first = this.#chunks[0] as Buffer;
    if (first.length >= size + 4) {
      this.#held -= size + 4;
      if (first.length === size + 4) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(size + 4);
      return first.subarray(4, size + 4);
    }
    return this.#join(size + 4).subarray(4);
  }

  /** The API key of the next request, or -1 while it has not arrived. */
  peekApiKey(): number {
    return this.#held < 6 ? -1 : this.#gather(6).readInt16BE(4);
  }

  #peekSize(): number {
    const first = this.#chunks[0] as Buffer;
    if (first.length >= 4) return first.readInt32BE(0);
    return this.#gather(4).readInt32BE(0);
  }

  /** Copies the first `n` bytes without taking them. */
  #gather(n: number): Buffer {
    const out = Buffer.allocUnsafe(n);
    let at = 0;
    for (const chunk of this.#chunks) {
      at += chunk.copy(out, at, 0, Math.min(chunk.length, n - at));
      if (at === n) break;
    }
    return out;
  }

  /** Takes the first `n` bytes, copied into one buffer of their own. */
  #join(n: number): Buffer {
    const out = Buffer.allocUnsafeSlow(n);
    let at = 0;
    let used = 0;
    for (const chunk of this.#chunks) {
      const part = Math.min(chunk.length, n - at);
      chunk.copy(out, at, 0, part);
      at += part;
      if (part < chunk.length) {
        this.#chunks[used] = chunk.subarray(part);
        break;
      }
      used++;
      if (at === n) break;
    }
    this.#chunks.splice(0, used);
    this.#held -= n;
    return out;
  }
}
