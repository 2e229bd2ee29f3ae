/**
 * The committed offsets of one group, and those that wait for the marker of their transaction. Changed only by records:
 * live and on replay alike.
 */

export interface CommittedOffset {
  /** What the client committed: the next offset to read. */
  readonly offset: number;
  /** -1 = unknown. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Epoch milliseconds. */
  readonly commitTimestamp: number;
  /** Set by very old clients (value version 1), else -1. */
  readonly expireTimestamp: number;
  /** Where the record lies in its log: of two commits the later record counts. */
  readonly at: number;
}

type Topics = Map<string, Map<number, CommittedOffset>>;

export class OffsetStore {
  readonly #committed: Topics = new Map();
  /** By producer id. */
  readonly #open = new Map<number, Topics>();

  get(topic: string, partition: number): CommittedOffset | undefined {
    return this.#committed.get(topic)?.get(partition);
  }

  /** Topics with their partitions, in the order in which they were first committed. */
  get all(): ReadonlyMap<string, ReadonlyMap<number, CommittedOffset>> {
    return this.#committed;
  }

  /** Whether a transaction with offsets of this group is open. */
  get hasOpen(): boolean {
    return this.#open.size > 0;
  }

  /** Whether a transaction that is still open has committed an offset of this partition. */
  isUnstable(topic: string, partition: number): boolean {
    for (const topics of this.#open.values()) if (topics.get(topic)?.has(partition)) return true;
    return false;
  }

  /** @param producerId -1 for a commit outside of a transaction */
  put(key: { readonly topic: string; readonly partition: number }, entry: CommittedOffset, producerId = -1): void {
    if (producerId < 0) set(this.#committed, key, entry);
    else {
      const topics: Topics = this.#open.get(producerId) ?? new Map();
      this.#open.set(producerId, topics);
      set(topics, key, entry);
    }
  }

  /** Partitions with offsets of open transactions; one may come several times. */
  *open(): Generator<readonly [topic: string, partition: number]> {
    for (const topics of this.#open.values()) for (const [topic, partitions] of topics) for (const partition of partitions.keys()) yield [topic, partition];
  }

  /** With what open transactions have committed of it: a marker that comes later brings nothing back (as in Kafka). */
  delete(topic: string, partition: number): void {
    remove(this.#committed, topic, partition);
    for (const [producerId, topics] of this.#open) {
      remove(topics, topic, partition);
      if (topics.size === 0) this.#open.delete(producerId);
    }
  }

  /** Ends a producer's transaction: its offsets count now, unless a later record has overtaken them, or never. */
  finish(producerId: number, commit: boolean): void {
    const topics = this.#open.get(producerId);
    this.#open.delete(producerId);
    if (!commit) return;
    for (const [topic, partitions] of topics ?? []) {
      for (const [partition, entry] of partitions) {
        if ((this.get(topic, partition)?.at ?? -1) <= entry.at) set(this.#committed, { topic, partition }, entry);
      }
    }
  }
}

function remove(topics: Topics, topic: string, partition: number): void {
  const partitions = topics.get(topic);
  partitions?.delete(partition);
  if (partitions?.size === 0) topics.delete(topic);
}

function set(topics: Topics, { topic, partition }: { readonly topic: string; readonly partition: number }, entry: CommittedOffset): void {
  const partitions = topics.get(topic) ?? new Map<number, CommittedOffset>();
  topics.set(topic, partitions);
  partitions.set(partition, entry);
}
