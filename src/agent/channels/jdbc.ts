/**
 * The jdbc channel (Flume's JdbcChannel, there on Derby): events as rows of one SQLite file, for those who want to look at
 * them with SQL. Puts and commits of one turn of the loop share a transaction; it is on the device when they return
 * (journal_mode = WAL, synchronous = FULL). The file channel is faster; this one is here for definitions that name it.
 *
 *   events(seq INTEGER PRIMARY KEY, headers TEXT as a JSON object, body BLOB, sum INTEGER)     user_version = format
 *   state(id = 1, line TEXT)                                                     see jdbc-state.ts for both checksums
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { lockDirectory } from '../../lib/dir-lock.ts';
import { AppError, ChannelError, ChannelFullError, ConfigError, errorText } from '../../lib/errors.ts';
import { Loan } from '../../wal/queue/loan.ts';
import { leftOf, type Part, PartQueue } from '../../wal/queue/part.ts';
import { PutTrouble } from '../../wal/queue/put-trouble.ts';
import { RangeSet } from '../../wal/queue/ranges.ts';
import type { Channel, ChannelGauges, Lease } from '../core/channel.ts';
import { type ChannelContext, defineChannel } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { FillForecast } from '../core/fill-forecast.ts';
import { Takers } from '../core/takers.ts';
import {
  type Database,
  damage,
  eventOf,
  headersText,
  INSERT,
  isDamage,
  lastRow,
  loadSqlite,
  openDatabase,
  partsOf,
  READ_AHEAD,
  type Row,
  SET_STATE,
  type Sqlite,
  type Statement,
  storageError,
} from './jdbc-database.ts';
import { finishSalvage, lossOf, type Salvage, salvage } from './jdbc-salvage.ts';
import { DEFAULT_DIR, databaseFile, findingsOf, type JdbcConfig, properties } from './jdbc-settings.ts';
import { isBehind, joined, lineOf, type QueueState, readSafeLine, rowSum, SafeLine } from './jdbc-state.ts';

interface PendingPut {
  readonly events: readonly Event[];
  readonly settle: (error: Error | null) => void;
}

class JdbcChannel implements Channel {
  readonly #config: JdbcConfig;
  readonly #ctx: ChannelContext;
  readonly #takers = new Takers();
  readonly #forecast: FillForecast;
  readonly #trouble: PutTrouble;
  #ready = new PartQueue();
  #db: Database | null = null;
  #sqlite: Sqlite | null = null;
  #unlock: () => void = () => {};
  #insert: Statement | null = null;
  #delete: Statement | null = null;
  #select: Statement | null = null;
  #setState: Statement | null = null;
  #safe: SafeLine | null = null;
  #safeFailed = false;
  #puts: PendingPut[] = [];
  #done: (readonly [from: number, to: number])[] = [];
  /** The transaction of this turn, until it is through. */
  #turn: Promise<void> | null = null;
  #tag = '';
  #next = 0;
  /** What was delivered, or is lost. */
  #past = new RangeSet();
  /** The last number read. */
  #cursor = -1;
  #waiting = 0;
  #lent = 0;

  constructor(config: JdbcConfig, ctx: ChannelContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#forecast = new FillForecast(ctx.clock);
    this.#trouble = new PutTrouble(ctx);
  }

  /** @throws ConfigError, DirectoryInUseError, AppError */
  async start(): Promise<void> {
    const sqlite = loadSqlite();
    const file = databaseFile(this.#config, this.#ctx.home);
    const dir = dirname(file);
    mkdirSync(dir, { recursive: true });
    if (readdirSync(dir).includes('service.properties')) {
      throw new ConfigError(`${dir} holds a Derby database of Java Flume`, {
        fix: 'let Flume drain it first, or set driver.url = jdbc:sqlite:FILE to another place',
      });
    }
    this.#unlock = lockDirectory(dir, 'in_use.lock', `channel ${this.#ctx.name} of agent ${this.#ctx.agent}`);
    try {
      this.#open(sqlite, file);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#takers.open();
    this.#ctx.log.info(`open with ${this.#waiting} events waiting in ${file}`);
  }

  #open(sqlite: Sqlite, file: string): void {
    finishSalvage(file);
    this.#sqlite = sqlite;
    this.#ready = new PartQueue();
    this.#lent = 0;
    const safe = readSafeLine(file);
    const known = joined(this.#tag === '' ? null : this.#state, safe);
    let db: Database | undefined;
    try {
      const opened = openDatabase(sqlite, file, this.#config['create.schema']);
      db = opened.db;
      const state = joined(opened.state, known);
      const last = lastRow(db);
      // Behind: the journal was cut off at a damaged byte, and what is left of it may not fit the pages in the file.
      if (state === null || (opened.state !== null && isBehind(opened.state, safe)) || state.next > (opened.state ?? state).next) {
        throw damage('transactions at the end are missing');
      }
      if (last !== undefined && (last.seq >= state.next || eventOf(last) === null)) throw damage('the last row is damaged');
      this.#use(db, state);
    } catch (error) {
      this.#db = null;
      db?.close();
      if (!isDamage(error)) throw error instanceof AppError ? error : storageError(file, error);
      this.#heal(file, known);
    }
    try {
      this.#begin(file);
    } catch (error) {
      throw storageError(file, error);
    }
  }

  /** Reads from the start. Numbers that are done with are taken off when the reader gets to them. */
  #begin(file: string): void {
    this.#cursor = this.#past.low - 1;
    this.#waiting = this.#next - this.#past.low;
    this.#healing(() => this.#setState?.run(lineOf(this.#state)));
    this.#safe = new SafeLine(file);
    this.#noteSafe();
  }

  get #state(): QueueState {
    return { tag: this.#tag, next: this.#next, done: this.#past };
  }

  #use(db: Database, { tag, next, done }: QueueState): void {
    this.#insert = db.prepare(INSERT);
    this.#delete = db.prepare('DELETE FROM events WHERE seq >= ? AND seq < ?');
    this.#select = db.prepare('SELECT seq, headers, body, sum FROM events WHERE seq > ? ORDER BY seq LIMIT ?');
    this.#setState = db.prepare(SET_STATE);
    this.#db = db;
    this.#tag = tag;
    this.#next = next;
    this.#past = done;
  }

  /** The line is a second witness, so without it only the end of a damaged journal goes unnoticed: no reason to fail what is stored. */
  #noteSafe(): void {
    try {
      this.#safe?.write(lineOf(this.#state));
      this.#safeFailed = false;
    } catch (error) {
      if (!this.#safeFailed) this.#ctx.log.warn(`${databaseFile(this.#config, this.#ctx.home)}.safe cannot be written: ${errorText(error)}`);
      this.#safeFailed = true;
    }
  }

  /** The file is damaged: goes on with what can be read of it. `known`: the start's; else the channel runs. @throws ChannelError; a running channel asks to be opened anew then */
  #heal(file: string, known?: QueueState | null): void {
    const sqlite = this.#sqlite as Sqlite;
    const running = known === undefined;
    this.#db?.close();
    this.#db = null;
    let done: Salvage;
    try {
      // What was read before is in memory.
      const from = running ? this.#cursor + 1 : 0;
      done = salvage(sqlite, file, { state: running ? this.#state : known, from, now: this.#ctx.clock.now() });
      this.#use(openDatabase(sqlite, file, true).db, done.state);
    } catch (error) {
      const failure = storageError(file, error);
      if (running) this.#ctx.failed(failure);
      throw failure;
    }
    const { count, words } = lossOf(done);
    const { extra, log } = this.#ctx;
    extra.EventsLostCount = (extra.EventsLostCount ?? 0) + count;
    log.error(`${file} is damaged: ${words} in it cannot be read and are lost; it was moved to ${done.kept}, with a report beside it, and the channel goes on`);
  }

  /** Does it once more after a damaged file was put right. */
  #healing<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#heal(databaseFile(this.#config, this.#ctx.home));
      return work();
    }
  }

  async stop(): Promise<void> {
    this.#takers.close();
    await this.#turn;
    this.#db?.close();
    this.#db = null;
    this.#safe?.close();
    this.#safe = null;
    this.#unlock();
    this.#unlock = () => {};
  }

  put(batch: readonly Event[], signal: AbortSignal): Promise<void> {
    if (batch.length === 0) return Promise.resolve();
    if (!this.#db) return Promise.reject(this.#closed());
    if (signal.aborted) return Promise.reject(new ChannelError('a put was given up, because its source stops', { retriable: true }));
    const capacity = this.#config['maximum.capacity'];
    const pending = this.#puts.reduce((sum, { events }) => sum + events.length, 0);
    if (capacity > 0 && this.#waiting + this.#lent + pending + batch.length > capacity) {
      return Promise.reject(
        new ChannelFullError(`JDBC channel capacity reached: maximum.capacity is ${capacity}`, { fix: 'see why the sink is slow, or raise maximum.capacity' }),
      );
    }
    return new Promise((resolvePut, reject) => {
      this.#puts.push({ events: batch.slice(), settle: (error) => (error ? reject(error) : resolvePut()) });
      void this.#schedule();
    });
  }

  #closed(): ChannelError {
    return new ChannelError(`Channel closed [channel=${this.#ctx.name}]`, { retriable: true });
  }

  /** Everything asked for in this turn of the loop goes into one transaction. */
  #schedule(): Promise<void> {
    this.#turn ??= new Promise((resolveTurn) => {
      setImmediate(() => {
        this.#turn = null;
        this.#transact();
        resolveTurn();
      });
    });
    return this.#turn;
  }

  #transact(): void {
    const puts = this.#puts.splice(0);
    const done = this.#done;
    let next = this.#next;
    // They are done with also when this is not stored now; then it is with the next transaction.
    for (const [from, to] of done) this.#past.add(from, to);
    try {
      this.#healing(() => {
        next = this.#next;
        if (!this.#db) throw this.#closed();
        this.#db.transaction(() => {
          for (const [from, to] of done) this.#delete?.run(from, to);
          for (const { events } of puts) next = this.#store(events, next);
          this.#setState?.run(lineOf({ ...this.#state, next }));
        })();
      });
    } catch (error) {
      this.#failed(puts, storageError(databaseFile(this.#config, this.#ctx.home), error));
      return;
    }
    this.#done = [];
    this.#waiting += next - this.#next;
    this.#next = next;
    this.#noteSafe();
    for (const put of puts) put.settle(null);
    if (puts.length === 0) return;
    this.#trouble.worked();
    this.#takers.wakeOne();
  }

  /** The number after the last. */
  #store(events: readonly Event[], first: number): number {
    let seq = first;
    for (const { headers, body } of events) {
      const text = headersText(headers);
      this.#insert?.run(seq, text, body, rowSum(seq, text, body));
      seq++;
    }
    return seq;
  }

  /** Nothing of the turn is stored. What was delivered is noted with the next one; until then a crash delivers it twice. */
  #failed(puts: readonly PendingPut[], error: ChannelError): void {
    for (const _ of puts) this.#trouble.failed(error, true);
    if (puts.length === 0) this.#ctx.log.warn(`${error.message}; after a crash now some events would be delivered twice`);
    for (const put of puts) put.settle(error);
  }

  take(max: number, signal: AbortSignal): Promise<Lease | null> {
    return this.#takers.take(signal, () => this.#lend(max));
  }

  #lend(max: number): Lease | null {
    const parts: Part[] = [];
    let count = 0;
    while (this.#db && count < max && (!this.#ready.isEmpty || this.#read(count > 0))) {
      const part = this.#ready.shift(max - count);
      parts.push(part);
      count += leftOf(part);
    }
    if (count === 0) return null;
    this.#waiting -= count;
    this.#lent += count;
    const ready = this.#ready;
    return new Loan(parts, (done, back) => this.#settle(done, back, ready));
  }

  /** Gets the next rows into memory; false = there are none. With `quietly` an error is left for the next call. */
  #read(quietly: boolean): boolean {
    let found: ReturnType<typeof partsOf>;
    try {
      found = this.#healing(() => {
        const rows = this.#select?.all(this.#cursor, READ_AHEAD) as Row[];
        return partsOf(rows, { at: this.#cursor + 1, next: this.#next, done: this.#past });
      });
    } catch (error) {
      if (quietly) return false;
      throw storageError(databaseFile(this.#config, this.#ctx.home), error);
    }
    const { parts, back, end } = found;
    let count = 0;
    for (const part of parts) {
      this.#ready.insert(part);
      count += leftOf(part);
    }
    for (const seq of back) this.#done.push([seq, seq + 1]);
    if (back.length > 0) void this.#schedule();
    // Numbers without a row were delivered out of order before the last start, or are lost.
    this.#waiting -= end - this.#cursor - 1 - count;
    this.#cursor = end - 1;
    return parts.length > 0 || (end < this.#next && this.#read(quietly));
  }

  /** `from`: what was ready when the events were lent. Another one now: the database was opened anew, and they wait again already. */
  #settle(done: readonly (readonly [number, number])[], back: readonly Part[], from: PartQueue): Promise<void> {
    let count = 0;
    for (const [begin, end] of done) count += end - begin;
    if (from === this.#ready) this.#giveBack(count, back);
    this.#done.push(...done);
    return count === 0 || !this.#db ? Promise.resolve() : this.#schedule();
  }

  #giveBack(count: number, back: readonly Part[]): void {
    let returned = 0;
    for (const part of back) {
      returned += leftOf(part);
      if (leftOf(part) > 0) this.#ready.insert(part);
    }
    this.#lent -= count + returned;
    this.#waiting += returned;
    if (returned > 0) this.#takers.wakeOne();
  }

  gauges(): ChannelGauges {
    return { size: this.#waiting, capacity: this.#config['maximum.capacity'], lent: this.#lent };
  }

  extraGauges(): Record<string, number | string> {
    return { Open: String(this.#db !== null), TimeToFullSeconds: this.#forecast.secondsToFull(this.#waiting + this.#lent, this.#config['maximum.capacity']) };
  }
}

export default defineChannel({
  type: 'jdbc',
  aliases: ['org.apache.flume.channel.jdbc.JdbcChannel'],
  summary: 'Keeps events in an SQLite file; slower than the file channel.',
  properties,
  counters: {
    EventPutErrorCount: 'Puts that the database refused or failed.',
    EventsLostCount: 'Events that cannot be read any more, since the database is damaged.',
  },
  check: (config) => findingsOf(config),
  facts: (config) => ({ capacity: config['maximum.capacity'], owns: [config['driver.url']?.replace(/^jdbc:sqlite:/i, '') ?? `~/${DEFAULT_DIR}`] }),
  delivery: () => ({
    crash: { effect: 'doubles', note: 'nothing stored is lost; what a sink had delivered but not yet committed is delivered again' },
    stop: { effect: 'nothing', note: 'everything waits in the database for the next start' },
  }),
  create: (config, ctx) => new JdbcChannel(config, ctx),
});
