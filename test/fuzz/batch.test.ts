/** Record batches from random contents, whole, cut and changed: the same comes back, or a fault is named; never a crash. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CodecError } from '../../src/lib/codecs.ts';
import { ProtocolError } from '../../src/lib/errors.ts';
import { BatchView, batches, checkBatch, place, seal } from '../../src/records/batch.ts';
import { BatchBuilder, recompress } from '../../src/records/builder.ts';
import { type PlainRecord, RecordCursor, type RecordHeaders, records } from '../../src/records/cursor.ts';
import { downConvert, readMessageSet, upConvert } from '../../src/records/legacy.ts';

const bytes = (max: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength: max }).map((a) => Buffer.from(a));
const field = fc.option(fc.oneof({ weight: 9, arbitrary: bytes(60) }, { weight: 1, arbitrary: bytes(3000) }), { nil: null });
const header = fc.tuple(fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'grapheme', maxLength: 40 })), field);
const timestamp = fc.oneof(fc.integer({ min: 0, max: 2_000_000_000_000 }), fc.integer({ min: -1, max: 8_640_000_000_000_000 }));
const record = fc.record({ key: field, value: field, timestamp, headers: fc.array(header, { maxLength: 4 }) });
const contents = fc.array(record, { minLength: 1, maxLength: 30 });
const codec = fc.integer({ min: 0, max: 4 });

type Content = { key: Buffer | null; value: Buffer | null; timestamp: number; headers: RecordHeaders };

function build(list: readonly Content[], options = {}): Buffer {
  const builder = new BatchBuilder(options, 64);
  for (const r of list) builder.append(r.key, r.value, r.timestamp, r.headers);
  return builder.finish();
}

const wellFormed = (list: readonly Content[]): readonly Content[] =>
  list.map((r) => ({ ...r, headers: r.headers.map(([name, value]) => [Buffer.from(name).toString(), value] as const) }));

/** Reads everything there is; only the two kinds of error may come out. */
function readAll(batch: BatchView): PlainRecord[] | null {
  try {
    return [...records(batch)];
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof CodecError) return null;
    throw error;
  }
}

test('what was appended comes back, with every codec, after recompression, and placed anywhere', () => {
  fc.assert(
    fc.property(contents, codec, codec, fc.integer({ min: 0, max: 2 ** 52 }), (list, first, second, baseOffset) => {
      const built = build(list, { codec: first });
      place(built, 0, { baseOffset, leaderEpoch: 1 });
      for (const batch of [new BatchView(built), new BatchView(recompress(new BatchView(built), second))]) {
        expect(checkBatch(batch.buf)).toBeNull();
        expect(readAll(batch)).toEqual(wellFormed(list).map((r, i) => ({ offset: baseOffset + i, ...r })));
      }
      expect(new BatchView(built).maxTimestamp).toBe(Math.max(-1, ...list.map((r) => r.timestamp)));
    }),
    { numRuns: 300 },
  );
});

test('events come back as they were', () => {
  const word = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'grapheme', maxLength: 40 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(bytes(100), fc.dictionary(word, word, { maxKeys: 5, noNullPrototype: true })), { minLength: 1, maxLength: 20 }), (events) => {
      const builder = new BatchBuilder({}, 64);
      for (const [body, headers] of events) builder.appendEvent(body, headers, 5);
      const cursor = new RecordCursor(new BatchView(builder.finish()));
      for (const [body, headers] of events) {
        expect(cursor.next()).toBe(true);
        expect(cursor.value()).toEqual(body);
        expect(Object.entries(cursor.headerRecord())).toEqual(Object.entries(headers));
      }
      expect(cursor.next()).toBe(false);
    }),
    { numRuns: 300 },
  );
});

test('cut at every byte: never taken for whole', () => {
  fc.assert(
    fc.property(contents, codec, (list, c) => {
      const built = build(list.slice(0, 5), { codec: c });
      for (let n = 0; n < built.length; n++) {
        expect(checkBatch(built, 0, n)).not.toBeNull();
        expect([...batches(built, 0, n)]).toEqual([]);
      }
    }),
    { numRuns: 30 },
  );
});

test('one bit changed anywhere behind the length: always seen', () => {
  fc.assert(
    fc.property(contents, codec, fc.nat(), fc.integer({ min: 0, max: 7 }), (list, c, where, bit) => {
      const built = build(list, { codec: c });
      const at = 16 + (where % (built.length - 16));
      built[at] = built[at]! ^ (1 << bit);
      expect(checkBatch(built)).not.toBeNull();
    }),
    { numRuns: 1000 },
  );
});

test('damaged and sealed again, or nothing but noise: an error or records, never worse', () => {
  fc.assert(
    fc.property(contents, codec, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 5 }), (list, c, changes) => {
      const built = build(list, { codec: c });
      for (const [where, value] of changes) built[21 + (where % (built.length - 21))] = value;
      seal(built);
      if (checkBatch(built) === null) readAll(new BatchView(built));
      try {
        downConvert(built, 1);
      } catch (error) {
        expect(error instanceof ProtocolError || error instanceof CodecError).toBe(true);
      }
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(bytes(300), (noise) => {
      checkBatch(noise);
      for (const batch of batches(noise)) if (checkBatch(batch.buf, batch.at) === null) readAll(batch);
      try {
        readMessageSet(noise, 10_000);
      } catch (error) {
        expect(error instanceof ProtocolError || error instanceof CodecError).toBe(true);
      }
    }),
    { numRuns: 1000 },
  );
});

test('down to old formats and up again: keys, values and, in format 1, timestamps', () => {
  fc.assert(
    fc.property(contents, fc.integer({ min: 0, max: 3 }), fc.constantFrom(0 as const, 1 as const), (list, c, magic) => {
      const again = new BatchView(upConvert(downConvert(build(list, { codec: c }), magic)));
      expect(checkBatch(again.buf)).toBeNull();
      expect(readAll(again)).toEqual(list.map((r, offset) => ({ offset, key: r.key, value: r.value, timestamp: magic === 1 ? r.timestamp : -1, headers: [] })));
    }),
    { numRuns: 300 },
  );
});
