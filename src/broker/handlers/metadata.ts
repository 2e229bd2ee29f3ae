/**
 * Metadata (key 3): brokers, topics and their leaders. One node leads everything; the address is that of the listener
 * the client came in on. Asking for an unknown topic creates it where client and broker allow it; a real broker answers
 * LEADER_NOT_AVAILABLE first and lets the client ask again, here the first answer already has the partitions.
 */
import { Metadata } from '../../kafka/apis/metadata.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { ZERO_UUID } from '../../kafka/schema.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import type { Mutations } from '../quotas.ts';
import { handle, type RequestContext } from '../request.ts';
import type { Topic } from '../storage/topics.ts';
import { clusterOperations, topicOperations } from './authorized-operations.ts';

const ALL_TOPICS_BEFORE = 1;

export const metadata = handle(Metadata, async (request, context) => {
  const { broker, client, version } = context;
  const { host, port } = broker.addressFor(client);
  const wanted = request.topics;
  if (version < IDS_SINCE && wanted?.some(({ topicId, name }) => topicId !== ZERO_UUID || name === null))
    return { brokers: [], topics: wanted.map(({ topicId, name }) => failed(name ?? '', topicId, ErrorCode.INVALID_REQUEST)) };
  const all = wanted === null || (version < ALL_TOPICS_BEFORE && wanted.length === 0);
  // A client that asks for metadata does not know it is over a quota of changes: it has its topics, and waits afterwards.
  const quota = broker.quotas.mutations(context, false);
  const topics = all
    ? visibleTopics(context).map((topic) => describe(topic, context, request.includeTopicAuthorizedOperations))
    : await namedTopics(request, quota, context);
  return {
    throttleTimeMs: quota.throttleTimeMs(),
    brokers: [{ nodeId: broker.nodeId, host, port }],
    clusterId: broker.clusterId,
    controllerId: broker.nodeId,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? clusterOperations(context) : undefined,
  };
});

interface Wanted {
  readonly topics: readonly { readonly topicId: string; readonly name: string | null }[] | null;
  readonly allowAutoTopicCreation: boolean;
  readonly includeTopicAuthorizedOperations: boolean;
}

/** By id only where the version can say so (Kafka's MetadataRequest). */
const IDS_SINCE = 12;

async function namedTopics(request: Wanted, quota: Mutations, context: RequestContext) {
  const out = [];
  const answered = new Set<string>();
  for (const { topicId, name: given } of request.topics ?? []) {
    // As in Kafka each is told once, however often it is asked for.
    const asked = `${topicId} ${given}`;
    if (answered.has(asked)) continue;
    answered.add(asked);
    // Java 4 asks by id with an empty name.
    const name = topicId === ZERO_UUID ? given : null;
    const known = name === null ? context.broker.topics.byId(topicId) : context.broker.topics.get(name);
    const topicName = name ?? known?.name ?? null;
    if (topicName !== null && !mayDescribe(topicName, context))
      out.push(failed(name, name === null ? topicId : ZERO_UUID, ErrorCode.TOPIC_AUTHORIZATION_FAILED));
    else if (known) out.push(describe(known, context, request.includeTopicAuthorizedOperations));
    else if (name === null) out.push(failed(null, topicId, ErrorCode.UNKNOWN_TOPIC_ID));
    else out.push(await createOrFail(name, request, quota, context));
  }
  return out;
}

async function createOrFail(name: string, request: Wanted, quota: Mutations, context: RequestContext) {
  const { broker, client } = context;
  if (!broker.topics.isLegalName(name)) return failed(name, ZERO_UUID, ErrorCode.INVALID_TOPIC_EXCEPTION);
  const mayCreate =
    broker.authorizer.allowed(client, OPERATION.create, RESOURCE.cluster, 'kafka-cluster') ||
    broker.authorizer.allowed(client, OPERATION.create, RESOURCE.topic, name);
  if (!(request.allowAutoTopicCreation && broker.config.own['auto.create.topics.enable'])) return failed(name, ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  if (!mayCreate) return failed(name, ZERO_UUID, ErrorCode.TOPIC_AUTHORIZATION_FAILED);
  quota.charge(broker.config.own['num.partitions']);
  const { errorCode } = await broker.topics.autoCreate(name);
  const topic = broker.topics.get(name);
  return topic
    ? describe(topic, context, request.includeTopicAuthorizedOperations)
    : failed(name, ZERO_UUID, errorCode || ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
}

/** Kafka makes internal topics when they are first used; here they are there from the start, but not listed before. */
function visibleTopics(context: RequestContext): Topic[] {
  const isUsed = (topic: Topic): boolean => !topic.internal || topic.partitions.some(({ highWatermark }) => highWatermark > 0);
  return context.broker.topics.all().filter((topic) => isUsed(topic) && mayDescribe(topic.name, context));
}

function mayDescribe(name: string, { broker, client }: RequestContext): boolean {
  return broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.topic, name);
}

function describe(topic: Topic, context: RequestContext, withOperations: boolean) {
  const { nodeId } = context.broker;
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.internal,
    partitions: topic.partitions.map((partition) => ({
      errorCode: ErrorCode.NONE,
      partitionIndex: partition.index,
      leaderId: nodeId,
      leaderEpoch: partition.epoch,
      replicaNodes: [nodeId],
      isrNodes: [nodeId],
    })),
    topicAuthorizedOperations: withOperations ? topicOperations(topic.name, context) : undefined,
  };
}

function failed(name: string | null, topicId: string, errorCode: number) {
  return { errorCode, name, topicId, isInternal: false, partitions: [], topicAuthorizedOperations: undefined };
}
