/**
 * What much of everything costs the broker: `npx tsx bench/broker-scale.ts [DIR]`. Starts the real program on an empty
 * directory and watches its resident memory while partitions, connections and group members are added; then fills 200
 * partitions with 2 GB and measures how long a start takes after a clean stop. Needs about 3 GB below DIR (default: the
 * system's temporary directory); prints the rows for bench/README.md.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { CreateTopics } from '../src/kafka/apis/create-topics.ts';
import { JoinGroup } from '../src/kafka/apis/join-group.ts';
import { Produce } from '../src/kafka/apis/produce.ts';
import { SyncGroup } from '../src/kafka/apis/sync-group.ts';
import { KafkaConnection } from '../src/kafka/client/connection.ts';
import { BatchBuilder } from '../src/records/builder.ts';

const HOUSE = path.resolve(import.meta.dirname, '..');
const base = fs.mkdtempSync(path.join(process.argv[2] ?? os.tmpdir(), 'millrace-scale-'));
const COUNT = 1000;
const MB = 1_048_576;

class Program {
  readonly #child: ChildProcess;
  #out = '';
  port = 0;

  constructor(dir: string) {
    fs.mkdirSync(dir, { recursive: true });
    const file = path.join(dir, 'server.properties');
    fs.writeFileSync(file, `listeners=PLAINTEXT://127.0.0.1:0\nlog.dirs=${dir}/data\ngroup.initial.rebalance.delay.ms=0\nlog.segment.bytes=${2 * MB}\n`);
    this.#child = spawn(path.join(HOUSE, 'bin', 'kafka-server-start.sh'), [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#out += chunk));
  }

  /** Milliseconds until it serves. */
  async ready(): Promise<number> {
    const began = performance.now();
    while (!this.#out.includes('] started')) await pause(5);
    this.port = Number(/listening on PLAINTEXT:\S*:(\d+)/.exec(this.#out)?.[1]);
    return performance.now() - began;
  }

  rssMb(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'))?.[1]) / 1024;
  }

  client(): Promise<KafkaConnection> {
    return KafkaConnection.open({ host: '127.0.0.1', port: this.port, clientId: 'scale' });
  }

  async stop(): Promise<number> {
    const began = performance.now();
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await ended;
    return performance.now() - began;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function topics(client: KafkaConnection, prefix: string, partitions: number): Promise<void> {
  for (let i = 0; i < partitions / 100; i++) {
    const topic = { name: `${prefix}${i}`, numPartitions: 100, replicationFactor: 1, assignments: [], configs: [] };
    const { topics: made } = await client.call(CreateTopics, { topics: [topic], timeoutMs: 60_000 });
    if (made[0]?.errorCode !== 0) throw new Error(`error ${made[0]?.errorCode}`);
  }
}

async function member(program: Program, group: string): Promise<KafkaConnection> {
  const client = await program.client();
  const protocols = [{ name: 'range', metadata: Buffer.alloc(20) }];
  const joined = await client.call(
    JoinGroup,
    { groupId: group, sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 60_000, memberId: '', protocolType: 'consumer', protocols },
    { version: 3 },
  );
  const assignments = [{ memberId: joined.memberId, assignment: Buffer.alloc(40) }];
  await client.call(SyncGroup, { groupId: group, generationId: joined.generationId, memberId: joined.memberId, assignments }, { version: 3 });
  return client;
}

async function memory(): Promise<void> {
  const program = new Program(path.join(base, 'memory'));
  await program.ready();
  await pause(2000);
  let before = program.rssMb();
  console.log(`| empty | ${before.toFixed(0)} MB | |`);
  const row = async (what: string): Promise<void> => {
    await pause(3000);
    const now = program.rssMb();
    console.log(`| + ${COUNT} ${what} | ${now.toFixed(0)} MB | ${(((now - before) * 1024) / COUNT).toFixed(1)} KB each |`);
    before = now;
  };
  const client = await program.client();
  await topics(client, 't', COUNT);
  await row('partitions');
  const idle: net.Socket[] = [];
  for (let i = 0; i < COUNT; i++) {
    const socket = net.connect(program.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    idle.push(socket);
  }
  await row('idle connections');
  const members: KafkaConnection[] = [];
  for (let i = 0; i < COUNT; i++) members.push(await member(program, `group-${i}`));
  await row('groups with a member on a connection of its own');
  for (const one of [...idle.map((socket) => ({ close: () => socket.destroy() })), ...members, client]) one.close();
  console.log(`| stop with all of it | ${(await program.stop()).toFixed(0)} ms | |`);
}

async function start(): Promise<void> {
  const dir = path.join(base, 'start');
  const first = new Program(dir);
  await first.ready();
  const client = await first.client();
  await topics(client, 'big', 200);
  const builder = new BatchBuilder({}, MB);
  for (let i = 0; i < 500; i++) builder.append(null, Buffer.alloc(1000, 65), Date.now());
  const records = builder.finish();
  for (let n = 0; n < 20; n++)
    for (let topic = 0; topic < 2; topic++) {
      for (let index = 0; index < 100; index++) {
        const body = { acks: 1, timeoutMs: 10_000, topicData: [{ name: `big${topic}`, partitionData: [{ index, records }] }] };
        const answer = await client.call(Produce, body);
        if (answer.responses[0]?.partitionResponses[0]?.errorCode !== 0) throw new Error('not stored');
      }
    }
  client.close();
  console.log(`| stop with 2 GB in 200 partitions | ${(await first.stop()).toFixed(0)} ms | |`);
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const again = new Program(dir);
    times.push(await again.ready());
    await again.stop();
  }
  times.sort((a, b) => a - b);
  console.log(`| start after it, program and all, median of 5 | ${times[2]?.toFixed(0)} ms | |`);
}

try {
  await memory();
  await start();
} finally {
  fs.rmSync(base, { recursive: true, force: true });
}
