/**
 * The syntax of RE2/J as far as it means something for topic names (https://github.com/google/re2/wiki/Syntax): literals,
 * classes, groups, flags, repetition, alternation, anchors. What RE2/J refuses is refused in its words. Lazy operators are
 * read and mean the same as greedy ones, since only whole names are matched; groups capture nothing.
 */

export type Assertion = 'start' | 'end' | 'edge' | 'no-edge';

export type PatternNode =
  /** One character of a class: 128 flags. */
  | { readonly kind: 'chars'; readonly table: Uint8Array }
  | { readonly kind: 'assert'; readonly assertion: Assertion }
  /** One after another; empty = nothing. */
  | { readonly kind: 'all'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'any'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly part: PatternNode; readonly min: number; readonly max: number };

/** The pattern is not one; the message says why, in the words of RE2/J. */
export class PatternFault extends Error {}

const MAX_REPEAT = 1000;
const MAX_DEPTH = 500;

/** @param maxStates how large a machine the pattern may need @throws PatternFault */
export function parsePattern(pattern: string, maxStates: number): PatternNode {
  const root = new Parser(pattern).parse();
  if (sizeOf(root) > maxStates) throw new PatternFault('expression is too large');
  return root;
}

function sizeOf(node: PatternNode): number {
  if (node.kind === 'chars' || node.kind === 'assert') return 1;
  if (node.kind !== 'repeat') return node.parts.reduce((sum, part) => sum + sizeOf(part) + 2, 0);
  const times = node.max === Number.POSITIVE_INFINITY ? node.min + 1 : node.max;
  return times * (sizeOf(node.part) + 1) + 2;
}

function tableOf(test: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (test(code) ? 1 : 0));
}

const matching = (pattern: RegExp): Uint8Array => tableOf((code) => pattern.test(String.fromCharCode(code)));
const inverted = (table: Uint8Array): Uint8Array => table.map((flag) => 1 - flag);

const CLASSES: Readonly<Record<string, Uint8Array>> = { d: matching(/[0-9]/), w: matching(/[0-9A-Za-z_]/), s: matching(/[\t\n\f\r ]/) };
const POSIX: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the class of them
  ascii: /[\x00-\x7F]/,
  blank: /[\t ]/,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the class of them
  cntrl: /[\x00-\x1F\x7F]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t\n\v\f\r ]/,
  upper: /[A-Z]/,
  word: /[0-9A-Za-z_]/,
  xdigit: /[0-9A-Fa-f]/,
};
const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
const ASSERTIONS: Readonly<Record<string, Assertion>> = { A: 'start', z: 'end', b: 'edge', B: 'no-edge' };

interface Flags {
  readonly ignoreCase: boolean;
  /** `.` is any character, newline included; topic names have none. */
  readonly dotAll: boolean;
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #flags: Flags = { ignoreCase: false, dotAll: false };

  constructor(text: string) {
    this.#text = text;
  }

  parse(): PatternNode {
    const root = this.#choice();
    if (this.#at < this.#text.length) throw new PatternFault('unexpected )');
    return root;
  }

  #looksAt(word: string): boolean {
    return this.#text.startsWith(word, this.#at);
  }

  /** Reads what a sticky pattern finds here. */
  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found) this.#at += found[0].length;
    return found;
  }

  #choice(): PatternNode {
    if (++this.#depth > MAX_DEPTH) throw new PatternFault('expression nests too deeply');
    const { ignoreCase, dotAll } = this.#flags;
    const parts = [this.#sequence()];
    while (this.#looksAt('|')) {
      this.#at++;
      parts.push(this.#sequence());
    }
    // Flags set inside of a group end with it.
    this.#flags = { ignoreCase, dotAll };
    this.#depth--;
    return parts.length === 1 ? parts[0]! : { kind: 'any', parts };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (this.#at < this.#text.length && !this.#looksAt('|') && !this.#looksAt(')')) {
      if (this.#take(/\\Q/y)) {
        const [, quoted] = this.#take(/(.*?)(?:\\E|$)/sy)!;
        const literals = [...quoted!].map((char) => this.#literal(char));
        const last = literals.pop();
        parts.push(...literals);
        if (last) parts.push(this.#repeated(last));
        continue;
      }
      const atom = this.#atom();
      if (atom) parts.push(this.#repeated(atom));
    }
    return parts.length === 1 ? parts[0]! : { kind: 'all', parts };
  }

  #repeated(atom: PatternNode): PatternNode {
    const times = this.#times();
    if (!times) return atom;
    if (this.#times()) throw new PatternFault('invalid nested repetition operator');
    return { kind: 'repeat', part: atom, ...times };
  }

  #times(): { readonly min: number; readonly max: number } | null {
    const sign = this.#take(/([*+?])\??/y)?.[1];
    if (sign !== undefined) return { min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Number.POSITIVE_INFINITY };
    const counted = this.#take(/\{(\d+)(,(\d*))?\}\??/y);
    if (!counted) return null;
    const min = Number(counted[1]);
    const max = counted[2] === undefined ? min : counted[3] === '' ? Number.POSITIVE_INFINITY : Number(counted[3]);
    if (min > MAX_REPEAT || (max !== Number.POSITIVE_INFINITY && max > MAX_REPEAT) || max < min) throw new PatternFault('invalid repeat count');
    return { min, max };
  }

  /** One character, class, group or anchor; null for what only sets flags. */
  #atom(): PatternNode | null {
    if (this.#times()) throw new PatternFault('missing argument to repetition operator');
    const char = String.fromCodePoint(this.#text.codePointAt(this.#at)!);
    if (char === '(') return this.#group();
    if (char === '[') return this.#bracket();
    if (char === '\\') return this.#escape();
    this.#at += char.length;
    if (char === '^') return { kind: 'assert', assertion: 'start' };
    if (char === '$') return { kind: 'assert', assertion: 'end' };
    const { dotAll } = this.#flags;
    if (char === '.') return { kind: 'chars', table: tableOf((code) => dotAll || code !== 10) };
    return this.#literal(char);
  }

  #literal(char: string): PatternNode {
    return this.#chars(tableOf((code) => code === char.codePointAt(0)));
  }

  #chars(table: Uint8Array): PatternNode {
    if (!this.#flags.ignoreCase) return { kind: 'chars', table };
    const other = (code: number): number => (/[A-Za-z]/.test(String.fromCharCode(code)) ? code ^ 32 : code);
    return { kind: 'chars', table: tableOf((code) => table[code] === 1 || table[other(code)] === 1) };
  }

  #group(): PatternNode | null {
    this.#at++;
    const outer = this.#flags;
    if (this.#looksAt('?')) {
      const flags = this.#take(/\?([imsU]*)(?:-([imsU]+))?([:)])/y);
      if (flags) {
        this.#setFlags(flags[1]!, flags[2] ?? '');
        if (flags[3] === ')') return null;
      } else if (!this.#take(/\?P?<\w+>/y)) throw new PatternFault('invalid or unsupported Perl syntax');
    }
    const inside = this.#choice();
    if (!this.#looksAt(')')) throw new PatternFault('missing closing )');
    this.#at++;
    this.#flags = outer;
    return inside;
  }

  #setFlags(on: string, off: string): void {
    const { ignoreCase, dotAll } = this.#flags;
    this.#flags = { ignoreCase: (ignoreCase || on.includes('i')) && !off.includes('i'), dotAll: (dotAll || on.includes('s')) && !off.includes('s') };
  }

  #escape(): PatternNode {
    const [, letter] = this.#take(/\\([AzbB])/y) ?? [];
    if (letter !== undefined) return { kind: 'assert', assertion: ASSERTIONS[letter]! };
    const table = this.#classEscape();
    return table ? this.#chars(table) : this.#literal(String.fromCodePoint(this.#charEscape()));
  }

  /** `\d`, `\W`, `\pN`, `\p{Greek}`: a whole class. */
  #classEscape(): Uint8Array | null {
    const perl = this.#take(/\\([dDwWsS])/y)?.[1];
    if (perl !== undefined) return perl === perl.toLowerCase() ? CLASSES[perl]! : inverted(CLASSES[perl.toLowerCase()]!);
    const unicode = this.#take(/\\([pP])(?:\{(\^?)(\w+)\}|(\w))/y);
    if (!unicode) return null;
    const table = unicodeClass(unicode[3] ?? unicode[4]!);
    return (unicode[1] === 'P') === (unicode[2] === '^') ? table : inverted(table);
  }

  /** The code of one escaped character. */
  #charEscape(): number {
    if (this.#at + 1 >= this.#text.length) throw new PatternFault('trailing backslash at end of expression');
    const hex = this.#take(/\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/y);
    if (hex) {
      const code = Number.parseInt(hex[1] ?? hex[2]!, 16);
      if (code > 0x10ffff) throw new PatternFault('invalid escape sequence');
      return code;
    }
    const octal = this.#take(/\\(0[0-7]{0,2}|[1-7][0-7]{1,2})/y);
    if (octal) return Number.parseInt(octal[1]!, 8);
    const control = this.#take(/\\([aftnrv])/y);
    if (control) return CONTROL[control[1]!]!;
    const punctuation = this.#take(/\\([!-/:-@[-`{-~])/y);
    if (!punctuation) throw new PatternFault('invalid escape sequence');
    return punctuation[1]!.charCodeAt(0);
  }

  /** `[a-z_]`, `[^[:digit:]]`; a closing bracket in the first place is one of the characters. */
  #bracket(): PatternNode {
    this.#at++;
    const isInverted = this.#take(/\^/y) !== null;
    const table = new Uint8Array(128);
    const addAll = (some: Uint8Array): void => {
      for (const [code, flag] of some.entries()) table[code]! |= flag;
    };
    for (let isFirst = true; isFirst || !this.#looksAt(']'); isFirst = false) {
      if (this.#at >= this.#text.length) throw new PatternFault('missing closing ]');
      const whole = this.#posixClass() ?? this.#classEscape();
      if (whole) {
        addAll(whole);
        continue;
      }
      const from = this.#classChar();
      const isRange = this.#looksAt('-') && this.#at + 1 < this.#text.length && this.#text[this.#at + 1] !== ']';
      if (isRange) this.#at++;
      const to = isRange ? this.#classChar() : from;
      if (to < from) throw new PatternFault('invalid character class range');
      addAll(tableOf((code) => code >= from && code <= to));
    }
    this.#at++;
    const folded = this.#chars(table) as { readonly table: Uint8Array };
    return { kind: 'chars', table: isInverted ? inverted(folded.table) : folded.table };
  }

  #posixClass(): Uint8Array | null {
    const named = this.#take(/\[:(\^?)(\w+):\]/y);
    if (!named) return null;
    const pattern = Object.hasOwn(POSIX, named[2]!) ? POSIX[named[2]!] : undefined;
    if (!pattern) throw new PatternFault('invalid character class range');
    return named[1] === '^' ? inverted(matching(pattern)) : matching(pattern);
  }

  #classChar(): number {
    if (this.#at >= this.#text.length) throw new PatternFault('missing closing ]');
    if (this.#looksAt('\\')) return this.#charEscape();
    const code = this.#text.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }
}

/** A general category (`L`, `Nd`) or script (`Latin`) of Unicode, as far as it is ASCII. */
function unicodeClass(name: string): Uint8Array {
  if (name === 'Any') return tableOf(() => true);
  const isCategory = /^[CLMNPSZ][a-z]?$/.test(name);
  try {
    return matching(new RegExp(`\\p{${isCategory ? 'General_Category' : 'Script'}=${name}}`, 'u'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new PatternFault('invalid character class range');
  }
}
