/**
 * The last error of something that is tried again and again, and when to say it: at once when it is new, then at most
 * once a minute with a count, and one line when it is over. Errors that differ in numbers only count as the same.
 */
import type { Clock } from '../../lib/clock.ts';
import { AppError, errorText } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { ErrorSnapshot } from './snapshot.ts';

const REPEAT_MS = 60_000;

export class Complaint {
  readonly #clock: Clock;
  readonly #log: Logger;
  #current: ErrorSnapshot | undefined;
  #key = '';
  #saidAt = 0;
  #since = 0;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  get current(): ErrorSnapshot | undefined {
    return this.#current;
  }
  /** Epoch ms of the first error in a row; 0 = none. */
  get since(): number {
    return this.#since;
  }

  /** Notes an error; `consequence` reads on after it, e.g. "trying again in 3 s". */
  raise(error: unknown, consequence: string): void {
    const app = error instanceof AppError ? error : undefined;
    const message = errorText(error);
    const now = this.#clock.now();
    const key = `${app?.code} ${message.replace(/\d+/g, '#')}`;
    const times = (this.#current?.times ?? 0) + 1;
    this.#current = { code: app?.code ?? 'INTERNAL', message, fix: app?.fix, at: now, times };
    if (this.#since === 0) this.#since = now;
    const mono = this.#clock.monotonic();
    if (key === this.#key && mono - this.#saidAt < REPEAT_MS) return;
    this.#key = key;
    this.#saidAt = mono;
    const repeated = times > 1 ? ` (${times} times so far)` : '';
    const fix = app?.fix ? `; ${app.fix.replace(/\.$/, '')}` : '';
    // A stack helps only for errors nobody foresaw.
    this.#log.error(app ? {} : { err: error }, `${message}${repeated}${fix}; ${consequence}`);
  }

  /** The thing works again. */
  clear(): void {
    if (this.#current === undefined) return;
    const { times } = this.#current;
    this.#current = undefined;
    this.#since = 0;
    this.#key = '';
    this.#log.info(`works again after ${times} failed ${times === 1 ? 'attempt' : 'attempts'}`);
  }
}
