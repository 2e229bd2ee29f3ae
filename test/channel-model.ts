/**
 * A channel beside a naive queue: every event is a number, so what must come out, may come out and must not come out is
 * arithmetic. Used by the model tests on the memory disk, where the power can go off at any change.
 */
import { expect } from 'vitest';
import type { Channel, Lease } from '../src/agent/core/channel.ts';
import type { AnySpec, ChannelContext } from '../src/agent/core/define.ts';
import type { Event } from '../src/agent/core/event.ts';
import { type Clock, ManualClock } from '../src/lib/clock.ts';
import type { FileSystem } from '../src/lib/files.ts';
import { MemoryDisk, PowerLoss, seededRandom } from '../src/lib/memory-disk.ts';
import { parseProperties } from '../src/lib/props/spec.ts';

export const never = new AbortController().signal;

/** What a test channel said and counted. */
export interface Voice {
  readonly lines: string[];
  readonly extra: Record<string, number>;
  failures: Error[];
}

export function contextOf(disk: FileSystem | undefined, clock: Clock = new ManualClock(), home = '/home'): { ctx: ChannelContext; voice: Voice } {
  const voice: Voice = { lines: [], extra: {}, failures: [] };
  const say = (...words: unknown[]): void => {
    voice.lines.push(words.filter((word) => typeof word === 'string').join(' '));
  };
  const log = { trace() {}, debug() {}, info: say, warn: say, error: say, isLevelEnabled: () => false };
  const ctx = {
    name: 'c1',
    agent: 'a1',
    home,
    log,
    clock,
    extra: voice.extra,
    degraded() {},
    healthy() {},
    failed: (error: Error) => voice.failures.push(error),
    counters: {},
    ...(disk === undefined ? {} : { disk, ackFileBytes: 2_048 }),
  };
  return { ctx: ctx as unknown as ChannelContext, voice };
}

export function configOf(spec: AnySpec, raw: Readonly<Record<string, string>>): never {
  const { config, findings } = parseProperties(spec.properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
  if (config === null) throw new Error(JSON.stringify(findings));
  return config as never;
}

/** An event that says its number in its body and in a header; bodies differ in size. */
export function numbered(id: number): Event {
  const body = Buffer.alloc(4 + ((id * 7919) % 60), 97 + (id % 26));
  body.writeUInt32BE(id);
  return { headers: id % 3 === 0 ? {} : { id: String(id), ü: '中' }, body };
}

/** The number of an event. @throws when it is not as {@link numbered} made it */
export function idOf(event: { headers: Readonly<Record<string, string>>; body: Buffer }): number {
  const id = event.body.readUInt32BE(0);
  const made = numbered(id);
  expect(event.body.equals(made.body)).toBe(true);
  expect(event.headers).toEqual(made.headers);
  return id;
}

/** How much of a stated content a test may not insist on. */
export interface Doubt {
  /** Events whose put was answered by an error, or by nothing, before a crash: each batch may be there, whole. */
  readonly batches: number[][];
  /** Commits that a crash came upon, or whose write failed: these may come again. */
  readonly again: Set<number>;
}

export class ModelledChannel {
  channel: Channel;
  voice: Voice;
  /** What must wait, in order. */
  waiting: number[] = [];
  lent: { lease: Lease; ids: number[] }[] = [];
  doubt: Doubt = { batches: [], again: new Set() };
  nextId = 0;
  accepted = 0;
  readonly #make: () => { channel: Channel; voice: Voice };

  constructor(make: () => { channel: Channel; voice: Voice }) {
    this.#make = make;
    ({ channel: this.channel, voice: this.voice } = make());
  }

  /** Opens it; a disk that fails now and then may refuse a few times. */
  async open(attempts = 5): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.channel.start();
      } catch (error) {
        if (attempt === attempts || error instanceof PowerLoss) throw error;
        await this.channel.stop();
      }
    }
  }

  /** Puts `count` new events; false = refused. */
  async put(count: number): Promise<boolean> {
    const ids = Array.from({ length: count }, () => this.nextId++);
    try {
      await this.channel.put(ids.map(numbered), never);
    } catch {
      this.doubt.batches.push(ids);
      return false;
    }
    this.waiting.push(...ids);
    this.accepted += count;
    return true;
  }

  /** Takes what must be the oldest; false = an error or nothing there. */
  async take(max: number): Promise<boolean> {
    if (this.waiting.length === 0) return false;
    let lease: Lease | null;
    try {
      lease = await this.channel.take(max, AbortSignal.timeout(500));
    } catch {
      return false;
    }
    const ids = (lease as Lease).events.map(idOf);
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.length).toBeLessThanOrEqual(max);
    expect(ids).toEqual(this.waiting.splice(0, ids.length));
    this.lent.push({ lease: lease as Lease, ids });
    return true;
  }

  /** Ends the loan at an index, the first `most` events for good. */
  async end(index: number, most: number): Promise<void> {
    const [loan] = this.lent.splice(index, 1);
    if (!loan) return;
    const count = Math.min(most, loan.ids.length);
    const gone = loan.ids.slice(0, count);
    this.waiting = [...this.waiting, ...loan.ids.slice(count)].sort((a, b) => a - b);
    if (count === 0) {
      loan.lease.rollback();
      return;
    }
    const troubles = this.voice.extra.CheckpointWriteErrorCount ?? 0;
    for (const id of gone) this.doubt.again.add(id);
    try {
      await loan.lease.commit(count);
    } catch {
      return;
    }
    if ((this.voice.extra.CheckpointWriteErrorCount ?? 0) === troubles && troubles === 0) for (const id of gone) this.doubt.again.delete(id);
  }

  check(): void {
    const { size, lent } = this.channel.gauges();
    expect({ size, lent }).toEqual({ size: this.waiting.length, lent: this.lent.reduce((sum, { ids }) => sum + ids.length, 0) });
  }

  /** Leaves the channel object as a crash leaves it and opens another one on the same disk; looks at all it has. */
  async reopenAfterCrash(): Promise<void> {
    for (const { ids } of this.lent.splice(0)) this.waiting.push(...ids);
    this.waiting.sort((a, b) => a - b);
    ({ channel: this.channel, voice: this.voice } = this.#make());
    await this.open();
    await this.lookAtAll();
  }

  async reopenAfterStop(): Promise<void> {
    await this.channel.stop();
    await this.reopenAfterCrash();
  }

  /** Takes everything, compares with what must and may be there, and gives it back. */
  async lookAtAll(): Promise<void> {
    const leases: Lease[] = [];
    const ids: number[] = [];
    while (this.channel.gauges().size > 0) {
      const lease = (await this.channel.take(1_000, AbortSignal.timeout(5_000))) as Lease;
      leases.push(lease);
      ids.push(...lease.events.map(idOf));
    }
    for (const lease of leases) lease.rollback();
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
    const found = new Set(ids);
    expect(this.waiting.filter((id) => !found.has(id))).toEqual([]);
    const must = new Set(this.waiting);
    for (const batch of this.doubt.batches) {
      const there = batch.filter((id) => found.has(id));
      expect([0, batch.length]).toContain(there.length);
      for (const id of there) must.add(id);
    }
    expect(ids.filter((id) => !must.has(id) && !this.doubt.again.has(id))).toEqual([]);
    this.waiting = ids;
    this.doubt = { batches: [], again: new Set() };
  }
}

/** A bit of everything, always the same; `patient` when the disk fails now and then but the power stays. */
export async function story(model: ModelledChannel, clock: ManualClock, patient = false): Promise<void> {
  await model.open();
  for (let round = 0; round < 6; round++) {
    await model.put(1 + round * 3);
    await Promise.all([model.put(7), model.put(1)]);
    await model.take(12);
    await model.take(5);
    await model.end(0, round % 2 === 0 ? 12 : 4);
    if (round % 3 === 0) await model.end(0, 0);
    else await model.end(0, 5);
    if (round === 3) await clock.advance(31_000);
    if (patient) model.check();
  }
  if (!patient) await model.reopenAfterStop();
  await model.put(20);
  await model.take(9);
  await model.end(0, 9);
}

/** Makes a channel over a disk, beside a list that says what must come out. */
export type Modelled = (disk: MemoryDisk, clock: ManualClock) => ModelledChannel;

/** The story on a disk whose power goes off at its first change, then at its second, and so on, torn and not. */
export async function powerGoesOffEverywhere(modelled: Modelled): Promise<void> {
  let changes = 0;
  for (let at = 1; at === 1 || at <= changes; at++) {
    for (const tear of [false, true]) {
      const disk = new MemoryDisk(at * 31 + (tear ? 7 : 0));
      const clock = new ManualClock();
      const model = modelled(disk, clock);
      disk.powerOffAt = at === 1 && !tear ? Number.POSITIVE_INFINITY : at;
      await story(model, clock).catch(() => {});
      if (changes === 0) changes = disk.changes;
      disk.crash({ tear });
      await model.reopenAfterCrash();
      await model.put(10);
      await model.reopenAfterStop();
      await model.channel.stop();
    }
  }
  expect(changes).toBeGreaterThan(100);
}

/** The story on a disk where every kind of operation fails, at each of its first `places` times in turn. */
export async function operationsFailEverywhere(modelled: Modelled, places: number): Promise<void> {
  const random = seededRandom(5);
  for (const op of ['write', 'sync', 'truncate', 'rename', 'unlink', 'syncDir', 'open'] as const) {
    for (let skip = 0; skip < places; skip++) {
      const disk = new MemoryDisk(skip);
      const clock = new ManualClock();
      const model = modelled(disk, clock);
      disk.failNext(op, random() < 0.5 ? 'ENOSPC' : 'EIO', { skip, times: 1 + Math.floor(random() * 3) });
      await story(model, clock, true);
      disk.crash({ tear: random() < 0.5 });
      await model.reopenAfterCrash();
      await model.channel.stop();
    }
  }
}
