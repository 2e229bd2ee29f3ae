/** Saving what can be read of a damaged database of the jdbc channel into a new one. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RangeSet } from '../../wal/queue/ranges.ts';
import {
  columnsOf,
  type Database,
  eventOf,
  INSERT,
  isDamage,
  newTag,
  prepareTables,
  type Row,
  SET_STATE,
  type Sqlite,
  type Statement,
  storedState,
} from './jdbc-database.ts';
import { joined, lineOf, type QueueState, rowSum } from './jdbc-state.ts';

/** What became of a damaged database. */
export interface Salvage {
  /** Where the damaged file is now. */
  readonly kept: string;
  readonly saved: number;
  /** Numbers that wait, and are not in the file as they were written. */
  readonly lost: readonly (readonly [from: number, to: number])[];
  /** There may be more that is lost: nothing says up to where numbers went. */
  readonly open: boolean;
  /** Of the new database; what is lost is done with. */
  readonly state: QueueState;
}

interface Known {
  /** What is known beside the file. */
  readonly state: QueueState | null;
  /** What waits below is in memory, so it is not lost. */
  readonly from: number;
  readonly now: number;
}

/** Writes what can be read of a damaged database into a new one in its place, and moves the old one to quarantine/, with a report. */
export function salvage(sqlite: Sqlite, file: string, known: Known): Salvage {
  const draft = draftOf(file);
  for (const ending of ['', ...JOURNALS]) rmSync(draft + ending, { force: true });
  const target = new sqlite(draft);
  let result: Omit<Salvage, 'kept'> | undefined;
  try {
    prepareTables(target, draft, true);
    target.transaction(() => {
      result = rescue(sqlite, file, { target, known });
      target.prepare(SET_STATE).run(lineOf(result.state));
    })();
    target.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    target.close();
  }
  const { saved, lost, open, state } = result as unknown as Omit<Salvage, 'kept'>;
  mkdirSync(quarantineOf(file), { recursive: true });
  const kept = join(quarantineOf(file), `${known.now}-${basename(file)}`);
  writeFileSync(`${kept}.json`, `${JSON.stringify({ saved, lost, open, foundAt: new Date(known.now).toISOString() }, null, 2)}\n`);
  // The database before its journals: as long as it is here a start begins anew and needs them, see finishSalvage.
  for (const ending of ['', ...JOURNALS]) if (existsSync(file + ending)) renameSync(file + ending, kept + ending);
  renameSync(draft, file);
  return { saved, lost, open, state, kept };
}

/** How many events are lost, and that in words. */
export function lossOf({ lost, open }: Salvage): { readonly count: number; readonly words: string } {
  const count = lost.reduce((sum, [from, to]) => sum + to - from, 0);
  const which = lost.map(([from, to]) => `${from} to ${to - 1}`).join(', ');
  const known = `${count} events (${which || 'none'})`;
  return { count, words: open ? `${count > 0 ? `${known} and ` : ''}an unknown number of events` : known };
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

/** Copies the rows that are as they were written, and finds out which are missing. */
function rescue(sqlite: Sqlite, file: string, { target, known }: { readonly target: Database; readonly known: Known }): Omit<Salvage, 'kept'> {
  const insert = target.prepare(INSERT.replace('INSERT', 'INSERT OR IGNORE'));
  const found = new RangeSet();
  let state = known.state;
  let first = Number.POSITIVE_INFINITY;
  let saved = 0;
  const keep = (row: Row): boolean => {
    const event = eventOf(row);
    if (event === null) return false;
    if (found.nextOutside(row.seq) !== row.seq || (state !== null && state.done.nextOutside(row.seq) !== row.seq)) return true;
    const headers = row.headers as string;
    insert.run(row.seq, headers, event.body, rowSum(row.seq, headers, event.body));
    found.add(row.seq, row.seq + 1);
    first = Math.min(first, row.seq);
    saved++;
    return true;
  };
  let source: Database | undefined;
  try {
    source = new sqlite(file);
    state = joined(
      attempt(() => storedState(source as Database)),
      state,
    );
    new RowReader(source).all(keep);
  } catch (error) {
    if (!isUnreadable(error)) throw error; // else not even the table can be found
  } finally {
    source?.close();
  }
  const next = Math.max(state?.next ?? 0, found.high);
  const done = new RangeSet();
  for (const [from, to] of state?.done.ranges() ?? []) done.add(from, to);
  // Without a state nothing says what was delivered before the first row that is left.
  if (state === null) done.add(0, Math.min(first, next));
  const lost: (readonly [number, number])[] = [];
  for (const [from, to] of gapsOf(found, done, { from: known.from, to: next })) {
    lost.push([from, to]);
    done.add(from, to);
  }
  return { saved, lost, open: state === null, state: { tag: state?.tag ?? newTag(), next, done } };
}

/** The ranges of [from, to) that are in neither set. */
function gapsOf(found: RangeSet, done: RangeSet, { from, to }: { readonly from: number; readonly to: number }): (readonly [number, number])[] {
  const both = new RangeSet();
  for (const set of [found, done]) for (const [begin, end] of set.ranges()) both.add(begin, end);
  const gaps: (readonly [number, number])[] = [];
  for (let at = both.nextOutside(from); at < to; ) {
    const end = Math.min(to, both.nextInside(at));
    gaps.push([at, end]);
    at = both.nextOutside(end);
  }
  return gaps;
}

/** Reads rows of a database that is damaged somewhere. */
class RowReader {
  readonly #many: Statement;
  readonly #first: Statement;

  constructor(db: Database) {
    const columns = columnsOf(db);
    this.#many = db.prepare(`SELECT ${columns} FROM events WHERE seq >= ? ORDER BY seq`);
    this.#first = db.prepare(`SELECT ${columns} FROM events WHERE seq >= ? ORDER BY seq LIMIT 1`);
  }

  /** Every row that can be read, some perhaps twice, in any order, and with anything in them. @param keep false = its number says nothing */
  all(keep: (row: Row) => boolean): void {
    for (let at = 0; at < Number.MAX_SAFE_INTEGER; ) {
      let reached = at;
      const whole = attempt(() => {
        for (const row of this.#many.iterate(at) as Iterable<Row>) {
          if (keep(row)) reached = Math.max(reached, row.seq);
        }
        return true;
      });
      if (whole) return;
      at = this.#nextReadable(reached, Number.MAX_SAFE_INTEGER);
    }
  }

  /** The lowest number above `at` from which on a row can be read, or `end`. What cannot be read is a page, so it is one run. */
  #nextReadable(at: number, end: number): number {
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
    if (isUnreadable(error)) return null;
    throw error;
  }
}

/** SQLITE_ERROR: what describes the table is damaged, so that the names in these statements are not known. */
function isUnreadable(error: unknown): boolean {
  return isDamage(error) || (error as { code?: unknown }).code === 'SQLITE_ERROR';
}
