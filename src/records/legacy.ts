/**
 * Message sets of magic 0 and 1 (Kafka before 0.11): read what old producers send, turn it into batches v2 for storage, and
 * turn stored batches back for old consumers. KIP-31 (relative offsets in magic 1), KIP-32 (timestamps), KAFKA-3160 (lz4
 * header checksum of magic 0).
 *
 *   offset i64 · size i32 (of what follows) · crc u32 (CRC-32 of what follows) · magic i8 · attributes i8
 *   [magic 1: timestamp i64] · key length i32, key · value length i32, value        length -1 = null
 *
 * A compressed set is one wrapper message whose value is the packed inner set. Inner offsets: absolute in magic 0,
 * 0 … n-1 in magic 1, where the wrapper has the offset of the last. Objects per record are fine here: only clients of
 * 2016 and before come this way.
 */
import { ByteWriter } from '../lib/bytes.ts';
import { CODECS, compress, decompress } from '../lib/codecs.ts';
import { crc32 } from '../lib/crc32c.ts';
import { ProtocolError } from '../lib/errors.ts';
import {
  ATTRIBUTE_CODEC,
  ATTRIBUTE_LOG_APPEND_TIME,
  type BatchView,
  batches,
  LOG_OVERHEAD,
  magicAt,
  readI64,
  sizeAt,
  UNPACK_LIMIT,
  writeI64,
} from './batch.ts';
import { BatchBuilder } from './builder.ts';
import { RecordCursor } from './cursor.ts';

/** Offset, size, crc, magic, attributes, two lengths; magic 1 has a timestamp besides. */
const MIN_BYTES = { 0: 26, 1: 34 } as const;
const HEADER_BYTES = 18;

/** Magic byte of an old message. */
export type OldMagic = 0 | 1;

export interface OldRecord {
  readonly offset: number;
  /** Epoch milliseconds, -1 for none (always so in magic 0). */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** A message set taken apart. */
export interface OldSet {
  /** Of the outer messages. */
  readonly magic: OldMagic;
  /** Of the first compressed wrapper, else 0. */
  readonly codec: number;
  readonly records: readonly OldRecord[];
}

interface OldMessage extends OldRecord {
  readonly magic: OldMagic;
  readonly attributes: number;
}

/** Reads the message at `at`; null when the data ends within it. @throws ProtocolError when it is damaged */
function readMessage(buf: Buffer, at: number): { readonly message: OldMessage; readonly end: number } | null {
  if (at + HEADER_BYTES > buf.length) return null;
  const end = at + sizeAt(buf, at);
  const magic = magicAt(buf, at);
  if (magic !== 0 && magic !== 1) throw new ProtocolError(`a message has magic ${magic}, not 0 or 1`);
  if (end - at < MIN_BYTES[magic]) throw new ProtocolError(`a message of ${end - at} bytes is too small`);
  if (end > buf.length) return null;
  if (crc32(buf, at + 16, end) !== buf.readUInt32BE(at + LOG_OVERHEAD)) throw new ProtocolError('a message has a wrong checksum');
  let pos = at + HEADER_BYTES;
  const timestamp = magic === 1 ? readI64(buf, pos) : -1;
  if (magic === 1) pos += 8;
  const key = readBytes(buf, pos, end);
  pos += 4 + (key?.length ?? 0);
  const value = readBytes(buf, pos, end);
  if (pos + 4 + (value?.length ?? 0) !== end) throw new ProtocolError('a message is longer than its parts');
  return { message: { offset: readI64(buf, at), timestamp, key, value, magic, attributes: buf[at + 17]! }, end };
}

function readBytes(buf: Buffer, at: number, end: number): Buffer | null {
  const length = at + 4 <= end ? buf.readInt32BE(at) : -2;
  if (length < -1 || at + 4 + length > end) throw new ProtocolError('a length in a message reaches beyond it');
  return length < 0 ? null : buf.subarray(at + 4, at + 4 + length);
}

/**
 * Takes a message set apart, wrappers too. Offsets come out absolute. A message cut off at the end is left out.
 * @throws ProtocolError, CodecError when it is damaged or unpacks to more than `limitBytes`
 */
export function readMessageSet(buf: Buffer, limitBytes: number = UNPACK_LIMIT): OldSet {
  const records: OldRecord[] = [];
  let magic: OldMagic | undefined;
  let codec = 0;
  for (let at = 0; ; ) {
    const read = readMessage(buf, at);
    if (!read) break;
    const { message } = read;
    at = read.end;
    magic ??= message.magic;
    const packed = message.attributes & ATTRIBUTE_CODEC;
    if (packed === 0) records.push(message);
    else {
      if (codec === 0) codec = packed;
      records.push(...unwrap(message, packed, limitBytes));
    }
  }
  return { magic: magic ?? 0, codec, records };
}

function unwrap(wrapper: OldMessage, codec: number, limitBytes: number): OldRecord[] {
  if (!wrapper.value) throw new ProtocolError('a compressed message has no content');
  const inner = decompress(codec, wrapper.value, limitBytes);
  const out: OldMessage[] = [];
  for (let at = 0; at < inner.length; ) {
    const read = readMessage(inner, at);
    if (!read) throw new ProtocolError('a compressed message set is cut off');
    if (read.message.attributes & ATTRIBUTE_CODEC) throw new ProtocolError('a compressed message lies within another');
    out.push(read.message);
    at = read.end;
  }
  const last = out[out.length - 1];
  if (!last) throw new ProtocolError('a compressed message holds no messages');
  const base = wrapper.magic === 1 ? wrapper.offset - last.offset : 0;
  const appendTime = wrapper.magic === 1 && (wrapper.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0 ? wrapper.timestamp : null;
  return out.map(({ offset, timestamp, key, value }) => ({ offset: base + offset, timestamp: appendTime ?? timestamp, key, value }));
}

/**
 * What an old producer sent, as one batch v2 with the same codec, numbered from 0: offsets in requests may be wrong.
 * @throws ProtocolError, CodecError when it is damaged, empty or too large
 */
export function upConvert(messageSet: Buffer, limitBytes: number = UNPACK_LIMIT): Buffer {
  const { codec, records } = readMessageSet(messageSet, limitBytes);
  if (records.length === 0) throw new ProtocolError('a message set holds no whole message');
  const builder = new BatchBuilder({ codec }, messageSet.length + 128);
  for (const record of records) builder.append(record.key, record.value, record.timestamp);
  return builder.finish();
}

/** Bytes of one old message, without those of its key and value. */
function overhead(magic: OldMagic): number {
  return MIN_BYTES[magic];
}

function writeMessage(out: ByteWriter, magic: OldMagic, attributes: number, record: OldRecord): void {
  const { key, value } = record;
  const size = overhead(magic) + (key?.length ?? 0) + (value?.length ?? 0);
  const buf = Buffer.allocUnsafe(size);
  writeI64(buf, record.offset, 0);
  buf.writeInt32BE(size - LOG_OVERHEAD, 8);
  buf[16] = magic;
  buf[17] = attributes;
  let pos = HEADER_BYTES;
  if (magic === 1) {
    writeI64(buf, record.timestamp, pos);
    pos += 8;
  }
  for (const bytes of [key, value]) {
    buf.writeInt32BE(bytes ? bytes.length : -1, pos);
    pos += 4;
    bytes?.copy(buf, pos);
    pos += bytes?.length ?? 0;
  }
  buf.writeUInt32BE(crc32(buf, 16, size), 12);
  out.bytes(buf);
}

/**
 * Builds a message set; with a codec, one wrapper for all of it. Offsets are taken as given and must rise.
 * @throws CodecError for zstd, which is younger than these formats
 */
export function writeMessageSet(
  magic: OldMagic,
  records: readonly OldRecord[],
  options: { readonly codec?: number; readonly logAppendTime?: number } = {},
): Buffer {
  const { codec = 0, logAppendTime } = options;
  const attributes = magic === 1 && logAppendTime !== undefined ? ATTRIBUTE_LOG_APPEND_TIME : 0;
  const first = records[0];
  const last = records[records.length - 1];
  const out = new ByteWriter(256);
  if (!first || !last) return out.finish();
  const packed = codec !== CODECS.none;
  for (const record of records) {
    const timestamp = logAppendTime ?? record.timestamp;
    const offset = packed && magic === 1 ? record.offset - first.offset : record.offset;
    writeMessage(out, magic, packed ? 0 : attributes, { ...record, timestamp, offset });
  }
  if (!packed) return out.finish();
  if (codec === CODECS.zstd) throw new ProtocolError('zstd does not exist in message formats 0 and 1', { wireCode: 76 });
  const value = compress(codec, out.finish(), { brokenLz4: magic === 0 });
  let timestamp = -1;
  for (const record of records) timestamp = Math.max(timestamp, record.timestamp);
  const wrapper = new ByteWriter(value.length + overhead(magic));
  writeMessage(wrapper, magic, codec | attributes, { offset: last.offset, timestamp: logAppendTime ?? timestamp, key: null, value });
  return wrapper.finish();
}

/**
 * Stored batches as an old consumer wants them. Headers, producer data and control batches vanish; offsets stay. Records below
 * `firstOffset` are left out where that costs nothing (uncompressed ones), as Kafka does. Old messages of a magic that
 * is low enough pass as they are. The answer may be empty when there was nothing but markers.
 * @throws ProtocolError with wireCode 76 for zstd; CodecError when a batch cannot be unpacked
 */
export function downConvert(stored: Buffer, magic: OldMagic, firstOffset = 0): Buffer {
  const parts: Buffer[] = [];
  for (const batch of batches(stored)) {
    if (batch.magic <= magic) parts.push(batch.bytes);
    else if (batch.magic < 2) parts.push(lowerMessage(batch.bytes));
    else if (!batch.isControl) parts.push(lowerBatch(batch, magic, firstOffset));
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function lowerBatch(batch: BatchView, magic: OldMagic, firstOffset: number): Buffer {
  const { codec } = batch;
  if (codec === CODECS.zstd) throw new ProtocolError('zstd does not exist in message formats 0 and 1', { wireCode: 76 });
  const records: OldRecord[] = [];
  const cursor = new RecordCursor(batch);
  while (cursor.next()) {
    if (codec === 0 && cursor.offset < firstOffset) continue;
    records.push({ offset: cursor.offset, timestamp: cursor.timestamp, key: cursor.key(), value: cursor.value() });
  }
  return writeMessageSet(magic, records, { codec, ...(batch.isLogAppendTime ? { logAppendTime: batch.maxTimestamp } : {}) });
}

/** A message of magic 1 as magic 0. */
function lowerMessage(message: Buffer): Buffer {
  const { codec, records } = readMessageSet(message);
  return writeMessageSet(0, records, { codec });
}
