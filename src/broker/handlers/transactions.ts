/**
 * What transactional producers ask (KIP-98, KIP-360): InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn
 * (keys 22, 24, 25, 26). The rules are in coordinator/transactions.ts; here are rights, versions and shapes.
 * EndTxn is answered when the decision and every marker are on disk.
 */
import { AddOffsetsToTxn } from '../../kafka/apis/add-offsets-to-txn.ts';
import { AddPartitionsToTxn } from '../../kafka/apis/add-partitions-to-txn.ts';
import { EndTxn } from '../../kafka/apis/end-txn.ts';
import { InitProducerId } from '../../kafka/apis/init-producer-id.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import { partitionFor } from '../coordinator/machine.ts';
import { fencedCode, type TransactionCommand, type TransactionReply } from '../coordinator/transactions.ts';
import { handle, type RequestContext } from '../request.ts';
import { OFFSETS_TOPIC } from '../storage/topics.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

/** From these versions on a client knows PRODUCER_FENCED. */
const KNOWS_FENCED = { init: 4, others: 2 } as const;

function mayUse(transactionalId: string, { broker, client }: RequestContext): boolean {
  return broker.authorizer.allowed(client, OPERATION.write, RESOURCE.transactionalId, transactionalId);
}

/** Asks the coordinator; a disk that refuses is an error code. */
function ask(command: TransactionCommand, context: RequestContext): Promise<TransactionReply> {
  return unlessDiskRefuses(context.broker.transactions.run(command), context, () => UNAVAILABLE);
}
const UNAVAILABLE: TransactionReply = { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE };

export const initProducerId = handle(InitProducerId, async (request, context) => {
  const { broker, client, version } = context;
  const refuse = (errorCode: number) => ({ errorCode, producerId: -1, producerEpoch: -1 });
  const { transactionalId } = request;
  const oneOfTwo = (request.producerId === -1) !== (request.producerEpoch === -1);
  const takeId = (): Promise<number | null> => unlessDiskRefuses(broker.producerIds.take(), context, () => null);
  if (transactionalId === null) {
    const may =
      broker.authorizer.allowed(client, OPERATION.idempotentWrite, RESOURCE.cluster, CLUSTER_NAME) ||
      broker.authorizer.allowedAny(client, OPERATION.write, RESOURCE.topic);
    if (!may) return refuse(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
    if (oneOfTwo) return refuse(ErrorCode.INVALID_REQUEST);
    const producerId = await takeId();
    return producerId === null ? refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE) : { errorCode: ErrorCode.NONE, producerId, producerEpoch: 0 };
  }
  if (!mayUse(transactionalId, context)) return refuse(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
  if (oneOfTwo) return refuse(ErrorCode.INVALID_REQUEST);
  const freshId = await takeId();
  if (freshId === null) return refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE);
  const { transactionTimeoutMs: timeoutMs, producerEpoch } = request;
  const command = { kind: 'init', transactionalId, timeoutMs, producerId: request.producerId, epoch: producerEpoch, freshId } as const;
  const { errorCode, producerId, epoch } = await ask(command, context);
  return { errorCode: fencedCode(errorCode, version >= KNOWS_FENCED.init), producerId: producerId ?? -1, producerEpoch: epoch ?? -1 };
});

export const addPartitionsToTxn = handle(AddPartitionsToTxn, async (request, context) => {
  const { version } = context;
  const topics = request.v3AndBelowTopics;
  const verdicts = topics.map(({ name, partitions }) => partitions.map((index) => refusal(name, index, context)));
  const anyRefused = verdicts.flat().some((errorCode) => errorCode !== ErrorCode.NONE);
  const shape = (answer: (t: number, p: number) => number) => ({
    errorCode: ErrorCode.NONE,
    resultsByTransaction: [],
    resultsByTopicV3AndBelow: topics.map(({ name, partitions }, t) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex, p) => ({ partitionIndex, partitionErrorCode: answer(t, p) })),
    })),
  });
  if (!mayUse(request.v3AndBelowTransactionalId, context)) return shape(() => ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
  if (anyRefused) return shape((t, p) => verdicts[t]?.[p] || ErrorCode.OPERATION_NOT_ATTEMPTED);
  const { errorCode } = await ask(
    {
      kind: 'add',
      transactionalId: request.v3AndBelowTransactionalId,
      producerId: request.v3AndBelowProducerId,
      epoch: request.v3AndBelowProducerEpoch,
      topics: topics.map(({ name, partitions }) => ({ topic: name, partitions })),
    },
    context,
  );
  return shape(() => fencedCode(errorCode, version >= KNOWS_FENCED.others));
});

function refusal(topic: string, index: number, { broker, client }: RequestContext): number {
  if (!broker.authorizer.allowed(client, OPERATION.write, RESOURCE.topic, topic)) return ErrorCode.TOPIC_AUTHORIZATION_FAILED;
  return broker.topics.partition(topic, index) ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
}

export const addOffsetsToTxn = handle(AddOffsetsToTxn, async (request, context) => {
  const { broker, client, version } = context;
  if (!mayUse(request.transactionalId, context)) return { errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED };
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, request.groupId)) return { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED };
  const { errorCode } = await ask(
    {
      kind: 'add',
      transactionalId: request.transactionalId,
      producerId: request.producerId,
      epoch: request.producerEpoch,
      topics: [{ topic: OFFSETS_TOPIC, partitions: [partitionFor(request.groupId, broker.config.own['offsets.topic.num.partitions'])] }],
    },
    context,
  );
  return { errorCode: fencedCode(errorCode, version >= KNOWS_FENCED.others) };
});

export const endTxn = handle(EndTxn, async (request, context) => {
  if (!mayUse(request.transactionalId, context)) return { errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED };
  const { errorCode } = await ask(
    {
      kind: 'end',
      transactionalId: request.transactionalId,
      producerId: request.producerId,
      epoch: request.producerEpoch,
      commit: request.committed,
    },
    context,
  );
  return { errorCode: fencedCode(errorCode, context.version >= KNOWS_FENCED.others) };
});
