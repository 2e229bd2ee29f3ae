/**
 * Reads topics without a group: every partition, from its beginning, its end or a given offset, as the console consumer
 * does when it is told no group. Hands records out as GroupConsumer does; topics that are not there yet, and partitions
 * that are added, are found on the way.
 */
import { Assigned } from '../../kafka/client/assigned.ts';
import { Cluster } from '../../kafka/client/cluster.ts';
import { Fetcher } from '../../kafka/client/fetcher.ts';
import type { ConsumerConfig } from '../../kafka/client/settings.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { systemClock } from '../../lib/clock.ts';
import { errorText, ProtocolError } from '../../lib/errors.ts';
import { RecordCursor } from '../../records/cursor.ts';

export interface SoloOptions {
  readonly bootstrap: readonly string[];
  readonly config: ConsumerConfig;
  readonly topics: readonly string[] | ((topic: string) => boolean);
  /** Only this partition. */
  readonly partition: number | undefined;
  /** Where to begin; undefined = where auto.offset.reset says. */
  readonly offset: number | undefined;
  readonly onTrouble: (error: Error | undefined) => void;
}

/** How often to look for what is not there yet. */
const LOOK_MS = 1_000;

export class SoloReader {
  readonly #options: SoloOptions;
  readonly #cluster: Cluster;
  readonly #fetcher: Fetcher;
  readonly #partitions: Assigned[] = [];
  readonly #stopping = new AbortController();
  #looking: Promise<void> | undefined;
  #waiter: (() => void) | undefined;
  #isFirstLook = true;

  constructor(options: SoloOptions) {
    this.#options = options;
    this.#cluster = new Cluster({ bootstrap: options.bootstrap, config: options.config, clientId: 'console-consumer', clock: systemClock });
    this.#fetcher = new Fetcher({
      cluster: this.#cluster,
      config: options.config,
      onReady: () => this.#wake(),
      onError: options.onTrouble,
      onFetched: () => options.onTrouble(undefined),
      onOutOfRange: () => undefined,
    });
  }

  start(): void {
    this.#looking ??= this.#look();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#fetcher.stop();
    this.#wake();
    await this.#looking;
    this.#cluster.close();
  }

  /** There is no group that would remember. */
  allSafe(): void {}

  commit(): Promise<void> {
    return Promise.resolve();
  }

  /** Resolves when records lie ready (true), after `timeoutMs`, or when `signal` aborts. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#hasReady()) return true;
    const wake = (): void => this.#wake();
    const timer = setTimeout(wake, timeoutMs);
    signal.addEventListener('abort', wake, { once: true });
    if (!signal.aborted) await new Promise<void>((resolve) => (this.#waiter = resolve));
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
    return this.#hasReady();
  }

  /** Hands out up to `max` records; `visit` reads the cursor before it returns. @throws ProtocolError, CodecError */
  drain(max: number, visit: (partition: Assigned, cursor: RecordCursor) => void): number {
    let count = 0;
    for (const partition of this.#partitions) {
      while (count < max && partition.ready.length > 0) count += takeFrom(partition, max - count, visit);
      if (count >= max) break;
    }
    const first = this.#partitions.shift();
    if (first !== undefined) this.#partitions.push(first);
    this.#fetcher.pump();
    return count;
  }

  #hasReady(): boolean {
    return this.#partitions.some(({ ready }) => ready.length > 0);
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.();
  }

  async #look(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (this.#partitions.length === 0 || this.#cluster.isStale) await this.#discover();
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onTrouble(error instanceof Error ? error : new Error(errorText(error)));
      }
      await systemClock.sleep(this.#partitions.length === 0 && this.#isFirstLook ? LOOK_MS / 5 : LOOK_MS, signal).catch(() => undefined);
    }
  }

  async #discover(): Promise<void> {
    const { topics, config, partition: only } = this.#options;
    const names = typeof topics === 'function' ? null : topics;
    const refusals = await this.#cluster.load(names, config['allow.auto.create.topics']);
    for (const [name, wireCode] of names === null ? [] : refusals) {
      if (wireCode === ErrorCode.TOPIC_AUTHORIZATION_FAILED) throw new ProtocolError(`Not authorized to access topics: [${name}]`, { wireCode });
    }
    const known = new Set(this.#partitions.map(({ topic, partition }) => `${topic}-${partition}`));
    const fresh: Assigned[] = [];
    for (const { name, isInternal, partitions } of this.#cluster.topics) {
      const wanted = typeof topics === 'function' ? topics(name) && !(isInternal && config['exclude.internal.topics']) : topics.includes(name);
      if (!wanted) continue;
      for (const [index, { leader }] of partitions.entries()) {
        if (leader >= 0 && (only === undefined || only === index) && !known.has(`${name}-${index}`)) fresh.push(new Assigned(name, index));
      }
    }
    // Sought after all are known, so that a failure half-way leaves nothing half-done.
    await Promise.all(fresh.map((one) => this.#place(one)));
    // Who was told to stop meanwhile must not begin to fetch.
    if (fresh.length === 0 || this.#stopping.signal.aborted) return;
    this.#isFirstLook = false;
    this.#partitions.push(...fresh);
    this.#fetcher.assign([...this.#partitions]);
  }

  async #place(partition: Assigned): Promise<void> {
    const { offset } = this.#options;
    if (offset !== undefined) partition.seek(offset);
    else await this.#fetcher.reset(partition);
  }
}

function takeFrom(partition: Assigned, max: number, visit: (partition: Assigned, cursor: RecordCursor) => void): number {
  const item = partition.ready[0];
  if (item === undefined) return 0;
  let count = 0;
  if (!item.skip) {
    item.cursor ??= new RecordCursor(item.view, item.records);
    while (count < max) {
      if (!item.cursor.next()) return finish(partition, count);
      if (item.cursor.offset < partition.position) continue;
      visit(partition, item.cursor);
      partition.position = item.cursor.offset + 1;
      count++;
    }
    if (partition.position < item.view.nextOffset) return count;
  }
  return finish(partition, count);
}

function finish(partition: Assigned, count: number): number {
  const item = partition.ready.shift();
  if (item !== undefined) {
    partition.position = item.view.nextOffset;
    partition.readyBytes -= item.view.sizeBytes;
  }
  return count;
}
