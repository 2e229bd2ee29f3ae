/** The rules of the codec that random values do not reach: versions, null, tags, attached records, int64. */
import { describe, expect, it } from 'vitest';
import { Fetch } from '../../../src/kafka/apis/fetch.ts';
import { JoinGroup } from '../../../src/kafka/apis/join-group.ts';
import { OffsetCommit } from '../../../src/kafka/apis/offset-commit.ts';
import { Produce } from '../../../src/kafka/apis/produce.ts';
import { codec } from '../../../src/kafka/compile.ts';
import { ErrorCode, errorMessage, errorName, isRetriable, needsRefresh } from '../../../src/kafka/errors.ts';
import { encodeResponse } from '../../../src/kafka/headers.ts';
import { murmur2, partitionForKey } from '../../../src/kafka/murmur2.ts';
import { api, array, bytes, int32, int64, range, string, struct, uuid } from '../../../src/kafka/schema.ts';
import { apiByKey, apis, offeredRanges } from '../../../src/kafka/versions.ts';
import { ByteReader, ByteWriter, INT64_MAX } from '../../../src/lib/bytes.ts';
import { ProtocolError } from '../../../src/lib/errors.ts';

const Sample = api(
  9999,
  { name: 'Sample', versions: '0-3', flexible: '2+' },
  {
    id: int32(),
    late: int32().since(1),
    dropped: int32().since(1).ignorable(),
    limit: int64().noLimit(),
    plain: int64(),
    name: string().nullable('3+'),
    rows: array({ key: uuid() }),
    cursor: struct({ topic: string(), at: int32() }).nullable().default(null).since(2),
    extra: string().default('none').tag(3, '2+'),
    first: bytes().tag(1, '2+'),
  },
  {},
);
const base = { id: 1, limit: 0, plain: 0, name: 'x', rows: [] };

function encode(version: number, value: Parameters<ReturnType<typeof codec<typeof Sample>>['encodeRequest']>[1]): Buffer {
  const writer = new ByteWriter();
  codec(Sample, version).encodeRequest(writer, value);
  return writer.finish();
}
const decode = (version: number, data: Buffer) => codec(Sample, version).decodeRequest(new ByteReader(data));

describe('codec', () => {
  it('gives absent fields their default', () => {
    expect(decode(0, encode(0, base))).toEqual({ ...base, late: 0, dropped: 0, cursor: null, extra: 'none', first: Buffer.alloc(0) });
  });

  it('refuses a value that the version cannot carry, unless the field is ignorable', () => {
    expect(() => encode(0, { ...base, late: 5 })).toThrow(/Sample.request.late v0/);
    expect(() => encode(1, { ...base, cursor: { topic: 't', at: 1 } })).toThrow(ProtocolError);
    expect(() => encode(1, { ...base, extra: 'more' })).toThrow(ProtocolError);
    expect(encode(0, { ...base, late: 0, dropped: 5, extra: 'none', cursor: null }).equals(encode(0, base))).toBe(true);
  });

  it('refuses null where the version does, in both directions', () => {
    expect(() => encode(0, { ...base, name: null })).toThrow(/name v0 is null/);
    expect(decode(3, encode(3, { ...base, name: null })).name).toBeNull();
    const compact = encode(3, { ...base, name: null });
    expect(() => decode(2, compact)).toThrow(/name v2 is null/);
    expect(() => encode(1, { ...base, rows: null as never })).toThrow(/rows v1 is null/);
  });

  it('writes tags in ascending order and only when they say something', () => {
    const without = encode(2, base);
    const both = encode(2, { ...base, extra: 'e', first: Buffer.from('f') });
    expect(without.at(-1)).toBe(0);
    expect(both.subarray(without.length - 1).toString('hex')).toBe('02' + '01020266' + '03020265');
    expect(decode(2, both)).toMatchObject({ extra: 'e', first: Buffer.from('f') });
  });

  it('skips unknown tags and refuses known ones of a wrong size or out of order', () => {
    const head = encode(2, base).subarray(0, -1);
    const tags = (hex: string) => Buffer.concat([head, Buffer.from(hex, 'hex')]);
    expect(decode(2, tags('02' + '0203aabbcc' + '03020265')).extra).toBe('e');
    expect(() => decode(2, tags('01' + '0303' + '026500'))).toThrow(/tagged field 3/);
    expect(() => decode(2, tags('02' + '03020265' + '01020266'))).toThrow(/out of order/);
  });

  it('refuses counts that the frame cannot hold before allocating', () => {
    const head = Buffer.from('00000001' + '00'.repeat(8) + '00'.repeat(8) + '000178', 'hex');
    expect(() => decode(0, Buffer.concat([head, Buffer.from('7fffffff', 'hex')]))).toThrow(/2147483647 elements do not fit/);
    expect(() => decode(0, Buffer.concat([head, Buffer.from('80000000', 'hex')]))).toThrow(ProtocolError);
  });

  it('trap 21: keeps -1 and 2^63-1 and never lets a rounded int64 out', () => {
    for (const limit of [-1, 0, 2 ** 53 - 1, -(2 ** 53 - 1), INT64_MAX, -INT64_MAX]) expect(decode(0, encode(0, { ...base, limit })).limit).toBe(limit);
    expect(
      encode(0, { ...base, limit: INT64_MAX })
        .subarray(4, 12)
        .toString('hex'),
    ).toBe('7fffffffffffffff');
    expect(() => encode(0, { ...base, plain: INT64_MAX })).toThrow(/plain v0: 9223372036854776000 is not a whole number within 2\^53/);
    expect(() => encode(0, { ...base, plain: 1.5 })).toThrow(ProtocolError);
    const writer = new ByteWriter();
    const commit = { groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: INT64_MAX, committedMetadata: null }] }] };
    codec(OffsetCommit, 8).encodeRequest(writer, { ...commit, generationIdOrMemberEpoch: -1, memberId: '' });
    expect(codec(OffsetCommit, 8).decodeRequest(new ByteReader(writer.finish())).topics[0]!.partitions[0]!.committedOffset).toBe(INT64_MAX);
  });

  it('refuses a string that does not fit and a uuid that is none', () => {
    expect(() => encode(0, { ...base, name: 'x'.repeat(32_768) })).toThrow(/32768 bytes/);
    expect(() => encode(0, { ...base, rows: [{ key: 'short' }] })).toThrow(/is not a uuid/);
  });

  it('refuses a longer string than Kafka would read, also where the form could say it', () => {
    const longest = 'x'.repeat(32_767);
    expect(decode(2, encode(2, { ...base, name: longest })).name).toBe(longest);
    expect(() => decode(2, encode(2, { ...base, name: `${longest}x` }))).toThrow(/32768 bytes is longer/);
  });

  it('knows its versions', () => {
    expect(() => codec(Sample, 4)).toThrow(/version 4 is outside of 0-3/);
    expect(codec(Sample, 1)).toBe(codec(Sample, 1));
    expect(() => range('3-')).toThrow();
  });
});

describe('responses', () => {
  it('send large records as parts of their own, small ones copied', () => {
    const large = Buffer.alloc(100_000, 1);
    const more = Buffer.alloc(50_000, 2);
    const partitions = [
      { partitionIndex: 0, errorCode: 0, highWatermark: 9, abortedTransactions: null, records: [large, more] },
      { partitionIndex: 1, errorCode: 0, highWatermark: 0, abortedTransactions: [], records: Buffer.from('tiny') },
    ];
    for (const version of [4, 11, 12, 17]) {
      const parts = encodeResponse({ api: Fetch, version, correlationId: 7 }, { responses: [{ topic: 't', partitions }] });
      expect(parts).toHaveLength(4);
      expect(parts[1]).toBe(large);
      expect(parts[2]).toBe(more);
      const whole = Buffer.concat(parts);
      expect(whole.readInt32BE(0)).toBe(whole.length - 4);
      const reader = new ByteReader(whole, version >= 12 ? 9 : 8);
      const body = codec(Fetch, version).decodeResponse(reader);
      expect(reader.remaining).toBe(0);
      expect(body.responses[0]!.partitions[0]!.records!.equals(Buffer.concat([large, more]))).toBe(true);
      expect(body.responses[0]!.partitions[1]!.records!.toString()).toBe('tiny');
    }
  });

  it('trap 6: protocolName is empty before JoinGroup 7 and may be null from then on', () => {
    const failed = { errorCode: 25, memberId: '', leader: '', members: [] };
    const body = (version: number, protocolName: string | null) => encodeResponse({ api: JoinGroup, version, correlationId: 1 }, { ...failed, protocolName });
    expect(() => body(6, null)).toThrow(ProtocolError);
    expect(body(7, null).length).toBe(1);
    expect(body(6, '').length).toBe(1);
  });

  it('records that nobody set are empty, not null', () => {
    const parts = encodeResponse(
      { api: Produce, version: 9, correlationId: 1 },
      { responses: [{ name: 't', partitionResponses: [{ index: 0, errorCode: 3, baseOffset: -1 }] }] },
    );
    expect(parts).toHaveLength(1);
  });
});

describe('versions', () => {
  it('offers what all clients work with', () => {
    const offered = Object.fromEntries(
      offeredRanges(apis).map(({ apiKey, minVersion, maxVersion }) => [apiByKey(apiKey)!.name, `${minVersion}-${maxVersion}`]),
    );
    expect(offered).toMatchObject({ Produce: '0-11', Fetch: '0-17', AddPartitionsToTxn: '0-3', JoinGroup: '0-9', ApiVersions: '0-4', OffsetDelete: '0-0' });
    expect(Object.values(offered).every((text) => text.startsWith('0-'))).toBe(true);
    expect(apiByKey(4)).toBeUndefined();
    expect(apis.map(({ key }) => key)).toEqual([...apis.map(({ key }) => key)].sort((a, b) => a - b));
  });
});

describe('errors', () => {
  it('have names, texts and a retry rule', () => {
    expect(ErrorCode.COORDINATOR_NOT_AVAILABLE).toBe(15);
    expect([errorName(3), errorName(-1), errorName(4711)]).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_SERVER_ERROR', 'error 4711']);
    expect([isRetriable(14), isRetriable(3), isRetriable(25), isRetriable(4711)]).toEqual([true, true, false, false]);
    expect([needsRefresh(3), needsRefresh(14)]).toEqual([true, false]);
    expect(errorMessage(36)).toBe('Topic with this name already exists.');
  });
});

describe('murmur2', () => {
  it('is Java’s', () => {
    const vectors: [string, number][] = [
      ['21', -973932308],
      ['foobar', -790332482],
      ['a-little-bit-long-string', -985981536],
      ['a-little-bit-longer-string', -1486304829],
      ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ];
    for (const [text, hash] of vectors) expect(murmur2(Buffer.from(text)), text).toBe(hash);
    expect(murmur2(Buffer.from('abc'))).toBe(479470107);
    expect(partitionForKey(Buffer.from('21'), 10)).toBe((-973932308 & 0x7fffffff) % 10);
  });
});
