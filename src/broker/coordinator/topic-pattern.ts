/**
 * Regular expressions over topic names, as consumers of KIP-848 subscribe by them: the syntax of RE2/J, which Kafka uses,
 * matched against the whole name. Not JavaScript's RegExp: that goes back and forth and one bad pattern of one client could
 * hold up the broker for hours. Here a pattern becomes a small machine whose states are all followed at once, so that a name
 * costs at most its length times the size of the machine. Without it look-around and back-references cannot be had either,
 * which RE2/J refuses as well.
 *
 * Topic names are ASCII; a class of characters is a table of 128 flags. A character beyond is legal and matches nothing.
 * pattern-syntax.ts reads the text; this file makes the machine and runs it.
 */
import { type Assertion, PatternFault, type PatternNode, parsePattern } from './pattern-syntax.ts';

export { PatternFault } from './pattern-syntax.ts';

/** States of a machine; a larger pattern is refused. */
const MAX_STATES = 20_000;
/** Of them followed at once, which is what a character costs: every name there is has to be looked at in one turn. */
const MAX_PLACES = 1000;
/** Of a topic. */
const MAX_NAME = 249;

type State =
  | { readonly kind: 'chars'; readonly table: Uint8Array }
  /** Goes on at both places. */
  | { readonly kind: 'fork'; readonly a: number; b: number }
  | { readonly kind: 'assert'; readonly assertion: Assertion }
  | { readonly kind: 'end' };

export class TopicPattern {
  readonly #states: State[] = [];
  #now: Places;
  #next: Places;

  /** @throws PatternFault */
  constructor(pattern: string) {
    this.#emit(parsePattern(pattern, MAX_STATES));
    this.#states.push({ kind: 'end' });
    this.#now = new Places(this.#states.length);
    this.#next = new Places(this.#states.length);
    this.#refuseWide();
  }

  /** Goes through a name that fits everywhere: none that is real keeps more places open. */
  #refuseWide(): void {
    this.#enter(0, null, 0, this.#now);
    for (let at = 0; at < MAX_NAME && this.#now.size > 0; at++) {
      if (this.#now.size > MAX_PLACES) throw new PatternFault('expression is too large');
      this.#step(null, at);
    }
  }

  #emit(node: PatternNode): void {
    const states = this.#states;
    if (node.kind === 'chars') states.push({ kind: 'chars', table: node.table });
    else if (node.kind === 'assert') states.push({ kind: 'assert', assertion: node.assertion });
    else if (node.kind === 'all') for (const part of node.parts) this.#emit(part);
    else if (node.kind === 'any') this.#emitChoice(node.parts);
    else this.#emitRepeat(node);
  }

  #fork(a: number): { readonly kind: 'fork'; readonly a: number; b: number } {
    const fork = { kind: 'fork' as const, a, b: a };
    this.#states.push(fork);
    return fork;
  }

  #emitChoice(parts: readonly PatternNode[]): void {
    const ends: { b: number }[] = [];
    for (const [i, part] of parts.entries()) {
      const fork = i < parts.length - 1 ? this.#fork(this.#states.length + 1) : null;
      this.#emit(part);
      if (!fork) break;
      // A fork whose two ways are one is a jump: behind the last part, once that is known.
      ends.push(this.#fork(-1));
      fork.b = this.#states.length;
    }
    for (const end of ends) Object.assign(end, { a: this.#states.length, b: this.#states.length });
  }

  #emitRepeat({ part, min, max }: Extract<PatternNode, { kind: 'repeat' }>): void {
    for (let i = 0; i < min; i++) this.#emit(part);
    if (max === Number.POSITIVE_INFINITY) {
      const start = this.#states.length;
      const fork = this.#fork(start + 1);
      this.#emit(part);
      this.#fork(start);
      fork.b = this.#states.length;
      return;
    }
    const forks = Array.from({ length: max - min }, () => {
      const fork = this.#fork(this.#states.length + 1);
      this.#emit(part);
      return fork;
    });
    for (const fork of forks) fork.b = this.#states.length;
  }

  /** Whether the whole name is of this pattern. */
  matches(name: string): boolean {
    this.#now.clear();
    this.#enter(0, name, 0, this.#now);
    for (let at = 0; at < name.length && this.#now.size > 0; at++) this.#step(name, at);
    return this.#now.has(this.#states.length - 1);
  }

  /** Reads a character. @param name null = one that fits everywhere */
  #step(name: string | null, at: number): void {
    this.#next.clear();
    const code = name === null ? -1 : name.charCodeAt(at);
    for (let i = 0; i < this.#now.size; i++) {
      const place = this.#now.list[i]!;
      const state = this.#states[place]!;
      if (state.kind === 'chars' && (code < 0 || (code < 128 && state.table[code] === 1))) this.#enter(place + 1, name, at + 1, this.#next);
    }
    [this.#now, this.#next] = [this.#next, this.#now];
  }

  /** Everything that is reached from a state without reading a character. */
  #enter(first: number, name: string | null, at: number, places: Places): void {
    const open = [first];
    while (open.length > 0) {
      const place = open.pop()!;
      if (!places.add(place)) continue;
      const state = this.#states[place]!;
      if (state.kind === 'fork') open.push(state.a, state.b);
      else if (state.kind === 'assert' && (name === null || holds(state.assertion, name, at))) open.push(place + 1);
    }
  }
}

const WORD = /[0-9A-Za-z_]/;

function holds(assertion: Assertion, name: string, at: number): boolean {
  if (assertion === 'start') return at === 0;
  if (assertion === 'end') return at === name.length;
  const isEdge = WORD.test(name.charAt(at - 1)) !== WORD.test(name.charAt(at));
  return isEdge === (assertion === 'edge');
}

/** A set of small numbers that is emptied in no time. */
class Places {
  readonly list: Int32Array;
  readonly #where: Int32Array;
  size = 0;

  constructor(limit: number) {
    this.list = new Int32Array(limit);
    this.#where = new Int32Array(limit);
  }

  has(place: number): boolean {
    const at = this.#where[place]!;
    return at < this.size && this.list[at] === place;
  }

  add(place: number): boolean {
    if (this.has(place)) return false;
    this.list[this.size] = place;
    this.#where[place] = this.size++;
    return true;
  }

  clear(): void {
    this.size = 0;
  }
}
