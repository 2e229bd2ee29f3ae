import { expect, test } from 'vitest';
import pseudo from '../../../../src/agent/channels/pseudo.ts';
import type { Channel } from '../../../../src/agent/core/channel.ts';
import type { ChannelContext } from '../../../../src/agent/core/define.ts';
import { eventOf } from '../../../../src/agent/core/event.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';

const never = new AbortController().signal;
const events = (...bodies: string[]) => bodies.map((body) => eventOf(Buffer.from(body)));

async function open(capacity: number): Promise<{ channel: Channel; clock: ManualClock }> {
  const clock = new ManualClock();
  const channel = pseudo.create({ capacity, 'keep-alive': 3 }, { clock } as unknown as ChannelContext);
  await channel.start();
  return { channel, clock };
}

test('a put waits for room without end', async () => {
  const { channel, clock } = await open(1);
  await channel.put(events('a'), never);
  let stored = false;
  const put = channel.put(events('b'), never).then(() => {
    stored = true;
  });
  await clock.advance(3_600_000);
  expect(stored).toBe(false);
  await (await channel.take(1, never))?.commit();
  await put;
  expect(channel.gauges()).toEqual({ size: 1, capacity: 1, lent: 0 });
});

test('stop ends waiting puts and takes', async () => {
  const { channel } = await open(1);
  await channel.put(events('a'), never);
  const put = channel.put(events('b'), never);
  const lease = await channel.take(1, never);
  const waiting = channel.take(1, never);
  await channel.stop();
  await expect(put).rejects.toThrow('stopped');
  expect(await waiting).toBeNull();
  lease?.rollback();
  expect(channel.gauges().size).toBe(1);
});

test('a batch above the capacity is refused', async () => {
  const { channel } = await open(1);
  await expect(channel.put(events('a', 'b'), never)).rejects.toThrow('capacity 1');
});
