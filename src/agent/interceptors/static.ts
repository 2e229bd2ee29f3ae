/** The static interceptor (Flume's StaticInterceptor): one header with a fixed value. */
import { bool, text } from '../../lib/props/spec.ts';
import { defineInterceptor } from '../core/define.ts';
import type { Event } from '../core/event.ts';

export default defineInterceptor({
  type: 'static',
  aliases: ['org.apache.flume.interceptor.StaticInterceptor$Builder'],
  summary: 'Sets a header to a fixed value.',
  properties: {
    key: text({ default: 'key', doc: 'The header to set.' }),
    value: text({ default: 'value', doc: 'Its value.' }),
    preserveExisting: bool({ default: true, doc: 'Leave the header as it is where an event has it already.' }),
  },
  create: ({ key, value, preserveExisting }) => ({
    apply(batch: Event[]): Event[] {
      for (let i = 0; i < batch.length; i++) {
        const { headers } = batch[i] as Event;
        if (preserveExisting && Object.hasOwn(headers, key)) continue;
        headers[key] = value;
      }
      return batch;
    },
  }),
});
