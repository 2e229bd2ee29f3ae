/**
 * The regex_extractor interceptor (Flume's RegexExtractorInterceptor): groups of a match become headers. Group i goes
 * through serializer i; groups without a serializer and serializers without a group are left alone. A group that took
 * no part sets nothing (Flume sets a null header, which most channels cannot store).
 */
import { ConfigError } from '../../lib/errors.ts';
import { jodaDateParser } from '../../lib/java-date-format.ts';
import { javaRegex } from '../../lib/java-regex.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';
import { type Config, list, regex, rest } from '../../lib/props/spec.ts';
import { defineInterceptor } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Interceptor } from '../core/interceptor.ts';
import { configFindings, regexFindings } from '../core/pattern-check.ts';

const properties = {
  regex: regex({ required: true, doc: 'Searched anywhere in the body, read as UTF-8; the first match counts.' }),
  serializers: list({ required: true, doc: 'Names of the serializers, one for each group of the expression, in order.' }),
  'serializers.*': rest({
    doc: 'serializers.S.name = the header to set (required); serializers.S.type = DEFAULT or org.apache.flume.interceptor.RegexExtractorInterceptorMillisSerializer, which turns a date written as serializers.S.pattern (Joda-Time) into epoch milliseconds.',
  }),
};
type ExtractorConfig = Config<typeof properties>;

const PACKAGE = 'org.apache.flume.interceptor.';
const PASS_THROUGH = `${PACKAGE}RegexExtractorInterceptorPassThroughSerializer`;
const MILLIS = `${PACKAGE}RegexExtractorInterceptorMillisSerializer`;

interface Extraction {
  readonly header: string;
  /** Undefined = the text as it is. */
  readonly convert: ((text: string) => string) | undefined;
}

/** @throws ConfigError name missing, unknown type, bad pattern */
function extraction(serializer: string, settings: Readonly<Record<string, string>>): Extraction {
  const at = `serializers.${serializer}`;
  const header = settings[`${serializer}.name`];
  if (header === undefined) throw new ConfigError(`property "${at}.name" is required`, { fix: `add ${at}.name: the header to set` });
  const type = settings[`${serializer}.type`] ?? 'DEFAULT';
  if (type.toUpperCase() === 'DEFAULT' || type === PASS_THROUGH) return { header, convert: undefined };
  if (type !== MILLIS) throw new ConfigError(`${at}.type is "${type}", which is not known`, { fix: `use DEFAULT or ${MILLIS}` });
  const pattern = settings[`${serializer}.pattern`];
  if (pattern === undefined) throw new ConfigError(`property "${at}.pattern" is required`, { fix: `add ${at}.pattern, e.g. yyyy-MM-dd HH:mm:ss` });
  const parse = jodaDateParser(pattern);
  return { header, convert: (text) => String(parse(text)) };
}

class RegexExtractorInterceptor implements Interceptor {
  readonly #regex: RegExp;
  readonly #extractions: readonly Extraction[];

  constructor(config: ExtractorConfig) {
    this.#regex = javaRegex(config.regex, 'find');
    this.#extractions = config.serializers.map((name) => extraction(name, config['serializers.*']));
  }

  /** @throws AppError a date that does not fit its pattern; the put fails, as in Flume */
  apply(batch: Event[]): Event[] {
    for (let i = 0; i < batch.length; i++) {
      const { headers, body } = batch[i] as Event;
      const found = this.#regex.exec(body.toString());
      if (found === null) continue;
      const count = Math.min(found.length - 1, this.#extractions.length);
      for (let group = 0; group < count; group++) {
        const { header, convert } = this.#extractions[group] as Extraction;
        const text = found[group + 1];
        if (text !== undefined) headers[header] = convert === undefined ? text : convert(text);
      }
    }
    return batch;
  }
}

const KNOWN_SETTINGS = ['name', 'type', 'pattern'];

/** Settings below `serializers.` that no serializer reads. */
function strays(config: ExtractorConfig): readonly FindingDraft[] {
  return Object.keys(config['serializers.*'])
    .filter((key) => !config.serializers.some((name) => KNOWN_SETTINGS.some((setting) => key === `${name}.${setting}`)))
    .map((key) => ({
      code: 'unknown-property',
      severity: 'warning',
      message: `no property "serializers.${key}"`,
      fix: `serializers are ${config.serializers.join(' ')}; each has ${KNOWN_SETTINGS.join(', ')}`,
      key: `serializers.${key}`,
    }));
}

export default defineInterceptor({
  type: 'regex_extractor',
  aliases: ['org.apache.flume.interceptor.RegexExtractorInterceptor$Builder'],
  summary: 'Sets headers to what the groups of a regular expression find in the body.',
  properties,
  check: (config) => [
    ...regexFindings({ regex: config.regex }),
    ...config.serializers.flatMap((name) => configFindings(`serializers.${name}`, 'bad-serializer', () => extraction(name, config['serializers.*']))),
    ...strays(config),
  ],
  create: (config) => new RegexExtractorInterceptor(config),
});
