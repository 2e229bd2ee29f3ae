// Any byte of any file of a jdbc channel changed, zeroed, or everything from it on cut off: the channel starts, what comes out is
// what was put, byte for byte, in order and once, and the rest is counted as lost. With MILLRACE_PROOF=1 every 16th place (of
// the journal every 512th); by default a few, from where MILLRACE_SEED says. Without SQLite it is skipped by name.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import jdbc from '../../src/agent/channels/jdbc.ts';
import type { Channel, Lease } from '../../src/agent/core/channel.ts';
import type { Event } from '../../src/agent/core/event.ts';
import { seededRandom } from '../../src/lib/memory-disk.ts';
import { configOf, contextOf, never, numbered, type Voice } from '../channel-model.ts';
import { compiled, sqlite } from '../sqlite.ts';

const SEED = Number(process.env.MILLRACE_SEED ?? 4711);
/** Places tried per file and kind of damage. The journal is mostly copies of the same pages. */
const placesOf = (name: string, bytes: number): number => (process.env.MILLRACE_PROOF ? Math.ceil(bytes / (name.endsWith('-wal') ? 512 : 16)) : 12);
const EVENTS = 120;
const NAMES = ['events.sqlite', 'events.sqlite-wal', 'events.sqlite.safe'];

const places: string[] = [];
afterEach(() => {
  for (const dir of places.splice(0)) fs.rmSync(dir, { recursive: true, force: true });
});
function place(): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-jdbc-damage-'));
  places.push(dir);
  return dir;
}

/** Some bodies need pages of their own. */
function made(id: number): Event {
  const { headers, body } = numbered(id);
  return { headers, body: id % 25 === 7 ? Buffer.concat([body, Buffer.alloc(9_000, id)]) : body };
}

function idIn({ headers, body }: Event): number {
  const id = body.readUInt32BE(0);
  const { headers: expected, body: bytes } = made(id);
  expect(body.equals(bytes)).toBe(true);
  expect(headers).toEqual(expected);
  return id;
}

async function opened(dir: string): Promise<{ channel: Channel; voice: Voice }> {
  const { ctx, voice } = contextOf(undefined);
  const channel = jdbc.create(configOf(jdbc, { 'driver.url': `jdbc:sqlite:${dir}/events.sqlite` }), ctx);
  await channel.start();
  return { channel, voice };
}

type End = 'stop' | 'kill' | 'kill behind a checkpoint';

/** Files of a channel with deliveries in and out of order, left in order or by a kill. */
async function filled(end: End): Promise<{ files: Map<string, Buffer>; waiting: number[] }> {
  const dir = place();
  let { channel } = await opened(dir);
  const put = async (from: number, to: number): Promise<void> => {
    for (let id = from; id < to; id += 4) await channel.put([id, id + 1, id + 2, id + 3].map(made), never);
  };
  await put(0, 80);
  if (end !== 'stop') {
    // So that the database is not empty beside its journal.
    await channel.stop();
    ({ channel } = await opened(dir));
  }
  await put(80, EVENTS);
  const leases: Lease[] = [];
  for (let i = 0; i < 10; i++) leases.push((await channel.take(4, never)) as Lease);
  const done = [0, 1, 2, 5, 8];
  for (const i of done) await (leases[i] as Lease).commit();
  if (end === 'stop') await channel.stop();
  else if (end !== 'kill') {
    // Now pages in the file are newer than those in the journal up to a damaged byte.
    const db = new (sqlite())(path.join(dir, NAMES[0] as string));
    db.pragma('wal_checkpoint(PASSIVE)');
    db.close();
  }
  const files = new Map(NAMES.filter((name) => fs.existsSync(path.join(dir, name))).map((name) => [name, fs.readFileSync(path.join(dir, name))]));
  if (end !== 'stop') await channel.stop();
  return { files, waiting: Array.from({ length: EVENTS }, (_, id) => id).filter((id) => !done.includes(Math.floor(id / 4))) };
}

/** What comes out, until nothing waits; and that the channel works on. */
async function drained(dir: string): Promise<{ ids: number[]; voice: Voice }> {
  const { channel, voice } = await opened(dir);
  const ids: number[] = [];
  while (channel.gauges().size > 0) {
    const lease = await channel.take(7, AbortSignal.timeout(1_000));
    if (lease === null) break;
    ids.push(...lease.events.map(idIn));
    await lease.commit();
  }
  expect(channel.gauges()).toMatchObject({ size: 0, lent: 0 });
  await channel.put([made(1_000)], never);
  expect(((await channel.take(9, never)) as Lease).events.map(idIn)).toEqual([1_000]);
  await channel.stop();
  return { ids, voice };
}

type Damage = 'change' | 'zero' | 'cut';
function damaged(bytes: Buffer, what: Damage, { at, flip }: { at: number; flip: number }): Buffer {
  if (what === 'cut') return bytes.subarray(0, at);
  const copy = Buffer.from(bytes);
  copy[at] = what === 'zero' ? 0 : (copy[at] as number) ^ flip;
  return copy;
}

describe.runIf(compiled).each(['stop', 'kill', 'kill behind a checkpoint'] as const)('after a %s', (end) => {
  test.each(['change', 'zero', 'cut'] as const)('%s', async (what) => {
    const random = seededRandom(SEED);
    const { files, waiting } = await filled(end);
    expect([...files.keys()]).toEqual(end === 'stop' ? NAMES.filter((name) => !name.endsWith('-wal')) : NAMES);
    const faults: string[] = [];
    let losses = 0;
    for (const [name, bytes] of files) {
      const every = Math.max(1, bytes.length / placesOf(name, bytes.length));
      for (let from = random() * every; from < bytes.length; from += every) {
        const [at, flip] = [Math.floor(from), 1 + Math.floor(random() * 255)];
        const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-jdbc-damage-'));
        try {
          for (const [each, content] of files) fs.writeFileSync(path.join(dir, each), each === name ? damaged(bytes, what, { at, flip }) : content);
          const { ids, voice } = await drained(dir);
          expect(ids).toEqual(waiting.filter((id) => ids.includes(id)));
          expect(ids.length + (voice.extra.EventsLostCount ?? 0)).toBe(waiting.length);
          if (ids.length < waiting.length) losses++;
        } catch (error) {
          faults.push(`${name} at ${at} (${flip}): ${(error as Error).message.slice(0, 400)}`);
        } finally {
          fs.rmSync(dir, { recursive: true, force: true });
        }
      }
    }
    expect(faults).toEqual([]);
    expect(losses).toBeGreaterThan(0);
  });
});
