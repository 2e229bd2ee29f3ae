/**
 * Keeps one component running: starts it, starts it again with a growing wait after an error, and is the only one to
 * move its status. Errors in the definition (ConfigError) wait in `failed` for a new definition. Flume's
 * LifecycleSupervisor checks every 3 s and never notices a component that died inside; here the component says so.
 */

import { Backoff } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { AppError, ConfigError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Kind } from '../core/define.ts';
import type { Lifecycle } from '../core/lifecycle.ts';
import { isWorking, mayMove, type Status } from '../core/status.ts';
import { Complaint } from './complaint.ts';
import type { ErrorSnapshot } from './snapshot.ts';

export const RESTART_MIN_MS = 1_000;
export const RESTART_MAX_MS = 30_000;
/** Having run this long, a component starts its waits from the shortest again. */
export const HEALTHY_MS = 60_000;

/** Who says that a component runs but not well: itself, or its runner, who sees its puts and deliveries fail. */
export type DegradedBy = 'component' | 'runner';

export interface SupervisedOptions<L extends Lifecycle> {
  readonly kind: Kind;
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called before the first start, again only if it threw. */
  readonly create: () => L;
  readonly random?: () => number;
}

export class Supervised<L extends Lifecycle> {
  readonly #options: SupervisedOptions<L>;
  readonly #complaint: Complaint;
  readonly #backoff: Backoff;
  readonly #degradedBy = new Map<DegradedBy, ErrorSnapshot>();
  #status: Status = 'idle';
  #since: number;
  #restarts = 0;
  #instance: L | undefined;
  #task: Promise<void> | undefined;
  #abort = new AbortController();
  #trouble: { readonly error: unknown } | undefined;
  #wakeUp: (() => void) | undefined;
  #listeners: (() => void)[] = [];

  constructor(options: SupervisedOptions<L>) {
    const { clock, log, random = Math.random } = options;
    this.#options = options;
    this.#since = clock.now();
    this.#complaint = new Complaint(clock, log);
    this.#backoff = new Backoff({ minMs: RESTART_MIN_MS, maxMs: RESTART_MAX_MS, random });
  }

  get status(): Status {
    return this.#status;
  }
  /** Epoch ms since when. */
  get since(): number {
    return this.#since;
  }
  get restarts(): number {
    return this.#restarts;
  }
  get working(): boolean {
    return isWorking(this.#status);
  }
  /** Why it is not well, if it is not. */
  get error(): ErrorSnapshot | undefined {
    return this.#complaint.current ?? this.#degradedBy.get('component') ?? this.#degradedBy.get('runner');
  }
  /** The component itself, once created. */
  get instance(): L | undefined {
    return this.#instance;
  }

  /** Resolves after the first attempt: undefined = it runs; otherwise its error, while the attempts go on. */
  start(): Promise<unknown> {
    if (this.#task !== undefined) return Promise.resolve(undefined);
    this.#abort = new AbortController();
    return new Promise((resolve) => {
      this.#task = this.#run(resolve);
    });
  }

  /** Ends attempts and the component. Resolves when it has ended; also breaks a start that is under way. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wakeUp?.();
    if (this.#status === 'idle') return this.#move('stopped');
    if (this.#status === 'starting') await this.#halt();
    await this.#task;
    this.#task = undefined;
  }

  /** The component stopped working; it will be started again. */
  fail(error: unknown): void {
    if (this.#abort.signal.aborted || this.#trouble !== undefined) return;
    this.#trouble = { error };
    this.#wakeUp?.();
  }

  /** It runs, but not well. */
  degrade(by: DegradedBy, error: unknown): void {
    const app = error instanceof AppError ? error : undefined;
    const message = error instanceof Error ? error.message : String(error);
    const times = (this.#degradedBy.get(by)?.times ?? 0) + 1;
    this.#degradedBy.set(by, { code: app?.code ?? 'INTERNAL', message, fix: app?.fix, at: this.#options.clock.now(), times });
    if (this.#status === 'running') this.#move('degraded');
  }

  /** What made it degraded is over. */
  heal(by: DegradedBy): void {
    if (!this.#degradedBy.delete(by) || this.#degradedBy.size > 0) return;
    if (this.#status === 'degraded') this.#move('running');
  }

  /** Resolves true when the component works, false when `signal` aborted first. */
  whenWorking(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.working) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (): void => {
        if (!this.working && !signal.aborted) return;
        this.#listeners = this.#listeners.filter((listener) => listener !== done);
        signal.removeEventListener('abort', done);
        resolve(!signal.aborted);
      };
      this.#listeners.push(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Calls `listener` after each change of status, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.push(listener);
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  async #run(attempted: (error: unknown) => void): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      this.#move('starting');
      let error = await this.#attempt();
      if (signal.aborted) break;
      if (error === undefined) {
        const startedAt = clock.monotonic();
        this.#complaint.clear();
        this.#move(this.#degradedBy.size > 0 ? 'degraded' : 'running');
        attempted(undefined);
        error = await this.#troubleOrStop();
        if (signal.aborted) break;
        if (clock.monotonic() - startedAt >= HEALTHY_MS) this.#backoff.reset();
      }
      const again = await this.#pause(error, attempted);
      if (again) this.#restarts++;
    }
    attempted(undefined);
    this.#move('stopping');
    this.#move((await this.#halt()) ? 'stopped' : 'failed');
    this.#degradedBy.clear();
  }

  /** Answers the error of the attempt, undefined = it runs. */
  async #attempt(): Promise<unknown> {
    this.#trouble = undefined;
    try {
      this.#instance ??= this.#options.create();
      await this.#instance.start();
      return undefined;
    } catch (error) {
      return error ?? new Error('start failed without an error');
    }
  }

  /** Releases what is half open, then waits its time; false = stopped meanwhile. */
  async #pause(error: unknown, attempted: (error: unknown) => void): Promise<boolean> {
    const { clock } = this.#options;
    const { signal } = this.#abort;
    const permanent = error instanceof ConfigError;
    const waitMs = permanent ? 0 : this.#backoff.next();
    this.#complaint.raise(error, permanent ? 'it waits for a new definition' : `trying again in ${(waitMs / 1000).toFixed(1)} s`);
    this.#move(permanent ? 'failed' : 'retrying');
    await this.#halt();
    this.#degradedBy.clear();
    attempted(error);
    if (permanent) await aborted(signal);
    else await clock.sleep(waitMs, signal);
    return !signal.aborted;
  }

  #troubleOrStop(): Promise<unknown> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wakeUp = undefined;
        resolve(this.#trouble?.error);
      };
      if (this.#trouble !== undefined || this.#abort.signal.aborted) return wake();
      this.#wakeUp = wake;
    });
  }

  async #halt(): Promise<boolean> {
    try {
      await this.#instance?.stop();
      return true;
    } catch (error) {
      this.#complaint.raise(error, 'it could not be stopped in order');
      return false;
    }
  }

  #move(to: Status): void {
    if (!mayMove(this.#status, to)) throw new Error(`${this.#options.kind} ${this.#options.name} may not go from ${this.#status} to ${to}`);
    this.#status = to;
    this.#since = this.#options.clock.now();
    for (const listener of [...this.#listeners]) listener();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
