/** The regex_filter interceptor (Flume's RegexFilteringInterceptor): keeps or drops events by their body. */
import { javaRegex } from '../../lib/java-regex.ts';
import { bool, regex } from '../../lib/props/spec.ts';
import { defineInterceptor } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Interceptor } from '../core/interceptor.ts';
import { regexFindings } from '../core/pattern-check.ts';

class RegexFilterInterceptor implements Interceptor {
  readonly #regex: RegExp;
  readonly #exclude: boolean;

  constructor(pattern: string, exclude: boolean) {
    this.#regex = javaRegex(pattern, 'find');
    this.#exclude = exclude;
  }

  /** The batch given is left whole: its source may have to put it again. */
  apply(batch: Event[]): Event[] {
    return batch.filter((event) => this.#regex.test(event.body.toString()) !== this.#exclude);
  }
}

export default defineInterceptor({
  type: 'regex_filter',
  aliases: ['org.apache.flume.interceptor.RegexFilteringInterceptor$Builder'],
  summary: 'Keeps only the events whose body matches a regular expression, or drops those.',
  properties: {
    regex: regex({ default: '.*', doc: 'Searched anywhere in the body, read as UTF-8.' }),
    excludeEvents: bool({ default: false, doc: 'Drop the events that match, instead of keeping only them.' }),
  },
  check: (config) => regexFindings({ regex: config.regex }),
  create: (config) => new RegexFilterInterceptor(config.regex, config.excludeEvents),
});
