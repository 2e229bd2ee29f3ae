/**
 * Paths and topics made of event headers and time: `%{name}`, `%Y-%m-%d`, `%[ip]` … compiled once (Flume's BucketPath).
 * Time comes from the header `timestamp` (epoch ms) unless the owner says to use the clock. As in Flume, every
 * single-letter escape needs that time, even `%%`, and letters that mean nothing become empty.
 */
import type { Clock } from '../../lib/clock.ts';
import { ConfigError, DeliveryError } from '../../lib/errors.ts';
import { localHost } from '../../lib/local-host.ts';
import type { Sealed } from './event.ts';

export interface TemplateOptions {
  readonly clock: Clock;
  /** Time of day from `clock` instead of the header. */
  readonly useLocalTime?: boolean;
  /** IANA name or `GMT+8`; left out = the machine's zone. */
  readonly timeZone?: string | undefined;
  /** Round the time down to a multiple of `value` units within the next larger unit (hdfs.round…). Not applied to `%t`. */
  readonly round?: { readonly value: number; readonly unit: 'second' | 'minute' | 'hour' } | undefined;
}

export interface Template {
  /** The text when no event and no time changes it. */
  readonly constant: string | undefined;
  /** @throws DeliveryError (not retriable) the header `timestamp` is needed but missing or no number */
  render(headers: Sealed['headers']): string;
}

const ESCAPE = /%(\w|%)|%\{([\w.-]+)\}|%\[(\w+)\]/g;
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

/** A moment taken apart: `wall` has the zone's clock reading in its UTC fields. */
interface Moment {
  readonly epochMs: number;
  readonly wall: Date;
  readonly offsetMinutes: number;
}

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));
const day = (m: Moment): string => DAYS[m.wall.getUTCDay()] as string;
const month = (m: Moment): string => MONTHS[m.wall.getUTCMonth()] as string;
const twelve = (m: Moment): number => m.wall.getUTCHours() % 12 || 12;
const time = (m: Moment): string => `${two(m.wall.getUTCHours())}:${two(m.wall.getUTCMinutes())}:${two(m.wall.getUTCSeconds())}`;
const year = (m: Moment): string => String(m.wall.getUTCFullYear()).padStart(4, '0');
const monthNumber = (m: Moment): number => m.wall.getUTCMonth() + 1;
const dayOfYear = (m: Moment): number => Math.floor((m.wall.getTime() - Date.UTC(m.wall.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;

function offset(m: Moment): string {
  const size = Math.abs(m.offsetMinutes);
  return `${m.offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`;
}

const LETTERS: Readonly<Record<string, (m: Moment) => string>> = {
  '%': () => '%',
  a: (m) => day(m).slice(0, 3),
  A: day,
  b: (m) => month(m).slice(0, 3),
  B: month,
  c: (m) => `${day(m).slice(0, 3)} ${month(m).slice(0, 3)} ${m.wall.getUTCDate()} ${time(m)} ${year(m)}`,
  d: (m) => two(m.wall.getUTCDate()),
  e: (m) => String(m.wall.getUTCDate()),
  D: (m) => `${two(monthNumber(m))}/${two(m.wall.getUTCDate())}/${year(m).slice(-2)}`,
  H: (m) => two(m.wall.getUTCHours()),
  I: (m) => two(twelve(m)),
  j: (m) => String(dayOfYear(m)).padStart(3, '0'),
  k: (m) => String(m.wall.getUTCHours()),
  l: (m) => String(twelve(m)),
  m: (m) => two(monthNumber(m)),
  M: (m) => two(m.wall.getUTCMinutes()),
  n: (m) => String(monthNumber(m)),
  p: (m) => (m.wall.getUTCHours() < 12 ? 'AM' : 'PM'),
  s: (m) => String(Math.floor(m.epochMs / 1000)),
  S: (m) => two(m.wall.getUTCSeconds()),
  y: (m) => year(m).slice(-2),
  Y: year,
  z: offset,
};

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'time'; readonly print: (m: Moment) => string }
  | { readonly kind: 'stamp' };

/** Compiles a template. @throws ConfigError `%[…]` names nothing known, or the time zone does not exist */
export function compileTemplate(text: string, options: TemplateOptions): Template {
  const parts = parse(text);
  const constant = parts.every((part) => part.kind === 'text') ? parts.map((part) => (part as { text: string }).text).join('') : undefined;
  if (constant !== undefined) return { constant, render: () => constant };
  return new CompiledTemplate(text, parts, options);
}

function parse(text: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const found of text.matchAll(ESCAPE)) {
    if (found.index > at) parts.push({ kind: 'text', text: text.slice(at, found.index) });
    at = found.index + found[0].length;
    const [, letter, header, fixed] = found;
    if (header !== undefined) parts.push({ kind: 'header', name: header });
    else if (fixed !== undefined) parts.push({ kind: 'text', text: hostText(fixed) });
    else if (letter === 't') parts.push({ kind: 'stamp' });
    else parts.push({ kind: 'time', print: LETTERS[letter as string] ?? (() => '') });
  }
  if (at < text.length) parts.push({ kind: 'text', text: text.slice(at) });
  return parts;
}

function hostText(name: string): string {
  switch (name.toLowerCase()) {
    case 'localhost':
      return localHost().name;
    case 'ip':
      return localHost().ip;
    case 'fqdn':
      return localHost().canonicalName;
    default:
      throw new ConfigError(`The static escape string '${name}' was provided but does not match any of (localhost,IP,FQDN)`, {
        fix: 'write %[localhost], %[ip] or %[fqdn]',
      });
  }
}

class CompiledTemplate implements Template {
  readonly constant = undefined;
  readonly #text: string;
  readonly #parts: readonly Part[];
  readonly #options: TemplateOptions;
  readonly #needsTime: boolean;
  readonly #offsetOf: (epochMs: number) => number;
  /** What the time parts print within one second of time, by part index. */
  readonly #printed: string[] = [];
  #second = Number.NaN;

  constructor(text: string, parts: readonly Part[], options: TemplateOptions) {
    this.#text = text;
    this.#parts = parts;
    this.#options = options;
    this.#needsTime = parts.some((part) => part.kind === 'time' || part.kind === 'stamp');
    this.#offsetOf = offsetsOf(options.timeZone);
  }

  render(headers: Sealed['headers']): string {
    const stamp = this.#needsTime ? this.#stamp(headers) : '';
    if (this.#needsTime) this.#print(Number(stamp));
    let out = '';
    for (let i = 0; i < this.#parts.length; i++) {
      const part = this.#parts[i] as Part;
      if (part.kind === 'text') out += part.text;
      else if (part.kind === 'header') out += headers[part.name] ?? '';
      else out += part.kind === 'stamp' ? stamp : this.#printed[i];
    }
    return out;
  }

  #stamp(headers: Sealed['headers']): string {
    if (this.#options.useLocalTime) return String(this.#options.clock.now());
    const stamp = headers.timestamp;
    if (stamp !== undefined && /^[+-]?\d{1,16}$/.test(stamp)) return stamp;
    const what = stamp === undefined ? 'has no header "timestamp"' : `has the header timestamp=${stamp}, which is not a number of milliseconds`;
    throw new DeliveryError(`"${this.#text}" needs the time of the event, but an event ${what}`, {
      retriable: false,
      fix: 'give the source an interceptor of type timestamp',
    });
  }

  #print(epochMs: number): void {
    const second = Math.floor(epochMs / 1000);
    if (second === this.#second) return;
    const moment = this.#momentOf(epochMs);
    for (let i = 0; i < this.#parts.length; i++) {
      const part = this.#parts[i] as Part;
      if (part.kind === 'time') this.#printed[i] = part.print(moment);
    }
    this.#second = second;
  }

  #momentOf(epochMs: number): Moment {
    const offsetMinutes = this.#offsetOf(epochMs);
    const wall = new Date(epochMs + offsetMinutes * 60_000);
    const { round } = this.#options;
    if (round !== undefined) roundDown(wall, round.value, round.unit);
    const roundedMs = wall.getTime() - offsetMinutes * 60_000;
    return { epochMs: roundedMs, wall, offsetMinutes };
  }
}

function roundDown(wall: Date, value: number, unit: 'second' | 'minute' | 'hour'): void {
  if (unit === 'second') wall.setUTCSeconds(wall.getUTCSeconds() - (wall.getUTCSeconds() % value), 0);
  else if (unit === 'minute') wall.setUTCMinutes(wall.getUTCMinutes() - (wall.getUTCMinutes() % value), 0, 0);
  else wall.setUTCHours(wall.getUTCHours() - (wall.getUTCHours() % value), 0, 0, 0);
}

/** Minutes that a zone is ahead of UTC at a moment. @throws ConfigError unknown zone */
function offsetsOf(timeZone: string | undefined): (epochMs: number) => number {
  if (timeZone === undefined) return (epochMs) => -new Date(epochMs).getTimezoneOffset();
  const fixed = /^(?:GMT|UTC)([+-])(\d{1,2})(?::?(\d\d))?$/.exec(timeZone);
  if (fixed) {
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3] ?? 0);
    return () => (fixed[1] === '-' ? -minutes : minutes);
  }
  const format = formatOf(timeZone);
  return (epochMs) => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(epochMs)) part[type] = Number(value);
    const wall = Date.UTC(part.year ?? 0, (part.month ?? 1) - 1, part.day, part.hour, part.minute, part.second);
    return Math.round((wall - Math.floor(epochMs / 1000) * 1000) / 60_000);
  };
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (cause) {
    throw new ConfigError(`the time zone "${timeZone}" does not exist`, { fix: 'write a name such as Asia/Shanghai, or GMT+8', cause });
  }
}
