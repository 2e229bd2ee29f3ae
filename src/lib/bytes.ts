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
    return this.buf.readInt8(this.#take(1));
  }
  u8(): number {
    return this.buf[this.#take(1)] as number;
  }
  i16(): number {
    return this.buf.readInt16BE(this.#take(2));
  }
  u16(): number {
    return this.buf.readUInt16BE(this.#take(2));
  }
  i32(): number {
    return this.buf.readInt32BE(this.#take(4));
  }
  u32(): number {
    return this.buf.readUInt32BE(this.#take(4));
  }
  /** Exact for |value| <= 2^53 and for 2^63-1; the nearest double otherwise. */
  i64(): number {
    const at = this.#take(8);
    return this.buf.readInt32BE(at) * TWO32 + this.buf.readUInt32BE(at + 4);
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

  skip(n: number): void {
    this.#take(n);
  }
}

/** An append-only buffer that doubles when full. `finish()` returns a view; the writer must not be used after it. */
export class ByteWriter {
  #buf: Buffer;
  #pos = 0;

  constructor(sizeHint = 256) {
    this.#buf = Buffer.allocUnsafeSlow(sizeHint);
  }

  get length(): number {
    return this.#pos;
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
    this.#buf.writeInt32BE(v | 0, at);
  }
  u32(v: number): void {
    this.i32(v);
  }
  i64(v: number): void {
    const at = this.reserve(8);
    if (v >= INT64_MAX) {
      this.#buf.writeInt32BE(0x7fffffff, at);
      this.#buf.writeUInt32BE(0xffffffff, at + 4);
      return;
    }
    const high = Math.floor(v / TWO32);
    this.#buf.writeInt32BE(high | 0, at);
    this.#buf.writeUInt32BE((v - high * TWO32) >>> 0, at + 4);
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
    if (v >= -0x40000000 && v < 0x40000000) return this.uvarint((v << 1) ^ (v >> 31));
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

  /** Overwrites four bytes at a position got from {@link reserve}. */
  patchI32(at: number, v: number): void {
    this.#buf.writeInt32BE(v | 0, at);
  }

  /** What was written so far, as a view. */
  finish(): Buffer {
    return this.#buf.subarray(0, this.#pos);
  }
}
