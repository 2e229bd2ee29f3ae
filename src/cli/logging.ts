/**
 * Logging of the agent: pino in front, Flume's spelling and shapes behind. `-Dflume.root.logger=LEVEL,appender…` chooses
 * (Flume's conf/log4j.properties, default `INFO,LOGFILE`); appenders are console, LOGFILE, DAILY and, for machines, JSON.
 * pino calls one destination synchronously; it gets the parts of the line as metadata, so human lines cost no JSON parse.
 * A mistake in the setting is said on stderr and never keeps an agent from running.
 */
import path from 'node:path';
import { type Bindings, type DestinationStream, pino } from 'pino';
import { AppError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { DescriptorOutput, FileOutput, type LogOutput } from './log-outputs.ts';

/** What `createLogging` needs from the world. */
export interface LoggingOptions {
  /** The `-Dkey=value` of the command line. */
  readonly systemProperties: Readonly<Record<string, string>>;
  /** Relative log directories are below it. */
  readonly cwd: string;
  /** Takes whole lines about the log itself. */
  readonly stderr: { write(text: string): unknown };
  /** Descriptor of console and JSON lines; 1 unless a test says otherwise. */
  readonly stdoutFd?: number;
}

/** The log of one process. */
export interface Logging {
  readonly root: Logger;
  /**
   * A logger whose lines carry `component` in brackets (Flume's thread name) and `where` after the level (Flume's class),
   * e.g. `(SinkRunner-k1) [INFO - sink.logger]`.
   */
  child(component: string, where?: string): Logger;
  /** Absolute name of the log file, if there is one. */
  readonly file: string | undefined;
  /** Lines that could not be written anywhere they should have been. */
  readonly lost: () => number;
  /** Writes out what is gathered. */
  flush(): void;
  /** Flushes, waits briefly for a slow reader, and closes. Safe twice. */
  close(): void;
}

const LEVELS: Readonly<Record<string, string>> = {
  ALL: 'trace',
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
  FATAL: 'fatal',
  OFF: 'silent',
};
const APPENDERS = ['console', 'LOGFILE', 'DAILY', 'JSON'] as const;
type Appender = (typeof APPENDERS)[number];

/** What a `flume.root.logger` value means; `complaints` are sentences for stderr. */
export interface RootLogger {
  readonly level: string;
  readonly appenders: readonly Appender[];
  readonly complaints: readonly string[];
}

/** Reads `LEVEL,appender[,appender…]`; never fails. */
export function parseRootLogger(setting: string | undefined): RootLogger {
  const complaints: string[] = [];
  const given = (setting ?? 'INFO,LOGFILE').trim();
  let words = given.split(',').map((word) => word.trim());
  if (words.length === 1 && words[0]!.includes('.')) {
    words = words[0]!.split('.');
    complaints.push(`-Dflume.root.logger=${given}: level and appender are separated by a comma; taken as ${words.join(',')}`);
  }
  const rest = words.filter((word) => word !== '');
  let level = LEVELS[(rest[0] ?? '').toUpperCase()];
  if (level !== undefined) rest.shift();
  else if (rest.length > 0 && appenderOf(rest[0]!) === undefined) {
    complaints.push(`-Dflume.root.logger: no level "${rest.shift()}"; INFO is used. Levels: ${Object.keys(LEVELS).join(', ')}`);
  }
  level ??= 'info';
  const appenders: Appender[] = [];
  for (const word of rest) {
    const found = appenderOf(word);
    if (found === undefined) {
      complaints.push(`-Dflume.root.logger: no appender "${word}". Appenders: ${APPENDERS.join(', ')}`);
    } else if (!appenders.includes(found)) appenders.push(found);
  }
  if (appenders.length === 0) appenders.push('LOGFILE');
  return { level, appenders, complaints };
}

function appenderOf(word: string): Appender | undefined {
  return APPENDERS.find((name) => name.toLowerCase() === word.toLowerCase());
}

/** Builds the log of the process. Hooks `exit` so that a crash loses nothing that was logged. */
export function createLogging(options: LoggingOptions): Logging {
  const { systemProperties: properties, stderr } = options;
  const setting = parseRootLogger(properties['flume.root.logger']);
  const say = (text: string): void => void stderr.write(`${text}\n`);
  for (const complaint of setting.complaints) say(`Warning: ${complaint}`);

  const file = path.resolve(options.cwd, properties['flume.log.dir'] ?? 'logs', properties['flume.log.file'] ?? 'flume.log');
  const toFile = setting.appenders.find((name) => name === 'LOGFILE' || name === 'DAILY');
  const stdout = setting.appenders.some((name) => name === 'console' || name === 'JSON') ? new DescriptorOutput(options.stdoutFd ?? 1, say) : undefined;
  const rolled = toFile
    ? new FileOutput(file, { maxBytes: 100 * 1024 * 1024, backups: 10, ...(toFile === 'DAILY' && { every: 'day' as const }) }, say)
    : undefined;
  if (toFile && setting.level !== 'silent' && !stdout) say(`Log: ${file} (-Dflume.root.logger=INFO,console shows it here instead)`);

  const destination = new Destination(
    setting.appenders.includes('console') ? stdout : undefined,
    setting.appenders.includes('JSON') ? stdout : undefined,
    rolled,
  );
  const root = pino({ level: setting.level, base: { pid: process.pid }, timestamp: () => `,"time":${destination.stamp()}` }, destination);

  const outputs: LogOutput[] = [stdout, rolled].filter((output) => output !== undefined);
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    process.removeListener('exit', close);
    for (const output of outputs) output.close();
  };
  process.on('exit', close);
  return {
    root,
    child: (component, where) => root.child(where === undefined ? { component } : { component, where }),
    file: rolled?.file,
    lost: () => outputs.reduce((sum, output) => sum + output.lost, 0),
    flush: () => {
      for (const output of outputs) output.flush();
    },
    close,
  };
}

/** What pino tells a destination that asks for metadata, besides the JSON line. */
class Destination implements DestinationStream {
  lastLevel = 30;
  lastMsg: string | undefined = undefined;
  lastObj: unknown = undefined;
  lastLogger: { bindings(): Bindings } | undefined = undefined;
  readonly #console: LogOutput | undefined;
  readonly #json: LogOutput | undefined;
  readonly #file: LogOutput | undefined;
  readonly #names = new WeakMap<object, { component: string; where: string }>();
  readonly #clock = new LineClock();
  #now = 0;

  constructor(console: LogOutput | undefined, json: LogOutput | undefined, file: LogOutput | undefined) {
    this.#console = console;
    this.#json = json;
    this.#file = file;
  }

  get [Symbol.for('pino.metadata')](): true {
    return true;
  }

  /** Called by pino just before `write`: the one reading of the clock that all appenders show. */
  stamp(): number {
    this.#now = Date.now();
    return this.#now;
  }

  write(json: string): void {
    this.#json?.write(json);
    if (!this.#console && !this.#file) return;
    const { component, where } = this.#nameOf(this.lastLogger);
    const level = LEVEL_NAMES[this.lastLevel] ?? String(this.lastLevel);
    const text = messageOf(this.lastMsg, this.lastObj);
    if (this.#console) this.#console.write(`${this.#clock.iso(this.#now)} (${component}) [${level} - ${where}] ${text}\n`);
    if (this.#file) this.#file.write(`${this.#clock.dayFirst(this.#now)} ${level.padEnd(5)} [${component}] (${where})  - ${text}\n`);
  }

  #nameOf(logger: { bindings(): Bindings } | undefined): { component: string; where: string } {
    if (!logger) return { component: 'main', where: 'millrace' };
    let names = this.#names.get(logger);
    if (!names) {
      const bound = logger.bindings();
      const component = typeof bound.component === 'string' ? bound.component : 'main';
      names = { component, where: typeof bound.where === 'string' ? bound.where : 'millrace' };
      this.#names.set(logger, names);
    }
    return names;
  }
}

const LEVEL_NAMES: Readonly<Record<number, string>> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** log4j's two date shapes in local time; the part down to the second is kept, since lines come in bursts. */
class LineClock {
  #second = -1;
  #iso = '';
  #dayFirst = '';

  /** `2018-11-06 09:00:00,123`. */
  iso(ms: number): string {
    return `${this.#at(ms).#iso},${millis(ms)}`;
  }

  /** `06 Nov 2018 09:00:00,123`. */
  dayFirst(ms: number): string {
    return `${this.#at(ms).#dayFirst},${millis(ms)}`;
  }

  #at(ms: number): this {
    const second = Math.floor(ms / 1000);
    if (second === this.#second) return this;
    this.#second = second;
    const date = new Date(ms);
    const two = (n: number): string => String(n).padStart(2, '0');
    const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
    this.#iso = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
    this.#dayFirst = `${two(date.getDate())} ${MONTHS[date.getMonth()]} ${date.getFullYear()} ${time}`;
    return this;
  }
}

function millis(ms: number): string {
  const rest = ms % 1000;
  return rest < 10 ? `00${rest}` : rest < 100 ? `0${rest}` : String(rest);
}

/** The message, then the logged object's fields as `key=value`, then an error with its remedy and causes. */
function messageOf(msg: string | undefined, object: unknown): string {
  if (object === undefined || object === null) return msg ?? '';
  let text = msg ?? '';
  let error: Error | undefined;
  for (const [key, value] of Object.entries(object)) {
    if (value instanceof Error && (key === 'err' || key === 'error')) error = value;
    else if (value !== undefined) text += `${text === '' ? '' : ' '}${key}=${fieldText(value)}`;
  }
  return error ? text + errorLines(error, text) : text;
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return value.message;
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return '[circular]';
  }
}

/** An AppError is for people: message and remedy. Any other error is a surprise, and its stack is worth the lines. */
function errorLines(error: Error, said: string): string {
  let lines = said.includes(error.message) ? '' : `${said === '' ? '' : ': '}${error.message}`;
  if (error instanceof AppError) {
    if (error.fix) lines += ` (${error.fix})`;
  } else if (error.stack) lines += `\n${error.stack}`;
  for (let cause = error.cause, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    lines += `\nCaused by: ${cause instanceof AppError ? cause.message : (cause.stack ?? cause.message)}`;
  }
  return lines;
}
