/**
 * Building record batches v2: append records to a growing slab, then finish it with a header and a checksum. The code is
 * one straight line per record, sizes first, because the length of a record stands in front of it as a varint: millions
 * of records a second (bench/micro-append.ts). Control batches and what a cleaner leaves of a batch are built here too.
 */
import { type CompressOptions, compress, compressAsync } from '../lib/codecs.ts';
import {
  ATTRIBUTE_CODEC,
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_DELETE_HORIZON,
  ATTRIBUTE_LOG_APPEND_TIME,
  ATTRIBUTE_TRANSACTIONAL,
  type BatchView,
  HEADER_BYTES,
  LOG_OVERHEAD,
  seal,
  unpackRecords,
  writeI64,
} from './batch.ts';
import { RecordCursor, type RecordHeaders } from './cursor.ts';

/** Header fields of a batch to build; what is left out is "none" (-1), or 0 for `codec` and `baseOffset`. */
export interface BatchOptions {
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  readonly codec?: number;
  readonly level?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly transactional?: boolean;
  readonly control?: boolean;
  /** Time of append, epoch milliseconds: sets the timestamp type to LogAppendTime. */
  readonly logAppendTime?: number;
  /** Cleaner only: baseTimestamp is this delete horizon, and all deltas count from it. */
  readonly deleteHorizonMs?: number;
}

const NO_HEADERS: RecordHeaders = [];
const HINT_BYTES = 16_384;

function varintBytes(v: number): number {
  const z = ((v << 1) ^ (v >> 31)) >>> 0;
  return z < 0x80 ? 1 : z < 0x4000 ? 2 : z < 0x200000 ? 3 : z < 0x10000000 ? 4 : 5;
}

/** Whether a value takes the way of 32 bits; the other way is exact to 2^53. */
function isSmall(v: number): boolean {
  return v >= -0x40000000 && v < 0x40000000;
}

function varlongBytes(v: number): number {
  if (isSmall(v)) return varintBytes(v);
  let bytes = 1;
  for (let rest = Math.floor((v >= 0 ? v : -v - 1) / 64); rest > 0; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** UTF-8 size; a short ASCII text, the usual case, is measured by hand. */
function textBytes(s: string): number {
  if (s.length > 32) return Buffer.byteLength(s);
  for (let i = 0; i < s.length; i++) if (s.charCodeAt(i) >= 0x80) return Buffer.byteLength(s);
  return s.length;
}

/** Collects the records of one batch. Use: append … append, {@link finish}; then {@link restart} for the next batch. */
export class BatchBuilder {
  #options: BatchOptions;
  #buf: Buffer;
  #pos = HEADER_BYTES;
  #count = 0;
  #lastDelta = -1;
  #baseTimestamp = -1;
  #maxTimestamp = -1;

  /** @param sizeHint expected size in bytes; a wrong guess costs a copy */
  constructor(options: BatchOptions = {}, sizeHint = HINT_BYTES) {
    this.#options = options;
    this.#buf = Buffer.allocUnsafeSlow(Math.max(HEADER_BYTES, sizeHint));
    this.#baseTimestamp = options.deleteHorizonMs ?? -1;
  }

  get count(): number {
    return this.#count;
  }
  /** Size so far, header included, before packing. */
  get sizeBytes(): number {
    return this.#pos;
  }

  /** Adds a record behind the last one. `timestamp` in epoch milliseconds, -1 for none. */
  append(key: Buffer | null, value: Buffer | null, timestamp: number, headers: RecordHeaders = NO_HEADERS): void {
    this.appendAt(this.#lastDelta + 1, { key, value, timestamp, headers });
  }

  /** Adds a record at a given distance from the base offset, which must be larger than the last one's. */
  appendAt(
    offsetDelta: number,
    record: { readonly key: Buffer | null; readonly value: Buffer | null; readonly timestamp: number; readonly headers: RecordHeaders },
  ): void {
    const { key, value, headers } = record;
    let headerBytes = varintBytes(headers.length);
    for (const [name, content] of headers) {
      const nameBytes = textBytes(name);
      headerBytes += varintBytes(nameBytes) + nameBytes + (content ? varintBytes(content.length) + content.length : 1);
    }
    this.#open(
      offsetDelta,
      record.timestamp,
      (key ? varintBytes(key.length) + key.length : 1) + (value ? varintBytes(value.length) + value.length : 1) + headerBytes,
    );
    this.#field(key);
    this.#field(value);
    this.#varint(headers.length);
    for (const [name, content] of headers) {
      this.#text(name, textBytes(name));
      this.#field(content);
    }
  }

  /** Adds an event: no key, the body as value, headers as text. */
  appendEvent(body: Buffer, headers: Readonly<Record<string, string>>, timestamp: number): void {
    let count = 0;
    let headerBytes = 0;
    let ascii = true;
    for (const name in headers) {
      count++;
      const value = headers[name]!;
      const nameBytes = textBytes(name);
      const valueBytes = textBytes(value);
      if (nameBytes !== name.length || valueBytes !== value.length) ascii = false;
      headerBytes += varintBytes(nameBytes) + nameBytes + varintBytes(valueBytes) + valueBytes;
    }
    this.#open(this.#lastDelta + 1, timestamp, 1 + varintBytes(body.length) + body.length + varintBytes(count) + headerBytes);
    this.#buf[this.#pos++] = 1; // key length -1
    this.#field(body);
    this.#varint(count);
    for (const name in headers) {
      const value = headers[name]!;
      this.#text(name, ascii ? name.length : textBytes(name));
      this.#text(value, ascii ? value.length : textBytes(value));
    }
  }

  /** Makes room for a whole record and writes everything up to its key. `rest` is the size from the key on. */
  #open(offsetDelta: number, timestamp: number, rest: number): void {
    if (this.#count === 0 && this.#options.deleteHorizonMs === undefined) this.#baseTimestamp = timestamp;
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp;
    const timestampDelta = timestamp - this.#baseTimestamp;
    const size = 1 + varlongBytes(timestampDelta) + varintBytes(offsetDelta) + rest;
    const need = this.#pos + size + 5;
    if (need > this.#buf.length) this.#grow(need);
    this.#varint(size);
    this.#buf[this.#pos++] = 0;
    this.#varlong(timestampDelta);
    this.#varint(offsetDelta);
    this.#lastDelta = offsetDelta;
    this.#count++;
  }

  #grow(need: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(need, this.#buf.length * 2));
    this.#buf.copy(grown, 0, 0, this.#pos);
    this.#buf = grown;
  }

  #varint(v: number): void {
    let z = ((v << 1) ^ (v >> 31)) >>> 0;
    while (z >= 0x80) {
      this.#buf[this.#pos++] = (z & 0x7f) | 0x80;
      z >>>= 7;
    }
    this.#buf[this.#pos++] = z;
  }

  #varlong(v: number): void {
    if (isSmall(v)) {
      this.#varint(v);
      return;
    }
    const magnitude = v >= 0 ? v : -v - 1;
    let low = (magnitude % 64) * 2 + (v >= 0 ? 0 : 1);
    for (let rest = Math.floor(magnitude / 64); rest > 0; rest = Math.floor(rest / 128)) {
      this.#buf[this.#pos++] = low | 0x80;
      low = rest % 128;
    }
    this.#buf[this.#pos++] = low;
  }

  #field(bytes: Buffer | null): void {
    if (!bytes) {
      this.#buf[this.#pos++] = 1;
      return;
    }
    const n = bytes.length;
    this.#varint(n);
    if (n > 40) this.#buf.set(bytes, this.#pos);
    else for (let i = 0, to = this.#pos; i < n; i++) this.#buf[to++] = bytes[i]!;
    this.#pos += n;
  }

  /** `size` is the UTF-8 size, known from the first pass; equal to the length it means ASCII. */
  #text(s: string, size: number): void {
    this.#varint(size);
    if (size === s.length && size <= 32) for (let i = 0, to = this.#pos; i < size; i++) this.#buf[to++] = s.charCodeAt(i);
    else this.#buf.write(s, this.#pos, size, 'utf8');
    this.#pos += size;
  }

  /**
   * The batch as a view of the slab (of a new buffer when packed). The builder must be {@link restart}ed before it is
   * used again. `lastOffsetDelta` may be given when it is larger than the last record's: offsets that were cleaned away.
   */
  finish(lastOffsetDelta: number = this.#lastDelta): Buffer {
    const { codec = 0 } = this.#options;
    if (codec === 0) return this.#header(this.#buf.subarray(0, this.#pos), lastOffsetDelta);
    return this.#packed(compress(codec, this.#buf.subarray(HEADER_BYTES, this.#pos), this.#packing()), lastOffsetDelta);
  }

  /** {@link finish} with the packing done on the libuv pool where it pays. */
  async finishAsync(lastOffsetDelta: number = this.#lastDelta): Promise<Buffer> {
    const { codec = 0 } = this.#options;
    if (codec === 0) return this.finish(lastOffsetDelta);
    return this.#packed(await compressAsync(codec, this.#buf.subarray(HEADER_BYTES, this.#pos), this.#packing()), lastOffsetDelta);
  }

  #packing(): CompressOptions {
    return { level: this.#options.level };
  }

  #packed(payload: Buffer, lastOffsetDelta: number): Buffer {
    const out = Buffer.allocUnsafeSlow(HEADER_BYTES + payload.length);
    payload.copy(out, HEADER_BYTES);
    return this.#header(out, lastOffsetDelta);
  }

  #header(out: Buffer, lastOffsetDelta: number): Buffer {
    const o = this.#options;
    writeHeader(out, {
      ...o,
      count: this.#count,
      lastOffsetDelta,
      baseTimestamp: this.#baseTimestamp,
      maxTimestamp: o.logAppendTime ?? this.#maxTimestamp,
    });
    return out;
  }

  /** Empties the builder. `reuse`: overwrite the slab, allowed only when nobody reads the finished batch any more. */
  restart(reuse: boolean, options: BatchOptions = this.#options): void {
    if (!reuse) this.#buf = Buffer.allocUnsafeSlow(Math.max(HINT_BYTES, this.#pos));
    this.#options = options;
    this.#pos = HEADER_BYTES;
    this.#count = 0;
    this.#lastDelta = -1;
    this.#baseTimestamp = options.deleteHorizonMs ?? -1;
    this.#maxTimestamp = -1;
  }
}

interface HeaderFields extends BatchOptions {
  readonly count: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
}

/** Fills the first 61 bytes of `out`, which holds nothing but this batch, and seals it. */
function writeHeader(out: Buffer, f: HeaderFields): void {
  const attributes =
    (f.codec ?? 0) |
    (f.logAppendTime === undefined ? 0 : ATTRIBUTE_LOG_APPEND_TIME) |
    (f.transactional ? ATTRIBUTE_TRANSACTIONAL : 0) |
    (f.control ? ATTRIBUTE_CONTROL : 0) |
    (f.deleteHorizonMs === undefined ? 0 : ATTRIBUTE_DELETE_HORIZON);
  writeI64(out, f.baseOffset ?? 0, 0);
  out.writeInt32BE(out.length - LOG_OVERHEAD, 8);
  out.writeInt32BE(f.leaderEpoch ?? -1, 12);
  out[16] = 2;
  out.writeInt16BE(attributes, 21);
  out.writeInt32BE(f.lastOffsetDelta, 23);
  writeI64(out, f.baseTimestamp, 27);
  writeI64(out, f.maxTimestamp, 35);
  writeI64(out, f.producerId ?? -1, 43);
  out.writeInt16BE(f.producerEpoch ?? -1, 51);
  out.writeInt32BE(f.baseSequence ?? -1, 53);
  out.writeInt32BE(f.count, 57);
  seal(out);
}

/** Type field in the key of a control record. */
export const CONTROL_ABORT = 0;
export const CONTROL_COMMIT = 1;

/** The marker that ends a transaction (KIP-98): one record, 78 bytes. */
export function controlBatch(marker: {
  readonly type: typeof CONTROL_ABORT | typeof CONTROL_COMMIT;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly timestamp: number;
}): Buffer {
  const key = Buffer.from([0, 0, 0, marker.type]);
  const value = Buffer.alloc(6);
  value.writeInt32BE(marker.coordinatorEpoch, 2);
  const { producerId, producerEpoch } = marker;
  const builder = new BatchBuilder({ producerId, producerEpoch, transactional: true, control: true }, 128);
  builder.append(key, value, marker.timestamp);
  return builder.finish();
}

/** What a control batch says, or null when its record is not one of a transaction. */
export function readControl(batch: BatchView): { readonly type: number; readonly coordinatorEpoch: number } | null {
  const cursor = new RecordCursor(batch);
  if (!cursor.next() || cursor.keyLength < 4 || cursor.valueLength < 6) return null;
  return { type: cursor.data.readInt16BE(cursor.keyAt + 2), coordinatorEpoch: cursor.data.readInt32BE(cursor.valueAt + 2) };
}

function optionsOf(batch: BatchView, deleteHorizonMs: number | undefined): BatchOptions {
  const horizon = deleteHorizonMs ?? (batch.deleteHorizonMs >= 0 ? batch.deleteHorizonMs : undefined);
  return {
    baseOffset: batch.baseOffset,
    leaderEpoch: batch.leaderEpoch,
    codec: batch.attributes & ATTRIBUTE_CODEC,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    transactional: batch.isTransactional,
    control: batch.isControl,
    ...(batch.isLogAppendTime ? { logAppendTime: batch.maxTimestamp } : {}),
    ...(horizon === undefined ? {} : { deleteHorizonMs: horizon }),
  };
}

/**
 * A builder for what is left of a batch: offsets, sequence, producer and codec as they were. Finish it with the batch's
 * `lastOffsetDelta`. `deleteHorizonMs` stamps it as one with tombstones that may go after that time.
 */
export function builderLike(batch: BatchView, deleteHorizonMs?: number): BatchBuilder {
  return new BatchBuilder(optionsOf(batch, deleteHorizonMs), batch.sizeBytes);
}

/**
 * Rebuilds a batch with the records that `keep` says yes to, for compaction: offsets, sequence, producer and
 * lastOffsetDelta stay as they were. `deleteHorizonMs` stamps the batch as one with tombstones that may go after that
 * time. Null when no record is left: see {@link emptyBatch}.
 * @throws ProtocolError, CodecError when the batch cannot be read
 */
export function filterBatch(batch: BatchView, keep: (record: RecordCursor) => boolean, deleteHorizonMs?: number): Buffer | null {
  const builder = builderLike(batch, deleteHorizonMs);
  const cursor = new RecordCursor(batch);
  while (cursor.next()) {
    if (!keep(cursor)) continue;
    builder.appendAt(cursor.offsetDelta, { key: cursor.key(), value: cursor.value(), timestamp: cursor.timestamp, headers: cursor.headers() });
  }
  return builder.count === 0 ? null : builder.finish(batch.lastOffsetDelta);
}

/** A batch without records that still covers its offsets and producer state: 61 bytes, as Kafka's cleaner leaves it. */
export function emptyBatch(batch: BatchView): Buffer {
  const out = Buffer.alloc(HEADER_BYTES);
  const { codec: _, ...rest } = optionsOf(batch, undefined);
  writeHeader(out, { ...rest, count: 0, lastOffsetDelta: batch.lastOffsetDelta, baseTimestamp: batch.deleteHorizonMs, maxTimestamp: batch.maxTimestamp });
  return out;
}

/**
 * The same records with another codec (topic `compression.type`); everything else in the header stays.
 * @throws ProtocolError, CodecError when the batch cannot be read
 */
export function recompress(batch: BatchView, codec: number, level?: number): Buffer {
  const packed = compress(codec, unpackRecords(batch), { level });
  const out = Buffer.allocUnsafeSlow(HEADER_BYTES + packed.length);
  batch.buf.copy(out, 0, batch.at, batch.at + HEADER_BYTES);
  packed.copy(out, HEADER_BYTES);
  out.writeInt32BE(out.length - LOG_OVERHEAD, 8);
  out.writeInt16BE((batch.attributes & ~ATTRIBUTE_CODEC) | codec, 21);
  seal(out);
  return out;
}
