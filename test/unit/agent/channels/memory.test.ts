import { describe, expect, test } from 'vitest';
import memory from '../../../../src/agent/channels/memory.ts';
import type { Channel, Lease } from '../../../../src/agent/core/channel.ts';
import type { ChannelContext } from '../../../../src/agent/core/define.ts';
import type { Event } from '../../../../src/agent/core/event.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ChannelError, ChannelFullError } from '../../../../src/lib/errors.ts';
import { type Config, parseProperties } from '../../../../src/lib/props/spec.ts';

const never = new AbortController().signal;

function parse(raw: Record<string, string>) {
  return parseProperties(memory.properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
}
function configOf(raw: Record<string, string>): Config<typeof memory.properties> {
  const { config } = parse(raw);
  if (config === null) throw new Error('bad configuration');
  return config;
}
async function open(raw: Record<string, string>): Promise<{ channel: Channel; clock: ManualClock }> {
  const clock = new ManualClock();
  const channel = memory.create(configOf(raw), { clock } as unknown as ChannelContext);
  await channel.start();
  return { channel, clock };
}
const events = (...bodies: (string | number)[]): Event[] => bodies.map((body) => ({ headers: {}, body: Buffer.from(String(body)) }));
const bodies = (lease: Lease | null): string[] => (lease?.events ?? []).map((event) => event.body.toString());
const take = async (channel: Channel, max: number): Promise<Lease> => {
  const lease = await channel.take(max, never);
  if (lease === null) throw new Error('nothing taken');
  return lease;
};
/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(
    () => (done = true),
    () => (done = true),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

describe('order', () => {
  test('first in, first out, across puts of any size', async () => {
    const { channel } = await open({});
    await channel.put(events(1), never);
    await channel.put(events(2, 3, 4), never);
    await channel.put(events(5), never);
    expect(bodies(await take(channel, 2))).toEqual(['1', '2']);
    expect(bodies(await take(channel, 100))).toEqual(['3', '4', '5']);
  });

  test('rollback and the uncommitted rest go back to the front', async () => {
    const { channel } = await open({});
    await channel.put(events(1, 2, 3, 4, 5), never);
    const lease = await take(channel, 3);
    expect(channel.gauges()).toEqual({ size: 2, capacity: 100, lent: 3 });
    await lease.commit(1);
    expect(channel.gauges()).toEqual({ size: 4, capacity: 100, lent: 0 });
    (await take(channel, 2)).rollback();
    expect(bodies(await take(channel, 10))).toEqual(['2', '3', '4', '5']);
  });

  test('several readers may give back in any order', async () => {
    const { channel } = await open({});
    await channel.put(events(1, 2, 3, 4, 5, 6), never);
    const [a, b, c] = [await take(channel, 2), await take(channel, 2), await take(channel, 2)];
    a.rollback();
    c.rollback();
    await b.commit(1);
    expect(bodies(await take(channel, 10))).toEqual(['1', '2', '4', '5', '6']);
  });

  test('a lease ends once', async () => {
    const { channel } = await open({});
    await channel.put(events(1), never);
    const lease = await take(channel, 1);
    await lease.commit();
    expect(() => lease.rollback()).toThrow(ChannelError);
    expect(channel.gauges().size).toBe(0);
  });

  test('a source may reuse its array', async () => {
    const { channel } = await open({});
    const batch = Array.from({ length: 40 }, (_, i) => events(i)[0] as Event);
    await channel.put(batch, never);
    batch.length = 0;
    expect((await take(channel, 100)).events).toHaveLength(40);
  });
});

describe('room', () => {
  test('a put that finds none fails after keep-alive with the words of Flume', async () => {
    const { channel, clock } = await open({ capacity: '2', transactionCapacity: '2', 'keep-alive': '1' });
    await channel.put(events(1, 2), never);
    const put = channel.put(events(3), never);
    await clock.advance(999);
    expect(await settled(put)).toBe(false);
    const failed = expect(put).rejects.toThrow("Space for commit to queue couldn't be acquired.");
    await clock.advance(1);
    await failed;
    await expect(put).rejects.toBeInstanceOf(ChannelFullError);
    expect(bodies(await take(channel, 2))).toEqual(['1', '2']);
  });

  test('lent events count; a commit lets the waiting put in at once', async () => {
    const { channel } = await open({ capacity: '2', transactionCapacity: '2' });
    await channel.put(events(1, 2), never);
    const lease = await take(channel, 1);
    const put = channel.put(events(3), never);
    expect(await settled(put)).toBe(false);
    await lease.commit();
    await put;
    expect(bodies(await take(channel, 2))).toEqual(['2', '3']);
  });

  test('keep-alive 0 does not wait', async () => {
    const { channel } = await open({ capacity: '1', transactionCapacity: '1', 'keep-alive': '0' });
    await channel.put(events(1), never);
    await expect(channel.put(events(2), never)).rejects.toBeInstanceOf(ChannelFullError);
  });

  test('waiting puts get in first come first served, small ones do not overtake', async () => {
    const { channel } = await open({ capacity: '4', transactionCapacity: '4' });
    await channel.put(events(1, 2, 3), never);
    const large = channel.put(events('a', 'b', 'c'), never);
    const small = channel.put(events('z'), never);
    expect(await settled(small)).toBe(false);
    await (await take(channel, 3)).commit();
    await Promise.all([large, small]);
    expect(bodies(await take(channel, 4))).toEqual(['a', 'b', 'c', 'z']);
  });

  test('a batch above transactionCapacity is refused with the words of Flume', async () => {
    const { channel } = await open({ capacity: '10', transactionCapacity: '2' });
    const put = channel.put(events(1, 2, 3), never);
    await expect(put).rejects.toThrow('Put queue for MemoryTransaction of capacity 2 full');
    expect(channel.gauges().size).toBe(0);
  });

  test('take lends no more than transactionCapacity', async () => {
    const { channel } = await open({ capacity: '10', transactionCapacity: '2' });
    await channel.put(events(1, 2), never);
    await channel.put(events(3), never);
    expect(bodies(await take(channel, 100))).toEqual(['1', '2']);
  });

  test('an aborted put stores nothing', async () => {
    const { channel } = await open({ capacity: '1', transactionCapacity: '1' });
    await channel.put(events(1), never);
    const stop = new AbortController();
    const put = channel.put(events(2), stop.signal);
    stop.abort();
    await expect(put).rejects.toThrow('its source stops');
    await (await take(channel, 1)).commit();
    expect(channel.gauges()).toEqual({ size: 0, capacity: 1, lent: 0 });
  });
});

describe('bytes', () => {
  const body = (bytes: number, headers: Record<string, string> = {}): Event[] => [{ headers, body: Buffer.alloc(bytes, 97) }];

  test('bodies count in slots of 100, at least one each, up to byteCapacity less the buffer percentage', async () => {
    const { channel } = await open({ byteCapacity: '1000', 'keep-alive': '0' });
    for (const bytes of [0, 1, 100, 101, 201]) await channel.put(body(bytes), never);
    await expect(channel.put(body(1), never)).rejects.toThrow('Byte capacity allocated to store event body 800.0reached');
    await (await take(channel, 1)).commit();
    await channel.put(body(1), never);
  });

  test('a body that can never fit is refused at once', async () => {
    const { channel } = await open({ byteCapacity: '1000' });
    await expect(channel.put(body(801), never)).rejects.toBeInstanceOf(ChannelFullError);
  });

  test('headers are free up to their share and count beyond it', async () => {
    const { channel } = await open({ byteCapacity: '1000', 'keep-alive': '0' });
    for (let i = 0; i < 8; i++) await channel.put(body(10, { key: 'x'.repeat(22) }), never);
    const other = await open({ byteCapacity: '1000', 'keep-alive': '0' });
    for (let i = 0; i < 4; i++) await other.channel.put(body(10, { key: 'x'.repeat(122) }), never);
    await expect(other.channel.put(body(10), never)).rejects.toBeInstanceOf(ChannelFullError);
  });

  test('an empty channel takes any batch whose bodies fit, however large its headers', async () => {
    const { channel } = await open({ byteCapacity: '1000', 'keep-alive': '0' });
    await channel.put(body(10, { key: 'x'.repeat(5000) }), never);
    await (await take(channel, 1)).commit();
    for (let i = 0; i < 8; i++) await channel.put(body(100), never);
  });

  test.each(['0', '99', '124'])('byteCapacity %s is less than a slot and means no limit', async (byteCapacity) => {
    const { channel } = await open({ byteCapacity });
    await channel.put(body(100_000), never);
  });

  test('partial commits give back exactly what they took in', async () => {
    const { channel } = await open({ byteCapacity: '2000', byteCapacityBufferPercentage: '0', 'keep-alive': '0' });
    const mixed = [150, 20, 330, 0, 99].flatMap((bytes, i) => body(bytes, { n: 'x'.repeat(i * 40) }));
    for (let round = 0; round < 50; round++) {
      await channel.put(mixed, never);
      await (await take(channel, 3)).commit(2);
      await (await take(channel, 1)).commit();
      await (await take(channel, 5)).commit();
    }
    for (let i = 0; i < 20; i++) await channel.put(body(100), never);
    await expect(channel.put(body(1), never)).rejects.toBeInstanceOf(ChannelFullError);
  });
});

describe('slabs', () => {
  test('bodies that use little of what they pin are copied into one buffer', async () => {
    const { channel } = await open({});
    const slab = Buffer.allocUnsafeSlow(65_536);
    slab.write('helloworld');
    await channel.put(
      [
        { headers: {}, body: slab.subarray(0, 5) },
        { headers: {}, body: slab.subarray(5, 10) },
      ],
      never,
    );
    const lease = await take(channel, 2);
    expect(bodies(lease)).toEqual(['hello', 'world']);
    for (const event of lease.events) expect(event.body.buffer.byteLength).toBe(10);
  });

  test('bodies that fill their slab stay views', async () => {
    const { channel } = await open({});
    const slab = Buffer.allocUnsafeSlow(100);
    await channel.put([{ headers: {}, body: slab.subarray(0, 60) }], never);
    expect((await take(channel, 1)).events[0]?.body.buffer).toBe(slab.buffer);
  });
});

describe('waiting readers', () => {
  test('a put wakes them in turn', async () => {
    const { channel } = await open({});
    const first = channel.take(2, never);
    const second = channel.take(2, never);
    await channel.put(events(1, 2, 3), never);
    expect(bodies(await first)).toEqual(['1', '2']);
    expect(bodies(await second)).toEqual(['3']);
  });

  test('one that was aborted passes the wake-up on', async () => {
    const { channel } = await open({});
    const stop = new AbortController();
    const first = channel.take(1, stop.signal);
    const second = channel.take(1, never);
    const put = channel.put(events(1), never);
    stop.abort();
    await put;
    expect(await first).toBeNull();
    expect(bodies(await second)).toEqual(['1']);
  });

  test('an aborted signal takes nothing even when something is there', async () => {
    const { channel } = await open({});
    await channel.put(events(1), never);
    expect(await channel.take(1, AbortSignal.abort())).toBeNull();
    expect(channel.gauges().size).toBe(1);
  });
});

describe('stop and resize', () => {
  test('stop sends waiting readers and writers away and keeps the content counted', async () => {
    const { channel } = await open({ capacity: '1', transactionCapacity: '1' });
    const reader = channel.take(1, never);
    await channel.put(events(1), never);
    const lease = await reader;
    const writer = channel.put(events(2), never);
    const waiting = channel.take(1, never);
    await channel.stop();
    await channel.stop();
    await expect(writer).rejects.toThrow('stopped');
    expect(await waiting).toBeNull();
    await expect(channel.put(events(3), never)).rejects.toThrow('stopped');
    lease?.rollback();
    expect(channel.gauges()).toEqual({ size: 1, capacity: 1, lent: 0 });
    await channel.start();
    expect(bodies(await take(channel, 1))).toEqual(['1']);
  });

  test('adopt resizes a running channel and keeps its events', async () => {
    const { channel } = await open({ capacity: '2', transactionCapacity: '2' });
    await channel.put(events(1, 2), never);
    const waiting = channel.put(events(3), never);
    expect(memory.adopt?.(channel, configOf({ capacity: '3', transactionCapacity: '3' }))).toBe(true);
    await waiting;
    expect(memory.adopt?.(channel, configOf({ capacity: '1', transactionCapacity: '1' }))).toBe(true);
    const put = channel.put(events(4), never);
    await (await take(channel, 9)).commit();
    await (await take(channel, 9)).commit();
    expect(await settled(put)).toBe(false);
    await (await take(channel, 9)).commit();
    await put;
    expect(channel.gauges()).toEqual({ size: 1, capacity: 1, lent: 0 });
  });
});

describe('declaration', () => {
  test('bad values fall back to the defaults with a warning', () => {
    const { config, findings } = parse({
      capacity: 'lots',
      transactionCapacity: '0',
      'keep-alive': 'x',
      byteCapacity: '-',
      byteCapacityBufferPercentage: 'half',
    });
    expect(config).toMatchObject({ capacity: 100, transactionCapacity: 100, 'keep-alive': 3, byteCapacity: undefined, byteCapacityBufferPercentage: 20 });
    expect(findings.map((finding) => finding.severity)).toEqual(Array(5).fill('warning'));
  });

  test('transactionCapacity above capacity is an error in the words of Flume', () => {
    const findings = memory.check?.(configOf({ capacity: '50' }), {});
    expect(findings?.map((finding) => [finding.severity, finding.message])).toEqual([
      ['error', 'Transaction Capacity of Memory Channel cannot be higher than the capacity.'],
    ]);
    expect(memory.check?.(configOf({}), {})).toEqual([]);
  });

  test('explain can name what a crash costs and the remedy', () => {
    expect(memory.delivery?.(configOf({})).crash).toMatchObject({ effect: 'loses', improve: expect.stringContaining('file') });
    expect(memory.facts?.(configOf({}))).toEqual({ capacity: 100, transactionCapacity: 100 });
  });
});
