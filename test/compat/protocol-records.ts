/** Requests about records: what may be produced, and what comes back of it. */
import { DeleteRecords } from '../../src/kafka/apis/delete-records.ts';
import { DescribeProducers } from '../../src/kafka/apis/describe-producers.ts';
import { Fetch } from '../../src/kafka/apis/fetch.ts';
import { FindCoordinator } from '../../src/kafka/apis/find-coordinator.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { OffsetForLeaderEpoch } from '../../src/kafka/apis/offset-for-leader-epoch.ts';
import { Produce } from '../../src/kafka/apis/produce.ts';
import { seal } from '../../src/records/batch.ts';
import { writeMessageSet } from '../../src/records/legacy.ts';
import { batchOf } from '../integration/broker-harness.ts';
import type { Pair } from './protocol-pair.ts';
import { creation, make } from './protocol-topics.ts';

/** One time for all, so that both get the same bytes. */
const AT = Date.now();
const V2 = 3;

/** A request for one partition. */
export function producing(name: string, records: Buffer | null, more: object = {}, index = 0): { acks: number; timeoutMs: number; topicData: object[] } {
  return { acks: -1, timeoutMs: 10_000, topicData: [{ name, partitionData: [{ index, records }] }], ...more };
}

/** Changes header bytes of a batch and makes its checksum right again. */
function bent(change: (batch: Buffer) => void, options: object = {}, values: readonly string[] = ['a', 'b']): Buffer {
  const batch = Buffer.from(batchOf(values, { at: AT, ...options }));
  change(batch);
  seal(batch);
  return batch;
}

/** A batch that says of itself to have so many records and such a last offset. */
const counted = (count: number, lastOffsetDelta: number, values?: readonly string[]): Buffer =>
  bent(
    (batch) => {
      batch.writeInt32BE(count, 57);
      batch.writeInt32BE(lastOffsetDelta, 23);
    },
    {},
    values,
  );

/** A copy with another number at a place, its checksum not mended. */
function overwritten(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32BE(5, at);
  return copy;
}

const message = (value: string, magic: 0 | 1): Buffer => writeMessageSet(magic, [{ offset: 0, timestamp: AT, key: null, value: Buffer.from(value) }]);

const ODD_BATCHES: readonly (readonly [what: string, records: () => Buffer | null])[] = [
  ['null', () => null],
  ['empty', () => Buffer.alloc(0)],
  ['three bytes', () => Buffer.alloc(3)],
  ['zeros', () => Buffer.alloc(100)],
  ['cut', () => batchOf(['a', 'b'], { at: AT }).subarray(0, 70)],
  ['cut in the header', () => batchOf(['a'], { at: AT }).subarray(0, 40)],
  ['two batches', () => Buffer.concat([batchOf(['a'], { at: AT }), batchOf(['b'], { at: AT })])],
  ['batch and rubbish', () => Buffer.concat([batchOf(['a'], { at: AT }), Buffer.alloc(5)])],
  ['bad checksum', () => overwritten(batchOf(['a'], { at: AT }), 17)],
  ['magic 3', () => bent((batch) => batch.writeInt8(3, 16))],
  ['magic -1', () => bent((batch) => batch.writeInt8(-1, 16))],
  ['base offset 7', () => bent((batch) => batch.writeInt32BE(7, 4))],
  ['last offset delta', () => bent((batch) => batch.writeInt32BE(5, 23))],
  ['negative delta', () => bent((batch) => batch.writeInt32BE(-1, 23))],
  ['count above', () => bent((batch) => batch.writeInt32BE(9, 57))],
  ['count below', () => bent((batch) => batch.writeInt32BE(1, 57))],
  ['count and delta above', () => counted(9, 8)],
  ['count 0', () => bent((batch) => batch.writeInt32BE(0, 57))],
  ['no records', () => counted(0, 0, [])],
  ['codec 5', () => bent((batch) => batch.writeInt16BE(5, 21))],
  ['codec 7', () => bent((batch) => batch.writeInt16BE(7, 21))],
  ['not gzip', () => bent((batch) => batch.writeInt16BE(1, 21))],
  ['not zstd', () => bent((batch) => batch.writeInt16BE(4, 21))],
  ['control', () => batchOf(['a'], { at: AT, control: true })],
  ['append time', () => bent((batch) => batch.writeInt16BE(8, 21))],
  ['unknown attribute', () => bent((batch) => batch.writeInt16BE(0x80, 21))],
  ['delete horizon', () => bent((batch) => batch.writeInt16BE(0x40, 21))],
  ['transactional without id', () => batchOf(['a'], { at: AT, transactional: true, producerId: 77, producerEpoch: 0, baseSequence: 0 })],
  ['sequence without producer', () => bent((batch) => batch.writeInt32BE(5, 53))],
  ['producer without sequence', () => bent((batch) => batch.writeInt32BE(-1, 53), { producerId: 78, producerEpoch: 0, baseSequence: 0 })],
  ['unknown producer', () => batchOf(['a'], { at: AT, producerId: 12_345, producerEpoch: 0, baseSequence: 0 })],
  ['unknown producer, later', () => batchOf(['a'], { at: AT, producerId: 12_346, producerEpoch: 0, baseSequence: 5 })],
  ['leader epoch', () => bent((batch) => batch.writeInt32BE(99, 12))],
  ['wrong largest timestamp', () => bent((batch) => batch.writeInt32BE(1, 35))],
  ['no timestamps', () => batchOf(['a'], { at: -1 })],
  ['of 1970', () => batchOf(['a'], { at: 5 })],
  ['of tomorrow', () => batchOf(['a'], { at: AT + 90_000_000 })],
  ['null value', () => batchOf([null], { at: AT })],
  ['gzip', () => batchOf(['a', 'b'], { at: AT, codec: 1 })],
  ['zstd', () => batchOf(['a', 'b'], { at: AT, codec: 4 })],
];

async function producingTo(pair: Pair): Promise<void> {
  await make(pair, creation('p', { numPartitions: 2 }));
  await pair.until('coordinator', FindCoordinator, { coordinatorKeys: ['g'], keyType: 0 }, ({ coordinators }) => coordinators[0]?.errorCode === 0);
  const batch = batchOf(['a', 'b'], { at: AT });
  const high = pair.range(Produce)[1];
  for (const version of [V2, 7, high]) {
    await pair.ask('good', Produce, version, producing('p', batch));
    for (const acks of [1, 2, -2, 100]) await pair.ask(`acks ${acks}`, Produce, version, producing('p', batch, { acks }));
    await pair.ask('acks 0', Produce, version, producing('p', batch, { acks: 0 }), { silent: true });
    await make(pair, creation(`odd${version}`, { numPartitions: ODD_BATCHES.length }));
    for (const [i, [what, records]] of ODD_BATCHES.entries()) {
      // Kafka never answers: once is enough to wait for.
      if (what === 'null' && version !== high) continue;
      await pair.ask(what, Produce, version, producing(`odd${version}`, records(), {}, i));
      await pair.ask(`${what} of produce v${version}`, Fetch, 11, fetching(`odd${version}`, 0, {}, { partition: i }));
    }
    await pair.ask('nowhere', Produce, version, producing('nowhere', batch));
    await pair.ask('unknown partition', Produce, version, producing('p', batch, {}, 2));
    await pair.ask('negative partition', Produce, version, producing('p', batch, {}, -1));
    await pair.ask('bad name', Produce, version, producing('a b', batch));
    await pair.ask('internal', Produce, version, producing('__consumer_offsets', batch, {}, 2));
    await pair.ask('no topics', Produce, version, { acks: -1, timeoutMs: 1000, topicData: [] });
    await pair.ask('no partitions', Produce, version, { acks: -1, timeoutMs: 1000, topicData: [{ name: 'p', partitionData: [] }] });
    await pair.ask('two partitions', Produce, version, {
      acks: 1,
      timeoutMs: 1000,
      topicData: [{ name: 'p', partitionData: [0, 1, 5].map((index) => ({ index, records: batch })) }],
    });
    await pair.ask('transactional id', Produce, version, producing('p', batch, { transactionalId: 'nobody' }));
    await pair.ask('timeout 0', Produce, version, producing('p', batch, { timeoutMs: 0 }));
  }
  await pair.ask('acks 0 to nowhere', Produce, high, producing('nowhere', batch, { acks: 0 }), { silent: true, on: 'lost' });
  await pair.ask('all of it', Fetch, 11, fetching('p', 0));
}

async function oldFormats(pair: Pair): Promise<void> {
  await make(pair, creation('old'));
  for (const version of [0, 1, 2]) {
    for (const magic of [0, 1] as const) {
      await pair.ask(`magic ${magic}`, Produce, version, producing('old', message('v', magic)));
      await pair.ask(`magic ${magic} twice`, Produce, version, producing('old', Buffer.concat([message('v', magic), message('w', magic)])));
    }
    await pair.ask('empty', Produce, version, producing('old', Buffer.alloc(0)));
    await pair.ask('cut', Produce, version, producing('old', message('value', 1).subarray(0, 30)));
    await pair.ask('bad checksum', Produce, version, producing('old', overwritten(message('v', 1), 12)));
    await pair.ask('format 2', Produce, version, producing('old', batchOf(['a'], { at: AT })));
    await pair.ask('acks 2', Produce, version, producing('old', message('v', 1), { acks: 2 }));
    await pair.ask('nowhere', Produce, version, producing('nowhere', message('v', 1)));
  }
  for (const version of [V2, 7, 11])
    for (const magic of [0, 1] as const) await pair.ask(`magic ${magic}`, Produce, version, producing('old', message('v', magic)));
  for (const version of [0, 1, 2, 3, 4, 7]) {
    await pair.ask('old', Fetch, version, fetching('old', 0));
    await pair.ask('old from 3', Fetch, version, fetching('old', 3));
  }
}

async function refusing(pair: Pair): Promise<void> {
  const topics = {
    small: ['max.message.bytes', '100'],
    compacted: ['cleanup.policy', 'compact'],
    both: ['cleanup.policy', 'compact,delete'],
    before: ['message.timestamp.before.max.ms', '1000000'],
    after: ['message.timestamp.after.max.ms', '1000000'],
    append: ['message.timestamp.type', 'LogAppendTime'],
    gzip: ['compression.type', 'gzip'],
    uncompressed: ['compression.type', 'uncompressed'],
    segments: ['segment.bytes', '200'],
  } as const;
  await make(pair, ...Object.entries(topics).map(([name, [key, value]]) => creation(name, { configs: [{ name: key, value }] })));
  for (const version of [V2, 8, 11]) {
    for (const name of Object.keys(topics)) {
      const ask = (what: string, records: Buffer) => pair.ask(`${name} ${what}`, Produce, version, producing(name, records));
      await ask('plain', batchOf(['a', 'b'], { at: AT }));
      await ask('keyed', batchOf(['a', 'b'], { at: AT, keys: ['k', 'l'] }));
      await ask('half keyed', batchOf(['a', 'b', 'c'], { at: AT, keys: ['k', null, null] }));
      await ask('gzip', batchOf(['a', 'b'], { at: AT, keys: ['k', 'l'], codec: 1 }));
      await ask('large', batchOf(['a'.repeat(500)], { at: AT, keys: ['k'] }));
      await ask('of 1970', batchOf(['a'], { at: 5, keys: ['k'] }));
      await ask('of tomorrow', batchOf(['a'], { at: AT + 90_000_000, keys: ['k'] }));
      await ask('no time', batchOf(['a'], { at: -1, keys: ['k'] }));
    }
  }
  for (const name of ['append', 'uncompressed', 'before']) await pair.ask(name, Fetch, 11, fetching(name, 0));
}

async function sequences(pair: Pair): Promise<void> {
  await make(pair, creation('seq'));
  await pair.until('producer ids', InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 }, ({ errorCode }) => errorCode === 0);
  const [ours, real] = await pair.last('plain', InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
  const id = (side: 0 | 1): number => [ours, real][side]!.producerId;
  const ask = (what: string, baseSequence: number, producerEpoch = 0, values = ['a']) =>
    pair.last(what, Produce, (side) => producing('seq', batchOf(values, { at: AT, producerId: id(side), producerEpoch, baseSequence })));
  await ask('first', 0);
  await ask('duplicate', 0);
  await ask('gap', 5);
  await ask('next', 1, 0, ['a', 'b']);
  await ask('overlap', 2);
  await ask('negative', -1);
  for (let i = 3; i < 10; i++) await ask(`number ${i}`, i);
  await ask('old duplicate', 0);
  await ask('recent duplicate', 8);
  await ask('newer epoch, not from 0', 4, 1);
  await ask('newer epoch', 0, 1);
  await ask('older epoch', 10, 0);
  await ask('negative epoch', 1, -1);
  await pair.last('unknown with sequence', Produce, () => producing('seq', batchOf(['a'], { at: AT, producerId: 999_999, producerEpoch: 3, baseSequence: 8 })));
  const show = (what: string, topics: readonly object[]) => pair.last(what, DescribeProducers, { topics });
  await show('seq', [{ name: 'seq', partitionIndexes: [0, 1, -1] }]);
  await show('odd', [
    { name: 'nowhere', partitionIndexes: [0] },
    { name: 'a b', partitionIndexes: [0] },
    { name: 'seq', partitionIndexes: [] },
  ]);
  await show('none', []);
}

interface Named {
  readonly topic: string;
}

/** A fetch of one partition by name; ids are added where they are needed. */
export function fetching(topic: string, fetchOffset: number, more: object = {}, part: object = {}): object {
  return {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1_000_000,
    topics: [{ topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000, ...part }] }],
    ...more,
  };
}

async function fetchingFrom(pair: Pair): Promise<void> {
  await make(pair, creation('f', { numPartitions: 2 }));
  for (let i = 0; i < 5; i++) await pair.last('fill', Produce, producing('f', batchOf([`${i}`.repeat(100)], { at: AT + i })));
  await pair.last('trim', DeleteRecords, { topics: [{ name: 'f', partitions: [{ partitionIndex: 0, offset: 1 }] }], timeoutMs: 5000 });
  const [ours, real] = await pair.last('id', Metadata, { topics: [{ name: 'f' }] });
  const topicId = (side: 0 | 1): string => [ours, real][side]!.topics[0]!.topicId;
  const byId = (side: 0 | 1, request: object): object => {
    const { topics, forgottenTopicsData, ...rest } = request as { topics: Named[]; forgottenTopicsData?: Named[] };
    const named = <T extends { readonly topic: string }>(one: T) => ({ ...one, topicId: one.topic === 'f' ? topicId(side) : 'AAAAAAAAAAAAAAAAAAAAAQ' });
    return { ...rest, topics: topics.map(named), ...(forgottenTopicsData && { forgottenTopicsData: forgottenTopicsData.map(named) }) };
  };
  const high = pair.range(Fetch)[1];
  for (const version of [0, 4, 7, 11, 12, high]) {
    const ask = (what: string, request: object) => pair.ask(what, Fetch, version, (side) => byId(side, request), { on: `fetch ${version}` });
    await ask('good', fetching('f', 1));
    await ask('from the middle', fetching('f', 3));
    await ask('at the end', fetching('f', 5));
    await ask('beyond', fetching('f', 6));
    await ask('before', fetching('f', 0));
    await ask('negative', fetching('f', -1));
    await ask('nowhere', fetching('nowhere', 0));
    await ask('unknown partition', fetching('f', 0, {}, { partition: 9 }));
    await ask('negative partition', fetching('f', 0, {}, { partition: -1 }));
    await ask('older epoch', fetching('f', 1, {}, { currentLeaderEpoch: -5 }));
    await ask('epoch 0', fetching('f', 1, {}, { currentLeaderEpoch: 0 }));
    await ask('newer epoch', fetching('f', 1, {}, { currentLeaderEpoch: 9 }));
    await ask('last fetched epoch', fetching('f', 5, {}, { lastFetchedEpoch: 0, currentLeaderEpoch: 0 }));
    await ask('last fetched epoch beyond', fetching('f', 9, {}, { lastFetchedEpoch: 0, currentLeaderEpoch: 0 }));
    await ask('last fetched epoch unknown', fetching('f', 5, {}, { lastFetchedEpoch: 7, currentLeaderEpoch: 0 }));
    await ask('partition max 0', fetching('f', 1, {}, { partitionMaxBytes: 0 }));
    await ask('partition max 1', fetching('f', 1, {}, { partitionMaxBytes: 1 }));
    await ask('partition max 400', fetching('f', 1, {}, { partitionMaxBytes: 400 }));
    await ask('max 0', fetching('f', 1, { maxBytes: 0 }));
    await ask('max 1', fetching('f', 1, { maxBytes: 1 }));
    await ask('max 400', fetching('f', 1, { maxBytes: 400 }));
    await ask('committed', fetching('f', 1, { isolationLevel: 1 }));
    await ask('isolation 2', fetching('f', 1, { isolationLevel: 2 }));
    await ask('no topics', fetching('f', 1, { topics: [] }));
    await ask('no partitions', { ...fetching('f', 1), topics: [{ topic: 'f', partitions: [] }] });
    const two = [
      { partition: 0, fetchOffset: 1, partitionMaxBytes: 100 },
      { partition: 1, fetchOffset: 0, partitionMaxBytes: 100 },
    ];
    await ask('two', { ...fetching('f', 1), topics: [{ topic: 'f', partitions: two }] });
    await ask('twice', { ...fetching('f', 1), topics: [{ topic: 'f', partitions: [two[0], two[0]] }] });
    await ask('unknown session', fetching('f', 1, { sessionId: 424_242, sessionEpoch: 1 }));
    await ask('close unknown session', fetching('f', 1, { sessionId: 424_242, sessionEpoch: -1 }));
    await ask('replica', fetching('f', 1, { replicaId: 5 }));
    if (version >= 7) await sessions(pair, version, byId);
  }
}

async function sessions(pair: Pair, version: number, byId: (side: 0 | 1, request: object) => object): Promise<void> {
  let session: readonly number[] = [0, 0];
  const ask = (what: string, sessionEpoch: number, request: object) =>
    pair.ask(`session ${what}`, Fetch, version, (side) => byId(side, { ...request, sessionId: session[side], sessionEpoch }), { on: `fetch ${version}` });
  const none = { maxWaitMs: 0, minBytes: 0, maxBytes: 1_000_000, topics: [] };
  session = (await ask('new', 0, fetching('f', 1))).map(({ sessionId }) => sessionId);
  await ask('empty', 1, none);
  await ask('wrong epoch', 7, none);
  await ask('old epoch', 1, none);
  await ask('moved', 2, fetching('f', 5));
  await ask('nothing new', 3, none);
  await ask('unknown added', 4, fetching('nowhere', 0));
  await ask('again', 5, none);
  await ask('forgotten', 6, { ...none, forgottenTopicsData: [{ topic: 'f', partitions: [0] }] });
  await ask('negative epoch', -5, none);
  await ask('closed', -1, none);
  await ask('after', 7, none);
}

async function offsets(pair: Pair): Promise<void> {
  const ask = (what: string, parts: readonly object[], more: object = {}) =>
    pair.each(what, ListOffsets, {
      replicaId: -1,
      topics: [{ name: 'f', partitions: parts.map((part) => ({ partitionIndex: 0, maxNumOffsets: 3, ...part })) }],
      ...more,
    });
  for (const timestamp of [-1, -2, AT, AT + 2, AT + 3, AT + 1000, 0, 5]) await ask(`timestamp ${timestamp < 0 ? timestamp : timestamp - AT}`, [{ timestamp }]);
  for (const timestamp of [-3, -4, -5, -6, -7])
    await pair.last(`timestamp ${timestamp}`, ListOffsets, { replicaId: -1, topics: [{ name: 'f', partitions: [{ partitionIndex: 0, timestamp }] }] });
  for (const version of [5, 6, 7, 8])
    for (const timestamp of [-3, -4, -5])
      await pair.ask(`timestamp ${timestamp}`, ListOffsets, version, {
        replicaId: -1,
        topics: [{ name: 'f', partitions: [{ partitionIndex: 0, timestamp }] }],
      });
  await ask('committed', [{ timestamp: -1 }], { isolationLevel: 1 });
  await ask('epochs', [0, 9, -5].map((currentLeaderEpoch) => ({ timestamp: -1, currentLeaderEpoch, partitionIndex: 0 })).slice(0, 1));
  await ask('newer epoch', [{ timestamp: -1, currentLeaderEpoch: 9 }]);
  await ask('twice', [{ timestamp: -1 }, { timestamp: -2 }]);
  await ask('unknown partitions', [
    { timestamp: -1, partitionIndex: 9 },
    { timestamp: -1, partitionIndex: -1 },
  ]);
  await ask(
    'empty partition',
    [
      { timestamp: -1, partitionIndex: 1 },
      { timestamp: AT, partitionIndex: 1 },
    ].slice(1),
  );
  await ask('no topics', [], { topics: [] });
  await ask('no partitions', []);
  await pair.each('nowhere', ListOffsets, {
    replicaId: -1,
    topics: [{ name: 'nowhere', partitions: [{ partitionIndex: 0, timestamp: -1, maxNumOffsets: 1 }] }],
  });
  await pair.each('replica', ListOffsets, { replicaId: 3, topics: [{ name: 'f', partitions: [{ partitionIndex: 0, timestamp: -1, maxNumOffsets: 1 }] }] });
  const epochs = (what: string, partitions: readonly object[], topic = 'f') =>
    pair.each(what, OffsetForLeaderEpoch, { replicaId: -1, topics: [{ topic, partitions }] });
  for (const leaderEpoch of [0, 1, -1, 100]) await epochs(`epoch ${leaderEpoch}`, [{ partition: 0, leaderEpoch }]);
  await epochs('current newer', [{ partition: 0, leaderEpoch: 0, currentLeaderEpoch: 5 }]);
  await epochs('unknown', [
    { partition: 9, leaderEpoch: 0 },
    { partition: -1, leaderEpoch: 0 },
  ]);
  await epochs('nowhere', [{ partition: 0, leaderEpoch: 0 }], 'nowhere');
  await epochs('empty partition', [{ partition: 1, leaderEpoch: 0 }]);
  await epochs('no partitions', []);
}

async function trimming(pair: Pair): Promise<void> {
  await make(pair, creation('trim', { numPartitions: 2 }), creation('keep', { configs: [{ name: 'cleanup.policy', value: 'compact' }] }));
  for (let i = 0; i < 8; i++) await pair.last('fill', Produce, producing('trim', batchOf(['a'], { at: AT })));
  const ask = (what: string, offset: number, partitionIndex = 0, name = 'trim') =>
    pair.each(what, DeleteRecords, { topics: [{ name, partitions: [{ partitionIndex, offset }] }], timeoutMs: 5000 });
  await ask('to 2', 2);
  await ask('to 1', 1);
  await ask('to 0', 0);
  await ask('beyond', 100);
  await ask('-2', -2);
  await ask('unknown partition', 1, 9);
  await ask('negative partition', 1, -1);
  await ask('empty partition', 0, 1);
  await ask('empty partition to 1', 1, 1);
  await ask('nowhere', 1, 0, 'nowhere');
  await ask('bad name', 1, 0, 'a b');
  await ask('internal', 0, 0, '__consumer_offsets');
  await ask('compacted', 0, 0, 'keep');
  await ask('end', -1);
  await pair.each('none', DeleteRecords, { topics: [], timeoutMs: 5000 });
  await pair.each('no partitions', DeleteRecords, { topics: [{ name: 'trim', partitions: [] }], timeoutMs: 5000 });
  await pair.ask('after', Fetch, 11, fetching('trim', 8));
}

export const recordCases = { producingTo, oldFormats, refusing, sequences, fetchingFrom, offsets, trimming };
