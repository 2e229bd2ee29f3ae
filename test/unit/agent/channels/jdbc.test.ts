// Needs better-sqlite3 with its native part (npm test compiles it where it can); without it the tests are skipped by name.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import jdbc from '../../../../src/agent/channels/jdbc.ts';
import type { Channel, Lease } from '../../../../src/agent/core/channel.ts';
import { ChannelFullError, ConfigError } from '../../../../src/lib/errors.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';
import { configOf, contextOf, idOf, never, numbered } from '../../../channel-model.ts';

const compiled = ((): boolean => {
  try {
    new (createRequire(import.meta.url)('better-sqlite3') as new (file: string) => { close(): void })(':memory:').close();
    return true;
  } catch {
    return false;
  }
})();

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
    const sqlite = createRequire(import.meta.url)('better-sqlite3') as new (file: string) => { pragma(text: string): void; close(): void };
    const db = new sqlite(file);
    db.pragma('user_version = 9');
    db.close();
    await expect(open(file)).rejects.toThrow('newer version');
  });

  test.each(['at the start', 'while it runs'])(
    'a damaged page found %s: all other events come out, and those in it are counted and kept aside',
    async (when) => {
      const file = databasePath();
      const first = await open(file);
      for (let i = 0; i < 20; i++) await first.channel.put(range(500 * i, 500 * i + 500).map(numbered), never);
      await (await take(first.channel, 700)).commit();
      await first.channel.stop();
      const bytes = fs.readFileSync(file);
      const pageBytes = bytes.readUInt16BE(16);
      // Leaves of the table, whole but for their type: such a page is damage that SQLite sees.
      const leaves = range(1, bytes.length / pageBytes).filter((page) => bytes[page * pageBytes] === 13);
      const bad = (when === 'at the start' ? leaves.at(-1) : leaves[Math.floor(leaves.length / 2)]) as number;
      bytes.fill(0xee, bad * pageBytes, (bad + 1) * pageBytes);
      fs.writeFileSync(file, bytes);
      const { channel, voice } = await open(file);
      const got: number[] = [];
      while (channel.gauges().size > 0) {
        const lease = await channel.take(400, AbortSignal.timeout(200));
        if (lease === null) break;
        got.push(...lease.events.map(idOf));
        await lease.commit();
      }
      const missing = range(700, 10_000).filter((id) => !got.includes(id));
      expect(got).toEqual([...got].sort((a, b) => a - b));
      expect(missing.length).toBeGreaterThan(0);
      expect(missing.length).toBeLessThan(200);
      expect(voice.lines.join('\n')).toMatch(
        when === 'at the start' ? /lost; it was moved to/ : new RegExp(`${missing.length} events \\(${missing[0]} to ${missing.at(-1)}\\)`),
      );
      if (when !== 'at the start') expect(voice.extra.EventsLostCount).toBe(missing.length);
      expect(channel.gauges()).toMatchObject({ size: 0, lent: 0 });
      await channel.put([numbered(10_000)], never);
      expect((await take(channel, 9)).events.map(idOf)).toEqual([10_000]);
      await channel.stop();
    },
  );

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
