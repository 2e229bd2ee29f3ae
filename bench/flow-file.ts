/**
 * How many events per second pass through the channels on disk, put by one source and taken by one sink at the same time, and
 * what share that is of bare write + fdatasync of the same bytes on the same disk in the same run.
 * Run: npx tsx bench/flow-file.ts [events] [directory]
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import file from '../src/agent/channels/file.ts';
import type { Channel } from '../src/agent/core/channel.ts';
import type { ChannelSpec } from '../src/agent/core/define.ts';
import type { Event } from '../src/agent/core/event.ts';
import { benchChannel } from './bench-channel.ts';

const EVENTS = Number(process.argv[2] ?? 300_000);
const PLACE = process.argv[3] ?? os.tmpdir();
const BYTES = 100;
const ROUNDS = 5;

function makeChannel(dir: string): Channel {
  const raw = { checkpointDir: `${dir}/checkpoint`, dataDirs: `${dir}/data`, capacity: String(EVENTS * 2), transactionCapacity: '10000' };
  return benchChannel(file as unknown as ChannelSpec, raw, dir);
}

function makeBatch(count: number): Event[] {
  const slab = Buffer.alloc(count * BYTES, 97);
  return Array.from({ length: count }, (_, i) => ({ headers: {}, body: slab.subarray(i * BYTES, (i + 1) * BYTES) }));
}

async function drain(channel: Channel, events: number, { batch, signal }: { batch: number; signal: AbortSignal }): Promise<void> {
  for (let taken = 0; taken < events; ) {
    const lease = await channel.take(batch, signal);
    if (lease === null) throw new Error('the channel gave nothing');
    taken += lease.events.length;
    await lease.commit();
  }
}

/** Events per second through the channel. */
async function through(dir: string, events: number, batch: number): Promise<number> {
  const channel = makeChannel(dir);
  await channel.start();
  const { signal } = new AbortController();
  const began = performance.now();
  const sink = drain(channel, events, { batch, signal });
  for (let put = 0; put < events; put += batch) await channel.put(makeBatch(batch), signal);
  await sink;
  const seconds = (performance.now() - began) / 1000;
  await channel.stop();
  return events / seconds;
}

/** Events per second when their bytes are written and synced, and nothing else. */
async function bare(dir: string, events: number, batch: number): Promise<number> {
  fs.mkdirSync(dir);
  const fd = fs.openSync(path.join(dir, 'bare'), 'w');
  const bytes = Buffer.alloc(batch * BYTES, 97);
  const began = performance.now();
  for (let put = 0; put < events; put += batch) {
    fs.writeSync(fd, bytes);
    await new Promise<void>((resolve, reject) => fs.fdatasync(fd, (error) => (error ? reject(error) : resolve())));
  }
  const seconds = (performance.now() - began) / 1000;
  fs.closeSync(fd);
  return events / seconds;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

console.log(`machine: ${os.cpus()[0]?.model ?? '?'} x${os.cpus().length}, Node ${process.version}, ${os.platform()} ${os.release()}`);
for (const batch of [1, 20, 100, 1000]) {
  const events = Math.min(EVENTS, batch * 1500);
  const rates = { channel: [] as number[], bare: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    const dir = fs.mkdtempSync(path.join(PLACE, 'millrace-flow-'));
    rates.bare.push(await bare(path.join(dir, 'bare'), events, batch));
    rates.channel.push(await through(path.join(dir, 'channel'), events, batch));
    fs.rmSync(dir, { recursive: true });
  }
  const [channel, raw] = [median(rates.channel), median(rates.bare)];
  const thousands = (rate: number): string => `${(rate / 1000).toFixed(1)} k/s`;
  console.log(
    `file channel, batches of ${batch}: ${thousands(channel)}; bare write+fdatasync ${thousands(raw)}; share ${(channel / raw).toFixed(2)} (median of ${ROUNDS})`,
  );
}
