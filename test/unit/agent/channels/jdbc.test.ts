// Needs better-sqlite3 with its native part (npm test compiles it where it can); without it the tests are skipped by name.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import jdbc from '../../../../src/agent/channels/jdbc.ts';
import { faultsOf, storedRows } from '../../../../src/agent/channels/jdbc-database.ts';
import type { Channel, Lease } from '../../../../src/agent/core/channel.ts';
import { ChannelFullError, ConfigError } from '../../../../src/lib/errors.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';
import { configOf, contextOf, idOf, never, numbered } from '../../../channel-model.ts';
import { compiled, sqlite } from '../../../sqlite.ts';

interface Connection {
  readonly open: boolean;
  pragma(text: string, options?: { simple: boolean }): unknown;
  exec(text: string): void;
  prepare(text: string): unknown;
  close(): void;
}

const temporary: string[] = [];
afterEach(() => {
  for (const dir of temporary.splice(0)) fs.rmSync(dir, { recursive: true, force: true });
});
function databasePath(): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-jdbc-'));
  temporary.push(dir);
  return path.join(dir, 'events.sqlite');
}
async function open(file: string, more: Record<string, string> = {}) {
  const { ctx, voice } = contextOf(undefined);
  const channel: Channel = jdbc.create(configOf(jdbc, { 'driver.url': `jdbc:sqlite:${file}`, ...more }), ctx);
  await channel.start();
  return { channel, voice };
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
/** A file with events 700 to 9999, in which a leaf of the table is damaged but for its type: such a page is damage that SQLite sees. */
async function damagedFile(leaf: (leaves: readonly number[]) => number): Promise<string> {
  const file = databasePath();
  const { channel } = await open(file);
  for (let i = 0; i < 20; i++) await channel.put(range(500 * i, 500 * i + 500).map(numbered), never);
  await (await take(channel, 700)).commit();
  await channel.stop();
  const bytes = fs.readFileSync(file);
  const pageBytes = bytes.readUInt16BE(16);
  const leaves = range(1, bytes.length / pageBytes).filter((page) => bytes[page * pageBytes] === 13);
  const bad = leaf(leaves);
  bytes.fill(0xee, bad * pageBytes, (bad + 1) * pageBytes);
  fs.writeFileSync(file, bytes);
  return file;
}
const middle = (leaves: readonly number[]): number => leaves[Math.floor(leaves.length / 2)] as number;
/** Takes and commits until nothing comes any more. */
async function drained(channel: Channel, got: number[] = []): Promise<number[]> {
  while (channel.gauges().size > 0) {
    const lease = await channel.take(400, AbortSignal.timeout(200));
    if (lease === null) break;
    got.push(...lease.events.map(idOf));
    await lease.commit();
  }
  return got;
}
const take = async (channel: Channel, max: number): Promise<Lease> => (await channel.take(max, AbortSignal.timeout(5_000))) as Lease;

describe.runIf(compiled)('with SQLite', () => {
  test('keeps order and content over rollbacks, partial commits and restarts', async () => {
    const file = databasePath();
    const { channel } = await open(file);
    await Promise.all([channel.put(range(0, 1500).map(numbered), never), channel.put(range(1500, 1510).map(numbered), never)]);
    const first = await take(channel, 10);
    (await take(channel, 5)).rollback();
    await first.commit(4);
    expect(channel.gauges()).toEqual({ size: 1506, capacity: 0, lent: 0 });
    await channel.stop();
    const again = await open(file);
    expect((await take(again.channel, 5000)).events.map(idOf)).toEqual(range(4, 1510));
    await again.channel.stop();
  });

  test('maximum.capacity bounds it, at once as in Flume', async () => {
    const { channel } = await open(databasePath(), { 'maximum.capacity': '2' });
    await channel.put([1, 2].map(numbered), never);
    await expect(channel.put([numbered(3)], never)).rejects.toBeInstanceOf(ChannelFullError);
    await (await take(channel, 1)).commit();
    await channel.put([numbered(4)], never);
    expect((await take(channel, 9)).events.map(idOf)).toEqual([2, 4]);
    await channel.stop();
  });

  test('a taker that waits is woken; a stop sends it away', async () => {
    const { channel } = await open(databasePath());
    const waiting = take(channel, 1);
    await channel.put([numbered(1)], never);
    expect((await waiting).events.map(idOf)).toEqual([1]);
    const idle = channel.take(1, never);
    await channel.stop();
    expect(await idle).toBeNull();
  });

  test('a damaged database is put aside and the channel starts; a newer one and one in use are refused', async () => {
    const file = databasePath();
    fs.writeFileSync(file, 'x'.repeat(5000));
    const { channel, voice } = await open(file);
    expect(voice.lines.join('\n')).toContain('it was moved to');
    expect(fs.readdirSync(path.join(path.dirname(file), 'quarantine'))).toEqual([
      expect.stringMatching(/-events\.sqlite$/),
      expect.stringMatching(/-events\.sqlite\.json$/),
    ]);
    await expect(open(file)).rejects.toThrow('already locked');
    await channel.stop();
    const db = new (sqlite())(file);
    db.pragma('user_version = 9');
    db.exec(`UPDATE state SET line = '{"format":9}'`);
    db.close();
    await expect(open(file)).rejects.toThrow('newer version');
  });

  test.each(['at the start', 'while it runs'])(
    'a damaged page found %s: all other events come out, and those in it are counted and kept aside',
    async (when) => {
      const file = await damagedFile(when === 'at the start' ? (leaves) => leaves.at(-1) as number : middle);
      const { channel, voice } = await open(file);
      const got = await drained(channel);
      const missing = range(700, 10_000).filter((id) => !got.includes(id));
      expect(got).toEqual([...got].sort((a, b) => a - b));
      expect(missing.length).toBeGreaterThan(0);
      expect(missing.length).toBeLessThan(200);
      expect(voice.lines.join('\n')).toContain(`${missing.length} events (${missing[0]} to ${missing.at(-1)})`);
      expect(voice.extra.EventsLostCount).toBe(missing.length);
      expect(channel.gauges()).toMatchObject({ size: 0, lent: 0 });
      await channel.put([numbered(10_000)], never);
      expect((await take(channel, 9)).events.map(idOf)).toEqual([10_000]);
      await channel.stop();
    },
  );

  test('a damaged file that cannot be put right: the channel asks to be opened anew, and goes on when it can be', async () => {
    const file = await damagedFile(middle);
    const quarantine = path.join(path.dirname(file), 'quarantine');
    fs.writeFileSync(quarantine, 'in the way');
    const { channel, voice } = await open(file);
    const lent = await take(channel, 10);
    const before: number[] = [];
    await drained(channel, before);
    expect(voice.failures.map(({ message }) => message)).toEqual([expect.stringMatching(/^the database .* failed: EEXIST.*quarantine/)]);
    // All that had been read, a thousand at a time, came out first.
    expect((lent.events.length + before.length) % 1_000).toBe(0);
    fs.rmSync(quarantine);
    await channel.stop();
    await channel.start();
    await lent.commit();
    const got = await drained(channel);
    expect(got.at(-1)).toBe(9_999);
    expect(got).not.toContain(700);
    expect(channel.gauges()).toMatchObject({ size: 0, lent: 0 });
    await channel.stop();
  });

  test('after a damaged file was put right puts wait for the device as before', async () => {
    const file = databasePath();
    fs.writeFileSync(file, 'x'.repeat(5000));
    const prepared = vi.spyOn(sqlite().prototype as Connection, 'prepare');
    try {
      const { channel } = await open(file);
      const used = new Set(prepared.mock.contexts.filter((one) => (one as Connection).open) as Connection[]);
      // synchronous is a setting of a connection, not of a file; 2 = FULL.
      expect([...used].map((one) => one.pragma('synchronous', { simple: true }))).toEqual([2]);
      await channel.stop();
    } finally {
      prepared.mockRestore();
    }
  });

  test('a journal that a cut off salvage left is not played into the new file', async () => {
    const [old, saved] = [databasePath(), databasePath()];
    const damaged = await open(old);
    await damaged.channel.put(range(0, 50).map(numbered), never);
    const journal = fs.readFileSync(`${old}-wal`);
    await damaged.channel.stop();
    const second = await open(saved);
    await second.channel.put(range(100, 105).map(numbered), never);
    await second.channel.stop();
    // As a kill leaves it between the last two renames: the database is aside, its journal is not, the new one waits.
    const quarantine = path.join(path.dirname(old), 'quarantine');
    fs.mkdirSync(quarantine);
    fs.renameSync(old, path.join(quarantine, '17-events.sqlite'));
    fs.writeFileSync(`${old}-wal`, journal);
    fs.copyFileSync(saved, `${old}.salvaged`);
    const { channel } = await open(old);
    expect((await take(channel, 100)).events.map(idOf)).toEqual(range(100, 105));
    expect(fs.readdirSync(quarantine)).toContain('17-events.sqlite-wal');
    await channel.stop();
  });

  test('an event whose headers are damaged is left out, said and counted, and does not stop those behind it', async () => {
    const file = databasePath();
    const first = await open(file);
    await first.channel.put(range(0, 1_100).map(numbered), never);
    await first.channel.stop();
    const db = new (sqlite())(file);
    db.exec(`UPDATE events SET headers = '{"id' WHERE seq < 1005 AND seq <> 500`);
    db.close();
    const { channel, voice } = await open(file);
    expect((await take(channel, 1)).events.map(idOf)).toEqual([500]);
    expect((await take(channel, 1_000)).events.map(idOf)).toEqual(range(1_005, 1_100));
    expect(channel.gauges()).toMatchObject({ size: 0, lent: 96 });
    expect(voice.extra.EventsLostCount).toBe(1_004);
    await channel.stop();
    const again = await open(file);
    await take(again.channel, 1_000);
    expect(again.voice.extra.EventsLostCount ?? 0).toBe(0);
    await again.channel.stop();
  });

  test('a changed byte of a body, and a row that is not there any more, are noticed, kept aside and counted, once', async () => {
    const file = databasePath();
    const first = await open(file);
    await first.channel.put(range(0, 30).map(numbered), never);
    await first.channel.stop();
    const db = new (sqlite())(file);
    db.exec(
      "UPDATE events SET body = zeroblob(length(body)) WHERE seq = 4; DELETE FROM events WHERE seq IN (10, 11); UPDATE events SET sum = '' WHERE seq = 20",
    );
    db.close();
    expect(faultsOf(file)).toEqual(['event 4 is damaged', 'event 20 is damaged', '4 events are damaged or missing']);
    const { channel, voice } = await open(file);
    expect(await drained(channel)).toEqual(range(0, 30).filter((id) => ![4, 10, 11, 20].includes(id)));
    expect(voice.extra.EventsLostCount).toBe(4);
    expect(voice.lines.join('\n')).toMatch(/4 events \(4 to 4, 10 to 11, 20 to 20\) in it cannot be read and are lost; it was moved to .*quarantine/);
    await channel.stop();
    expect(faultsOf(file)).toEqual([]);
    expect((await open(file)).voice.extra.EventsLostCount ?? 0).toBe(0);
  });

  test('after a kill, a journal that lost its end costs what was in it, and that is counted', async () => {
    const [file, killed] = [databasePath(), databasePath()];
    const { channel } = await open(file);
    for (let i = 0; i < 10; i++) await channel.put(range(3 * i, 3 * i + 3).map(numbered), never);
    for (const ending of ['', '-wal', '.safe']) fs.copyFileSync(file + ending, killed + ending);
    await channel.stop();
    fs.truncateSync(`${killed}-wal`, fs.statSync(`${killed}-wal`).size - 1);
    const again = await open(killed);
    const lost = again.voice.extra.EventsLostCount ?? 0;
    expect(lost).toBe(3);
    expect(await drained(again.channel)).toEqual(range(0, 27));
    await again.channel.put([numbered(30)], never);
    expect(await drained(again.channel)).toEqual([30]);
    await again.channel.stop();
  });

  test('a database of the format before, without checksums, is taken over with what it had delivered out of order', async () => {
    const file = databasePath();
    const db = new (sqlite())(file);
    db.exec('CREATE TABLE events (seq INTEGER PRIMARY KEY, headers TEXT NOT NULL, body BLOB NOT NULL); PRAGMA user_version = 1');
    const insert = db.prepare('INSERT INTO events VALUES (?, ?, ?)') as { run(...values: unknown[]): void };
    for (const id of [3, 4, 9]) insert.run(id, JSON.stringify(numbered(id).headers), numbered(id).body);
    db.close();
    expect(faultsOf(file)).toEqual([]);
    expect([...storedRows(file)].map(({ sequence }) => sequence)).toEqual([3, 4, 9]);
    const { channel, voice } = await open(file);
    await channel.put([numbered(10)], never);
    const lease = await take(channel, 9);
    expect(lease.events.map(idOf)).toEqual([3, 4, 9, 10]);
    await lease.commit();
    expect(await drained(channel)).toEqual([]);
    expect(channel.gauges()).toMatchObject({ size: 0, lent: 0 });
    expect(voice.extra.EventsLostCount ?? 0).toBe(0);
    await channel.stop();
  });

  test('what sinks finished out of order is no loss, and the size is right when it was read', async () => {
    const file = databasePath();
    const first = await open(file);
    await first.channel.put(range(0, 30).map(numbered), never);
    await take(first.channel, 10);
    await (await take(first.channel, 10)).commit();
    await first.channel.stop();
    const { channel, voice } = await open(file);
    expect((await take(channel, 100)).events.map(idOf)).toEqual([...range(0, 10), ...range(20, 30)]);
    expect(channel.gauges()).toMatchObject({ size: 0, lent: 20 });
    expect(voice.extra.EventsLostCount ?? 0).toBe(0);
    await channel.stop();
  });

  test('create.schema = false leaves a database without the table alone; the default place is under the home directory', async () => {
    await expect(open(databasePath(), { 'create.schema': 'false' })).rejects.toThrow('has no table "events", and create.schema is false');
    const home = path.dirname(databasePath());
    const channel = jdbc.create(configOf(jdbc, {}), contextOf(undefined, undefined, home).ctx);
    await channel.start();
    expect(fs.existsSync(path.join(home, '.flume/jdbc-channel/db/events.sqlite'))).toBe(true);
    await channel.stop();
  });

  test('a Derby directory of Java Flume is not ignored', async () => {
    const file = databasePath();
    fs.writeFileSync(path.join(path.dirname(file), 'service.properties'), '');
    await expect(open(file)).rejects.toBeInstanceOf(ConfigError);
  });
});

function judge(raw: Record<string, string>) {
  const written = Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }]));
  const { config, findings, unknown } = parseProperties(jdbc.properties, written);
  return { config, unknown, findings: [...findings, ...(config === null ? [] : (jdbc.check?.(config, written) ?? []))] };
}

test('settings of other databases are refused by name', () => {
  expect(judge({ 'driver.url': 'jdbc:mysql://h/x', 'db.type': 'MYSQL' }).findings.map(({ key }) => key)).toEqual(['driver.url', 'db.type']);
});

test("Flume's DERBY, its default, means the same here", () => {
  expect(judge({ 'db.type': 'DERBY' }).findings.filter(({ severity }) => severity === 'error')).toEqual([]);
});

test.each([
  'driver.class',
  'db.username',
  'db.password',
  'connection.properties.file',
  'create.index',
  'create.foreignkey',
  'transaction.isolation',
  'maximum.connections',
])('%s is known, and said to have no effect', (key) => {
  for (const name of [key, `org.apache.flume.channel.jdbc.${key}`]) {
    const { findings, unknown } = judge({ [name]: key === 'maximum.connections' ? '5' : 'true' });
    expect(unknown).toEqual([]);
    expect(findings.map(({ message }) => message)).toEqual([expect.stringContaining(key)]);
  }
});

test('sysprop.* is taken, and the long names of Flume are', () => {
  const { config, unknown } = judge({ 'sysprop.derby.x': '1', 'org.apache.flume.channel.jdbc.maximum.capacity': '7' });
  expect(unknown).toEqual([]);
  expect(config).toMatchObject({ 'maximum.capacity': 7 });
});
