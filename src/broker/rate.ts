/**
 * A rate as Kafka measures it for quotas: what was counted in the last 11 windows of a second, over the time they span.
 */
const WINDOWS = 11;
/** Length of a window; also the longest that Kafka makes anybody wait who is not told how long. */
export const WINDOW_MS = 1000;
/** Seconds' worth that may come at once. */
export const BURST_WINDOWS = WINDOWS;

/** What was counted per window, as a ring over time. */
export class Rate {
  readonly #counted = new Float64Array(WINDOWS);
  #window = -1;
  #first = -1;

  /** Nothing was added within all windows: the rate is 0. */
  isIdle(nowMs: number): boolean {
    return Math.floor(nowMs / WINDOW_MS) - this.#window >= WINDOWS;
  }

  /** Adds something now; answers for how long, in ms, nothing may be added until the rate is back at `limit` per second. */
  add(nowMs: number, amount: number, limit: number): number {
    const window = Math.floor(nowMs / WINDOW_MS);
    if (this.#first < 0 || window - this.#window >= WINDOWS) {
      this.#counted.fill(0);
      this.#first = window;
    } else for (let w = this.#window + 1; w <= window; w++) this.#counted[w % WINDOWS] = 0;
    this.#window = window;
    this.#counted[window % WINDOWS] = (this.#counted[window % WINDOWS] as number) + amount;
    let total = 0;
    for (const part of this.#counted) total += part;
    // A young rate is spread over at least ten windows, as Kafka does, so that one large first request is not punished.
    const spanMs = Math.max((WINDOWS - 1) * WINDOW_MS, nowMs - Math.max(this.#first, window - WINDOWS + 1) * WINDOW_MS);
    const perSecond = (total * 1000) / spanMs;
    return perSecond <= limit ? 0 : Math.round(((perSecond - limit) / limit) * spanMs);
  }
}
