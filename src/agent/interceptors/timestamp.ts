/** The timestamp interceptor (Flume's TimestampInterceptor): the time of arrival as a header, epoch milliseconds. */
import type { Clock } from '../../lib/clock.ts';
import { bool, text } from '../../lib/props/spec.ts';
import { defineInterceptor } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Interceptor } from '../core/interceptor.ts';

class TimestampInterceptor implements Interceptor {
  readonly #header: string;
  readonly #keep: boolean;
  readonly #clock: Clock;

  constructor(header: string, keep: boolean, clock: Clock) {
    this.#header = header;
    this.#keep = keep;
    this.#clock = clock;
  }

  apply(batch: Event[]): Event[] {
    const header = this.#header;
    const now = String(this.#clock.now());
    for (let i = 0; i < batch.length; i++) {
      const { headers } = batch[i] as Event;
      if (this.#keep && Object.hasOwn(headers, header)) continue;
      headers[header] = now;
    }
    return batch;
  }
}

export default defineInterceptor({
  type: 'timestamp',
  aliases: ['org.apache.flume.interceptor.TimestampInterceptor$Builder'],
  summary: 'Sets a header to the time at which the event came in.',
  properties: {
    headerName: text({ default: 'timestamp', doc: 'The header to set; its value is epoch milliseconds.' }),
    header: text({
      doc: 'What Flume’s manual calls headerName in one place.',
      ignored: 'Flume’s code reads headerName only; write headerName to name the header',
    }),
    preserveExisting: bool({ default: false, doc: 'Leave the header as it is where an event has it already.' }),
  },
  create: (config, ctx) => new TimestampInterceptor(config.headerName, config.preserveExisting, ctx.clock),
});
