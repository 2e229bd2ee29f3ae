/**
 * A connection whose two directions are each one zlib stream, flushed with every write (Flume's compression-type deflate:
 * Netty's ZlibEncoder and ZlibDecoder). The ends of the streams come only with the end of the connection, and peers that
 * leave them out are forgiven.
 */
import { Duplex } from 'node:stream';
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';

export class DeflatedStream extends Duplex {
  readonly #raw: Duplex;
  readonly #inflate: Inflate;
  readonly #deflate: Deflate;

  /** Owns `raw` from now on. `level` 0 … 9. */
  constructor(raw: Duplex, level: number) {
    super({ allowHalfOpen: true });
    this.#raw = raw;
    this.#inflate = createInflate({ finishFlush: constants.Z_SYNC_FLUSH });
    this.#deflate = createDeflate({ level, flush: constants.Z_SYNC_FLUSH });
    for (const part of [raw, this.#inflate, this.#deflate]) part.on('error', (error: Error) => this.destroy(error));
    this.#inflate.on('data', (data: Buffer) => {
      if (!this.push(data)) this.#inflate.pause();
    });
    this.#inflate.on('end', () => this.push(null));
    raw.on('close', () => this.destroy());
    raw.pipe(this.#inflate);
    this.#deflate.pipe(raw);
  }

  override _read(): void {
    this.#inflate.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#deflate.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#deflate.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inflate.destroy();
    this.#deflate.destroy();
    this.#raw.destroy();
    done(error);
  }
}
