/**
 * Makes events of one size as fast as asked, for measuring a flow (Flume's StressSource). Bodies are `size` bytes 0x7F.
 *
 * When data is safe: there is none; a refused batch counts as failed and is not repeated, as in Flume.
 */
import { ChannelError, ChannelFullError } from '../../lib/errors.ts';
import { type Config, duration, int, long, size } from '../../lib/props/spec.ts';
import { defineSource, type SourceContext } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { PollableSource } from '../core/source.ts';

const properties = {
  size: size({ default: 500, max: 2_147_483_647, doc: 'Bytes per body.' }),
  maxTotalEvents: long({ default: -1, unit: 'events', doc: 'Events to send, whether accepted or not; -1 = no end.' }),
  maxSuccessfulEvents: long({ default: -1, unit: 'events', doc: 'Accepted events after which the source is idle; -1 = no end.' }),
  batchSize: int({ default: 1, min: 1, unit: 'events', doc: 'Events per batch.' }),
  maxEventsPerSecond: int({
    default: 0,
    min: 0,
    unit: 'events/s',
    doc: 'Highest rate, with at most one second of it saved up; 0 = as fast as the channel takes them.',
  }),
  backoffSleepIncrement: duration({ default: 1_000, unit: 'ms', doc: 'Pause that is added with every idle or refused round.' }),
  maxBackoffSleep: duration({ default: 5_000, unit: 'ms', doc: 'Longest pause between such rounds.' }),
};
type StressConfig = Config<typeof properties>;

export default defineSource({
  type: 'stress',
  aliases: ['org.apache.flume.source.StressSource'],
  summary: 'Makes events of one size as fast as asked, to measure a flow.',
  properties,
  counters: { FailedCount: 'Events that a channel refused.' },
  facts: (config) => ({ batchSize: config.batchSize }),
  delivery: () => ({
    crash: { effect: 'nothing', note: 'its events carry nothing' },
    stop: { effect: 'nothing', note: 'its events carry nothing' },
    full: { effect: 'loses', note: 'a refused batch counts as failed and is not repeated' },
    replays: false,
  }),
  create: (config, ctx) => new StressSource(config, ctx),
});

export class StressSource implements PollableSource {
  readonly #config: StressConfig;
  readonly #ctx: SourceContext;
  readonly #body: Buffer;
  #total = 0;
  #successful = 0;
  /** Token bucket: events saved up, and the moment (monotonic ms) when the next may go; it lies ahead while there is debt. */
  #saved = 0;
  #nextAt = 0;

  constructor(config: StressConfig, ctx: SourceContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#body = Buffer.allocUnsafeSlow(config.size).fill(0x7f);
  }

  async start(): Promise<void> {
    this.#total = 0;
    this.#successful = 0;
    this.#saved = 0;
    this.#nextAt = this.#ctx.clock.monotonic();
  }

  async stop(): Promise<void> {}

  async poll(signal: AbortSignal): Promise<'ready' | 'backoff'> {
    const { maxTotalEvents, maxSuccessfulEvents, batchSize } = this.#config;
    let count = Math.min(batchSize, this.#ctx.output.maxBatch);
    if (maxTotalEvents >= 0) count = Math.min(count, maxTotalEvents - this.#total);
    if (count <= 0 || (maxSuccessfulEvents >= 0 && this.#successful >= maxSuccessfulEvents)) return 'backoff';
    await this.#mayGo(count, signal);
    if (signal.aborted) return 'backoff';
    const batch: Event[] = [];
    for (let i = 0; i < count; i++) batch.push({ headers: {}, body: this.#body });
    this.#total += count;
    try {
      await this.#ctx.output.put(batch);
      this.#successful += count;
      return 'ready';
    } catch (error) {
      if (!(error instanceof ChannelFullError || error instanceof ChannelError)) throw error;
      this.#ctx.extra.FailedCount = (this.#ctx.extra.FailedCount ?? 0) + count;
      return 'backoff';
    }
  }

  /** As Guava's RateLimiter, which Flume uses: a batch goes at once if nothing is owed, and who comes next pays for it. */
  async #mayGo(count: number, signal: AbortSignal): Promise<void> {
    const { maxEventsPerSecond: rate } = this.#config;
    if (rate === 0) return;
    const { clock } = this.#ctx;
    const now = clock.monotonic();
    if (now > this.#nextAt) {
      this.#saved = Math.min(rate, this.#saved + ((now - this.#nextAt) * rate) / 1_000);
      this.#nextAt = now;
    }
    const waitMs = this.#nextAt - now;
    const fromSaved = Math.min(count, this.#saved);
    this.#saved -= fromSaved;
    this.#nextAt += ((count - fromSaved) * 1_000) / rate;
    if (waitMs > 0) await clock.sleep(waitMs, signal);
  }
}
