/**
 * Rewrites one Java pattern for JavaScript's `v` flag: inline flags are resolved into what they mean at each place,
 * possessive quantifiers and atomic groups become a lookahead with a hidden group, classes keep their unions and
 * intersections. A recursive descent in one class, since every rule shares position and flags; hence the length.
 */
import { ConfigError } from './errors.ts';
import { BOUNDARY_WORD, LINE_ENDS, predefinedClass, propertyClass } from './java-char-class.ts';

/** A translated pattern; groups are numbered as Java numbers them. */
export interface JavaPattern {
  /** JavaScript source for the `v` flag. */
  readonly source: string;
  /** `v`, or `iv` when the whole pattern ignores case and only the flag can express it. */
  readonly flags: string;
  readonly groupCount: number;
  /** Names of named groups. */
  readonly names: readonly string[];
  /** Translation had to add groups, so JavaScript numbers them differently. */
  readonly hiddenGroups: boolean;
  /** Java group number → JavaScript group number. */
  readonly groupIndex: readonly number[];
}

/** A piece of output; group openings and references get their final numbers at the end. */
type Token =
  | string
  | { readonly open: 'user'; readonly group: number; readonly name: string | undefined }
  | { readonly open: 'hidden'; readonly id: number }
  | { readonly ref: 'user' | 'hidden'; readonly id: number };

interface Flags {
  i: boolean;
  d: boolean;
  m: boolean;
  s: boolean;
  u: boolean;
  x: boolean;
  U: boolean;
}

const FLAG_GROUP = /\(\?([idmsuxU]*)(?:-([idmsuxU]*))?([:)])/y;
const NAMED_GROUP = /\(\?<([A-Za-z][A-Za-z0-9]*)>/y;
const REPETITION = /\{\d+(?:,\d*)?\}/y;
const BLANK = /(?:[ \t-\r]|#[^\n\r\u0085\u2028\u2029]*)+/y;
const NAMED_REFERENCE = /k<([A-Za-z][A-Za-z0-9]*)>/y;
const PROPERTY = /([pP])(?:\{([^}]+)\}|(.))/y;

/** Use {@link translateJavaRegex}; a translator serves one pattern once. */
export class Translator {
  readonly #pattern: string;
  readonly #foldBy: 'expand' | 'flag';
  #at = 0;
  #flags: Flags = { i: false, d: false, m: false, s: false, u: false, x: false, U: false };
  #out: Token[] = [];
  #groups = 0;
  #hidden = 0;
  #lookbehind = 0;
  readonly #names: string[] = [];
  /** The atom just written cannot carry a quantifier in JavaScript unless wrapped. */
  #bare = false;
  /** Case is ignored in a way that needs JavaScript's `i` flag (Unicode case, back references). */
  needsFlag = false;

  constructor(pattern: string, flags: string, foldBy: 'expand' | 'flag') {
    this.#pattern = pattern;
    this.#foldBy = foldBy;
    this.#switchFlags(flags, true);
  }

  run(): JavaPattern {
    this.#alternatives();
    if (this.#at < this.#pattern.length) throw this.#wrong('an unmatched closing )');
    const { source, groupIndex } = this.#render();
    return { source, flags: this.#foldBy === 'flag' ? 'iv' : 'v', groupCount: this.#groups, names: this.#names, hiddenGroups: this.#hidden > 0, groupIndex };
  }

  #render(): { source: string; groupIndex: number[] } {
    const groupIndex = [0];
    const hiddenIndex: number[] = [];
    let opened = 0;
    for (const token of this.#out) {
      if (typeof token === 'string' || !('open' in token)) continue;
      opened++;
      if (token.open === 'user') groupIndex[token.group] = opened;
      else hiddenIndex[token.id] = opened;
    }
    let source = '';
    for (const token of this.#out) {
      if (typeof token === 'string') source += token;
      else if ('open' in token) source += token.open === 'user' && token.name !== undefined ? `(?<${token.name}>` : '(';
      else source += `(?:\\${(token.ref === 'user' ? groupIndex : hiddenIndex)[token.id]})`;
    }
    return { source, groupIndex };
  }

  #wrong(what: string, at = this.#at): ConfigError {
    return new ConfigError(`the regular expression "${this.#pattern}" has ${what} at position ${at}`, {
      fix: 'correct the pattern; remember that a .properties file needs \\\\ for each backslash',
    });
  }

  #untranslatable(what: string): ConfigError {
    return new ConfigError(`the regular expression "${this.#pattern}" uses ${what} near position ${this.#at}, which has no equivalent here`, {
      fix: 'write the pattern without it',
    });
  }

  /** Runs a sticky expression at the current position and moves behind what it found. */
  #scan(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#pattern);
    if (found) this.#at = expression.lastIndex;
    return found;
  }

  #skipBlank(): void {
    if (this.#flags.x) this.#scan(BLANK);
  }

  #switchFlags(letters: string, on: boolean): void {
    for (const letter of letters) {
      this.#flags[letter as keyof Flags] = on;
      if (letter === 'U' && on) this.#flags.u = true;
    }
  }

  /** Everything up to the closing parenthesis (left unread) or the end. */
  #alternatives(): void {
    for (;;) {
      this.#skipBlank();
      if (this.#at >= this.#pattern.length || this.#pattern[this.#at] === ')') return;
      let start = this.#out.length;
      this.#bare = false;
      if (this.#pattern.startsWith('\\Q', this.#at)) {
        for (const char of this.#quoted()) this.#out.push(this.#literal(char.codePointAt(0) as number));
        if (this.#out.length === start) continue;
        start = this.#out.length - 1;
      } else if (!this.#atom()) continue;
      this.#quantifier(start);
    }
  }

  /** The text between \Q and \E (or the end). */
  #quoted(): string {
    const end = this.#pattern.indexOf('\\E', this.#at + 2);
    const text = this.#pattern.slice(this.#at + 2, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#pattern.length : end + 2;
    return text;
  }

  /** Writes one atom; false when what was read cannot be repeated (`|`, inline flags). */
  #atom(): boolean {
    const char = this.#pattern.charAt(this.#at);
    switch (char) {
      case '|':
        this.#at++;
        this.#out.push('|');
        return false;
      case '(':
        return this.#group();
      case '[':
        this.#out.push(this.#class());
        return true;
      case '\\':
        this.#escape();
        return true;
      case '.':
        // Not [^]: V8 11 (Node 20) matches only one character with [^]+ under the v flag.
        this.#at++;
        this.#out.push(this.#flags.s ? '[\\s\\S]' : this.#flags.d ? '[^\\n]' : `[^${LINE_ENDS}]`);
        return true;
      case '^':
        this.#at++;
        this.#anchor(this.#flags.m ? this.#lineStart() : '^');
        return true;
      case '$':
        this.#at++;
        this.#anchor(this.#flags.m ? this.#lineEnd() : this.#lastLineEnd());
        return true;
      case '{':
        this.#out.push('(?:)');
        return true;
      case '*':
      case '+':
      case '?':
        throw this.#wrong(`a "${char}" with nothing to repeat`);
      default: {
        const code = this.#pattern.codePointAt(this.#at) as number;
        this.#at += code > 0xffff ? 2 : 1;
        this.#out.push(this.#literal(code));
        return true;
      }
    }
  }

  #anchor(text: string): void {
    this.#out.push(text);
    this.#bare = true;
  }

  #lineStart(): string {
    return this.#flags.d ? '(?:(?:^|(?<=\\n))(?!$))' : '(?:(?:^|(?<=[\\n\\u{85}\\u{2028}\\u{2029}]|\\r(?!\\n)))(?!$))';
  }

  #lineEnd(): string {
    return this.#flags.d ? '(?=$|\\n)' : '(?=$|(?<!\\r)\\n|[\\r\\u{85}\\u{2028}\\u{2029}])';
  }

  /** `$` without (?m), and `\Z`: at the end, or before a line terminator that ends the text. */
  #lastLineEnd(): string {
    return this.#flags.d ? '(?=\\n?$)' : '(?=(?:\\r\\n|(?<!\\r)\\n|[\\r\\u{85}\\u{2028}\\u{2029}])?$)';
  }

  #quantifier(start: number): void {
    this.#skipBlank();
    const char = this.#pattern.charAt(this.#at);
    if (char !== '*' && char !== '+' && char !== '?' && char !== '{') return;
    let times = char;
    if (char === '{') {
      const found = this.#scan(REPETITION);
      if (!found) throw this.#wrong('an illegal repetition "{"');
      times = found[0];
    } else this.#at++;
    if (this.#bare) {
      this.#out.splice(start, 0, '(?:');
      this.#out.push(')');
    }
    const suffix = this.#pattern.charAt(this.#at);
    if (suffix === '?') this.#at++;
    this.#out.push(suffix === '?' ? `${times}?` : times);
    if (suffix !== '+') return;
    this.#at++;
    this.#makeAtomic(start);
  }

  /** Wraps what was written since `start` so that nothing of it is given back once it matched. */
  #makeAtomic(start: number): void {
    if (this.#lookbehind > 0) throw this.#untranslatable('a possessive quantifier or atomic group inside a lookbehind');
    const id = this.#hidden++;
    this.#out.splice(start, 0, '(?:(?=', { open: 'hidden', id });
    this.#out.push('))', { ref: 'hidden', id }, ')');
  }

  #group(): boolean {
    const saved = { ...this.#flags };
    const start = this.#out.length;
    const opening = this.#at;
    const inline = this.#scan(FLAG_GROUP);
    if (inline) {
      this.#switchFlags(inline[1] ?? '', true);
      this.#switchFlags(inline[2] ?? '', false);
      if (inline[3] === ')') return false;
      this.#out.push('(?:');
      this.#closeGroup(saved, opening);
      return true;
    }
    for (const look of ['(?=', '(?!', '(?<=', '(?<!']) {
      if (!this.#pattern.startsWith(look, this.#at)) continue;
      this.#at += look.length;
      this.#out.push(look);
      const behind = look.length === 4 ? 1 : 0;
      this.#lookbehind += behind;
      this.#closeGroup(saved, opening);
      this.#lookbehind -= behind;
      this.#bare = true;
      return true;
    }
    if (this.#pattern.startsWith('(?>', this.#at)) {
      this.#at += 3;
      this.#out.push('(?:');
      this.#closeGroup(saved, opening);
      this.#makeAtomic(start);
      return true;
    }
    const named = this.#scan(NAMED_GROUP);
    if (!named) {
      if (this.#pattern.startsWith('(?', this.#at)) throw this.#wrong('an unknown group construct "(?"');
      this.#at++;
    }
    const name = named?.[1];
    if (name !== undefined && this.#names.includes(name)) throw this.#wrong(`the group name "${name}" a second time`, opening);
    if (name !== undefined) this.#names.push(name);
    this.#out.push({ open: 'user', group: ++this.#groups, name });
    this.#closeGroup(saved, opening);
    return true;
  }

  #closeGroup(saved: Flags, opening: number): void {
    this.#alternatives();
    if (this.#pattern[this.#at] !== ')') throw this.#wrong('an unclosed group', opening);
    this.#at++;
    this.#out.push(')');
    this.#flags = saved;
    this.#bare = false;
  }

  /** A backslash outside a class. */
  #escape(): void {
    const begin = this.#at;
    const letter = this.#pattern.charAt(begin + 1);
    const anchor = this.#escapedAnchor(letter);
    if (anchor !== undefined) {
      this.#at += 2;
      this.#anchor(anchor);
      return;
    }
    if (letter === 'R') {
      this.#at += 2;
      this.#out.push('(?:\\r\\n|[\\n\\u{b}\\f\\r\\u{85}\\u{2028}\\u{2029}])');
      return;
    }
    if (letter >= '1' && letter <= '9') {
      this.#backReference();
      return;
    }
    this.#at++;
    const named = this.#scan(NAMED_REFERENCE);
    if (named) {
      const name = named[1] as string;
      if (!this.#names.includes(name)) throw this.#wrong(`a reference to the unknown group "${name}"`, begin);
      this.#foldReference();
      this.#out.push(`\\k<${name}>`);
      return;
    }
    this.#at = begin;
    const set = this.#escapedClass();
    this.#out.push(set ?? this.#literal(this.#escapedChar()));
  }

  #escapedAnchor(letter: string): string | undefined {
    const word = BOUNDARY_WORD;
    switch (letter) {
      case 'A':
        return '^';
      case 'z':
        return '$';
      case 'Z':
        return this.#lastLineEnd();
      case 'b':
        return `(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`;
      case 'B':
        return `(?:(?<=${word})(?=${word})|(?<!${word})(?!${word}))`;
      default:
        return undefined;
    }
  }

  #backReference(): void {
    let group = decimalDigit(this.#pattern, this.#at + 1);
    this.#at += 2;
    for (let next = decimalDigit(this.#pattern, this.#at); next >= 0 && group * 10 + next <= this.#groups; next = decimalDigit(this.#pattern, this.#at)) {
      group = group * 10 + next;
      this.#at++;
    }
    // Java accepts a reference to a group that comes later or never; it cannot match.
    if (group > this.#groups) {
      this.#out.push('(?!)');
      return;
    }
    this.#foldReference();
    this.#out.push({ ref: 'user', id: group });
  }

  #foldReference(): void {
    if (this.#flags.i) this.needsFlag = true;
    else this.#caseMatters();
  }

  /** Called for what must keep its case; with the one global flag that is not possible. */
  #caseMatters(): void {
    if (this.#foldBy === 'flag') throw this.#untranslatable('case-insensitive back references or (?iu) for only a part of the pattern');
  }

  /** `\d`, `\p{…}` and their like as a class; undefined (position unchanged) for anything else. */
  #escapedClass(): string | undefined {
    const letter = this.#pattern.charAt(this.#at + 1);
    const predefined = predefinedClass(letter, this.#flags.U);
    if (predefined !== undefined) {
      this.#at += 2;
      return predefined;
    }
    if (letter !== 'p' && letter !== 'P') return undefined;
    this.#at++;
    const found = this.#scan(PROPERTY);
    const name = found?.[2] ?? found?.[3];
    if (!found || name === undefined) throw this.#wrong('an incomplete \\p{…}');
    const members = propertyClass(name, found[1] === 'P', this.#flags.U);
    if (members === undefined) throw this.#untranslatable(`the character property \\${found[0]}`);
    return members;
  }

  /** The code point of an escaped character. */
  #escapedChar(): number {
    const begin = this.#at;
    const rest = this.#pattern.slice(begin + 1, begin + 14);
    const hex = /^(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4}))/.exec(rest);
    if (hex) {
      const pair = /^u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})/.exec(rest);
      this.#at += 1 + (pair ?? hex)[0].length;
      if (pair) return String.fromCharCode(Number.parseInt(pair[1] as string, 16), Number.parseInt(pair[2] as string, 16)).codePointAt(0) as number;
      return Number.parseInt((hex[1] ?? hex[2] ?? hex[3]) as string, 16);
    }
    const octal = /^0([0-3][0-7]{2}|[0-7]{1,2})/.exec(rest);
    if (octal) {
      this.#at += 1 + octal[0].length;
      return Number.parseInt(octal[1] as string, 8);
    }
    const control = /^c([\s\S])/.exec(rest);
    if (control) {
      this.#at += 3;
      return (control[1] as string).charCodeAt(0) ^ 64;
    }
    const code = this.#pattern.codePointAt(begin + 1);
    if (code === undefined) throw this.#wrong('a lone backslash');
    const char = String.fromCodePoint(code);
    const named = 'tnrfae'.indexOf(char);
    this.#at += 1 + char.length;
    if (named >= 0) return [9, 10, 13, 12, 7, 27][named] as number;
    if (/[GXN]/.test(char)) throw this.#untranslatable(`\\${char}`);
    if (/[A-Za-z0-9]/.test(char)) throw this.#wrong(`an illegal escape "\\${char}"`, begin);
    return code;
  }

  /** One character as a pattern of its own, both cases if case is ignored. */
  #literal(code: number): string {
    const other = this.#otherCase(code);
    if (other === undefined) return spelled(code);
    return `[${spelled(code)}${spelled(other)}]`;
  }

  /** The ASCII letter that also matches here, if any; notes when only the `i` flag can say it. */
  #otherCase(code: number): number | undefined {
    const letter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
    if (!this.#flags.i) {
      if (letter || code > 127) this.#caseMatters();
      return undefined;
    }
    if (this.#flags.u) this.needsFlag = true;
    return letter ? code ^ 32 : undefined;
  }

  /** A bracket class; `[` is the current character. */
  #class(): string {
    const opening = this.#at;
    this.#at++;
    const negated = this.#pattern[this.#at] === '^';
    if (negated) this.#at++;
    const operands: string[] = [];
    let union = '';
    for (let first = true; ; first = false) {
      this.#skipBlank();
      if (this.#at >= this.#pattern.length) throw this.#wrong('an unclosed character class', opening);
      const char = this.#pattern[this.#at];
      if (char === ']' && !first) break;
      if (this.#pattern.startsWith('&&', this.#at)) {
        this.#at += 2;
        operands.push(union);
        union = '';
      } else if (char === '[') union += this.#class();
      else union += this.#classMember();
    }
    this.#at++;
    operands.push(union);
    const written = operands.filter((operand) => operand !== '');
    if (written.length === 0) throw this.#wrong('an empty character class', opening);
    return `[${negated ? '^' : ''}${written.length === 1 ? written[0] : written.map((operand) => `[${operand}]`).join('&&')}]`;
  }

  /** A character, a range, an escaped class or a quotation inside brackets. */
  #classMember(): string {
    if (this.#pattern.startsWith('\\Q', this.#at)) return [...this.#quoted()].map((char) => this.#range(char.codePointAt(0) as number)).join('');
    const set = this.#pattern[this.#at] === '\\' ? this.#escapedClass() : undefined;
    if (set !== undefined) return set;
    const low = this.#classChar();
    this.#skipBlank();
    const after = this.#pattern.charAt(this.#at + 1);
    if (this.#pattern[this.#at] !== '-' || after === ']' || after === '[' || after === '') return this.#range(low);
    const dash = this.#at++;
    this.#skipBlank();
    const high = this.#classChar();
    if (high < low) throw this.#wrong('a character range whose end comes before its start', dash);
    return this.#range(low, high);
  }

  #classChar(): number {
    if (this.#pattern[this.#at] === '\\') return this.#escapedChar();
    const code = this.#pattern.codePointAt(this.#at) as number;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  /** Members for low…high, with the other case of the ASCII letters in it if case is ignored. */
  #range(low: number, high = low): string {
    const text = low === high ? spelled(low) : `${spelled(low)}-${spelled(high)}`;
    this.#otherCase(low);
    if (!this.#flags.i) return text;
    return text + shiftedRange(low, high, 97, -32) + shiftedRange(low, high, 65, 32);
  }
}

/** The part of low…high that lies in the 26 letters from `first`, moved by `shift`; empty if none does. */
function shiftedRange(low: number, high: number, first: number, shift: number): string {
  const from = Math.max(low, first);
  const to = Math.min(high, first + 25);
  return from > to ? '' : `${spelled(from + shift)}-${spelled(to + shift)}`;
}

/** A character that stands for itself inside and outside of classes. */
function spelled(code: number): string {
  const plain = (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
  return plain ? String.fromCharCode(code) : `\\u{${code.toString(16)}}`;
}

/** The digit at `at`, or -1. */
export function decimalDigit(text: string, at: number): number {
  const code = text.charCodeAt(at) - 48;
  return code >= 0 && code <= 9 ? code : -1;
}
