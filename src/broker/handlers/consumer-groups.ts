/**
 * The new consumer protocol (KIP-848): ConsumerGroupHeartbeat, by which members join, stay and leave (key 68), and
 * ConsumerGroupDescribe for admin tools (key 69). Rules: coordinator/consumer-heartbeat.ts. Refused with
 * UNSUPPORTED_VERSION, as Kafka does, when `group.coordinator.rebalance.protocols` leaves it out.
 */
import { ConsumerGroupDescribe } from '../../kafka/apis/consumer-group-describe.ts';
import { ConsumerGroupHeartbeat } from '../../kafka/apis/consumer-group-heartbeat.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { nothingOf } from '../coordinator/consumer-groups.ts';
import { handle, type RequestContext } from '../request.ts';
import { groupOperations } from './authorized-operations.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';
import { Repeats } from './repeats.ts';

export const consumerGroupHeartbeat = handle(ConsumerGroupHeartbeat, (request, context) => {
  const { broker, client, version } = context;
  const refuse = (errorCode: number, text = errorMessage(errorCode)) => ({ errorCode, errorMessage: text, memberEpoch: 0, heartbeatIntervalMs: 0 });
  if (!isOffered(context)) return refuse(ErrorCode.UNSUPPORTED_VERSION);
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, request.groupId)) return refuse(ErrorCode.GROUP_AUTHORIZATION_FAILED);
  const mayDescribe = (topic: string): boolean => broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.topic, topic);
  if (request.subscribedTopicNames?.some((topic) => !mayDescribe(topic))) return refuse(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
  const clientHost = `/${client.host}`;
  const answer = broker.groups.run({ kind: 'consumer-heartbeat', request, version, clientId: client.clientId, clientHost, mayDescribe });
  return unlessDiskRefuses(answer, context, () => refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE));
});

export const consumerGroupDescribe = handle(ConsumerGroupDescribe, (request, context) => {
  const repeats = new Repeats();
  const groups = request.groupIds.map((groupId) => {
    const group = describe(groupId, context);
    repeats.count(groupId, group.members.length);
    const isTold = request.includeAuthorizedOperations && group.errorCode === ErrorCode.NONE;
    return isTold ? { ...group, authorizedOperations: groupOperations(groupId, context) } : group;
  });
  return { groups };
});

function describe(groupId: string, context: RequestContext) {
  const { broker, client } = context;
  const refuse = (errorCode: number, text: string | null = null) => ({ ...nothingOf(groupId), errorCode, errorMessage: text });
  if (!isOffered(context)) return refuse(ErrorCode.UNSUPPORTED_VERSION);
  if (!broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.group, groupId)) return refuse(ErrorCode.GROUP_AUTHORIZATION_FAILED);
  if (groupId === '') return refuse(ErrorCode.INVALID_GROUP_ID);
  const group = broker.groupState.describeConsumerGroup(groupId);
  const topics = group.members.flatMap(({ assignment, targetAssignment }) =>
    [...assignment.topicPartitions, ...targetAssignment.topicPartitions].map(({ topicName }) => topicName),
  );
  const maySee = topics.every((topic) => broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.topic, topic));
  return maySee ? group : refuse(ErrorCode.TOPIC_AUTHORIZATION_FAILED, 'The group has described topic(s) that the client is not authorized to describe.');
}

function isOffered({ broker }: RequestContext): boolean {
  return broker.config.own['group.coordinator.rebalance.protocols'].includes('consumer');
}
