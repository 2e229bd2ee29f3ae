/**
 * Long work in short slices: whoever walks over much data asks now and then whether its turn is over, and gives the event
 * loop back. A request then waits for one slice at most, not for the whole walk.
 */
import type { Clock } from '../lib/clock.ts';

/** Length of a slice. Half of what the house allows, because one step (a batch) may still follow the last look. */
const SLICE_MS = 2.5;

/** Thrown out of {@link Slices.breathe} when the work shall end early; the caller puts away what it has begun. */
export class Interrupted extends Error {}

export class Slices {
  readonly #clock: Clock;
  readonly #goOn: () => boolean;
  #end: number;

  /** @param goOn asked after every pause; false ends the work */
  constructor(clock: Clock, goOn: () => boolean = () => true) {
    this.#clock = clock;
    this.#goOn = goOn;
    this.#end = clock.monotonic() + SLICE_MS;
  }

  /** True when the slice is used up. */
  get over(): boolean {
    return this.#clock.monotonic() >= this.#end;
  }

  /** Lets everything else that is ready run once, then begins a new slice. @throws Interrupted */
  async breathe(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#end = this.#clock.monotonic() + SLICE_MS;
    this.check();
  }

  /** @throws Interrupted when the work shall end */
  check(): void {
    if (!this.#goOn()) throw new Interrupted('the work was called off');
  }
}
