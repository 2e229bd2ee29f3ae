/** The host interceptor (Flume's HostInterceptor): which machine took the event in. */
import { localHost } from '../../lib/local-host.ts';
import { bool, text } from '../../lib/props/spec.ts';
import { defineInterceptor } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Interceptor } from '../core/interceptor.ts';

class HostInterceptor implements Interceptor {
  readonly #header: string;
  readonly #useIp: boolean;
  readonly #keep: boolean;
  /** Looked up with the first batch: creating a component must not touch the world. */
  #value: string | undefined;

  constructor(header: string, useIp: boolean, keep: boolean) {
    this.#header = header;
    this.#useIp = useIp;
    this.#keep = keep;
  }

  apply(batch: Event[]): Event[] {
    const header = this.#header;
    this.#value ??= this.#useIp ? localHost().ip : localHost().canonicalName;
    for (let i = 0; i < batch.length; i++) {
      const { headers } = batch[i] as Event;
      if (this.#keep && Object.hasOwn(headers, header)) continue;
      headers[header] = this.#value;
    }
    return batch;
  }
}

export default defineInterceptor({
  type: 'host',
  aliases: ['org.apache.flume.interceptor.HostInterceptor$Builder'],
  summary: "Sets a header to this machine's address or name.",
  properties: {
    hostHeader: text({ default: 'host', doc: 'The header to set.' }),
    useIP: bool({ default: true, doc: 'The IP address; false = the canonical host name.' }),
    preserveExisting: bool({ default: false, doc: 'Leave the header as it is where an event has it already.' }),
  },
  create: (config) => new HostInterceptor(config.hostHeader, config.useIP, config.preserveExisting),
});
