/**
 * What much of everything costs the broker: `npx tsx bench/broker-scale.ts [DIR]`. Starts the real program on an empty
 * directory and watches its resident memory while partitions, connections and group members are added; then gives 200
 * partitions 10 GB and measures how long a start takes after a clean stop. Needs about 600 MB below DIR (default: the
 * system's temporary directory); `start` as second word leaves out the first part. Prints the rows for bench/README.md.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { CreateTopics } from '../src/kafka/apis/create-topics.ts';
import { Fetch } from '../src/kafka/apis/fetch.ts';
import { JoinGroup } from '../src/kafka/apis/join-group.ts';
import { Produce } from '../src/kafka/apis/produce.ts';
import { SyncGroup } from '../src/kafka/apis/sync-group.ts';
import { KafkaConnection } from '../src/kafka/client/connection.ts';
import { BatchBuilder } from '../src/records/builder.ts';

const HOUSE = path.resolve(import.meta.dirname, '..');
const base = fs.mkdtempSync(path.join(process.argv[2] ?? os.tmpdir(), 'millrace-scale-'));
const COUNT = 1000;
/** For the start. */
const PARTITIONS = 200;
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

async function topics(client: KafkaConnection, prefix: string, partitions: number, each = 100): Promise<void> {
  for (let i = 0; i < partitions / each; i++) {
    const topic = { name: `${prefix}${i}`, numPartitions: each, replicationFactor: 1, assignments: [], configs: [] };
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

/** 50 MB in 100 batches of half a megabyte, 2 MB a segment, in partition 0 of a topic of 200. */
async function fillOne(dir: string): Promise<void> {
  const program = new Program(dir);
  await program.ready();
  const client = await program.client();
  await topics(client, 'big', PARTITIONS, PARTITIONS);
  const builder = new BatchBuilder({}, MB);
  for (let i = 0; i < 500; i++) builder.append(null, Buffer.alloc(1000, 65), Date.now());
  const records = builder.finish();
  for (let n = 0; n < 100; n++) {
    const body = { acks: 1, timeoutMs: 10_000, topicData: [{ name: 'big0', partitionData: [{ index: 0, records }] }] };
    const answer = await client.call(Produce, body);
    if (answer.responses[0]?.partitionResponses[0]?.errorCode !== 0) throw new Error('not stored');
  }
  client.close();
  await program.stop();
}

/**
 * Gives all partitions the data of the first. Batches do not name their partition, so closed segments can be one file under
 * many names: 10 GB for the broker, 50 MB for the disk. What it goes on writing to is copied.
 */
function multiply(data: string): void {
  const source = path.join(data, 'big0-0');
  const names = fs.readdirSync(source).filter((name) => name !== 'partition.metadata');
  const active = names
    .filter((name) => name.endsWith('.log'))
    .sort()
    .at(-1)
    ?.slice(0, 20) as string;
  for (let index = 1; index < PARTITIONS; index++) {
    const target = path.join(data, `big0-${index}`);
    for (const name of fs.readdirSync(target)) if (name !== 'partition.metadata') fs.rmSync(path.join(target, name));
    for (const name of names) {
      const isClosed = /^\d{20}\./.test(name) && !name.startsWith(active);
      if (isClosed) fs.linkSync(path.join(source, name), path.join(target, name));
      else fs.copyFileSync(path.join(source, name), path.join(target, name));
    }
  }
  for (const name of ['recovery-point-offset-checkpoint', 'replication-offset-checkpoint']) {
    const file = path.join(data, name);
    const lines = fs.readFileSync(file, 'utf8').trim().split('\n').slice(2);
    const end = lines.find((line) => line.startsWith('big0 0 '))?.split(' ')[2] as string;
    const all = [...lines.filter((line) => !line.startsWith('big0 ')), ...Array.from({ length: PARTITIONS }, (_, index) => `big0 ${index} ${end}`)];
    fs.writeFileSync(file, `0\n${all.length}\n${all.join('\n')}\n`);
  }
}

async function start(): Promise<void> {
  const dir = path.join(base, 'start');
  await fillOne(dir);
  multiply(path.join(dir, 'data'));
  const times: number[] = [];
  let stopMs = 0;
  for (let round = 0; round < 5; round++) {
    const again = new Program(dir);
    times.push(await again.ready());
    if (round === 0) await check(again);
    stopMs = await again.stop();
  }
  times.sort((a, b) => a - b);
  console.log(`| start with 10 GB in ${PARTITIONS} partitions after a clean stop, program and all, median of 5 | ${times[2]?.toFixed(0)} ms | < 1000 ms |`);
  console.log(`| stop with 10 GB in ${PARTITIONS} partitions | ${stopMs.toFixed(0)} ms | |`);
}

/** What was multiplied is there: the last record of the last partition can be read. */
async function check(program: Program): Promise<void> {
  const client = await program.client();
  const partitions = [{ partition: PARTITIONS - 1, fetchOffset: 49_999, partitionMaxBytes: MB }];
  const answer = await client.call(Fetch, { maxWaitMs: 0, minBytes: 1, topics: [{ topic: 'big0', partitions }] }, { version: 12 });
  const got = answer.responses[0]?.partitions[0];
  if (got?.highWatermark !== 50_000 || got.records?.length === 0) throw new Error(`the data is not there: ${JSON.stringify(got)}`);
  client.close();
}

try {
  if (process.argv[3] !== 'start') await memory();
  await start();
} finally {
  fs.rmSync(base, { recursive: true, force: true });
}
