/**
 * Makes events whose bodies count 0, 1, 2, … in decimal (Flume's SequenceGeneratorSource), for trying out a flow.
 *
 * When data is safe: the count only goes on once the channel has the batch, so a refused batch comes again with the same
 * numbers. It begins at 0 with every start of the source; after `totalEvents` the source is idle.
 */
import { ChannelError, ChannelFullError } from '../../lib/errors.ts';
import { type Config, duration, int, long } from '../../lib/props/spec.ts';
import { defineSource, type SourceContext } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { PollableSource } from '../core/source.ts';

/** Pause after a refusal; `put` has waited for room before, unless keep-alive is 0. */
const RETRY_MS = 50;

const properties = {
  batchSize: int({ default: 1, min: 1, unit: 'events', doc: 'Events per batch.' }),
  totalEvents: long({ default: 2 ** 63, min: 0, unit: 'events', doc: 'How many to make; then the source is idle.' }),
  backoffSleepIncrement: duration({ default: 1_000, unit: 'ms', doc: 'Pause that is added with every idle round.' }),
  maxBackoffSleep: duration({ default: 5_000, unit: 'ms', doc: 'Longest pause between idle rounds.' }),
};
type SeqConfig = Config<typeof properties>;

export default defineSource({
  type: 'seq',
  aliases: ['org.apache.flume.source.SequenceGeneratorSource'],
  summary: 'Makes events that count from 0, to try out a flow.',
  properties,
  facts: (config) => ({ batchSize: config.batchSize }),
  delivery: () => ({
    crash: { effect: 'doubles', note: 'the count begins at 0 again' },
    stop: { effect: 'doubles', note: 'the count begins at 0 again' },
    full: { effect: 'waits', note: 'it makes no more until there is room' },
    replays: true,
  }),
  create: (config, ctx) => new SeqSource(config, ctx),
});

export class SeqSource implements PollableSource {
  readonly #config: SeqConfig;
  readonly #ctx: SourceContext;
  #next = 0;

  constructor(config: SeqConfig, ctx: SourceContext) {
    this.#config = config;
    this.#ctx = ctx;
  }

  async start(): Promise<void> {
    this.#next = 0;
  }

  async stop(): Promise<void> {}

  async poll(signal: AbortSignal): Promise<'ready' | 'backoff'> {
    const { batchSize, totalEvents } = this.#config;
    const first = this.#next;
    const count = Math.min(batchSize, totalEvents - first, this.#ctx.output.maxBatch);
    if (count <= 0) return 'backoff';
    const batch: Event[] = [];
    for (let i = 0; i < count; i++) batch.push({ headers: {}, body: Buffer.from(String(first + i), 'latin1') });
    try {
      await this.#ctx.output.put(batch);
      this.#next = first + count;
    } catch (error) {
      if (!(error instanceof ChannelFullError || error instanceof ChannelError)) throw error;
      await this.#ctx.clock.sleep(RETRY_MS, signal);
    }
    return 'ready';
  }
}
