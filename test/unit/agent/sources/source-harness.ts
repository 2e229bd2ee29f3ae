/**
 * Runs one source through its declaration, as the runtime would, with an Output the test commands: it collects batches,
 * or refuses, or holds them until told.
 */

import { SourceCounters } from '../../../../src/agent/core/counters.ts';
import type { SourceContext, SourceSpec } from '../../../../src/agent/core/define.ts';
import type { Event } from '../../../../src/agent/core/event.ts';
import { type Clock, systemClock } from '../../../../src/lib/clock.ts';
import { ChannelFullError } from '../../../../src/lib/errors.ts';
import type { Logger } from '../../../../src/lib/log.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

export const FULL = "Space for commit to queue couldn't be acquired. Sinks are likely not keeping up with sources, or the buffer size is too tight";

export class TestOutput {
  maxBatch = 100;
  /** Sizes of the batches stored, in order. */
  readonly batches: number[] = [];
  readonly events: Event[] = [];
  attempts = 0;
  /** Most puts under way at once. */
  mostInFlight = 0;
  #inFlight = 0;
  /** Room left, in events; a batch that is larger is refused. */
  room = Number.POSITIVE_INFINITY;
  /** Thrown instead of storing, while set. */
  error: Error | undefined;
  /** Every put waits for this before it is decided. */
  gate: Promise<void> | undefined;
  /** Bodies are counted but not kept. */
  counting = false;
  count = 0;
  bytes = 0;

  async put(batch: Event[]): Promise<void> {
    this.attempts++;
    this.#inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.#inFlight);
    try {
      if (this.gate !== undefined) await this.gate;
      if (batch.length > this.maxBatch) throw new Error(`batch of ${batch.length} is larger than ${this.maxBatch}`);
      if (this.error !== undefined) throw this.error;
      if (batch.length > this.room) throw new ChannelFullError(FULL);
      this.room -= batch.length;
      this.count += batch.length;
      for (const event of batch) this.bytes += event.body.length;
      if (this.counting) return;
      this.batches.push(batch.length);
      this.events.push(...batch);
    } finally {
      this.#inFlight--;
    }
  }

  get bodies(): string[] {
    return this.events.map((event) => event.body.toString('utf8'));
  }
}

export interface Rig<S> {
  readonly source: S;
  readonly output: TestOutput;
  readonly ctx: SourceContext;
  /** `LEVEL message` per line. */
  readonly logged: string[];
  readonly degraded: Error[];
  readonly failures: Error[];
  /** True after `healthy()`, false after `degraded()`. */
  isHealthy(): boolean;
}

export interface RigOptions {
  readonly clock?: Clock;
  readonly output?: TestOutput;
  readonly deserializer?: SourceContext['deserializer'];
}

/** Builds a source from properties as users write them. @throws when they do not parse or a check finds an error */
// biome-ignore lint/suspicious/noExplicitAny: any source's properties
export function rig<S>(spec: SourceSpec<any>, written: Record<string, string>, options: RigOptions = {}): Rig<S> {
  const raw = Object.fromEntries(Object.entries(written).map(([key, value]) => [key, { value, where: { file: 'test.conf', line: 1 } }]));
  const parsed = parseProperties(spec.properties, raw);
  const findings = [...parsed.findings, ...(parsed.config === null ? [] : (spec.check?.(parsed.config, raw) ?? []))];
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (parsed.config === null || errors.length > 0) throw new Error(errors.map((finding) => finding.message).join('; '));
  const output = options.output ?? new TestOutput();
  const logged: string[] = [];
  const degraded: Error[] = [];
  const failures: Error[] = [];
  let healthy = true;
  const note =
    (level: string) =>
    (first: unknown, second?: unknown): void => {
      logged.push(`${level} ${String(typeof first === 'string' ? first : second)}`);
    };
  const log = Object.fromEntries(['trace', 'debug', 'info', 'warn', 'error'].map((level) => [level, note(level)]));
  const ctx: SourceContext = {
    name: 'r1',
    agent: 'a1',
    log: { ...log, isLevelEnabled: () => true } as unknown as Logger,
    clock: options.clock ?? systemClock,
    home: '/nonexistent',
    output,
    counters: new SourceCounters(),
    extra: Object.fromEntries(Object.keys(spec.counters ?? {}).map((name) => [name, 0])),
    degraded(error) {
      healthy = false;
      degraded.push(error);
    },
    healthy() {
      healthy = true;
    },
    failed: (error) => failures.push(error),
    deserializer:
      options.deserializer ??
      (() => {
        throw new Error('none here');
      }),
  };
  const source = spec.create(parsed.config, ctx) as S;
  return { source, output, ctx, logged, degraded, failures, isHealthy: () => healthy };
}

/** Waits until `condition` holds; fails with `what` after `ms`. */
export async function until(condition: () => boolean, what: string, ms = 8_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A promise and its resolver. */
export function latch(): { promise: Promise<void>; open: () => void } {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}
