/**
 * What one call of a member of a consumer group (KIP-848) leads to: a heartbeat, or the JoinGroup of a member that speaks
 * the classic protocol in it. Nothing here changes what is stored: every change is a record. Of a member that joins or asks
 * for other topics follow, in order:
 *
 *     member ──> topics of the group (if they changed) ──> epoch ──> targets, target epoch ──> current assignment
 *
 * The assignor runs here, in the broker, whenever the epoch is ahead of the target's.
 */
import {
  type ConsumerGroup,
  type ConsumerMember,
  currentRecord,
  groupRecordOf,
  memberRecord,
  memberTombstones,
  targetRecord,
  topicsRecord,
} from './consumer-group.ts';
import { refreshTopics, type TopicCatalog } from './consumer-topics.ts';
import { sameProtocols } from './group.ts';
import type { StateRecord } from './machine.ts';
import { isReconciled, NO_PARTITIONS, reconcile, sameAssignment, samePartitions, type TopicPartitions } from './member-reconciliation.ts';
import { SERVER_ASSIGNORS, type ServerAssignorName } from './server-assignors.ts';

export interface StepRules {
  /** group.consumer.assignors; the first is that of members which ask for none. */
  readonly assignors: readonly ServerAssignorName[];
  readonly topics: TopicCatalog;
}

/** What a member says. */
export interface StepCall {
  /** The member as it says it is; what it has is as before. */
  readonly member: ConsumerMember;
  /** What it says it holds; null = it does not say. */
  readonly owned: TopicPartitions | null;
  /** Whether the caller may know of a topic; regular expressions find no others. */
  readonly mayDescribe: (topic: string) => boolean;
}

/** Who calls. */
export interface Found {
  /** As it was before this call; a member that just comes is fresh, or has what its predecessor of the same instance id had. */
  readonly member: ConsumerMember;
  readonly isNew: boolean;
  /** The member whose place it takes. */
  readonly replaced: ConsumerMember | undefined;
}

/** What one call of a member leads to. */
export class Step {
  readonly #group: ConsumerGroup;
  readonly #call: StepCall;
  readonly #found: Found;
  readonly #rules: StepRules;
  readonly records: StateRecord[] = [];
  /** As it will be. */
  member: ConsumerMember;
  #epoch: number;
  #topics: ConsumerGroup['topics'];

  constructor(group: ConsumerGroup, call: StepCall, found: Found, rules: StepRules) {
    this.#group = group;
    this.#call = call;
    this.#found = found;
    this.#rules = rules;
    this.member = call.member;
    this.#epoch = group.epoch;
    this.#topics = group.topics;
  }

  /** False when the member has to start over; then the records do not count. */
  take(): boolean {
    const { member: before, replaced } = this.#found;
    if (replaced) this.records.push(...memberTombstones(this.#group.id, replaced.id));
    if (this.#found.isNew || !sameWords(before, this.member)) this.records.push(memberRecord(this.#group.id, this.member));
    this.#refresh(before.topicRegex !== this.member.topicRegex || String(before.topicNames) !== String(this.member.topicNames));
    const target = this.#epoch > this.#group.targetEpoch ? this.#retarget() : this.#target();
    return this.#reconcile(target);
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
    if (found !== null) this.records.push(topicsRecord(group.id, found));
    this.#topics = found ?? group.topics;
    if (hasChanged || found !== null) this.records.push(groupRecordOf('epoch', group.id, '', { epoch: ++this.#epoch }));
    group.refreshed = { version: topics.topicsVersion, epoch: this.#epoch };
  }

  /** What the member was given last; of a replaced one its predecessor's. */
  #target(): TopicPartitions {
    const { replaced } = this.#found;
    const target = this.#group.targets.get(replaced?.id ?? this.member.id) ?? NO_PARTITIONS;
    if (replaced) this.records.push(targetRecord(this.#group.id, this.member.id, target));
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
      if (old === undefined || !samePartitions(old, target)) this.records.push(targetRecord(group.id, id, target));
    }
    this.records.push(groupRecordOf('target-epoch', group.id, '', { assignmentEpoch: this.#epoch }));
    return targets.get(this.member.id) as TopicPartitions;
  }

  #reconcile(target: TopicPartitions): boolean {
    const { member: before, isNew } = this.#found;
    const epoch = Math.max(this.#epoch, this.#group.targetEpoch);
    if (!isReconciled(this.member.current, epoch)) {
      const { owned } = this.#call;
      const isHeld = (topicId: string, partition: number): boolean => this.#group.isHeld(topicId, partition);
      const current = reconcile(this.member.current, { epoch, target, owned, isHeld });
      if (current === null) return false;
      this.member = { ...this.member, current };
    }
    if (isNew || !sameAssignment(before.current, this.member.current)) this.records.push(currentRecord(this.#group.id, this.member));
    return true;
  }
}

/** Whether two members said the same of themselves. */
function sameWords(a: ConsumerMember, b: ConsumerMember): boolean {
  const { current: _a, classic: c, ...x } = a;
  const { current: _b, classic: d, ...y } = b;
  // Apart, because protocols may be megabytes.
  const isSame = c === null || d === null ? c === d : c.sessionTimeoutMs === d.sessionTimeoutMs && sameProtocols(c.supportedProtocols, d.supportedProtocols);
  return isSame && JSON.stringify(x) === JSON.stringify(y);
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
