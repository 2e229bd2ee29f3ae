/** Which produced batches are refused, and as what: each differs from a good one in one thing. */
import { describe, expect, test } from 'vitest';
import { type AdmissionRules, admit } from '../../../../src/broker/storage/admission.ts';
import { effectiveTopicConfig } from '../../../../src/broker/topic-config.ts';
import { ErrorCode } from '../../../../src/kafka/errors.ts';
import { seal } from '../../../../src/records/batch.ts';
import { BatchBuilder, type BatchOptions } from '../../../../src/records/builder.ts';

const NOW = 1_700_000_000_000;
const KEY = Buffer.from('k');

interface Batch extends BatchOptions {
  readonly key?: Buffer | null;
  readonly at?: number;
}

function batch({ key = KEY, at = NOW, ...options }: Batch = {}): Buffer {
  const builder = new BatchBuilder(options);
  for (let i = 0; i < 3; i++) builder.append(key, Buffer.from(`value ${i}`), at);
  return builder.finish();
}

/** A good batch whose header is changed and sealed again. */
function changed(change: (buf: Buffer) => void): Buffer {
  const buf = batch();
  change(buf);
  seal(buf);
  return buf;
}

function verdict(records: Buffer, config: Readonly<Record<string, string>> = {}, rules: Partial<AdmissionRules> = {}): number {
  const usual = { config: effectiveTopicConfig(config, {}), label: 't-0', oneBatch: true, zstdAllowed: true, now: NOW };
  return admit(records, { ...usual, ...rules }).errorCode;
}

test('a good batch is taken, packed or not', () => {
  for (const codec of [0, 1, 2, 3, 4]) expect(verdict(batch({ codec }))).toBe(0);
});

describe('is refused', () => {
  const { INVALID_RECORD, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_TIMESTAMP, RECORD_LIST_TOO_LARGE } = ErrorCode;
  test.each<[string, Buffer, number]>([
    ['a flipped bit', Buffer.from(batch().map((byte, i, all) => (i === all.length - 1 ? byte ^ 1 : byte))), CORRUPT_MESSAGE],
    ['an unknown format', changed((buf) => buf.writeInt8(3, 16)), CORRUPT_MESSAGE],
    ['two batches', Buffer.concat([batch(), batch()]), INVALID_RECORD],
    ['a base offset', changed((buf) => buf.writeInt32BE(7, 4)), INVALID_RECORD],
    ['a control batch, which only brokers write', batch({ control: true, transactional: true, producerId: 1, producerEpoch: 0 }), INVALID_RECORD],
    ['a producer without a sequence', batch({ producerId: 1, producerEpoch: 0 }), INVALID_RECORD],
    ['more offsets than records', changed((buf) => buf.writeInt32BE(5, 23)), INVALID_RECORD],
    [
      'a count that is not true',
      changed((buf) => {
        buf.writeInt32BE(1, 23);
        buf.writeInt32BE(2, 57);
      }),
      INVALID_RECORD,
    ],
    ['a codec that does not exist', changed((buf) => buf.writeInt16BE(5, 21)), ErrorCode.UNKNOWN_SERVER_ERROR],
  ])('%s', (_name, records, errorCode) => {
    expect(verdict(records)).toBe(errorCode);
  });

  test('what the topic does not allow', () => {
    expect(verdict(batch(), { 'max.message.bytes': '80' })).toBe(MESSAGE_TOO_LARGE);
    expect(verdict(batch(), { 'segment.bytes': '80' })).toBe(RECORD_LIST_TOO_LARGE);
    expect(verdict(batch({ key: null }), { 'cleanup.policy': 'compact' })).toBe(INVALID_RECORD);
    expect(verdict(batch(), { 'cleanup.policy': 'compact' })).toBe(0);
    const window = { 'message.timestamp.before.max.ms': '1000', 'message.timestamp.after.max.ms': '1000' };
    for (const [at, errorCode] of [
      [NOW - 1001, INVALID_TIMESTAMP],
      [NOW - 1000, 0],
      [NOW + 1000, 0],
      [NOW + 1001, INVALID_TIMESTAMP],
    ] as const)
      expect(verdict(batch({ at }), window)).toBe(errorCode);
  });

  test('zstd of clients before Produce 7', () => {
    expect(verdict(batch({ codec: 4 }), {}, { zstdAllowed: false })).toBe(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
  });
});
