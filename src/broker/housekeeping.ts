/**
 * What the broker does by itself: retention, checkpoints, flush.ms, forgetting idle producers. Each on its own interval,
 * in slices of a few milliseconds with the event loop free in between; never inside a request.
 */
import type { Timer } from '../lib/clock.ts';
import { errorText } from '../lib/errors.ts';
import type { Broker } from './broker.ts';
import { applyRetention } from './storage/retention.ts';

const FIRST_RETENTION_MS = 30_000;
const SLICE_MS = 5;
const PRODUCER_EXPIRY_MS = 600_000;
const NEVER = 2 ** 53;

export class Housekeeping {
  readonly #broker: Broker;
  readonly #timers = new Set<Timer>();
  #stopped = false;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  start(): void {
    const { own } = this.#broker.config;
    this.#every(own['log.retention.check.interval.ms'], () => this.#retention(), Math.min(FIRST_RETENTION_MS, own['log.retention.check.interval.ms']));
    this.#every(own['log.flush.offset.checkpoint.interval.ms'], () => this.#broker.topics.writeRecoveryPoints());
    this.#every(own['log.flush.start.offset.checkpoint.interval.ms'], () => this.#broker.topics.writeLogStarts());
    this.#every(PRODUCER_EXPIRY_MS, () => this.#expireProducers());
    this.#every(Math.min(own['log.flush.scheduler.interval.ms'], 1000), () => this.#flushOld());
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #every(intervalMs: number, work: () => void | Promise<void>, firstMs = intervalMs): void {
    if (intervalMs <= 0 || intervalMs >= NEVER) return;
    const run = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        this.#broker.log.error({ err: error }, `housekeeping failed and is tried again later: ${errorText(error)}`);
      }
      if (!this.#stopped) this.#arm(intervalMs, run);
    };
    this.#arm(firstMs, run);
  }

  #arm(delayMs: number, run: () => Promise<void>): void {
    const timer = this.#broker.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      void run();
    });
    this.#timers.add(timer);
  }

  /** Looks at every partition, giving the loop back after each slice. */
  async #retention(): Promise<void> {
    let sliceEnd = this.#broker.clock.monotonic() + SLICE_MS;
    for (const partition of [...this.#broker.topics.allPartitions()]) {
      if (this.#stopped) return;
      await applyRetention(partition, this.#broker.topics, this.#broker.clock.now());
      if (this.#broker.clock.monotonic() < sliceEnd) continue;
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = this.#broker.clock.monotonic() + SLICE_MS;
    }
  }

  #expireProducers(): void {
    const before = this.#broker.clock.now() - this.#broker.config.own['producer.id.expiration.ms'];
    for (const partition of this.#broker.topics.allPartitions()) partition.producers.expire(before);
  }

  /** flush.ms: logs whose oldest unsynced record is that old. */
  async #flushOld(): Promise<void> {
    const due = [...this.#broker.topics.allPartitions()].filter((partition) => partition.isFlushOverdue);
    await Promise.all(due.map((partition) => partition.sync()));
  }
}
