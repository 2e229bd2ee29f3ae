/**
 * Members that speak the classic protocol in a consumer group (KIP-848, "online migration"): a rolling restart brings a group
 * from one protocol to the other member by member, and meanwhile both kinds read side by side. The group assigns; to a
 * classic member its epoch is the generation, and it is led to its assignment by the calls it knows:
 *
 *     Heartbeat ──REBALANCE_IN_PROGRESS──> JoinGroup (with what it holds) ──epoch──> SyncGroup ──assignment──> Heartbeat …
 *
 * JoinGroup never waits for others here, and nobody leads. A member with the cooperative protocol keeps what it may keep and
 * joins again when it has let go of the rest; an eager one has let go of everything when it joins. The checks are Kafka's,
 * in its order. How a group comes to have both kinds, or none of one any more, is in group-migration.ts.
 */
import { decodeSubscription, encodeAssignment, type Subscription } from '../../kafka/embedded.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { ProtocolError } from '../../lib/errors.ts';
import { type ConsumerGroup, type ConsumerMember, newMember, sortedNames } from './consumer-group.ts';
import { type ConsumerRules, fence } from './consumer-heartbeat.ts';
import { type Found, Step } from './consumer-step.ts';
import type { TopicCatalog } from './consumer-topics.ts';
import type { JoinCall, SyncCall } from './group-membership.ts';
import { type JoinReply, joinError, type SyncReply, syncError } from './group-rebalance.ts';
import type { StateRecord } from './machine.ts';
import { MEMBER_STATE, partitionsFrom, type TopicPartitions } from './member-reconciliation.ts';

/** The only protocol type whose members can be in a consumer group. */
export const EMBEDDED_PROTOCOL = 'consumer';
/** Later versions of a subscription are answered with this one, which their clients read too. */
const NEWEST_ASSIGNMENT = 3;
const KNOWN_IDS_SINCE = 4;
const NAMED_PROTOCOLS_SINCE = 5;

export interface Scene {
  readonly rules: ConsumerRules;
  readonly newId: () => string;
  readonly now: number;
}

export interface JoinOutcome {
  readonly records: readonly StateRecord[];
  readonly reply: JoinReply;
}

/** A classic member comes, or comes back: answered at once with the epoch it has reached. */
export function joinAsClassic(group: ConsumerGroup, call: JoinCall, { rules, newId, now }: Scene): JoinOutcome {
  const { request } = call;
  const memberId = request.memberId === '' ? newId() : request.memberId;
  const refuse = (errorCode: number, id = request.memberId): JoinOutcome => ({ records: [], reply: joinError(call, errorCode, id) });
  if (group.members.size >= rules.maxSize && !group.members.has(memberId)) return refuse(ErrorCode.GROUP_MAX_SIZE_REACHED);
  const said = supportsClassic(group, call) ? subscriptionOf(request.protocols[0]!.metadata) : null;
  if (said === null) return refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  if (request.memberId === '' && request.groupInstanceId === null && call.version >= KNOWN_IDS_SINCE) return refuse(ErrorCode.MEMBER_ID_REQUIRED, memberId);
  const found = findMember(group, call, memberId);
  if (typeof found === 'number') return refuse(found);
  const owned = partitionsOf(said.ownedPartitions, rules.topics);
  const step = new Step(group, { member: updated(found.member, call, said), owned, mayDescribe: call.mayDescribe }, found, rules);
  // A member in a state that a later version of Kafka wrote starts over.
  if (!step.take()) return refuse(ErrorCode.UNKNOWN_MEMBER_ID);
  const { member } = step;
  const { sessionTimeoutMs, supportedProtocols } = member.classic!;
  group.deadlines.set(memberId, { session: now + sessionTimeoutMs, revocation: null, call: now + member.rebalanceTimeoutMs });
  const protocol = { protocolType: EMBEDDED_PROTOCOL, protocolName: supportedProtocols[0]!.name };
  return {
    records: step.records,
    reply: { errorCode: ErrorCode.NONE, memberId, generationId: member.current.epoch, ...protocol, leader: '', members: [] },
  };
}

/** Whether the protocols of a joining member go together with those of the other classic members. */
export function supportsClassic(group: ConsumerGroup, { request }: JoinCall): boolean {
  if (request.protocolType !== EMBEDDED_PROTOCOL) return false;
  // Sets, because a client may name a hundred thousand.
  let common = new Set(request.protocols.map(({ name }) => name));
  for (const { id, classic } of group.members.values()) {
    if (classic === null || id === request.memberId) continue;
    const names = new Set(classic.supportedProtocols.map(({ name }) => name));
    common = new Set([...common].filter((name) => names.has(name)));
  }
  return common.size > 0;
}

/** Null if the blob is no subscription. */
export function subscriptionOf(metadata: Buffer): Subscription | null {
  try {
    return decodeSubscription(metadata);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

/** From names to ids; topics that are gone are left out. */
export function partitionsOf(list: readonly { readonly topic: string; readonly partitions: readonly number[] }[], { topics }: TopicCatalog): TopicPartitions {
  return partitionsFrom(list.flatMap(({ topic, partitions }) => (topics.has(topic) ? [{ topicId: topics.get(topic)!.id, partitions }] : [])));
}

/** The member that joins, as it was; or an error code. A static one without a member id takes its predecessor's place. */
function findMember(group: ConsumerGroup, { request }: JoinCall, memberId: string): Found | number {
  const { groupInstanceId: instanceId } = request;
  const known = instanceId === null ? undefined : group.staticMember(instanceId);
  if (instanceId !== null && request.memberId !== '') {
    const errorCode = refuseMember(group, memberId, instanceId);
    return errorCode === ErrorCode.NONE ? { member: known!, isNew: false, replaced: undefined } : errorCode;
  }
  if (known) return { member: { ...known, id: memberId, current: { ...known.current, epoch: 0, previousEpoch: 0 } }, isNew: true, replaced: known };
  const member = group.members.get(memberId);
  return { member: member ?? newMember(memberId), isNew: member === undefined, replaced: undefined };
}

function updated(member: ConsumerMember, { request, clientId, clientHost }: JoinCall, { topics, rackId }: Subscription): ConsumerMember {
  const { groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request;
  // Copied, because they outlive the frame they came in.
  const supportedProtocols = protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
  return {
    ...member,
    clientId,
    clientHost,
    instanceId: groupInstanceId ?? member.instanceId,
    rackId: rackId ?? member.rackId,
    rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    topicNames: sortedNames(topics),
    // Patterns are the client's own affair in the classic protocol.
    topicRegex: '',
    classic: { sessionTimeoutMs, supportedProtocols },
  };
}

/** Instance fenced, then member unknown. */
function refuseMember(group: ConsumerGroup, memberId: string, instanceId: string | null): number {
  const member = instanceId === null ? group.members.get(memberId) : group.staticMember(instanceId);
  if (!member) return ErrorCode.UNKNOWN_MEMBER_ID;
  return member.id === memberId ? ErrorCode.NONE : ErrorCode.FENCED_INSTANCE_ID;
}

interface Caller {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly generationId: number;
}

function refuseCaller(group: ConsumerGroup, { memberId, groupInstanceId, generationId }: Caller): number {
  const errorCode = refuseMember(group, memberId, groupInstanceId);
  if (errorCode !== ErrorCode.NONE) return errorCode;
  const { classic, current } = group.members.get(memberId)!;
  if (classic === null) return ErrorCode.UNKNOWN_MEMBER_ID;
  return generationId === current.epoch ? ErrorCode.NONE : ErrorCode.ILLEGAL_GENERATION;
}

/** A classic member asks for what it is given. */
export function syncAsClassic(group: ConsumerGroup, { request, version }: SyncCall, { rules, now }: Pick<Scene, 'rules' | 'now'>): SyncReply {
  const { protocolType, protocolName } = request;
  if (version >= NAMED_PROTOCOLS_SINCE && (protocolType === null || protocolName === null)) return syncError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  const errorCode = refuseCaller(group, request);
  if (errorCode !== ErrorCode.NONE) return syncError(errorCode);
  const member = group.members.get(request.memberId)!;
  const own = member.classic!.supportedProtocols[0]!;
  if ((protocolType ?? EMBEDDED_PROTOCOL) !== EMBEDDED_PROTOCOL || (protocolName ?? own.name) !== own.name)
    return syncError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL);
  // One that has partitions to give up has joined already: it goes on by doing so.
  if (group.epoch > member.current.epoch && member.current.state !== MEMBER_STATE.unrevoked) {
    mustJoin(group, member, now);
    return syncError(ErrorCode.REBALANCE_IN_PROGRESS);
  }
  group.deadlines.set(member.id, { session: now + member.classic!.sessionTimeoutMs, revocation: null, call: null });
  const assignment = assignmentFor(member.current.assigned, own.metadata, rules.topics);
  return { errorCode: ErrorCode.NONE, protocolType: EMBEDDED_PROTOCOL, protocolName: own.name, assignment };
}

/** An assignment as consumers of the classic protocol read it, in the version of what they sent. */
export function assignmentFor(partitions: TopicPartitions, metadata: Buffer, { topics }: TopicCatalog): Buffer {
  const names = new Map([...topics].map(([name, { id }]) => [id, name]));
  const assignedPartitions = [...partitions].flatMap(([topicId, list]) => (names.has(topicId) ? [{ topic: names.get(topicId)!, partitions: list }] : []));
  const version = metadata.length >= 2 ? metadata.readInt16BE(0) : 0;
  return encodeAssignment({ assignedPartitions, userData: null }, Math.max(0, Math.min(version, NEWEST_ASSIGNMENT)));
}

/** A classic member lives; the answer says when it has to join again. */
export function heartbeatAsClassic(group: ConsumerGroup, request: Caller, now: number): number {
  const errorCode = refuseCaller(group, request);
  if (errorCode !== ErrorCode.NONE) return errorCode;
  const member = group.members.get(request.memberId)!;
  const call = group.deadlines.get(member.id)?.call ?? null;
  group.deadlines.set(member.id, { session: now + member.classic!.sessionTimeoutMs, revocation: null, call });
  if (!hasToJoin(group, member)) return ErrorCode.NONE;
  mustJoin(group, member, now);
  return ErrorCode.REBALANCE_IN_PROGRESS;
}

/** The group has gone on, or the member has partitions to give up, or what it waits for is free. */
function hasToJoin(group: ConsumerGroup, { id, current }: ConsumerMember): boolean {
  if (current.epoch < group.epoch || current.state === MEMBER_STATE.unrevoked) return true;
  if (current.state !== MEMBER_STATE.unreleased) return false;
  for (const [topicId, partitions] of group.targets.get(id) ?? []) {
    const assigned = current.assigned.get(topicId) ?? [];
    if (partitions.some((partition) => !assigned.includes(partition) && group.isHeld(topicId, partition))) return false;
  }
  return true;
}

function mustJoin(group: ConsumerGroup, { id, rebalanceTimeoutMs }: ConsumerMember, now: number): void {
  const deadlines = group.deadlines.get(id);
  if (deadlines) deadlines.call ??= now + rebalanceTimeoutMs;
}

interface Leaver {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
}

/** Classic members leave; members of the new protocol are unknown to LeaveGroup. */
export function leaveAsClassic(group: ConsumerGroup, leavers: readonly Leaver[]): { readonly records: readonly StateRecord[]; readonly errorCodes: number[] } {
  const gone = new Set<ConsumerMember>();
  const errorCodes = leavers.map(({ memberId, groupInstanceId }) => {
    const id = memberId === '' && groupInstanceId !== null ? (group.instances.get(groupInstanceId) ?? '') : memberId;
    const errorCode = refuseMember(group, id, groupInstanceId);
    if (errorCode !== ErrorCode.NONE) return errorCode;
    const member = group.members.get(id)!;
    if (member.classic === null) return ErrorCode.UNKNOWN_MEMBER_ID;
    gone.add(member);
    return ErrorCode.NONE;
  });
  return { records: gone.size > 0 ? fence(group, [...gone]) : [], errorCodes };
}
