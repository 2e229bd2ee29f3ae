/**
 * Command lines as Kafka's tools read them (jopt-simple): `--name value`, `--name=value`, `-name value`, unambiguous
 * beginnings of a name; words that belong to no option are let pass. On top of that, what web pages do to command lines is
 * read as meant and said once on stderr: long dashes (`—topic`), dashes torn apart (`- -topic`), lists with blanks after
 * their commas.
 */
import { nearest } from '../../lib/suggest.ts';

/** One option of a tool. */
export interface ToolOption {
  readonly name: string;
  /** What its value is called in the help, in Kafka's way: `String: topic`. Absent = a switch. */
  readonly value?: string;
  /** The value may be left out. */
  readonly optional?: true;
  /** May be given several times. */
  readonly repeatable?: true;
  /** Takes all words up to the next option. */
  readonly many?: true;
  readonly doc: string;
}

/** The command line cannot be used: the message, then (unless `brief`) the table of options; exit 1. */
export class UsageFault extends Error {
  readonly brief: boolean;
  /** What Kafka's tool shows as the exception, if it shows one. */
  readonly javaClass: string | undefined;
  constructor(message: string, detail: { readonly brief?: boolean; readonly javaClass?: string } = {}) {
    super(message);
    this.brief = detail.brief ?? false;
    this.javaClass = detail.javaClass;
  }
}

function joptFault(kind: string, message: string): UsageFault {
  return new UsageFault(message, { brief: true, javaClass: `joptsimple.${kind}` });
}

/** What was found on the command line. */
export class Options {
  readonly #values = new Map<string, string[]>();
  /** Option names and values in the order written, for tools in which order counts. */
  readonly order: [name: string, value: string | undefined][] = [];
  /** Words that belong to no option. */
  readonly rest: string[] = [];
  /** What should be said on stderr about slips that were read as meant. */
  readonly notices: string[] = [];

  add(name: string, value: string | undefined): void {
    const values = this.#values.get(name) ?? [];
    if (value !== undefined) values.push(value);
    this.#values.set(name, values);
    this.order.push([name, value]);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value of an option that may stand once. @throws UsageFault it stands more than once */
  get(name: string): string | undefined {
    const values = this.#values.get(name);
    if (values !== undefined && values.length > 1) {
      throw joptFault('MultipleArgumentsForOptionException', `Found multiple arguments for option ${name}, but you asked for only one`);
    }
    return values?.[0];
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A whole number, or `fallback`. @throws UsageFault */
  int(name: string, fallback: number): number {
    const text = this.get(name);
    if (text === undefined) return fallback;
    if (!/^[+-]?\d+$/.test(text)) throw joptFault('OptionArgumentConversionException', `Cannot parse argument '${text}' of option ${name}`);
    return Number(text);
  }

  /** @throws UsageFault as Kafka's `checkRequiredArgs` */
  require(...names: readonly string[]): void {
    for (const name of names) if (!this.has(name)) throw new UsageFault(`Missing required argument "[${name}]"`);
  }

  /** @throws UsageFault as Kafka's `checkInvalidArgs` */
  exclude(used: string, ...others: readonly string[]): void {
    if (!this.has(used)) return;
    for (const other of others) if (this.has(other)) throw new UsageFault(`Option "[${used}]" can't be used with option "[${other}]"`);
  }

  /** `names` only with one of `actions`. @throws UsageFault as Kafka's `checkInvalidArgs`, which names the action last */
  onlyWith(action: string, rules: readonly (readonly [names: readonly string[], actions: readonly string[]])[]): void {
    for (const [names, actions] of rules) if (!actions.includes(action)) for (const name of names) this.exclude(name, action);
  }
}

const LONG_DASH = '\\u2010-\\u2015\\u2212\\uFE58\\uFE63\\uFF0D';
const LONG_DASHED = new RegExp(`^([-${LONG_DASH}]*[${LONG_DASH}][-${LONG_DASH}]*)(.*)$`, 'su');

interface Token {
  readonly text: string;
  /** The words it was made of, when they were not written as they are read. */
  readonly written?: string;
}

/** Reads `words` by `specs`. @throws UsageFault unknown or ambiguous option, missing value */
export function parseOptions(words: readonly string[], specs: readonly ToolOption[]): Options {
  const options = new Options();
  const tokens = mend(words, specs);
  for (const { text, written } of tokens) {
    if (written !== undefined)
      options.notices.push(`"${written}" is not written with plain hyphens, as web pages and text programs do to command lines; it is read as ${text}`);
  }
  const queue = tokens.map(({ text }) => text);
  for (let i = 0; i < queue.length; i++) {
    const word = queue[i] as string;
    if (word === '--') {
      options.rest.push(...queue.slice(i + 1));
      break;
    }
    if (!/^-./.test(word)) {
      options.rest.push(word);
      continue;
    }
    const { spec, attached } = recognise(word, specs);
    if (spec.value === undefined) {
      if (attached !== undefined) throw joptFault('OptionArgumentNotAllowedException', `option ${spec.name} takes no value, but got '${attached}'`);
      options.add(spec.name, undefined);
      continue;
    }
    if (attached !== undefined) {
      options.add(spec.name, attached);
      continue;
    }
    const taken = valueWords(queue, i + 1, spec, specs);
    i += taken.used;
    if (taken.values.length === 0 && !spec.optional) throw joptFault('OptionMissingRequiredArgumentException', `Option ${spec.name} requires an argument`);
    if (taken.values.length === 0) options.add(spec.name, undefined);
    for (const value of taken.values) options.add(spec.name, value);
  }
  return options;
}

/** The value at `from`: one word, or more where it is a list whose commas are followed by blanks. */
function valueWords(queue: readonly string[], from: number, spec: ToolOption, specs: readonly ToolOption[]): { values: string[]; used: number } {
  const isValue = (at: number): boolean => {
    const word = queue[at];
    return word !== undefined && !isOption(word, specs) && !(spec.optional && /^--./.test(word));
  };
  if (spec.many) {
    let end = from;
    while (isValue(end)) end++;
    return { values: queue.slice(from, end), used: end - from };
  }
  if (!isValue(from)) return { values: [], used: 0 };
  let value = queue[from] as string;
  let used = 1;
  if (/host|server|broker|urls/i.test(spec.value ?? '')) {
    while (/,$/.test(value) && isValue(from + used)) value += queue[from + used++];
    while (/^,./.test(queue[from + used] ?? '')) value += queue[from + used++];
  }
  return { values: [value], used };
}

/** As the tools take them that read their words with argparse. */
const SHORT: Readonly<Record<string, string>> = { '-h': '--help' };

function isOption(word: string, specs: readonly ToolOption[]): boolean {
  if (!/^-./.test(word)) return false;
  const name = word.replace(/^--?/, '').replace(/=.*/s, '');
  return specs.some((spec) => spec.name === name) || (word.startsWith('--') && specs.some((spec) => spec.name.startsWith(name)));
}

function recognise(written: string, specs: readonly ToolOption[]): { spec: ToolOption; attached: string | undefined } {
  const word = SHORT[written] ?? written;
  const dashes = word.startsWith('--') ? 2 : 1;
  const at = word.indexOf('=');
  const name = word.slice(dashes, at < 0 ? undefined : at);
  const attached = at < 0 ? undefined : word.slice(at + 1);
  const exact = specs.find((spec) => spec.name === name);
  if (exact !== undefined) return { spec: exact, attached };
  const starting = dashes === 2 ? specs.filter((spec) => spec.name.startsWith(name)) : [];
  if (starting.length === 1) return { spec: starting[0] as ToolOption, attached };
  const meant = nearest(
    name,
    specs.map((spec) => spec.name),
  );
  const hint = meant === undefined ? '' : `; did you mean --${meant}?`;
  throw joptFault('UnrecognizedOptionException', `${name} is not a recognized option${hint}`);
}

/** Makes plain hyphens of what stands for them, where the name behind them is an option of this tool. */
function mend(words: readonly string[], specs: readonly ToolOption[]): Token[] {
  const known = (rest: string): boolean => specs.some(({ name }) => name === rest.replace(/=.*/s, ''));
  const tokens: Token[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    const torn = tornOption(words, i, known);
    if (torn !== null) {
      tokens.push({ text: `--${torn.name}`, written: words.slice(i, i + torn.used).join(' ') });
      i += torn.used - 1;
      continue;
    }
    const long = LONG_DASHED.exec(word);
    if (long !== null && known(long[2] as string)) tokens.push({ text: `--${long[2]}`, written: word });
    else tokens.push({ text: word });
  }
  return tokens;
}

/** `- -topic`, `- - topic`, `-- topic`, `— topic`: dashes with blanks in between. */
function tornOption(words: readonly string[], at: number, known: (rest: string) => boolean): { name: string; used: number } | null {
  const dashesOnly = new RegExp(`^[-${LONG_DASH}]+$`, 'u');
  let end = at;
  while (end < words.length && end < at + 2 && dashesOnly.test(words[end] as string)) end++;
  if (end === at) return null;
  const next = words[end];
  if (next === undefined) return null;
  const name = next.replace(new RegExp(`^[-${LONG_DASH}]{0,2}`, 'u'), '');
  // `-- topic` is jopt's end of options followed by a word, unless the word is an option's name.
  return known(name) ? { name, used: end - at + 1 } : null;
}

const LEFT = 39;
const RIGHT = 40;

function wrap(text: string, width: number, hanging: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const candidate = line === '' ? (lines.length === 0 ? word : `${hanging}${word}`) : `${line} ${word}`;
    if (candidate.length <= width || line === '') line = candidate;
    else {
      lines.push(line);
      line = `${hanging}${word}`;
    }
  }
  lines.push(line);
  return lines;
}

/** The table of options as jopt-simple prints it. */
export function optionTable(specs: readonly ToolOption[]): string {
  const rows: [string, string][] = [
    ['Option', 'Description'],
    ['------', '-----------'],
  ];
  for (const { name, value, optional, doc } of [...specs].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const shown = value === undefined ? '' : optional ? ` [${value}]` : ` <${value}>`;
    const left = wrap(`--${name}${shown}`, LEFT, '  ');
    const right = wrap(doc, RIGHT, '  ');
    for (let i = 0; i < Math.max(left.length, right.length); i++) rows.push([left[i] ?? '', right[i] ?? '']);
  }
  return rows.map(([left, right]) => `${left.padEnd(LEFT + 2)}${right.padEnd(RIGHT)}\n`).join('');
}
