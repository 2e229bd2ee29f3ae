/**
 * All groups of the new consumer protocol (KIP-848) of the broker: the part of {@link file://./groups.ts} that is about
 * them. A group id belongs to one protocol at a time; offsets are the id's, whatever the protocol. A group without members
 * changes its protocol when somebody of the other one joins; with members it does so by {@link file://./group-migration.ts}.
 */
import type { ConsumerGroupDescribe } from '../../kafka/apis/consumer-group-describe.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import type { ResponseDraft } from '../../kafka/schema.ts';
import { decodeConsumerGroupKey } from '../../kafka/stored/consumer-group.ts';
import { encodeGroupKey } from '../../kafka/stored/consumer-offsets.ts';
import type { Agenda } from './agenda.ts';
import { joinAsClassic, supportsClassic } from './classic-members.ts';
import { ConsumerGroup, type ConsumerMember, sessionOf } from './consumer-group.ts';
import {
  beat,
  type ConsumerRules,
  depart,
  fence,
  type HeartbeatCall,
  type HeartbeatOutcome,
  overdue,
  refused,
  refuseHeartbeat,
  restoreDeadlines,
} from './consumer-heartbeat.ts';
import { preferredAssignor } from './consumer-step.ts';
import type { Group, Member } from './group.ts';
import type { JoinCall } from './group-membership.ts';
import { downgrade, mayDowngrade, upgraded } from './group-migration.ts';
import { joinError, type MembershipRules, type MemberTurn, refuseWaiting, Turn } from './group-rebalance.ts';
import type { StateRecord } from './machine.ts';
import type { TopicPartitions } from './member-reconciliation.ts';

type Described = ResponseDraft<typeof ConsumerGroupDescribe>['groups'][number];

export interface ConsumerGroupsOptions {
  readonly rules: ConsumerRules;
  /** Those of the classic protocol, for groups that go back to it. */
  readonly classic: MembershipRules;
  readonly newId: () => string;
  readonly agenda: Agenda;
  readonly find: (id: string) => Group | undefined;
  readonly findOrNew: (id: string) => Group;
  /** Takes a group away of which nothing is left. */
  readonly drop: (group: Group) => void;
}

export class ConsumerGroups {
  readonly #options: ConsumerGroupsOptions;
  /** A group that exists once the records of the present decision are applied. */
  #unborn: ConsumerGroup | null = null;

  constructor(options: ConsumerGroupsOptions) {
    this.#options = options;
  }

  heartbeat(call: HeartbeatCall, now: number): HeartbeatOutcome {
    const { newId, agenda, find } = this.#options;
    const { groupId, memberEpoch } = call.request;
    const rules = this.#rulesOf(groupId);
    const invalid = refuseHeartbeat(call, rules);
    if (invalid) return invalid;
    const known = find(groupId);
    if (known?.consumer && memberEpoch < 0) return depart(known.consumer, call, (gone) => this.#remove(known, gone, new Turn(now)));
    if (memberEpoch === 0 && known && !known.consumer && !known.isEmpty) return this.#joinClassicGroup(known, call, now);
    const group =
      known?.consumer ??
      (memberEpoch === 0
        ? this.#begin(groupId)
        : refused(ErrorCode.GROUP_ID_NOT_FOUND, known || memberEpoch < 0 ? notFound(groupId, known) : `Consumer group ${groupId} not found.`));
    if ('reply' in group) return group;
    const memberId = call.request.memberId === '' ? newId() : call.request.memberId;
    const outcome = beat(group, call, memberId, { rules, now });
    agenda.arm(groupId, Math.min(now + rules.sessionMs, group.deadlines.get(memberId)?.revocation?.at ?? Number.POSITIVE_INFINITY));
    // Also of a group that only committed offsets: Kafka 3.9 takes it for a classic one when it reads them.
    const isConversion = known !== undefined && known.consumer === null && outcome.records.length > 0;
    return isConversion ? { ...outcome, records: [{ owner: groupId, key: encodeGroupKey(groupId), value: null }, ...outcome.records] } : outcome;
  }

  /** The rules with what is set for this group alone. */
  #rulesOf(groupId: string): ConsumerRules {
    const { rules } = this.#options;
    const own = rules.timingsOf?.(groupId);
    return own ? { ...rules, ...own } : rules;
  }

  #begin(id: string): ConsumerGroup {
    this.#unborn = new ConsumerGroup(id);
    return this.#unborn;
  }

  /** A member of the new protocol comes to a classic group: it becomes a consumer group, if it may. */
  #joinClassicGroup(known: Group, call: HeartbeatCall, now: number): HeartbeatOutcome {
    const { newId, agenda } = this.#options;
    const rules = this.#rulesOf(known.id);
    const upgrade = upgraded(known, rules, now);
    if ('reply' in upgrade) return upgrade;
    const { group } = upgrade;
    const outcome = beat(group, call, call.request.memberId === '' ? newId() : call.request.memberId, { rules, now });
    if (outcome.reply.errorCode !== ErrorCode.NONE) return outcome;
    this.#unborn = group;
    const turn: MemberTurn = new Turn(now);
    for (const member of known.members.values()) sendBack(member, turn);
    agenda.arm(known.id, group.nextDeadline);
    return { ...outcome, records: [...upgrade.records, ...outcome.records], wake: turn.wake };
  }

  /**
   * A member of the classic protocol joins a group with members. True: it is answered. False: it takes the place of the last
   * member of the new protocol, as its static successor; the group is a classic one from now on, and the join goes on there.
   */
  joinClassic(known: Group, call: JoinCall, turn: MemberTurn): boolean {
    const { rules, classic, newId, agenda } = this.#options;
    const group = known.consumer!;
    const { memberId, groupInstanceId } = call.request;
    const predecessor = memberId === '' && groupInstanceId !== null ? group.staticMember(groupInstanceId) : undefined;
    if (predecessor && group.members.size <= classic.maxSize && mayDowngrade(group, [predecessor], rules.migration, classic) && supportsClassic(group, call)) {
      downgrade(known, [predecessor], { topics: rules.topics, rules: classic, turn });
      return false;
    }
    const { records, reply } = joinAsClassic(group, call, { rules, newId, now: turn.now });
    turn.records.push(...records);
    turn.wake.push([call.ticket, reply]);
    agenda.arm(group.id, group.nextDeadline);
    return true;
  }

  /** Members go. With the last one of the new protocol the group goes back to the classic one, if others stay and it may. */
  #remove(known: Group, gone: readonly ConsumerMember[], turn: MemberTurn): readonly StateRecord[] {
    const { rules, classic, agenda } = this.#options;
    const group = known.consumer!;
    if (gone.length === group.members.size || !mayDowngrade(group, gone, rules.migration, classic)) return fence(group, gone);
    downgrade(known, gone, { topics: rules.topics, rules: classic, turn });
    agenda.arm(known.id, known.nextDeadline);
    return turn.records;
  }

  /** Takes over a record if it is one of these groups. */
  apply({ key, value }: Pick<StateRecord, 'key' | 'value'>): void {
    const decoded = decodeConsumerGroupKey(key);
    if (decoded === null) return;
    const { groupId, kind } = decoded;
    const group = value === null ? this.#options.find(groupId) : this.#options.findOrNew(groupId);
    if (!group || (value === null && !group.consumer)) return;
    group.consumer ??= this.#unborn?.id === groupId ? this.#unborn : new ConsumerGroup(groupId);
    if (kind !== 'epoch' || value !== null) {
      group.consumer.apply(decoded, value);
      return;
    }
    group.consumer = null;
    if (group.isBlank) this.#options.drop(group);
  }

  /** After the replay: restores sessions. */
  loaded(group: ConsumerGroup, now: number): void {
    restoreDeadlines(group, now, this.#rulesOf(group.id).sessionMs);
    this.#options.agenda.arm(group.id, group.nextDeadline);
  }

  /** What has fallen due in a group. */
  expire(known: Group, now: number): readonly StateRecord[] {
    const group = known.consumer!;
    const gone = overdue(group, now);
    const records = gone.length > 0 ? this.#remove(known, gone, new Turn(now)) : [];
    // Until these records are applied the members still have their deadlines.
    for (const { id } of gone) group.deadlines.delete(id);
    this.#options.agenda.arm(group.id, group.nextDeadline);
    return records;
  }

  /** Records about this group could not be stored: whoever was to go is still a member, and gets another session. */
  abandon(group: ConsumerGroup, now: number): void {
    // What was found of topics may have been in these records.
    group.refreshed = null;
    for (const [id, member] of group.members) {
      if (!group.deadlines.has(id))
        group.deadlines.set(id, { session: now + sessionOf(member, this.#rulesOf(group.id).sessionMs), revocation: null, call: null });
    }
    this.#options.agenda.arm(group.id, group.nextDeadline);
  }

  describe(groupId: string): Described {
    const known = this.#options.find(groupId);
    const group = known?.consumer;
    if (!group) return { ...nothingOf(groupId), errorCode: ErrorCode.GROUP_ID_NOT_FOUND, errorMessage: notFound(groupId, known) };
    const { topics } = this.#options.rules;
    const names = new Map([...topics.topics].map(([name, { id }]) => [id, name]));
    const list = (partitions: TopicPartitions) => ({
      topicPartitions: [...partitions].flatMap(([topicId, ids]) => (names.has(topicId) ? [{ topicId, topicName: names.get(topicId)!, partitions: ids }] : [])),
    });
    const members = [...group.members.values()].map((member) => ({
      memberId: member.id,
      instanceId: member.instanceId,
      rackId: member.rackId,
      memberEpoch: member.current.epoch,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: member.topicNames,
      subscribedTopicRegex: member.topicRegex,
      assignment: list(member.current.assigned),
      targetAssignment: list(group.targets.get(member.id) ?? new Map()),
      memberType: member.classic ? CLASSIC_MEMBER : CONSUMER_MEMBER,
    }));
    const assignorName = preferredAssignor(group.members.values(), this.#options.rules.assignors);
    return { ...nothingOf(groupId), groupState: group.state, groupEpoch: group.epoch, assignmentEpoch: group.targetEpoch, assignorName, members };
  }
}

/** JoinGroup from here on; Java clients before 2.8 end when a join gets REBALANCE_IN_PROGRESS (KAFKA-10870), and later ones say 7 too. */
const KNOWS_REBALANCE_SINCE = 8;

/** Kinds of members, as ConsumerGroupDescribe numbers them. */
const CLASSIC_MEMBER = 0;
const CONSUMER_MEMBER = 1;

/** What waits in the classic group is to be asked again. */
function sendBack(member: Member, turn: MemberTurn): void {
  const { join } = member;
  if (join && join.version < KNOWS_REBALANCE_SINCE) {
    turn.wake.push([join.ticket, joinError(join, ErrorCode.NOT_COORDINATOR, member.id)]);
    member.join = null;
  }
  refuseWaiting(member, ErrorCode.REBALANCE_IN_PROGRESS, turn);
}

function notFound(groupId: string, known: Group | undefined): string {
  return known ? `Group ${groupId} is not a consumer group.` : `Group ${groupId} not found.`;
}

/** A group about which nothing is told. */
export function nothingOf(groupId: string) {
  return { errorCode: ErrorCode.NONE as number, errorMessage: null, groupId, groupState: '', groupEpoch: 0, assignmentEpoch: 0, assignorName: '', members: [] };
}
