/**
 * The records inside a batch v2 (Kafka's DefaultRecord.java): varint length · attributes i8 · varlong timestamp delta ·
 * varint offset delta · key · value · headers, each with a varint length where -1 is null. A cursor stands on one record
 * at a time, so walking a batch makes no object per record.
 */
import { ProtocolError } from '../lib/errors.ts';
import { type BatchView, HEADER_BYTES, unpackRecords } from './batch.ts';

/** Header names and values of a record, in order; names may repeat, a value may be null. */
export type RecordHeaders = readonly (readonly [name: string, value: Buffer | null])[];

const NO_HEADERS: RecordHeaders = [];

/**
 * Walks over the records of one batch without making an object per record: call {@link next}, then read the fields of
 * the record it stands on. Keys and values are views. Everything is checked against the end of the data.
 */
export class RecordCursor {
  /** Offset of the present record. */
  offset = -1;
  offsetDelta = -1;
  /** Epoch milliseconds; the batch's append time where that counts. */
  timestamp = -1;
  keyAt = 0;
  /** -1: null. */
  keyLength = -1;
  valueAt = 0;
  /** -1: null. */
  valueLength = -1;
  headerCount = 0;
  /** Plain records of the whole batch, which {@link keyAt} and {@link valueAt} index. */
  readonly data: Buffer;
  #pos: number;
  readonly #end: number;
  #left: number;
  #headersAt = 0;
  #recordEnd = 0;
  readonly #baseOffset: number;
  readonly #baseTimestamp: number;
  /** -1: records have their own. */
  readonly #appendTime: number;

  /**
   * @param records what {@link unpackRecords} gave, when the caller has it already
   * @throws CodecError
   */
  constructor(batch: BatchView, records?: Buffer) {
    if (records || batch.codec !== 0) {
      this.data = records ?? unpackRecords(batch);
      this.#pos = 0;
      this.#end = this.data.length;
    } else {
      this.data = batch.buf;
      this.#pos = batch.at + HEADER_BYTES;
      this.#end = batch.at + batch.sizeBytes;
    }
    this.#left = batch.count;
    this.#baseOffset = batch.baseOffset;
    this.#baseTimestamp = batch.baseTimestamp;
    this.#appendTime = batch.isLogAppendTime ? batch.maxTimestamp : -1;
  }

  /**
   * Moves on to the next record; false after the last.
   * @throws ProtocolError when the bytes are not the promised records
   */
  next(): boolean {
    if (this.#left <= 0) {
      if (this.#left === 0 && this.#pos !== this.#end) throw new ProtocolError('a record batch holds more bytes than records');
      return false;
    }
    this.#left--;
    const length = this.#varint();
    this.#recordEnd = this.#pos + length;
    if (length < 6 || length > this.#end || this.#recordEnd > this.#end) throw new ProtocolError(`a record of ${length} bytes does not fit into its batch`);
    this.#pos++; // attributes of a record: unused, 0
    const timestampDelta = this.#varlong();
    this.timestamp = this.#appendTime >= 0 ? this.#appendTime : this.#baseTimestamp + timestampDelta;
    this.offsetDelta = this.#varint();
    this.offset = this.#baseOffset + this.offsetDelta;
    this.keyLength = this.#length();
    this.keyAt = this.#pos;
    if (this.keyLength > 0) this.#pos += this.keyLength;
    this.valueLength = this.#length();
    this.valueAt = this.#pos;
    if (this.valueLength > 0) this.#pos += this.valueLength;
    this.headerCount = this.#varint();
    this.#headersAt = this.#pos;
    if (this.headerCount < 0 || this.#pos + 2 * this.headerCount > this.#recordEnd) throw new ProtocolError('a record has an impossible number of headers');
    if (this.headerCount === 0 && this.#pos !== this.#recordEnd) throw new ProtocolError('a record is longer than its parts');
    this.#pos = this.#recordEnd;
    return true;
  }

  /** Views of the data; null is not the same as empty. */
  key(): Buffer | null {
    return this.keyLength < 0 ? null : this.data.subarray(this.keyAt, this.keyAt + this.keyLength);
  }
  value(): Buffer | null {
    return this.valueLength < 0 ? null : this.data.subarray(this.valueAt, this.valueAt + this.valueLength);
  }

  /** @throws ProtocolError */
  headers(): RecordHeaders {
    if (this.headerCount === 0) return NO_HEADERS;
    const out: [string, Buffer | null][] = [];
    this.#pos = this.#headersAt;
    for (let i = 0; i < this.headerCount; i++) {
      const name = this.#headerName();
      const length = this.#length();
      out.push([name, length < 0 ? null : this.data.subarray(this.#pos, this.#pos + length)]);
      if (length > 0) this.#pos += length;
    }
    this.#leaveHeaders();
    return out;
  }

  /** Headers as text by name, as an event has them: the last of equal names wins, null becomes empty. */
  headerRecord(): Record<string, string> {
    const out: Record<string, string> = {};
    if (this.headerCount === 0) return out;
    this.#pos = this.#headersAt;
    for (let i = 0; i < this.headerCount; i++) {
      const name = this.#headerName();
      const length = this.#length();
      if (name === '__proto__') Object.defineProperty(out, name, { value: '', enumerable: true, writable: true, configurable: true });
      out[name] = length <= 0 ? '' : text(this.data, this.#pos, this.#pos + length);
      if (length > 0) this.#pos += length;
    }
    this.#leaveHeaders();
    return out;
  }

  #headerName(): string {
    const length = this.#length();
    if (length < 0) throw new ProtocolError('a record header has no name');
    const name = text(this.data, this.#pos, this.#pos + length);
    this.#pos += length;
    return name;
  }

  #leaveHeaders(): void {
    if (this.#pos !== this.#recordEnd) throw new ProtocolError('a record is longer than its parts');
  }

  /** A length that fits into what is left of the record; -1 is null. */
  #length(): number {
    const length = this.#varint();
    if (length < -1 || this.#pos + length > this.#recordEnd) throw new ProtocolError(`a length of ${length} reaches beyond its record`);
    return length;
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.#pos >= this.#end) break;
      const byte = this.data[this.#pos++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new ProtocolError('a record ends within a varint, or the varint is too long');
  }

  #varlong(): number {
    const first = this.#pos < this.#end ? this.data[this.#pos]! : 0x80;
    if (first < 0x80) {
      this.#pos++;
      return (first >>> 1) ^ -(first & 1);
    }
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10 && this.#pos < this.#end; i++) {
      const byte = this.data[this.#pos++]!;
      if (i < 4) low += (byte & 0x7f) * 2 ** (7 * i);
      else high += (byte & 0x7f) * 2 ** (7 * (i - 4));
      if (byte < 0x80) {
        // The zigzag value is high * 2^28 + low; halve it without losing the odd bit of high.
        const half = Math.floor(high / 2) * 2 ** 28 + (high % 2) * 2 ** 27 + Math.floor(low / 2);
        return low % 2 === 1 ? -half - 1 : half;
      }
    }
    throw new ProtocolError('a record ends within a varlong, or the varlong is too long');
  }
}

/** Short ASCII, the usual case, is joined by hand: a native call costs more. */
function text(buf: Buffer, from: number, end: number): string {
  if (end - from > 24) return buf.toString('utf8', from, end);
  let out = '';
  for (let i = from; i < end; i++) {
    const byte = buf[i]!;
    if (byte >= 0x80) return buf.toString('utf8', from, end);
    out += String.fromCharCode(byte);
  }
  return out;
}

/** One record with everything in it: for tools, tests and other places where an object per record does not matter. */
export interface PlainRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}

/** @throws ProtocolError, CodecError */
export function* records(batch: BatchView, unpacked?: Buffer): Generator<PlainRecord> {
  const cursor = new RecordCursor(batch, unpacked);
  while (cursor.next()) {
    yield { offset: cursor.offset, timestamp: cursor.timestamp, key: cursor.key(), value: cursor.value(), headers: cursor.headers() };
  }
}
