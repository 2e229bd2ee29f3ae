/**
 * Runs a state machine: stores what it decides, applies it, answers when that is durable, and keeps its one timer.
 * Everything up to `apply` is one synchronous step, so commands never interleave.
 *
 * If the records cannot be stored, nothing is applied, the callers get the error, and the machine is told to give up
 * what it had begun (`abandon`). Effects are owed from the moment their decision is applied: when the disk refuses, they
 * are tried again until they succeed.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Decision, Machine, Ticket } from './machine.ts';

/** Where decisions are stored. */
export interface StateLog<Rec> {
  /** Writes all records or throws; returns the offset of each. */
  append(records: readonly Rec[]): readonly number[];
  /** Resolves when everything appended so far survives a crash. */
  durable(): Promise<void>;
}

export interface HostOptions<Reply, Rec, Effect> {
  readonly log: StateLog<Rec>;
  readonly clock: Clock;
  /** Carries out an effect, after the records of its decision are durable; the answer waits for it. Called again when it rejects. */
  readonly perform?: (effect: Effect) => Promise<void>;
  /** What the machine does about a decision that could not be stored; its records are not stored either if that fails too. */
  readonly abandon?: (decision: Decision<Reply, Rec, Effect>, now: number) => Decision<Reply, Rec, Effect>;
  /** A tick or an effect failed; there is no caller to tell. */
  readonly onError: (error: unknown) => void;
}

/** Longest time between two looks at the wall clock: it may be set, and a timer would not notice. */
const MAX_SLEEP_MS = 60_000;
/** Pause before effects are tried again that the disk refused. */
const RETRY_MS = 1000;

interface Waiting<Reply> {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

export class Host<Command extends { readonly kind: string }, Reply, Rec, Effect = never> {
  readonly #machine: Machine<Command | { readonly kind: 'tick' }, Reply, Rec, Effect>;
  readonly #options: HostOptions<Reply, Rec, Effect>;
  readonly #waiting = new Map<Ticket, Waiting<Reply>>();
  #lastTicket = 0;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  /** Effects that wait for their next attempt. */
  readonly #later = new Set<Timer>();
  #stopped = false;

  constructor(machine: Machine<Command | { readonly kind: 'tick' }, Reply, Rec, Effect>, options: HostOptions<Reply, Rec, Effect>) {
    this.#machine = machine;
    this.#options = options;
  }

  /** A command that is answered at once: resolves when what it changed is durable. @throws what the log throws */
  async run(command: Command): Promise<Reply> {
    const decision = this.#step(command);
    await this.#finish(decision);
    return decision.reply as Reply;
  }

  /**
   * A command that may have to wait: `build` gets the ticket under which the machine answers.
   * @param gone aborted when the caller no longer wants the answer; `leave` then tells the machine
   */
  wait(build: (ticket: Ticket) => Command, gone?: { readonly signal: AbortSignal; readonly leave: (ticket: Ticket) => Command }): Promise<Reply> {
    const ticket = ++this.#lastTicket;
    return new Promise<Reply>((resolve, reject) => {
      const onGone = (): void => {
        if (this.#waiting.delete(ticket) && gone) this.run(gone.leave(ticket)).catch(this.#options.onError);
        reject(gone?.signal.reason);
      };
      const done = (): void => gone?.signal.removeEventListener('abort', onGone);
      this.#waiting.set(ticket, {
        resolve: (reply) => {
          done();
          resolve(reply);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      gone?.signal.addEventListener('abort', onGone);
      try {
        this.#finish(this.#step(build(ticket))).catch((error) => this.#take(ticket)?.reject(error));
      } catch (error) {
        this.#take(ticket)?.reject(error);
      }
    });
  }

  /** Ends the timer and refuses those who wait; the machine gets no more commands. */
  stop(reason: Error): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const timer of this.#later) timer.cancel();
    for (const ticket of [...this.#waiting.keys()]) this.#take(ticket)?.reject(reason);
  }

  #take(ticket: Ticket): Waiting<Reply> | undefined {
    const waiting = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    return waiting;
  }

  /** Decides, stores and applies. */
  #step(command: Command | { readonly kind: 'tick' }): Decision<Reply, Rec, Effect> {
    const now = this.#options.clock.now();
    const decision = this.#machine.decide(command, now);
    try {
      this.#store(decision);
    } catch (error) {
      for (const [ticket] of decision.wake ?? []) this.#take(ticket)?.reject(error);
      const undone = this.#options.abandon?.(decision, now);
      if (undone) this.#answer(undone);
      throw error;
    } finally {
      this.#schedule();
    }
    return decision;
  }

  #store({ records }: Decision<Reply, Rec, Effect>): void {
    if (records.length === 0) return;
    const offsets = this.#options.log.append(records);
    for (let i = 0; i < records.length; i++) this.#machine.apply(records[i]!, offsets[i]!);
  }

  async #finish(decision: Decision<Reply, Rec, Effect>): Promise<void> {
    if (decision.records.length > 0 || decision.effects) {
      try {
        await this.#options.log.durable();
      } catch (error) {
        for (const [ticket] of decision.wake ?? []) this.#take(ticket)?.reject(error);
        if (decision.effects) this.#performLater(decision.effects);
        throw error;
      }
      if (decision.effects) await this.perform(decision.effects);
    }
    this.#answer(decision);
  }

  /**
   * Carries out effects whose decision is durable. It stands whatever becomes of them now: who asked for it is answered,
   * and what the disk refused is tried again.
   */
  async perform(effects: readonly Effect[]): Promise<void> {
    for (const [i, effect] of effects.entries()) {
      try {
        await this.#options.perform?.(effect);
      } catch (error) {
        this.#options.onError(error);
        this.#performLater(effects.slice(i));
        return;
      }
    }
  }

  #performLater(effects: readonly Effect[]): void {
    if (this.#stopped) return;
    const timer = this.#options.clock.after(RETRY_MS, () => {
      this.#later.delete(timer);
      this.#options.log.durable().then(
        () => this.perform(effects),
        () => this.#performLater(effects),
      );
    });
    this.#later.add(timer);
  }

  #answer({ wake }: Decision<Reply, Rec, Effect>): void {
    for (const [ticket, reply] of wake ?? []) this.#take(ticket)?.resolve(reply);
  }

  #schedule(): void {
    if (this.#stopped) return;
    const now = this.#options.clock.now();
    const at = Math.min(this.#machine.nextDeadline(), now + MAX_SLEEP_MS);
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#options.clock.after(Math.max(0, at - now), () => this.#tick());
  }

  #tick(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (this.#stopped) return;
    try {
      this.#finish(this.#step({ kind: 'tick' })).catch(this.#options.onError);
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
