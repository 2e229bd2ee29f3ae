/** The words that a queue's files share: what an event is here, and a run of events with consecutive sequence numbers. */

/** Same shape as an agent's event; wal knows no agent. */
export interface StoredEvent {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A run of events; those before `head` are gone. */
export interface Part {
  readonly events: readonly StoredEvent[];
  head: number;
  /** Sequence number of `events[0]`. */
  readonly sequence: number;
}

/** Sequence number of the first event left. */
export function firstOf(part: Part): number {
  return part.sequence + part.head;
}

/** Events left. */
export function leftOf(part: Part): number {
  return part.events.length - part.head;
}

/**
 * Parts in order of their numbers. New ones come at the end, given-back ones nearly always at the front.
 */
export class PartQueue {
  readonly #parts: (Part | undefined)[] = [];
  #first = 0;

  get isEmpty(): boolean {
    return this.#first === this.#parts.length;
  }

  /** Puts a part where its number belongs. */
  insert(part: Part): void {
    const parts = this.#parts;
    const number = firstOf(part);
    if (this.isEmpty || firstOf(parts[parts.length - 1] as Part) < number) {
      parts.push(part);
      return;
    }
    let at = this.#first;
    while (at < parts.length && firstOf(parts[at] as Part) < number) at++;
    if (at === this.#first && this.#first > 0) parts[--this.#first] = part;
    else parts.splice(at, 0, part);
  }

  /** The oldest part, or its first `max` events; the queue must not be empty. */
  shift(max: number): Part {
    const part = this.#parts[this.#first] as Part;
    if (leftOf(part) <= max) {
      this.#parts[this.#first++] = undefined;
      if (this.#first === this.#parts.length) {
        this.#parts.length = 0;
        this.#first = 0;
      }
      return part.head === 0 ? part : { events: part.events.slice(part.head), head: 0, sequence: firstOf(part) };
    }
    const end = part.head + max;
    const out: Part = { events: part.events.slice(part.head, end), head: 0, sequence: firstOf(part) };
    part.head = end;
    return out;
  }
}
