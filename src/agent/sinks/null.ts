/** The null sink (Flume's NullSink): takes events as fast as it can and forgets them, for tests and measurements. */
import type { Logger } from '../../lib/log.ts';
import { int } from '../../lib/props/spec.ts';
import { defineSink } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';

const DONE: Promise<void> = Promise.resolve();

class NullSink {
  readonly #name: string;
  readonly #every: number;
  readonly #log: Logger;
  #events = 0;

  constructor(name: string, every: number, log: Logger) {
    this.#name = name;
    this.#every = every;
    this.#log = log;
  }

  deliver(batch: readonly Sealed[]): Promise<void> {
    let next = this.#events - (this.#events % this.#every) + this.#every;
    this.#events += batch.length;
    for (; next <= this.#events; next += this.#every) this.#log.info(`Null sink ${this.#name} successful processed ${next} events.`);
    return DONE;
  }
}

export default defineSink({
  type: 'null',
  aliases: ['org.apache.flume.sink.NullSink'],
  summary: 'Discards all events.',
  properties: {
    batchSize: int({ default: 100, min: 1, unit: 'events', doc: 'Most events taken at once.' }),
    logEveryNEvents: int({ default: 10_000, min: 1, unit: 'events', doc: 'A progress line is logged each time this many events are gone.' }),
  },
  facts: (config) => ({ batchSize: config.batchSize }),
  delivery: () => ({
    crash: { effect: 'nothing', note: 'it keeps nothing' },
    stop: { effect: 'nothing', note: 'it keeps nothing' },
    dead: { effect: 'nothing', note: 'it has no other end' },
  }),
  create: (config, ctx) => new NullSink(ctx.name, config.logEveryNEvents, ctx.log),
});
