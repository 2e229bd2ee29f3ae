/**
 * Java date patterns: formatting as java.text.SimpleDateFormat (file_roll's ROLLTIME names) and strict parsing as
 * Joda-Time's DateTimeFormat (the regex extractor's millis serializer). English names, the machine's time zone.
 * Both compile a pattern once into steps. What a pattern may hold: letters (a run of one letter is a field, its length
 * the width), text in single quotes ('' is a quote), and any other character as itself.
 */
import { AppError, ConfigError } from './errors.ts';

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

type Token = { readonly letter: string; readonly count: number } | { readonly literal: string };

/** Cuts a pattern into fields and literals. @throws ConfigError a quote is never closed */
function tokens(pattern: string): Token[] {
  const out: Token[] = [];
  const literal = (text: string): void => {
    const last = out.at(-1);
    if (last && 'literal' in last) out[out.length - 1] = { literal: last.literal + text };
    else out.push({ literal: text });
  };
  let at = 0;
  while (at < pattern.length) {
    const char = pattern[at] as string;
    if (/[A-Za-z]/.test(char)) {
      let end = at + 1;
      while (pattern[end] === char) end++;
      out.push({ letter: char, count: end - at });
      at = end;
    } else if (char !== "'") {
      literal(char);
      at++;
    } else if (pattern[at + 1] === "'") {
      literal("'");
      at += 2;
    } else {
      const quoted = /^'((?:[^']|'')*)'/.exec(pattern.slice(at));
      if (!quoted) throw new ConfigError(`date pattern "${pattern}" has a quote that is never closed`, { fix: "write '' for a quote itself" });
      literal((quoted[1] as string).replaceAll("''", "'"));
      at += quoted[0].length;
    }
  }
  return out;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

function dayOfYear(date: Date): number {
  return Math.round((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / 86_400_000) + 1;
}

/** `+hhmm` with the given separator between hours and minutes. */
function offsetText(date: Date, separator: string): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60), 2)}${separator}${pad(size % 60, 2)}`;
}

function isoOffset(date: Date, count: number): string {
  if (date.getTimezoneOffset() === 0) return 'Z';
  const full = offsetText(date, count === 3 ? ':' : '');
  return count === 1 ? full.slice(0, 3) : full;
}

function zoneName(date: Date, count: number): string {
  const style = count >= 4 ? 'long' : 'short';
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: style }).formatToParts(date);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? offsetText(date, ':');
}

/** What SimpleDateFormat prints for a run of `count` letters. */
const PRINT: Readonly<Record<string, (date: Date, count: number) => string>> = {
  G: () => 'AD',
  y: (d, n) => (n === 2 ? pad(d.getFullYear() % 100, 2) : pad(d.getFullYear(), n)),
  M: (d, n) => monthText(d, n),
  L: (d, n) => monthText(d, n),
  d: (d, n) => pad(d.getDate(), n),
  D: (d, n) => pad(dayOfYear(d), n),
  E: (d, n) => (n >= 4 ? (DAYS[d.getDay()] as string) : (DAYS[d.getDay()] as string).slice(0, 3)),
  u: (d, n) => pad(d.getDay() || 7, n),
  a: (d) => (d.getHours() < 12 ? 'AM' : 'PM'),
  H: (d, n) => pad(d.getHours(), n),
  k: (d, n) => pad(d.getHours() || 24, n),
  K: (d, n) => pad(d.getHours() % 12, n),
  h: (d, n) => pad(d.getHours() % 12 || 12, n),
  m: (d, n) => pad(d.getMinutes(), n),
  s: (d, n) => pad(d.getSeconds(), n),
  S: (d, n) => pad(d.getMilliseconds(), n),
  Z: (d) => offsetText(d, ''),
  X: isoOffset,
  z: zoneName,
};

function monthText(date: Date, count: number): string {
  if (count < 3) return pad(date.getMonth() + 1, count);
  const name = MONTHS[date.getMonth()] as string;
  return count >= 4 ? name : name.slice(0, 3);
}

/**
 * Compiles a SimpleDateFormat pattern (all letters but the week fields Y, w, W and F) into a function of epoch
 * milliseconds. @throws ConfigError a letter that means nothing, or an open quote
 */
export function javaDateFormatter(pattern: string): (epochMs: number) => string {
  const steps = tokens(pattern).map((token) => {
    if ('literal' in token) return () => token.literal;
    const print = PRINT[token.letter];
    if (!print) throw unknownLetter(pattern, token.letter);
    return (date: Date) => print(date, token.count);
  });
  return (epochMs) => {
    const date = new Date(epochMs);
    let out = '';
    for (const step of steps) out += step(date);
    return out;
  };
}

function unknownLetter(pattern: string, letter: string): ConfigError {
  return new ConfigError(`date pattern "${pattern}" uses the letter ${letter}, which is not supported`, {
    fix: `put text between single quotes, or use other letters than ${letter}`,
  });
}

/** Text that does not fit its pattern. `position` counts characters from 0. */
export class DateTextError extends AppError {
  constructor(text: string, pattern: string, why: string) {
    super('DATE_TEXT', `"${text}" does not fit the date pattern "${pattern}": ${why}`, { fix: 'correct the pattern, or let only matching text reach it' });
  }
}

/** What a parse found, by meaning; undefined = not in the text. */
interface Fields {
  year?: number;
  month?: number;
  day?: number;
  dayOfYear?: number;
  weekday?: number;
  hour?: number;
  halfDayHour?: number;
  pm?: boolean;
  minute?: number;
  second?: number;
  ms?: number;
  offsetMinutes?: number;
}

interface NumberField {
  readonly key: keyof Fields;
  readonly maxDigits: number;
  readonly low: number;
  readonly high: number;
}

const NUMBERS: Readonly<Record<string, NumberField>> = {
  M: { key: 'month', maxDigits: 2, low: 1, high: 12 },
  d: { key: 'day', maxDigits: 2, low: 1, high: 31 },
  D: { key: 'dayOfYear', maxDigits: 3, low: 1, high: 366 },
  e: { key: 'weekday', maxDigits: 1, low: 1, high: 7 },
  H: { key: 'hour', maxDigits: 2, low: 0, high: 23 },
  k: { key: 'hour', maxDigits: 2, low: 1, high: 24 },
  K: { key: 'halfDayHour', maxDigits: 2, low: 0, high: 11 },
  h: { key: 'halfDayHour', maxDigits: 2, low: 1, high: 12 },
  m: { key: 'minute', maxDigits: 2, low: 0, high: 59 },
  s: { key: 'second', maxDigits: 2, low: 0, high: 59 },
};

/** Reads one field at `at` and returns the position after it, or -1 when the text does not fit. */
type Step = (text: string, at: number, out: Fields) => number;

function isNumeric(token: Token | undefined): boolean {
  return token !== undefined && 'letter' in token && ('yYxSDdeHhKkmsC'.includes(token.letter) || (token.letter === 'M' && token.count < 3));
}

function literalStep(literal: string): Step {
  const wanted = literal.toLowerCase();
  return (text, at) => (text.slice(at, at + literal.length).toLowerCase() === wanted ? at + literal.length : -1);
}

function numberStep(field: NumberField): Step {
  return (text, at, out) => {
    const digits = digitsAt(text, at, field.maxDigits);
    if (digits === 0) return -1;
    const value = Number(text.slice(at, at + digits));
    if (value < field.low || value > field.high) return -1;
    (out[field.key] as number) = field.key === 'hour' ? value % 24 : field.key === 'halfDayHour' ? value % 12 : value;
    return at + digits;
  };
}

function digitsAt(text: string, at: number, most: number): number {
  let n = 0;
  while (n < most && /[0-9]/.test(text[at + n] ?? '')) n++;
  return n;
}

/** A two-digit year lies between 80 years ago and 19 years ahead, as Joda pivots it. */
function yearStep(count: number, next: Token | undefined): Step {
  const most = isNumeric(next) ? count : 9;
  return (text, at, out) => {
    const sign = /[+-]/.test(text[at] ?? '') && count !== 2 ? 1 : 0;
    const digits = digitsAt(text, at + sign, most);
    if (digits === 0) return -1;
    const value = Number(text.slice(at + sign, at + sign + digits));
    if (count === 2 && digits === 2) {
      const low = new Date().getFullYear() - 80;
      out.year = low + ((((value - low) % 100) + 100) % 100);
    } else out.year = text[at] === '-' ? -value : value;
    return at + sign + digits;
  };
}

function fractionStep(count: number): Step {
  return (text, at, out) => {
    const digits = digitsAt(text, at, count);
    out.ms = Math.floor(Number(`0.${text.slice(at, at + digits) || '0'}`) * 1000 + 1e-9);
    return at + digits;
  };
}

function nameStep(names: readonly string[], assign: (out: Fields, index: number) => void): Step {
  return (text, at, out) => {
    for (const [index, name] of names.entries()) {
      for (const form of [name, name.slice(0, 3)]) {
        if (text.slice(at, at + form.length).toLowerCase() !== form.toLowerCase()) continue;
        assign(out, index);
        return at + form.length;
      }
    }
    return -1;
  };
}

const halfDayStep: Step = (text, at, out) => {
  const word = text.slice(at, at + 2).toUpperCase();
  if (word !== 'AM' && word !== 'PM') return -1;
  out.pm = word === 'PM';
  return at + 2;
};

const offsetStep: Step = (text, at, out) => {
  const found = /^(?:Z|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?)/.exec(text.slice(at));
  if (!found) return -1;
  const minutes = Number(found[2] ?? 0) * 60 + Number(found[3] ?? 0);
  out.offsetMinutes = found[1] === '-' ? -minutes : minutes;
  return at + found[0].length;
};

function parseStep(pattern: string, token: Token, next: Token | undefined): Step {
  if ('literal' in token) return literalStep(token.literal);
  const { letter, count } = token;
  if (letter === 'M' && count >= 3) return nameStep(MONTHS, (out, index) => Object.assign(out, { month: index + 1 }));
  if (letter === 'E') return nameStep(DAYS, (out, index) => Object.assign(out, { weekday: index || 7 }));
  if (letter === 'y' || letter === 'Y') return yearStep(count, next);
  if (letter === 'S') return fractionStep(count);
  if (letter === 'a') return halfDayStep;
  if (letter === 'Z' && count < 3) return offsetStep;
  const number = NUMBERS[letter];
  if (!number) throw unknownLetter(pattern, letter);
  return numberStep(number);
}

/**
 * Compiles a Joda-Time pattern into a function from text to epoch milliseconds. Strict: the whole text must fit and
 * every field be in range. Missing fields are 1970-01-01T00:00, or the year 2000 when a month or day was given without
 * a year, as Joda has it; without an offset the machine's time zone holds.
 * @throws ConfigError at once for letters not supported (C G x w and zone names z, ZZZ); DateTextError per text
 */
export function jodaDateParser(pattern: string): (text: string) => number {
  const parts = tokens(pattern);
  const steps = parts.map((token, index) => parseStep(pattern, token, parts[index + 1]));
  return (text) => {
    const out: Fields = {};
    let at = 0;
    for (const step of steps) {
      const next = step(text, at, out);
      if (next < 0) throw new DateTextError(text, pattern, `malformed at "${text.slice(at)}"`);
      at = next;
    }
    if (at !== text.length) throw new DateTextError(text, pattern, `"${text.slice(at)}" is left over`);
    const epochMs = assemble(out);
    if (Number.isNaN(epochMs)) throw new DateTextError(text, pattern, 'there is no such day or hour');
    return epochMs;
  };
}

/** Epoch milliseconds, or NaN when the calendar (or a jump of the local clock) has no such moment. */
function assemble(f: Fields): number {
  const dated = f.month !== undefined || f.day !== undefined;
  const year = f.year ?? (dated ? 2000 : 1970);
  const month = f.dayOfYear !== undefined && !dated ? 0 : (f.month ?? 1) - 1;
  const day = f.dayOfYear !== undefined && !dated ? f.dayOfYear : (f.day ?? 1);
  const hour = f.hour ?? (f.halfDayHour ?? 0) + (f.pm ? 12 : 0);
  const wall = new Date(0);
  wall.setUTCFullYear(year, month, day);
  wall.setUTCHours(hour, f.minute ?? 0, f.second ?? 0, f.ms ?? 0);
  const spilled = f.dayOfYear !== undefined && !dated ? wall.getUTCFullYear() !== year : wall.getUTCMonth() !== month;
  if (spilled) return Number.NaN;
  if (f.offsetMinutes !== undefined) return wall.getTime() - f.offsetMinutes * 60_000;
  const local = new Date(0);
  local.setFullYear(year, month, day);
  local.setHours(hour, f.minute ?? 0, f.second ?? 0, f.ms ?? 0);
  return local.getHours() === hour && local.getMinutes() === (f.minute ?? 0) ? local.getTime() : Number.NaN;
}
