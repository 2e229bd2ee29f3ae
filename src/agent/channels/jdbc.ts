/**
 * The jdbc channel (Flume's JdbcChannel, there on Derby): events as rows of one SQLite file, for those who want to look at
 * them with SQL. Puts and commits of one turn of the loop share a transaction; it is on the device when they return
 * (journal_mode = WAL, synchronous = FULL). The file channel is faster; this one is here for definitions that name it.
 *
 *   events(seq INTEGER PRIMARY KEY, headers TEXT as a JSON object, body BLOB)     user_version = format
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { lockDirectory } from '../../lib/dir-lock.ts';
import { AppError, ChannelError, ChannelFullError, ConfigError } from '../../lib/errors.ts';
import { bool, type Config, int, long, path, rest, secret, text } from '../../lib/props/spec.ts';
import { Loan } from '../../wal/queue/loan.ts';
import { leftOf, type Part, PartQueue } from '../../wal/queue/part.ts';
import { PutTrouble } from '../../wal/queue/put-trouble.ts';
import type { Channel, ChannelGauges, Lease } from '../core/channel.ts';
import { type ChannelContext, defineChannel } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { FillForecast } from '../core/fill-forecast.ts';
import { Takers } from '../core/takers.ts';
import {
  boundsOf,
  type Database,
  finishSalvage,
  headersText,
  isDamage,
  loadSqlite,
  openDatabase,
  partsOf,
  READ_AHEAD,
  type Row,
  type Salvage,
  type Sqlite,
  type Statement,
  salvage,
  storageError,
} from './jdbc-database.ts';

const DEFAULT_DIR = '.flume/jdbc-channel/db';
const FILE = 'events.sqlite';
const OLD = 'org.apache.flume.channel.jdbc.';
const NO_SERVER = 'SQLite is a file; its rights protect it';

const properties = {
  'driver.url': text({ aliases: [`${OLD}driver.url`], doc: `jdbc:sqlite:FILE. Default: ~/${DEFAULT_DIR}/${FILE}.` }),
  'db.type': text({ default: 'SQLITE', aliases: [`${OLD}db.type`], doc: "SQLITE; Flume's DERBY, its default, is read as that." }),
  'maximum.capacity': long({ default: 0, min: 0, unit: 'events', aliases: [`${OLD}maximum.capacity`], doc: 'Most events the channel holds; 0 = no bound.' }),
  'create.schema': bool({ default: true, aliases: [`${OLD}create.schema`], doc: 'Make the table when it is not there.' }),
  'driver.class': text({ doc: 'Flume: the JDBC driver.', ignored: 'the driver is SQLite', aliases: [`${OLD}driver.class`] }),
  'db.username': text({ doc: 'Flume: the user.', ignored: NO_SERVER, aliases: [`${OLD}db.username`] }),
  'db.password': secret({ doc: 'Flume: the password.', ignored: NO_SERVER, aliases: [`${OLD}db.password`] }),
  'connection.properties.file': path({
    doc: 'Flume: further settings of the driver.',
    ignored: 'the driver is SQLite',
    aliases: [`${OLD}connection.properties.file`],
  }),
  'create.index': bool({ doc: 'Flume: make indexes.', ignored: 'the primary key is the only index needed', aliases: [`${OLD}create.index`] }),
  'create.foreignkey': bool({ doc: 'Flume: make foreign keys.', ignored: 'there is one table', aliases: [`${OLD}create.foreignkey`] }),
  'transaction.isolation': text({
    doc: 'Flume: isolation level.',
    ignored: 'one process writes, one transaction after the other',
    aliases: [`${OLD}transaction.isolation`],
  }),
  'maximum.connections': int({
    doc: 'Flume: size of the connection pool.',
    ignored: 'one connection is enough for a file',
    aliases: [`${OLD}maximum.connections`],
  }),
  'sysprop.*': rest({ doc: 'Flume: system properties for Derby. No effect here.' }),
};
type JdbcConfig = Config<typeof properties>;

/** The database file of a configuration. */
export function databaseFile(config: JdbcConfig, home: string): string {
  const url = config['driver.url'];
  return url === undefined ? resolve(home, DEFAULT_DIR, FILE) : resolve(url.replace(/^jdbc:sqlite:/i, ''));
}

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
  #puts: PendingPut[] = [];
  #done: (readonly [from: number, to: number])[] = [];
  /** The transaction of this turn, until it is through. */
  #turn: Promise<void> | null = null;
  #next = 0;
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
    let db: Database | undefined;
    try {
      db = openDatabase(sqlite, file, this.#config['create.schema']);
      const { first, last } = boundsOf(db);
      this.#next = Math.max(this.#next, (last ?? -1) + 1);
      this.#cursor = (first ?? this.#next) - 1;
      // Numbers that are not there, since sinks finished out of order, are taken off when the reader gets to them.
      this.#waiting = this.#next - this.#cursor - 1;
    } catch (error) {
      db?.close();
      if (!isDamage(error)) throw error instanceof AppError ? error : storageError(file, error);
      this.#heal(file, null);
      return;
    }
    this.#use(db);
  }

  #use(db: Database): void {
    this.#db = db;
    this.#insert = db.prepare('INSERT INTO events (seq, headers, body) VALUES (?, ?, ?)');
    this.#delete = db.prepare('DELETE FROM events WHERE seq >= ? AND seq < ?');
    this.#select = db.prepare('SELECT seq, headers, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?');
  }

  /** The file is damaged: goes on with what can be read of it. @throws ChannelError; a running channel asks to be opened anew then */
  #heal(file: string, to: number | null): void {
    const sqlite = this.#sqlite as Sqlite;
    this.#db?.close();
    this.#db = null;
    let done: Salvage;
    try {
      done = salvage(sqlite, file, { to, now: this.#ctx.clock.now() });
      const db = openDatabase(sqlite, file, true);
      this.#use(db);
      if (to === null) {
        const { first, last } = boundsOf(db);
        this.#next = Math.max(this.#next, (last ?? -1) + 1, done.lost.at(-1)?.[1] ?? 0);
        this.#cursor = (first ?? this.#next) - 1;
        this.#waiting = this.#next - this.#cursor - 1;
      }
    } catch (error) {
      const failure = storageError(file, error);
      if (to !== null) this.#ctx.failed(failure);
      throw failure;
    }
    // What was read before is in memory.
    const lost =
      to === null ? done.lost : done.lost.flatMap(([from, end]) => (end > this.#cursor + 1 ? [[Math.max(from, this.#cursor + 1), end] as const] : []));
    const count = lost.reduce((sum, [from, end]) => sum + end - from, 0);
    const { extra, log } = this.#ctx;
    extra.EventsLostCount = (extra.EventsLostCount ?? 0) + count;
    const which = lost.map(([from, end]) => `${from} to ${end - 1}`).join(', ');
    const gone = done.open ? `${count > 0 ? `${count} events (${which}) and ` : ''}an unknown number of events` : `${count} events (${which || 'none'})`;
    log.error(`${file} is damaged: ${gone} in it cannot be read and are lost; it was moved to ${done.kept}, with a report beside it, and the channel goes on`);
  }

  /** Does it once more after a damaged file was put right. */
  #healing<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#heal(databaseFile(this.#config, this.#ctx.home), this.#next);
      return work();
    }
  }

  async stop(): Promise<void> {
    this.#takers.close();
    await this.#turn;
    this.#db?.close();
    this.#db = null;
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
    try {
      this.#healing(() => {
        next = this.#next;
        if (!this.#db) throw this.#closed();
        this.#db.transaction(() => {
          for (const [from, to] of done) this.#delete?.run(from, to);
          for (const { events } of puts) for (const { headers, body } of events) this.#insert?.run(next++, headersText(headers), body);
        })();
      });
    } catch (error) {
      this.#failed(puts, storageError(databaseFile(this.#config, this.#ctx.home), error));
      return;
    }
    this.#done = [];
    this.#waiting += next - this.#next;
    this.#next = next;
    for (const put of puts) put.settle(null);
    if (puts.length === 0) return;
    this.#trouble.worked();
    this.#takers.wakeOne();
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
    let rows: Row[];
    try {
      rows = this.#healing(() => this.#select?.all(this.#cursor, READ_AHEAD) as Row[]);
    } catch (error) {
      if (quietly) return false;
      throw storageError(databaseFile(this.#config, this.#ctx.home), error);
    }
    const { parts, damaged } = partsOf(rows);
    for (const part of parts) this.#ready.insert(part);
    if (damaged.length > 0) this.#leaveOut(damaged);
    const last = rows[rows.length - 1]?.seq ?? this.#next - 1;
    // Numbers without a row were delivered out of order before the last start, or are lost.
    this.#waiting -= last - this.#cursor - rows.length;
    this.#cursor = last;
    return parts.length > 0 || (rows.length > 0 && this.#read(quietly));
  }

  /** Rows with damaged headers, at which delivery would stand still. */
  #leaveOut(damaged: readonly number[]): void {
    const { extra, log } = this.#ctx;
    this.#waiting -= damaged.length;
    for (const sequence of damaged) this.#done.push([sequence, sequence + 1]);
    void this.#schedule();
    extra.EventsLostCount = (extra.EventsLostCount ?? 0) + damaged.length;
    log.error(`${damaged.length} events (${damaged.join(', ')}) in ${databaseFile(this.#config, this.#ctx.home)} have damaged headers and are lost`);
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
  check: (config) => {
    const url = config['driver.url'];
    const findings = [];
    if (url !== undefined && !/^jdbc:sqlite:./i.test(url)) {
      findings.push({
        code: 'foreign-database',
        severity: 'error' as const,
        message: `driver.url ${url} names a database that needs Java`,
        fix: 'write jdbc:sqlite:FILE, or leave it out for the default file',
        key: 'driver.url',
      });
    }
    if (!/^(SQLITE|DERBY)$/i.test(config['db.type'])) {
      findings.push({
        code: 'foreign-database',
        severity: 'error' as const,
        message: `db.type ${config['db.type']} cannot be had here`,
        fix: 'leave it out: events are kept in an SQLite file',
        key: 'db.type',
      });
    }
    return findings;
  },
  facts: (config) => ({ capacity: config['maximum.capacity'], owns: [config['driver.url']?.replace(/^jdbc:sqlite:/i, '') ?? `~/${DEFAULT_DIR}`] }),
  delivery: () => ({
    crash: { effect: 'doubles', note: 'nothing stored is lost; what a sink had delivered but not yet committed is delivered again' },
    stop: { effect: 'nothing', note: 'everything waits in the database for the next start' },
  }),
  create: (config, ctx) => new JdbcChannel(config, ctx),
});
