/** `kafka-dump-log` of a `.log` file: a line per batch, on request a line per record. */
import { basename } from 'node:path';
import { CODECS } from '../../lib/codecs.ts';
import { crc32, crc32c } from '../../lib/crc32c.ts';
import { errorText } from '../../lib/errors.ts';
import { addSequence, type BatchView } from '../../records/batch.ts';
import { readControl } from '../../records/builder.ts';
import { RecordCursor } from '../../records/cursor.ts';
import { readMessageSet } from '../../records/legacy.ts';
import { LogFile } from './log-file.ts';
import { err, out } from './output.ts';
import type { RecordDecoder } from './record-decoders.ts';

export interface LogDump {
  readonly isDeep: boolean;
  /** Shows keys and values; undefined = they are not asked for. */
  readonly decode: RecordDecoder | undefined;
  readonly skipMetadata: boolean;
  /** Reads no further. */
  readonly maxBytes: number;
}

const CODEC_NAMES = Object.fromEntries(Object.entries(CODECS).map(([name, number]) => [number, name]));

/** Pairs of offsets that do not follow each other, by file; printed at the end. */
export type Jumps = Map<string, [number, number][]>;

export function dumpLog(path: string, dump: LogDump, jumps: Jumps): void {
  const file = new LogFile(path);
  out(`Log starting offset: ${Number.parseInt(basename(path), 10)}\n`);
  let validBytes = 0;
  let lastOffset = -1;
  let text = '';
  const flush = (): void => {
    out(text);
    text = '';
  };
  try {
    for (const { position, batch } of file.batches(0, dump.maxBytes)) {
      text += batchLine(batch, position);
      validBytes = position + batch.sizeBytes;
      if (dump.isDeep) {
        try {
          for (const { offset, line } of recordLines(batch, dump)) {
            if (lastOffset >= 0 && offset !== lastOffset + 1) jumps.set(path, [...(jumps.get(path) ?? []), [lastOffset, offset]]);
            lastOffset = offset;
            text += line;
          }
        } catch (error) {
          flush();
          err(`The records of the batch at position ${position} cannot be read: ${errorText(error)}\n`);
        }
      }
      if (text.length > 100_000) flush();
    }
  } finally {
    file.close();
  }
  const rest = file.sizeBytes - validBytes;
  if (rest > 0 && dump.maxBytes === Number.POSITIVE_INFINITY) text += `Found ${rest} invalid bytes at the end of ${basename(path)}\n`;
  flush();
}

function timestampType(batch: BatchView): string {
  if (batch.magic === 0) return 'NoTimestampType';
  const attributes = batch.magic === 2 ? batch.attributes : (batch.buf[batch.at + 17] as number);
  return attributes & 0x08 ? 'LogAppendTime' : 'CreateTime';
}

function batchLine(batch: BatchView, position: number): string {
  const isNew = batch.magic === 2;
  const { buf, at } = batch;
  const end = at + batch.sizeBytes;
  const head = isNew ? newHead(batch) : `offset: ${batch.baseOffset}`;
  const codec = (isNew ? batch.attributes : (buf[at + 17] as number)) & 7;
  const maxTimestamp = isNew ? batch.maxTimestamp : batch.magic === 1 ? Number(buf.readBigInt64BE(at + 18)) : -1;
  const stored = isNew ? batch.crc : buf.readUInt32BE(at + 12);
  const isValid = stored === (isNew ? crc32c(buf, at + 21, end) : crc32(buf, at + 16, end));
  return (
    `${head} position: ${position} ${timestampType(batch)}: ${maxTimestamp} size: ${batch.sizeBytes} magic: ${batch.magic} ` +
    `compresscodec: ${CODEC_NAMES[codec] ?? `unknown(${codec})`} crc: ${stored} isvalid: ${isValid}\n`
  );
}

function newHead(batch: BatchView): string {
  const horizon = batch.deleteHorizonMs < 0 ? 'OptionalLong.empty' : `OptionalLong[${batch.deleteHorizonMs}]`;
  return (
    `baseOffset: ${batch.baseOffset} lastOffset: ${batch.lastOffset} count: ${batch.count} baseSequence: ${batch.baseSequence} lastSequence: ${batch.lastSequence} ` +
    `producerId: ${batch.producerId} producerEpoch: ${batch.producerEpoch} partitionLeaderEpoch: ${batch.leaderEpoch} isTransactional: ${batch.isTransactional} ` +
    `isControl: ${batch.isControl} deleteHorizonMs: ${horizon}`
  );
}

interface RecordLine {
  readonly offset: number;
  readonly line: string;
}

function* recordLines(batch: BatchView, dump: LogDump): Generator<RecordLine> {
  if (batch.magic !== 2) {
    yield* oldRecordLines(batch, dump);
    return;
  }
  const cursor = new RecordCursor(batch);
  const type = timestampType(batch);
  while (cursor.next()) {
    let metadata = '';
    if (!dump.skipMetadata) {
      const names = cursor.headers().map(([name]) => name);
      const sequence = batch.baseSequence < 0 ? -1 : addSequence(batch.baseSequence, cursor.offsetDelta);
      metadata = `offset: ${cursor.offset} ${type}: ${cursor.timestamp} keySize: ${cursor.keyLength} valueSize: ${cursor.valueLength} sequence: ${sequence} headerKeys: [${names.join(',')}]`;
      if (batch.isControl) metadata += ` ${markerText(batch)}`;
    }
    yield {
      offset: cursor.offset,
      line: recordLine(metadata, batch.isControl ? '' : contentText(dump, { offset: cursor.offset, key: cursor.key(), value: cursor.value() })),
    };
  }
}

/** Blanks at the end belong to what the record holds. */
function recordLine(metadata: string, content: string): string {
  const parts = [metadata, content].filter((part) => part !== '');
  return parts.length === 0 ? '\n' : `| ${parts.join(' ')}\n`;
}

function markerText(batch: BatchView): string {
  const control = readControl(batch);
  return control === null ? 'controlType: UNKNOWN' : `endTxnMarker: ${control.type === 1 ? 'COMMIT' : 'ABORT'} coordinatorEpoch: ${control.coordinatorEpoch}`;
}

function contentText({ decode }: LogDump, { offset, key, value }: { offset: number; key: Buffer | null; value: Buffer | null }): string {
  if (decode === undefined) return '';
  const shown = decode(key, value, offset);
  return [shown.key === undefined ? '' : `key: ${shown.key}`, shown.payload === undefined ? '' : `payload: ${shown.payload}`]
    .filter((part) => part !== '')
    .join(' ');
}

/** Records of an old message, which may be a packed set of them. */
function* oldRecordLines(batch: BatchView, dump: LogDump): Generator<RecordLine> {
  const stored = batch.buf.readUInt32BE(batch.at + 12);
  for (const { offset, timestamp, key, value } of readMessageSet(batch.bytes).records) {
    const metadata = `offset: ${offset} ${timestampType(batch)}: ${timestamp} keySize: ${key?.length ?? -1} valueSize: ${value?.length ?? -1} isValid: true crc: ${stored}`;
    yield { offset, line: recordLine(dump.skipMetadata ? '' : metadata, contentText(dump, { offset, key, value })) };
  }
}
