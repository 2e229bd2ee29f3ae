/**
 * What members ask of their group: join, sync, heartbeat, leave (the classic protocol; Kafka 3.9's GroupCoordinator with
 * its order of checks). What follows from it for the group as a whole is in group-rebalance.ts.
 */
import type { JoinGroup } from '../../kafka/apis/join-group.ts';
import type { LeaveGroup } from '../../kafka/apis/leave-group.ts';
import type { SyncGroup } from '../../kafka/apis/sync-group.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import type { RequestOf } from '../../kafka/schema.ts';
import type { Group, Member, Waiting } from './group.ts';
import { sameProtocols } from './group.ts';
import {
  drop,
  goOn,
  groupRecord,
  joinError,
  joined,
  type MembershipRules,
  type MemberTurn,
  prepareRebalance,
  refuseWaiting,
  removeMember,
  type SyncReply,
  syncError,
} from './group-rebalance.ts';

/** A newcomer's first JoinGroup may wait this long (Kafka's NewMemberJoinTimeoutMs). */
const NEWCOMER_TIMEOUT_MS = 300_000;
const NEVER = Number.POSITIVE_INFINITY;
const NO_ASSIGNMENT = Buffer.alloc(0);

export interface JoinCall extends Waiting {
  readonly request: RequestOf<typeof JoinGroup>;
  readonly clientId: string;
  readonly clientHost: string;
  /** Whether the caller may know of a topic. */
  readonly mayDescribe: (topic: string) => boolean;
}
export interface SyncCall extends Waiting {
  readonly request: RequestOf<typeof SyncGroup>;
}

/** The checks that need no group. */
export function refuseJoin({ request }: JoinCall, rules: MembershipRules): number {
  if (request.groupId === '') return ErrorCode.INVALID_GROUP_ID;
  const timeout = request.sessionTimeoutMs;
  return timeout < rules.minSessionMs || timeout > rules.maxSessionMs ? ErrorCode.INVALID_SESSION_TIMEOUT : ErrorCode.NONE;
}

export function join(group: Group, call: JoinCall, rules: MembershipRules, turn: MemberTurn): void {
  const { request } = call;
  const refuse = (errorCode: number, memberId = request.memberId): void => void turn.wake.push([call.ticket, joinError(call, errorCode, memberId)]);
  if (isFull(group, request.memberId, rules.maxSize)) {
    const known = group.members.get(request.memberId);
    if (known) drop(group, known, turn);
    refuse(ErrorCode.GROUP_MAX_SIZE_REACHED);
  } else if (!group.supports(request.protocolType, request.protocols)) refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  else if (request.memberId === '') joinAsNew(group, call, rules, turn);
  else if (group.pending.has(request.memberId)) admit(group, request.memberId, call, { rules, turn });
  else {
    const errorCode = refuseMember(group, request.memberId, request.groupInstanceId);
    if (errorCode === ErrorCode.NONE) rejoin(group, group.members.get(request.memberId)!, call, { rules, turn });
    else refuse(errorCode);
  }
  goOn(group, rules, turn);
}

interface Scene {
  readonly rules: MembershipRules;
  readonly turn: MemberTurn;
}

function isFull(group: Group, memberId: string, maxSize: number): boolean {
  const known = group.members.get(memberId);
  if (group.state === 'Empty' || known?.join) return false;
  if (group.state === 'PreparingRebalance') return group.joining >= maxSize;
  return known === undefined && group.members.size >= maxSize;
}

function joinAsNew(group: Group, call: JoinCall, rules: MembershipRules, turn: MemberTurn): void {
  const { groupInstanceId, sessionTimeoutMs } = call.request;
  const id = `${groupInstanceId ?? call.clientId}-${rules.newId()}`;
  const predecessor = groupInstanceId === null ? undefined : group.members.get(group.instances.get(groupInstanceId) ?? '');
  if (predecessor) takeOver(group, predecessor, { ...call, memberId: id }, { rules, turn });
  else if (groupInstanceId === null && call.version >= 4) {
    group.pending.set(id, turn.now + sessionTimeoutMs);
    turn.wake.push([call.ticket, joinError(call, ErrorCode.MEMBER_ID_REQUIRED, id)]);
  } else admit(group, id, call, { rules, turn });
}

function admit(group: Group, id: string, call: JoinCall, { rules, turn }: Scene): void {
  const { request } = call;
  if (group.members.size === 0) group.protocolType = request.protocolType;
  group.add({
    id,
    instanceId: request.groupInstanceId,
    ...profile(call),
    assignment: NO_ASSIGNMENT,
    join: { ticket: call.ticket, version: call.version },
    sync: null,
    deadline: turn.now + NEWCOMER_TIMEOUT_MS,
    isNew: true,
    synced: false,
  });
  if (group.state === 'PreparingRebalance' && group.initialDelayLeft > 0) group.newcomers = true;
  prepareRebalance(group, rules, turn);
}

/** What a member says of itself; copied, because it outlives the frame it came in. */
function profile({ request, clientId, clientHost }: JoinCall) {
  const { sessionTimeoutMs, rebalanceTimeoutMs } = request;
  const protocols = request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
  return { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs, protocols };
}

/** Takes over what a member says of itself; its former call, if one still waits, is sent back to join again. */
function update(member: Member, call: JoinCall, turn: MemberTurn): void {
  if (member.join) turn.wake.push([member.join.ticket, joinError(member.join, ErrorCode.REBALANCE_IN_PROGRESS, member.id)]);
  Object.assign(member, profile(call));
  member.join = { ticket: call.ticket, version: call.version };
  member.deadline = turn.now + member.sessionTimeoutMs;
}

function rejoin(group: Group, member: Member, call: JoinCall, { rules, turn }: Scene): void {
  const unchanged = sameProtocols(member.protocols, call.request.protocols);
  const mayStay = group.state === 'CompletingRebalance' || (group.state === 'Stable' && group.leader !== member.id);
  if (unchanged && mayStay) {
    member.deadline = turn.now + member.sessionTimeoutMs;
    turn.wake.push([call.ticket, joined(group, member)]);
    return;
  }
  update(member, call, turn);
  prepareRebalance(group, rules, turn);
}

/** A static member came back without its id: it replaces its predecessor, without a rebalance if nothing changed. */
function takeOver(group: Group, old: Member, call: JoinCall & { readonly memberId: string }, { rules, turn }: Scene): void {
  const formerLeader = group.leader;
  refuseWaiting(old, ErrorCode.FENCED_INSTANCE_ID, turn);
  const member = group.replace(old, call.memberId);
  update(member, call, turn);
  if (group.state !== 'Stable' || group.selectProtocol() !== group.protocol) {
    prepareRebalance(group, rules, turn);
    return;
  }
  member.join = null;
  member.isNew = false;
  turn.records.push(groupRecord(group));
  const isLeader = group.leader === member.id;
  const skips = call.version >= 9;
  const reply = joined(group, member);
  turn.wake.push([
    call.ticket,
    { ...reply, leader: skips ? group.leader! : formerLeader!, members: skips && isLeader ? reply.members : [], skipAssignment: skips && isLeader },
  ]);
}

/** Instance fenced, then member unknown. */
export function refuseMember(group: Group, memberId: string, instanceId: string | null): number {
  if (instanceId !== null) {
    const current = group.instances.get(instanceId);
    if (current === undefined) return ErrorCode.UNKNOWN_MEMBER_ID;
    if (current !== memberId) return ErrorCode.FENCED_INSTANCE_ID;
  }
  return group.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID;
}

export function sync(group: Group, call: SyncCall, turn: MemberTurn): void {
  const { request } = call;
  const errorCode = refuseSync(group, call);
  if (errorCode !== ErrorCode.NONE) {
    turn.wake.push([call.ticket, syncError(errorCode)]);
    return;
  }
  const member = group.members.get(request.memberId)!;
  member.synced = true;
  member.deadline = turn.now + member.sessionTimeoutMs;
  if (group.state === 'Stable') {
    turn.wake.push([call.ticket, synced(group, member)]);
    if (allSynced(group)) group.syncDeadline = NEVER;
    return;
  }
  if (member.sync) turn.wake.push([member.sync.ticket, syncError(ErrorCode.REBALANCE_IN_PROGRESS)]);
  member.sync = { ticket: call.ticket, version: call.version };
  if (group.leader === member.id) assign(group, request.assignments, turn);
}

function refuseSync(group: Group, { request, version }: SyncCall): number {
  const errorCode = refuseMember(group, request.memberId, request.groupInstanceId);
  if (errorCode !== ErrorCode.NONE) return errorCode;
  if (request.generationId !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  // From version 5 on both have to be named (KIP-559); before, they read as null.
  if (version >= 5 && (request.protocolType === null || request.protocolName === null)) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
  if (request.protocolType !== null && request.protocolType !== group.protocolType) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
  if (request.protocolName !== null && request.protocolName !== group.protocol) return ErrorCode.INCONSISTENT_GROUP_PROTOCOL;
  if (group.state === 'PreparingRebalance') return ErrorCode.REBALANCE_IN_PROGRESS;
  return group.state === 'Empty' ? ErrorCode.UNKNOWN_MEMBER_ID : ErrorCode.NONE;
}

function synced(group: Group, member: Member): SyncReply {
  return { errorCode: ErrorCode.NONE, protocolType: group.protocolType, protocolName: group.protocol, assignment: member.assignment };
}

function allSynced(group: Group): boolean {
  for (const member of group.members.values()) if (!member.synced) return false;
  return true;
}

function assign(group: Group, assignments: RequestOf<typeof SyncGroup>['assignments'], turn: MemberTurn): void {
  const byMember = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]));
  for (const member of group.members.values()) member.assignment = Buffer.from(byMember.get(member.id) ?? NO_ASSIGNMENT);
  group.become('Stable', turn.now);
  turn.records.push(groupRecord(group));
  for (const member of group.members.values()) {
    if (!member.sync) continue;
    turn.wake.push([member.sync.ticket, synced(group, member)]);
    member.sync = null;
    member.deadline = turn.now + member.sessionTimeoutMs;
  }
  if (allSynced(group)) group.syncDeadline = NEVER;
}

/** Also what a commit within the generation does to the session. */
export function heard(member: Member, now: number): void {
  if (!member.isNew) member.deadline = now + member.sessionTimeoutMs;
}

export function heartbeat(
  group: Group,
  request: { readonly memberId: string; readonly generationId: number; readonly groupInstanceId: string | null },
  now: number,
): number {
  const errorCode = refuseMember(group, request.memberId, request.groupInstanceId);
  if (errorCode !== ErrorCode.NONE) return errorCode;
  if (request.generationId !== group.generation) return ErrorCode.ILLEGAL_GENERATION;
  heard(group.members.get(request.memberId)!, now);
  return group.state === 'PreparingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE;
}

type Leaver = Pick<RequestOf<typeof LeaveGroup>['members'][number], 'memberId' | 'groupInstanceId'>;

/** One member leaves; returns its error code. */
export function leave(group: Group, { memberId, groupInstanceId }: Leaver, rules: MembershipRules, turn: MemberTurn): number {
  if (groupInstanceId === null && group.pending.delete(memberId)) {
    goOn(group, rules, turn);
    return ErrorCode.NONE;
  }
  const id = memberId === '' && groupInstanceId !== null ? (group.instances.get(groupInstanceId) ?? '') : memberId;
  const errorCode = refuseMember(group, id, groupInstanceId);
  if (errorCode === ErrorCode.NONE) removeMember(group, group.members.get(id)!, rules, turn);
  return errorCode;
}
