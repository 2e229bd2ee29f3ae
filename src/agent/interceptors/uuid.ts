/** The UUID interceptor (Flume's morphline UUIDInterceptor, which had no short name): a random id for each event. */
import { randomUUID } from 'node:crypto';
import { bool, text } from '../../lib/props/spec.ts';
import { defineInterceptor } from '../core/define.ts';
import type { Event } from '../core/event.ts';

export default defineInterceptor({
  type: 'uuid',
  aliases: ['org.apache.flume.sink.solr.morphline.UUIDInterceptor$Builder'],
  summary: 'Sets a header to a random UUID (version 4).',
  properties: {
    headerName: text({ default: 'id', doc: 'The header to set.' }),
    preserveExisting: bool({ default: true, doc: 'Leave the header as it is where an event has it already.' }),
    prefix: text({ default: '', doc: 'Text in front of each id.' }),
  },
  create: ({ headerName, preserveExisting, prefix }) => ({
    apply(batch: Event[]): Event[] {
      for (let i = 0; i < batch.length; i++) {
        const { headers } = batch[i] as Event;
        if (preserveExisting && Object.hasOwn(headers, headerName)) continue;
        headers[headerName] = prefix + randomUUID();
      }
      return batch;
    },
  }),
});
