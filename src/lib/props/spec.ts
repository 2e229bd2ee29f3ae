/**
 * Property builders: one declaration per property, from which follow its type in code, its parsing, its findings and
 * its reference text. Keys of a `Properties` record are spelled exactly as users write them. A key that ends in `*`
 * (`kafka.producer.*`) collects every property with that prefix, the prefix stripped: see {@link rest}.
 *
 * Value rules are Flume's (Context.java): values arrive trimmed and never empty; a boolean is true only if it reads
 * "true" in any case; numbers are decimal digits with an optional sign.
 */
import type { FindingDraft, RawValue } from './finding.ts';

/** What every builder takes. */
export interface PropertyOptions<T> {
  /** One sentence for the reference. */
  readonly doc: string;
  readonly required?: boolean;
  readonly default?: T;
  /** Unit of the number as users write it, e.g. `ms`, `s`, `bytes`. */
  readonly unit?: string;
  /** Retired spellings, still honoured (a finding names the new one). The proper key wins if both are present. */
  readonly aliases?: readonly string[];
  /** A bad value is reported as a warning and the default is used, instead of an error that leaves the component out. */
  readonly lenient?: boolean;
  /** Never shown: masked in printed configuration, status and findings. */
  readonly secret?: boolean;
  /** Accepted for compatibility, has no effect here; the text says why. Setting it, or a key below it, gives an `info` finding. */
  readonly ignored?: string;
  /** Setting it, or a key below it, is an error; the text says why and what to do instead. */
  readonly refused?: string;
}

interface NumberOptions extends PropertyOptions<number> {
  readonly min?: number;
  readonly max?: number;
}

/** How a property is parsed and described. `T` is the type its component receives. */
export interface Property<T> {
  readonly kind: 'text' | 'int' | 'long' | 'float' | 'bool' | 'list' | 'oneOf' | 'duration' | 'size' | 'charset' | 'regex' | 'path' | 'secret' | 'rest';
  readonly options: PropertyOptions<unknown> & { readonly min?: number; readonly max?: number; readonly values?: readonly string[] };
  /** @throws BadValue with a text that completes "must be …". */
  readonly parse: (raw: string) => T;
}

/** Thrown by `Property.parse`; message reads on from "must be", e.g. "a whole number from 1 to 65535". */
export class BadValue extends Error {}

// biome-ignore lint/suspicious/noExplicitAny: the element type differs per property
export type Properties = Readonly<Record<string, Property<any>>>;

/** The typed object a component's `create` receives, inferred from its properties. */
export type Config<P extends Properties> = { readonly [K in keyof P]: P[K] extends Property<infer T> ? T : never };

type Result<T, O> = O extends { required: true } ? T : O extends { default: infer D } ? (D extends undefined ? T | undefined : T) : T | undefined;

function make<T>(kind: Property<T>['kind'], options: Property<T>['options'], parse: (raw: string) => T): Property<T> {
  return { kind, options, parse };
}

function wholeNumber(raw: string, low: number, high: number): number {
  const text = raw.trim();
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= low && value <= high)) throw new BadValue(rangeText(low, high));
  return value;
}

function rangeText(low: number, high: number): string {
  if (high >= Number.MAX_SAFE_INTEGER || high === INT_MAX) return low <= -INT_MAX ? 'a whole number' : `a whole number, ${low} or more`;
  return `a whole number from ${low} to ${high}`;
}

const INT_MAX = 2_147_483_647;
const LONG_MAX = 2 ** 63;

export function text<const O extends PropertyOptions<string>>(options: O): Property<Result<string, O>> {
  return make('text', options, (raw) => raw) as Property<Result<string, O>>;
}

/** A file or directory, as written; components resolve it against the working directory. `~` is not expanded, as in Flume. */
export function path<const O extends PropertyOptions<string>>(options: O): Property<Result<string, O>> {
  return make('path', options, (raw) => raw) as Property<Result<string, O>>;
}

/** A password or key: like text, but never shown. */
export function secret<const O extends PropertyOptions<string>>(options: O): Property<Result<string, O>> {
  return make('secret', { ...options, secret: true }, (raw) => raw) as Property<Result<string, O>>;
}

/** 32-bit whole number. */
export function int<const O extends NumberOptions>(options: O): Property<Result<number, O>> {
  return make('int', options, (raw) => wholeNumber(raw, options.min ?? -INT_MAX - 1, options.max ?? INT_MAX)) as Property<Result<number, O>>;
}

/** 64-bit whole number (kept as a double; exact to 2^53). */
export function long<const O extends NumberOptions>(options: O): Property<Result<number, O>> {
  return make('long', options, (raw) => wholeNumber(raw, options.min ?? -LONG_MAX, options.max ?? LONG_MAX)) as Property<Result<number, O>>;
}

export function float<const O extends NumberOptions>(options: O): Property<Result<number, O>> {
  return make('float', options, (raw) => {
    const value = Number(raw.trim());
    if (raw.trim() === '' || Number.isNaN(value) || value < (options.min ?? -Infinity) || value > (options.max ?? Infinity)) throw new BadValue('a number');
    return value;
  }) as Property<Result<number, O>>;
}

/** A span of time as a plain whole number; `unit` says of what, and the component receives that same number. */
export function duration<const O extends NumberOptions & { readonly unit: 'ms' | 's' }>(options: O): Property<Result<number, O>> {
  return make('duration', options, (raw) => wholeNumber(raw, options.min ?? 0, options.max ?? LONG_MAX)) as Property<Result<number, O>>;
}

/** A number of bytes as a plain whole number. */
export function size<const O extends NumberOptions>(options: O): Property<Result<number, O>> {
  return make('size', { unit: 'bytes', ...options }, (raw) => wholeNumber(raw, options.min ?? 0, options.max ?? LONG_MAX)) as Property<Result<number, O>>;
}

/** "true" in any case is true; everything else is false, as in Flume (the checker warns of `yes`, `1`, `on`). */
export function bool<const O extends PropertyOptions<boolean>>(options: O): Property<Result<boolean, O>> {
  return make('bool', options, (raw) => raw.trim().toLowerCase() === 'true') as Property<Result<boolean, O>>;
}

/** Words, separated by white space (default) or commas; blanks around commas are dropped. */
export function list<const O extends PropertyOptions<readonly string[]> & { readonly separator?: 'space' | 'comma' }>(
  options: O,
): Property<Result<readonly string[], O>> {
  const split = options.separator === 'comma' ? /\s*,\s*/ : /\s+/;
  return make('list', options, (raw) =>
    raw
      .trim()
      .split(split)
      .filter((word) => word !== ''),
  ) as unknown as Property<Result<readonly string[], O>>;
}

/** One of the given words, in any case; the component receives it spelled as declared. */
export function oneOf<const V extends readonly string[], const O extends PropertyOptions<V[number]>>(values: V, options: O): Property<Result<V[number], O>> {
  return make('oneOf', { ...options, values }, (raw) => {
    const found = values.find((value) => value.toLowerCase() === raw.trim().toLowerCase());
    if (found === undefined) throw new BadValue(`one of ${values.join(', ')}`);
    return found;
  }) as Property<Result<V[number], O>>;
}

/** A Java charset name; which names exist is decided where it is used (lib/charset.ts), so any word passes here. */
export function charset<const O extends PropertyOptions<string>>(options: O): Property<Result<string, O>> {
  return make('charset', options, (raw) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._:+-]*$/.test(raw)) throw new BadValue('the name of a character set, e.g. UTF-8 or GBK');
    return raw;
  }) as Property<Result<string, O>>;
}

/** A Java regular expression as written; translated where it is used (lib/java-regex.ts). */
export function regex<const O extends PropertyOptions<string>>(options: O): Property<Result<string, O>> {
  return make('regex', options, (raw) => raw) as Property<Result<string, O>>;
}

/** Every property below a prefix; declare it under the key `prefix*`. The component receives a plain record, prefix stripped. */
export function rest(options: { readonly doc: string; readonly secret?: boolean }): Property<Readonly<Record<string, string>>> {
  return make('rest', options, () => ({}));
}

/** The outcome of reading raw properties by their spec. `config` is null when an error was found. */
export interface Parsed<P extends Properties> {
  readonly config: Config<P> | null;
  readonly findings: readonly FindingDraft[];
  /** Keys nobody declared; the caller reports them with a suggestion. */
  readonly unknown: readonly string[];
}

/** Reads `raw` by `spec`. Pure; reports everything it sees at once. */
export function parseProperties<P extends Properties>(spec: P, raw: Readonly<Record<string, RawValue>>): Parsed<P> {
  const findings: FindingDraft[] = [];
  const seen = new Set<string>();
  const out: Record<string, unknown> = {};
  let failed = false;
  for (const [key, property] of Object.entries(spec)) {
    if (property.kind === 'rest') {
      out[key] = collect(key.slice(0, -1), raw, seen, spec);
      continue;
    }
    const written = [key, ...(property.options.aliases ?? [])].filter((name) => name in raw);
    for (const name of written) seen.add(name);
    const used = written[0];
    if (used === undefined) {
      if (property.options.required) {
        failed = true;
        findings.push({ code: 'missing-property', severity: 'error', message: `property "${key}" is required`, fix: `add ${key}: ${property.options.doc}` });
      }
      out[key] = property.options.default;
      continue;
    }
    findings.push(...remarks(key, used, property));
    if (property.options.refused) failed = true;
    const value = (raw[used] as RawValue).value;
    try {
      out[key] = property.parse(value);
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      out[key] = property.options.default;
      const lenient = property.options.lenient === true;
      if (!lenient) failed = true;
      const shown = property.options.secret ? '(hidden)' : `"${value}"`;
      findings.push({
        code: 'bad-value',
        severity: lenient ? 'warning' : 'error',
        message: `property "${used}" is ${shown} but must be ${error.message}`,
        fix: lenient
          ? `until it is corrected the default${property.options.default === undefined ? '' : ` ${String(property.options.default)}`} is used`
          : `correct the value of ${used}`,
        key: used,
      });
    }
  }
  const unknown: string[] = [];
  for (const key of Object.keys(raw)) {
    if (seen.has(key)) continue;
    const above = Object.entries(spec).find(([name, { options }]) => (options.refused ?? options.ignored) !== undefined && key.startsWith(`${name}.`));
    if (above === undefined) unknown.push(key);
    else findings.push(...remarks(above[0], key, above[1]));
    if (above?.[1].options.refused) failed = true;
  }
  return { config: failed ? null : (out as Config<P>), findings, unknown };
}

function collect(prefix: string, raw: Readonly<Record<string, RawValue>>, seen: Set<string>, spec: Properties): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [key, { value }] of Object.entries(raw)) {
    if (!key.startsWith(prefix) || key.length === prefix.length || key in spec) continue;
    seen.add(key);
    out[key.slice(prefix.length)] = value;
  }
  return out;
}

function remarks(key: string, used: string, property: Property<unknown>): FindingDraft[] {
  const { refused, ignored, aliases } = property.options;
  if (refused) return [{ code: 'refused-property', severity: 'error', message: `property "${used}" is not supported: ${refused}`, key: used }];
  if (ignored) return [{ code: 'ignored-property', severity: 'info', message: `property "${used}" has no effect here: ${ignored}`, key: used }];
  if (used !== key && aliases?.includes(used)) {
    return [
      {
        code: 'retired-property',
        severity: 'warning',
        message: `property "${used}" is retired`,
        fix: `write ${key} instead; its value is used as it is`,
        key: used,
      },
    ];
  }
  return [];
}
