/**
 * Round trips of the broker as a warm client sees them: five records of 100 bytes each millisecond, acks = all, one request at
 * a time, for 15 seconds after 500 requests that do not count. Ours (answered after fdatasync) and, where there is one, a real
 * Kafka (answered from the page cache), in the same run, in turn. Tools that start a Java client measure the first second of
 * that client instead: what it could not send while it loaded goes out in one burst.
 * Run: npx tsx bench/broker-latency.ts [rounds, default 3]; BENCH_HOUSE names another built clone.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { LeanProducer } from '../src/kafka/client/producer.ts';
import { readProducerConfig } from '../src/kafka/client/settings.ts';
import { systemClock } from '../src/lib/clock.ts';
import { type Broker, KAFKA, machine, ourBroker, realBroker } from './sides.ts';

const ROUNDS = Number(process.argv[2] ?? 3);
const WARM_UP = 500;
const SECONDS = 15;
const POINTS = [50, 95, 99, 99.9];

/** Milliseconds at {@link POINTS}. */
async function measure(address: string): Promise<number[]> {
  const { config } = readProducerConfig({ acks: 'all' });
  const producer = new LeanProducer({ bootstrap: [address], config: config as NonNullable<typeof config>, clientId: 'latency', clock: systemClock });
  const body = Buffer.alloc(100, 'x');
  const batch = {
    count: 5,
    load(_: number, into: { topic: string; value: Buffer | null; timestamp: number }): boolean {
      into.topic = 'latency';
      into.value = body;
      into.timestamp = Date.now();
      return true;
    },
  };
  for (let i = 0; i < WARM_UP; i++) await producer.send(batch);
  const times: number[] = [];
  const began = performance.now();
  for (let due = began; performance.now() - began < SECONDS * 1_000; due++) {
    while (performance.now() < due) await new Promise((resolve) => setImmediate(resolve));
    const sent = performance.now();
    await producer.send(batch);
    times.push(performance.now() - sent);
  }
  await producer.close();
  times.sort((a, b) => a - b);
  return POINTS.map((point) => times[Math.floor((times.length * point) / 100)] as number);
}

async function ours(): Promise<number[]> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'broker-latency-'));
  try {
    return await measured(await ourBroker(dir));
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

async function measured(broker: Broker): Promise<number[]> {
  try {
    return await measure(broker.address);
  } finally {
    await broker.end();
  }
}

const kafka = async (): Promise<number[]> => measured(await realBroker());

console.log(`machine: ${machine}; milliseconds at ${POINTS.map((point) => `${point} %`).join(', ')}`);
const best = new Map<string, number[]>();
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of [...(fs.existsSync(KAFKA) ? [['kafka', kafka] as const] : []), ['ours', ours] as const]) {
    const points = await run();
    console.log(`  ${name.padEnd(6)} ${points.map((ms) => ms.toFixed(2).padStart(8)).join('')}`);
    best.set(
      name,
      points.map((ms, i) => Math.min(ms, best.get(name)?.[i] ?? ms)),
    );
  }
}
const [a, b] = [best.get('ours'), best.get('kafka')];
if (a !== undefined && b !== undefined) console.log(`ours / kafka (best): ${a.map((ms, i) => `${(ms / (b[i] as number)).toFixed(2)}x`.padStart(8)).join('')}`);
