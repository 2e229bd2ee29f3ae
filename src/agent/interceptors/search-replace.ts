/** The search_replace interceptor (Flume's SearchAndReplaceInterceptor): Java's replaceAll on the body. */
import { type Charset, lookupCharset } from '../../lib/charset.ts';
import { ConfigError } from '../../lib/errors.ts';
import { javaRegex, javaReplacement, translateJavaRegex } from '../../lib/java-regex.ts';
import { type Config, charset, regex, text } from '../../lib/props/spec.ts';
import { defineInterceptor } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Interceptor } from '../core/interceptor.ts';
import { configFindings, regexFindings } from '../core/pattern-check.ts';

const properties = {
  searchPattern: regex({ required: true, doc: 'What to replace, wherever it occurs in the body.' }),
  replaceString: text({
    default: '',
    doc: 'What to put there: $1 is the first group of the pattern (a named one: $ and its name in braces); \\ makes the next character literal.',
  }),
  charset: charset({ default: 'UTF-8', doc: 'How the body is read and written.' }),
};

class SearchReplaceInterceptor implements Interceptor {
  readonly #pattern: RegExp;
  readonly #replacement: string;
  readonly #charset: Charset;

  /** @throws ConfigError */
  constructor(config: Config<typeof properties>) {
    this.#pattern = javaRegex(config.searchPattern, 'find', 'g');
    const { groupCount, names } = translateJavaRegex(config.searchPattern);
    this.#replacement = javaReplacement(config.replaceString, groupCount, names);
    this.#charset = charsetOf(config.charset);
  }

  apply(batch: Event[]): Event[] {
    for (let i = 0; i < batch.length; i++) {
      const event = batch[i] as Event;
      const before = this.#charset.decode(event.body, 'REPLACE');
      const after = before.replace(this.#pattern, this.#replacement);
      if (after !== before) event.body = this.#charset.encode(after);
    }
    return batch;
  }
}

function charsetOf(name: string): Charset {
  const found = lookupCharset(name);
  if (found === undefined) throw new ConfigError(`the character set "${name}" is not known`, { fix: 'write e.g. UTF-8, GBK or ISO-8859-1' });
  return found;
}

export default defineInterceptor({
  type: 'search_replace',
  aliases: ['org.apache.flume.interceptor.SearchAndReplaceInterceptor$Builder'],
  summary: 'Replaces what a regular expression finds in the body.',
  properties,
  check: (config) => {
    const wrongPattern = regexFindings({ searchPattern: config.searchPattern });
    if (wrongPattern.length > 0) return wrongPattern;
    const { groupCount, names } = translateJavaRegex(config.searchPattern);
    return [
      ...configFindings('replaceString', 'bad-replacement', () => javaReplacement(config.replaceString, groupCount, names)),
      ...configFindings('charset', 'unknown-charset', () => charsetOf(config.charset)),
    ];
  },
  create: (config) => new SearchReplaceInterceptor(config),
});
