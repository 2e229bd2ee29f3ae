/**
 * Committing, reading, deleting and expiring the offsets of a group (Kafka 3.9's OffsetMetadataManager, same order of
 * checks). Every change is a record; the store itself changes when the record is applied.
 */
import type { OffsetCommit } from '../../kafka/apis/offset-commit.ts';
import type { OffsetDelete } from '../../kafka/apis/offset-delete.ts';
import type { TxnOffsetCommit } from '../../kafka/apis/txn-offset-commit.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import type { RequestOf, ResponseDraft } from '../../kafka/schema.ts';
import { encodeGroupKey, encodeOffsetKey, encodeOffsetValue } from '../../kafka/stored/consumer-offsets.ts';
import { consumerGroupTombstones, refuseConsumerCommit } from './consumer-group.ts';
import type { Group } from './group.ts';
import { heard, refuseMember } from './group-membership.ts';
import type { StateRecord } from './machine.ts';

/** Whether a partition exists; commits for others are refused. */
export type Exists = (topic: string, partition: number) => boolean;

export interface OffsetRules {
  /** offset.metadata.max.bytes */
  readonly maxMetadataBytes: number;
  /** offsets.retention.minutes, in milliseconds */
  readonly retentionMs: number;
}

export interface Committer {
  readonly memberId: string;
  readonly generation: number;
  readonly instanceId: string | null;
  /** Version of OffsetCommit or TxnOffsetCommit. */
  readonly version: number;
}

/** Whether this member may commit now: 0 or an error code. Commits without a generation are for groups without members, and for transactions. */
export function refuseCommit(group: Group, { memberId, generation, instanceId, version }: Committer, transactional: boolean): number {
  // Older producers name nobody, in groups of either protocol (as from Kafka 4 on).
  if (transactional && generation < 0 && memberId === '' && instanceId === null) return ErrorCode.NONE;
  if (group.consumer) return refuseConsumerCommit(group.consumer, { memberId, generation }, { transactional, version });
  if (generation < 0 && group.state === 'Empty') return ErrorCode.NONE;
  const errorCode = refuseMember(group, memberId, instanceId);
  if (errorCode !== ErrorCode.NONE) return errorCode;
  if (generation !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  return !transactional && group.state === 'CompletingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE;
}

type CommitTopics = RequestOf<typeof OffsetCommit>['topics'] | RequestOf<typeof TxnOffsetCommit>['topics'];
type CommitReply = ResponseDraft<typeof OffsetCommit>;

export interface CommitCall {
  readonly topics: CommitTopics;
  readonly exists: Exists;
  readonly now: number;
  readonly producer?: { readonly id: number; readonly epoch: number };
}

/** Records for every partition that may be committed, and a result for each partition in the order of the request. */
export function commit(group: Group, call: CommitCall, rules: OffsetRules): { readonly records: StateRecord[]; readonly topics: CommitReply['topics'] } {
  const records: StateRecord[] = [];
  const topics = call.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((wanted) => {
      const metadata = wanted.committedMetadata ?? '';
      const errorCode = refusePartition(call.exists(name, wanted.partitionIndex), metadata, rules);
      if (errorCode === ErrorCode.NONE) {
        records.push({
          owner: group.id,
          key: encodeOffsetKey(group.id, name, wanted.partitionIndex),
          value: encodeOffsetValue({
            offset: wanted.committedOffset,
            leaderEpoch: wanted.committedLeaderEpoch,
            metadata,
            commitTimestamp: commitTime(wanted, call.now),
          }),
          ...(call.producer && { producer: call.producer }),
        });
      }
      return { partitionIndex: wanted.partitionIndex, errorCode };
    }),
  }));
  return { records, topics };
}

function refusePartition(exists: boolean, metadata: string, { maxMetadataBytes }: OffsetRules): number {
  if (!exists) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  return Buffer.byteLength(metadata) > maxMetadataBytes ? ErrorCode.OFFSET_METADATA_TOO_LARGE : ErrorCode.NONE;
}

/** Version 1 of OffsetCommit brings its own time. */
function commitTime(wanted: CommitTopics[number]['partitions'][number], now: number): number {
  const given = 'commitTimestamp' in wanted ? wanted.commitTimestamp : -1;
  return given === -1 ? now : given;
}

/** Every partition of the request gets this error. */
export function refuseAll(topics: CommitTopics, errorCode: number): CommitReply['topics'] {
  return topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })) }));
}

/** A member that commits is alive. */
export function heardCommit(group: Group, memberId: string, now: number): void {
  const member = group.members.get(memberId);
  if (member) heard(member, now);
}

/** What to read: null topics ask for everything. */
export interface OffsetQuery {
  readonly topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null;
  readonly requireStable: boolean;
}

export interface FetchedTopic {
  readonly name: string;
  readonly partitions: {
    readonly partitionIndex: number;
    readonly committedOffset: number;
    readonly committedLeaderEpoch: number;
    readonly metadata: string;
    readonly errorCode: number;
  }[];
}

/** Offsets of a group; -1 where nothing is committed. An unknown group has nothing committed. */
export function fetchOffsets(group: Group | undefined, { topics, requireStable }: OffsetQuery): FetchedTopic[] {
  const wanted = topics ?? [...(group?.offsets.all ?? [])].map(([name, partitions]) => ({ name, partitionIndexes: [...partitions.keys()] }));
  return wanted.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => {
      const unstable = requireStable && group?.offsets.isUnstable(name, partitionIndex);
      const found = unstable ? undefined : group?.offsets.get(name, partitionIndex);
      return {
        partitionIndex,
        committedOffset: found?.offset ?? -1,
        committedLeaderEpoch: found?.leaderEpoch ?? -1,
        metadata: found?.metadata ?? '',
        errorCode: unstable ? ErrorCode.UNSTABLE_OFFSET_COMMIT : ErrorCode.NONE,
      };
    }),
  }));
}

export function offsetTombstone(group: Group, topic: string, partition: number): StateRecord {
  return { owner: group.id, key: encodeOffsetKey(group.id, topic, partition), value: null };
}

/** Deletes every offset, those of open transactions too, and the group itself. */
export function groupTombstones(group: Group): StateRecord[] {
  const records: StateRecord[] = [];
  for (const [topic, partitions] of group.offsets.all) for (const partition of partitions.keys()) records.push(offsetTombstone(group, topic, partition));
  for (const [topic, partition] of group.offsets.open()) if (!group.offsets.get(topic, partition)) records.push(offsetTombstone(group, topic, partition));
  return [...records, ...endOf(group)];
}

/** What deletes a group without members and offsets, of whichever protocol. */
function endOf(group: Group): StateRecord[] {
  return group.consumer ? consumerGroupTombstones(group.id) : [{ owner: group.id, key: encodeGroupKey(group.id), value: null }];
}

type DeleteReply = ResponseDraft<typeof OffsetDelete>;

export function deleteOffsets(
  group: Group | undefined,
  request: RequestOf<typeof OffsetDelete>,
  exists: Exists,
): { readonly records: StateRecord[]; readonly reply: DeleteReply } {
  if (group === undefined) return { records: [], reply: { errorCode: ErrorCode.GROUP_ID_NOT_FOUND, topics: [] } };
  if (group.members.size > 0 && group.protocolType !== 'consumer') return { records: [], reply: { errorCode: ErrorCode.NON_EMPTY_GROUP, topics: [] } };
  const records: StateRecord[] = [];
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => {
      if (!exists(name, partitionIndex)) return { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
      if (group.subscribes(name) !== false) return { partitionIndex, errorCode: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC };
      if (group.offsets.get(name, partitionIndex)) records.push(offsetTombstone(group, name, partitionIndex));
      return { partitionIndex, errorCode: ErrorCode.NONE };
    }),
  }));
  if (group.consumer === null && group.state === 'Empty' && countOffsets(group) === records.length && records.length > 0)
    records.push({ owner: group.id, key: encodeGroupKey(group.id), value: null });
  return { records, reply: { errorCode: ErrorCode.NONE, topics } };
}

function countOffsets(group: Group): number {
  let count = 0;
  for (const partitions of group.offsets.all.values()) count += partitions.size;
  return count;
}

/**
 * What is too old (KIP-211): of a group without members everything, counted from when the last one left, or from each
 * commit if it never had any; of a live consumer group the topics that nobody reads any more.
 */
export function expiredOffsets(group: Group, { retentionMs }: OffsetRules, now: number): StateRecord[] {
  const records: StateRecord[] = [];
  for (const [topic, partitions] of group.offsets.all) {
    if ((group.consumer !== null || group.state !== 'Empty') && group.subscribes(topic) !== false) continue;
    for (const [partition, entry] of partitions) {
      const since = group.state === 'Empty' && group.protocolType !== '' && group.stateSince >= 0 ? group.stateSince : entry.commitTimestamp;
      const isOld = entry.expireTimestamp >= 0 ? entry.expireTimestamp <= now : now - since >= retentionMs;
      if (isOld && !group.offsets.isUnstable(topic, partition)) records.push(offsetTombstone(group, topic, partition));
    }
  }
  const nothingLeft = group.isEmpty && countOffsets(group) === records.length && group.pending.size === 0;
  return nothingLeft && !group.offsets.hasOpen ? [...records, ...endOf(group)] : records;
}
