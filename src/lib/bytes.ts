/**
 * Reading and writing of big-endian slabs: fixed integers, Kafka/protobuf varints, and strings.
 * int64 is a JavaScript number here. Numbers up to 2^53 are exact; the one larger value that protocols use on
 * purpose, 2^63-1 ("no limit"), reads as {@link INT64_MAX} and is written back bit for bit.
 */
import { ProtocolError } from './errors.ts';

/** What 2^63-1 reads as (2^63 as a double); {@link ByteWriter.i64} writes it as 0x7fff…ff. */
export const INT64_MAX = 2 ** 63;
const TWO32 = 4_294_967_296;

function short(need: number, at: number, end: number): ProtocolError {
  return new ProtocolError(`needs ${need} bytes at position ${at}, but the data ends at ${end}`);
}

/** Without Buffer's argument checks: the caller has checked the bounds. */
function int32At(buf: Buffer, at: number): number {
  return ((buf[at] as number) << 24) | ((buf[at + 1] as number) << 16) | ((buf[at + 2] as number) << 8) | (buf[at + 3] as number);
}

/** A cursor over a Buffer. Every read checks bounds and throws ProtocolError; slices are views, never copies. */
export class ByteReader {
  readonly buf: Buffer;
  /** Index of the next byte to read. */
  pos: number;
  /** Index after the last readable byte. */
  readonly end: number;

  constructor(buf: Buffer, pos = 0, end: number = buf.length) {
    this.buf = buf;
    this.pos = pos;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.pos;
  }

  #take(n: number): number {
    const at = this.pos;
    if (n < 0 || at + n > this.end) throw short(n, at, this.end);
    this.pos = at + n;
    return at;
  }

  i8(): number {
    return ((this.buf[this.#take(1)] as number) << 24) >> 24;
  }
  u8(): number {
    return this.buf[this.#take(1)] as number;
  }
  i16(): number {
    return (this.u16() << 16) >> 16;
  }
  u16(): number {
    const at = this.#take(2);
    return ((this.buf[at] as number) << 8) | (this.buf[at + 1] as number);
  }
  i32(): number {
    return int32At(this.buf, this.#take(4));
  }
  u32(): number {
    return int32At(this.buf, this.#take(4)) >>> 0;
  }
  /** Exact for |value| <= 2^53 and for 2^63-1; the nearest double otherwise. */
  i64(): number {
    const at = this.#take(8);
    return int32At(this.buf, at) * TWO32 + (int32At(this.buf, at + 4) >>> 0);
  }
  f64(): number {
    return this.buf.readDoubleBE(this.#take(8));
  }
  bool(): boolean {
    return this.buf[this.#take(1)] !== 0;
  }

  /** Unsigned LEB128, at most 5 bytes, 0 … 2^32-1. */
  uvarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 5; i++) {
      const byte = this.buf[this.#take(1)] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value >= TWO32) break;
        return value;
      }
      scale *= 128;
    }
    throw new ProtocolError(`varint longer than 32 bits before position ${this.pos}`);
  }

  /** Zigzag varint, 32 bits. */
  varint(): number {
    const raw = this.uvarint();
    return (raw >>> 1) ^ -(raw & 1);
  }

  /** Zigzag varint, 64 bits, as a number (same exactness as {@link i64}). */
  varlong(): number {
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.buf[this.#take(1)] as number;
      const bits = byte & 0x7f;
      if (i < 4) low += bits * 2 ** (7 * i);
      else if (i === 4) {
        low += (bits & 0x0f) * 2 ** 28;
        high += bits >>> 4;
      } else high += bits * 2 ** (7 * i - 32);
      if (byte < 0x80) {
        if (high >= TWO32) break;
        const negative = low & 1;
        const half = (high >>> 1) * TWO32 + ((low >>> 1) + (high & 1) * 0x80000000);
        return negative ? -half - 1 : half;
      }
    }
    throw new ProtocolError(`varint longer than 64 bits before position ${this.pos}`);
  }

  /** A view of the next `n` bytes. */
  bytes(n: number): Buffer {
    const at = this.#take(n);
    return this.buf.subarray(at, at + n);
  }

  utf8(n: number): string {
    const at = this.#take(n);
    return this.buf.toString('utf8', at, at + n);
  }

  /** Sixteen bytes in Kafka's text form: URL-safe base64 without padding, 22 characters. */
  uuid(): string {
    const at = this.#take(16);
    return this.buf.toString('base64url', at, at + 16);
  }

  skip(n: number): void {
    this.#take(n);
  }
}

function putInt32(buf: Buffer, at: number, v: number): void {
  buf[at] = v >>> 24;
  buf[at + 1] = v >>> 16;
  buf[at + 2] = v >>> 8;
  buf[at + 3] = v;
}

/** A buffer given to {@link ByteWriter.attach} that is smaller than this is copied: a part of its own would cost more. */
const ATTACH_MIN = 2048;

/**
 * An append-only buffer that doubles when full. `finish()` returns a view; the writer must not be used after it.
 * Large foreign buffers can be attached instead of copied; then `finishParts()` returns the pieces in order.
 */
export class ByteWriter {
  #buf: Buffer;
  #pos = 0;
  /** Pieces that are complete, and their total size; #buf before #cut is part of them. */
  #parts: Buffer[] | undefined;
  #partsLength = 0;
  #cut = 0;

  /** @param pooled begins in Node's shared pool: ten times cheaper, but what is written must not be kept for long */
  constructor(sizeHint = 256, pooled = false) {
    this.#buf = pooled ? Buffer.allocUnsafe(sizeHint) : Buffer.allocUnsafeSlow(sizeHint);
  }

  /** Bytes written so far, attached ones included. */
  get length(): number {
    return this.#partsLength + this.#pos - this.#cut;
  }

  /** Reserves `n` bytes and returns their position, for a length that is known only later. */
  reserve(n: number): number {
    const at = this.#pos;
    const need = at + n;
    if (need > this.#buf.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(need, this.#buf.length * 2));
      this.#buf.copy(grown, 0, 0, at);
      this.#buf = grown;
    }
    this.#pos = need;
    return at;
  }

  i8(v: number): void {
    const at = this.reserve(1);
    this.#buf[at] = v & 0xff;
  }
  u8(v: number): void {
    this.i8(v);
  }
  i16(v: number): void {
    const at = this.reserve(2);
    this.#buf[at] = (v >> 8) & 0xff;
    this.#buf[at + 1] = v & 0xff;
  }
  u16(v: number): void {
    this.i16(v);
  }
  i32(v: number): void {
    const at = this.reserve(4);
    putInt32(this.#buf, at, v);
  }
  u32(v: number): void {
    this.i32(v);
  }
  i64(v: number): void {
    const at = this.reserve(8);
    const max = v >= INT64_MAX;
    const high = max ? 0x7fffffff : Math.floor(v / TWO32);
    putInt32(this.#buf, at, high);
    putInt32(this.#buf, at + 4, max ? -1 : v - high * TWO32);
  }
  f64(v: number): void {
    const at = this.reserve(8);
    this.#buf.writeDoubleBE(v, at);
  }
  bool(v: boolean): void {
    this.i8(v ? 1 : 0);
  }

  uvarint(v: number): void {
    let rest = v >>> 0;
    while (rest >= 0x80) {
      this.i8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.i8(rest);
  }
  varint(v: number): void {
    this.uvarint((v << 1) ^ (v >> 31));
  }
  /** Zigzag, 64 bits; exact for |v| <= 2^53. */
  varlong(v: number): void {
    if (v >= -0x40000000 && v < 0x40000000) {
      this.uvarint((v << 1) ^ (v >> 31));
      return;
    }
    let rest = v >= 0 ? BigInt(v) << 1n : (-BigInt(v) << 1n) - 1n;
    while (rest >= 0x80n) {
      this.i8(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.i8(Number(rest));
  }

  bytes(source: Buffer): void {
    const at = this.reserve(source.length);
    source.copy(this.#buf, at);
  }

  /** Writes the UTF-8 bytes of `text` and returns how many. */
  utf8(text: string): number {
    const n = Buffer.byteLength(text);
    const at = this.reserve(n);
    this.#buf.write(text, at, n, 'utf8');
    return n;
  }

  /** @param text Kafka's 22-character form of a uuid */
  uuid(text: string): void {
    const at = this.reserve(16);
    if (this.#buf.write(text, at, 16, 'base64url') !== 16) throw new ProtocolError(`"${text}" is not a uuid (22 characters of URL-safe base64)`);
  }

  /** Appends `source` without copying it unless it is small; it must not change until the parts are sent. */
  attach(source: Buffer): void {
    if (source.length < ATTACH_MIN) {
      this.bytes(source);
      return;
    }
    this.#parts ??= [];
    if (this.#pos > this.#cut) this.#parts.push(this.#buf.subarray(this.#cut, this.#pos));
    this.#parts.push(source);
    this.#partsLength += this.#pos - this.#cut + source.length;
    this.#cut = this.#pos;
  }

  /** Overwrites four bytes at a position got from {@link reserve}; nothing may have been attached since. */
  patchI32(at: number, v: number): void {
    putInt32(this.#buf, at, v);
  }

  /** What was written so far, as a view; nothing may have been attached. */
  finish(): Buffer {
    return this.#buf.subarray(0, this.#pos);
  }

  /** Everything in order; attached buffers are themselves, not copies. */
  finishParts(): Buffer[] {
    if (this.#parts === undefined) return [this.finish()];
    if (this.#pos > this.#cut) this.#parts.push(this.#buf.subarray(this.#cut, this.#pos));
    this.#cut = this.#pos;
    return this.#parts;
  }
}
