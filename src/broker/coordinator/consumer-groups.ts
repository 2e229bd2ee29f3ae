/**
 * All groups of the new consumer protocol (KIP-848) of the broker: the part of {@link file://./groups.ts} that is about
 * them. A group id belongs to one protocol at a time; offsets are the id's, whatever the protocol. A group without members
 * changes its protocol when somebody of the other one joins; with members it refuses them (Kafka's
 * `group.consumer.migration.policy=disabled`).
 */
import type { ConsumerGroupDescribe } from '../../kafka/apis/consumer-group-describe.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import type { ResponseDraft } from '../../kafka/schema.ts';
import { decodeConsumerGroupKey } from '../../kafka/stored/consumer-group.ts';
import { encodeGroupKey } from '../../kafka/stored/consumer-offsets.ts';
import type { Agenda } from './agenda.ts';
import { ConsumerGroup } from './consumer-group.ts';
import {
  beat,
  type ConsumerRules,
  depart,
  fence,
  type HeartbeatCall,
  type HeartbeatOutcome,
  overdue,
  preferredAssignor,
  refused,
  refuseHeartbeat,
  restoreDeadlines,
} from './consumer-heartbeat.ts';
import type { Group } from './group.ts';
import type { StateRecord } from './machine.ts';
import type { TopicPartitions } from './member-reconciliation.ts';

type Described = ResponseDraft<typeof ConsumerGroupDescribe>['groups'][number];

export interface ConsumerGroupsOptions {
  readonly rules: ConsumerRules;
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
    const { rules, newId, agenda, find } = this.#options;
    const invalid = refuseHeartbeat(call, rules);
    if (invalid) return invalid;
    const { groupId, memberEpoch } = call.request;
    const known = find(groupId);
    if (known?.consumer && memberEpoch < 0) return depart(known.consumer, call);
    const group =
      known?.consumer ??
      (memberEpoch === 0
        ? this.#begin(groupId, known)
        : refused(ErrorCode.GROUP_ID_NOT_FOUND, known ? notFound(groupId, known) : `Consumer group ${groupId} not found.`));
    if ('reply' in group) return group;
    const memberId = call.request.memberId === '' ? newId() : call.request.memberId;
    const outcome = beat(group, call, memberId, { rules, now });
    agenda.arm(groupId, Math.min(now + rules.sessionMs, group.deadlines.get(memberId)?.revocation?.at ?? Number.POSITIVE_INFINITY));
    // Also of a group that only committed offsets: Kafka 3.9 takes it for a classic one when it reads them.
    const isConversion = known !== undefined && known.consumer === null && outcome.records.length > 0;
    return isConversion ? { ...outcome, records: [{ owner: groupId, key: encodeGroupKey(groupId), value: null }, ...outcome.records] } : outcome;
  }

  #begin(id: string, known: Group | undefined): ConsumerGroup | HeartbeatOutcome {
    if (known && !known.isEmpty) return refused(ErrorCode.GROUP_ID_NOT_FOUND, `Group ${id} is not a consumer group.`);
    // The record that ends the classic group would take the offsets of an open transaction with it if there are no others.
    if (known?.offsets.hasOpen && known.offsets.all.size === 0) return refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, `Group ${id} has an open transaction.`);
    this.#unborn = new ConsumerGroup(id);
    return this.#unborn;
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
    restoreDeadlines(group, now, this.#options.rules.sessionMs);
    this.#options.agenda.arm(group.id, group.nextDeadline);
  }

  /** What has fallen due in a group. */
  expire(group: ConsumerGroup, now: number): StateRecord[] {
    const gone = overdue(group, now);
    const records = gone.length > 0 ? fence(group, gone) : [];
    // Until these records are applied the members still have their deadlines.
    for (const { id } of gone) group.deadlines.delete(id);
    this.#options.agenda.arm(group.id, group.nextDeadline);
    return records;
  }

  /** Records about this group could not be stored: whoever was to go is still a member, and gets another session. */
  abandon(group: ConsumerGroup, now: number): void {
    // What was found of topics may have been in these records.
    group.refreshed = null;
    for (const id of group.members.keys()) {
      if (!group.deadlines.has(id)) group.deadlines.set(id, { session: now + this.#options.rules.sessionMs, revocation: null });
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
      memberType: CONSUMER_MEMBER,
    }));
    const assignorName = preferredAssignor(group.members.values(), this.#options.rules.assignors);
    return { ...nothingOf(groupId), groupState: group.state, groupEpoch: group.epoch, assignmentEpoch: group.targetEpoch, assignorName, members };
  }
}

/** A member of the new protocol, as ConsumerGroupDescribe numbers them (0 = classic). */
const CONSUMER_MEMBER = 1;

function notFound(groupId: string, known: Group | undefined): string {
  return known ? `Group ${groupId} is not a consumer group.` : `Group ${groupId} not found.`;
}

/** A group about which nothing is told. */
export function nothingOf(groupId: string) {
  return { errorCode: ErrorCode.NONE as number, errorMessage: null, groupId, groupState: '', groupEpoch: 0, assignmentEpoch: 0, assignorName: '', members: [] };
}
