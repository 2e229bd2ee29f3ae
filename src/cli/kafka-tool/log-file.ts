/** Walks over the batches of a `.log` file, also a foreign or damaged one, with one buffer that grows to the largest batch. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { BatchView, LOG_OVERHEAD, sizeAt } from '../../records/batch.ts';

const WINDOW_BYTES = 1 << 20;
/** The smallest message there is: magic 0 without key and value. */
const MIN_MESSAGE_BYTES = 26;

export class LogFile {
  readonly #fd: number;
  readonly sizeBytes: number;
  #window = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  #start = 0;
  #end = 0;

  /** @throws the system's error when the file cannot be opened */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    this.sizeBytes = fstatSync(this.#fd).size;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The batch (or old message) at `position`, valid until the next call; null when no whole one begins there. */
  batchAt(position: number): BatchView | null {
    if (position < 0 || position + MIN_MESSAGE_BYTES > this.sizeBytes) return null;
    const size = sizeAt(this.#window, this.#see(position, LOG_OVERHEAD));
    if (size < MIN_MESSAGE_BYTES || position + size > this.sizeBytes) return null;
    return new BatchView(this.#window, this.#see(position, size));
  }

  /** Batches from `position` on, as long as they are whole, up to `limitBytes` of them. */
  *batches(position = 0, limitBytes = Number.POSITIVE_INFINITY): Generator<{ readonly position: number; readonly batch: BatchView }> {
    for (let at = position; ; ) {
      const batch = this.batchAt(at);
      if (batch === null || at - position + batch.sizeBytes > limitBytes) return;
      const size = batch.sizeBytes;
      yield { position: at, batch };
      at += size;
    }
  }

  /** Makes bytes readable and returns their place in the window. */
  #see(position: number, length: number): number {
    if (position >= this.#start && position + length <= this.#end) return position - this.#start;
    if (length > this.#window.length) this.#window = Buffer.allocUnsafeSlow(Math.max(length, this.#window.length * 2));
    this.#start = position;
    this.#end = position;
    while (this.#end - this.#start < Math.min(this.#window.length, this.sizeBytes - position)) {
      const read = readSync(this.#fd, this.#window, this.#end - this.#start, this.#window.length - (this.#end - this.#start), this.#end);
      if (read === 0) break;
      this.#end += read;
    }
    return 0;
  }
}
