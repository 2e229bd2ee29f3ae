/**
 * Events per second through the lean producer and the lean consumer, against a broker of ours in a process of its own
 * or one that is named: 100-byte bodies, batches of 1000, one partition, acks = 1. What the components add is little:
 * the Kafka sink and source do nothing per event but what is measured here.
 * Run: npx tsx bench/flow-kafka.ts [host:port]
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { GroupConsumer } from '../src/kafka/client/consumer.ts';
import { LeanProducer } from '../src/kafka/client/producer.ts';
import { readConsumerConfig, readProducerConfig } from '../src/kafka/client/settings.ts';
import { systemClock } from '../src/lib/clock.ts';
import { machine, ourBroker } from './sides.ts';

const EVENTS = 1_000_000;
const BATCH = 1_000;
const BODY = Buffer.alloc(100, 'x');

async function produce(bootstrap: string[], topic: string, codec: string): Promise<number> {
  const { config } = readProducerConfig({ 'compression.type': codec });
  const producer = new LeanProducer({ bootstrap, config: config as NonNullable<typeof config>, clientId: 'bench', clock: systemClock });
  const batch = {
    count: BATCH,
    load(_: number, into: { topic: string; value: Buffer | null; timestamp: number }): boolean {
      into.topic = topic;
      into.value = BODY;
      into.timestamp = 1_700_000_000_000;
      return true;
    },
  };
  await producer.send(batch);
  const began = performance.now();
  for (let sent = BATCH; sent < EVENTS; sent += BATCH) await producer.send(batch);
  const seconds = (performance.now() - began) / 1000;
  await producer.close();
  return EVENTS / seconds;
}

async function consume(bootstrap: string[], topic: string): Promise<number> {
  const { config } = readConsumerConfig({ 'group.id': `bench-${topic}`, 'auto.offset.reset': 'earliest' });
  const options = { bootstrap, config: config as NonNullable<typeof config>, clientId: 'bench', clock: systemClock, topics: [topic], onTrouble: () => {} };
  const consumer = new GroupConsumer(options);
  consumer.start();
  const { signal } = new AbortController();
  let count = 0;
  let bytes = 0;
  let began = 0;
  while (count < EVENTS) {
    await consumer.wait(1_000, signal);
    if (began === 0) began = performance.now();
    count += consumer.drain(BATCH, (_, cursor) => {
      bytes += cursor.valueLength;
    });
    consumer.allSafe();
    void consumer.commit();
  }
  const seconds = (performance.now() - began) / 1000;
  await consumer.stop();
  if (bytes !== count * BODY.length) throw new Error(`${bytes} bytes in ${count} records`);
  return count / seconds;
}

console.log(`machine: ${machine}`);
const named = process.argv[2];
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-bench-'));
const own = named === undefined ? await ourBroker(dir) : undefined;
const bootstrap = [named ?? (own?.address as string)];
try {
  for (const codec of ['none', 'lz4']) {
    const topic = `bench-${codec}-${Date.now()}`;
    const produced = await produce(bootstrap, topic, codec);
    const consumed = await consume(bootstrap, topic);
    console.log(
      `${codec.padEnd(5)} produce ${(produced / 1e6).toFixed(2)} M/s, consume ${(consumed / 1e6).toFixed(2)} M/s, rss ${Math.round(process.memoryUsage.rss() / 1e6)} MB`,
    );
  }
} finally {
  await own?.end();
  fs.rmSync(dir, { recursive: true, force: true });
}
