/** The remove_header interceptor (Flume's RemoveHeaderInterceptor): takes headers away by name, list or pattern. */
import { javaRegex } from '../../lib/java-regex.ts';
import { type Config, regex, text } from '../../lib/props/spec.ts';
import { defineInterceptor } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Interceptor } from '../core/interceptor.ts';
import { regexFindings } from '../core/pattern-check.ts';

const properties = {
  withName: text({ doc: 'Removes this header.' }),
  fromList: text({ doc: 'Removes the headers in this list.' }),
  fromListSeparator: regex({ default: '\\s*,\\s*', doc: 'What separates the names of fromList, a regular expression.' }),
  matching: regex({ doc: 'Removes headers whose whole name matches this regular expression.' }),
};

class RemoveHeaderInterceptor implements Interceptor {
  readonly #names: readonly string[];
  readonly #matching: RegExp | undefined;

  constructor(config: Config<typeof properties>) {
    const listed = config.fromList?.split(javaRegex(config.fromListSeparator, 'find')) ?? [];
    this.#names = [...(config.withName === undefined ? [] : [config.withName]), ...listed];
    this.#matching = config.matching === undefined ? undefined : javaRegex(config.matching, 'matches');
  }

  apply(batch: Event[]): Event[] {
    const matching = this.#matching;
    for (let i = 0; i < batch.length; i++) {
      const { headers } = batch[i] as Event;
      for (const name of this.#names) if (Object.hasOwn(headers, name)) delete headers[name];
      if (matching === undefined) continue;
      for (const name of Object.keys(headers)) if (matching.test(name)) delete headers[name];
    }
    return batch;
  }
}

export default defineInterceptor({
  type: 'remove_header',
  aliases: ['org.apache.flume.interceptor.RemoveHeaderInterceptor$Builder'],
  summary: 'Removes headers by name, by list or by pattern.',
  properties,
  check: (config) => regexFindings({ fromListSeparator: config.fromListSeparator, matching: config.matching }),
  create: (config) => new RemoveHeaderInterceptor(config),
});
