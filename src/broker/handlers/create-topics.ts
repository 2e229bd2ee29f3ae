/**
 * CreateTopics (key 19). Every topic of the request gets a result of its own; -1 takes the broker's defaults (KIP-464).
 * One node can hold one replica: more is INVALID_REPLICATION_FACTOR, with Kafka's sentence and what to do.
 * Answered when topic and partitions are on disk and usable.
 */
import { CreateTopics } from '../../kafka/apis/create-topics.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { RequestOf } from '../../kafka/schema.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import { topicConfigEntries } from '../config-entries.ts';
import type { Mutations } from '../quotas.ts';
import { handle, type RequestContext } from '../request.ts';
import { conflictingConfigs, topicConfigError } from '../topic-config.ts';

import { manualPlacementError } from './manual-placement.ts';
import { timesNamed } from './repeats.ts';

/** Older clients would take the code for a failure. */
const KNOWS_QUOTA_SINCE = 6;

type Creation = RequestOf<typeof CreateTopics>['topics'][number];
interface Refusal {
  readonly errorCode: number;
  readonly message: string;
}

export const createTopics = handle(CreateTopics, async (request, context) => {
  const counts = timesNamed(request.topics.map(({ name }) => name));
  const quota = context.broker.quotas.mutations(context, context.version >= KNOWS_QUOTA_SINCE);
  const topics = [];
  for (const creation of request.topics) {
    if (counts.get(creation.name) === 1) topics.push(await createOne(creation, { validateOnly: request.validateOnly, quota }, context));
  }
  for (const [name, count] of counts) {
    if (count > 1) topics.push(failed(name, { errorCode: ErrorCode.INVALID_REQUEST, message: 'Duplicate topic name.' }));
  }
  return { topics, throttleTimeMs: quota.throttleTimeMs() };
});

interface Terms {
  readonly validateOnly: boolean;
  readonly quota: Mutations;
}

async function createOne(creation: Creation, { validateOnly, quota }: Terms, context: RequestContext) {
  const { broker } = context;
  const { name } = creation;
  const refusal = refuse(creation, context);
  if (refusal) return failed(name, refusal);
  const count =
    creation.assignments.length > 0
      ? creation.assignments.length
      : creation.numPartitions === -1
        ? broker.config.own['num.partitions']
        : creation.numPartitions;
  const overrides = Object.fromEntries(creation.configs.map((config) => [config.name, config.value ?? '']));
  if (!validateOnly) {
    if (!quota.charge(count))
      return failed(name, { errorCode: ErrorCode.THROTTLING_QUOTA_EXCEEDED, message: errorMessage(ErrorCode.THROTTLING_QUOTA_EXCEEDED) });
    const { errorCode, message } = await broker.topics.create(name, { partitions: count, overrides });
    if (errorCode !== ErrorCode.NONE) return failed(name, { errorCode, message: message ?? errorMessage(errorCode) });
  }
  return {
    name,
    topicId: broker.topics.get(name)?.id,
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    numPartitions: count,
    replicationFactor: 1,
    configs: topicConfigEntries(overrides, broker.config).map(({ name: key, value, readOnly, source, isSensitive }) => ({
      name: key,
      value,
      readOnly,
      configSource: source,
      isSensitive,
    })),
  };
}

function refuse(creation: Creation, { broker, client }: RequestContext): Refusal | null {
  const { name, numPartitions, replicationFactor, assignments } = creation;
  const may =
    broker.authorizer.allowed(client, OPERATION.create, RESOURCE.cluster, CLUSTER_NAME) ||
    broker.authorizer.allowed(client, OPERATION.create, RESOURCE.topic, name);
  if (!may) return { errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED, message: errorMessage(ErrorCode.TOPIC_AUTHORIZATION_FAILED) };
  const badName = broker.topics.nameError(name);
  if (badName) return { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, message: badName };
  if (broker.topics.get(name)) return { errorCode: ErrorCode.TOPIC_ALREADY_EXISTS, message: `Topic '${name}' already exists.` };
  return (assignments.length > 0 ? refuseAssignments(creation, broker.nodeId) : refuseNumbers(numPartitions, replicationFactor)) ?? refuseConfigs(creation);
}

function refuseAssignments({ numPartitions, replicationFactor, assignments }: Creation, nodeId: number): Refusal | null {
  const unset = replicationFactor !== -1 ? 'replication factor' : numPartitions !== -1 ? 'numPartitions' : null;
  if (unset !== null) return { errorCode: ErrorCode.INVALID_REQUEST, message: `A manual partition assignment was specified, but ${unset} was not set to -1.` };
  const seen = new Set<number>();
  for (const { partitionIndex, brokerIds } of assignments) {
    const message = seen.has(partitionIndex)
      ? `Found multiple manual partition assignments for partition ${partitionIndex}`
      : manualPlacementError(brokerIds, nodeId);
    if (message !== null) return { errorCode: ErrorCode.INVALID_REPLICA_ASSIGNMENT, message };
    seen.add(partitionIndex);
  }
  const indexes = assignments.map(({ partitionIndex }) => partitionIndex).sort((a, b) => a - b);
  if (indexes.some((index, i) => index !== i))
    return { errorCode: ErrorCode.INVALID_REPLICA_ASSIGNMENT, message: 'partitions should be a consecutive 0-based integer sequence' };
  return null;
}

function refuseNumbers(numPartitions: number, replicationFactor: number): Refusal | null {
  if (numPartitions === 0 || numPartitions < -1) {
    return { errorCode: ErrorCode.INVALID_PARTITIONS, message: 'Number of partitions was set to an invalid non-positive value.' };
  }
  if (replicationFactor === 0 || replicationFactor < -1) {
    return { errorCode: ErrorCode.INVALID_REPLICATION_FACTOR, message: 'Replication factor must be larger than 0, or -1 to use the default value.' };
  }
  if (replicationFactor > 1) {
    const message =
      `Unable to replicate the partition ${replicationFactor} time(s): The target replication factor of ${replicationFactor} cannot be reached because only 1 broker(s) are registered.` +
      ' This broker is a single node by design; use a Kafka cluster for replicas.';
    return { errorCode: ErrorCode.INVALID_REPLICATION_FACTOR, message };
  }
  return null;
}

function refuseConfigs({ configs }: Creation): Refusal | null {
  for (const { name, value } of configs) {
    const message = topicConfigError(name, value);
    if (message) return { errorCode: ErrorCode.INVALID_CONFIG, message };
  }
  const message = conflictingConfigs(Object.fromEntries(configs.map(({ name, value }) => [name, value ?? ''])));
  if (message) return { errorCode: ErrorCode.INVALID_CONFIG, message };
  return null;
}

function failed(name: string, { errorCode, message }: Refusal) {
  return { name, topicId: undefined, errorCode, errorMessage: message, numPartitions: -1, replicationFactor: -1, configs: [] };
}
