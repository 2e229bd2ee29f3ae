/** Requests about producer ids and transactions, in and out of order. */
import { AddOffsetsToTxn } from '../../src/kafka/apis/add-offsets-to-txn.ts';
import { AddPartitionsToTxn } from '../../src/kafka/apis/add-partitions-to-txn.ts';
import { DescribeProducers } from '../../src/kafka/apis/describe-producers.ts';
import { DescribeTransactions } from '../../src/kafka/apis/describe-transactions.ts';
import { EndTxn } from '../../src/kafka/apis/end-txn.ts';
import { Fetch } from '../../src/kafka/apis/fetch.ts';
import { FindCoordinator } from '../../src/kafka/apis/find-coordinator.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { ListTransactions } from '../../src/kafka/apis/list-transactions.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import { Produce } from '../../src/kafka/apis/produce.ts';
import { TxnOffsetCommit } from '../../src/kafka/apis/txn-offset-commit.ts';
import { WriteTxnMarkers } from '../../src/kafka/apis/write-txn-markers.ts';
import { batchOf } from '../integration/broker-harness.ts';
import type { Pair } from './protocol-pair.ts';
import { fetching, producing } from './protocol-records.ts';
import { creation, make } from './protocol-topics.ts';

const AT = Date.now();
interface Producer {
  readonly producerId: number;
  readonly producerEpoch: number;
}
type Producers = readonly [ours: Producer, real: Producer];

async function init(pair: Pair, transactionalId: string | null, more: object = {}): Promise<Producers> {
  await pair.until('coordinator', FindCoordinator, { coordinatorKeys: ['t'], keyType: 1 }, ({ coordinators }) => coordinators[0]?.errorCode === 0);
  await pair.until(
    'coordinator',
    InitProducerId,
    { transactionalId: `warm-${transactionalId}`, transactionTimeoutMs: 60_000 },
    ({ errorCode }) => errorCode === 0,
  );
  return pair.last(`${transactionalId}`, InitProducerId, { transactionalId, transactionTimeoutMs: 60_000, ...more });
}

const of = ({ producerId, producerEpoch }: Producer) => ({ producerId, producerEpoch });

async function initializing(pair: Pair): Promise<void> {
  const ids = await init(pair, 'init');
  await pair.each('idempotent', InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
  await pair.each('again', InitProducerId, (version) => ({ transactionalId: `again-${version}`, transactionTimeoutMs: 60_000 }));
  await pair.each('empty id', InitProducerId, { transactionalId: '', transactionTimeoutMs: 60_000 });
  for (const transactionTimeoutMs of [0, -1, 900_001, 1])
    await pair.each(`timeout ${transactionTimeoutMs}`, InitProducerId, { transactionalId: 'timeouts', transactionTimeoutMs });
  await pair.last('idempotent with timeout 0', InitProducerId, { transactionalId: null, transactionTimeoutMs: 0 });
  const ask = (what: string, id: string | null, producer: (side: 0 | 1) => object) =>
    pair.last(what, InitProducerId, (side) => ({ transactionalId: id, transactionTimeoutMs: 60_000, ...producer(side) }));
  await ask('own epoch', 'init', (side) => of(ids[side]));
  await ask('own epoch again', 'init', (side) => of(ids[side]));
  await ask('newer epoch', 'init', (side) => ({ ...of(ids[side]), producerEpoch: 9 }));
  await ask('other producer', 'init', () => ({ producerId: 987_654, producerEpoch: 0 }));
  await ask('epoch without id', 'init', () => ({ producerId: -1, producerEpoch: 3 }));
  await ask('id without epoch', 'init', (side) => ({ producerId: ids[side].producerId, producerEpoch: -1 }));
  await ask('idempotent with id', null, (side) => of(ids[side]));
  await ask('unknown with id', 'never-seen', () => ({ producerId: 5, producerEpoch: 0 }));
}

async function transacting(pair: Pair): Promise<void> {
  await make(pair, creation('t', { numPartitions: 2 }));
  const p = await init(pair, 'tx');
  const high = pair.range(AddPartitionsToTxn)[1];
  const add = (what: string, version: number, id: string, topics: readonly (readonly [string, number[]])[], change: (one: Producer) => object = of) =>
    pair.ask(what, AddPartitionsToTxn, version, (side) => {
      const { producerId, producerEpoch } = change(p[side]) as Producer;
      return {
        v3AndBelowTransactionalId: id,
        v3AndBelowProducerId: producerId,
        v3AndBelowProducerEpoch: producerEpoch,
        v3AndBelowTopics: topics.map(([name, partitions]) => ({ name, partitions })),
      };
    });
  const end = (what: string, committed: boolean, id = 'tx', change: (one: Producer) => object = of) =>
    pair.each(what, EndTxn, (_, side) => ({ transactionalId: id, committed, ...change(p[side]) }));
  const older = (one: Producer) => ({ ...of(one), producerEpoch: -1 });
  const newer = (one: Producer) => ({ ...of(one), producerEpoch: one.producerEpoch + 5 });
  const other = (one: Producer) => ({ ...of(one), producerId: one.producerId + 100_000 });
  await end('commit of nothing', true);
  await end('abort of nothing', false);
  await end('unknown id', true, 'unknown-tx');
  await end('empty id', true, '');
  await end('older epoch', true, 'tx', older);
  await end('newer epoch', true, 'tx', newer);
  await end('other producer', true, 'tx', other);
  const batch = (side: 0 | 1, baseSequence = 0, more: object = {}) => batchOf(['a'], { at: AT, transactional: true, ...of(p[side]), baseSequence, ...more });
  await pair.last('before it was added', Produce, (side) => producing('t', batch(side), { transactionalId: 'tx' }));
  for (const version of [0, 1, high]) {
    await add('nowhere', version, 'tx', [
      ['t', [0]],
      ['nowhere', [0]],
    ]);
    await add('unknown partition', version, 'tx', [['t', [9]]]);
    await add('negative partition', version, 'tx', [['t', [-1]]]);
    await add('unknown id', version, 'unknown-tx', [['t', [0]]]);
    await add('empty id', version, '', [['t', [0]]]);
    await add('older epoch', version, 'tx', [['t', [0]]], older);
    await add('newer epoch', version, 'tx', [['t', [0]]], newer);
    await add('other producer', version, 'tx', [['t', [0]]], other);
    await add('nothing', version, 'tx', []);
    await add('good', version, 'tx', [['t', [0]]]);
    await add('again', version, 'tx', [['t', [0]]]);
  }
  await pair.last('good', Produce, (side) => producing('t', batch(side), { transactionalId: 'tx' }));
  await pair.last('no transactional id', Produce, (side) => producing('t', batch(side, 1)));
  await pair.last('plain batch in it', Produce, (side) =>
    producing('t', batchOf(['a'], { at: AT, ...of(p[side]), baseSequence: 1 }), { transactionalId: 'tx' }),
  );
  await pair.last('partition not added', Produce, (side) => producing('t', batch(side), { transactionalId: 'tx' }, 1));
  await pair.last('while open', DescribeTransactions, { transactionalIds: ['tx', 'unknown-tx', ''] });
  await pair.last('while open', DescribeProducers, { topics: [{ name: 't', partitionIndexes: [0] }] });
  await pair.ask('committed, open', Fetch, 11, fetching('t', 0, { isolationLevel: 1 }));
  await pair.ask('uncommitted, open', Fetch, 11, fetching('t', 0));
  for (const isolationLevel of [0, 1])
    await pair.last(`open ${isolationLevel}`, ListOffsets, {
      replicaId: -1,
      isolationLevel,
      topics: [
        {
          name: 't',
          partitions: [
            { partitionIndex: 0, timestamp: -1 },
            { partitionIndex: 1, timestamp: AT },
          ],
        },
      ],
    });
  await offsetsIn(pair, p);
  await listing(pair);
  const high3 = pair.range(EndTxn)[1];
  await pair.ask('abort', EndTxn, high3, (side) => ({ transactionalId: 'tx', committed: false, ...of(p[side]) }));
  await pair.until(
    'the end',
    DescribeTransactions,
    { transactionalIds: ['tx'] },
    ({ transactionStates }) => transactionStates[0]?.transactionState === 'CompleteAbort',
  );
  await pair.ask('abort again', EndTxn, high3, (side) => ({ transactionalId: 'tx', committed: false, ...of(p[side]) }));
  await pair.ask('commit after', EndTxn, high3, (side) => ({ transactionalId: 'tx', committed: true, ...of(p[side]) }));
  await pair.last('aborted', DescribeTransactions, { transactionalIds: ['tx'] });
  await pair.last('aborted', DescribeProducers, { topics: [{ name: 't', partitionIndexes: [0] }] });
  for (const version of [4, 11])
    for (const isolationLevel of [0, 1]) await pair.ask(`aborted ${isolationLevel}`, Fetch, version, fetching('t', 0, { isolationLevel }));
  for (const version of [0, 2, 3]) await pair.ask('aborted, old', Fetch, version, fetching('t', 0));
  await markers(pair, p);
}

async function offsetsIn(pair: Pair, p: Producers): Promise<void> {
  await pair.until('coordinator', FindCoordinator, { coordinatorKeys: ['tx-group'], keyType: 0 }, ({ coordinators }) => coordinators[0]?.errorCode === 0);
  await pair.until('group coordinator', OffsetFetch, { groups: [{ groupId: 'tx-group', topics: null }] }, ({ groups }) => groups[0]?.errorCode === 0);
  const group = (what: string, groupId: string, more: object = {}) =>
    pair.each(what, AddOffsetsToTxn, (_, side) => ({ transactionalId: 'tx', groupId, ...of(p[side]), ...more }));
  const commit = (what: string, more: object = {}, topic: object = {}) =>
    pair.each(what, TxnOffsetCommit, (_, side) => ({
      transactionalId: 'tx',
      groupId: 'tx-group',
      ...of(p[side]),
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 3, committedLeaderEpoch: 0, committedMetadata: '', ...topic }] }],
      ...more,
    }));
  await group('unknown id', 'tx-group', { transactionalId: 'unknown-tx' });
  await group('empty id', 'tx-group', { transactionalId: '' });
  await group('older epoch', 'tx-group', { producerEpoch: -1 });
  await group('other producer', 'tx-group', { producerId: 876_543 });
  await group('empty group', '');
  await group('good', 'tx-group');
  await commit('good');
  await commit('unknown partition', {}, { partitionIndex: 9 });
  await commit('large metadata', {}, { committedMetadata: 'x'.repeat(5000) });
  await commit('empty group', { groupId: '' });
  await commit('no topics', { topics: [] });
  await pair.last('unknown member', TxnOffsetCommit, (side) => ({
    transactionalId: 'tx',
    groupId: 'tx-group',
    ...of(p[side]),
    generationId: 3,
    memberId: 'me',
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 3, committedMetadata: '' }] }],
  }));
  const topics = [{ name: 't', partitionIndexes: [0] }];
  for (const requireStable of [false, true])
    await pair.last(`pending, ${requireStable}`, OffsetFetch, { groups: [{ groupId: 'tx-group', topics }], requireStable });
}

async function listing(pair: Pair): Promise<void> {
  const ask = (what: string, more: object) => pair.each(what, ListTransactions, { stateFilters: [], producerIdFilters: [], ...more });
  await ask('all', {});
  for (const state of ['Ongoing', 'Empty', 'ongoing', 'NoSuch', '']) await ask(`state ${state}`, { stateFilters: [state] });
  await ask('states', { stateFilters: ['Ongoing', 'NoSuch', 'CompleteCommit', 'Other'] });
  await ask('producer', { producerIdFilters: [123_456_789] });
  for (const durationFilter of [0, 1, 3_600_000, -1])
    await pair.last(`duration ${durationFilter}`, ListTransactions, { stateFilters: ['Ongoing'], producerIdFilters: [], durationFilter });
}

async function markers(pair: Pair, p: Producers): Promise<void> {
  const write = (what: string, topics: readonly object[], change: (one: Producer) => object = of) =>
    pair.each(what, WriteTxnMarkers, (_, side) => ({ markers: [{ ...change(p[side]), transactionResult: false, topics, coordinatorEpoch: 0 }] }));
  await write('nowhere', [{ name: 'nowhere', partitionIndexes: [0] }]);
  await write('unknown partition', [{ name: 't', partitionIndexes: [9] }]);
  await write('good', [{ name: 't', partitionIndexes: [1] }]);
  await write('older epoch', [{ name: 't', partitionIndexes: [0] }], (one) => ({ ...of(one), producerEpoch: -1 }));
  await pair.each('none', WriteTxnMarkers, { markers: [] });
}

export const transactionCases = { initializing, transacting };
