/** OffsetCommit (key 8): answered when the offsets are on disk in __consumer_offsets. */
import { OffsetCommit } from '../../kafka/apis/offset-commit.ts';
import { TxnOffsetCommit } from '../../kafka/apis/txn-offset-commit.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { partitionFor } from '../coordinator/machine.ts';
import { handle, type RequestContext } from '../request.ts';
import { OFFSETS_TOPIC } from '../storage/topics.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

interface Topic {
  readonly name: string;
  readonly partitions: readonly { readonly partitionIndex: number }[];
}

export const offsetCommit = handle(OffsetCommit, (request, context) => {
  const refused = refusal(request.groupId, context);
  if (refused !== ErrorCode.NONE) return { topics: refuse(request.topics, refused) };
  const answer = context.broker.groups.run({ kind: 'commit', request, version: context.version, exists: existence(context) });
  return unlessDiskRefuses(answer, context, () => ({ topics: refuse(request.topics, ErrorCode.COORDINATOR_NOT_AVAILABLE) }));
});

/** TxnOffsetCommit (key 28): offsets that count when their transaction commits; answered when they are on disk. */
export const txnOffsetCommit = handle(TxnOffsetCommit, async (request, context) => {
  const { broker, client } = context;
  const mayWrite = broker.authorizer.allowed(client, OPERATION.write, RESOURCE.transactionalId, request.transactionalId);
  const refused = mayWrite ? refusal(request.groupId, context) : ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
  if (refused !== ErrorCode.NONE) return { topics: refuse(request.topics, refused) };
  const { transactionalId, producerId, producerEpoch: epoch, groupId } = request;
  const offsets = partitionFor(groupId, broker.config.own['offsets.topic.num.partitions']);
  const fenced = broker.transactionState.verifyPartition({ transactionalId, producerId, epoch }, OFFSETS_TOPIC, offsets);
  if (fenced !== ErrorCode.NONE) return { topics: refuse(request.topics, fenced) };
  const answer = broker.groups.run({ kind: 'txn-commit', request, exists: existence(context) });
  return unlessDiskRefuses(answer, context, () => ({ topics: refuse(request.topics, ErrorCode.COORDINATOR_NOT_AVAILABLE) }));
});

function refusal(groupId: string, { broker, client }: RequestContext): number {
  return broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, groupId) ? ErrorCode.NONE : ErrorCode.GROUP_AUTHORIZATION_FAILED;
}

/** A partition this client may not read does not exist for it. */
function existence({ broker, client }: RequestContext): (topic: string, partition: number) => boolean {
  return (topic, partition) =>
    broker.topics.partition(topic, partition) !== undefined && broker.authorizer.allowed(client, OPERATION.read, RESOURCE.topic, topic);
}

function refuse(topics: readonly Topic[], errorCode: number) {
  return topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })) }));
}
