/**
 * What every channel must hold: nothing lost, nothing doubled, order, capacity, and an end. A channel's test calls
 * `channelContract` with a way to make one; `place` is a directory, and for durable channels the same place holds the
 * same events.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Channel, Lease } from '../../src/agent/core/channel.ts';
import type { Event } from '../../src/agent/core/event.ts';
import { ChannelError, ChannelFullError } from '../../src/lib/errors.ts';
import { bodies, events, freshPlace, numbered, patience, stillOpen, until } from './contexts.ts';

export interface ChannelSettings {
  readonly capacity: number;
  readonly transactionCapacity: number;
  /** How long a put waits for room, s. */
  readonly keepAlive: number;
}

export interface ChannelKit {
  readonly name: string;
  /** Makes a channel, not started. */
  readonly make: (settings: ChannelSettings, place: string) => Channel | Promise<Channel>;
  /** Events survive stop and start of another instance at the same place. */
  readonly durable: boolean;
  /** `capacity` and `transactionCapacity` hold; false for a channel without bounds of its own. */
  readonly bounded: boolean;
  /** Cleans up what is not in the place, e.g. a topic. */
  readonly after?: () => Promise<void>;
}

export function channelContract(kit: ChannelKit): void {
  describe(`${kit.name}, as any channel,`, () => {
    const open: Channel[] = [];
    afterEach(async () => {
      for (const channel of open.splice(0)) await channel.stop();
      await kit.after?.();
    });
    const make = async (settings: Partial<ChannelSettings> = {}, place = freshPlace()): Promise<Channel> => {
      const channel = await kit.make({ capacity: 1_000, transactionCapacity: 100, keepAlive: 3, ...settings }, place);
      open.push(channel);
      return channel;
    };
    const started = async (settings?: Partial<ChannelSettings>, place?: string): Promise<Channel> => {
      const channel = await make(settings, place);
      await channel.start();
      return channel;
    };
    delivers(started);
    leases(started);
    if (kit.bounded) bounds(started);
    ends(make, started);
    if (kit.durable) keeps(started);
    survivesTraffic(started, kit.bounded);
  });
}

type Started = (settings?: Partial<ChannelSettings>, place?: string) => Promise<Channel>;

async function take(channel: Channel, max = 100): Promise<Lease> {
  const lease = await channel.take(max, patience());
  if (lease === null) throw new Error('the channel had nothing to take');
  return lease;
}

/** Takes and commits `count` events. */
async function drain(channel: Channel, count: number, max = 100): Promise<string[]> {
  const out: string[] = [];
  while (out.length < count) {
    const lease = await take(channel, Math.min(max, count - out.length));
    out.push(...bodies(lease.events));
    await lease.commit();
  }
  return out;
}

function delivers(started: Started): void {
  it('hands out what was put: headers and bodies, byte by byte', async () => {
    const channel = await started();
    const put: Event[] = [
      { headers: {}, body: Buffer.alloc(0) },
      { headers: { topic: 'a', 'naïve ключ 键': 'wert 值 \u0000 ü', empty: '' }, body: Buffer.from([0, 255, 10, 13, 128]) },
      { headers: { long: 'x'.repeat(10_000) }, body: Buffer.alloc(300_000, 'abc') },
    ];
    const expected = put.map((event) => ({ headers: { ...event.headers }, body: Buffer.from(event.body) }));
    await channel.put(put, patience());
    const got: { headers: Record<string, string>; body: Buffer }[] = [];
    while (got.length < 3) {
      const lease = await take(channel);
      got.push(...lease.events.map((event) => ({ headers: { ...event.headers }, body: Buffer.from(event.body) })));
      await lease.commit();
    }
    expect(got).toEqual(expected);
  });

  it('keeps the order of batches and of events in them', async () => {
    const channel = await started();
    for (let i = 0; i < 10; i++) await channel.put(numbered(i * 37, 37), patience());
    expect(await drain(channel, 370, 23)).toEqual(Array.from({ length: 370 }, (_, i) => `${i}`));
  });

  it('takes at most as many as asked for, and does not wait for more than one', async () => {
    const channel = await started();
    await channel.put(numbered(0, 10), patience());
    const first = await take(channel, 3);
    expect(first.events.length).toBeLessThanOrEqual(3);
    expect(first.events.length).toBeGreaterThan(0);
    await first.commit();
    await drain(channel, 10 - first.events.length);
  });

  it('lets a take wait until something comes', async () => {
    const channel = await started();
    const waiting = take(channel);
    expect(await stillOpen(waiting)).toBe(true);
    await channel.put(events('at last'), patience());
    const lease = await waiting;
    expect(bodies(lease.events)).toEqual(['at last']);
    await lease.commit();
  });

  it('answers null to a take that is aborted, before or while it waits, and loses nothing by it', async () => {
    const channel = await started();
    expect(await channel.take(1, AbortSignal.abort())).toBeNull();
    const abort = new AbortController();
    const waiting = channel.take(1, abort.signal);
    expect(await stillOpen(waiting)).toBe(true);
    abort.abort();
    expect(await waiting).toBeNull();
    await channel.put(events('1'), patience());
    expect(await drain(channel, 1)).toEqual(['1']);
  });

  it('takes an empty batch without a word', async () => {
    const channel = await started();
    await channel.put([], patience());
    await channel.put(events('1'), patience());
    expect(await drain(channel, 1)).toEqual(['1']);
  });
}

function leases(started: Started): void {
  it('hands out rolled back events again, first and in order', async () => {
    const channel = await started();
    await channel.put(numbered(0, 10), patience());
    const lease = await take(channel, 4);
    const lent = bodies(lease.events);
    lease.rollback();
    expect(lent[0]).toBe('0');
    expect(await drain(channel, 10)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
  });

  it('gives back what a partial commit leaves, in front', async () => {
    const channel = await started();
    await channel.put(numbered(0, 10), patience());
    const lease = await take(channel, 5);
    expect(lease.events).toHaveLength(5);
    await lease.commit(2);
    expect(await drain(channel, 8)).toEqual(Array.from({ length: 8 }, (_, i) => `${i + 2}`));
  });

  it('lends nothing twice', async () => {
    const channel = await started();
    await channel.put(numbered(0, 10), patience());
    const one = await take(channel, 4);
    const two = await take(channel, 4);
    const both = [...bodies(one.events), ...bodies(two.events)];
    expect(new Set(both).size).toBe(both.length);
    await two.commit();
    one.rollback();
    const rest = await drain(channel, 10 - two.events.length);
    expect([...bodies(two.events), ...rest].sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
  });

  it('counts what waits and what is lent', async () => {
    const channel = await started();
    if (channel.gauges().shared) return;
    await channel.put(numbered(0, 10), patience());
    expect(channel.gauges()).toMatchObject({ size: 10, lent: 0 });
    const lease = await take(channel, 4);
    expect(channel.gauges()).toMatchObject({ size: 6, lent: 4 });
    await lease.commit(1);
    expect(channel.gauges()).toMatchObject({ size: 9, lent: 0 });
    await drain(channel, 9);
    expect(channel.gauges()).toMatchObject({ size: 0, lent: 0 });
  });
}

function bounds(started: Started): void {
  it('refuses a batch larger than a transaction, and stores nothing of it', async () => {
    const channel = await started({ transactionCapacity: 10 });
    await expect(channel.put(numbered(0, 11), patience())).rejects.toBeInstanceOf(ChannelError);
    await channel.put(events('next'), patience());
    expect(await drain(channel, 1)).toEqual(['next']);
  });

  it('says that it is full after keep-alive, stores nothing of the batch, and goes on when there is room', async () => {
    const channel = await started({ capacity: 10, transactionCapacity: 10, keepAlive: 0 });
    await channel.put(numbered(0, 8), patience());
    await expect(channel.put(numbered(100, 5), patience())).rejects.toBeInstanceOf(ChannelFullError);
    await channel.put(numbered(8, 2), patience());
    expect(await drain(channel, 10)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
    await channel.put(numbered(10, 10), patience());
    expect(await drain(channel, 10)).toHaveLength(10);
  });

  it('counts lent events as inside until they are committed', async () => {
    const channel = await started({ capacity: 10, transactionCapacity: 10, keepAlive: 0 });
    await channel.put(numbered(0, 10), patience());
    const lease = await take(channel, 10);
    await expect(channel.put(events('x'), patience())).rejects.toBeInstanceOf(ChannelFullError);
    await lease.commit();
    await channel.put(events('y'), patience());
    expect(await drain(channel, 1)).toEqual(['y']);
  });

  it('lets a put wait for room', async () => {
    const channel = await started({ capacity: 10, transactionCapacity: 10, keepAlive: 20 });
    await channel.put(numbered(0, 10), patience());
    const waiting = channel.put(numbered(10, 5), patience());
    expect(await stillOpen(waiting)).toBe(true);
    const first = await drain(channel, 5);
    await waiting;
    expect([...first, ...(await drain(channel, 10))]).toEqual(Array.from({ length: 15 }, (_, i) => `${i}`));
  });

  it('ends a put that waits for room when it is aborted, and stores nothing of it', async () => {
    const channel = await started({ capacity: 10, transactionCapacity: 10, keepAlive: 20 });
    await channel.put(numbered(0, 10), patience());
    const abort = new AbortController();
    const waiting = channel.put(events('never'), abort.signal);
    waiting.catch(() => undefined);
    expect(await stillOpen(waiting)).toBe(true);
    abort.abort();
    await expect(waiting).rejects.toThrow();
    expect(await drain(channel, 10)).not.toContain('never');
    await channel.put(events('next'), patience());
    expect(await drain(channel, 1)).toEqual(['next']);
  });
}

function ends(make: Started, started: Started): void {
  it('stops without a start, and twice', async () => {
    const channel = await make();
    await channel.stop();
    await channel.stop();
    const other = await started();
    await other.stop();
    await other.stop();
  });

  it('ends a take that waits when it stops', async () => {
    const channel = await started();
    const waiting = channel.take(1, patience());
    expect(await stillOpen(waiting)).toBe(true);
    await channel.stop();
    await Promise.race([waiting.catch(() => null), until(() => false, 'the take ends after a stop')]);
  });

  it('starts again after a stop', async () => {
    const channel = await started();
    await channel.put(events('1'), patience());
    await drain(channel, 1);
    await channel.stop();
    await channel.start();
    await channel.put(events('2'), patience());
    expect(await drain(channel, 1)).toEqual(['2']);
  });
}

function keeps(started: Started): void {
  it('keeps what waits over a stop, and does not bring back what was committed', async () => {
    const place = freshPlace();
    const first = await started({}, place);
    await first.put(numbered(0, 50), patience());
    await drain(first, 20);
    await first.stop();
    const second = await started({}, place);
    expect(await drain(second, 30)).toEqual(Array.from({ length: 30 }, (_, i) => `${i + 20}`));
    await second.stop();
    const third = await started({}, place);
    if (!third.gauges().shared) expect(third.gauges().size).toBe(0);
    await third.put(events('new'), patience());
    expect(await drain(third, 1)).toEqual(['new']);
  });

  it('brings back what was lent and not committed', async () => {
    const place = freshPlace();
    const first = await started({}, place);
    await first.put(numbered(0, 10), patience());
    const lease = await take(first, 6);
    await lease.commit(2);
    await take(first, 3);
    await first.stop();
    const second = await started({}, place);
    expect(await drain(second, 8)).toEqual(Array.from({ length: 8 }, (_, i) => `${i + 2}`));
  });
}

/** A repeatable stream of numbers 0 … 1 (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function survivesTraffic(started: Started, bounded: boolean): void {
  it('loses and doubles nothing with several writers, and readers that commit, commit in part and roll back', async () => {
    const channel = await started({ capacity: 200, transactionCapacity: 50, keepAlive: 20 });
    const random = randomFrom(42);
    const writers = 4;
    const perWriter = 500;
    const total = writers * perWriter;
    const got: string[] = [];
    const over = new AbortController();
    const write = async (writer: number): Promise<void> => {
      for (let at = 0; at < perWriter; ) {
        const batch = numbered(writer * perWriter + at, Math.min(perWriter - at, 1 + Math.floor(random() * 40)));
        await channel.put(batch, patience());
        at += batch.length;
      }
    };
    const read = async (): Promise<void> => {
      for (;;) {
        const lease = await channel.take(1 + Math.floor(random() * 50), over.signal);
        if (lease === null) return;
        const lent = bodies(lease.events);
        if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
        const choice = random();
        if (choice < 0.2) lease.rollback();
        else {
          const count = choice < 0.5 ? Math.floor(random() * (lent.length + 1)) : lent.length;
          if (count === 0) lease.rollback();
          else {
            await lease.commit(count);
            got.push(...lent.slice(0, count));
          }
        }
        if (got.length >= total) over.abort();
      }
    };
    await Promise.all([...Array.from({ length: writers }, (_, i) => write(i)), read(), read(), read()]);
    expect(got.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, i) => i));
    const { size, lent, shared } = channel.gauges();
    if (!shared) expect([size, lent]).toEqual([0, 0]);
    if (bounded) await channel.put(numbered(0, 50), patience());
  });
}
