/** The SQLite file of the jdbc channel: loading the package, the table, rows, and saving what can be read of a damaged file. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { ChannelError, ConfigError, errorText } from '../../lib/errors.ts';
import type { Part, StoredEvent } from '../../wal/queue/part.ts';

const FORMAT = 1;
/** Rows read at once. */
export const READ_AHEAD = 1_000;

/** The part of better-sqlite3 that is used here. */
export interface Statement {
  run(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
  get(...values: unknown[]): unknown;
}
export interface Database {
  pragma(text: string, options?: { simple: boolean }): unknown;
  exec(text: string): void;
  prepare(text: string): Statement;
  transaction(work: () => void): () => void;
  close(): void;
}
export type Sqlite = new (file: string, options?: { readonly readonly?: boolean; readonly fileMustExist?: boolean }) => Database;

/** @throws ConfigError the package is not there, or was not compiled */
export function loadSqlite(): Sqlite {
  try {
    const found = createRequire(import.meta.url)('better-sqlite3') as Sqlite;
    new found(':memory:').close();
    return found;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    throw new ConfigError(`the jdbc channel needs the package better-sqlite3, which is ${missing ? 'not installed' : 'not compiled for this Node.js'}`, {
      fix: `run \`npm ${missing ? 'install' : 'rebuild'} better-sqlite3\` in the directory of this program (it needs a C++ compiler), or use a channel of type = file`,
      cause: error,
    });
  }
}

export interface Row {
  readonly seq: number;
  readonly headers: string;
  readonly body: Buffer;
}

/** Null: its headers are no JSON, so a byte of them is damaged. */
function eventOf({ headers, body }: Row): StoredEvent | null {
  if (headers === '') return { headers: {}, body };
  try {
    return { headers: JSON.parse(headers) as Record<string, string>, body };
  } catch {
    return null;
  }
}

/** Rows as runs of consecutive numbers, and the numbers of those that are damaged. */
export function partsOf(rows: readonly Row[]): { readonly parts: readonly Part[]; readonly damaged: readonly number[] } {
  const parts: Part[] = [];
  const damaged: number[] = [];
  let run: StoredEvent[] = [];
  let next = -1;
  for (const row of rows) {
    const event = eventOf(row);
    if (event === null) {
      damaged.push(row.seq);
      continue;
    }
    if (row.seq !== next) {
      run = [];
      parts.push({ events: run, head: 0, sequence: row.seq });
    }
    run.push(event);
    next = row.seq + 1;
  }
  return { parts, damaged };
}

export function headersText(headers: Readonly<Record<string, string>>): string {
  for (const _ in headers) return JSON.stringify(headers);
  return '';
}

/** Opens a database for work: what a transaction wrote is on the device when it returns. @throws as {@link prepareTable} */
export function openDatabase(sqlite: Sqlite, file: string, create: boolean): Database {
  const db = new sqlite(file);
  try {
    prepareTable(db, file, create);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Settings, of which `synchronous` is the connection's own, and table. @throws ConfigError a newer version's, or no table and `create` is false */
function prepareTable(db: Database, file: string, create: boolean): void {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  const format = Number(db.pragma('user_version', { simple: true }));
  if (format > FORMAT) {
    throw new ConfigError(`${file} was written by a newer version of this program (format ${format}, this one knows ${FORMAT})`, {
      fix: 'start the newer version again',
    });
  }
  const there = db.prepare("SELECT name FROM sqlite_master WHERE name = 'events'").get() !== undefined;
  if (!there && !create) throw new ConfigError(`${file} has no table "events", and create.schema is false`, { fix: 'set create.schema = true' });
  db.exec(`CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, headers TEXT NOT NULL, body BLOB NOT NULL); PRAGMA user_version = ${FORMAT}`);
}

/** Numbers of the first and the last row; found by the key, so it takes no longer with more rows. */
export function boundsOf(db: Database): { readonly first: number | null; readonly last: number | null } {
  return db.prepare('SELECT (SELECT min(seq) FROM events) AS first, (SELECT max(seq) FROM events) AS last').get() as ReturnType<typeof boundsOf>;
}

export function storageError(file: string, cause: unknown): ChannelError {
  if (cause instanceof ChannelError) return cause;
  return new ChannelError(`the database ${file} failed: ${errorText(cause)}`, {
    cause,
    retriable: true,
    fix: 'look at the disk: space, rights, the system log',
  });
}

export function isDamage(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^SQLITE_(NOTADB|CORRUPT|FORMAT)/.test(code);
}

/** Rows as they wait, without opening the channel; for `flume-ng channel`. @throws ConfigError no SQLite, or no such file; ChannelError it is damaged */
export function* storedRows(file: string): Generator<{ readonly sequence: number; readonly event: StoredEvent }> {
  const db = openForReading(file);
  try {
    const read = db.prepare('SELECT seq, headers, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?');
    for (let last = -1; ; ) {
      const rows = read.all(last, READ_AHEAD) as Row[];
      for (const row of rows) {
        const event = eventOf(row);
        if (event === null) throw damagedHeaders(file, row.seq);
        yield { sequence: row.seq, event };
      }
      if (rows.length === 0) return;
      last = (rows[rows.length - 1] as Row).seq;
    }
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
    throw new ChannelError(`the database ${file} is damaged: ${errorText(cause)}`, {
      cause,
      fix: 'the agent saves what can be read when it opens the channel',
    });
  } finally {
    db.close();
  }
}

function damagedHeaders(file: string, sequence: number): ChannelError {
  return new ChannelError(`the headers of event ${sequence} in ${file} are damaged`, { fix: 'the agent leaves it out, and says so, when it gets there' });
}

/** What SQLite finds wrong in the file, reading all of it. @throws ConfigError no SQLite, or no such file */
export function faultsOf(file: string): string[] {
  const db = openForReading(file);
  try {
    const lines = db.pragma('integrity_check') as { readonly integrity_check: string }[];
    return lines.map(({ integrity_check }) => integrity_check).filter((line) => line !== 'ok');
  } catch (error) {
    if (!isDamage(error)) throw error;
    return [errorText(error)];
  } finally {
    db.close();
  }
}

function openForReading(file: string): Database {
  if (!existsSync(file)) throw new ConfigError(`there is no database ${file}`, { fix: 'has the channel been used yet?' });
  return new (loadSqlite())(file, { readonly: true });
}

/** What became of a damaged database. */
export interface Salvage {
  /** Where the damaged file is now. */
  readonly kept: string;
  readonly saved: number;
  /** Numbers that cannot be read. */
  readonly lost: readonly (readonly [from: number, to: number])[];
  /** There may be more that is lost: the file does not say up to where it went. */
  readonly open: boolean;
}

/**
 * Writes what can be read of a damaged database into a new one in its place, and moves the old one to quarantine/, with a report.
 * @param to rows are below; null = as far as the file says
 */
export function salvage(sqlite: Sqlite, file: string, { to, now }: { readonly to: number | null; readonly now: number }): Salvage {
  const draft = draftOf(file);
  for (const ending of ['', ...JOURNALS]) rmSync(draft + ending, { force: true });
  const target = new sqlite(draft);
  let result: Omit<Salvage, 'kept'>;
  try {
    prepareTable(target, draft, true);
    result = copyRows(sqlite, file, { to, target });
    target.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    target.close();
  }
  mkdirSync(quarantineOf(file), { recursive: true });
  const kept = join(quarantineOf(file), `${now}-${basename(file)}`);
  writeFileSync(`${kept}.json`, `${JSON.stringify({ ...result, foundAt: new Date(now).toISOString() }, null, 2)}\n`);
  // The database before its journals: as long as it is here a start begins anew and needs them, see finishSalvage.
  for (const ending of ['', ...JOURNALS]) if (existsSync(file + ending)) renameSync(file + ending, kept + ending);
  renameSync(draft, file);
  return { ...result, kept };
}

const JOURNALS = ['-wal', '-shm'];
const draftOf = (file: string): string => `${file}.salvaged`;
const quarantineOf = (file: string): string => join(dirname(file), 'quarantine');

/** Finishes a salvage that was cut off in its last steps. SQLite would play a journal that was left behind into the new file. */
export function finishSalvage(file: string): void {
  if (existsSync(file) || !existsSync(draftOf(file))) return;
  mkdirSync(quarantineOf(file), { recursive: true });
  const kept = readdirSync(quarantineOf(file)).filter((name) => name.endsWith(`-${basename(file)}`));
  const newest = join(quarantineOf(file), kept.sort().at(-1) ?? basename(file));
  for (const ending of JOURNALS) if (existsSync(file + ending)) renameSync(file + ending, newest + ending);
  renameSync(draftOf(file), file);
}

function copyRows(sqlite: Sqlite, file: string, { to, target }: { readonly to: number | null; readonly target: Database }): Omit<Salvage, 'kept'> {
  const insert = target.prepare('INSERT INTO events (seq, headers, body) VALUES (?, ?, ?)');
  const lost: (readonly [number, number])[] = [];
  let saved = 0;
  let open = false;
  let source: Database | undefined;
  try {
    source = new sqlite(file);
    const reader = new RowReader(source);
    const end = to ?? reader.end ?? Number.MAX_SAFE_INTEGER;
    target.transaction(() => {
      for (let at = reader.begin ?? 0; at < end; ) {
        const rows = reader.from(at);
        if (rows?.length === 0) break;
        if (rows === null) {
          const next = reader.nextReadable(at, end);
          // Of the numbers before the first row that can be read, most may have been delivered long ago.
          if ((saved === 0 && reader.begin === null) || next === Number.MAX_SAFE_INTEGER) open = true;
          else lost.push([at, next]);
          at = next;
          continue;
        }
        for (const { seq, headers, body } of rows) insert.run(seq, headers, body);
        saved += rows.length;
        at = (rows[rows.length - 1] as Row).seq + 1;
      }
    })();
  } catch (error) {
    if (!isDamage(error)) throw error;
    open = true; // not even the table can be found
  } finally {
    source?.close();
  }
  return { saved, lost, open };
}

/** Reads rows of a database that is damaged somewhere. */
class RowReader {
  readonly #many: Statement;
  readonly #first: Statement;
  /** The number of the first row, and the one after the last; null when it cannot be read. */
  readonly begin: number | null;
  readonly end: number | null;

  constructor(db: Database) {
    this.#many = db.prepare('SELECT seq, headers, body FROM events WHERE seq >= ? ORDER BY seq LIMIT 100');
    this.#first = db.prepare('SELECT seq, headers, body FROM events WHERE seq >= ? ORDER BY seq LIMIT 1');
    const bound = (sql: string): number | null | undefined => attempt(() => (db.prepare(sql).get() as { seq: number | null }).seq) ?? undefined;
    this.begin = bound('SELECT min(seq) AS seq FROM events') ?? null;
    const last = bound('SELECT max(seq) AS seq FROM events');
    this.end = last === undefined || last === null ? null : last + 1;
  }

  /** The next rows from `at` on; null when they cannot be read. Empty = there are none. */
  from(at: number): readonly Row[] | null {
    return attempt(() => this.#many.all(at) as Row[]) ?? attempt(() => this.#first.all(at) as Row[]);
  }

  /** The lowest number above `at` from which on a row can be read, or `end`. What cannot be read is a page, so it is one run. */
  nextReadable(at: number, end: number): number {
    const readable = (from: number): boolean => attempt(() => this.#first.all(from)) !== null;
    let low = at;
    let high = at + 1;
    for (let step = 1; high < end && !readable(high); step *= 2) {
      low = high;
      high = Math.min(end, at + step);
    }
    while (high - low > 1) {
      const middle = low + Math.floor((high - low) / 2);
      if (readable(middle)) high = middle;
      else low = middle;
    }
    return high;
  }
}

/** Null when the file is damaged there. */
function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (isDamage(error)) return null;
    throw error;
  }
}
