/**
 * All consumer groups of the broker, as one state machine over the records of __consumer_offsets. Rules of membership are
 * in group-membership.ts and group-rebalance.ts, of offsets in group-offsets.ts, of the new consumer protocol in
 * consumer-groups.ts; this file finds the group, keeps the deadlines and answers questions that change nothing. It is above
 * 400 lines because every command of every protocol passes here.
 *
 * A stored group restores what had members as Stable with fresh sessions, so that its consumers go on without a rebalance.
 * Offsets committed in a transaction are kept apart until the marker arrives in their partition ({@link Groups.finish}).
 */
import type { DeleteGroups } from '../../kafka/apis/delete-groups.ts';
import type { DescribeGroups } from '../../kafka/apis/describe-groups.ts';
import type { Heartbeat } from '../../kafka/apis/heartbeat.ts';
import type { LeaveGroup } from '../../kafka/apis/leave-group.ts';
import type { ListGroups } from '../../kafka/apis/list-groups.ts';
import type { OffsetCommit } from '../../kafka/apis/offset-commit.ts';
import type { OffsetDelete } from '../../kafka/apis/offset-delete.ts';
import type { TxnOffsetCommit } from '../../kafka/apis/txn-offset-commit.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import type { RequestOf, ResponseDraft } from '../../kafka/schema.ts';
import { decodeGroupValue, decodeOffsetsKey, decodeOffsetValue, type GroupValue } from '../../kafka/stored/consumer-offsets.ts';
import { Agenda } from './agenda.ts';
import { heartbeatAsClassic, leaveAsClassic, syncAsClassic } from './classic-members.ts';
import { consumerGroupTombstones, refuseConsumerFetch } from './consumer-group.ts';
import { ConsumerGroups } from './consumer-groups.ts';
import type { ConsumerRules, HeartbeatCall, HeartbeatReply } from './consumer-heartbeat.ts';
import { Group, type Member, metadataOf } from './group.ts';
import { heartbeat, type JoinCall, join, leave, refuseJoin, type SyncCall, sync } from './group-membership.ts';
import {
  type CommitCall,
  type Committer,
  commit,
  deleteOffsets,
  type Exists,
  expiredOffsets,
  type FetchedTopic,
  fetchOffsets,
  groupTombstones,
  heardCommit,
  type OffsetQuery,
  type OffsetRules,
  offsetTombstone,
  refuseAll,
  refuseCommit,
} from './group-offsets.ts';
import { expire, forget, type JoinReply, joinError, type MembershipRules, prepareRebalance, type SyncReply, syncError, Turn } from './group-rebalance.ts';
import type { Decision, Machine, StateRecord, Ticket } from './machine.ts';
import { partitionFor } from './machine.ts';
import { OffsetStore } from './offset-store.ts';

export interface GroupRules extends MembershipRules, OffsetRules {
  /** offsets.topic.num.partitions */
  readonly partitions: number;
  /** offsets.retention.check.interval.ms */
  readonly expiryIntervalMs: number;
  /** The new consumer protocol. */
  readonly consumer: ConsumerRules;
}

/** `join` and `sync` are answered by ticket, now or later; everything else at once. */
export type GroupCommand =
  | ({ readonly kind: 'join' } & JoinCall)
  | ({ readonly kind: 'sync' } & SyncCall)
  /** The caller of a waiting join or sync is gone. */
  | { readonly kind: 'gone'; readonly groupId: string; readonly ticket: Ticket }
  | { readonly kind: 'heartbeat'; readonly request: RequestOf<typeof Heartbeat> }
  | { readonly kind: 'leave'; readonly request: RequestOf<typeof LeaveGroup>; readonly version: number }
  | ({ readonly kind: 'consumer-heartbeat' } & HeartbeatCall)
  | { readonly kind: 'commit'; readonly request: RequestOf<typeof OffsetCommit>; readonly version: number; readonly exists: Exists }
  | { readonly kind: 'txn-commit'; readonly request: RequestOf<typeof TxnOffsetCommit>; readonly exists: Exists }
  | { readonly kind: 'delete-offsets'; readonly request: RequestOf<typeof OffsetDelete>; readonly exists: Exists }
  | { readonly kind: 'delete-groups'; readonly groups: readonly string[] }
  | { readonly kind: 'forget-topics'; readonly topics: readonly string[] }
  | { readonly kind: 'tick' };

/** What each command answers; undefined for those that only change something. */
export interface GroupReplies {
  join: JoinReply;
  sync: SyncReply;
  heartbeat: ResponseDraft<typeof Heartbeat>;
  leave: ResponseDraft<typeof LeaveGroup>;
  'consumer-heartbeat': HeartbeatReply;
  commit: ResponseDraft<typeof OffsetCommit>;
  'txn-commit': ResponseDraft<typeof TxnOffsetCommit>;
  'delete-offsets': ResponseDraft<typeof OffsetDelete>;
  'delete-groups': ResponseDraft<typeof DeleteGroups>;
}
export type GroupReply = GroupReplies[keyof GroupReplies];
type GroupDecision = Decision<GroupReply>;

export class Groups implements Machine<GroupCommand, GroupReply> {
  readonly #rules: GroupRules;
  readonly #groups = new Map<string, Group>();
  readonly #agenda = new Agenda();
  readonly #consumers: ConsumerGroups;
  /** Groups with open transactional offsets, by producer. */
  readonly #producers = new Map<number, Set<string>>();
  /** Until `loaded`, group records are taken over; later they only repeat what is in memory. */
  #loading = true;
  /** When expired offsets are looked for again. */
  #nextExpiry = Number.POSITIVE_INFINITY;

  constructor(rules: GroupRules) {
    this.#rules = rules;
    this.#consumers = new ConsumerGroups({
      rules: rules.consumer,
      classic: rules,
      newId: rules.newId,
      agenda: this.#agenda,
      find: (id) => this.#groups.get(id),
      findOrNew: (id) => this.#groupOrNew(id, 0),
      drop: ({ id }) => void this.#groups.delete(id),
    });
  }

  /** After the replay: restores sessions. */
  loaded(now: number): void {
    this.#loading = false;
    for (const group of this.#groups.values()) {
      for (const member of group.members.values()) member.deadline = now + member.sessionTimeoutMs;
      // It came from the new protocol, and its first rebalance was not complete.
      if (group.members.size > 0 && group.leader === null) prepareRebalance(group, this.#rules, new Turn(now));
      this.#agenda.arm(group.id, group.nextDeadline);
      if (group.consumer) this.#consumers.loaded(group.consumer, now);
    }
    this.#nextExpiry = now + this.#rules.expiryIntervalMs;
  }

  nextDeadline(): number {
    return Math.min(this.#agenda.next, this.#nextExpiry);
  }

  decide(command: GroupCommand, now: number): GroupDecision {
    switch (command.kind) {
      case 'join':
        return this.#join(command, now);
      case 'sync':
        return this.#sync(command, now);
      case 'gone':
        return this.#gone(command, now);
      case 'heartbeat':
        return this.#heartbeat(command.request, now);
      case 'leave':
        return this.#leave(command.request, command.version, now);
      case 'consumer-heartbeat':
        return this.#consumers.heartbeat(command, now);
      case 'commit':
        return this.#commit(command, now);
      case 'txn-commit':
        return this.#txnCommit(command, now);
      case 'delete-offsets':
        return deleteOffsets(this.#groups.get(command.request.groupId), command.request, command.exists);
      case 'delete-groups':
        return this.#deleteGroups(command.groups);
      case 'forget-topics':
        return { records: this.#offsetsOf(new Set(command.topics)) };
      case 'tick':
        return this.#tick(now);
    }
  }

  /** The records of a decision could not be stored: assignments that nobody will see again lead to another rebalance. */
  abandon(decision: GroupDecision, now: number): GroupDecision {
    const turn = new Turn<JoinReply | SyncReply>(now);
    const groups = decision.records.filter(({ key }) => decodeOffsetsKey(key).kind === 'group');
    for (const id of new Set(groups.map(({ owner }) => owner))) {
      const group = this.#groups.get(id);
      if (group?.state !== 'Stable') continue;
      prepareRebalance(group, this.#rules, turn);
      this.#agenda.arm(id, group.nextDeadline);
    }
    for (const id of new Set(decision.records.map(({ owner }) => owner))) {
      const group = this.#groups.get(id);
      if (!group?.consumer) continue;
      if (group.members.size + group.pending.size > 0) this.#blank(group).consumer = group.consumer;
      this.#consumers.abandon(group.consumer, now);
    }
    return { records: [], wake: turn.wake };
  }

  /** Forgets the classic group of an id, not its offsets. */
  #blank({ id, stateSince, offsets }: Group): Group {
    const blank = new Group(id, stateSince, offsets);
    this.#groups.set(id, blank);
    return blank;
  }

  #groupOrNew(id: string, now: number): Group {
    const known = this.#groups.get(id);
    if (known) return known;
    const group = new Group(id, now, new OffsetStore());
    this.#groups.set(id, group);
    return group;
  }

  #join(call: JoinCall, now: number): GroupDecision {
    const { groupId, memberId } = call.request;
    const errorCode = refuseJoin(call, this.#rules) || (memberId !== '' && !this.#groups.has(groupId) ? ErrorCode.UNKNOWN_MEMBER_ID : 0);
    if (errorCode) return { records: [], wake: [[call.ticket, joinError(call, errorCode, memberId)]] };
    const group = this.#groupOrNew(groupId, now);
    const turn = new Turn<JoinReply | SyncReply>(now);
    const isMixed = group.consumer !== null && !group.isEmpty;
    if (isMixed && this.#consumers.joinClassic(group, call, turn)) return turn;
    join(group, call, this.#rules, turn);
    if (group.consumer && !isMixed && group.members.size + group.pending.size > 0) turn.records.unshift(...consumerGroupTombstones(groupId));
    this.#agenda.arm(group.id, group.nextDeadline);
    return turn;
  }

  #sync(call: SyncCall, now: number): GroupDecision {
    const { groupId } = call.request;
    const group = this.#groups.get(groupId);
    const turn = new Turn<JoinReply | SyncReply>(now);
    if (group === undefined) turn.wake.push([call.ticket, syncError(groupId === '' ? ErrorCode.INVALID_GROUP_ID : ErrorCode.UNKNOWN_MEMBER_ID)]);
    else if (group.consumer) {
      turn.wake.push([call.ticket, syncAsClassic(group.consumer, call, { rules: this.#rules.consumer, now })]);
      this.#agenda.arm(groupId, group.consumer.nextDeadline);
    } else sync(group, call, turn);
    if (group) this.#agenda.arm(group.id, group.nextDeadline);
    return turn;
  }

  #gone({ groupId, ticket }: { readonly groupId: string; readonly ticket: Ticket }, now: number): GroupDecision {
    const group = this.#groups.get(groupId);
    if (group) {
      forget(group, ticket, new Turn(now));
      this.#agenda.arm(group.id, group.nextDeadline);
    }
    return { records: [] };
  }

  #heartbeat(request: RequestOf<typeof Heartbeat>, now: number): GroupDecision {
    const group = this.#groups.get(request.groupId);
    if (group?.consumer) {
      const errorCode = heartbeatAsClassic(group.consumer, request, now);
      this.#agenda.arm(group.id, group.consumer.nextDeadline);
      return { records: [], reply: { errorCode } };
    }
    if (group) return { records: [], reply: { errorCode: heartbeat(group, request, now) } };
    return { records: [], reply: { errorCode: request.groupId === '' ? ErrorCode.INVALID_GROUP_ID : ErrorCode.UNKNOWN_MEMBER_ID } };
  }

  #leave(request: RequestOf<typeof LeaveGroup>, version: number, now: number): GroupDecision {
    const group = this.#groups.get(request.groupId);
    if (request.groupId === '') return { records: [], reply: { errorCode: ErrorCode.INVALID_GROUP_ID } };
    const turn = new Turn<JoinReply | SyncReply>(now);
    const leavers = version >= 3 ? request.members : [{ memberId: request.memberId, groupInstanceId: null }];
    const mixed = group?.consumer && leaveAsClassic(group.consumer, leavers);
    if (mixed) turn.records.push(...mixed.records);
    const members = leavers.map(({ memberId, groupInstanceId }, i) => ({
      memberId,
      groupInstanceId,
      errorCode: mixed ? mixed.errorCodes[i]! : group ? leave(group, { memberId, groupInstanceId }, this.#rules, turn) : ErrorCode.UNKNOWN_MEMBER_ID,
    }));
    if (group) this.#agenda.arm(group.id, group.nextDeadline);
    const reply = version >= 3 ? { errorCode: ErrorCode.NONE, members } : { errorCode: members[0]!.errorCode };
    return { records: turn.records, wake: turn.wake, reply };
  }

  #commit({ request, version, exists }: Extract<GroupCommand, { readonly kind: 'commit' }>, now: number): GroupDecision {
    const { groupId, memberId, generationIdOrMemberEpoch: generation, groupInstanceId: instanceId, topics } = request;
    return this.#store(groupId, { memberId, generation, instanceId, version }, { topics, exists, now });
  }

  #txnCommit({ request, exists }: Extract<GroupCommand, { readonly kind: 'txn-commit' }>, now: number): GroupDecision {
    const { groupId, memberId, generationId: generation, groupInstanceId: instanceId, topics, producerId: id, producerEpoch: epoch } = request;
    if (groupId === '') return { records: [], reply: { topics: refuseAll(topics, ErrorCode.INVALID_GROUP_ID) } };
    return this.#store(groupId, { memberId, generation, instanceId, version: 0 }, { topics, exists, now, producer: { id, epoch } });
  }

  #store(groupId: string, committer: Committer, call: CommitCall): GroupDecision {
    const known = this.#groups.get(groupId);
    const errorCode = known ? refuseCommit(known, committer, call.producer !== undefined) : refuseWithoutGroup(committer);
    if (errorCode !== ErrorCode.NONE) return { records: [], reply: { topics: refuseAll(call.topics, errorCode) } };
    const group = this.#groupOrNew(groupId, call.now);
    heardCommit(group, committer.memberId, call.now);
    const { records, topics } = commit(group, call, this.#rules);
    return { records, reply: { topics } };
  }

  #deleteGroups(ids: readonly string[]): GroupDecision {
    const records: StateRecord[] = [];
    const results = ids.map((groupId) => {
      const group = this.#groups.get(groupId);
      if (group === undefined) return { groupId, errorCode: ErrorCode.GROUP_ID_NOT_FOUND };
      if (!group.isEmpty || group.pending.size > 0) return { groupId, errorCode: ErrorCode.NON_EMPTY_GROUP };
      records.push(...groupTombstones(group));
      return { groupId, errorCode: ErrorCode.NONE };
    });
    return { records, reply: { results } };
  }

  #offsetsOf(topics: ReadonlySet<string>): StateRecord[] {
    const records: StateRecord[] = [];
    for (const group of this.#groups.values()) {
      for (const [topic, partitions] of group.offsets.all) {
        if (topics.has(topic)) for (const partition of partitions.keys()) records.push(offsetTombstone(group, topic, partition));
      }
    }
    return records;
  }

  #tick(now: number): GroupDecision {
    const turn = new Turn<JoinReply | SyncReply>(now);
    for (const id of this.#agenda.due(now)) {
      const group = this.#groups.get(id);
      if (!group) continue;
      expire(group, this.#rules, turn);
      this.#agenda.arm(id, group.nextDeadline);
      if (group.consumer) turn.records.push(...this.#consumers.expire(group, now));
    }
    if (this.#nextExpiry <= now) {
      this.#nextExpiry = now + this.#rules.expiryIntervalMs;
      for (const group of this.#groups.values()) turn.records.push(...expiredOffsets(group, this.#rules, now));
    }
    return turn;
  }

  apply({ key, value, producer }: StateRecord, offset: number): void {
    const decoded = decodeOffsetsKey(key);
    if (decoded.kind === 'other') this.#consumers.apply({ key, value });
    else if (decoded.kind === 'group') this.#applyGroup(decoded.group, value);
    else this.#applyOffset(decoded, value, { producerId: producer?.id ?? -1, at: offset });
  }

  #applyOffset(
    key: { readonly group: string; readonly topic: string; readonly partition: number },
    value: Buffer | null,
    { producerId, at }: { readonly producerId: number; readonly at: number },
  ): void {
    if (value === null) {
      this.#groups.get(key.group)?.offsets.delete(key.topic, key.partition);
      return;
    }
    const stored = decodeOffsetValue(value);
    const group = this.#groupOrNew(key.group, stored.commitTimestamp);
    group.offsets.put(key, { ...stored, at }, producerId);
    if (producerId < 0) return;
    const groups = this.#producers.get(producerId) ?? new Set();
    this.#producers.set(producerId, groups.add(key.group));
  }

  #applyGroup(id: string, value: Buffer | null): void {
    const group = this.#groups.get(id);
    // Without a record the classic group is gone; offsets are left when the id goes over to the new protocol.
    if (value === null) {
      if (group && (group.offsets.all.size > 0 || group.offsets.hasOpen)) this.#blank(group);
      else this.#groups.delete(id);
    } else if (this.#loading) restore(this.#groupOrNew(id, 0), decodeGroupValue(value));
  }

  /** A commit or abort marker was written into a partition of __consumer_offsets: live, and on replay. */
  finish(producerId: number, committed: boolean, partition: number): void {
    const groups = this.#producers.get(producerId);
    for (const id of groups ?? []) {
      if (partitionFor(id, this.#rules.partitions) !== partition) continue;
      this.#groups.get(id)?.offsets.finish(producerId, committed);
      groups!.delete(id);
    }
    if (groups?.size === 0) this.#producers.delete(producerId);
  }

  fetchOffsets(groupId: string, query: OffsetQuery): FetchedTopic[] {
    return fetchOffsets(this.#groups.get(groupId), query);
  }

  /** Whether offsets of a group may be read in the name of this member: 0 or an error code. */
  refuseFetch(groupId: string, memberId: string | null, memberEpoch: number): number {
    const group = this.#groups.get(groupId)?.consumer;
    return group ? refuseConsumerFetch(group, memberId, memberEpoch) : ErrorCode.NONE;
  }

  /** One group of the new protocol, as ConsumerGroupDescribe shows it. */
  describeConsumerGroup(groupId: string): ReturnType<ConsumerGroups['describe']> {
    return this.#consumers.describe(groupId);
  }

  /** Topics of which offsets are committed. */
  topics(): string[] {
    return [...new Set([...this.#groups.values()].flatMap(({ offsets }) => [...offsets.all.keys()]))];
  }

  /** For metrics and the console. */
  get all(): ReadonlyMap<string, Group> {
    return this.#groups;
  }

  /** One group as DescribeGroups shows it; an unknown one is Dead, and so is one of the new protocol. */
  describe(groupId: string): ResponseDraft<typeof DescribeGroups>['groups'][number] {
    const group = this.#groups.get(groupId);
    const { NONE: errorCode } = ErrorCode;
    if (group === undefined || group.consumer) return { errorCode, groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] };
    const isStable = group.state === 'Stable';
    const members = [...group.members.values()].map((member) => ({
      memberId: member.id,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: isStable ? metadataOf(member, group.protocol) : NOTHING,
      memberAssignment: isStable ? member.assignment : NOTHING,
    }));
    return { errorCode, groupId, groupState: group.state, protocolType: group.protocolType, protocolData: isStable ? (group.protocol ?? '') : '', members };
  }

  /** Filters compare without regard to case; empty ones let everything pass. */
  list({ statesFilter, typesFilter }: RequestOf<typeof ListGroups>): ResponseDraft<typeof ListGroups>['groups'] {
    const states = statesFilter.map((state) => state.toLowerCase());
    const types = typesFilter.map((type) => type.toLowerCase());
    return [...this.#groups.values()]
      .map((group) => listed(group))
      .filter(({ groupState, groupType }) => {
        return (states.length === 0 || states.includes(groupState.toLowerCase())) && (types.length === 0 || types.includes(groupType));
      });
  }
}

const NOTHING = Buffer.alloc(0);

function listed({ id: groupId, consumer, protocolType, state }: Group) {
  if (consumer) return { groupId, protocolType: 'consumer', groupState: consumer.state, groupType: 'consumer' };
  return { groupId, protocolType, groupState: state, groupType: 'classic' };
}

/** A commit for a group that is not known: fine without a generation. From version 9 on clients know GROUP_ID_NOT_FOUND. */
function refuseWithoutGroup({ generation, version }: Committer): number {
  if (generation < 0) return ErrorCode.NONE;
  return version >= 9 ? ErrorCode.GROUP_ID_NOT_FOUND : ErrorCode.ILLEGAL_GENERATION;
}

function restore(group: Group, stored: GroupValue): void {
  group.members.clear();
  group.instances.clear();
  group.protocolType = stored.protocolType;
  group.generation = stored.generation;
  group.protocol = stored.protocol;
  group.leader = null;
  for (const one of stored.members) group.add(restoredMember(one, stored.protocol));
  group.leader = stored.leader;
  group.become(stored.members.length > 0 ? 'Stable' : 'Empty', stored.currentStateTimestamp);
}

function restoredMember(stored: GroupValue['members'][number], protocol: string | null): Member {
  return {
    id: stored.memberId,
    instanceId: stored.groupInstanceId,
    clientId: stored.clientId,
    clientHost: stored.clientHost,
    rebalanceTimeoutMs: stored.rebalanceTimeout < 0 ? stored.sessionTimeout : stored.rebalanceTimeout,
    sessionTimeoutMs: stored.sessionTimeout,
    protocols: protocol === null ? [] : [{ name: protocol, metadata: Buffer.from(stored.subscription) }],
    assignment: Buffer.from(stored.assignment),
    join: null,
    sync: null,
    deadline: Number.POSITIVE_INFINITY,
    isNew: false,
    synced: true,
  };
}
