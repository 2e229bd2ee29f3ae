/**
 * Requests that name the same thing again and again: how often they do, and a bound. Kafka answers questions each time anew,
 * so that a small request can ask for an answer of any size; here as well, as long as what is told twice stays small.
 */
import { ProtocolError } from '../../lib/errors.ts';

/** Members, offsets, settings… that one answer may tell again. */
const MOST_REPEATED = 20_000;

export class Repeats {
  readonly #named = new Set<string>();
  #repeated = 0;

  /**
   * Counts what is told about `name`.
   * @throws ProtocolError too much was told before: the connection ends
   */
  count(name: string, told: number): void {
    const before = this.#named.size;
    if (this.#named.add(name).size > before) return;
    this.#repeated += 1 + told;
    if (this.#repeated > MOST_REPEATED) throw new ProtocolError(`it asks for "${name}" and others again and again`);
  }
}

/** How often each thing is named, in the order of first mention: Kafka refuses most changes that are asked for twice. */
export function timesNamed(names: Iterable<string>): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const name of names) times.set(name, (times.get(name) ?? 0) + 1);
  return times;
}
