/**
 * Room for a bounded store, counted in events and in bytes, handed out first come first served: a large batch that
 * waits is not overtaken for ever by small ones. Entering with room and nobody waiting is synchronous.
 */
import type { Clock, Timer } from './clock.ts';

interface Waiter {
  readonly events: number;
  readonly bytes: number;
  readonly settle: (entered: boolean) => void;
}

export interface GateWait {
  readonly clock: Clock;
  /** How long to wait for room, ms; 0 = not at all. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export class Gate {
  #eventLimit: number;
  #byteLimit: number;
  #events = 0;
  #bytes = 0;
  readonly #queue: Waiter[] = [];

  /** Limits may be Infinity. */
  constructor(eventLimit: number, byteLimit: number = Number.POSITIVE_INFINITY) {
    this.#eventLimit = eventLimit;
    this.#byteLimit = byteLimit;
  }

  /** Events inside. */
  get events(): number {
    return this.#events;
  }
  /** Bytes inside. */
  get bytes(): number {
    return this.#bytes;
  }
  get eventLimit(): number {
    return this.#eventLimit;
  }
  get byteLimit(): number {
    return this.#byteLimit;
  }
  /** How many callers wait for room. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Takes room at once; false when there is too little, or when others wait already. */
  tryEnter(events: number, bytes: number): boolean {
    if (this.#queue.length > 0 || !this.#fits(events, bytes)) return false;
    this.#events += events;
    this.#bytes += bytes;
    return true;
  }

  /** Waits for its turn and for room. False = time over or aborted; nothing is held then. */
  enter(events: number, bytes: number, wait: GateWait): Promise<boolean> {
    if (this.tryEnter(events, bytes)) return Promise.resolve(true);
    const { clock, timeoutMs, signal } = wait;
    if (timeoutMs <= 0 || signal?.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const giveUp = (): void => {
        const index = this.#queue.indexOf(waiter);
        if (index < 0) return;
        this.#queue.splice(index, 1);
        waiter.settle(false);
        this.#admit();
      };
      const waiter: Waiter = {
        events,
        bytes,
        settle: (entered) => {
          timer?.cancel();
          signal?.removeEventListener('abort', giveUp);
          resolve(entered);
        },
      };
      this.#queue.push(waiter);
      timer = clock.after(timeoutMs, giveUp);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  /** Gives room back and lets those in who now fit, in order. */
  leave(events: number, bytes: number): void {
    this.#events -= events;
    this.#bytes -= bytes;
    if (this.#queue.length > 0) this.#admit();
  }

  /** Changes the limits; what is inside stays, even above a smaller limit. */
  resize(eventLimit: number, byteLimit: number = this.#byteLimit): void {
    this.#eventLimit = eventLimit;
    this.#byteLimit = byteLimit;
    this.#admit();
  }

  #fits(events: number, bytes: number): boolean {
    return this.#events + events <= this.#eventLimit && this.#bytes + bytes <= this.#byteLimit;
  }

  #admit(): void {
    for (let head = this.#queue[0]; head !== undefined && this.#fits(head.events, head.bytes); head = this.#queue[0]) {
      this.#queue.shift();
      this.#events += head.events;
      this.#bytes += head.bytes;
      head.settle(true);
    }
  }
}
