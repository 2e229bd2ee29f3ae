/**
 * The one call of the new consumer protocol (KIP-848, ConsumerGroupHeartbeat): who joins, stays or leaves, what follows from
 * it for the group, and what the member is told; with the checks of Kafka's GroupMetadataManager in its order. Nothing
 * here changes what is stored: every change is a record. Of a member that joins or asks for other topics follow, in order:
 *
 *     member ──> topics of the group (if they changed) ──> epoch ──> targets, target epoch ──> current assignment
 *
 * The assignor runs here, in the broker, whenever the epoch is ahead of the target's.
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
  memberRecord,
  memberTombstones,
  newMember,
  STATIC_LEAVE_EPOCH,
  sortedNames,
  targetRecord,
  topicsRecord,
} from './consumer-group.ts';
import { refreshTopics, type TopicCatalog, topicsWithout } from './consumer-topics.ts';
import type { StateRecord } from './machine.ts';
import {
  isReconciled,
  MEMBER_STATE,
  NO_PARTITIONS,
  partitionsFrom,
  partitionsList,
  reconcile,
  sameAssignment,
  samePartitions,
  type TopicPartitions,
} from './member-reconciliation.ts';
import { SERVER_ASSIGNORS, type ServerAssignorName } from './server-assignors.ts';
import { PatternFault, TopicPattern } from './topic-pattern.ts';

export interface ConsumerRules {
  /** group.consumer.assignors; the first is that of members which ask for none. */
  readonly assignors: readonly ServerAssignorName[];
  /** group.consumer.session.timeout.ms */
  readonly sessionMs: number;
  /** group.consumer.heartbeat.interval.ms */
  readonly heartbeatMs: number;
  /** group.consumer.max.size */
  readonly maxSize: number;
  readonly topics: TopicCatalog;
}

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
  const step = new Step(group, call, found, rules);
  const outcome = step.take();
  if (outcome.reply.errorCode === ErrorCode.NONE) keepAlive(group, step.member, found.member, { sessionMs: rules.sessionMs, now });
  return outcome;
}

interface Found {
  /** As it was before this call; a member that just comes is fresh, or has what its predecessor of the same instance id had. */
  readonly member: ConsumerMember;
  readonly isNew: boolean;
  /** The member whose place it takes. */
  readonly replaced: ConsumerMember | undefined;
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
  if (known.current.epoch !== STATIC_LEAVE_EPOCH && known.id !== memberId) {
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

/** What one heartbeat leads to. */
class Step {
  readonly #group: ConsumerGroup;
  readonly #call: HeartbeatCall;
  readonly #found: Found;
  readonly #rules: ConsumerRules;
  readonly #records: StateRecord[] = [];
  /** As it will be. */
  member: ConsumerMember;
  #epoch: number;
  #topics: ConsumerGroup['topics'];

  constructor(group: ConsumerGroup, call: HeartbeatCall, found: Found, rules: ConsumerRules) {
    this.#group = group;
    this.#call = call;
    this.#found = found;
    this.#rules = rules;
    this.member = updated(found.member, call);
    this.#epoch = group.epoch;
    this.#topics = group.topics;
  }

  take(): HeartbeatOutcome {
    const { request } = this.#call;
    const { member: before, replaced } = this.#found;
    if (replaced) this.#records.push(...memberTombstones(this.#group.id, replaced.id));
    if (this.#found.isNew || !sameWords(before, this.member)) this.#records.push(memberRecord(this.#group.id, this.member));
    this.#refresh(before.topicRegex !== this.member.topicRegex || String(before.topicNames) !== String(this.member.topicNames));
    const target = this.#epoch > this.#group.targetEpoch ? this.#retarget() : this.#target();
    if (!this.#reconcile(target)) {
      return refused(ErrorCode.FENCED_MEMBER_EPOCH, 'The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.');
    }
    const isFull =
      request.memberEpoch === 0 || (request.rebalanceTimeoutMs !== -1 && request.subscribedTopicNames !== null && request.topicPartitions !== null);
    const { current } = this.member;
    const isNews = isFull || !samePartitions(current.assigned, before.current.assigned);
    const assignment = isNews ? { topicPartitions: partitionsList(current.assigned) } : null;
    const heartbeatIntervalMs = this.#rules.heartbeatMs;
    return {
      records: this.#records,
      reply: { errorCode: ErrorCode.NONE, memberId: this.member.id, memberEpoch: current.epoch, heartbeatIntervalMs, assignment },
    };
  }

  /** Members as they will be. */
  #members(): ConsumerMember[] {
    const { replaced } = this.#found;
    const others = [...this.#group.members.values()].map((one) => (one.id === this.member.id ? this.member : one)).filter((one) => one !== replaced);
    return others.includes(this.member) ? others : [...others, this.member];
  }

  /** Raises the epoch if other topics are read, or those that are read have changed. */
  #refresh(hasChanged: boolean): void {
    const group = this.#group;
    const { topics } = this.#rules;
    const isFresh = group.refreshed?.version === topics.topicsVersion && group.epoch >= group.refreshed.epoch;
    if (isFresh && !hasChanged) return;
    const found = refreshTopics(group, this.#members(), topics, this.#call.mayDescribe);
    if (found !== null) this.#records.push(topicsRecord(group.id, found));
    this.#topics = found ?? group.topics;
    if (hasChanged || found !== null) this.#records.push(groupRecordOf('epoch', group.id, '', { epoch: ++this.#epoch }));
    group.refreshed = { version: topics.topicsVersion, epoch: this.#epoch };
  }

  /** What the member was given last; of a replaced one its predecessor's. */
  #target(): TopicPartitions {
    const { replaced } = this.#found;
    const target = this.#group.targets.get(replaced?.id ?? this.member.id) ?? NO_PARTITIONS;
    if (replaced) this.#records.push(targetRecord(this.#group.id, this.member.id, target));
    return target;
  }

  /** Computes who shall have what from now on. */
  #retarget(): TopicPartitions {
    const { replaced } = this.#found;
    const group = this.#group;
    const members = this.#members();
    const counts = new Map([...this.#topics.values()].map(({ id, partitions }) => [id, partitions]));
    const idsOf = (member: ConsumerMember): Set<string> => {
      const names = [...member.topicNames, ...(group.resolved.get(member.topicRegex) ?? [])];
      return new Set(names.flatMap((name) => this.#topics.get(name)?.id ?? []));
    };
    const ownedBy = (id: string): TopicPartitions => group.targets.get(id === this.member.id && replaced ? replaced.id : id) ?? NO_PARTITIONS;
    const assign = SERVER_ASSIGNORS[preferredAssignor(members, this.#rules.assignors)];
    const targets = assign(
      members.map((member) => ({ id: member.id, instanceId: member.instanceId, topics: idsOf(member), owned: ownedBy(member.id) })),
      counts,
    );
    for (const [id, target] of targets) {
      const old = group.targets.get(id);
      if (old === undefined || !samePartitions(old, target)) this.#records.push(targetRecord(group.id, id, target));
    }
    this.#records.push(groupRecordOf('target-epoch', group.id, '', { assignmentEpoch: this.#epoch }));
    return targets.get(this.member.id) as TopicPartitions;
  }

  /** False when the member has to start over. */
  #reconcile(target: TopicPartitions): boolean {
    const { member: before, isNew } = this.#found;
    const epoch = Math.max(this.#epoch, this.#group.targetEpoch);
    if (!isReconciled(this.member.current, epoch)) {
      const { topicPartitions } = this.#call.request;
      const owned = topicPartitions === null ? null : partitionsFrom(topicPartitions);
      const isHeld = (topicId: string, partition: number): boolean => this.#group.isHeld(topicId, partition);
      const current = reconcile(this.member.current, { epoch, target, owned, isHeld });
      if (current === null) return false;
      this.member = { ...this.member, current };
    }
    if (isNew || !sameAssignment(before.current, this.member.current)) this.#records.push(currentRecord(this.#group.id, this.member));
    return true;
  }
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
    current: memberEpoch === 0 ? rejoined : member.current,
  };
}

/** Whether two members said the same of themselves. */
function sameWords(a: ConsumerMember, b: ConsumerMember): boolean {
  const { current: _a, ...x } = a;
  const { current: _b, ...y } = b;
  return JSON.stringify(x) === JSON.stringify(y);
}

/** The one that most members ask for; ties and silence go to the order of the setting. */
export function preferredAssignor(members: Iterable<ConsumerMember>, assignors: readonly ServerAssignorName[]): ServerAssignorName {
  const votes = assignors.map(() => 0);
  for (const { assignor } of members) {
    const index = (assignors as readonly (string | null)[]).indexOf(assignor);
    if (index >= 0) votes[index]!++;
  }
  return assignors[votes.indexOf(Math.max(...votes))] as ServerAssignorName;
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
  group.deadlines.set(member.id, { session: now + sessionMs, revocation });
}

/** A member says goodbye: for good (-1), or as a static one that will be back (-2). */
export function depart(group: ConsumerGroup, { request }: HeartbeatCall): HeartbeatOutcome {
  const { memberId, memberEpoch, instanceId } = request;
  const member = instanceId === null ? group.members.get(memberId) : group.staticMember(instanceId);
  if (!member) return instanceId === null ? unknownMember(group, memberId) : refused(ErrorCode.UNKNOWN_MEMBER_ID, `Instance id ${instanceId} is unknown.`);
  if (member.id !== memberId) return fencedInstance(member, memberId);
  const reply = { errorCode: ErrorCode.NONE, memberId, memberEpoch, heartbeatIntervalMs: 0 };
  if (memberEpoch === LEAVE_EPOCH) return { records: fence(group, [member]), reply };
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

/** Those whose session is over, or who did not give up their partitions in time. */
export function overdue(group: ConsumerGroup, now: number): ConsumerMember[] {
  return [...group.deadlines].flatMap(([id, { session, revocation }]) => {
    const member = group.members.get(id);
    if (!member) {
      group.deadlines.delete(id);
      return [];
    }
    const isStuck = revocation !== null && revocation.at <= now && revocation.epoch === member.current.epoch;
    if (revocation !== null && revocation.at <= now && !isStuck) group.deadlines.set(id, { session, revocation: null });
    return session <= now || isStuck ? [member] : [];
  });
}

/** Sessions start anew when the groups have been read. */
export function restoreDeadlines(group: ConsumerGroup, now: number, sessionMs: number): void {
  for (const { id, current, rebalanceTimeoutMs } of group.members.values()) {
    const isRevoking = current.state === MEMBER_STATE.unrevoked && current.epoch >= 0;
    group.deadlines.set(id, { session: now + sessionMs, revocation: isRevoking ? { at: now + rebalanceTimeoutMs, epoch: current.epoch } : null });
  }
}
