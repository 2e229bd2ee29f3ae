/**
 * The one call of the new consumer protocol (KIP-848, ConsumerGroupHeartbeat): who joins, stays or leaves, and what the member
 * is told; with the checks of Kafka's GroupMetadataManager in its order. Nothing here changes what is stored: every change is
 * a record. What follows from a call for the group is in {@link file://./consumer-step.ts}; members that speak the classic
 * protocol in such a group are in {@link file://./classic-members.ts}.
 */
import type { ConsumerGroupHeartbeat } from '../../kafka/apis/consumer-group-heartbeat.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import type { RequestOf, ResponseDraft } from '../../kafka/schema.ts';
import {
  type ConsumerGroup,
  type ConsumerMember,
  currentRecord,
  groupRecordOf,
  LEAVE_EPOCH,
  memberTombstones,
  newMember,
  STATIC_LEAVE_EPOCH,
  sessionOf,
  sortedNames,
  topicsRecord,
} from './consumer-group.ts';
import { type Found, Step, type StepRules } from './consumer-step.ts';
import { topicsWithout } from './consumer-topics.ts';
import type { JoinReply, SyncReply } from './group-rebalance.ts';
import type { StateRecord, Ticket } from './machine.ts';
import { MEMBER_STATE, NO_PARTITIONS, partitionsFrom, partitionsList, sameAssignment, samePartitions, type TopicPartitions } from './member-reconciliation.ts';
import { PatternFault, TopicPattern } from './topic-pattern.ts';

export interface ConsumerRules extends StepRules {
  /** group.consumer.session.timeout.ms */
  readonly sessionMs: number;
  /** group.consumer.heartbeat.interval.ms */
  readonly heartbeatMs: number;
  /** What is set for a single group instead of these two. */
  readonly timingsOf?: (groupId: string) => { readonly sessionMs: number; readonly heartbeatMs: number } | undefined;
  /** group.consumer.max.size */
  readonly maxSize: number;
  /** group.consumer.migration.policy */
  readonly migration: MigrationPolicy;
}

export type MigrationPolicy = 'disabled' | 'upgrade' | 'downgrade' | 'bidirectional';

export interface HeartbeatCall {
  readonly request: RequestOf<typeof ConsumerGroupHeartbeat>;
  readonly version: number;
  readonly clientId: string;
  readonly clientHost: string;
  /** Whether the caller may know of a topic; regular expressions find no others. */
  readonly mayDescribe: (topic: string) => boolean;
}

export type HeartbeatReply = ResponseDraft<typeof ConsumerGroupHeartbeat>;
/** A refusal has no records. */
export interface HeartbeatOutcome {
  readonly records: readonly StateRecord[];
  readonly reply: HeartbeatReply;
  /** Those who waited for the classic group that this was. */
  readonly wake?: readonly (readonly [Ticket, JoinReply | SyncReply])[];
}

/** From this version on members make up their ids (KIP-1082). */
const OWN_MEMBER_IDS_SINCE = 1;

export function refused(errorCode: number, errorMessage: string): HeartbeatOutcome {
  return { records: [], reply: { errorCode, errorMessage, memberEpoch: 0, heartbeatIntervalMs: 0 } };
}

const isBlank = (text: string | null): boolean => text !== null && text.trim() === '';

/** The checks that need no group; null = nothing to object to. */
export function refuseHeartbeat({ request, version }: HeartbeatCall, { assignors }: Pick<ConsumerRules, 'assignors'>): HeartbeatOutcome | null {
  const invalid = invalidity(request, version);
  if (invalid !== null) return refused(ErrorCode.INVALID_REQUEST, invalid);
  const { serverAssignor, subscribedTopicRegex } = request;
  if (serverAssignor !== null && !(assignors as readonly string[]).includes(serverAssignor)) {
    const text = `ServerAssignor ${serverAssignor} is not supported. Supported assignors: ${assignors.join(', ')}.`;
    return refused(ErrorCode.UNSUPPORTED_ASSIGNOR, text);
  }
  return subscribedTopicRegex ? refusePattern(subscribedTopicRegex) : null;
}

function invalidity(request: HeartbeatCall['request'], version: number): string | null {
  const { groupId, memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs, subscribedTopicNames, subscribedTopicRegex, topicPartitions } = request;
  if (isBlank(groupId)) return "GroupId can't be empty.";
  if (isBlank(instanceId)) return "InstanceId can't be empty.";
  if (isBlank(rackId)) return "RackId can't be empty.";
  if ((memberEpoch !== 0 || version >= OWN_MEMBER_IDS_SINCE) && isBlank(memberId)) return "MemberId can't be empty.";
  if (memberEpoch < STATIC_LEAVE_EPOCH) return 'MemberEpoch is invalid.';
  if (memberEpoch === STATIC_LEAVE_EPOCH && instanceId === null) return "InstanceId can't be null.";
  if (memberEpoch !== 0) return null;
  if (rebalanceTimeoutMs === -1) return 'RebalanceTimeoutMs must be provided in first request.';
  if (topicPartitions === null || topicPartitions.length > 0) return 'TopicPartitions must be empty when (re-)joining.';
  if ((subscribedTopicNames ?? []).length > 0 || subscribedTopicRegex) return null;
  return version >= 1
    ? 'Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.'
    : 'SubscribedTopicNames must be set in first request.';
}

function refusePattern(pattern: string): HeartbeatOutcome | null {
  try {
    new TopicPattern(pattern);
    return null;
  } catch (error) {
    if (!(error instanceof PatternFault)) throw error;
    return refused(ErrorCode.INVALID_REGULAR_EXPRESSION, `SubscribedTopicRegex \`${pattern}\` is not a valid regular expression: ${error.message}.`);
  }
}

/** A join or a sign of life. `memberId` is that of the request, or a new one. */
export function beat(
  group: ConsumerGroup,
  call: HeartbeatCall,
  memberId: string,
  { rules, now }: { readonly rules: ConsumerRules; readonly now: number },
): HeartbeatOutcome {
  const { request } = call;
  if (group.members.size >= rules.maxSize && !group.members.has(memberId)) {
    return refused(ErrorCode.GROUP_MAX_SIZE_REACHED, `The consumer group has reached its maximum capacity of ${rules.maxSize} members.`);
  }
  const found = request.instanceId === null ? dynamicMember(group, call, memberId) : staticMember(group, call, memberId);
  if ('reply' in found) return found;
  const owned = request.topicPartitions === null ? null : partitionsFrom(request.topicPartitions);
  const step = new Step(group, { member: updated(found.member, call), owned, mayDescribe: call.mayDescribe }, found, rules);
  if (!step.take()) {
    return refused(ErrorCode.FENCED_MEMBER_EPOCH, 'The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.');
  }
  keepAlive(group, step.member, found.member, { sessionMs: rules.sessionMs, now });
  return { records: step.records, reply: answer(request, step.member, found.member, rules) };
}

function answer(request: HeartbeatCall['request'], { id: memberId, current }: ConsumerMember, before: ConsumerMember, rules: ConsumerRules): HeartbeatReply {
  const { memberEpoch, rebalanceTimeoutMs, subscribedTopicNames, topicPartitions } = request;
  const isFull = memberEpoch === 0 || (rebalanceTimeoutMs !== -1 && subscribedTopicNames !== null && topicPartitions !== null);
  const isNews = isFull || !samePartitions(current.assigned, before.current.assigned);
  const assignment = isNews ? { topicPartitions: partitionsList(current.assigned) } : null;
  return { errorCode: ErrorCode.NONE, memberId, memberEpoch: current.epoch, heartbeatIntervalMs: rules.heartbeatMs, assignment };
}

function dynamicMember(group: ConsumerGroup, { request }: HeartbeatCall, memberId: string): Found | HeartbeatOutcome {
  const member = group.members.get(memberId);
  if (!member && request.memberEpoch !== 0) return unknownMember(group, memberId);
  if (!member) return { member: newMember(memberId), isNew: true, replaced: undefined };
  return refuseEpoch(member, request) ?? { member, isNew: false, replaced: undefined };
}

function staticMember(group: ConsumerGroup, { request }: HeartbeatCall, memberId: string): Found | HeartbeatOutcome {
  const instanceId = request.instanceId as string;
  const known = group.staticMember(instanceId);
  if (request.memberEpoch !== 0) {
    if (!known) return refused(ErrorCode.UNKNOWN_MEMBER_ID, `Instance id ${instanceId} is unknown.`);
    if (known.id !== memberId) return fencedInstance(known, memberId);
    return refuseEpoch(known, request) ?? { member: known, isNew: false, replaced: undefined };
  }
  if (!known) return { member: group.members.get(memberId) ?? newMember(memberId), isNew: !group.members.has(memberId), replaced: undefined };
  // A member of the classic protocol does not say that it leaves for a while: a successor of the new one takes its place at once.
  if (known.current.epoch !== STATIC_LEAVE_EPOCH && known.classic === null && known.id !== memberId) {
    const text = `Static member ${memberId} with instance id ${instanceId} cannot join the group because the instance id is owned by ${known.id} member.`;
    return refused(ErrorCode.UNRELEASED_INSTANCE_ID, text);
  }
  if (known.id === memberId) return { member: known, isNew: false, replaced: undefined };
  return { member: { ...known, id: memberId, current: { ...known.current, epoch: 0, previousEpoch: 0 } }, isNew: true, replaced: known };
}

function unknownMember({ id }: ConsumerGroup, memberId: string): HeartbeatOutcome {
  return refused(ErrorCode.UNKNOWN_MEMBER_ID, `Member ${memberId} is not a member of group ${id}.`);
}

function fencedInstance(known: ConsumerMember, memberId: string): HeartbeatOutcome {
  const text = `Static member ${memberId} with instance id ${known.instanceId} was fenced by member ${known.id}.`;
  return refused(ErrorCode.FENCED_INSTANCE_ID, text);
}

/** The answer that raised the epoch may be lost: the epoch before is good if the member holds nothing but its own. Epoch 0 starts over. */
function refuseEpoch({ current }: ConsumerMember, { memberEpoch, topicPartitions }: HeartbeatCall['request']): HeartbeatOutcome | null {
  if (memberEpoch === current.epoch || memberEpoch === 0) return null;
  const isLate = memberEpoch === current.previousEpoch && topicPartitions !== null && isPartOf(partitionsFrom(topicPartitions), current.assigned);
  if (memberEpoch < current.epoch && isLate) return null;
  const text = `The consumer group member has a ${memberEpoch > current.epoch ? 'greater' : 'smaller'} member epoch (${memberEpoch}) than the one known by the group coordinator (${current.epoch}). The member must abandon all its partitions and rejoin.`;
  return refused(ErrorCode.FENCED_MEMBER_EPOCH, text);
}

function isPartOf(some: TopicPartitions, all: TopicPartitions): boolean {
  return [...some].every(([topicId, partitions]) => partitions.every((partition) => all.get(topicId)?.includes(partition)));
}

/** What the member says of itself replaces what it said before; null = as before. One that joins has nothing to give up. */
function updated(member: ConsumerMember, { request, clientId, clientHost }: HeartbeatCall): ConsumerMember {
  const { instanceId, rackId, rebalanceTimeoutMs, subscribedTopicNames, subscribedTopicRegex, serverAssignor, memberEpoch } = request;
  const rejoined = { ...member.current, epoch: 0, previousEpoch: 0, state: MEMBER_STATE.stable, revoking: NO_PARTITIONS };
  return {
    ...member,
    clientId,
    clientHost,
    instanceId: instanceId ?? member.instanceId,
    rackId: rackId ?? member.rackId,
    rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? member.rebalanceTimeoutMs : rebalanceTimeoutMs,
    topicNames: subscribedTopicNames === null ? member.topicNames : sortedNames(subscribedTopicNames),
    topicRegex: subscribedTopicRegex ?? member.topicRegex,
    assignor: serverAssignor ?? member.assignor,
    classic: null,
    current: memberEpoch === 0 ? rejoined : member.current,
  };
}

function keepAlive(
  group: ConsumerGroup,
  member: ConsumerMember,
  before: ConsumerMember,
  { sessionMs, now }: { readonly sessionMs: number; readonly now: number },
): void {
  const { epoch, state } = member.current;
  const known = group.deadlines.get(member.id);
  const isSame = known !== undefined && sameAssignment(before.current, member.current);
  const revocation = isSame ? known.revocation : state === MEMBER_STATE.unrevoked ? { at: now + member.rebalanceTimeoutMs, epoch } : null;
  group.deadlines.set(member.id, { session: now + sessionMs, revocation, call: null });
}

/** A member says goodbye: for good (-1), or as a static one that will be back (-2). */
export function depart(
  group: ConsumerGroup,
  { request }: HeartbeatCall,
  remove: (gone: readonly ConsumerMember[]) => readonly StateRecord[],
): HeartbeatOutcome {
  const { memberId, memberEpoch, instanceId } = request;
  const member = instanceId === null ? group.members.get(memberId) : group.staticMember(instanceId);
  if (!member) return instanceId === null ? unknownMember(group, memberId) : refused(ErrorCode.UNKNOWN_MEMBER_ID, `Instance id ${instanceId} is unknown.`);
  if (member.id !== memberId) return fencedInstance(member, memberId);
  const reply = { errorCode: ErrorCode.NONE, memberId, memberEpoch, heartbeatIntervalMs: 0 };
  if (memberEpoch === LEAVE_EPOCH) return { records: remove([member]), reply };
  const current = { ...member.current, epoch: STATIC_LEAVE_EPOCH, revoking: NO_PARTITIONS };
  const deadlines = group.deadlines.get(memberId);
  if (deadlines) deadlines.revocation = null;
  return { records: [currentRecord(group.id, { ...member, current })], reply };
}

/** Removes members; the rest get what these had once they call. */
export function fence(group: ConsumerGroup, members: readonly ConsumerMember[]): StateRecord[] {
  const records = members.flatMap(({ id }) => memberTombstones(group.id, id));
  const topics = topicsWithout(group, members);
  if (topics !== null) records.push(topicsRecord(group.id, topics));
  records.push(groupRecordOf('epoch', group.id, '', { epoch: group.epoch + 1 }));
  return records;
}

/** Those whose session is over, or who did not give up their partitions, join again or ask for their assignment in time. */
export function overdue(group: ConsumerGroup, now: number): ConsumerMember[] {
  return [...group.deadlines].flatMap(([id, { session, revocation, call }]) => {
    const member = group.members.get(id);
    if (!member) {
      group.deadlines.delete(id);
      return [];
    }
    const isStuck = revocation !== null && revocation.at <= now && revocation.epoch === member.current.epoch;
    if (revocation !== null && revocation.at <= now && !isStuck) group.deadlines.set(id, { session, revocation: null, call });
    return session <= now || isStuck || (call !== null && call <= now) ? [member] : [];
  });
}

/** Sessions start anew when the groups have been read. */
export function restoreDeadlines(group: ConsumerGroup, now: number, sessionMs: number): void {
  for (const member of group.members.values()) {
    const { id, current, rebalanceTimeoutMs, classic } = member;
    const isRevoking = classic === null && current.state === MEMBER_STATE.unrevoked && current.epoch >= 0;
    const revocation = isRevoking ? { at: now + rebalanceTimeoutMs, epoch: current.epoch } : null;
    group.deadlines.set(id, { session: now + sessionOf(member, sessionMs), revocation, call: null });
  }
}
