import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { CODECS } from '../../../src/lib/codecs.ts';
import { BatchView, checkBatch, place } from '../../../src/records/batch.ts';
import { BatchBuilder, controlBatch } from '../../../src/records/builder.ts';
import { records } from '../../../src/records/cursor.ts';
import { downConvert, type OldMagic, type OldRecord, readMessageSet, upConvert, writeMessageSet } from '../../../src/records/legacy.ts';
import { GZIP_MAGIC0, hex, JAVA, MAGIC1 } from './vectors.ts';

const VALUE = `value-0-${'x'.repeat(26)}`;
const plain = (list: readonly OldRecord[]): unknown[] => list.map((r) => [r.offset, r.timestamp, r.key?.toString() ?? null, r.value?.toString() ?? null]);
const OLD_CODECS = [CODECS.none, CODECS.gzip, CODECS.snappy, CODECS.lz4];

const some: OldRecord[] = [
  { offset: 100, timestamp: 5000, key: Buffer.from('k'), value: Buffer.from('v') },
  { offset: 101, timestamp: 4000, key: null, value: Buffer.alloc(0) },
  { offset: 105, timestamp: -1, key: Buffer.alloc(0), value: null },
];

describe('bytes of real clients', () => {
  test('a message of magic 1', () => {
    const set = readMessageSet(MAGIC1);
    expect([set.magic, set.codec, plain(set.records)]).toEqual([1, 0, [[0, 0x1a1fbd7f930, 'k0', VALUE]]]);
    expect(writeMessageSet(1, set.records).equals(MAGIC1)).toBe(true);
  });

  test('a gzip wrapper of magic 0', () => {
    const set = readMessageSet(GZIP_MAGIC0);
    expect([set.magic, set.codec, plain(set.records)]).toEqual([0, 1, [[0, -1, 'k0', VALUE]]]);
    // Our zlib packs otherwise than Java's; what is inside must be the same.
    const inner = (wrapper: Buffer): Buffer => gunzipSync(wrapper.subarray(26));
    expect(inner(writeMessageSet(0, set.records, { codec: 1 })).equals(inner(GZIP_MAGIC0))).toBe(true);
  });

  test('stored as v2 and down-converted to magic 1, it is the wrapper that Kafka makes', () => {
    const stored = upConvert(GZIP_MAGIC0);
    expect([checkBatch(stored), new BatchView(stored).codec, new BatchView(stored).count, new BatchView(stored).maxTimestamp]).toEqual([null, 1, 1, -1]);
    const down = downConvert(stored, 1);
    expect(down.subarray(16, 30).equals(hex('01 01 ffffffffffffffff ffffffff'))).toBe(true);
    expect(plain(readMessageSet(down).records)).toEqual([[0, -1, 'k0', VALUE]]);
  });

  test('a batch of the Java producer for an old consumer is the message an old producer would have sent', () => {
    const down = downConvert(JAVA[0]!, 1);
    const expected = Buffer.from(MAGIC1);
    expect(down.subarray(26).equals(expected.subarray(26))).toBe(true);
    expect(downConvert(JAVA[0]!, 0).subarray(18).equals(expected.subarray(26))).toBe(true);
  });
});

describe('sets of our own', () => {
  for (const magic of [0, 1] as OldMagic[]) {
    test.each(OLD_CODECS)(`magic ${magic}, codec %i`, (codec) => {
      const set = writeMessageSet(magic, some, { codec });
      const times = magic === 0 ? [-1, -1, -1] : [5000, 4000, -1];
      const expected = [
        [100, times[0], 'k', 'v'],
        [101, times[1], null, ''],
        [105, times[2], '', null],
      ];
      const read = readMessageSet(set);
      expect([read.magic, read.codec, plain(read.records)]).toEqual([magic, codec, expected]);
      if (codec !== 0) expect([set.readInt32BE(4), set.length - 12]).toEqual([105, set.readInt32BE(8)]);
      // a cut-off end is legal
      expect(plain(readMessageSet(Buffer.concat([set, set.subarray(0, 20)])).records)).toEqual(expected);
      const up = upConvert(set);
      expect([checkBatch(up), new BatchView(up).codec]).toEqual([null, codec]);
      expect([...records(new BatchView(up))].map((r) => [r.offset, r.timestamp, r.key?.toString() ?? null])).toEqual([
        [0, times[0], 'k'],
        [1, times[1], null],
        [2, times[2], ''],
      ]);
    });
  }

  test('lz4 of magic 0 has the wrong header checksum, of magic 1 the right one', () => {
    const byte = (magic: OldMagic): number => {
      const set = writeMessageSet(magic, some, { codec: CODECS.lz4 });
      return set[set.indexOf(Buffer.from('04224d18', 'hex')) + 6]!;
    };
    expect(byte(1)).toBe(0x82);
    expect(byte(0)).not.toBe(0x82);
  });

  test('append time on the wrapper is the time of everything inside', () => {
    const set = writeMessageSet(1, some, { codec: CODECS.gzip, logAppendTime: 7777 });
    expect(plain(readMessageSet(set).records).map((r) => (r as unknown[])[1])).toEqual([7777, 7777, 7777]);
  });

  test('wrong inner offsets of a producer do not matter', () => {
    const zeros = some.map((r) => ({ ...r, offset: 0 }));
    for (const magic of [0, 1] as OldMagic[]) {
      const up = upConvert(writeMessageSet(magic, zeros, { codec: CODECS.snappy }));
      expect([...records(new BatchView(up))].map((r) => r.offset)).toEqual([0, 1, 2]);
    }
  });
});

describe('down-conversion', () => {
  const batch = (codec: number, baseOffset: number, options = {}): Buffer => {
    const builder = new BatchBuilder({ codec, producerId: 5, producerEpoch: 0, baseSequence: 0, ...options });
    for (let i = 0; i < 3; i++) builder.append(Buffer.from(`k${i}`), Buffer.from(`v${i}`), 1000 + i, [['h', Buffer.from('x')]]);
    const bytes = builder.finish();
    place(bytes, 0, { baseOffset, leaderEpoch: 3 });
    return bytes;
  };
  const marker = controlBatch({ type: 1, producerId: 5, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 });
  place(marker, 0, { baseOffset: 13, leaderEpoch: 0 });

  test('several batches, a marker, a cut-off end; records below the asked offset go where they are not packed', () => {
    const stored = Buffer.concat([batch(0, 10), marker, batch(1, 14), batch(0, 20).subarray(0, 70)]);
    for (const magic of [0, 1] as OldMagic[]) {
      const read = readMessageSet(downConvert(stored, magic, 11));
      expect(read.records.map((r) => r.offset)).toEqual([11, 12, 14, 15, 16]);
      expect(read.records.map((r) => r.timestamp)).toEqual(magic === 0 ? [-1, -1, -1, -1, -1] : [1001, 1002, 1000, 1001, 1002]);
    }
    expect(downConvert(marker, 1).length).toBe(0);
  });

  test('append time', () => {
    expect(readMessageSet(downConvert(batch(1, 0, { logAppendTime: 99 }), 1)).records.map((r) => r.timestamp)).toEqual([99, 99, 99]);
    expect(readMessageSet(downConvert(batch(0, 0, { logAppendTime: 99 }), 1)).records.map((r) => r.timestamp)).toEqual([99, 99, 99]);
  });

  test('old messages that are stored pass as they are, or lose their timestamp', () => {
    expect(downConvert(MAGIC1, 1).equals(MAGIC1)).toBe(true);
    expect(downConvert(GZIP_MAGIC0, 1).equals(GZIP_MAGIC0)).toBe(true);
    expect(plain(readMessageSet(downConvert(MAGIC1, 0)).records)).toEqual([[0, -1, 'k0', VALUE]]);
  });

  test('zstd cannot be', () => {
    expect(() => downConvert(batch(4, 0), 1)).toThrow(expect.objectContaining({ wireCode: 76 }));
  });
});

test('every byte of a set changed or cut is an error or other bytes, never worse', () => {
  for (const source of [MAGIC1, GZIP_MAGIC0, writeMessageSet(1, some, { codec: CODECS.snappy })]) {
    for (let i = 0; i < source.length; i++) {
      const bad = Buffer.from(source);
      bad[i] = bad[i]! ^ 0x10;
      try {
        const { records: read } = readMessageSet(bad, 10_000);
        // outside the checksum lie the offset and the size only
        expect(i < 12 || read.length === 0).toBe(true);
      } catch (error) {
        expect((error as Error).name).toMatch(/ProtocolError|CodecError/);
      }
      expect(readMessageSet(source.subarray(0, i)).records.length).toBe(0);
    }
  }
});
