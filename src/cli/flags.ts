/**
 * Command lines as Flume reads them: what bin/flume-ng takes for itself at any position, and options in the manner of
 * commons-cli (long and short, `--name=a1`, `-n a1`, `-na1`, `-name a1`, unambiguous abbreviations). Slips that tutorials
 * make people make are recognised and named.
 */
import { AppError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';

/** The command line cannot be understood; exit code 2, or 1 where Flume's launcher says 1. */
export class UsageError extends AppError {
  readonly exitCode: number;
  constructor(message: string, fix?: string, exitCode = 2) {
    super('USAGE', message, fix === undefined ? {} : { fix });
    this.exitCode = exitCode;
  }
}

/** What the launcher takes (Flume: bin/flume-ng), and the words it leaves to the command. */
export interface LauncherFlags {
  readonly confDir: string | undefined;
  readonly classpath: readonly string[];
  readonly pluginsPath: string | undefined;
  readonly dryRun: boolean;
  readonly systemProperties: Readonly<Record<string, string>>;
  readonly words: readonly string[];
}

/** Cuts the launcher's own flags out of `argv` (without the command). @throws UsageError an argument is missing */
export function launcherFlags(argv: readonly string[]): LauncherFlags {
  const systemProperties: Record<string, string> = {};
  const words: string[] = [];
  const valued: Record<string, string | undefined> = {};
  let dryRun = false;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    const flag = LAUNCHER_VALUED[word];
    if (flag !== undefined) {
      const value = argv[++i];
      if (value === undefined || value === '') throw new UsageError(`Option ${flag} requires an argument`, undefined, 1);
      valued[flag] = value;
    } else if (word === '--dryrun' || word === '-d') dryRun = true;
    else if (word.startsWith('-D')) readSystemProperty(word, systemProperties);
    else if (!IGNORED_JVM.test(word)) words.push(...resplit(word));
  }
  return {
    confDir: valued['--conf'],
    classpath: cutPath(valued['--classpath']),
    pluginsPath: valued['--plugins-path'],
    dryRun,
    systemProperties,
    words,
  };
}

const LAUNCHER_VALUED: Readonly<Record<string, string>> = {
  '--conf': '--conf',
  '-c': '--conf',
  '--classpath': '--classpath',
  '-C': '--classpath',
  '--plugins-path': '--plugins-path',
};
/** Settings of a Java machine mean nothing here and are taken without a word, so that command lines work as they are. */
const IGNORED_JVM = /^-(X|agentlib|agentpath|javaagent|server$|client$|ea$)/;

function cutPath(value: string | undefined): readonly string[] {
  return (value ?? '').split(':').filter((part) => part !== '');
}

/** Flume's launcher hands words on unquoted, so blanks inside one separate; here only where an option begins it, so that paths may have blanks. */
function resplit(word: string): readonly string[] {
  return word.startsWith('-') ? word.split(/\s+/).filter((part) => part !== '') : [word];
}

/** `-Dname=value` into the record; without `=` the value is empty, as in Java. */
function readSystemProperty(word: string, into: Record<string, string>): void {
  const at = word.indexOf('=');
  const name = at < 0 ? word.slice(2) : word.slice(2, at);
  if (name !== '') into[name] = at < 0 ? '' : word.slice(at + 1);
}

/** The `-D` settings in JAVA_OPTS or FLUME_JAVA_OPTS. */
export function systemPropertiesOf(javaOptions: string | undefined): Record<string, string> {
  const out: Record<string, string> = {};
  for (const word of (javaOptions ?? '').split(/\s+/)) if (word.startsWith('-D')) readSystemProperty(word.replace(/^(-D[^=]*=)(["'])(.*)\2$/, '$1$3'), out);
  return out;
}

/** One option of a command. */
export interface OptionSpec {
  readonly long: string;
  readonly short?: string;
  /** What its value is called in the help; absent = a switch. */
  readonly value?: string;
  /** The value may be left out. */
  readonly optional?: boolean;
  readonly doc: string;
}

/** Options by long name; a repeated option has several values. Switches have one empty value. */
export interface ParsedOptions {
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** Words that belong to no option. */
  readonly extra: readonly string[];
}

/** Reads `words` by `specs`. @throws UsageError unknown or ambiguous option, missing value, or a recognised slip */
export function parseOptions(words: readonly string[], specs: readonly OptionSpec[]): ParsedOptions {
  const values = new Map<string, string[]>();
  const extra: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    checkSlips(word, specs);
    if (!/^-./.test(word) || word === '--') {
      extra.push(word);
      continue;
    }
    const { spec, attached } = recognise(word, specs);
    let value = attached ?? '';
    if (spec.value !== undefined && attached === undefined) {
      const next = words[i + 1];
      const there = next !== undefined && !isOption(next, specs);
      if (there) {
        checkSlips(next, specs);
        value = next;
        i++;
      } else if (!spec.optional) throw new UsageError(`Missing argument for option: ${word}`, `write --${spec.long} <${spec.value}>`);
    }
    if (spec.value === undefined && attached !== undefined) throw new UsageError(`option --${spec.long} takes no value, but got "${attached}"`);
    values.set(spec.long, [...(values.get(spec.long) ?? []), value]);
  }
  return { values, extra };
}

/** The option a word means, and the value written in the same word. */
function recognise(word: string, specs: readonly OptionSpec[]): { spec: OptionSpec; attached: string | undefined } {
  const dashes = word.startsWith('--') ? 2 : 1;
  const at = word.indexOf('=');
  const name = word.slice(dashes, at < 0 ? undefined : at);
  const attached = at < 0 ? undefined : word.slice(at + 1);
  const exact = specs.find((spec) => spec.long === name || (dashes === 1 && spec.short === name));
  if (exact !== undefined) return { spec: exact, attached };
  const starting = specs.filter((spec) => spec.long.startsWith(name));
  if (starting.length === 1) return { spec: starting[0] as OptionSpec, attached };
  if (starting.length > 1 && dashes === 2) {
    throw new UsageError(`Ambiguous option: '${word}'`, `it could be ${starting.map((spec) => `--${spec.long}`).join(' or ')}`);
  }
  const glued = dashes === 1 ? specs.find((spec) => spec.value !== undefined && spec.short?.length === 1 && name.startsWith(spec.short)) : undefined;
  if (glued !== undefined) return { spec: glued, attached: word.slice(2) };
  const meant = nearest(
    name,
    specs.map((spec) => spec.long),
  );
  throw new UsageError(`Unrecognized option: ${word}`, meant === undefined ? 'flume-ng help lists the options' : `did you mean --${meant}?`);
}

function isOption(word: string, specs: readonly OptionSpec[]): boolean {
  if (!/^-./.test(word)) return false;
  try {
    recognise(word, specs);
    return true;
  } catch {
    // A value may begin with a dash; only what is an option ends the search for one.
    return word.startsWith('--');
  }
}

/** Names slips that would otherwise surface as something puzzling. @throws UsageError */
function checkSlips(word: string, specs: readonly OptionSpec[]): void {
  const dash = /^([\u2010-\u2015\u2212\uFE58\uFE63\uFF0D]+-?|-[\u2010-\u2015\u2212])(\S*)/.exec(word);
  if (dash !== null) {
    const name = dash[2] as string;
    const known = specs.find((spec) => spec.long === name || spec.short === name);
    const write = known !== undefined && known.short === name ? `-${name}` : `--${name}`;
    throw new UsageError(`"${word}" begins with a long dash (${dash[1]}), as text programs make of hyphens`, `write ${write} with plain hyphens`);
  }
  const glued = /^([^-\s].*?)(--[a-z][a-z-]*)(=.*)?$/i.exec(word);
  const option = glued === null ? undefined : specs.find((spec) => `--${spec.long}` === glued[2]);
  if (glued !== null && option !== undefined) {
    throw new UsageError(`a blank is missing in "${word}" before ${glued[2]}`, `write ${glued[1]} ${glued[2]}`);
  }
}

/** One line per option, for help. */
export function optionHelp(specs: readonly OptionSpec[]): string {
  const heads = specs.map(({ long, short, value, optional }) => {
    const shown = value === undefined ? '' : optional ? ` [${value}]` : ` <${value}>`;
    return `${short === undefined ? '    ' : `-${short},`.padEnd(4)}--${long}${shown}`;
  });
  const width = Math.max(...heads.map((head) => head.length)) + 2;
  return specs.map((spec, i) => `  ${(heads[i] as string).padEnd(width)}${spec.doc}`).join('\n');
}
