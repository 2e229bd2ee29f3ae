import { describe, expect, test } from 'vitest';
import { CODECS } from '../../../src/lib/codecs.ts';
import { crc32c } from '../../../src/lib/crc32c.ts';
import {
  BatchView,
  batches,
  checkBatch,
  place,
  seal,
  stampCreateTime,
  stampLogAppendTime,
  unpackRecords,
  unpackRecordsAsync,
} from '../../../src/records/batch.ts';
import { BatchBuilder, controlBatch, emptyBatch, filterBatch, readControl, recompress } from '../../../src/records/builder.ts';
import { type PlainRecord, RecordCursor, type RecordHeaders, records } from '../../../src/records/cursor.ts';
import { COMMIT, JAVA, LIBRDKAFKA, TWO_BATCHES } from './vectors.ts';

const VALUE = `value-0-${'x'.repeat(26)}`;
const textOf = (r: PlainRecord): unknown[] => [
  r.offset,
  r.timestamp,
  r.key?.toString() ?? null,
  r.value?.toString() ?? null,
  r.headers.map(([n, v]) => [n, v?.toString() ?? null]),
];
const contents = (batch: BatchView): unknown[] => [...records(batch)].map(textOf);

describe('bytes of real Kafka', () => {
  test('two batches with headers and nulls', () => {
    const [one, two, ...more] = [...batches(TWO_BATCHES)];
    expect(more).toEqual([]);
    expect(checkBatch(TWO_BATCHES)).toBeNull();
    expect([one!.sizeBytes, one!.crc, one!.baseOffset, one!.lastOffset, one!.count, one!.producerId, one!.baseSequence, one!.lastSequence]).toEqual([
      101, 2294469228, 0, 2, 3, 11, 0, 2,
    ]);
    expect(contents(one!)).toEqual([
      [0, 1795226193642, 'k1', 'v1', []],
      [1, 1795226193649, 'k2', 'v2', []],
      [2, 1795226193649, 'h1', 'x\tkey:val', []],
    ]);
    expect([two!.at, checkBatch(TWO_BATCHES, 101), two!.baseOffset, two!.nextOffset]).toEqual([101, null, 3, 5]);
    expect(contents(two!)).toEqual([
      [
        3,
        1795226194854,
        'kk',
        'vv',
        [
          ['h1', 'a'],
          ['h2', 'b'],
        ],
      ],
      [4, 1795226194863, null, null, []],
    ]);
  });

  test('built anew they are the same bytes', () => {
    for (const batch of batches(TWO_BATCHES)) {
      const { baseOffset, leaderEpoch, producerId, producerEpoch, baseSequence } = batch;
      const builder = new BatchBuilder({ baseOffset, leaderEpoch, producerId, producerEpoch, baseSequence }, 10);
      for (const r of records(batch)) builder.append(r.key, r.value, r.timestamp, r.headers);
      expect(builder.finish().toString('hex')).toBe(batch.bytes.toString('hex'));
    }
  });

  test('a commit marker', () => {
    const built = controlBatch({ type: 1, producerId: 4, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 0x1a1fbca96b5 });
    place(built, 0, { baseOffset: 3, leaderEpoch: 0 });
    expect(built.toString('hex')).toBe(COMMIT.toString('hex'));
    const view = new BatchView(COMMIT);
    expect([view.isControl, view.isTransactional, view.codec, view.lastSequence]).toEqual([true, true, 0, -1]);
    expect(readControl(view)).toEqual({ type: 1, coordinatorEpoch: 0 });
  });

  test('produced by librdkafka', () => {
    expect(checkBatch(LIBRDKAFKA)).toBeNull();
    const view = new BatchView(LIBRDKAFKA);
    expect([view.leaderEpoch, view.hasProducer]).toEqual([0, false]);
    expect(contents(view)).toEqual([[0, 0x1a1fbd813fa, null, 'hello', []]]);
  });

  test.each(Object.entries(CODECS))('produced by Java with %s', async (_name, codec) => {
    const bytes = JAVA[codec]!;
    expect(checkBatch(bytes)).toBeNull();
    const view = new BatchView(bytes);
    expect([view.codec, view.producerId]).toEqual([codec, 17 + codec]);
    expect(unpackRecords(view).toString('hex')).toBe(JAVA[0]!.subarray(61).toString('hex'));
    expect((await unpackRecordsAsync(view)).equals(unpackRecords(view))).toBe(true);
    expect(contents(view)).toEqual([[0, view.maxTimestamp, 'k0', VALUE, []]]);
    // and packed by us with another codec, it still says the same
    for (const other of Object.values(CODECS)) {
      const again = recompress(view, other);
      expect(checkBatch(again)).toBeNull();
      expect(contents(new BatchView(again))).toEqual(contents(view));
    }
    expect(recompress(view, CODECS.none).subarray(61).equals(JAVA[0]!.subarray(61))).toBe(true);
  });
});

test('placing a batch leaves its checksum alone', () => {
  const bytes = Buffer.from(JAVA[0]!);
  place(bytes, 0, { baseOffset: 2 ** 40 + 5, leaderEpoch: 7 });
  const view = new BatchView(bytes);
  expect([checkBatch(bytes), view.baseOffset, view.leaderEpoch, view.crc]).toEqual([null, 2 ** 40 + 5, 7, 0x908ee6fc]);
  expect([...records(view)][0]?.offset).toBe(2 ** 40 + 5);
});

test('append time replaces the times of all records, packed or not, and goes away again', () => {
  for (const source of JAVA) {
    const bytes = Buffer.from(source);
    stampLogAppendTime(bytes, 0, 1_800_000_000_000);
    const view = new BatchView(bytes);
    expect([checkBatch(bytes), view.isLogAppendTime, view.maxTimestamp]).toEqual([null, true, 1_800_000_000_000]);
    expect([...records(view)].map((r) => r.timestamp)).toEqual([1_800_000_000_000]);
    stampCreateTime(bytes, 0, new BatchView(source).maxTimestamp);
    expect(bytes.equals(source)).toBe(true);
  }
});

describe('checkBatch names what is wrong', () => {
  const bad = (change: (b: Buffer) => void, resealed = true): ReturnType<typeof checkBatch> => {
    const bytes = Buffer.from(TWO_BATCHES.subarray(0, 101));
    change(bytes);
    if (resealed) seal(bytes);
    return checkBatch(bytes);
  };
  test('each kind', () => {
    expect(bad(() => {})).toBeNull();
    expect(bad((b) => b.writeInt32BE(90, 8), false)).toBe('short');
    expect(bad((b) => b.writeInt32BE(48, 8), false)).toBe('size');
    expect(bad((b) => b.writeInt32BE(-1, 8), false)).toBe('size');
    expect(bad((b) => b.writeInt32BE(0x7fffffff, 8), false)).toBe('short');
    expect(bad((b) => b.writeInt8(1, 16), false)).toBe('magic');
    expect(bad((b) => b.writeInt8(9, 100), false)).toBe('crc');
    expect(bad((b) => b.writeInt32BE(-1, 23))).toBe('count');
    expect(bad((b) => b.writeInt32BE(-1, 57))).toBe('count');
    expect(bad((b) => b.writeInt32BE(4, 57))).toBe('count');
    expect(bad((b) => b.writeInt32BE(2, 57))).toBeNull(); // compaction takes records away
    expect(bad((b) => b.writeInt32BE(0x7fffffff, 0))).toBe('number');
    expect(bad((b) => b.writeInt32BE(-1, 0))).toBe('number');
    expect(bad((b) => b.writeInt32BE(0x7fffffff, 43))).toBe('number');
    expect(checkBatch(TWO_BATCHES, 0, 11)).toBe('short');
  });
});

test('times before the first, none at all, and far apart', () => {
  const times = [1_700_000_000_000, -1, 0, 1_699_999_999_999, 8_640_000_000_000_000, 1_700_000_000_063, 1_700_000_000_064];
  const builder = new BatchBuilder();
  for (const t of times) builder.append(null, null, t);
  const view = new BatchView(builder.finish());
  expect([...records(view)].map((r) => r.timestamp)).toEqual(times);
  expect([view.baseTimestamp, view.maxTimestamp]).toEqual([times[0], times[4]]);
});

test('headers: repeated names, empty, null, long and not ASCII; as text by name', () => {
  const headers: RecordHeaders = [
    ['a', Buffer.from('1')],
    ['a', null],
    ['', Buffer.alloc(0)],
    ['größe', Buffer.from('中文')],
    ['n'.repeat(300), Buffer.alloc(5000, 'x')],
  ];
  const builder = new BatchBuilder({}, 1);
  builder.append(Buffer.alloc(0), Buffer.alloc(0), 5, headers);
  builder.appendEvent(Buffer.from('body'), { host: 'a', größe: '中文', long: 'é'.repeat(100), '': '', ascii: 'y'.repeat(100) }, 6);
  builder.appendEvent(Buffer.alloc(0), {}, 7);
  const cursor = new RecordCursor(new BatchView(builder.finish()));
  expect(cursor.next()).toBe(true);
  expect([cursor.key()?.length, cursor.value()?.length, cursor.headerCount]).toEqual([0, 0, 5]);
  expect(cursor.headers()).toEqual(headers);
  expect(cursor.headerRecord()).toEqual({ a: '', '': '', größe: '中文', ['n'.repeat(300)]: 'x'.repeat(5000) });
  expect(cursor.next()).toBe(true);
  expect([cursor.key(), cursor.value()?.toString(), cursor.offset]).toEqual([null, 'body', 1]);
  expect(cursor.headerRecord()).toEqual({ host: 'a', größe: '中文', long: 'é'.repeat(100), '': '', ascii: 'y'.repeat(100) });
  expect(cursor.next()).toBe(true);
  expect([cursor.headerRecord(), cursor.headers(), cursor.value()?.length]).toEqual([{}, [], 0]);
  expect(cursor.next()).toBe(false);
});

test('a header called __proto__ is a header like any other', () => {
  const builder = new BatchBuilder();
  builder.append(null, null, 0, [['__proto__', Buffer.from('x')]]);
  const cursor = new RecordCursor(new BatchView(builder.finish()));
  cursor.next();
  expect(Object.entries(cursor.headerRecord())).toEqual([['__proto__', 'x']]);
});

test('records that contradict their header are an error', () => {
  const bytes = Buffer.from(TWO_BATCHES.subarray(0, 101));
  bytes.writeInt32BE(2, 57);
  expect(() => [...records(new BatchView(bytes))]).toThrow(/more bytes than records/);
  bytes.writeInt32BE(4, 57);
  expect(() => [...records(new BatchView(bytes))]).toThrow(/ends within a varint/);
});

test('a builder restarts with a fresh or the same slab', () => {
  const builder = new BatchBuilder({ codec: 0 }, 64);
  builder.append(null, Buffer.from('one'), 1);
  const first = builder.finish();
  builder.restart(false);
  builder.append(null, Buffer.from('two'), 2);
  expect(contents(new BatchView(first))).toEqual([[0, 1, null, 'one', []]]);
  expect(contents(new BatchView(builder.finish()))).toEqual([[0, 2, null, 'two', []]]);
  builder.restart(true, { producerId: 9, producerEpoch: 1, baseSequence: 0x7fffffff });
  builder.append(null, Buffer.from('three'), 3);
  builder.append(null, Buffer.from('four'), 3);
  const view = new BatchView(builder.finish());
  expect([view.count, view.producerId, view.lastSequence]).toEqual([2, 9, 0]);
});

test('packed on the pool or not, the same batch', async () => {
  for (const codec of Object.values(CODECS)) {
    const builder = new BatchBuilder({ codec });
    for (let i = 0; i < 1000; i++) builder.append(Buffer.from(`key-${i}`), Buffer.from('some value or other'), 1000 + i);
    const now = builder.finish();
    const later = await builder.finishAsync();
    for (const bytes of [now, later]) {
      expect(checkBatch(bytes)).toBeNull();
      expect(new BatchView(bytes).codec).toBe(codec);
      expect(contents(new BatchView(bytes)).at(-1)).toEqual([999, 1999, 'key-999', 'some value or other', []]);
    }
  }
});

describe('what a cleaner leaves', () => {
  const [one] = [...batches(TWO_BATCHES)];
  test('offsets, producer and last offset stay', () => {
    const left = new BatchView(filterBatch(one!, (r) => r.offset === 1)!);
    expect(checkBatch(left.buf)).toBeNull();
    expect([left.count, left.baseOffset, left.lastOffset, left.producerId, left.baseSequence, left.lastSequence]).toEqual([1, 0, 2, 11, 0, 2]);
    expect(contents(left)).toEqual([[1, 1795226193649, 'k2', 'v2', []]]);
  });
  test('a delete horizon moves the base of the times, not the times', () => {
    const left = new BatchView(filterBatch(one!, () => true, 1_800_000_000_000)!);
    expect([left.deleteHorizonMs, left.baseTimestamp, left.maxTimestamp]).toEqual([1_800_000_000_000, 1_800_000_000_000, 1795226193649]);
    expect(contents(left)).toEqual(contents(one!));
    expect(contents(new BatchView(filterBatch(left, () => true)!))).toEqual(contents(one!));
  });
  test('nothing', () => {
    expect(filterBatch(one!, () => false)).toBeNull();
    const empty = new BatchView(emptyBatch(one!));
    expect([checkBatch(empty.buf), empty.sizeBytes, empty.count, empty.lastOffset, empty.producerId]).toEqual([null, 61, 0, 2, 11]);
    expect(contents(empty)).toEqual([]);
  });
});

test('the checksum of the vectors is CRC-32C from byte 21 on', () => {
  expect(crc32c(COMMIT, 21)).toBe(0xc5ec9710);
});
