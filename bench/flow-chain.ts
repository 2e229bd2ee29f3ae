/**
 * A whole chain, the agent and the broker it speaks to together: netcat → memory → Kafka sink → topic → Kafka source →
 * memory → null, both flows in one agent, bodies of 100 bytes, batches of 1,000, acks = 1. Ours on our broker and, where
 * there are a real Flume and a real Kafka, those two, in the same run, in turn. The rate counts from the first byte
 * fed to the last event taken at the far end; CPU and memory are of agent and broker together, and the broker of either
 * side starts fresh each round.
 * Run: npx tsx bench/flow-chain.ts [events, default 1000000] [rounds, default 3]; BENCH_HOUSE names another built clone.
 */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {
  type Broker,
  CLONE,
  FLUME,
  freePort,
  KAFKA,
  killGroups,
  listening,
  machine,
  median,
  ourBroker,
  pause,
  realBroker,
  startAgent,
  taken,
  usage,
} from './sides.ts';

const EVENTS = Number(process.argv[2] ?? 1_000_000);
const ROUNDS = Number(process.argv[3] ?? 3);
const LIMIT_MS = 300_000;

interface Result {
  readonly rate: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}
function definition(address: string, port: number): string {
  return `a1.sources = r1 r2
a1.channels = c1 c2
a1.sinks = k1 k2
a1.sources.r1.type = netcat
a1.sources.r1.bind = 127.0.0.1
a1.sources.r1.port = ${port}
a1.sources.r1.ack-every-event = false
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.channels.c1.capacity = 100000
a1.channels.c1.transactionCapacity = 10000
a1.sinks.k1.type = org.apache.flume.sink.kafka.KafkaSink
a1.sinks.k1.kafka.bootstrap.servers = ${address}
a1.sinks.k1.kafka.topic = chain
a1.sinks.k1.flumeBatchSize = 1000
a1.sinks.k1.kafka.flumeBatchSize = 1000
a1.sinks.k1.kafka.producer.acks = 1
a1.sinks.k1.channel = c1
a1.sources.r2.type = org.apache.flume.source.kafka.KafkaSource
a1.sources.r2.kafka.bootstrap.servers = ${address}
a1.sources.r2.kafka.topics = chain
a1.sources.r2.kafka.consumer.group.id = chain
a1.sources.r2.kafka.consumer.auto.offset.reset = earliest
a1.sources.r2.kafka.consumer.metadata.max.age.ms = 1000
a1.sources.r2.setTopicHeader = false
a1.sources.r2.batchSize = 1000
a1.sources.r2.channels = c2
a1.channels.c2.type = memory
a1.channels.c2.capacity = 100000
a1.channels.c2.transactionCapacity = 10000
a1.sinks.k2.type = null
a1.sinks.k2.batchSize = 1000
a1.sinks.k2.channel = c2
`;
}

/** Sends numbered lines as fast as they are taken. */
async function feed(port: number): Promise<void> {
  const socket = net.connect(port, '127.0.0.1');
  socket.resume();
  const filling = 'x'.repeat(90);
  for (let at = 0; at < EVENTS; at += 1_000) {
    let lines = '';
    for (let i = at; i < Math.min(at + 1_000, EVENTS); i++) lines += `${String(i).padStart(9, '0')} ${filling}\n`;
    if (!socket.write(lines, 'latin1')) await new Promise((resolve) => socket.once('drain', resolve));
  }
  socket.end();
}

async function once(agent: readonly string[], startBroker: (dir: string) => Promise<Broker>): Promise<Result> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'flow-chain-'));
  const children: ChildProcess[] = [];
  const broker = await startBroker(dir);
  try {
    const [port, monitor] = [await freePort(), await freePort()];
    const file = path.join(dir, 'a.conf');
    fs.writeFileSync(file, definition(broker.address, port));
    children.push(startAgent(agent, file, monitor));
    await listening(port);
    // One line first: topic, leaders and group are there before the clock runs.
    const line = net.connect(port, '127.0.0.1');
    line.write('first\n');
    const deadline = performance.now() + LIMIT_MS;
    const check = async (wanted: number): Promise<boolean> => {
      const count = (await taken(monitor, 'c2')) ?? 0;
      if (performance.now() > deadline) throw new Error(`${count} of ${EVENTS} came: ${fs.readFileSync(`${file}.log`, 'utf8').slice(-1_000)}`);
      return count >= wanted;
    };
    while (!(await check(1))) await pause(50);
    line.destroy();
    const began = performance.now();
    const fed = feed(port);
    while (!(await check(EVENTS + 1))) await pause(20);
    const rate = (EVENTS / (performance.now() - began)) * 1_000;
    await fed;
    return { rate, ...usage([broker.group, ...children.map((child) => child.pid as number)]) };
  } finally {
    await killGroups(children);
    await broker.end();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

const peers = fs.existsSync(FLUME) && fs.existsSync(KAFKA);
const results: Record<'ours' | 'peers', Result[]> = { ours: [], peers: [] };
console.log(`machine: ${machine}; ${EVENTS} events of 100 bytes through agent, broker and agent`);
for (let round = 0; round < ROUNDS; round++) {
  for (const side of peers ? (['peers', 'ours'] as const) : (['ours'] as const)) {
    const result = side === 'peers' ? await once([FLUME], realBroker) : await once([path.join(CLONE, 'bin', 'flume-ng')], ourBroker);
    results[side].push(result);
    const rate = Math.round(result.rate).toLocaleString('en').padStart(11);
    console.log(`  ${side.padEnd(6)} ${rate} events/s   cpu ${result.cpuSeconds.toFixed(1)} s   peak ${Math.round(result.peakMb)} MB`);
  }
}
const figure = (side: 'ours' | 'peers', of: keyof Result): number => median(results[side].map((one) => one[of]));
if (peers) {
  const ratio = (of: keyof Result): string => (figure('ours', of) / figure('peers', of)).toFixed(2);
  console.log(`ours / Flume and Kafka (medians): rate ${ratio('rate')}x   cpu ${ratio('cpuSeconds')}x   memory ${ratio('peakMb')}x`);
} else console.log(`ours: ${Math.round(figure('ours', 'rate')).toLocaleString('en')} events/s; there is no real Flume and Kafka to compare with`);
