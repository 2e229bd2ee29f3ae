/** Asks the leaders of partitions for offsets by time: the end, the beginning, the first at or after a time. */
import { ListOffsets } from '../../kafka/apis/list-offsets.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { Cluster, TopicMetadata } from './cluster.ts';
import { leaders } from './cluster.ts';
import { WireError } from './output.ts';

/** Times with a meaning of their own (KIP-79, KIP-734, KIP-405, KIP-1005). */
export const LATEST = -1;
export const EARLIEST = -2;
export const MAX_TIMESTAMP = -3;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface OffsetQuery extends TopicPartition {
  /** Epoch milliseconds, or one of the special times. */
  readonly timestamp: number;
}

export interface FoundOffset {
  readonly offset: number;
  readonly timestamp: number;
}

export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`;

export function byTopicThenPartition(a: TopicPartition, b: TopicPartition): number {
  return a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition;
}

/** Groups items by topic in the form that most requests have. */
export function byTopic<T extends TopicPartition, R>(items: readonly T[], each: (item: T) => R): { name: string; partitions: R[] }[] {
  const topics = new Map<string, R[]>();
  for (const item of items) {
    const list = topics.get(item.topic) ?? [];
    list.push(each(item));
    topics.set(item.topic, list);
  }
  return [...topics].map(([name, partitions]) => ({ name, partitions }));
}

/** Items by the broker that leads their partition. @throws WireError a partition has no leader or does not exist */
export function byLeader<T extends TopicPartition>(items: readonly T[], topics: readonly TopicMetadata[]): Map<number, T[]> {
  const leaderOf = leaders(topics);
  const grouped = new Map<number, T[]>();
  for (const item of items) {
    const leader = leaderOf.get(keyOf(item));
    if (leader === undefined) {
      const exists = topics.some(({ name, partitions }) => name === item.topic && partitions.some(({ partitionIndex }) => partitionIndex === item.partition));
      const code = exists ? ErrorCode.LEADER_NOT_AVAILABLE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
      throw new WireError(code, errorMessage(code));
    }
    const list = grouped.get(leader) ?? [];
    list.push(item);
    grouped.set(leader, list);
  }
  return grouped;
}

/**
 * The offsets, by `topic-partition`; a WireError where a partition has an error. Offset -1: there is none.
 * @param topics metadata that covers the queries
 */
export async function offsetsAt(
  cluster: Cluster,
  topics: readonly TopicMetadata[],
  queries: readonly OffsetQuery[],
  isolationLevel: 0 | 1 = 0,
): Promise<Map<string, FoundOffset | WireError>> {
  const found = new Map<string, FoundOffset | WireError>();
  await Promise.all(
    [...byLeader(queries, topics)].map(async ([leader, items]) => {
      const connection = await cluster.broker(leader);
      const limit = connection.versionOf(ListOffsets);
      const answer = await connection.call(ListOffsets, {
        replicaId: -1,
        ...(limit >= 2 && { isolationLevel }),
        topics: byTopic(items, ({ partition, timestamp }) => ({ partitionIndex: partition, timestamp })),
      });
      for (const { name, partitions } of answer.topics) {
        for (const { partitionIndex, errorCode, offset, timestamp, oldStyleOffsets } of partitions) {
          const result =
            errorCode === ErrorCode.NONE
              ? { offset: limit === 0 ? (oldStyleOffsets[0] ?? -1) : offset, timestamp }
              : new WireError(errorCode, errorMessage(errorCode));
          found.set(`${name}-${partitionIndex}`, result);
        }
      }
    }),
  );
  return found;
}
