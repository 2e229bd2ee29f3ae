/**
 * Puts a batch as often as it takes: for sources whose input nobody would send again (the output of a command, a client
 * that gets no answers). While it waits the source reads nothing, so pressure goes back to where events come from.
 */
import { Backoff } from '../../lib/backoff.ts';
import { AppError, ChannelFullError, errorText } from '../../lib/errors.ts';
import type { SourceContext } from './define.ts';
import type { Event } from './event.ts';

/** Pause between attempts; `put` itself has waited for room (keep-alive) before. */
const PAUSE_MS = { minMs: 50, maxMs: 5_000 };
const REPEAT_LOG_MS = 60_000;

export class PatientOutput {
  readonly #ctx: SourceContext;
  readonly #consequence: string;
  readonly #retry: (error: unknown) => boolean;
  #troubled = false;
  /** The trouble that lasts was put into the log. */
  #said = false;
  #saidAt = Number.NEGATIVE_INFINITY;

  /**
   * `consequence` completes the log line, e.g. "the command's output waits". Errors for which `retry` answers false are
   * thrown on; by default none is.
   */
  constructor(ctx: SourceContext, consequence: string, retry: (error: unknown) => boolean = () => true) {
    this.#ctx = ctx;
    this.#consequence = consequence;
    this.#retry = retry;
  }

  /** True = every required channel has the batch. False = `signal` came first and nothing of it is known to be stored. */
  async put(batch: Event[], signal: AbortSignal): Promise<boolean> {
    const { length } = batch; // An interceptor may change it.
    let backoff: Backoff | undefined;
    for (;;) {
      try {
        await this.#ctx.output.put(batch);
        if (this.#troubled) this.#recovered();
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        if (!this.#retry(error)) throw error;
        this.#complain(error, length);
        backoff ??= new Backoff(PAUSE_MS);
        // A channel that is only full has waited its keep-alive already: come back soon.
        await this.#ctx.clock.sleep(error instanceof ChannelFullError ? PAUSE_MS.minMs : backoff.next(), signal);
        if (signal.aborted) return false;
      }
    }
  }

  #complain(error: unknown, events: number): void {
    const ctx = this.#ctx;
    const now = ctx.clock.monotonic();
    if (!this.#troubled) ctx.degraded(error instanceof Error ? error : new Error(errorText(error)));
    this.#troubled = true;
    // A channel behind a slow sink is full again and again: that is one trouble, not many.
    if (now - this.#saidAt < REPEAT_LOG_MS) return;
    this.#said = true;
    this.#saidAt = now;
    ctx.log.error(error instanceof AppError ? {} : { err: error }, `${errorText(error)}; ${this.#consequence}, ${events} events are kept and tried again`);
  }

  #recovered(): void {
    this.#troubled = false;
    if (this.#said) this.#ctx.log.info('the channel takes events again');
    this.#said = false;
    this.#ctx.healthy();
  }
}
