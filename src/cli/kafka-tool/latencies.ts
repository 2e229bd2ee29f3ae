/** Counts and latencies of kafka-producer-perf-test, printed as its Stats class prints them. */

const MB = 1_048_576;
/** Samples kept for percentiles, as in Kafka's tool. */
const SAMPLES = 500_000;

interface Sums {
  count: number;
  bytes: number;
  latencyMs: number;
  maxMs: number;
  beganMs: number;
}

const empty = (): Sums => ({ count: 0, bytes: 0, latencyMs: 0, maxMs: 0, beganMs: performance.now() });

export class Latencies {
  readonly #every: number;
  readonly #samples: number[] = [];
  #all = empty();
  #window = empty();

  /** @param expected how many records will come; beyond half a million only every n-th is kept */
  constructor(expected: number) {
    this.#every = Math.max(1, Math.ceil(expected / SAMPLES));
  }

  get count(): number {
    return this.#all.count;
  }

  begin(): void {
    this.#all = empty();
    this.#window = empty();
  }

  /** `count` records of `bytes` together were acknowledged after `latencyMs`. */
  add(count: number, bytes: number, latencyMs: number): void {
    const whole = Math.round(latencyMs);
    for (let i = (this.#every - (this.#all.count % this.#every)) % this.#every; i < count; i += this.#every) this.#samples.push(whole);
    for (const sums of [this.#all, this.#window]) {
      sums.count += count;
      sums.bytes += bytes;
      sums.latencyMs += whole * count;
      sums.maxMs = Math.max(sums.maxMs, whole);
    }
  }

  /** What was sent since the last call. */
  window(): string {
    const { count, bytes, latencyMs, maxMs, beganMs } = this.#window;
    const seconds = (performance.now() - beganMs) / 1000;
    this.#window = empty();
    const average = count === 0 ? 0 : latencyMs / count;
    return `${count} records sent, ${(count / seconds).toFixed(1)} records/sec (${(bytes / seconds / MB).toFixed(2)} MB/sec), ${average.toFixed(1)} ms avg latency, ${maxMs.toFixed(1)} ms max latency.\n`;
  }

  total(): string {
    const { count, bytes, latencyMs, maxMs, beganMs } = this.#all;
    const seconds = Math.max(1, performance.now() - beganMs) / 1000;
    const sorted = this.#samples.sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    const average = count === 0 ? 0 : latencyMs / count;
    return (
      `${count} records sent, ${(count / seconds).toFixed(6)} records/sec (${(bytes / seconds / MB).toFixed(2)} MB/sec), ${average.toFixed(2)} ms avg latency, ` +
      `${maxMs.toFixed(2)} ms max latency, ${at(0.5)} ms 50th, ${at(0.95)} ms 95th, ${at(0.99)} ms 99th, ${at(0.999)} ms 99.9th.\n`
    );
  }
}
