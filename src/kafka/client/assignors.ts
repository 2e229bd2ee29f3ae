/**
 * Who reads which partitions of a group: the assignors of the Java client, as pure functions over the members'
 * subscriptions. All members of a group may be asked to be its leader, Java ones too, so RangeAssignor and
 * RoundRobinAssignor give for the same input what theirs give. The sticky ones are in sticky-assignor.ts.
 */
import { cooperativeSticky, sticky } from './sticky-assignor.ts';

export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export interface Member {
  readonly memberId: string;
  /** Sorted by before the member id, so that a restart changes nothing. */
  readonly instanceId: string | null;
  readonly topics: readonly string[];
  /** What it says it had, for the sticky ones. */
  readonly owned?: readonly TopicPartitions[];
  /** … and in which generation. */
  readonly generation?: number;
}

/** Partitions of a topic; undefined = the topic is not there. */
export type PartitionCount = (topic: string) => number | undefined;

/** Member → topic → partitions. */
export type Plan = Map<string, Map<string, number[]>>;

export type Assignor = (members: readonly Member[], partitionsOf: PartitionCount) => Plan;

function ordered(members: readonly Member[]): Member[] {
  const key = ({ instanceId, memberId }: Member): string => (instanceId === null ? `1${memberId}` : `0${instanceId}`);
  return [...members].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function emptyPlan(members: readonly Member[]): Plan {
  return new Map(members.map(({ memberId }) => [memberId, new Map<string, number[]>()]));
}

function give(plan: Plan, memberId: string, topic: string, partition: number): void {
  const topics = plan.get(memberId) as Map<string, number[]>;
  const list = topics.get(topic);
  if (list === undefined) topics.set(topic, [partition]);
  else list.push(partition);
}

function topicsOf(members: readonly Member[]): string[] {
  return [...new Set(members.flatMap(({ topics }) => topics))].sort();
}

/** Each topic is cut into as many runs of partitions as it has readers; the first runs are one longer. */
export const range: Assignor = (members, partitionsOf) => {
  const plan = emptyPlan(members);
  const sorted = ordered(members);
  for (const topic of topicsOf(members)) {
    const readers = sorted.filter(({ topics }) => topics.includes(topic));
    const count = partitionsOf(topic) ?? 0;
    const each = Math.floor(count / readers.length);
    const longer = count % readers.length;
    let next = 0;
    for (const [at, { memberId }] of readers.entries()) {
      for (let i = 0; i < each + (at < longer ? 1 : 0); i++) give(plan, memberId, topic, next++);
    }
  }
  return plan;
};

/** All partitions of all topics in turn, to those who read the topic. */
export const roundRobin: Assignor = (members, partitionsOf) => {
  const plan = emptyPlan(members);
  const sorted = ordered(members);
  let turn = 0;
  for (const topic of topicsOf(members)) {
    const count = partitionsOf(topic) ?? 0;
    for (let partition = 0; partition < count; partition++) {
      while (!(sorted[turn % sorted.length] as Member).topics.includes(topic)) turn++;
      give(plan, (sorted[turn % sorted.length] as Member).memberId, topic, partition);
      turn++;
    }
  }
  return plan;
};

/** The assignor under which members keep their partitions while they join. */
export const COOPERATIVE = 'cooperative-sticky';

/** Assignors by the name members offer them under. */
export const ASSIGNORS: Readonly<Record<string, Assignor>> = { range, roundrobin: roundRobin, sticky, [COOPERATIVE]: cooperativeSticky };

const NAMES: ReadonlyMap<string, string> = new Map([
  ['range', 'range'],
  ['roundrobin', 'roundrobin'],
  ['sticky', 'sticky'],
  ['cooperativesticky', COOPERATIVE],
]);

/** The name for a word of partition.assignment.strategy, where Java class names may stand; undefined = there is no such. */
export function assignorName(word: string): string | undefined {
  const plain = word
    .replace(/^.*\./, '')
    .replace(/Assignor$/, '')
    .replaceAll(/[-_]/g, '')
    .toLowerCase();
  return NAMES.get(plain);
}

/** The names for partition.assignment.strategy, in its order; what is not there is taken as range. */
export function assignorNames(strategies: readonly string[]): string[] {
  return [...new Set(strategies.map((word) => assignorName(word) ?? 'range'))];
}
