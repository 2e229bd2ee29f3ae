/**
 * What the broker does by itself: retention, compaction, checkpoints, flush.ms, forgetting idle producers. Each on its own
 * interval, in slices of a few milliseconds with the event loop free in between; never inside a request.
 */
import type { Timer } from '../lib/clock.ts';
import { AppError, errorText } from '../lib/errors.ts';
import type { FileSystem } from '../lib/files.ts';
import type { Broker } from './broker.ts';
import { Slices } from './slices.ts';
import { Cleaner } from './storage/cleaner.ts';
import type { Partition } from './storage/partition.ts';
import { applyRetention } from './storage/retention.ts';

const PRODUCER_EXPIRY_MS = 600_000;
const NEVER = 2 ** 53;

export class Housekeeping {
  readonly cleaner: Cleaner;
  readonly #broker: Broker;
  readonly #timers = new Set<Timer>();
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(broker: Broker, disk: FileSystem) {
    this.#broker = broker;
    const { topics, clock, log, config } = broker;
    this.cleaner = new Cleaner({ topics, disk, clock, log, memoryBytes: config.own['log.cleaner.dedupe.buffer.size'] });
  }

  /** When all partitions are open. */
  start(): void {
    const { own } = this.#broker.config;
    this.cleaner.load();
    this.#every(
      own['log.retention.check.interval.ms'],
      () => this.#retention(),
      Math.min(own['log.initial.task.delay.ms'], own['log.retention.check.interval.ms']),
    );
    if (own['log.cleaner.enable']) this.#every(Math.max(1, own['log.cleaner.backoff.ms']), () => this.cleaner.run());
    this.#every(own['log.flush.offset.checkpoint.interval.ms'], () => this.#checkpoint());
    this.#every(own['log.flush.start.offset.checkpoint.interval.ms'], () => this.#broker.topics.writeLogStarts());
    this.#every(PRODUCER_EXPIRY_MS, () => this.#expireProducers());
    this.#every(Math.min(own['log.flush.scheduler.interval.ms'], 1000), () => this.#flushOld());
  }

  /** Begins nothing any more. */
  halt(): void {
    this.#stopped = true;
    this.cleaner.stop();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** Resolves when nothing is at work on the logs any more. */
  async stop(): Promise<void> {
    this.halt();
    await Promise.all(this.#running);
  }

  /** A topic was removed. */
  forget(partitions: readonly Partition[]): void {
    this.cleaner.forget(partitions);
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
      const running = run();
      this.#running.add(running);
      void running.then(() => this.#running.delete(running));
    });
    this.#timers.add(timer);
  }

  /** Looks at every partition, giving the loop back after each slice. */
  async #retention(): Promise<void> {
    const slices = new Slices(this.#broker.clock);
    const { topics, clock } = this.#broker;
    for (const partition of [...topics.allPartitions()]) {
      if (this.#stopped) return;
      if (topics.partition(partition.topic, partition.index) === partition)
        await this.#patiently(partition, () => applyRetention(partition, topics, clock.now()));
      if (slices.over) await slices.breathe();
    }
  }

  /** A partition whose disk refuses, or that is removed meanwhile, does not keep the others waiting. */
  async #patiently(partition: Partition, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (this.#broker.topics.partition(partition.topic, partition.index) !== partition) return;
      this.#broker.log.warn({ err: error, partition: partition.label }, `${partition.label} cannot be tidied up now, trying again later: ${errorText(error)}`);
    }
  }

  /** Segments that were closed since the last time go to the device, then the checkpoints say so. */
  async #checkpoint(): Promise<void> {
    for (const partition of [...this.#broker.topics.allPartitions()]) {
      if (this.#stopped) return;
      if (partition.recoveryPoint < partition.log.activeBase) await this.#patiently(partition, () => partition.sync());
    }
    this.#broker.topics.writeRecoveryPoints();
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
