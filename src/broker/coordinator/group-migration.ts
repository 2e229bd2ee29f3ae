/**
 * How a group with members changes its protocol (KIP-848, `group.consumer.migration.policy`), so that its clients can be
 * restarted one after the other:
 *
 *     classic group ──first member of the new protocol joins──> consumer group with classic members ──the last one goes──> consumer group
 *           ^                                                        │
 *           └──────────── the last member of the new protocol goes ──┘
 *
 * Up: every member keeps its id and partitions, its generation becomes its epoch; joins and syncs that wait are sent back.
 * Down: every member keeps its id, the epoch becomes the generation, and a rebalance begins. That it has begun is not stored:
 * the record of the group names no leader until it is complete, and a group that is read like that after a restart begins
 * it again. Either way the change is one batch of records, all or none of which are stored.
 */
import { decodeAssignment } from '../../kafka/embedded.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { encodeGroupKey } from '../../kafka/stored/consumer-offsets.ts';
import { ProtocolError } from '../../lib/errors.ts';
import { assignmentFor, EMBEDDED_PROTOCOL, partitionsOf, subscriptionOf } from './classic-members.ts';
import {
  ConsumerGroup,
  type ConsumerMember,
  consumerGroupTombstones,
  currentRecord,
  groupRecordOf,
  memberRecord,
  memberTombstones,
  sortedNames,
  targetRecord,
} from './consumer-group.ts';
import { type ConsumerRules, type HeartbeatOutcome, type MigrationPolicy, refused } from './consumer-heartbeat.ts';
import type { TopicCatalog } from './consumer-topics.ts';
import { type Group, type Member, metadataOf } from './group.ts';
import { groupRecord, type MembershipRules, type MemberTurn, prepareRebalance } from './group-rebalance.ts';
import type { StateRecord } from './machine.ts';
import { MEMBER_STATE, NO_PARTITIONS, type TopicPartitions } from './member-reconciliation.ts';

const UP: ReadonlySet<MigrationPolicy> = new Set(['upgrade', 'bidirectional']);
const DOWN: ReadonlySet<MigrationPolicy> = new Set(['downgrade', 'bidirectional']);

export interface Upgrade {
  /** As it will be when the records are applied. */
  readonly group: ConsumerGroup;
  readonly records: readonly StateRecord[];
}

/** What makes a consumer group of a classic one with members, or why that cannot be. Changes nothing. */
export function upgraded(classic: Group, rules: ConsumerRules, now: number): Upgrade | HeartbeatOutcome {
  const { id, generation } = classic;
  if (!UP.has(rules.migration) || classic.protocolType !== EMBEDDED_PROTOCOL || classic.members.size > rules.maxSize)
    return refused(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${id} is not a consumer group.`);
  const read = membersOf(classic, rules.topics);
  if (typeof read === 'string') return refused(ErrorCode.GROUP_ID_NOT_FOUND, `Cannot upgrade classic group ${id} to consumer group because ${read}`);
  const group = new ConsumerGroup(id);
  const records = [
    ...read.map((member) => memberRecord(id, member)),
    groupRecordOf('epoch', id, '', { epoch: generation }),
    ...read.map((member) => targetRecord(id, member.id, member.current.assigned)),
    groupRecordOf('target-epoch', id, '', { assignmentEpoch: generation }),
    ...read.map((member) => currentRecord(id, member)),
  ];
  group.epoch = generation;
  group.targetEpoch = generation;
  for (const member of read) {
    group.put(member);
    group.targets.set(member.id, member.current.assigned);
    group.deadlines.set(member.id, { session: now + member.classic!.sessionTimeoutMs, revocation: null, call: null });
  }
  return { group, records: [{ owner: id, key: encodeGroupKey(id), value: null }, ...records] };
}

/** The members of a classic group as those of a consumer group; a text if that would lose something. */
function membersOf(group: Group, topics: TopicCatalog): ConsumerMember[] | string {
  const taken = new Set<string>();
  const read = new Map<string, ConsumerMember>();
  // Those with an assignment first: in the middle of a rebalance others only say what they hold.
  const byAssignment = [...group.members.values()].sort((a, b) => Math.sign(b.assignment.length) - Math.sign(a.assignment.length));
  for (const member of byAssignment) {
    const one = memberOf(member, group, topics);
    if (typeof one === 'string') return one;
    read.set(member.id, { ...one, current: { ...one.current, assigned: untaken(one.current.assigned, taken) } });
  }
  return [...group.members.keys()].map((id) => read.get(id)!);
}

function untaken(partitions: TopicPartitions, taken: Set<string>): TopicPartitions {
  const free = new Map<string, readonly number[]>();
  for (const [topicId, list] of partitions) {
    const left = list.filter((partition) => !taken.has(`${topicId}/${partition}`));
    for (const partition of left) taken.add(`${topicId}/${partition}`);
    if (left.length > 0) free.set(topicId, left);
  }
  return free;
}

function memberOf(member: Member, { protocol, generation: epoch }: Group, topics: TopicCatalog): ConsumerMember | string {
  const chosen = metadataOf(member, protocol);
  const subscription = subscriptionOf(chosen.length > 0 ? chosen : (member.protocols[0]?.metadata ?? chosen));
  const assignment = readAssignment(member.assignment);
  if (subscription === null || assignment === null) return 'the embedded consumer protocol is malformed.';
  // What an assignor of one's own tells its members would be lost.
  if ((assignment.userData?.length ?? 0) > 0)
    return 'an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor before re-attempting the upgrade.';
  const assigned = partitionsOf(member.assignment.length > 0 ? assignment.assignedPartitions : subscription.ownedPartitions, topics);
  const { id, instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols: supportedProtocols } = member;
  return {
    id,
    instanceId,
    clientId,
    clientHost,
    rebalanceTimeoutMs,
    rackId: subscription.rackId,
    topicNames: sortedNames(subscription.topics),
    topicRegex: '',
    assignor: null,
    classic: { sessionTimeoutMs, supportedProtocols },
    current: { epoch, previousEpoch: epoch, state: MEMBER_STATE.stable, assigned, revoking: NO_PARTITIONS },
  };
}

function readAssignment(blob: Buffer): ReturnType<typeof decodeAssignment> | null {
  try {
    return decodeAssignment(blob);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

/** Whether the group becomes a classic one when these members go. */
export function mayDowngrade(group: ConsumerGroup, gone: readonly ConsumerMember[], migration: MigrationPolicy, { maxSize }: MembershipRules): boolean {
  if (!DOWN.has(migration) || !gone.some(({ classic }) => classic === null)) return false;
  const rest = [...group.members.values()].filter((member) => !gone.includes(member));
  return rest.length <= maxSize && rest.every(({ classic }) => classic !== null);
}

export interface DowngradeScene {
  readonly topics: TopicCatalog;
  readonly rules: MembershipRules;
  readonly turn: MemberTurn;
}

/** Makes a classic group of those who stay, and lets it rebalance. What it was ends when the records are applied. */
export function downgrade(group: Group, gone: readonly ConsumerMember[], { topics, rules, turn }: DowngradeScene): void {
  const consumer = group.consumer!;
  const all = [...consumer.members.values()];
  turn.records.push(...all.flatMap(({ id }) => memberTombstones(group.id, id)), ...consumerGroupTombstones(group.id));
  group.protocolType = EMBEDDED_PROTOCOL;
  group.generation = consumer.epoch;
  for (const member of all) if (!gone.includes(member)) group.add(classicMember(member, turn.now));
  group.protocol = group.selectProtocol();
  for (const member of group.members.values()) {
    member.assignment = assignmentFor(consumer.targets.get(member.id) ?? NO_PARTITIONS, metadataOf(member, group.protocol), topics);
  }
  group.leader = null;
  group.become(group.members.size > 0 ? 'Stable' : 'Empty', turn.now);
  turn.records.push(groupRecord(group));
  if (group.members.size > 0) prepareRebalance(group, rules, turn);
}

function classicMember({ id, instanceId, clientId, clientHost, rebalanceTimeoutMs, classic }: ConsumerMember, now: number): Member {
  const { sessionTimeoutMs, supportedProtocols: protocols } = classic!;
  const nothing = { assignment: Buffer.alloc(0), join: null, sync: null };
  const words = { id, instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols };
  return { ...words, ...nothing, deadline: now + sessionTimeoutMs, isNew: false, synced: true };
}
