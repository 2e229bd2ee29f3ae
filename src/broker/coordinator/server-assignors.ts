/**
 * The assignors of the broker itself (KIP-848): who of a group shall read which partitions. Pure functions over members,
 * what they subscribe to and what they were given before; the same names and promises as Kafka's `uniform` and `range`.
 *
 * uniform   as even as the subscriptions allow, and of those the assignment that moves few partitions
 * range     per topic, neighbouring partitions; partition n of topics with equal counts goes to the same member
 */
import type { TopicPartitions } from './member-reconciliation.ts';

export interface AssignableMember {
  readonly id: string;
  readonly instanceId: string | null;
  /** Ids of the topics it reads; only such as exist. */
  readonly topics: ReadonlySet<string>;
  /** What it was given last time. */
  readonly owned: TopicPartitions;
}

/** Numbers of partitions by topic id. */
export type PartitionCounts = ReadonlyMap<string, number>;
/** Every member is in the result. Every partition of a topic that somebody reads is given to exactly one of its readers. */
export type ServerAssignor = (members: readonly AssignableMember[], counts: PartitionCounts) => Map<string, TopicPartitions>;

/** By the names that members and `group.consumer.assignors` call them. */
export const SERVER_ASSIGNORS = { uniform, range } satisfies Readonly<Record<string, ServerAssignor>>;
export type ServerAssignorName = keyof typeof SERVER_ASSIGNORS;

const NAMES: ReadonlyMap<string, ServerAssignorName> = new Map([
  ['uniform', 'uniform'],
  ['range', 'range'],
  ['org.apache.kafka.coordinator.group.assignor.UniformAssignor', 'uniform'],
  ['org.apache.kafka.coordinator.group.assignor.RangeAssignor', 'range'],
]);

/** The assignor with this name or class of Kafka's, or undefined. */
export function assignorNamed(word: string): ServerAssignorName | undefined {
  return NAMES.get(word);
}

/** Names of the assignors in a setting, in its order. */
export function assignorsOf(words: readonly string[]): ServerAssignorName[] {
  return [...new Set(words.flatMap((word) => assignorNamed(word) ?? []))];
}

function range(members: readonly AssignableMember[], counts: PartitionCounts): Map<string, TopicPartitions> {
  const sorted = [...members].sort(byInstanceThenId);
  const given = new Map<string, Map<string, readonly number[]>>(members.map(({ id }) => [id, new Map()]));
  for (const [topicId, count] of counts) {
    const readers = sorted.filter(({ topics }) => topics.has(topicId));
    const each = Math.floor(count / readers.length);
    const extra = count % readers.length;
    let next = 0;
    for (const [i, { id }] of readers.entries()) {
      const size = i < extra ? each + 1 : each;
      const from = next;
      if (size > 0)
        given.get(id)!.set(
          topicId,
          Array.from({ length: size }, (_, n) => from + n),
        );
      next += size;
    }
  }
  return given;
}

/** Static members first, so that their partitions do not depend on member ids, which are new after every restart. */
function byInstanceThenId(a: AssignableMember, b: AssignableMember): number {
  if (a.instanceId !== null && b.instanceId !== null) return a.instanceId < b.instanceId ? -1 : 1;
  if (a.instanceId !== null || b.instanceId !== null) return a.instanceId !== null ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

function uniform(members: readonly AssignableMember[], counts: PartitionCounts): Map<string, TopicPartitions> {
  const board = new Board(members, counts);
  const [first] = members;
  const sameTopics = members.every(({ topics }) => topics.size === first!.topics.size && [...topics].every((topicId) => first!.topics.has(topicId)));
  if (sameTopics) board.dealEvenly();
  else {
    board.keepAll();
    board.dealToLeastLoaded();
    board.balance();
  }
  return board.result();
}

/** Rounds of balancing over all topics; each round only evens out what the rounds before have shifted. */
const MAX_ROUNDS = 16;

/** An assignment in the making. Members are numbers: their place in the list. */
class Board {
  readonly #members: readonly AssignableMember[];
  /** Partitions by topic and member. */
  readonly #hands = new Map<string, number[][]>();
  readonly #load: number[];
  readonly #readers = new Map<string, number[]>();
  /** Partitions that nobody has yet, by topic. */
  readonly #free = new Map<string, Set<number>>();
  #total = 0;

  constructor(members: readonly AssignableMember[], counts: PartitionCounts) {
    this.#members = members;
    this.#load = members.map(() => 0);
    for (const [topicId, count] of counts) {
      const readers = members.flatMap(({ topics }, i) => (topics.has(topicId) ? [i] : []));
      if (readers.length === 0) continue;
      this.#readers.set(topicId, readers);
      this.#hands.set(
        topicId,
        members.map(() => []),
      );
      this.#free.set(topicId, new Set(Array.from({ length: count }, (_, i) => i)));
      this.#total += count;
    }
  }

  #give(topicId: string, partition: number, member: number): void {
    this.#hands.get(topicId)![member]!.push(partition);
    this.#load[member]!++;
    this.#free.get(topicId)!.delete(partition);
  }

  /** Lets a member keep of its former partitions what it still reads, at most `quota`. */
  #keep(member: number, quota = Number.POSITIVE_INFINITY): void {
    const { topics, owned } = this.#members[member]!;
    for (const [topicId, partitions] of owned) {
      if (!topics.has(topicId)) continue;
      for (const partition of partitions) if (this.#load[member]! < quota && this.#free.get(topicId)?.has(partition)) this.#give(topicId, partition, member);
    }
  }

  /** All read the same: everybody gets the same number, or one more. Those who have more already are first to get one more. */
  dealEvenly(): void {
    const size = this.#members.length;
    const has = this.#members.map(({ owned }) => [...owned].reduce((sum, [topicId, { length }]) => (this.#free.has(topicId) ? sum + length : sum), 0));
    const order = this.#members.map((_, i) => i).sort((a, b) => has[b]! - has[a]! || a - b);
    const quotas = new Map(order.map((member, rank) => [member, Math.floor(this.#total / size) + (rank < this.#total % size ? 1 : 0)]));
    for (const [member, quota] of quotas) this.#keep(member, quota);
    const free = [...this.#free].flatMap(([topicId, partitions]) => [...partitions].map((partition) => [topicId, partition] as const));
    let next = 0;
    for (const [member, quota] of quotas) {
      for (; this.#load[member]! < quota && next < free.length; next++) this.#give(...free[next]!, member);
    }
  }

  keepAll(): void {
    for (const i of this.#members.keys()) this.#keep(i);
  }

  /** Topics with many partitions per reader first, then those with few readers: they leave the least choice. */
  #topics(): string[] {
    const perReader = (topicId: string): number => this.#hands.get(topicId)!.reduce((sum, hand) => sum + hand.length, this.#free.get(topicId)!.size);
    const weight = new Map([...this.#readers].map(([topicId, readers]) => [topicId, [perReader(topicId) / readers.length, readers.length] as const]));
    return [...weight.keys()].sort((a, b) => {
      const [x, y] = [weight.get(a)!, weight.get(b)!];
      return y[0] - x[0] || x[1] - y[1] || (a < b ? -1 : 1);
    });
  }

  #leastLoaded(topicId: string): number {
    return this.#readers.get(topicId)!.reduce((least, member) => (this.#load[member]! < this.#load[least]! ? member : least));
  }

  dealToLeastLoaded(): void {
    for (const topicId of this.#topics()) for (const partition of [...this.#free.get(topicId)!]) this.#give(topicId, partition, this.#leastLoaded(topicId));
  }

  /** Moves partitions from readers with many to readers of the same topic with few. */
  balance(): void {
    const topics = this.#topics();
    for (let round = 0, moved = true; moved && round < MAX_ROUNDS; round++) {
      moved = false;
      for (const topicId of topics) while (this.#moveOne(topicId)) moved = true;
    }
  }

  #moveOne(topicId: string): boolean {
    const hands = this.#hands.get(topicId)!;
    let most = -1;
    for (const member of this.#readers.get(topicId)!) if (hands[member]!.length > 0 && (most < 0 || this.#load[member]! > this.#load[most]!)) most = member;
    const least = this.#leastLoaded(topicId);
    if (most < 0 || this.#load[most]! - this.#load[least]! <= 1) return false;
    this.#load[most]!--;
    this.#give(topicId, hands[most]!.pop()!, least);
    return true;
  }

  result(): Map<string, TopicPartitions> {
    const given = new Map<string, TopicPartitions>();
    for (const [i, { id }] of this.#members.entries()) {
      const topics = new Map<string, readonly number[]>();
      for (const [topicId, hands] of this.#hands)
        if (hands[i]!.length > 0)
          topics.set(
            topicId,
            hands[i]!.sort((a, b) => a - b),
          );
      given.set(id, topics);
    }
    return given;
  }
}
