/**
 * What the Kafka channel has lent: which records of which partition, so that an offset moves only past what was
 * delivered without a gap, whatever order leases end in; and what was given back, to be lent again first and in order.
 */
import type { Assigned } from '../../kafka/client/consumer.ts';
import type { Sealed } from '../core/event.ts';

/** Lent records, in arrays side by side. */
export interface Handed {
  readonly events: Sealed[];
  readonly partitions: Assigned[];
  /** Offset behind each record. */
  readonly nextOffsets: number[];
  /** Running numbers, for the order of what comes back. */
  readonly sequences: number[];
}

interface Returned {
  readonly event: Sealed;
  readonly partition: Assigned;
  readonly nextOffset: number;
  readonly sequence: number;
}

/** Records of one partition that are lent or given back, oldest first. */
interface Open {
  readonly nextOffsets: number[];
  readonly done: Set<number>;
}

export class KafkaLedger {
  readonly #open = new Map<Assigned, Open>();
  #returned: Returned[] = [];
  #sequence = 0;
  #lent = 0;

  get returned(): number {
    return this.#returned.length;
  }
  get lent(): number {
    return this.#lent;
  }

  /** Notes records that are lent for the first time. */
  hand(handed: Handed): void {
    const { partitions, nextOffsets, sequences } = handed;
    for (let i = 0; i < partitions.length; i++) {
      sequences.push(this.#sequence++);
      this.#of(partitions[i] as Assigned).nextOffsets.push(nextOffsets[i] as number);
    }
    this.#lent += partitions.length;
  }

  /** Lends up to `max` of what was given back; null = nothing was. */
  takeReturned(max: number): Handed | null {
    if (this.#returned.length === 0) return null;
    const items = this.#returned.splice(0, max);
    this.#lent += items.length;
    return {
      events: items.map(({ event }) => event),
      partitions: items.map(({ partition }) => partition),
      nextOffsets: items.map(({ nextOffset }) => nextOffset),
      sequences: items.map(({ sequence }) => sequence),
    };
  }

  /** The first `count` records are delivered: moves `safe` of their partitions as far as there is no gap. */
  settle({ partitions, nextOffsets }: Handed, count: number): void {
    for (let i = 0; i < count; i++) this.#of(partitions[i] as Assigned).done.add(nextOffsets[i] as number);
    for (const partition of new Set(partitions.slice(0, count))) this.#advance(partition);
    this.#lent -= count;
  }

  /** Takes the records from `from` on back; those of partitions that are gone are somebody else's now. */
  giveBack({ events, partitions, nextOffsets, sequences }: Handed, from: number): void {
    const back: Returned[] = [];
    for (let i = from; i < events.length; i++) {
      const partition = partitions[i] as Assigned;
      if (partition.revoked) continue;
      back.push({ event: events[i] as Sealed, partition, nextOffset: nextOffsets[i] as number, sequence: sequences[i] as number });
    }
    this.#lent -= events.length - from;
    if (back.length > 0) this.#returned = [...this.#returned, ...back].sort((a, b) => a.sequence - b.sequence);
  }

  /** Forgets partitions that went to other members. */
  dropRevoked(): void {
    this.#returned = this.#returned.filter(({ partition }) => !partition.revoked);
    for (const partition of this.#open.keys()) if (partition.revoked) this.#open.delete(partition);
  }

  clear(): void {
    this.#returned = [];
    this.#open.clear();
  }

  #of(partition: Assigned): Open {
    let open = this.#open.get(partition);
    if (open === undefined) {
      open = { nextOffsets: [], done: new Set() };
      this.#open.set(partition, open);
    }
    return open;
  }

  #advance(partition: Assigned): void {
    const { nextOffsets, done } = this.#of(partition);
    let gone = 0;
    while (gone < nextOffsets.length && done.delete(nextOffsets[gone] as number)) gone++;
    if (gone > 0) partition.safe = nextOffsets[gone - 1] as number;
    nextOffsets.splice(0, gone);
    // What follows up to the position holds nothing for readers.
    if (nextOffsets.length === 0) partition.safe = partition.position;
  }
}
