/**
 * The lean consumer: a member of a group that fetches ahead, hands records out without an object per record, and commits
 * what its reader calls safe. Kafka's rules for groups are in membership.ts, fetching in fetcher.ts; here is what follows
 * when, in one loop that owns the membership from start to stop:
 *
 *   join → take over partitions (committed offset, else auto.offset.reset) → heartbeats → rebalance → settle → join …
 *
 * Settle: before it joins again the consumer hands nothing out, waits a while for what the reader has to become safe, and
 * commits it. A reader that is stuck (a full channel) is not waited for longer than that, so the group does not stall:
 * what it has comes again elsewhere. Partitions that stay ours from one generation to the next go on where they are;
 * after being thrown out of the group everything begins at the committed offsets. Under the cooperative assignor a
 * partition that went elsewhere is settled by the time we hear of it; joining again at once sets it free for its new reader.
 */
import { Backoff } from '../../lib/backoff.ts';
import { type AppError, errorText, ProtocolError } from '../../lib/errors.ts';
import { RecordCursor } from '../../records/cursor.ts';
import { ErrorCode } from '../errors.ts';
import { Assigned } from './assigned.ts';
import type { TopicPartitions } from './assignors.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { Fetcher } from './fetcher.ts';
import { type Assignment, Membership, RebalanceError } from './membership.ts';
import type { ConsumerConfig } from './settings.ts';

export type { Assigned } from './assigned.ts';

export interface ConsumerOptions extends Omit<ClusterOptions, 'config'> {
  readonly config: ConsumerConfig;
  /** Names, or a rule that picks them. */
  readonly topics: readonly string[] | ((topic: string) => boolean);
  /** Something goes wrong, and is tried again; undefined = it works again. */
  readonly onTrouble: (error: Error | undefined) => void;
  /** Records lie ready, for readers that do not use `wait`. */
  readonly onReady?: () => void;
  /** Partitions came or went. */
  readonly onAssigned?: (partitions: readonly Assigned[]) => void;
  /** Offsets were out of range, and reading goes on where auto.offset.reset says. */
  readonly onOutOfRange?: (partition: Assigned) => void;
  /** The group threw this member out. */
  readonly onThrownOut?: () => void;
}

/** How long a rebalance waits for the reader. */
const SETTLE_MS = 5_000;
const STOP_MS = 3_000;
/** How often to look for topics that are not there yet. */
const MISSING_TOPIC_MS = 3_000;

export class GroupConsumer {
  readonly cluster: Cluster;
  readonly #options: ConsumerOptions;
  readonly #membership: Membership;
  readonly #fetcher: Fetcher;
  #partitions: readonly Assigned[] = [];
  /** Handing out is off while a rebalance settles. */
  #open = false;
  /** Generation of which we last heard what we got. */
  #heldIn = -1;
  #abort = new AbortController();
  #loop: Promise<void> | undefined;
  #waiter: (() => void) | undefined;
  #committing: Promise<void> | undefined;
  #subscribed: readonly string[] = [];
  #layout = '';
  /** Milliseconds spent on commits, added up. */
  commitMs = 0;

  /** @throws ConfigError key stores or login line */
  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.cluster = new Cluster(options);
    this.#membership = new Membership(this.cluster, options.config);
    this.#fetcher = new Fetcher({
      cluster: this.cluster,
      config: options.config,
      onReady: () => this.#wake(),
      onError: (error) => options.onTrouble(error),
      onFetched: () => options.onTrouble(undefined),
      onOutOfRange: (partition) => options.onOutOfRange?.(partition),
    });
  }

  get partitions(): readonly Assigned[] {
    return this.#partitions;
  }

  /** Begins in the background: absent brokers are waited for. */
  start(): void {
    if (this.#loop !== undefined) return;
    this.#abort = new AbortController();
    this.#loop = this.#run(this.#abort.signal);
  }

  /** Commits what is safe and leaves the group. */
  async stop(): Promise<void> {
    if (this.#loop === undefined) return;
    this.#open = false;
    this.#fetcher.stop();
    await this.#within(STOP_MS, this.commit());
    this.#abort.abort();
    this.#wake();
    await this.#within(STOP_MS, this.#membership.leave());
    this.cluster.close();
    await this.#loop;
    this.#loop = undefined;
    this.#revoke(this.#partitions);
    this.#partitions = [];
    this.#membership.forget();
  }

  /** Resolves when records lie ready (true), after `timeoutMs`, or when `signal` aborts. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#hasReady()) return true;
    const timer = this.cluster.clock.after(timeoutMs, () => this.#wake());
    const wake = (): void => this.#wake();
    signal.addEventListener('abort', wake, { once: true });
    if (!signal.aborted) await new Promise<void>((resolve) => (this.#waiter = resolve));
    timer.cancel();
    signal.removeEventListener('abort', wake);
    return this.#hasReady();
  }

  /**
   * Hands out up to `max` records, those of a partition in order; `visit` reads the cursor before it returns. A record
   * stays unsafe until the reader sets `safe` of its partition.
   * @throws ProtocolError, CodecError a batch cannot be read
   */
  drain(max: number, visit: (partition: Assigned, cursor: RecordCursor) => void): number {
    if (!this.#open) return 0;
    let count = 0;
    for (const partition of this.#partitions) {
      if (count >= max) break;
      if (partition.ready.length > 0) count += this.#drainOne(partition, max - count, visit);
    }
    // The partition that gave comes last next time.
    if (this.#partitions.length > 1) this.#partitions = [...this.#partitions.slice(1), this.#partitions[0] as Assigned];
    this.#fetcher.pump();
    return count;
  }

  #drainOne(partition: Assigned, max: number, visit: (partition: Assigned, cursor: RecordCursor) => void): number {
    let count = 0;
    while (count < max) {
      const [item] = partition.ready;
      if (item === undefined) break;
      if (!item.skip) {
        item.cursor ??= new RecordCursor(item.view, item.records);
        const { cursor } = item;
        while (count < max && cursor.next()) {
          if (cursor.offset < partition.position) continue;
          visit(partition, cursor);
          partition.position = cursor.offset + 1;
          count++;
        }
        if (count >= max && partition.position <= item.view.lastOffset) break;
      }
      partition.position = item.view.nextOffset;
      partition.readyBytes -= item.view.sizeBytes;
      partition.ready.shift();
    }
    return count;
  }

  /** Everything handed out so far is safe. */
  allSafe(): void {
    for (const partition of this.#partitions) partition.safe = partition.position;
  }

  /** Stores what is safe. At most one request is under way; whoever calls meanwhile shares the next. Never rejects. */
  commit(): Promise<void> {
    if (this.#committing !== undefined) return this.#committing.then(() => (this.#unstored().length > 0 ? this.commit() : undefined));
    const due = this.#unstored();
    // Until we hear what we got in a new generation, what we had may be another's, who is further by now.
    if (due.length === 0 || !this.#membership.isMember || this.#membership.generation !== this.#heldIn) return Promise.resolve();
    const began = this.cluster.clock.monotonic();
    this.#committing = this.#membership
      .commit(due)
      .then(
        () => {
          for (const { partition, offset } of due) partition.committed = offset;
        },
        (error: unknown) => {
          // The loop hears of a rebalance from its own heartbeat; all else is tried again with the next commit.
          if (!(error instanceof RebalanceError)) this.#options.onTrouble(error as Error);
        },
      )
      .finally(() => {
        this.commitMs += this.cluster.clock.monotonic() - began;
        this.#committing = undefined;
      });
    return this.#committing;
  }

  #unstored(): { partition: Assigned; offset: number }[] {
    const due: { partition: Assigned; offset: number }[] = [];
    for (const partition of this.#partitions) {
      if (!partition.revoked && partition.safe > partition.committed) due.push({ partition, offset: partition.safe });
    }
    return due;
  }

  #hasReady(): boolean {
    return this.#open && this.#partitions.some(({ ready }) => ready.length > 0);
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.();
    if (this.#hasReady()) this.#options.onReady?.();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = this.cluster;
    const { 'retry.backoff.ms': minMs, 'retry.backoff.max.ms': maxMs } = this.#options.config;
    const backoff = new Backoff({ minMs: Math.max(20, minMs), maxMs: Math.max(minMs, maxMs, 20) });
    while (!signal.aborted) {
      try {
        const mustJoinAgain = await this.#joinGroup();
        backoff.reset();
        this.#options.onTrouble(undefined);
        if (!mustJoinAgain) await this.#stayIn(signal);
        await this.#settle(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof RebalanceError) {
          if (error.isThrownOut) this.#thrownOut();
        } else this.#options.onTrouble(error instanceof Error ? error : new Error(errorText(error)));
        await clock.sleep(backoff.next(), signal);
      }
    }
  }

  /** True when partitions were let go that others may have only after the next generation. */
  async #joinGroup(): Promise<boolean> {
    const topics = await this.#topics();
    const before = this.#membership.generation < 0 ? -1 : this.#heldIn;
    const claim = { owned: before < 0 ? [] : this.#owned(), generation: before };
    const { partitions, isCooperative }: Assignment = await this.#membership.join(topics, claim);
    // Nobody else can have had a partition in between only if no generation is missing, also none of which we did not hear what we got.
    const isContinued = before >= 0 && this.#membership.generation === before + 1;
    this.#heldIn = this.#membership.generation;
    const had = this.#partitions;
    await this.#takeOver(partitions, isContinued);
    return isCooperative && had.some(({ topic, partition }) => !partitions.some((one) => one.topic === topic && one.partitions.includes(partition)));
  }

  #owned(): TopicPartitions[] {
    const topics = new Map<string, number[]>();
    for (const { topic, partition, revoked } of this.#partitions) {
      if (revoked) continue;
      const list = topics.get(topic);
      if (list === undefined) topics.set(topic, [partition]);
      else list.push(partition);
    }
    return Array.from(topics, ([topic, partitions]) => ({ topic, partitions }));
  }

  /** @throws ProtocolError none of the named topics may be read; ConnectionError */
  async #topics(): Promise<readonly string[]> {
    const { topics, config } = this.#options;
    if (typeof topics === 'function') {
      await this.cluster.load(null, false);
      const hidden = config['exclude.internal.topics'];
      this.#subscribed = [...this.cluster.topics].filter(({ name, isInternal }) => !(isInternal && hidden) && topics(name)).map(({ name }) => name);
    } else {
      const refusals = await this.cluster.load(topics, config['allow.auto.create.topics']);
      checkMayRead(topics, refusals);
      this.#subscribed = topics;
    }
    this.#layout = this.#layoutOf();
    return this.#subscribed;
  }

  async #takeOver(assignment: readonly TopicPartitions[], isContinued: boolean): Promise<void> {
    // A revoked one is here if the last taking over failed half way; it must begin anew.
    const valid = isContinued ? this.#partitions.filter(({ revoked }) => !revoked) : [];
    const kept = new Map(valid.map((one) => [`${one.topic}-${one.partition}`, one]));
    const next: Assigned[] = [];
    const fresh: Assigned[] = [];
    for (const { topic, partitions } of assignment) {
      for (const partition of partitions) {
        const present = kept.get(`${topic}-${partition}`);
        if (present === undefined) fresh.push(new Assigned(topic, partition));
        else next.push(present);
      }
    }
    this.#revoke(this.#partitions.filter((one) => !next.includes(one)));
    const unknown = [...new Set(fresh.map(({ topic }) => topic))].filter((topic) => this.cluster.topic(topic) === undefined);
    if (unknown.length > 0) await this.cluster.load(unknown, false);
    const offsets = await this.#membership.committed(fresh);
    for (const [at, partition] of fresh.entries()) {
      const offset = offsets[at] as number;
      if (offset >= 0) partition.seek(offset);
      else {
        await this.#fetcher.reset(partition);
        // Stored at once: what comes while nobody reads is then not skipped by the next start.
        partition.committed = -1;
      }
    }
    this.#partitions = [...next, ...fresh];
    this.#open = true;
    this.#options.onAssigned?.(this.#partitions);
    this.#fetcher.assign(this.#partitions);
    if (this.#hasReady()) this.#wake();
    void this.commit();
  }

  /** Heartbeats until the group wants to be joined again. @throws what else ends the membership */
  async #stayIn(signal: AbortSignal): Promise<void> {
    const { clock } = this.cluster;
    const { 'heartbeat.interval.ms': everyMs, 'session.timeout.ms': sessionMs, 'metadata.max.age.ms': ageMs } = this.#options.config;
    let heardAt = clock.monotonic();
    let lookedAt = heardAt;
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal);
      if (signal.aborted) return;
      try {
        await this.#membership.heartbeat();
        heardAt = clock.monotonic();
        const missing = this.#subscribed.length === 0 || this.#subscribed.some((topic) => this.cluster.topic(topic) === undefined);
        if (clock.monotonic() - lookedAt >= (missing ? Math.min(MISSING_TOPIC_MS, ageMs) : ageMs)) {
          lookedAt = clock.monotonic();
          if (await this.#layoutChanged()) return;
        }
      } catch (error) {
        if (error instanceof RebalanceError && !error.isThrownOut) return;
        const passing = (error as Partial<AppError>).retriable === true && !(error instanceof RebalanceError);
        if (!passing || clock.monotonic() - heardAt > sessionMs) throw error;
        this.#options.onTrouble(error as Error);
      }
    }
  }

  /** Whether topics or partitions came or went, so that the group must share them out anew. */
  async #layoutChanged(): Promise<boolean> {
    const before = this.#layout;
    await this.#topics();
    return this.#layout !== before;
  }

  #layoutOf(): string {
    return this.#subscribed.map((topic) => `${topic}:${this.cluster.topic(topic)?.partitions.length ?? 0}`).join();
  }

  /** See the head of this file. */
  async #settle(signal: AbortSignal): Promise<void> {
    const { clock } = this.cluster;
    this.#open = false;
    const deadline = clock.monotonic() + SETTLE_MS;
    while (!signal.aborted && clock.monotonic() < deadline && this.#partitions.some(({ safe, position }) => safe < position)) await clock.sleep(5, signal);
    await this.commit();
  }

  #thrownOut(): void {
    this.#open = false;
    this.#fetcher.stop();
    this.#revoke(this.#partitions);
    this.#partitions = [];
    this.#options.onAssigned?.([]);
    this.#options.onThrownOut?.();
  }

  #revoke(partitions: readonly Assigned[]): void {
    for (const partition of partitions) {
      partition.revoked = true;
      partition.ready.length = 0;
    }
  }

  /** Waits for `work`, but not for ever; what it fails with does not matter any more. */
  async #within(limitMs: number, work: Promise<unknown>): Promise<void> {
    const done = new AbortController();
    const settled = work.then(
      () => done.abort(),
      () => done.abort(),
    );
    await Promise.race([settled, this.cluster.clock.sleep(limitMs, done.signal)]);
  }
}

/** A broker tells nobody of topics that may not be described: without this they would seem to be absent. Tried again, since rules change. */
function checkMayRead(topics: readonly string[], refusals: ReadonlyMap<string, number>): void {
  const wireCode = ErrorCode.TOPIC_AUTHORIZATION_FAILED;
  if (topics.length === 0 || topics.some((topic) => refusals.get(topic) !== wireCode)) return;
  throw new ProtocolError(`Not authorized to access topics: [${topics.join(', ')}]`, {
    wireCode,
    retriable: true,
    fix: 'allow the user to read them, with kafka-acls.sh --add --consumer',
  });
}
