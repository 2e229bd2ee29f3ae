/** Bytes that real clients and brokers sent (librdkafka 2.0.2, Java 0.9 to 3.9), read and written back. */
import { describe, expect, it } from 'vitest';
import { ApiVersions } from '../../../src/kafka/apis/api-versions.ts';
import { FindCoordinator } from '../../../src/kafka/apis/find-coordinator.ts';
import { InitProducerId } from '../../../src/kafka/apis/init-producer-id.ts';
import { ListOffsets } from '../../../src/kafka/apis/list-offsets.ts';
import { Metadata } from '../../../src/kafka/apis/metadata.ts';
import { OffsetFetch } from '../../../src/kafka/apis/offset-fetch.ts';
import { Produce } from '../../../src/kafka/apis/produce.ts';
import { SyncGroup } from '../../../src/kafka/apis/sync-group.ts';
import { codec } from '../../../src/kafka/compile.ts';
import { decodeAssignment, decodeControlKey, decodeMarkerValue, decodeSubscription, encodeControlKey, encodeMarkerValue } from '../../../src/kafka/embedded.ts';
import { apiVersionsFallback, decodeResponse, encodeRequest, encodeResponse, readRequestHeader } from '../../../src/kafka/headers.ts';
import type { AnyApi } from '../../../src/kafka/schema.ts';
import {
  decodeGroupValue,
  decodeOffsetsKey,
  decodeOffsetValue,
  encodeGroupKey,
  encodeGroupValue,
  encodeOffsetKey,
  encodeOffsetValue,
} from '../../../src/kafka/stored/consumer-offsets.ts';
import { decodeTransactionKey, decodeTransactionValue, encodeTransactionKey, encodeTransactionValue } from '../../../src/kafka/stored/transaction-state.ts';
import { apiByKey } from '../../../src/kafka/versions.ts';
import { ByteReader } from '../../../src/lib/bytes.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/[ /]/g, ''), 'hex');
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Reads a request frame without its size, and checks that writing it again gives the same bytes. */
function request(hex: string) {
  const data = bytes(hex);
  const reader = new ByteReader(data);
  const { api, apiVersion: version, correlationId, clientId } = readRequestHeader(reader, apiByKey);
  const body = codec(api!, version).decodeRequest(reader);
  expect(reader.remaining).toBe(0);
  const frame = Buffer.concat(encodeRequest({ api: api!, version, correlationId, clientId }, body));
  expect(frame.readInt32BE(0)).toBe(data.length);
  expect(frame.subarray(4).toString('hex')).toBe(data.toString('hex'));
  return { name: api!.name, version, correlationId, clientId, body: body as unknown };
}

/** The same for a response. */
function response(api: AnyApi, version: number, hex: string) {
  const data = bytes(hex);
  const reader = new ByteReader(data);
  const correlationId = reader.i32();
  const body = decodeResponse(api, version, reader);
  expect(reader.remaining).toBe(0);
  const frame = Buffer.concat(encodeResponse({ api, version, correlationId }, body));
  expect(frame.readInt32BE(0)).toBe(data.length);
  expect(frame.subarray(4).toString('hex')).toBe(data.toString('hex'));
  return { correlationId, body: body as unknown };
}

describe('requests of real clients', () => {
  it('Metadata 0', () => {
    const seen = request('0003 0000 00000000 000a 70726f64756365722d31 00000001 0002 6878');
    expect(seen).toMatchObject({ name: 'Metadata', version: 0, clientId: 'producer-1', body: { topics: [{ name: 'hx' }], allowAutoTopicCreation: true } });
  });

  it('ApiVersions 3 of librdkafka', () => {
    const seen = request('0012 0003 00000001 0007 72646b61666b61 00 0b 6c696272646b61666b61 06 322e302e32 00');
    expect(seen).toMatchObject({ clientId: 'rdkafka', body: { clientSoftwareName: 'librdkafka', clientSoftwareVersion: '2.0.2' } });
  });

  it('InitProducerId 4 without a transaction', () => {
    const seen = request('0016 0004 00000002 000a 70726f64756365722d31 00 00 7fffffff ffffffffffffffff ffff 00');
    expect(seen.body).toEqual({ transactionalId: null, transactionTimeoutMs: 2147483647, producerId: -1, producerEpoch: -1 });
  });

  it('FindCoordinator 0', () => {
    expect(request('000a 0000 00000000 000a 636f6e73756d65722d31 0003 687867').body).toEqual({ key: 'hxg', keyType: 0, coordinatorKeys: [] });
  });

  it('JoinGroup 1, with the subscription inside', () => {
    const seen = request(
      '000b 0001 00000003 000a 636f6e73756d65722d31 0003 687867 00002710 000493e0 0000 0008 636f6e73756d6572 00000001 0005 72616e6765 0000000e 0000 00000001 0002 6878 00000000',
    );
    const body = seen.body as { sessionTimeoutMs: number; rebalanceTimeoutMs: number; protocols: { name: string; metadata: Buffer }[] };
    expect(body).toMatchObject({ sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 300_000, groupInstanceId: null });
    expect(body.protocols[0]!.name).toBe('range');
    expect(decodeSubscription(body.protocols[0]!.metadata)).toMatchObject({ version: 0, topics: ['hx'], ownedPartitions: [], generationId: -1 });
  });

  it('Produce 2 with a magic-1 message, and its response', () => {
    const value = `76616c75652d302d${'78'.repeat(26)}`;
    const seen = request(
      `0000 0002 00000003 000a 70726f64756365722d31 ffff 00007530 00000001 0002 6878 00000001 00000000 00000046 0000000000000000 0000003a ac79fc91 01 00 000001a1fbd7f930 00000002 6b30 00000022 ${value}`,
    );
    expect(seen.body).toMatchObject({ acks: -1, timeoutMs: 30_000, topicData: [{ name: 'hx', partitionData: [{ index: 0 }] }] });
    const answer = response(Produce, 2, '00000003 00000001 0002 6878 00000001 00000000 0000 0000000000000003 ffffffffffffffff 00000000');
    expect(answer.body).toMatchObject({ responses: [{ partitionResponses: [{ baseOffset: 3, logAppendTimeMs: -1, logStartOffset: -1 }] }] });
  });
});

describe('responses of real brokers', () => {
  it('Metadata 0', () => {
    const seen = response(
      Metadata,
      0,
      '00000000 00000001 00000001 0009 6c6f63616c686f7374 000098b7 00000001 0000 0002 6878 00000001 0000 00000000 00000001 00000001 00000001 00000001 00000001',
    );
    expect(seen.body).toMatchObject({
      brokers: [{ nodeId: 1, host: 'localhost', port: 39_095 }],
      topics: [{ name: 'hx', partitions: [{ leaderId: 1, isrNodes: [1] }] }],
    });
  });

  it('the ApiVersions fallback, 16 bytes', () => {
    const frame = Buffer.concat(apiVersionsFallback(77));
    expect(frame.subarray(4).toString('hex')).toBe(bytes('0000004d 0023 00000001 0012 0000 0004').toString('hex'));
    expect(frame.readInt32BE(0)).toBe(16);
  });

  it('InitProducerId 4', () => {
    expect(response(InitProducerId, 4, '00000002 00 00000000 0000 0000000000000011 0000 00').body).toMatchObject({ producerId: 17, producerEpoch: 0 });
  });

  it('Produce 9', () => {
    const seen = response(Produce, 9, '00000004 00 02 03 6878 02 00000000 0000 000000000000000c ffffffffffffffff 0000000000000000 01 00 00 00 00000000 00');
    expect(seen.body).toMatchObject({ responses: [{ name: 'hx', partitionResponses: [{ baseOffset: 12, recordErrors: [], errorMessage: null }] }] });
  });

  it('FindCoordinator 0', () => {
    expect(response(FindCoordinator, 0, '00000000 0000 00000001 0009 6c6f63616c686f7374 000098b7').body).toMatchObject({ nodeId: 1, port: 39_095 });
  });

  it('SyncGroup 0, with the assignment inside', () => {
    const seen = response(SyncGroup, 0, '00000005 0000 00000016 0000 00000001 0002 6878 00000001 00000000 00000000');
    const { assignment } = seen.body as { assignment: Buffer };
    expect(plain(decodeAssignment(assignment).assignedPartitions)).toEqual([{ topic: 'hx', partitions: [0] }]);
  });

  it('OffsetFetch 2 and ListOffsets 1', () => {
    expect(response(OffsetFetch, 2, '00000006 00000001 0002 6878 00000001 00000000 ffffffffffffffff 0000 0000 0000').body).toMatchObject({
      topics: [{ partitions: [{ committedOffset: -1, metadata: '' }] }],
    });
    expect(response(ListOffsets, 1, '00000007 00000001 0002 6878 00000001 00000000 0000 ffffffffffffffff 0000000000000000').body).toMatchObject({
      topics: [{ partitions: [{ timestamp: -1, offset: 0 }] }],
    });
  });
});

describe('trap 1: ApiVersions', () => {
  it('answers version 3 with a header that has no tagged section', () => {
    const frame = Buffer.concat(encodeResponse({ api: ApiVersions, version: 3, correlationId: 1 }, { errorCode: 0, apiKeys: [] }));
    expect(frame.toString('hex')).toBe(bytes('0000000c 00000001 0000 01 00000000 00').toString('hex'));
  });

  it('reads the header of a newer request up to the correlation id', () => {
    const header = readRequestHeader(new ByteReader(bytes('0012 0005 0000004d ffff')), apiByKey);
    expect(header).toEqual({ apiKey: 18, apiVersion: 5, correlationId: 77, clientId: null, api: undefined });
  });
});

describe('stored records', () => {
  const key = bytes('0001 0015 636f6e736f6c652d636f6e73756d65722d33393735 0002 7431 00000002');
  const value = bytes('0003 0000000000000004 ffffffff 0000 000001a1fbc9bcd8');

  it('committed offset', () => {
    expect(decodeOffsetsKey(key)).toEqual({ kind: 'offset', group: 'console-consumer-3975', topic: 't1', partition: 2 });
    expect(encodeOffsetKey('console-consumer-3975', 't1', 2).equals(key)).toBe(true);
    const decoded = decodeOffsetValue(value);
    expect(decoded).toMatchObject({ version: 3, offset: 4, leaderEpoch: -1, metadata: '', expireTimestamp: -1 });
    expect(encodeOffsetValue(decoded).equals(value)).toBe(true);
  });

  it('group, and keys of later protocols', () => {
    expect(decodeOffsetsKey(encodeGroupKey('g'))).toEqual({ kind: 'group', group: 'g' });
    expect(decodeOffsetsKey(bytes('0003 0001 67'))).toEqual({ kind: 'other', version: 3 });
    const group = { protocolType: 'consumer', generation: 3, protocol: 'range', leader: 'm', currentStateTimestamp: 5, members: [] };
    expect(decodeGroupValue(encodeGroupValue(group))).toEqual({ ...group, version: 3 });
  });

  it('transaction, Empty', () => {
    const id = encodeTransactionKey('tx');
    expect(id.toString('hex')).toBe('000000027478');
    expect(decodeTransactionKey(id)).toBe('tx');
    const stored = bytes('0000 00000000000003f1 0000 00004e20 00 ffffffff 000001a1fbe85b41 ffffffffffffffff');
    const decoded = decodeTransactionValue(stored);
    expect(decoded).toMatchObject({ producerId: 1009, producerEpoch: 0, transactionTimeoutMs: 20_000, transactionStatus: 0, transactionPartitions: null });
    expect(encodeTransactionValue(decoded).equals(stored)).toBe(true);
  });

  it('commit and abort markers', () => {
    expect(encodeControlKey('commit').toString('hex')).toBe('00000001');
    expect(encodeControlKey('abort').toString('hex')).toBe('00000000');
    expect([decodeControlKey(bytes('00000001')), decodeControlKey(bytes('00000000')), decodeControlKey(bytes('00000002'))]).toEqual([
      'commit',
      'abort',
      undefined,
    ]);
    expect(encodeMarkerValue(0).toString('hex')).toBe('000000000000');
    expect(decodeMarkerValue(bytes('000000000007')).coordinatorEpoch).toBe(7);
  });
});
