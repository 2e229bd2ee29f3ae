/**
 * What a cluster knows of consumer groups: which there are, state and members, committed offsets. Groups of both protocols
 * are read: the classic one (DescribeGroups) and that of KIP-848 (ConsumerGroupDescribe), where the broker offers it.
 */
import { ConsumerGroupDescribe } from '../../kafka/apis/consumer-group-describe.ts';
import { DescribeGroups } from '../../kafka/apis/describe-groups.ts';
import { ListGroups } from '../../kafka/apis/list-groups.ts';
import { OffsetFetch } from '../../kafka/apis/offset-fetch.ts';
import type { KafkaConnection } from '../../kafka/client/connection.ts';
import { decodeAssignment } from '../../kafka/embedded.ts';
import { ErrorCode, isRetriable } from '../../kafka/errors.ts';
import { type BrokerAddress, type Cluster, check } from './cluster.ts';
import type { TopicPartition } from './partition-offsets.ts';

export interface GroupMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  /** With a slash in front, as Java shows addresses. */
  readonly host: string;
  readonly partitions: readonly TopicPartition[];
}

export interface GroupDescription {
  readonly groupId: string;
  /** `Dead` when there is no such group. */
  readonly state: string;
  /** The assignor; empty while there is none. */
  readonly strategy: string;
  readonly members: readonly GroupMember[];
  readonly coordinator: BrokerAddress;
}

export interface GroupListing {
  readonly groupId: string;
  readonly state: string;
  readonly type: string;
}

/** All consumer groups of all brokers. */
export async function listGroups(cluster: Cluster): Promise<GroupListing[]> {
  await cluster.metadata([]);
  const found: GroupListing[] = [];
  for (const { nodeId } of cluster.brokers) {
    const connection = await cluster.broker(nodeId);
    const groups = await cluster.patiently(async () => {
      const answer = await connection.call(ListGroups, {});
      return answer.errorCode === ErrorCode.NONE ? { value: answer.groups } : { retry: answer.errorCode };
    });
    for (const { groupId, protocolType, groupState, groupType } of groups) {
      if (protocolType === 'consumer' || protocolType === '')
        found.push({ groupId, state: groupState || 'Unknown', type: capitalized(groupType || 'classic') });
    }
  }
  return found;
}

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

export async function describeGroup(cluster: Cluster, groupId: string): Promise<GroupDescription> {
  const coordinator = await cluster.coordinator(groupId);
  const connection = await cluster.broker(coordinator.nodeId);
  return (await describeNew(connection, groupId, coordinator)) ?? describeClassic(cluster, { connection, groupId, coordinator });
}

/** Null when it is no group of the new protocol. */
async function describeNew(connection: KafkaConnection, groupId: string, coordinator: BrokerAddress): Promise<GroupDescription | null> {
  if (connection.versionOf(ConsumerGroupDescribe) < 0) return null;
  const { groups } = await connection.call(ConsumerGroupDescribe, { groupIds: [groupId], includeAuthorizedOperations: false });
  const group = groups[0];
  if (group === undefined || group.errorCode !== ErrorCode.NONE) return null;
  return {
    groupId,
    coordinator,
    state: group.groupState,
    strategy: group.assignorName,
    members: group.members.map(({ memberId, instanceId, clientId, clientHost, assignment }) => ({
      memberId,
      instanceId,
      clientId,
      host: clientHost,
      partitions: assignment.topicPartitions.flatMap(({ topicName, partitions }) => partitions.map((partition) => ({ topic: topicName, partition }))),
    })),
  };
}

async function describeClassic(
  cluster: Cluster,
  { connection, groupId, coordinator }: { connection: KafkaConnection; groupId: string; coordinator: BrokerAddress },
): Promise<GroupDescription> {
  const group = await cluster.patiently(async () => {
    const answer = await connection.call(DescribeGroups, { groups: [groupId] });
    const first = answer.groups[0];
    if (first !== undefined && isRetriable(first.errorCode)) return { retry: first.errorCode };
    return { value: first };
  });
  if (group === undefined) return { groupId, coordinator, state: 'Dead', strategy: '', members: [] };
  check(group.errorCode);
  return {
    groupId,
    coordinator,
    state: group.groupState,
    strategy: group.protocolData,
    members: group.members.map(({ memberId, groupInstanceId, clientId, clientHost, memberAssignment }) => ({
      memberId,
      instanceId: groupInstanceId,
      clientId,
      host: clientHost,
      partitions: partitionsIn(memberAssignment),
    })),
  };
}

function partitionsIn(assignment: Buffer): TopicPartition[] {
  if (assignment.length === 0) return [];
  return decodeAssignment(assignment).assignedPartitions.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
}

export interface CommittedOffset extends TopicPartition {
  readonly offset: number;
}

/** Everything the group has committed. */
export async function committedOffsets(cluster: Cluster, groupId: string): Promise<CommittedOffset[]> {
  const connection = await cluster.coordinatorOf(groupId);
  const version = connection.versionOf(OffsetFetch);
  const found = await cluster.patiently(async () => {
    const body = version >= 8 ? { groups: [{ groupId, topics: null }], requireStable: false } : { groupId, topics: null };
    const answer = await connection.call(OffsetFetch, body, { version });
    const group = answer.groups[0] ?? answer;
    return group.errorCode === ErrorCode.NONE ? { value: group.topics } : { retry: group.errorCode };
  });
  return found.flatMap(({ name, partitions }) =>
    partitions
      .filter(({ committedOffset }) => committedOffset >= 0)
      .map(({ partitionIndex, committedOffset }) => ({ topic: name, partition: partitionIndex, offset: committedOffset })),
  );
}
