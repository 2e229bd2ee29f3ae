// The spillable channel, property by property: what goes to memory, what to disk, in which order all comes out, and what a crash
// takes. The same at random is in test/fuzz/spillable-channel.test.ts.
import { describe, expect, test } from 'vitest';
import spillable from '../../../../src/agent/channels/spillable.ts';
import type { Channel, Lease } from '../../../../src/agent/core/channel.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ChannelError, ChannelFullError } from '../../../../src/lib/errors.ts';
import { MemoryDisk } from '../../../../src/lib/memory-disk.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';
import { configOf, contextOf, idOf, never, numbered, type Voice } from '../../../channel-model.ts';

const RAW = { checkpointDir: '/c', dataDirs: '/d', minimumRequiredSpace: '0', transactionCapacity: '10', overflowTimeout: '0', memoryCapacity: '10' };

interface Opened {
  readonly channel: Channel;
  readonly voice: Voice;
  readonly clock: ManualClock;
  readonly disk: MemoryDisk;
}
async function open(more: Record<string, string> = {}, disk = new MemoryDisk()): Promise<Opened> {
  const clock = new ManualClock();
  const { ctx, voice } = contextOf(disk, clock);
  const channel = spillable.create(configOf(spillable, { ...RAW, ...more }), ctx);
  await channel.start();
  return { channel, voice, clock, disk };
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const put = (channel: Channel, ...ids: number[]): Promise<void> => channel.put(ids.map(numbered), never);
const take = async (channel: Channel, max = 10): Promise<Lease> => (await channel.take(max, never)) as Lease;
async function all(channel: Channel): Promise<number[]> {
  const out: number[] = [];
  while (channel.gauges().size > 0) {
    const lease = await take(channel);
    out.push(...lease.events.map(idOf));
    await lease.commit();
  }
  return out;
}
const where = (channel: Channel): (number | string | undefined)[] => {
  const { EventsInMemory, EventsOnDisk } = channel.extraGauges?.() ?? {};
  return [EventsInMemory, EventsOnDisk];
};
function judge(raw: Record<string, string>) {
  const written = Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }]));
  const { config, findings } = parseProperties(spillable.properties, written);
  return { config, findings: [...findings, ...(config === null ? [] : (spillable.check?.(config, written) ?? []))] };
}

describe('one order', () => {
  test('memory, disk, memory again, disk again: what was put first comes first', async () => {
    const { channel } = await open();
    await put(channel, ...range(0, 10));
    await put(channel, ...range(10, 20));
    expect(where(channel)).toEqual([10, 10]);
    // A batch that memory has no room for goes to disk whole, a smaller one into what is free.
    await (await take(channel, 4)).commit();
    await put(channel, ...range(20, 25));
    expect(where(channel)).toEqual([6, 15]);
    await put(channel, ...range(25, 29));
    expect(where(channel)).toEqual([10, 15]);
    await put(channel, ...range(29, 35));
    expect(where(channel)).toEqual([10, 21]);
    await (await take(channel, 6)).commit();
    await put(channel, ...range(35, 41));
    expect(where(channel)).toEqual([10, 21]);
    expect(channel.extraGauges?.()).toMatchObject({ EventsSpilledCount: 21 });
    expect(await all(channel)).toEqual(range(10, 41));
  });

  test('one lease may reach over the border; what comes back from it goes to its own place', async () => {
    const { channel } = await open({ memoryCapacity: '5' });
    await put(channel, ...range(0, 5));
    await put(channel, ...range(5, 15));
    const lease = await take(channel, 8);
    expect(lease.events.map(idOf)).toEqual(range(0, 8));
    expect((await take(channel, 2)).events.map(idOf)).toEqual([8, 9]);
    await lease.commit(3);
    expect((await take(channel)).events.map(idOf)).toEqual([3, 4, 5, 6, 7, 10, 11, 12, 13, 14]);
  });

  test('while it spills, many writers keep the order of each', async () => {
    const { channel } = await open();
    const writers = range(0, 4).map(async (writer) => {
      for (let i = 0; i < 100; i++) await put(channel, writer * 1_000 + i);
    });
    const got: number[] = [];
    const reader = (async () => {
      while (got.length < 400) {
        const lease = await take(channel, 7);
        got.push(...lease.events.map(idOf));
        await lease.commit();
      }
    })();
    await Promise.all([...writers, reader]);
    expect(channel.extraGauges?.().EventsSpilledCount).toBeGreaterThan(0);
    for (const writer of range(0, 4)) {
      expect(got.filter((id) => Math.floor(id / 1_000) === writer)).toEqual(range(writer * 1_000, writer * 1_000 + 100));
    }
  });
});

describe('what is kept', () => {
  test('a crash takes what is in memory, at most memoryCapacity events, and nothing that had gone to disk', async () => {
    const { channel, disk } = await open();
    await put(channel, ...range(0, 10));
    await put(channel, ...range(10, 20));
    disk.crash();
    expect(await all((await open({}, disk)).channel)).toEqual(range(10, 20));
  });

  test('a stop writes memory to disk, behind what is there', async () => {
    const { channel, disk, voice } = await open();
    await put(channel, ...range(0, 10));
    await put(channel, ...range(10, 20));
    await channel.stop();
    expect(voice.lines.join('\n')).toContain('10 events in memory were written to disk');
    expect(await all((await open({}, disk)).channel)).toEqual([...range(10, 20), ...range(0, 10)]);
  });

  test('what a sink has not given back when the channel stops comes again', async () => {
    const { channel, disk } = await open({ memoryCapacity: '5' });
    await put(channel, ...range(0, 5));
    await put(channel, ...range(5, 15));
    expect((await take(channel, 8)).events.map(idOf)).toEqual(range(0, 8));
    await channel.stop();
    const ids = await all((await open({}, disk)).channel);
    expect(ids.sort((a, b) => a - b)).toEqual(range(0, 15));
  });

  test('what a stop could not bring to disk is still there when the channel is opened again', async () => {
    const { channel, disk, voice } = await open();
    await put(channel, ...range(0, 5));
    disk.readOnly = true;
    await channel.stop();
    expect(voice.lines.join('\n')).toContain('5 events in memory could not be written to disk; they are lost if the process ends now');
    disk.readOnly = false;
    await channel.start();
    await put(channel, 5);
    expect((await take(channel)).events.map(idOf)).toEqual(range(0, 6));
  });

  test('explain says both', () => {
    const { crash, stop } = spillable.delivery?.(configOf(spillable, RAW)) ?? {};
    expect(crash).toMatchObject({ effect: 'loses', note: 'what is in memory (up to 10 events) is lost; what is on disk is kept' });
    expect(stop).toMatchObject({ effect: 'nothing' });
  });
});

describe('properties', () => {
  test('the defaults are those of Flume, also when both capacities are 0', async () => {
    expect(judge({}).config).toMatchObject({
      memoryCapacity: 10_000,
      overflowCapacity: 100_000_000,
      overflowTimeout: 3,
      overflowDeactivationThreshold: 5,
      byteCapacityBufferPercentage: 20,
      avgEventSize: 500,
      transactionCapacity: 10_000,
    });
    const { channel } = await open({ memoryCapacity: '0', overflowCapacity: '0' });
    expect(channel.gauges().capacity).toBe(100_010_000);
  });

  test('overflowTimeout: a put waits so long for memory before it goes to disk', async () => {
    const { channel, clock } = await open({ overflowTimeout: '2' });
    await put(channel, ...range(0, 10));
    const waiting = put(channel, 10);
    await clock.advance(1_900);
    expect(where(channel)).toEqual([10, 0]);
    await clock.advance(200);
    await waiting;
    expect(where(channel)).toEqual([10, 1]);
    // Now that it spills nobody waits.
    await put(channel, 11);
    expect(where(channel)).toEqual([10, 2]);
  });

  test('overflowDeactivationThreshold: puts wait for memory again when so much of it is free', async () => {
    const { channel, clock } = await open({ overflowTimeout: '2', overflowDeactivationThreshold: '50' });
    await put(channel, ...range(0, 10));
    const spilling = put(channel, 10);
    await clock.advance(2_000);
    await spilling;
    // 40 % free, and a batch that does not fit: to disk at once.
    await (await take(channel, 4)).commit();
    await put(channel, ...range(11, 16));
    expect(where(channel)).toEqual([6, 6]);
    // 60 % free: the next one that does not fit waits.
    await (await take(channel, 2)).commit();
    const waiting = put(channel, ...range(16, 24));
    await (await take(channel, 2)).commit();
    await waiting;
    expect(where(channel)).toEqual([10, 6]);
  });

  test('overflowTimeout: room that comes in time is used', async () => {
    const { channel } = await open({ overflowTimeout: '2' });
    await put(channel, ...range(0, 10));
    const waiting = put(channel, 10);
    await (await take(channel, 5)).commit();
    await waiting;
    expect(where(channel)).toEqual([6, 0]);
  });

  test('memoryCapacity = 0: everything goes to disk', async () => {
    const { channel, disk } = await open({ memoryCapacity: '0' });
    await put(channel, 1);
    expect(where(channel)).toEqual([0, 1]);
    disk.crash();
    expect(await all((await open({ memoryCapacity: '0' }, disk)).channel)).toEqual([1]);
  });

  test('overflowCapacity = 0: no overflow, in the words of Flume', async () => {
    const { channel } = await open({ overflowCapacity: '0' });
    await put(channel, ...range(0, 10));
    await expect(put(channel, 10)).rejects.toThrow("Spillable Memory Channel's memory capacity has been reached and overflow is disabled.");
    await expect(put(channel, 10)).rejects.toBeInstanceOf(ChannelFullError);
  });

  test('overflowCapacity bounds the disk', async () => {
    const { channel } = await open({ overflowCapacity: '12' });
    await put(channel, ...range(0, 10));
    await put(channel, ...range(10, 20));
    await expect(put(channel, 20, 21, 22)).rejects.toBeInstanceOf(ChannelFullError);
    await put(channel, 20, 21);
    expect(channel.gauges()).toEqual({ size: 22, capacity: 22, lent: 0 });
    expect(await all(channel)).toEqual(range(0, 22));
  });

  test('byteCapacity is counted in slots of avgEventSize, less the share for headers', async () => {
    const { channel } = await open({ byteCapacity: '1000', byteCapacityBufferPercentage: '50', avgEventSize: '100' });
    await put(channel, ...range(0, 5));
    expect(where(channel)).toEqual([5, 0]);
    await put(channel, 5);
    expect(where(channel)).toEqual([5, 1]);
  });

  test('a batch above transactionCapacity is refused', async () => {
    const { channel } = await open();
    await expect(put(channel, ...range(0, 11))).rejects.toBeInstanceOf(ChannelError);
  });

  test('an overflow smaller than transactionCapacity is refused in the words of Flume; what has no meaning is said', () => {
    expect(judge({ overflowCapacity: '9999' }).findings).toMatchObject([
      { severity: 'error', message: 'File Channel transaction capacity cannot be greater than the capacity of the channel.' },
    ]);
    expect(judge({ capacity: '5', 'keep-alive': '1' }).findings.map(({ message }) => message)).toEqual([
      expect.stringContaining('capacity'),
      expect.stringContaining('keep-alive'),
    ]);
  });
});

test('a disk that fails costs the put that spills, is said and counted once, and memory goes on', async () => {
  const { channel, disk, voice } = await open();
  await put(channel, ...range(0, 10));
  disk.failNext('write', 'ENOSPC', { path: '.log', times: 2 });
  await expect(put(channel, 10)).rejects.toMatchObject({ retriable: true });
  await expect(put(channel, 11)).rejects.toMatchObject({ retriable: true });
  expect(voice.extra.EventPutErrorCount).toBe(2);
  expect(voice.lines.filter((line) => line.includes('no space left on the disk; puts are refused'))).toHaveLength(1);
  await put(channel, 12);
  expect(voice.lines).toContain('puts are stored again');
  expect(await all(channel)).toEqual([...range(0, 10), 12]);
});
