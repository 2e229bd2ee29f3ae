/**
 * DescribeTopicPartitions (key 75): topics sorted by name, in pages (KIP-966). The eligible-leader lists are empty, as on
 * a real single broker.
 */
import { DescribeTopicPartitions } from '../../kafka/apis/describe-topic-partitions.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { ZERO_UUID } from '../../kafka/schema.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle, type RequestContext } from '../request.ts';
import { topicOperations } from './authorized-operations.ts';

export const describeTopicPartitions = handle(DescribeTopicPartitions, (request, context) => {
  const { broker } = context;
  const limit = Math.max(1, Math.min(request.responsePartitionLimit, broker.config.own['max.request.partition.size.limit']));
  const { cursor } = request;
  const strange = cursor && (cursor.partitionIndex < 0 || (request.topics.length > 0 && !request.topics.some(({ name }) => name === cursor.topicName)));
  if (strange) return { topics: request.topics.map(({ name }) => failed(name, ErrorCode.INVALID_REQUEST)), nextCursor: null };
  const asked = request.topics.length > 0 ? new Set(request.topics.map(({ name }) => name)) : broker.topics.all().map(({ name }) => name);
  const names = [...asked].sort().filter((name) => !cursor || name >= cursor.topicName);
  const topics = [];
  let left = limit;
  for (const name of names) {
    const from = cursor?.topicName === name ? Math.max(0, cursor.partitionIndex) : 0;
    const count = broker.topics.get(name)?.partitions.length ?? 0;
    if (left === 0) return { topics, nextCursor: { topicName: name, partitionIndex: from } };
    topics.push(describe(name, from, Math.min(count, from + left), context));
    if (from + left < count) return { topics, nextCursor: { topicName: name, partitionIndex: from + left } };
    left -= Math.max(0, count - from);
  }
  return { topics, nextCursor: null };
});

function describe(name: string, from: number, to: number, context: RequestContext) {
  const { broker, client } = context;
  const topic = broker.topics.get(name);
  const allowed = broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.topic, name);
  if (!allowed || !topic) {
    const errorCode = allowed ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : ErrorCode.TOPIC_AUTHORIZATION_FAILED;
    return { ...failed(name, errorCode), topicAuthorizedOperations: allowed ? topicOperations(name, context) : undefined };
  }
  const { nodeId } = broker;
  return {
    errorCode: ErrorCode.NONE,
    name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: topic.partitions.slice(from, to).map((partition) => ({
      errorCode: ErrorCode.NONE,
      partitionIndex: partition.index,
      leaderId: nodeId,
      leaderEpoch: partition.epoch,
      replicaNodes: [nodeId],
      isrNodes: [nodeId],
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: [],
    })),
    topicAuthorizedOperations: topicOperations(name, context),
  };
}

function failed(name: string, errorCode: number) {
  return { errorCode, name, topicId: ZERO_UUID, isInternal: false, partitions: [] };
}
