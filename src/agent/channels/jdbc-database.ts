/** The SQLite file of the jdbc channel: loading the package, its tables, and rows that are checked when they are read. */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ChannelError, ConfigError, errorText } from '../../lib/errors.ts';
import type { Part, StoredEvent } from '../../wal/queue/part.ts';
import { RangeSet } from '../../wal/queue/ranges.ts';
import { FORMAT, lineOf, type QueueState, rowSum, stateOf } from './jdbc-state.ts';

/** As ALTER TABLE leaves a table of format 1, so that there is one text. */
const EVENTS = 'CREATE TABLE events (seq INTEGER PRIMARY KEY, headers TEXT NOT NULL, body BLOB NOT NULL, sum INTEGER NOT NULL DEFAULT 0)';
const EVENTS_1 = 'CREATE TABLE events (seq INTEGER PRIMARY KEY, headers TEXT NOT NULL, body BLOB NOT NULL)';
const STATE = 'CREATE TABLE state (id INTEGER PRIMARY KEY, line TEXT NOT NULL)';
export const INSERT = 'INSERT INTO events (seq, headers, body, sum) VALUES (?, ?, ?, ?)';
export const SET_STATE = 'INSERT INTO state (id, line) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET line = excluded.line';
/** Rows read at once. */
export const READ_AHEAD = 1_000;

/** The part of better-sqlite3 that is used here. */
export interface Statement {
  run(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
  get(...values: unknown[]): unknown;
  iterate(...values: unknown[]): IterableIterator<unknown>;
}
export interface Database {
  pragma(text: string, options?: { simple: boolean }): unknown;
  exec(text: string): void;
  prepare(text: string): Statement;
  transaction(work: () => void): () => void;
  function(name: string, work: (...values: never[]) => unknown): void;
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

/** As it is read: where bytes are damaged nothing needs to be of its type. Without `sum` in a file of format 1. */
export interface Row {
  readonly seq: number;
  readonly headers: unknown;
  readonly body: unknown;
  readonly sum?: unknown;
}

/** Something in the file is not as it was written, though SQLite has no complaint. */
class DatabaseDamage extends ChannelError {}

export function damage(what: string): ChannelError {
  return new DatabaseDamage(what, { retriable: true, fix: 'the agent saves what can be read when it opens the channel, or gets there' });
}

/** Null: a byte of it is damaged. */
export function eventOf({ seq, headers, body, sum }: Row): StoredEvent | null {
  if (!Number.isSafeInteger(seq) || seq < 0 || typeof headers !== 'string' || !Buffer.isBuffer(body)) return null;
  if (sum !== undefined && sum !== rowSum(seq, headers, body)) return null;
  if (headers === '') return { headers: {}, body };
  try {
    return { headers: JSON.parse(headers) as Record<string, string>, body };
  } catch {
    return null; // format 1, or taken over from it
  }
}

/**
 * Rows as runs of consecutive numbers, from `at` on: each number that is not done with must be there. `back`: rows that had been
 * delivered, and that a damaged journal brought back.
 * @throws ChannelError one is missing, or is not as it was written
 */
export function partsOf(rows: readonly Row[], { at, next, done }: { readonly at: number; readonly next: number; readonly done: RangeSet }) {
  const parts: Part[] = [];
  const back: number[] = [];
  let run: StoredEvent[] = [];
  let follows = -1;
  let expected = done.nextOutside(at);
  for (const row of rows) {
    if (row.seq !== expected && row.seq < next && done.nextOutside(row.seq) !== row.seq) {
      back.push(row.seq);
      continue;
    }
    const event = eventOf(row);
    if (row.seq !== expected || row.seq >= next || event === null) throw damage(`event ${expected} is missing or damaged`);
    if (expected !== follows) {
      run = [];
      parts.push({ events: run, head: 0, sequence: expected });
    }
    run.push(event);
    follows = expected + 1;
    expected = done.nextOutside(follows);
  }
  const stuck = parts.length === 0 && expected <= at;
  if ((rows.length < READ_AHEAD || stuck) && expected < next) throw damage(`events from ${expected} on are missing`);
  return { parts, back, end: Math.min(expected, next) };
}

export function headersText(headers: Readonly<Record<string, string>>): string {
  for (const _ in headers) return JSON.stringify(headers);
  return '';
}

/** Opens a database for work: what a transaction wrote is on the device when it returns. Its state is null when that is damaged. @throws as {@link prepareTables} */
export function openDatabase(sqlite: Sqlite, file: string, create: boolean): { readonly db: Database; readonly state: QueueState | null } {
  const db = new sqlite(file);
  try {
    prepareTables(db, file, create);
    return { db, state: storedState(db) };
  } catch (error) {
    db.close();
    const { code } = error as { code?: unknown };
    // These statements work on every sound file, so the description of the tables is damaged.
    if (code === 'SQLITE_ERROR' || (code === 'SQLITE_READONLY' && hasOddVersion(file))) throw damage(errorText(error));
    throw error;
  }
}

/** SQLite takes a file whose writer's version (byte 18) it does not know for one that may only be read. */
function hasOddVersion(file: string): boolean {
  const head = Buffer.alloc(20);
  const fd = openSync(file, 'r');
  readSync(fd, head, 0, 20, 0);
  closeSync(fd);
  return (head[18] as number) > 2;
}

/** Settings, of which `synchronous` is the connection's own, and tables. @throws ConfigError a newer version's, or no table and `create` is false; ChannelError damaged */
export function prepareTables(db: Database, file: string, create: boolean): void {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('cell_size_check = ON');
  const format = Number(db.pragma('user_version', { simple: true }));
  const sql = eventsText(db);
  // A newer version would have changed its state, too: with a state of this one it is a damaged byte.
  if (format > FORMAT && storedState(db) === null) {
    throw new ConfigError(`${file} was written by a newer version of this program (format ${format}, this one knows ${FORMAT})`, {
      fix: 'start the newer version again',
    });
  }
  if (sql === undefined && !create) throw new ConfigError(`${file} has no table "events", and create.schema is false`, { fix: 'set create.schema = true' });
  if (sql !== undefined && sql !== EVENTS && sql !== EVENTS_1) throw damage(`the description of its table is damaged: ${sql}`);
  if (sql === EVENTS && format === FORMAT) return;
  db.transaction(() => {
    if (sql === undefined) db.exec(EVENTS);
    db.exec(STATE.replace('TABLE', 'TABLE IF NOT EXISTS'));
    if (sql !== undefined && sql !== EVENTS) addSums(db);
    else if (sql === undefined) db.prepare(SET_STATE).run(lineOf({ tag: newTag(), next: 0, done: new RangeSet() }));
    db.exec(`PRAGMA user_version = ${FORMAT}`);
  })();
}

/** The statement that made the table; undefined = there is none. */
function eventsText(db: Database): string | undefined {
  return (db.prepare("SELECT sql FROM sqlite_master WHERE name = 'events'").get() as { sql: string } | undefined)?.sql;
}

/** Makes a table of format 1 one of this format. */
function addSums(db: Database): void {
  // A value of another type is damage, which the 0 shows when the row is read.
  db.function('row_sum', (seq: number, headers: unknown, body: unknown) =>
    typeof headers === 'string' && Buffer.isBuffer(body) ? rowSum(seq, headers, body) : 0,
  );
  db.exec('ALTER TABLE events ADD COLUMN sum INTEGER NOT NULL DEFAULT 0; UPDATE events SET sum = row_sum(seq, headers, body)');
  const done = new RangeSet();
  let next = 0;
  for (const { seq } of db.prepare('SELECT seq FROM events ORDER BY seq').iterate() as Iterable<{ seq: number }>) {
    done.add(next, seq);
    next = seq + 1;
  }
  db.prepare(SET_STATE).run(lineOf({ tag: newTag(), next, done }));
}

export function newTag(): string {
  return randomBytes(8).toString('hex');
}

/** Null when there is none, or it is damaged. */
export function storedState(db: Database): QueueState | null {
  try {
    return stateOf((db.prepare('SELECT line FROM state WHERE id = 1').get() as { line: unknown } | undefined)?.line);
  } catch (error) {
    if (isDamage(error) || (error as { code?: unknown }).code === 'SQLITE_ERROR') return null;
    throw error;
  }
}

/** The last row; found by the key, so it takes no longer with more rows. */
export function lastRow(db: Database): Row | undefined {
  return db.prepare('SELECT seq, headers, body, sum FROM events ORDER BY seq DESC LIMIT 1').get() as Row | undefined;
}

export function storageError(file: string, cause: unknown): ChannelError {
  if (cause instanceof ChannelError) return cause;
  return new ChannelError(`the database ${file} failed: ${errorText(cause)}`, {
    cause,
    retriable: true,
    fix: 'look at the disk: space, rights, the system log',
  });
}

/** A number that is there already was never given out, so its row is damaged. */
export function isDamage(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return (
    error instanceof DatabaseDamage ||
    (typeof code === 'string' && /^SQLITE_(NOTADB|CORRUPT|FORMAT|CONSTRAINT_PRIMARYKEY|CONSTRAINT_ROWID|IOERR_SHORT_READ)/.test(code))
  );
}

/** Rows as they wait, without opening the channel; for `flume-ng channel`. @throws ConfigError no SQLite, or no such file; ChannelError it is damaged */
export function* storedRows(file: string): Generator<{ readonly sequence: number; readonly event: StoredEvent }> {
  const db = openForReading(file);
  try {
    const read = db.prepare(`SELECT ${columnsOf(db)} FROM events WHERE seq > ? ORDER BY seq LIMIT ?`);
    for (let last = -1; ; ) {
      const rows = read.all(last, READ_AHEAD) as Row[];
      for (const row of rows) {
        const event = eventOf(row);
        if (event === null || row.seq <= last) throw damage(`event ${row.seq} in ${file} is damaged`);
        yield { sequence: row.seq, event };
      }
      if (rows.length === 0) return;
      last = (rows[rows.length - 1] as Row).seq;
    }
  } catch (cause) {
    if (cause instanceof ChannelError || !isDamage(cause)) throw cause;
    throw new ChannelError(`the database ${file} is damaged: ${errorText(cause)}`, {
      cause,
      fix: 'the agent saves what can be read when it opens the channel',
    });
  } finally {
    db.close();
  }
}

/** Those of a row; in a file of format 1 there is no checksum. */
export function columnsOf(db: Database): string {
  return eventsText(db) === EVENTS_1 ? 'seq, headers, body' : 'seq, headers, body, sum';
}

/** What is wrong in the file, reading all of it. @throws ConfigError no SQLite, or no such file */
export function faultsOf(file: string): string[] {
  const db = openForReading(file);
  const faults: string[] = [];
  try {
    const lines = db.pragma('integrity_check') as { readonly integrity_check: string }[];
    faults.push(...lines.map(({ integrity_check }) => integrity_check).filter((line) => line !== 'ok'));
    // One transaction sees one state, while an agent writes.
    db.transaction(() => faults.push(...rowFaults(db)))();
  } catch (error) {
    if (!isDamage(error) && (error as { code?: unknown }).code !== 'SQLITE_ERROR') throw error;
    faults.push(errorText(error));
  } finally {
    db.close();
  }
  return faults;
}

function rowFaults(db: Database): string[] {
  const faults: string[] = [];
  const state = storedState(db);
  const columns = columnsOf(db);
  if (state === null && columns.endsWith('sum')) faults.push('the row of table state is damaged');
  const found = new RangeSet();
  for (const [from, to] of state?.done.ranges() ?? []) found.add(from, to);
  for (const row of db.prepare(`SELECT ${columns} FROM events`).iterate() as Iterable<Row>) {
    if (eventOf(row) === null) faults.push(`event ${row.seq} is damaged`);
    else found.add(row.seq, row.seq + 1);
  }
  const missing = state === null ? 0 : found.missingIn(0, state.next);
  if (missing > 0) faults.push(`${missing} events are damaged or missing`);
  return faults;
}

function openForReading(file: string): Database {
  if (!existsSync(file)) throw new ConfigError(`there is no database ${file}`, { fix: 'has the channel been used yet?' });
  return new (loadSqlite())(file, { readonly: true });
}
