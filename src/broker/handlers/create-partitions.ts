/** CreatePartitions (key 37): raises the number of partitions (KIP-195); never lowers it. */
import { CreatePartitions } from '../../kafka/apis/create-partitions.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { RequestOf } from '../../kafka/schema.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import type { Mutations } from '../quotas.ts';
import { handle, type RequestContext } from '../request.ts';
import { manualPlacementError } from './manual-placement.ts';
import { timesNamed } from './repeats.ts';

/** Older clients would take THROTTLING_QUOTA_EXCEEDED for a failure. */
const KNOWS_QUOTA_SINCE = 3;

type Growth = RequestOf<typeof CreatePartitions>['topics'][number];

export const createPartitions = handle(CreatePartitions, async (request, context) => {
  const quota = context.broker.quotas.mutations(context, context.version >= KNOWS_QUOTA_SINCE);
  const results = [];
  const counts = timesNamed(request.topics.map(({ name }) => name));
  for (const growth of request.topics) {
    if (counts.get(growth.name) === 1) results.push(await grow(growth, { validateOnly: request.validateOnly, quota }, context));
  }
  for (const [name, count] of counts) if (count > 1) results.push({ name, errorCode: ErrorCode.INVALID_REQUEST, errorMessage: 'Duplicate topic name.' });
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
  if (!topic) return answer(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const have = topic.partitions.length;
  if (count === have) return answer(ErrorCode.INVALID_PARTITIONS, `Topic already has ${have} partition(s).`);
  if (count < have) return answer(ErrorCode.INVALID_PARTITIONS, `The topic ${name} currently has ${have} partition(s); ${count} would not be an increase.`);
  if (assignments && assignments.length !== count - have) {
    return answer(
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
      `Attempted to add ${count - have} additional partition(s), but only ${assignments.length} assignment(s) were specified.`,
    );
  }
  for (const { brokerIds } of assignments ?? []) {
    const message = manualPlacementError(brokerIds, broker.nodeId);
    if (message !== null) return answer(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message);
  }
  if (validateOnly) return answer(ErrorCode.NONE);
  if (!quota.charge(count - have)) return answer(ErrorCode.THROTTLING_QUOTA_EXCEEDED, errorMessage(ErrorCode.THROTTLING_QUOTA_EXCEEDED));
  const { errorCode, message } = await broker.topics.addPartitions(name, count);
  return answer(errorCode, message ?? null);
}
