/**
 * Cuts a stream of bytes into lines. Lines are views of the pieces they came in; only a line that spans pieces is put
 * together. Works for every character set in which 0x0A and 0x0D are never part of another character (see
 * `Charset.asciiCompatible`).
 */
import { isAscii } from 'node:buffer';

const LF = 10;
const CR = 13;

/** A last part up to this size is copied, so that an idle stream does not keep a whole piece. */
const COPY_BELOW_BYTES = 8_192;

export interface LineOptions {
  /** `lf`: only a line feed ends a line. `any`: a line feed, a carriage return, or both in this order (Java's readLine). */
  readonly ends: 'lf' | 'any';
  /** A line must have fewer characters (UTF-16 units, as Java counts) than this; input is then taken as UTF-8. Default: no limit. */
  readonly maxChars?: number;
}

export class LineSplitter {
  readonly #any: boolean;
  readonly #maxChars: number;
  #parts: Buffer[] = [];
  #pendingBytes = 0;
  #pendingChars = 0;
  /** The last piece ended with the carriage return of a line; a line feed that follows belongs to it. */
  #skipLf = false;

  constructor(options: LineOptions) {
    this.#any = options.ends === 'any';
    this.#maxChars = options.maxChars ?? Number.POSITIVE_INFINITY;
  }

  /** Bytes of the line that is not complete yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Appends the lines that are complete with this piece to `out`, without their ends. False when a line reaches
   * `maxChars`, complete or not: `out` has the lines before it, and the splitter is spent.
   */
  push(piece: Buffer, out: Buffer[]): boolean {
    if (piece.length === 0) return true;
    if (this.#any && (this.#skipLf || piece.indexOf(CR) >= 0)) return this.#pushAnyEnd(piece, out);
    const { buffer, byteOffset } = piece;
    const max = this.#maxChars;
    let from = 0;
    if (this.#pendingBytes > 0) {
      const end = piece.indexOf(LF);
      if (end < 0) return this.#keep(piece, 0);
      if (!this.#finish(piece, 0, end, out)) return false;
      from = end + 1;
    }
    for (;;) {
      const end = piece.indexOf(LF, from);
      if (end < 0) return this.#keep(piece, from);
      if (end - from >= max && charCount(piece, from, end) >= max) return false;
      out.push(Buffer.from(buffer, byteOffset + from, end - from));
      from = end + 1;
    }
  }

  /** The line that has begun without an end, which is then forgotten; null when there is none. */
  rest(): Buffer | null {
    if (this.#pendingBytes === 0) return null;
    const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts, this.#pendingBytes);
    this.#parts = [];
    this.#pendingBytes = 0;
    this.#pendingChars = 0;
    return line;
  }

  #pushAnyEnd(piece: Buffer, out: Buffer[]): boolean {
    let from = this.#skipLf && piece[0] === LF ? 1 : 0;
    this.#skipLf = false;
    let lf = piece.indexOf(LF, from);
    let cr = piece.indexOf(CR, from);
    while (lf >= 0 || cr >= 0) {
      const byCr = cr >= 0 && (lf < 0 || cr < lf);
      const end = byCr ? cr : lf;
      if (!this.#finish(piece, from, end, out)) return false;
      from = end + 1;
      if (byCr && from === piece.length) this.#skipLf = true;
      else if (byCr && piece[from] === LF) from++;
      if (lf >= 0 && lf < from) lf = piece.indexOf(LF, from);
      if (cr >= 0 && cr < from) cr = piece.indexOf(CR, from);
    }
    return this.#keep(piece, from);
  }

  #finish(piece: Buffer, from: number, end: number, out: Buffer[]): boolean {
    if (this.#pendingBytes + end - from >= this.#maxChars && this.#pendingChars + charCount(piece, from, end) >= this.#maxChars) return false;
    const tail = piece.subarray(from, end);
    if (this.#pendingBytes > 0) {
      this.#parts.push(tail);
      this.#pendingBytes += tail.length;
      out.push(this.rest() as Buffer);
    } else out.push(tail);
    return true;
  }

  #keep(piece: Buffer, from: number): boolean {
    const { length } = piece;
    if (from === length) return true;
    if (this.#maxChars !== Number.POSITIVE_INFINITY) {
      this.#pendingChars += charCount(piece, from, length);
      if (this.#pendingChars >= this.#maxChars) return false;
    }
    const tail = piece.subarray(from);
    this.#parts.push(tail.length < COPY_BELOW_BYTES ? Buffer.from(tail) : tail);
    this.#pendingBytes += tail.length;
    return true;
  }
}

/** UTF-16 units of a stretch of valid UTF-8. */
function charCount(bytes: Buffer, from: number, end: number): number {
  const stretch = bytes.subarray(from, end);
  return isAscii(stretch) ? end - from : stretch.toString('utf8').length;
}
