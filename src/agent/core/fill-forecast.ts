/** When a channel will be full if it goes on as now: looked at whenever somebody asks for figures, smoothed over half a minute. */
import type { Clock } from '../../lib/clock.ts';

const SHORTEST_SPAN_MS = 1_000;
const SMOOTHING_MS = 30_000;

export class FillForecast {
  readonly #clock: Clock;
  #askedAt = -1;
  #size = 0;
  /** Net events per ms. */
  #rate = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Seconds until `size` reaches `capacity`; -1 = it does not grow, or has no bound. */
  secondsToFull(size: number, capacity: number): number {
    const now = this.#clock.monotonic();
    const span = now - this.#askedAt;
    if (this.#askedAt < 0 || span >= SHORTEST_SPAN_MS) {
      const weight = this.#askedAt < 0 ? 0 : 1 - Math.exp(-span / SMOOTHING_MS);
      const rate = this.#askedAt < 0 ? 0 : (size - this.#size) / span;
      this.#rate = this.#rate === 0 ? rate : this.#rate + (rate - this.#rate) * weight;
      this.#askedAt = now;
      this.#size = size;
    }
    if (capacity <= 0) return -1;
    if (size >= capacity) return 0;
    return this.#rate > 0 ? Math.ceil((capacity - size) / this.#rate / 1000) : -1;
  }
}
