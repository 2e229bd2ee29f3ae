/**
 * Who has to be looked at when: a binary heap of (time, id) in which entries may be early but never late. A deadline that
 * moves back (every heartbeat does that) costs nothing; whoever is due is asked again for its real time and armed anew.
 */
export class Agenda {
  readonly #heap: { readonly at: number; readonly id: string }[] = [];
  /** The earliest entry of each id that is in the heap. */
  readonly #armed = new Map<string, number>();

  /** When the first entry falls due; Infinity if there is none. */
  get next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Makes sure that `id` is due at `at` or before; Infinity asks for nothing. */
  arm(id: string, at: number): void {
    if (at === Number.POSITIVE_INFINITY) return;
    const known = this.#armed.get(id);
    if (known !== undefined && known <= at) return;
    this.#armed.set(id, at);
    this.#push({ at, id });
  }

  /** Removes and returns everything that is due, each id once. */
  due(now: number): Set<string> {
    const ids = new Set<string>();
    while (this.next <= now) {
      const { at, id } = this.#pop();
      if (this.#armed.get(id) !== at) continue;
      this.#armed.delete(id);
      ids.add(id);
    }
    return ids;
  }

  #push(entry: { readonly at: number; readonly id: string }): void {
    const heap = this.#heap;
    let child = heap.length;
    heap.push(entry);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (heap[parent]!.at <= entry.at) break;
      heap[child] = heap[parent]!;
      child = parent;
    }
    heap[child] = entry;
  }

  #pop(): { readonly at: number; readonly id: string } {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let parent = 0;
    for (;;) {
      let child = parent * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (heap[child]!.at >= last.at) break;
      heap[parent] = heap[child]!;
      parent = child;
    }
    heap[parent] = last;
    return top;
  }
}
