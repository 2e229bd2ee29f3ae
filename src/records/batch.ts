/**
 * Record batch v2 (magic 2; Kafka KIP-98, DefaultRecordBatch.java) as a view over bytes: read the header, check, number.
 * Records are read in cursor.ts, batches built in builder.ts, old message sets in legacy.ts.
 *
 *   0 baseOffset i64 · 8 batchLength i32 (what follows it) · 12 leaderEpoch i32 · 16 magic i8 · 17 crc u32 (of 21 … end)
 *   21 attributes i16 · 23 lastOffsetDelta i32 · 27 baseTimestamp i64 · 35 maxTimestamp i64 · 43 producerId i64
 *   51 producerEpoch i16 · 53 baseSequence i32 · 57 recordsCount i32 · 61 records, as one block if compressed
 *
 * The fields up to the crc are outside it: numbering a produced batch changes twelve bytes and no checksum.
 * int64 is a number here; producer ids and offsets beyond 2^53 are refused by {@link checkBatch}.
 */
import { decompress, decompressAsync } from '../lib/codecs.ts';
import { crc32c } from '../lib/crc32c.ts';

export const HEADER_BYTES = 61;
/** baseOffset and batchLength: what batchLength does not count. */
export const LOG_OVERHEAD = 12;
const CRC_FROM = 21;
const TWO32 = 4_294_967_296;

export const ATTRIBUTE_CODEC = 0x07;
export const ATTRIBUTE_LOG_APPEND_TIME = 0x08;
export const ATTRIBUTE_TRANSACTIONAL = 0x10;
export const ATTRIBUTE_CONTROL = 0x20;
export const ATTRIBUTE_DELETE_HORIZON = 0x40;

/** Default bound for unpacking a batch: what Kafka's largest int allows is no bound at all, so this is ours. */
export const UNPACK_LIMIT = 104_857_600;

/** Exact to 2^53, and 2^63-1 reads as 2^63. */
export function readI64(buf: Buffer, at: number): number {
  return buf.readInt32BE(at) * TWO32 + buf.readUInt32BE(at + 4);
}

/** Exact to 2^53. */
export function writeI64(buf: Buffer, value: number, at: number): void {
  const high = Math.floor(value / TWO32);
  buf.writeInt32BE(high | 0, at);
  buf.writeUInt32BE((value - high * TWO32) >>> 0, at + 4);
}

/** Whole size in bytes of the batch (or old message) at `at`; needs 12 readable bytes. May be nonsense: see {@link checkBatch}. */
export function sizeAt(buf: Buffer, at: number): number {
  return buf.readInt32BE(at + 8) + LOG_OVERHEAD;
}

/** Magic byte of the batch or old message at `at`; all formats have it at the same place. Needs 17 readable bytes. */
export function magicAt(buf: Buffer, at: number): number {
  return buf.readInt8(at + 16);
}

/** One batch inside a buffer. Getters read the bytes anew each time; nothing is checked: see {@link checkBatch}. */
export class BatchView {
  readonly buf: Buffer;
  /** Index of the first byte. */
  readonly at: number;

  constructor(buf: Buffer, at = 0) {
    this.buf = buf;
    this.at = at;
  }

  get sizeBytes(): number {
    return sizeAt(this.buf, this.at);
  }
  get baseOffset(): number {
    return readI64(this.buf, this.at);
  }
  get lastOffset(): number {
    return this.baseOffset + this.lastOffsetDelta;
  }
  get nextOffset(): number {
    return this.lastOffset + 1;
  }
  get leaderEpoch(): number {
    return this.buf.readInt32BE(this.at + 12);
  }
  get magic(): number {
    return magicAt(this.buf, this.at);
  }
  get crc(): number {
    return this.buf.readUInt32BE(this.at + 17);
  }
  get attributes(): number {
    return this.buf.readInt16BE(this.at + 21);
  }
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  get codec(): number {
    return this.attributes & ATTRIBUTE_CODEC;
  }
  get isLogAppendTime(): boolean {
    return (this.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0;
  }
  get isTransactional(): boolean {
    return (this.attributes & ATTRIBUTE_TRANSACTIONAL) !== 0;
  }
  get isControl(): boolean {
    return (this.attributes & ATTRIBUTE_CONTROL) !== 0;
  }
  /** When baseTimestamp is a delete horizon (set by the cleaner only): that time; else -1. */
  get deleteHorizonMs(): number {
    return this.attributes & ATTRIBUTE_DELETE_HORIZON ? this.baseTimestamp : -1;
  }
  get lastOffsetDelta(): number {
    return this.buf.readInt32BE(this.at + 23);
  }
  get baseTimestamp(): number {
    return readI64(this.buf, this.at + 27);
  }
  get maxTimestamp(): number {
    return readI64(this.buf, this.at + 35);
  }
  /** -1: none. */
  get producerId(): number {
    return readI64(this.buf, this.at + 43);
  }
  get producerEpoch(): number {
    return this.buf.readInt16BE(this.at + 51);
  }
  get baseSequence(): number {
    return this.buf.readInt32BE(this.at + 53);
  }
  get lastSequence(): number {
    return this.baseSequence < 0 ? -1 : addSequence(this.baseSequence, this.lastOffsetDelta);
  }
  get count(): number {
    return this.buf.readInt32BE(this.at + 57);
  }
  /** A producer is "there" when its id is: some clients send epoch 0 and sequence 0 without one. */
  get hasProducer(): boolean {
    return this.producerId >= 0;
  }
  /** The whole batch as a view of the same memory. */
  get bytes(): Buffer {
    return this.buf.subarray(this.at, this.at + this.sizeBytes);
  }
  /** What follows the header, packed or not, as a view. */
  get payload(): Buffer {
    return this.buf.subarray(this.at + HEADER_BYTES, this.at + this.sizeBytes);
  }
}

/** Sequence numbers are 31 bits and wrap to 0. */
export function addSequence(sequence: number, delta: number): number {
  const sum = sequence + delta;
  return sum > 0x7fffffff ? sum - 0x80000000 : sum;
}

/**
 * What can be wrong with a batch. `short`: it reaches beyond the data; `size`, `magic`, `crc`: not a v2 batch, or
 * damaged; `count`: the header contradicts itself; `number`: an offset or id beyond 2^53.
 */
export type BatchFault = 'short' | 'size' | 'magic' | 'crc' | 'count' | 'number';

/** Checks bounds, magic, checksum and header of the batch at `at`; null when it is sound. Records are not looked at. */
export function checkBatch(buf: Buffer, at = 0, end: number = buf.length): BatchFault | null {
  if (at + LOG_OVERHEAD > end) return 'short';
  const size = sizeAt(buf, at);
  if (size < HEADER_BYTES) return 'size';
  if (at + size > end) return 'short';
  if (buf[at + 16] !== 2) return 'magic';
  if (crc32c(buf, at + CRC_FROM, at + size) !== buf.readUInt32BE(at + 17)) return 'crc';
  const delta = buf.readInt32BE(at + 23);
  const count = buf.readInt32BE(at + 57);
  if (delta < 0 || count < 0 || count > delta + 1) return 'count';
  if (readI64(buf, at) < 0 || readI64(buf, at) + delta >= Number.MAX_SAFE_INTEGER || readI64(buf, at + 43) > Number.MAX_SAFE_INTEGER) return 'number';
  return null;
}

/** Writes the place of a batch in a log: both fields are outside the checksum. */
export function place(buf: Buffer, at: number, where: { readonly baseOffset: number; readonly leaderEpoch: number }): void {
  writeI64(buf, where.baseOffset, at);
  buf.writeInt32BE(where.leaderEpoch, at + 12);
}

/** Computes and writes the checksum of the batch at `at`, after a header field behind it changed. */
export function seal(buf: Buffer, at = 0): void {
  buf.writeUInt32BE(crc32c(buf, at + CRC_FROM, at + sizeAt(buf, at)), at + 17);
}

/** Writes whose batch it is and its place in their sequence (KIP-98), and the checksum: for producers, once it is known. */
export function stampProducer(buf: Buffer, producer: { readonly producerId: number; readonly producerEpoch: number; readonly baseSequence: number }): void {
  writeI64(buf, producer.producerId, 43);
  buf.writeInt16BE(producer.producerEpoch, 51);
  buf.writeInt32BE(producer.baseSequence, 53);
  seal(buf);
}

/** message.timestamp.type = LogAppendTime: one bit, one timestamp, the checksum; records stay as they are, packed or not. */
export function stampLogAppendTime(buf: Buffer, at: number, now: number): void {
  buf.writeInt16BE(buf.readInt16BE(at + 21) | ATTRIBUTE_LOG_APPEND_TIME, at + 21);
  writeI64(buf, now, at + 35);
  seal(buf, at);
}

/** message.timestamp.type = CreateTime: clears the bit and sets the true maximum; does nothing when both are right. */
export function stampCreateTime(buf: Buffer, at: number, maxTimestamp: number): void {
  const attributes = buf.readInt16BE(at + 21);
  if (!(attributes & ATTRIBUTE_LOG_APPEND_TIME) && readI64(buf, at + 35) === maxTimestamp) return;
  buf.writeInt16BE(attributes & ~ATTRIBUTE_LOG_APPEND_TIME, at + 21);
  writeI64(buf, maxTimestamp, at + 35);
  seal(buf, at);
}

/**
 * The records of a batch as plain bytes: the payload itself, or unpacked.
 * @throws CodecError
 */
export function unpackRecords(batch: BatchView, limitBytes: number = UNPACK_LIMIT): Buffer {
  return decompress(batch.codec, batch.payload, limitBytes);
}

/** {@link unpackRecords} on the libuv pool where it pays. */
export function unpackRecordsAsync(batch: BatchView, limitBytes: number = UNPACK_LIMIT): Promise<Buffer> {
  return decompressAsync(batch.codec, batch.payload, limitBytes);
}

/**
 * The batches that lie in `buf[at, end)` one behind the other, as long as each is whole by its stated size. A cut-off
 * rest is left out, as clients do. Old messages (magic 0 and 1) appear too: look at `magic`.
 */
export function* batches(buf: Buffer, at = 0, end: number = buf.length): Generator<BatchView> {
  let pos = at;
  while (pos + LOG_OVERHEAD + 5 <= end) {
    const size = sizeAt(buf, pos);
    if (size < LOG_OVERHEAD + 14 || pos + size > end) return;
    yield new BatchView(buf, pos);
    pos += size;
  }
}
