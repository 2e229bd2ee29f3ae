/** CreatePartitions (key 37): raises the number of partitions (KIP-195); never lowers it. */
import { CreatePartitions } from '../../kafka/apis/create-partitions.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { RequestOf } from '../../kafka/schema.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import type { Mutations } from '../quotas.ts';
import { handle, type RequestContext } from '../request.ts';

/** Older clients would take THROTTLING_QUOTA_EXCEEDED for a failure. */
const KNOWS_QUOTA_SINCE = 3;

type Growth = RequestOf<typeof CreatePartitions>['topics'][number];

export const createPartitions = handle(CreatePartitions, async (request, context) => {
  const quota = context.broker.quotas.mutations(context, context.version >= KNOWS_QUOTA_SINCE);
  const results = [];
  for (const growth of request.topics) results.push(await grow(growth, { validateOnly: request.validateOnly, quota }, context));
  return { results, throttleTimeMs: quota.throttleTimeMs() };
});

interface Terms {
  readonly validateOnly: boolean;
  readonly quota: Mutations;
}

async function grow(growth: Growth, { validateOnly, quota }: Terms, { broker, client }: RequestContext) {
  const { name, count, assignments } = growth;
  const answer = (errorCode: number, message: string | null = null) => ({ name, errorCode, errorMessage: message });
  if (!broker.authorizer.allowed(client, OPERATION.alter, RESOURCE.topic, name))
    return answer(ErrorCode.TOPIC_AUTHORIZATION_FAILED, errorMessage(ErrorCode.TOPIC_AUTHORIZATION_FAILED));
  const topic = broker.topics.get(name);
  if (!topic) return answer(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION));
  const have = topic.partitions.length;
  if (count === have) return answer(ErrorCode.INVALID_PARTITIONS, `Topic already has ${have} partition(s).`);
  if (count < have) return answer(ErrorCode.INVALID_PARTITIONS, `The topic ${name} currently has ${have} partition(s); ${count} would not be an increase.`);
  if (assignments && assignments.length !== count - have) {
    return answer(
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
      `Increasing the number of partitions by ${count - have} but ${assignments.length} assignments provided.`,
    );
  }
  if (assignments?.some(({ brokerIds }) => brokerIds.length !== 1 || brokerIds[0] !== broker.nodeId)) {
    return answer(ErrorCode.INVALID_REPLICA_ASSIGNMENT, `This is a single node with id ${broker.nodeId}; an assignment may name it alone.`);
  }
  if (validateOnly) return answer(ErrorCode.NONE);
  if (!quota.charge(count - have)) return answer(ErrorCode.THROTTLING_QUOTA_EXCEEDED, errorMessage(ErrorCode.THROTTLING_QUOTA_EXCEEDED));
  const { errorCode, message } = await broker.topics.addPartitions(name, count);
  return answer(errorCode, message ?? null);
}
