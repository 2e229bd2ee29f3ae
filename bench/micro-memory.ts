/**
 * How many events per second pass through the memory channel, put and taken again in batches of one size.
 * Run: npx tsx bench/micro-memory.ts
 */
import os from 'node:os';
import memory from '../src/agent/channels/memory.ts';
import type { Channel } from '../src/agent/core/channel.ts';
import { ChannelCounters } from '../src/agent/core/counters.ts';
import type { ChannelContext } from '../src/agent/core/define.ts';
import type { Event } from '../src/agent/core/event.ts';
import { systemClock } from '../src/lib/clock.ts';
import { parseProperties } from '../src/lib/props/spec.ts';

const ROUNDS = 5;
const SECONDS_PER_ROUND = 0.6;

function makeChannel(): Channel {
  const { config } = parseProperties(memory.properties, { capacity: { value: '10000' }, transactionCapacity: { value: '1000' } });
  const ctx = { clock: systemClock, counters: new ChannelCounters() } as unknown as ChannelContext;
  return memory.create(config as NonNullable<typeof config>, ctx);
}

function makeBatch(count: number, headers: boolean): Event[] {
  const slab = Buffer.allocUnsafeSlow(count * 64);
  return Array.from({ length: count }, (_, i) => ({
    headers: headers ? { timestamp: '1700000000000', host: 'node-1' } : {},
    body: slab.subarray(i * 64, i * 64 + 64),
  }));
}

/** Millions of events per second: one source puts and one sink takes and commits, the sink a batch behind. */
async function measure(count: number, headers: boolean): Promise<number> {
  const channel = makeChannel();
  await channel.start();
  const { signal } = new AbortController();
  const batch = makeBatch(count, headers);
  const begin = performance.now();
  let events = 0;
  let elapsedMs = 0;
  do {
    for (let i = 0; i < 2000; i++) {
      await channel.put(batch, signal);
      const lease = await channel.take(count, signal);
      if (lease === null) throw new Error('the channel gave nothing');
      await lease.commit();
      events += lease.events.length;
    }
    elapsedMs = performance.now() - begin;
  } while (elapsedMs < SECONDS_PER_ROUND * 1000);
  await channel.stop();
  return events / elapsedMs / 1000;
}

console.log(`machine: ${os.cpus()[0]?.model ?? '?'} x${os.cpus().length}, Node ${process.version}, ${os.platform()} ${os.release()}`);
for (const headers of [false, true]) {
  for (const count of [1, 20, 100, 1000]) {
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round++) rates.push(await measure(count, headers));
    rates.sort((a, b) => a - b);
    const median = rates[Math.floor(ROUNDS / 2)] as number;
    console.log(`memory channel, batches of ${count}, ${headers ? 'two headers' : 'no headers'}: ${median.toFixed(1)} M events/s (median of ${ROUNDS})`);
  }
}
