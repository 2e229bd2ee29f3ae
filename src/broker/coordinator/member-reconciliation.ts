/**
 * How a member of a consumer group (KIP-848) comes from what it has to what it shall have, one heartbeat at a time. Pure:
 * the state before, the target, what the member says it holds, and who else holds what give the state after.
 *
 *     STABLE ──new target──> UNREVOKED_PARTITIONS ──no longer holds them──> UNRELEASED_PARTITIONS ──others let go──> STABLE
 *
 * A partition is taken away before anybody else gets it: it counts as held while it is assigned or waits for revocation.
 * A step without partitions to give up, or to wait for, is skipped.
 */

/** Partitions by topic id, ascending; a topic without partitions is not in it. */
export type TopicPartitions = ReadonlyMap<string, readonly number[]>;
export const NO_PARTITIONS: TopicPartitions = new Map();

/** As stored: Kafka's MemberState. */
export const MEMBER_STATE = { stable: 0, unrevoked: 1, unreleased: 2, unknown: 127 } as const;

/** What a member has. */
export interface CurrentAssignment {
  readonly epoch: number;
  readonly previousEpoch: number;
  /** One of {@link MEMBER_STATE}. */
  readonly state: number;
  readonly assigned: TopicPartitions;
  /** Still held by the member, which has been told to let go. */
  readonly revoking: TopicPartitions;
}

export interface Goal {
  readonly epoch: number;
  readonly target: TopicPartitions;
  /** What the member says it holds; null = it did not say. */
  readonly owned: TopicPartitions | null;
  /** Whether a member, this one or another, holds a partition. */
  readonly isHeld: (topicId: string, partition: number) => boolean;
}

/** Whether there is nothing left to do for this target. */
export function isReconciled({ state, epoch }: CurrentAssignment, targetEpoch: number): boolean {
  return state === MEMBER_STATE.stable && epoch === targetEpoch;
}

/** The next state, the same object if nothing changes; null when the member has to start over without partitions. */
export function reconcile(current: CurrentAssignment, goal: Goal): CurrentAssignment | null {
  switch (current.state) {
    case MEMBER_STATE.stable:
      return current.epoch === goal.epoch ? current : advance(current, current.epoch, goal);
    case MEMBER_STATE.unrevoked:
      return holdsAny(goal.owned, current.revoking) ? current : advance(current, current.epoch + 1, goal);
    case MEMBER_STATE.unreleased:
      return advance(current, current.epoch, goal);
    default:
      // A state of a later version of Kafka's coordinator.
      return goal.owned === null || goal.owned.size > 0 ? null : advance(current, goal.epoch, goal);
  }
}

/** A member that did not say what it holds may hold anything. */
function holdsAny(owned: TopicPartitions | null, some: TopicPartitions): boolean {
  if (owned === null) return true;
  for (const [topicId, partitions] of some) {
    const held = new Set(owned.get(topicId));
    if (partitions.some((partition) => held.has(partition))) return true;
  }
  return false;
}

/** @param epoch that of the member if it may not go to the target's yet */
function advance(current: CurrentAssignment, epoch: number, { epoch: targetEpoch, target, owned, isHeld }: Goal): CurrentAssignment {
  const assigned = new Map<string, readonly number[]>();
  const revoking = new Map<string, readonly number[]>();
  const granted = new Map<string, readonly number[]>();
  let mustWait = false;
  for (const topicId of new Set([...target.keys(), ...current.assigned.keys()])) {
    const wanted = new Set(target.get(topicId));
    const had = current.assigned.get(topicId) ?? [];
    const kept = had.filter((partition) => wanted.has(partition));
    const lost = had.filter((partition) => !wanted.has(partition));
    for (const partition of kept) wanted.delete(partition);
    const free = [...wanted].filter((partition) => !isHeld(topicId, partition));
    mustWait ||= free.length < wanted.size;
    if (kept.length > 0) assigned.set(topicId, kept);
    if (lost.length > 0) revoking.set(topicId, lost);
    if (kept.length + free.length > 0)
      granted.set(
        topicId,
        [...kept, ...free].sort((a, b) => a - b),
      );
  }
  if (revoking.size > 0 && holdsAny(owned, revoking)) {
    return { epoch, previousEpoch: current.epoch, state: MEMBER_STATE.unrevoked, assigned, revoking };
  }
  const state = mustWait ? MEMBER_STATE.unreleased : MEMBER_STATE.stable;
  return { epoch: targetEpoch, previousEpoch: current.epoch, state, assigned: granted, revoking: NO_PARTITIONS };
}

export function samePartitions(a: TopicPartitions, b: TopicPartitions): boolean {
  if (a.size !== b.size) return false;
  for (const [topicId, partitions] of a) {
    const others = b.get(topicId);
    if (others?.length !== partitions.length || partitions.some((partition, i) => partition !== others[i])) return false;
  }
  return true;
}

export function sameAssignment(a: CurrentAssignment, b: CurrentAssignment): boolean {
  const sameState = a.epoch === b.epoch && a.previousEpoch === b.previousEpoch && a.state === b.state;
  return sameState && samePartitions(a.assigned, b.assigned) && samePartitions(a.revoking, b.revoking);
}

/** From the form of the wire and of records: sorted, each partition once, without empty topics. */
export function partitionsFrom(list: readonly { readonly topicId: string; readonly partitions: readonly number[] }[]): TopicPartitions {
  const found = new Map<string, Set<number>>();
  for (const { topicId, partitions } of list) {
    const all = found.get(topicId) ?? new Set();
    found.set(topicId, all);
    for (const partition of partitions) all.add(partition);
  }
  const topics = new Map<string, readonly number[]>();
  for (const [topicId, all] of found) {
    if (all.size === 0) continue;
    topics.set(
      topicId,
      [...all].sort((a, b) => a - b),
    );
  }
  return topics;
}

/** To the form of the wire and of records. */
export function partitionsList(topics: TopicPartitions): { topicId: string; partitions: readonly number[] }[] {
  return Array.from(topics, ([topicId, partitions]) => ({ topicId, partitions }));
}
