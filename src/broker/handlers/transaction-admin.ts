/**
 * What admin tools ask about transactions: DescribeTransactions, ListTransactions (keys 65, 66, KIP-664), and
 * WriteTxnMarkers (key 27), with which `kafka-transactions abort` ends a transaction that nobody else will.
 */
import { DescribeTransactions } from '../../kafka/apis/describe-transactions.ts';
import { ListTransactions } from '../../kafka/apis/list-transactions.ts';
import { WriteTxnMarkers } from '../../kafka/apis/write-txn-markers.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';
import { Repeats } from './repeats.ts';

export const describeTransactions = handle(DescribeTransactions, (request, { broker, client }) => {
  const repeats = new Repeats();
  const transactionStates = request.transactionalIds.map((transactionalId) => {
    const known = broker.transactionState.describe(transactionalId);
    repeats.count(
      transactionalId,
      known.topics.reduce((sum, { partitions }) => sum + partitions.length, 0),
    );
    if (broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.transactionalId, transactionalId)) return known;
    return { ...known, errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, transactionState: '', producerId: -1, producerEpoch: -1, topics: [] };
  });
  return { transactionStates };
});

export const listTransactions = handle(ListTransactions, (request, { broker, client }) => {
  const found = broker.transactionState.list(request, broker.clock.now());
  return {
    ...found,
    transactionStates: found.transactionStates.filter(({ transactionalId }) =>
      broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.transactionalId, transactionalId),
    ),
  };
});

export const writeTxnMarkers = handle(WriteTxnMarkers, async ({ markers }, { broker, client }) => {
  const may = broker.authorizer.allowed(client, OPERATION.clusterAction, RESOURCE.cluster, CLUSTER_NAME);
  const out = [];
  for (const { producerId, producerEpoch, transactionResult, topics, coordinatorEpoch } of markers) {
    const results = may
      ? await broker.writeMarkers({
          producerId,
          epoch: producerEpoch,
          commit: transactionResult,
          coordinatorEpoch,
          topics: topics.map(({ name, partitionIndexes }) => ({ topic: name, partitions: partitionIndexes })),
        })
      : new Map<string, number>();
    out.push({
      producerId,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          errorCode: may ? (results.get(`${name}-${partitionIndex}`) ?? ErrorCode.NONE) : ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        })),
      })),
    });
  }
  return { markers: out };
});
