/**
 * One group of the new consumer protocol (KIP-848): what its records say, and questions about that. The rules by which
 * members come, stay and go are in consumer-heartbeat.ts, the way of a member to its assignment in member-reconciliation.ts.
 *
 *     Empty ──member joins──> Assigning ──target computed──> Reconciling ──every member has its target──> Stable
 *       ^                        ^                                │                                          │
 *       └──the last one goes─────┴── member, subscription or topic changes: the group's epoch goes up ───────┘
 *
 * Three epochs: the group's counts changes of members and topics, the target's says for which of them the target assignment
 * was computed, a member's says which target it has reached (or is on the way from).
 */
import { ErrorCode } from '../../kafka/errors.ts';
import {
  type ConsumerGroupKey,
  type ConsumerGroupRecordKind,
  type ConsumerGroupRecordValue,
  decodeConsumerGroupValue,
  encodeConsumerGroupKey,
  encodeConsumerGroupValue,
} from '../../kafka/stored/consumer-group.ts';
import type { StateRecord } from './machine.ts';
import {
  type CurrentAssignment,
  isReconciled,
  MEMBER_STATE,
  NO_PARTITIONS,
  partitionsFrom,
  partitionsList,
  type TopicPartitions,
} from './member-reconciliation.ts';

/** Names as ConsumerGroupDescribe and ListGroups show them. */
export type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable';

/** What the wire has instead of a member's epoch when it leaves. */
export const LEAVE_EPOCH = -1;
/** A static member leaves and will be back; its partitions stay its own until its session ends. */
export const STATIC_LEAVE_EPOCH = -2;

export interface ConsumerMember {
  readonly id: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  /** As Kafka shows it: "/127.0.0.1". */
  readonly clientHost: string;
  /** Sorted, each once. */
  readonly topicNames: readonly string[];
  /** Empty = none. */
  readonly topicRegex: string;
  readonly rebalanceTimeoutMs: number;
  /** The assignor it asks for, or null. */
  readonly assignor: string | null;
  /** Set for a member that speaks the classic protocol in this group, while the group goes from one protocol to the other. */
  readonly classic: ClassicMembership | null;
  readonly current: CurrentAssignment;
}

/** What a member said when it joined by JoinGroup. */
export interface ClassicMembership {
  readonly sessionTimeoutMs: number;
  /** The assignors it offers, each with its subscription; at least one. */
  readonly supportedProtocols: readonly { readonly name: string; readonly metadata: Buffer }[];
}

export interface ReadTopic {
  readonly id: string;
  readonly partitions: number;
}

const FRESH: CurrentAssignment = { epoch: 0, previousEpoch: 0, state: MEMBER_STATE.stable, assigned: NO_PARTITIONS, revoking: NO_PARTITIONS };

export function newMember(id: string): ConsumerMember {
  const nobody = {
    instanceId: null,
    rackId: null,
    clientId: '',
    clientHost: '',
    topicNames: [],
    topicRegex: '',
    rebalanceTimeoutMs: -1,
    assignor: null,
    classic: null,
  };
  return { id, ...nobody, current: FRESH };
}

/** When time alone ends a membership. */
export interface MemberDeadlines {
  session: number;
  /** By when it must have given up partitions, unless it has left this epoch. */
  revocation: { readonly at: number; readonly epoch: number } | null;
  /** By when a member of the classic protocol must have joined again, or asked for its assignment after it did. */
  call: number | null;
}

/** How long a member may be silent: one of the classic protocol says so itself. */
export function sessionOf({ classic }: ConsumerMember, sessionMs: number): number {
  return classic?.sessionTimeoutMs ?? sessionMs;
}

export class ConsumerGroup {
  readonly id: string;
  epoch = 0;
  targetEpoch = 0;
  /** The topics that are read and exist, by name. */
  topics: ReadonlyMap<string, ReadTopic> = new Map();
  readonly members = new Map<string, ConsumerMember>();
  /** Member id of each static member. */
  readonly instances = new Map<string, string>();
  readonly targets = new Map<string, TopicPartitions>();
  /** Who holds a partition: by topic id and partition. */
  readonly #holders = new Map<string, Map<number, string>>();

  /** The rest is not stored, and found again after a restart. */
  readonly deadlines = new Map<string, MemberDeadlines>();
  /** What each regular expression stands for. */
  resolved: ReadonlyMap<string, readonly string[]> = new Map();
  /** For which version of the catalog `topics` and `resolved` were computed, and the epoch that should have followed; null = never, or it could not be stored. */
  refreshed: { readonly version: number; readonly epoch: number } | null = null;

  constructor(id: string) {
    this.id = id;
  }

  get state(): ConsumerGroupState {
    if (this.members.size === 0) return 'Empty';
    if (this.epoch > this.targetEpoch) return 'Assigning';
    for (const { current } of this.members.values()) if (!isReconciled(current, this.targetEpoch)) return 'Reconciling';
    return 'Stable';
  }

  isHeld(topicId: string, partition: number): boolean {
    return this.#holders.get(topicId)?.has(partition) ?? false;
  }

  staticMember(instanceId: string): ConsumerMember | undefined {
    return this.members.get(this.instances.get(instanceId) ?? '');
  }

  subscribes(topic: string): boolean {
    if (this.members.size === 0) return false;
    if (this.topics.has(topic)) return true;
    for (const { topicNames } of this.members.values()) if (topicNames.includes(topic)) return true;
    return false;
  }

  /** The earliest moment at which time alone changes something. */
  get nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { session, revocation, call } of this.deadlines.values()) next = Math.min(next, session, revocation?.at ?? next, call ?? next);
    return next;
  }

  /** Takes over a record; one without value deletes. The record of the group's epoch without value ends the group: that is the caller's. */
  apply({ kind, memberId }: ConsumerGroupKey, value: Buffer | null): void {
    switch (kind) {
      case 'epoch':
        this.epoch = value === null ? 0 : decodeConsumerGroupValue(kind, value).epoch;
        return;
      case 'topics':
        this.topics = value === null ? new Map() : topicsFrom(decodeConsumerGroupValue(kind, value));
        return;
      case 'target-epoch':
        this.targetEpoch = value === null ? -1 : decodeConsumerGroupValue(kind, value).assignmentEpoch;
        return;
      case 'target':
        if (value === null) this.targets.delete(memberId);
        else this.targets.set(memberId, partitionsFrom(decodeConsumerGroupValue(kind, value).topicPartitions));
        return;
      case 'member':
        if (value === null) this.#remove(memberId);
        else this.put({ ...memberFrom(memberId, decodeConsumerGroupValue(kind, value)), current: this.members.get(memberId)?.current ?? FRESH });
        return;
      case 'current': {
        const member = this.members.get(memberId);
        if (value !== null) this.put({ ...(member ?? newMember(memberId)), current: currentFrom(decodeConsumerGroupValue(kind, value)) });
        else if (member) this.put({ ...member, current: { ...FRESH, epoch: LEAVE_EPOCH, previousEpoch: LEAVE_EPOCH } });
        return;
      }
    }
  }

  /** A member as it is from now on. */
  put(member: ConsumerMember): void {
    const old = this.members.get(member.id);
    if (old && old.current !== member.current) this.#letGo(old);
    if (old && old.instanceId !== member.instanceId) this.#forgetInstance(old);
    this.members.set(member.id, member);
    if (member.instanceId !== null) this.instances.set(member.instanceId, member.id);
    for (const topics of [member.current.assigned, member.current.revoking]) {
      for (const [topicId, partitions] of topics) {
        const holders = this.#holders.get(topicId) ?? new Map<number, string>();
        this.#holders.set(topicId, holders);
        for (const partition of partitions) holders.set(partition, member.id);
      }
    }
  }

  #letGo({ id, current }: ConsumerMember): void {
    for (const topics of [current.assigned, current.revoking]) {
      for (const [topicId, partitions] of topics) {
        const holders = this.#holders.get(topicId);
        for (const partition of partitions) if (holders?.get(partition) === id) holders.delete(partition);
        if (holders?.size === 0) this.#holders.delete(topicId);
      }
    }
  }

  #remove(memberId: string): void {
    const member = this.members.get(memberId);
    if (!member) return;
    this.#letGo(member);
    this.members.delete(memberId);
    this.deadlines.delete(memberId);
    this.#forgetInstance(member);
  }

  #forgetInstance({ id, instanceId }: ConsumerMember): void {
    if (instanceId !== null && this.instances.get(instanceId) === id) this.instances.delete(instanceId);
  }
}

/** One record of a group. */
export function groupRecordOf<K extends ConsumerGroupRecordKind>(
  kind: K,
  groupId: string,
  memberId: string,
  value: Parameters<typeof encodeConsumerGroupValue<K>>[1] | null,
): StateRecord {
  return { owner: groupId, key: encodeConsumerGroupKey({ kind, groupId, memberId }), value: value === null ? null : encodeConsumerGroupValue(kind, value) };
}

export function topicsRecord(groupId: string, topics: ReadonlyMap<string, ReadTopic>): StateRecord {
  const list = Array.from(topics, ([topicName, { id, partitions }]) => ({ topicId: id, topicName, numPartitions: partitions, partitionMetadata: [] }));
  return groupRecordOf('topics', groupId, '', { topics: list });
}

export function memberRecord(groupId: string, member: ConsumerMember): StateRecord {
  const { instanceId, rackId, clientId, clientHost, topicNames, topicRegex, rebalanceTimeoutMs, assignor, classic } = member;
  const said = { instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs, serverAssignor: assignor, classicMemberMetadata: classic };
  return groupRecordOf('member', groupId, member.id, { ...said, subscribedTopicNames: topicNames, subscribedTopicRegex: topicRegex });
}

export function targetRecord(groupId: string, memberId: string, target: TopicPartitions): StateRecord {
  return groupRecordOf('target', groupId, memberId, { topicPartitions: partitionsList(target) });
}

export function currentRecord(groupId: string, { id, current }: ConsumerMember): StateRecord {
  const { epoch, previousEpoch, state, assigned, revoking } = current;
  const held = { assignedPartitions: partitionsList(assigned), partitionsPendingRevocation: partitionsList(revoking) };
  return groupRecordOf('current', groupId, id, { memberEpoch: epoch, previousMemberEpoch: previousEpoch, state, ...held });
}

/** What removes a member, in an order in which nothing is left over. */
export function memberTombstones(groupId: string, memberId: string): StateRecord[] {
  return (['current', 'target', 'member'] as const).map((kind) => groupRecordOf(kind, groupId, memberId, null));
}

/** What removes a group that has no members. */
export function consumerGroupTombstones(groupId: string): StateRecord[] {
  return (['target-epoch', 'topics', 'epoch'] as const).map((kind) => groupRecordOf(kind, groupId, '', null));
}

function topicsFrom({ topics }: ConsumerGroupRecordValue<'topics'>): ReadonlyMap<string, ReadTopic> {
  return new Map(topics.map(({ topicName, topicId, numPartitions }) => [topicName, { id: topicId, partitions: numPartitions }]));
}

function memberFrom(id: string, stored: ConsumerGroupRecordValue<'member'>): Omit<ConsumerMember, 'current'> {
  const { instanceId, rackId, clientId, clientHost, subscribedTopicNames, subscribedTopicRegex, rebalanceTimeoutMs, serverAssignor } = stored;
  const subscription = { topicNames: sortedNames(subscribedTopicNames), topicRegex: subscribedTopicRegex ?? '' };
  const classic = stored.classicMemberMetadata;
  // Copied, because it outlives the frame or the read it came in.
  const supportedProtocols = classic?.supportedProtocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
  return {
    id,
    instanceId,
    rackId,
    clientId,
    clientHost,
    ...subscription,
    rebalanceTimeoutMs,
    assignor: serverAssignor,
    classic: classic && { sessionTimeoutMs: classic.sessionTimeoutMs, supportedProtocols: supportedProtocols! },
  };
}

function currentFrom(stored: ConsumerGroupRecordValue<'current'>): CurrentAssignment {
  const { memberEpoch: epoch, previousMemberEpoch: previousEpoch, state, assignedPartitions, partitionsPendingRevocation } = stored;
  return { epoch, previousEpoch, state, assigned: partitionsFrom(assignedPartitions), revoking: partitionsFrom(partitionsPendingRevocation) };
}

export function sortedNames(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}

/** Whether this member may commit now: 0 or an error code. Commits without an epoch are for groups without members. */
export function refuseConsumerCommit(
  group: ConsumerGroup,
  { memberId, generation }: { readonly memberId: string; readonly generation: number },
  { transactional, version }: { readonly transactional: boolean; readonly version: number },
): number {
  if (generation < 0 && group.members.size === 0) return ErrorCode.NONE;
  const member = group.members.get(memberId);
  if (!member) return ErrorCode.UNKNOWN_MEMBER_ID;
  // From version 9 on clients know STALE_MEMBER_EPOCH.
  if (!transactional && member.classic === null && version < 9) return ErrorCode.UNSUPPORTED_VERSION;
  if (generation === member.current.epoch) return ErrorCode.NONE;
  return transactional || member.classic ? ErrorCode.ILLEGAL_GENERATION : ErrorCode.STALE_MEMBER_EPOCH;
}

/** Whether this member may read offsets: 0 or an error code. Admin tools name no member. */
export function refuseConsumerFetch(group: ConsumerGroup, memberId: string | null, memberEpoch: number): number {
  if (memberId === null && memberEpoch < 0) return ErrorCode.NONE;
  const member = group.members.get(memberId ?? '');
  if (!member) return ErrorCode.UNKNOWN_MEMBER_ID;
  if (memberEpoch === member.current.epoch) return ErrorCode.NONE;
  return member.classic ? ErrorCode.ILLEGAL_GENERATION : ErrorCode.STALE_MEMBER_EPOCH;
}
