/**
 * Rebalancing and expiry: the half of the classic group protocol that happens to a group rather than being asked of it.
 * The other half is group-membership.ts; both follow Kafka 3.9's GroupCoordinator. Functions change the group in memory
 * and note in a {@link Turn} what to store and whom to answer; nothing here reads a clock.
 *
 * What is stored: the whole group when the leader's assignments arrive and when the last member goes, so that the members
 * go on in the same generation after a restart of the broker.
 */
import type { JoinGroup } from '../../kafka/apis/join-group.ts';
import type { SyncGroup } from '../../kafka/apis/sync-group.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import type { ResponseDraft } from '../../kafka/schema.ts';
import { encodeGroupKey, encodeGroupValue } from '../../kafka/stored/consumer-offsets.ts';
import type { Group, Member, Waiting } from './group.ts';
import { mayExpire, metadataOf } from './group.ts';
import type { StateRecord, Ticket } from './machine.ts';

export interface MembershipRules {
  /** group.initial.rebalance.delay.ms */
  readonly initialDelayMs: number;
  /** group.min.session.timeout.ms, group.max.session.timeout.ms */
  readonly minSessionMs: number;
  readonly maxSessionMs: number;
  /** group.max.size */
  readonly maxSize: number;
  /** The random part of a new member id. */
  readonly newId: () => string;
}

export type JoinReply = ResponseDraft<typeof JoinGroup>;
export type SyncReply = ResponseDraft<typeof SyncGroup>;

/** What one command leads to; time stands still during it. */
export class Turn<Reply> {
  readonly now: number;
  readonly records: StateRecord[] = [];
  readonly wake: [Ticket, Reply][] = [];

  constructor(now: number) {
    this.now = now;
  }
}
export type MemberTurn = Turn<JoinReply | SyncReply>;

const NEVER = Number.POSITIVE_INFINITY;
const NO_ASSIGNMENT = Buffer.alloc(0);

export function joinError({ version }: Waiting, errorCode: number, memberId = ''): JoinReply {
  return { errorCode, generationId: -1, protocolName: version >= 7 ? null : '', leader: '', memberId, members: [] };
}

export function joined(group: Group, member: Member): JoinReply & { readonly members: JoinReply['members'] } {
  const isLeader = group.leader === member.id;
  const members = [...group.members.values()].map((one) => ({
    memberId: one.id,
    groupInstanceId: one.instanceId,
    metadata: metadataOf(one, group.protocol),
  }));
  return {
    errorCode: ErrorCode.NONE,
    generationId: group.generation,
    protocolType: group.protocolType,
    protocolName: group.protocol,
    leader: group.leader!,
    memberId: member.id,
    members: isLeader ? members : [],
  };
}

export function syncError(errorCode: number): SyncReply {
  return { errorCode, assignment: NO_ASSIGNMENT };
}

export function refuseWaiting(member: Member, errorCode: number, turn: MemberTurn): void {
  if (member.join) turn.wake.push([member.join.ticket, joinError(member.join, errorCode, member.id)]);
  if (member.sync) turn.wake.push([member.sync.ticket, syncError(errorCode)]);
  member.join = null;
  member.sync = null;
}

/** Starts a rebalance unless one is being prepared already. */
export function prepareRebalance(group: Group, rules: MembershipRules, turn: MemberTurn): void {
  if (group.state === 'PreparingRebalance') return;
  for (const member of group.members.values()) {
    if (member.sync) turn.wake.push([member.sync.ticket, syncError(ErrorCode.REBALANCE_IN_PROGRESS)]);
    if (member.sync) member.deadline = turn.now + member.sessionTimeoutMs;
    member.sync = null;
  }
  const timeout = group.rebalanceTimeoutMs;
  const first = group.state === 'Empty' && rules.initialDelayMs > 0;
  group.initialDelayLeft = first ? Math.max(1, timeout - rules.initialDelayMs) : 0;
  group.joinDeadline = turn.now + (first ? rules.initialDelayMs : timeout);
  group.newcomers = false;
  group.syncDeadline = NEVER;
  group.become('PreparingRebalance', turn.now);
}

/** Completes a rebalance if everybody is there or time is up. */
export function goOn(group: Group, rules: MembershipRules, turn: MemberTurn): void {
  if (group.state !== 'PreparingRebalance') return;
  const isDue = turn.now >= group.joinDeadline;
  if (group.initialDelayLeft > 0 && group.members.size + group.pending.size > 0) {
    if (!isDue) return;
    if (group.newcomers && group.initialDelayLeft > 1) {
      const delay = Math.min(rules.initialDelayMs, group.initialDelayLeft);
      group.initialDelayLeft = Math.max(1, group.initialDelayLeft - delay);
      group.joinDeadline = turn.now + delay;
      group.newcomers = false;
      return;
    }
  } else if (!isDue && !group.allJoined) return;
  completeJoin(group, turn);
}

function completeJoin(group: Group, turn: MemberTurn): void {
  for (const member of [...group.members.values()]) if (member.join === null && member.instanceId === null) group.remove(member);
  const joining = [...group.members.values()].filter((member) => member.join !== null);
  group.initialDelayLeft = 0;
  if (group.members.size > 0 && joining.length === 0) {
    // Only static members, all of them away: they keep their places until their sessions end.
    group.joinDeadline = turn.now + group.rebalanceTimeoutMs;
    return;
  }
  group.joinDeadline = NEVER;
  group.generation++;
  if (group.members.size === 0) {
    becomeEmpty(group, turn);
    return;
  }
  if (group.members.get(group.leader ?? '')?.join == null) group.leader = joining[0]!.id;
  group.protocol = group.selectProtocol();
  group.become('CompletingRebalance', turn.now);
  group.syncDeadline = turn.now + group.rebalanceTimeoutMs;
  for (const member of group.members.values()) {
    member.isNew = false;
    member.synced = false;
    member.deadline = turn.now + member.sessionTimeoutMs;
    member.assignment = NO_ASSIGNMENT;
    if (member.join) turn.wake.push([member.join.ticket, joined(group, member)]);
    member.join = null;
  }
}

function becomeEmpty(group: Group, turn: MemberTurn): void {
  group.protocol = null;
  group.leader = null;
  group.syncDeadline = NEVER;
  group.become('Empty', turn.now);
  turn.records.push(groupRecord(group));
}

export function drop(group: Group, member: Member, turn: MemberTurn): void {
  refuseWaiting(member, ErrorCode.UNKNOWN_MEMBER_ID, turn);
  group.remove(member);
}

export function removeMember(group: Group, member: Member, rules: MembershipRules, turn: MemberTurn): void {
  drop(group, member, turn);
  prepareRebalance(group, rules, turn);
  goOn(group, rules, turn);
}

/** Everything that is due: sessions, unused ids, members that never synced, the rebalance itself. */
export function expire(group: Group, rules: MembershipRules, turn: MemberTurn): void {
  for (const [id, at] of group.pending) if (at <= turn.now) group.pending.delete(id);
  if (group.syncDeadline <= turn.now) {
    group.syncDeadline = NEVER;
    for (const member of [...group.members.values()]) {
      if (member.synced) continue;
      drop(group, member, turn);
      prepareRebalance(group, rules, turn);
    }
  }
  for (const member of [...group.members.values()]) {
    if (!mayExpire(member) || member.deadline > turn.now) continue;
    drop(group, member, turn);
    prepareRebalance(group, rules, turn);
  }
  goOn(group, rules, turn);
}

/** The caller of a waiting JoinGroup or SyncGroup is gone: its session runs from now on. */
export function forget(group: Group, ticket: Ticket, turn: MemberTurn): void {
  for (const member of group.members.values()) {
    if (member.join?.ticket === ticket) member.join = null;
    else if (member.sync?.ticket === ticket) member.sync = null;
    else continue;
    member.isNew = false;
    member.deadline = turn.now + member.sessionTimeoutMs;
  }
}

export function groupRecord(group: Group): StateRecord {
  const members = [...group.members.values()].map((member) => ({
    memberId: member.id,
    groupInstanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeout: member.rebalanceTimeoutMs,
    sessionTimeout: member.sessionTimeoutMs,
    subscription: metadataOf(member, group.protocol),
    assignment: member.assignment,
  }));
  const { protocolType, generation, protocol, leader, stateSince } = group;
  const value = encodeGroupValue({ protocolType, generation, protocol, leader, currentStateTimestamp: stateSince, members });
  return { owner: group.id, key: encodeGroupKey(group.id), value };
}
