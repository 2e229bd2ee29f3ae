/** `kafka-topics --describe`: topics with leaders, replicas, in-sync replicas and configs, in the forms of 3.9 and 2.2. */
import { DescribeConfigs } from '../../kafka/apis/describe-configs.ts';
import { DescribeTopicPartitions } from '../../kafka/apis/describe-topic-partitions.ts';
import { ListPartitionReassignments } from '../../kafka/apis/list-partition-reassignments.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { type Cluster, check, type TopicMetadata } from './cluster.ts';
import type { Options } from './options.ts';
import { out } from './output.ts';
import { selectTopics, TopicFault, type TopicJob } from './topic-actions.ts';

const TOPIC_RESOURCE = 2;
const SOURCE_TOPIC = 1;
const SOURCE_DEFAULT = 5;

interface Partition {
  readonly index: number;
  readonly leaderId: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  /** Undefined when the broker does not say. */
  readonly elr: readonly number[] | undefined;
  readonly lastKnownElr: readonly number[] | undefined;
}

interface Topic {
  readonly name: string;
  readonly id: string;
  readonly partitions: readonly Partition[];
}

interface TopicConfig {
  readonly name: string;
  readonly value: string | null;
  readonly source: number;
}

export async function describeTopics(job: TopicJob): Promise<void> {
  const { cluster, options } = job;
  const wanted = await wantedTopics(job);
  if (wanted.length === 0) return;
  const topics = await withPartitions(cluster, wanted, options);
  const configs = await configsOf(
    cluster,
    topics.map(({ name }) => name),
  );
  const moving = await reassignments(cluster);
  const live = new Set(cluster.brokers.map(({ nodeId }) => nodeId));
  const print = options.has('zookeeper') ? OLD : NEW;
  for (const topic of topics) {
    const all = configs.get(topic.name) ?? [];
    if (options.has('topics-with-overrides') && !all.some(({ source }) => source === SOURCE_TOPIC)) continue;
    const filtered = PARTITION_FILTERS.some((name) => options.has(name));
    if (!filtered) out(print.topic(topic, all, moving));
    if (options.has('topics-with-overrides')) continue;
    const minIsr = Number(all.find(({ name }) => name === 'min.insync.replicas')?.value ?? 1);
    for (const partition of topic.partitions)
      if (!filtered || passes(partition, { options, minIsr, live, moving, topic })) out(print.partition(topic, partition, moving));
  }
}

/** Options that leave only some partitions. */
export const PARTITION_FILTERS: readonly string[] = [
  'under-replicated-partitions',
  'unavailable-partitions',
  'under-min-isr-partitions',
  'at-min-isr-partitions',
];

function passes(
  partition: Partition,
  { options, minIsr, live, moving, topic }: { options: Options; minIsr: number; live: ReadonlySet<number>; moving: Moving; topic: Topic },
): boolean {
  const adding = moving.get(`${topic.name}-${partition.index}`)?.adding ?? [];
  const replicas = partition.replicas.length - adding.length;
  return (
    (options.has('under-replicated-partitions') && partition.isr.length < replicas) ||
    (options.has('unavailable-partitions') && (partition.leaderId < 0 || !live.has(partition.leaderId))) ||
    (options.has('under-min-isr-partitions') && partition.isr.length < minIsr) ||
    (options.has('at-min-isr-partitions') && partition.isr.length === minIsr)
  );
}

async function wantedTopics(job: TopicJob): Promise<TopicMetadata[]> {
  const id = job.options.get('topic-id');
  if (id === undefined) return selectTopics(job, true);
  const bytes = Buffer.from(id, 'base64url').length;
  if (bytes !== 16)
    throw new TopicFault(`Input string \`${id}\` decoded as ${bytes} bytes, which is not equal to the expected 16 bytes of a base64-encoded UUID`);
  const { topics } = await job.cluster.metadata(null);
  const found = topics.filter(({ topicId }) => topicId === id);
  if (found.length === 0 && !job.options.has('if-exists')) throw new TopicFault(`TopicId '${id}' does not exist as expected`);
  return found;
}

/** Asks DescribeTopicPartitions, which also tells eligible leader replicas; else what Metadata said. */
async function withPartitions(cluster: Cluster, topics: readonly TopicMetadata[], options: Options): Promise<Topic[]> {
  const connection = cluster.entry;
  if (connection.versionOf(DescribeTopicPartitions) < 0) return topics.map(plain);
  const byName = new Map<string, { id: string; partitions: Partition[] }>();
  let cursor: { topicName: string; partitionIndex: number } | null = null;
  do {
    const answer: Awaited<ReturnType<typeof askPartitions>> = await askPartitions(cluster, topics, {
      cursor,
      limit: options.int('partition-size-limit-per-response', 2000),
    });
    for (const { name, topicId, errorCode, partitions } of answer.topics) {
      if (errorCode !== ErrorCode.NONE) return topics.map(plain);
      const topic = byName.get(name as string) ?? { id: topicId, partitions: [] };
      byName.set(name as string, topic);
      for (const p of partitions) {
        topic.partitions.push({
          index: p.partitionIndex,
          leaderId: p.leaderId,
          replicas: p.replicaNodes,
          isr: p.isrNodes,
          elr: p.eligibleLeaderReplicas ?? [],
          lastKnownElr: p.lastKnownElr ?? [],
        });
      }
    }
    cursor = answer.nextCursor;
  } while (cursor !== null);
  return [...byName].map(([name, topic]) => ({ name, ...topic })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function askPartitions(
  cluster: Cluster,
  topics: readonly TopicMetadata[],
  { cursor, limit }: { cursor: { topicName: string; partitionIndex: number } | null; limit: number },
) {
  return cluster.entry.call(DescribeTopicPartitions, { topics: topics.map(({ name }) => ({ name: name as string })), responsePartitionLimit: limit, cursor });
}

function plain({ name, topicId, partitions }: TopicMetadata): Topic {
  return {
    name: name as string,
    id: topicId,
    partitions: [...partitions]
      .sort((a, b) => a.partitionIndex - b.partitionIndex)
      .map((p) => ({ index: p.partitionIndex, leaderId: p.leaderId, replicas: p.replicaNodes, isr: p.isrNodes, elr: undefined, lastKnownElr: undefined })),
  };
}

async function configsOf(cluster: Cluster, names: readonly string[]): Promise<Map<string, TopicConfig[]>> {
  const { results } = await cluster.entry.call(DescribeConfigs, {
    resources: names.map((resourceName) => ({ resourceType: TOPIC_RESOURCE, resourceName, configurationKeys: null })),
    includeSynonyms: false,
    includeDocumentation: false,
  });
  for (const { errorCode, errorMessage } of results) check(errorCode, errorMessage);
  return new Map(
    results.map(({ resourceName, configs }) => [resourceName, configs.map(({ name, value, configSource }) => ({ name, value, source: configSource }))]),
  );
}

type Moving = ReadonlyMap<string, { readonly adding: readonly number[]; readonly removing: readonly number[] }>;

/** Partitions on the move; empty when the broker does not say, as the tool does without the right to ask. */
async function reassignments(cluster: Cluster): Promise<Moving> {
  const connection = await cluster.controller();
  const moving = new Map<string, { adding: number[]; removing: number[] }>();
  if (connection.versionOf(ListPartitionReassignments) < 0) return moving;
  const { errorCode, topics } = await connection.call(ListPartitionReassignments, { timeoutMs: 30_000, topics: null });
  if (errorCode !== ErrorCode.NONE) return moving;
  for (const { name, partitions } of topics) {
    for (const p of partitions) moving.set(`${name}-${p.partitionIndex}`, { adding: p.addingReplicas, removing: p.removingReplicas });
  }
  return moving;
}

interface Form {
  topic(topic: Topic, configs: readonly TopicConfig[], moving: Moving): string;
  partition(topic: Topic, partition: Partition, moving: Moving): string;
}

function factorOf({ name, partitions }: Topic, moving: Moving): number {
  const first = partitions[0];
  return first === undefined ? 0 : first.replicas.length - (moving.get(`${name}-${first.index}`)?.adding.length ?? 0);
}

const NEW: Form = {
  topic(topic, configs, moving) {
    const shown = configs.filter(({ source }) => source !== SOURCE_DEFAULT).map(({ name, value }) => `${name}=${value}`);
    const id = topic.id === 'AAAAAAAAAAAAAAAAAAAAAA' ? '' : `\tTopicId: ${topic.id}`;
    return `Topic: ${topic.name}${id}\tPartitionCount: ${topic.partitions.length}\tReplicationFactor: ${factorOf(topic, moving)}\tConfigs: ${shown.join(',')}\n`;
  },
  partition(topic, partition, moving) {
    const move = moving.get(`${topic.name}-${partition.index}`);
    const elr = (ids: readonly number[] | undefined): string => ids?.join(',') ?? 'N/A';
    return (
      `\tTopic: ${topic.name}\tPartition: ${partition.index}\tLeader: ${partition.leaderId < 0 ? 'none' : partition.leaderId}` +
      `\tReplicas: ${partition.replicas.join(',')}\tIsr: ${partition.isr.join(',')}` +
      (move ? `\tAdding Replicas: ${move.adding.join(',')}\tRemoving Replicas: ${move.removing.join(',')}` : '') +
      `\tElr: ${elr(partition.elr)}\tLastKnownElr: ${elr(partition.lastKnownElr)}\n`
    );
  },
};

const OLD: Form = {
  topic(topic, configs, moving) {
    const own = configs.filter(({ source }) => source === SOURCE_TOPIC).map(({ name, value }) => `${name}=${value}`);
    return `Topic:${topic.name}\tPartitionCount:${topic.partitions.length}\tReplicationFactor:${factorOf(topic, moving)}\tConfigs:${own.join(',')}\n`;
  },
  partition(topic, partition) {
    const leader = partition.leaderId < 0 ? 'none' : partition.leaderId;
    return `\tTopic: ${topic.name}\tPartition: ${partition.index}\tLeader: ${leader}\tReplicas: ${partition.replicas.join(',')}\tIsr: ${partition.isr.join(',')}\n`;
  },
};
