/**
 * What a produced slab must satisfy before it may be appended, in Kafka's order (LogValidator; kafka-reference 3.7), and
 * the few changes a topic may ask for: another codec, the append time. Everything else is left byte for byte.
 * A packed batch is unpacked only where something inside must be seen: keys of a compacted topic, a timestamp window.
 */
import { ErrorCode } from '../../kafka/errors.ts';
import { AppError } from '../../lib/errors.ts';
import { BatchView, checkBatch, magicAt, sizeAt, stampCreateTime, stampLogAppendTime } from '../../records/batch.ts';
import { recompress } from '../../records/builder.ts';
import { RecordCursor } from '../../records/cursor.ts';
import { upConvert } from '../../records/legacy.ts';
import type { TopicConfig } from '../topic-config.ts';

/** Codec names of `compression.type` as the attributes number them. */
const CODECS: Readonly<Record<string, number>> = { uncompressed: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 };
const ZSTD = 4;
const NO_WINDOW = Number.MAX_SAFE_INTEGER;
/** Smallest message of the old formats: offset, size, crc, magic, attributes, key and value lengths. */
const MIN_LEGACY_BYTES = 26;
/** The same without offset and size. */
const SMALLEST_BODY = 14;

export interface AdmissionRules {
  readonly config: TopicConfig;
  /** Produce from version 3 on: exactly one batch of format v2. */
  readonly oneBatch: boolean;
  /** Produce from version 7 on. */
  readonly zstdAllowed: boolean;
  /** Epoch ms. */
  readonly now: number;
  /** `topic-0`, for what is told to the producer. */
  readonly label: string;
}

export interface RecordError {
  readonly batchIndex: number;
  readonly batchIndexErrorMessage: string;
}

/** A refusal in Kafka's terms. */
export interface Refused {
  readonly errorCode: number;
  readonly message: string;
  readonly recordErrors?: readonly RecordError[];
}

/** One batch of format v2, ready to be numbered. */
export interface Admitted {
  readonly errorCode: 0;
  readonly batch: BatchView;
}

/** Checks and, where the topic asks for it, changes a slab. */
export function admit(records: Buffer, rules: AdmissionRules): Admitted | Refused {
  const legacy = records.length >= MIN_LEGACY_BYTES && magicAt(records, 0) < 2;
  const strange = records.length < 17 ? null : strangeHead(records);
  if (strange !== null) return refused(ErrorCode.CORRUPT_MESSAGE, strange);
  if (rules.oneBatch && (legacy || records.length < 17))
    return refused(ErrorCode.INVALID_RECORD, 'Produce requests with version 3 or later must hold exactly one batch of format 2.');
  if (legacy) return admitLegacy(records, rules);
  return admitV2(records, rules);
}

/** What Kafka's iteration of batches stumbles over first; null when the first one looks like a batch. */
function strangeHead(records: Buffer): string | null {
  const bodyBytes = sizeAt(records, 0) - 12;
  if (bodyBytes < SMALLEST_BODY) return `Record size ${bodyBytes} is less than the minimum record overhead (${SMALLEST_BODY})`;
  const magic = magicAt(records, 0);
  return magic < 0 || magic > 2 ? `Invalid magic found in record: ${magic}` : null;
}

function refused(errorCode: number, message: string, recordErrors?: readonly RecordError[]): Refused {
  return { errorCode, message, ...(recordErrors && { recordErrors }) };
}

function admitLegacy(records: Buffer, rules: AdmissionRules): Admitted | Refused {
  const largest = largestMessage(records);
  if (largest > rules.config['max.message.bytes']) return tooLarge(largest, rules.config);
  try {
    return inspect(new BatchView(upConvert(records)), rules);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return refused(ErrorCode.CORRUPT_MESSAGE, `The message set is damaged: ${error.message}`);
  }
}

function largestMessage(records: Buffer): number {
  let largest = 0;
  for (let at = 0; at + 12 <= records.length; ) {
    const size = sizeAt(records, at);
    if (size < MIN_LEGACY_BYTES) break;
    largest = Math.max(largest, size);
    at += size;
  }
  return largest;
}

function admitV2(records: Buffer, rules: AdmissionRules): Admitted | Refused {
  const fault = checkBatch(records, 0);
  const size = records.length >= 12 ? sizeAt(records, 0) : 0;
  if (fault === 'short' && rules.oneBatch)
    return refused(ErrorCode.INVALID_RECORD, 'The batch is cut short: a request holds exactly one whole batch per partition.');
  if (fault === 'magic' || fault === 'size' || fault === 'short')
    return refused(ErrorCode.CORRUPT_MESSAGE, 'The batch has an unknown format or a wrong length.');
  if (size !== records.length)
    return refused(ErrorCode.INVALID_RECORD, 'Produce requests with version 3 or later are only allowed to contain exactly one record batch per partition.');
  const batch = new BatchView(records);
  if (batch.baseOffset !== 0) return refused(ErrorCode.INVALID_RECORD, `The base offset of the record batch should be 0, but it is ${batch.baseOffset}.`);
  if (size > rules.config['max.message.bytes']) return tooLarge(size, rules.config);
  if (fault === 'crc') return refused(ErrorCode.CORRUPT_MESSAGE, 'The record is corrupt: its checksum does not match.');
  if (fault !== null || batch.count <= 0 || batch.lastOffsetDelta + 1 !== batch.count) {
    return refused(ErrorCode.INVALID_RECORD, `The batch says ${batch.count} records but its last offset delta is ${batch.lastOffsetDelta}.`);
  }
  if (batch.isControl) return refused(ErrorCode.INVALID_RECORD, 'Clients are not allowed to write control records.');
  if (batch.producerId >= 0 && batch.baseSequence < 0) return refused(ErrorCode.INVALID_RECORD, 'A batch with a producer id must have a sequence number.');
  return inspect(batch, rules);
}

function tooLarge(size: number, config: TopicConfig): Refused {
  return refused(ErrorCode.MESSAGE_TOO_LARGE, `The batch is ${size} bytes, more than max.message.bytes (${config['max.message.bytes']}) of the topic.`);
}

/** Looks inside as far as the topic asks, then applies what it asks for. */
function inspect(batch: BatchView, rules: AdmissionRules): Admitted | Refused {
  const { config } = rules;
  if (batch.codec > ZSTD) return refused(ErrorCode.UNKNOWN_SERVER_ERROR, `Compression codec ${batch.codec} does not exist.`);
  if (batch.codec === ZSTD && !rules.zstdAllowed) return refused(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, 'Produce requests below version 7 may not use zstd.');
  const inside = lookInside(batch, rules);
  if (inside) return inside;
  if (batch.sizeBytes > config['segment.bytes']) {
    return refused(ErrorCode.RECORD_LIST_TOO_LARGE, `The batch is ${batch.sizeBytes} bytes, more than segment.bytes (${config['segment.bytes']}).`);
  }
  return { errorCode: 0, batch: stamped(packed(batch, config), rules) };
}

function packed(batch: BatchView, config: TopicConfig): BatchView {
  const wanted = CODECS[config['compression.type']];
  if (wanted === undefined || wanted === batch.codec) return batch;
  return new BatchView(recompress(batch, wanted, levelOf(config)));
}

function levelOf(config: TopicConfig): number | undefined {
  switch (config['compression.type']) {
    case 'gzip':
      return config['compression.gzip.level'];
    case 'lz4':
      return config['compression.lz4.level'];
    case 'zstd':
      return config['compression.zstd.level'];
    default:
      return undefined;
  }
}

function stamped(batch: BatchView, { config, now }: AdmissionRules): BatchView {
  if (config['message.timestamp.type'] === 'LogAppendTime') stampLogAppendTime(batch.buf, batch.at, now);
  else if (batch.isLogAppendTime) stampCreateTime(batch.buf, batch.at, batch.maxTimestamp);
  return batch;
}

/** Null when nothing is wrong inside, or nothing needs to be seen. */
function lookInside(batch: BatchView, rules: AdmissionRules): Refused | null {
  const compacted = rules.config['cleanup.policy'].includes('compact');
  const window = timestampWindow(rules);
  const windowed = window !== null;
  if (!compacted && !windowed) return batch.codec === 0 ? countRecords(batch) : null;
  let cursor: RecordCursor;
  try {
    cursor = new RecordCursor(batch);
    return compacted ? (keylessRecords(cursor, rules.label) ?? windowErrors(new RecordCursor(batch), windowed ? window : null)) : windowErrors(cursor, window);
  } catch {
    return refused(ErrorCode.INVALID_RECORD, 'The records of the batch cannot be read.');
  }
}

/** The true number of records of an unpacked batch, by their lengths alone. */
function countRecords(batch: BatchView): Refused | null {
  const { buf } = batch;
  const end = batch.at + batch.sizeBytes;
  let at = batch.at + 61;
  let count = 0;
  while (at < end) {
    let length = 0;
    let shift = 0;
    let byte = 0x80;
    while (byte >= 0x80 && at < end && shift < 35) {
      byte = buf[at++] as number;
      length |= (byte & 0x7f) << shift;
      shift += 7;
    }
    length = (length >>> 1) ^ -(length & 1);
    if (byte >= 0x80 || length < 6) break;
    at += length;
    count++;
  }
  if (at === end && count === batch.count) return null;
  return refused(ErrorCode.INVALID_RECORD, `The batch says ${batch.count} records but holds ${count}${at === end ? '' : ', the last of them cut off'}.`);
}

interface Window {
  readonly earliest: number;
  readonly latest: number;
}

/** Null when every timestamp will do. */
function timestampWindow({ config, now }: AdmissionRules): Window | null {
  if (config['message.timestamp.type'] === 'LogAppendTime') return null;
  const either = config['message.timestamp.difference.max.ms'];
  const before = Math.min(config['message.timestamp.before.max.ms'], either);
  const after = Math.min(config['message.timestamp.after.max.ms'], either);
  if (before > NO_WINDOW && after > NO_WINDOW) return null;
  return { earliest: before > NO_WINDOW ? Number.NEGATIVE_INFINITY : now - before, latest: after > NO_WINDOW ? Number.POSITIVE_INFINITY : now + after };
}

function keylessRecords(cursor: RecordCursor, label: string): Refused | null {
  const bad: RecordError[] = [];
  for (let i = 0; cursor.next(); i++) {
    if (cursor.key() === null)
      bad.push({ batchIndex: i, batchIndexErrorMessage: `Compacted topic cannot accept message without key in topic partition ${label}` });
  }
  return bad.length === 0 ? null : refused(ErrorCode.INVALID_RECORD, rejection(bad), bad);
}

function windowErrors(cursor: RecordCursor, window: Window | null): Refused | null {
  const bad: RecordError[] = [];
  for (let i = 0; cursor.next(); i++) {
    const { timestamp } = cursor;
    if (window === null || timestamp === -1 || (timestamp >= window.earliest && timestamp <= window.latest)) continue;
    bad.push({ batchIndex: i, batchIndexErrorMessage: outOfWindow(i, timestamp, window) });
  }
  return bad.length === 0 ? null : refused(ErrorCode.INVALID_TIMESTAMP, 'One or more records have been rejected due to invalid timestamp', bad);
}

function outOfWindow(index: number, timestamp: number, { earliest, latest }: Window): string {
  return `Timestamp ${timestamp} of message with offset ${index} is out of range. The timestamp should be within [${earliest}, ${latest}]`;
}

/** Kafka's sentence for records that were refused one by one. */
function rejection(errors: readonly RecordError[]): string {
  const shown = errors
    .slice(0, 3)
    .map(({ batchIndex, batchIndexErrorMessage }) => `RecordError(batchIndex=${batchIndex}, message='${batchIndexErrorMessage}')`);
  return `One or more records have been rejected due to ${errors.length} record errors in total, and only showing the first three errors at most: [${shown.join(', ')}]`;
}
