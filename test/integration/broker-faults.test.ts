/** What goes wrong around a broker: disks, clients and clocks. Each fault is one test; the broker serves on after it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { DeleteTopics } from '../../src/kafka/apis/delete-topics.ts';
import { Fetch } from '../../src/kafka/apis/fetch.ts';
import { Heartbeat } from '../../src/kafka/apis/heartbeat.ts';
import { JoinGroup } from '../../src/kafka/apis/join-group.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { Produce } from '../../src/kafka/apis/produce.ts';
import { SyncGroup } from '../../src/kafka/apis/sync-group.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { encodeRequest } from '../../src/kafka/headers.ts';
import { ZERO_UUID } from '../../src/kafka/schema.ts';
import { ManualClock } from '../../src/lib/clock.ts';
import { MemoryDisk } from '../../src/lib/memory-disk.ts';
import { endsWithTest, placeFor } from '../ends-with-test.ts';
import { freePort } from './agent-process.ts';
import { BrokerProcess, batchOf, brokerWith, eventually, fetchFrom, produceTo, readAll, TestBroker, tempDir } from './broker-harness.ts';

const STORAGE_ERROR = 56;
async function processOn(dir?: string, settings: Readonly<Record<string, string>> = {}): Promise<BrokerProcess> {
  const broker = endsWithTest(new BrokerProcess(await freePort(), dir));
  await broker.start(settings);
  return broker;
}

async function serves(client: KafkaConnection, topic: string): Promise<void> {
  expect((await produceTo(client, topic, 0, batchOf(['still here']))).errorCode).toBe(0);
  expect((await readAll(client, topic, 0)).at(-1)?.value).toBe('still here');
}

/** Produces until the disk is full; the acknowledged values by offset. */
async function fill(client: KafkaConnection, acknowledged: Map<number, string>): Promise<void> {
  for (let n = acknowledged.size, refusals = 0; refusals < 3; n++) {
    const value = `v${n}-${'x'.repeat(20_000)}`;
    const { errorCode, baseOffset } = await produceTo(client, 'full', 0, batchOf([value]));
    if (errorCode === 0) acknowledged.set(baseOffset, value);
    else {
      expect(errorCode).toBe(STORAGE_ERROR);
      refusals++;
    }
    expect(n).toBeLessThan(5000);
  }
}

async function holds(client: KafkaConnection, acknowledged: ReadonlyMap<number, string>): Promise<void> {
  const found = new Map((await readAll(client, 'full', 0)).map(({ offset, value }) => [offset, value]));
  expect([...acknowledged].filter(([offset, value]) => found.get(offset) !== value).map(([offset]) => offset)).toEqual([]);
}

/** A tmpfs of its own; unmounted and removed at the end of the test. */
function mounted(options: string): string {
  const dir = tempDir('broker-mount');
  onTestFinished(() => {
    spawnSync('umount', ['-l', dir]);
    fs.rmSync(dir, { recursive: true, force: true });
  });
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir]).status).toBe(0);
  return dir;
}

const mayMount = ((): boolean => {
  const dir = tempDir('broker-mount');
  const ok = process.getuid?.() === 0 && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]).status === 0;
  if (ok) spawnSync('umount', ['-l', dir]);
  fs.rmSync(dir, { recursive: true, force: true });
  return ok;
})();

const commit = async (client: KafkaConnection, committedOffset: number): Promise<number> => {
  const { topics } = await client.call(OffsetCommit, {
    groupId: 'full',
    topics: [{ name: 'full', partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: 'm'.repeat(4000) }] }],
  });
  return topics[0]!.partitions[0]!.errorCode;
};

describe('disks', () => {
  test('a full disk: producers get KAFKA_STORAGE_ERROR, nothing acknowledged is lost, it goes on when there is room', async () => {
    const disk = new MemoryDisk(1);
    const broker = await brokerWith({}, { disk });
    const client = await broker.client();
    await broker.topic('full');
    disk.capacityBytes = disk.usedBytes + 2_000_000;
    const acknowledged = new Map<number, string>();
    await fill(client, acknowledged);
    expect(acknowledged.size).toBeGreaterThan(10);
    for (let n = 0; n < 5; n++) await commit(client, n);
    await holds(client, acknowledged);
    disk.capacityBytes += 4_000_000;
    await eventually(async () => (await produceTo(client, 'full', 0, batchOf(['room']))).errorCode === 0, 'the broker to write again');
    await eventually(async () => (await commit(client, 77)) === 0, 'commits again');
    await holds(client, acknowledged);
    await broker.restart();
    await holds(await broker.client(), acknowledged);
  });

  test.runIf(mayMount)('a full file system under the real program (skipped without the right to mount a tmpfs)', async () => {
    const settings = { 'log.dirs': mounted('size=6m') };
    const broker = await processOn(undefined, settings);
    const client = await broker.client();
    await client.call(CreateTopics, { topics: [{ name: 'full', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 1000 });
    const ballast = path.join(settings['log.dirs'], 'ballast');
    fs.writeFileSync(ballast, Buffer.alloc(3_000_000, 1));
    const acknowledged = new Map<number, string>();
    await fill(client, acknowledged);
    expect(acknowledged.size).toBeGreaterThan(10);
    await holds(client, acknowledged);
    fs.rmSync(ballast);
    await eventually(async () => (await produceTo(client, 'full', 0, batchOf(['room']))).errorCode === 0, 'the broker to write again');
    await holds(client, acknowledged);
    await broker.kill();
    await broker.start(settings);
    const again = await broker.client();
    await holds(again, acknowledged);
    again.close();
  });

  test.runIf(mayMount)('a read-only file system under the real program (skipped without the right to mount a tmpfs)', async () => {
    const dir = mounted('ro,size=1m');
    const broker = endsWithTest(new BrokerProcess(await freePort()));
    await broker.launch({ 'log.dirs': dir });
    expect(await broker.exited()).toBe(1);
    expect(broker.output).toMatch(new RegExp(`the broker cannot start: .*${dir}`));
  });

  test('a data directory that cannot be written: the start fails and says which', async () => {
    const dir = placeFor('broker-unwritable');
    fs.writeFileSync(path.join(dir, 'a-file'), '');
    await expect(TestBroker.start({ 'log.dirs': path.join(dir, 'a-file', 'data') })).rejects.toThrow(/a-file/);
    const disk = new MemoryDisk(1);
    disk.readOnly = true;
    await expect(TestBroker.start({}, { disk, dir: path.join(dir, 'x') })).rejects.toThrow(/read-only/);
  });

  test('a second broker on one directory refuses, and does no harm', async () => {
    const first = await processOn();
    const second = endsWithTest(new BrokerProcess(await freePort(), tempDir('broker-second')));
    await second.launch({ 'log.dirs': first.dataDir });
    expect(await second.exited()).toBe(1);
    expect(second.output).toMatch(new RegExp(`cannot start: .*${first.dataDir}.*process ${first.pid}`));
    const client = await first.client();
    expect((await client.call(Metadata, { topics: [] })).brokers).toHaveLength(1);
    client.close();
    expect(await first.stop()).toBe(143);
  });
});

describe('clients', () => {
  test('500 half requests are held open: others are served, and it stops in time', async () => {
    const broker = await brokerWith();
    await broker.topic('half');
    const request = Buffer.concat(encodeRequest({ api: Metadata, version: 9, correlationId: 1, clientId: 'half' }, { topics: [] }));
    const sockets: Socket[] = [];
    for (let n = 0; n < 500; n++) {
      const socket = connect(broker.port, '127.0.0.1');
      socket.on('error', () => {});
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write(request.subarray(0, 1 + (n % (request.length - 1))));
      sockets.push(socket);
    }
    await serves(await broker.client(), 'half');
    const began = performance.now();
    await broker.stop();
    expect(performance.now() - began).toBeLessThan(10_000);
    for (const socket of sockets) socket.destroy();
    await broker.up();
  });

  test('requests that are pipelined across a long poll are answered in order', async () => {
    const broker = await brokerWith();
    await broker.topic('order');
    const raw = await broker.raw();
    const call = { clientId: null };
    const poll = {
      maxWaitMs: 400,
      minBytes: 1,
      sessionEpoch: -1,
      topics: [{ topic: 'order', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100 }] }],
    };
    const produce = { acks: -1, timeoutMs: 1000, topicData: [{ name: 'order', partitionData: [{ index: 0, records: batchOf(['x']) }] }] };
    raw.send(
      Buffer.concat([
        ...encodeRequest({ api: Fetch, version: 11, correlationId: 1, ...call }, poll),
        ...encodeRequest({ api: Metadata, version: 9, correlationId: 2, ...call }, { topics: [] }),
        ...encodeRequest({ api: Produce, version: 9, correlationId: 3, ...call }, produce),
        ...encodeRequest({ api: Fetch, version: 11, correlationId: 4, ...call }, poll),
      ]),
    );
    const ids: (number | undefined)[] = [];
    for (let n = 0; n < 4; n++) ids.push((await raw.frame())?.readInt32BE(0));
    expect(ids).toEqual([1, 2, 3, 4]);
  });

  test('a client that asks for 50 MB again and again and reads nothing costs no more than its answer', async () => {
    const broker = await processOn();
    const client = await broker.client();
    await client.call(CreateTopics, {
      topics: [{ name: 'big', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [{ name: 'max.message.bytes', value: '2000000' }] }],
      timeoutMs: 1000,
    });
    const chunk = 'z'.repeat(1_000_000);
    for (let n = 0; n < 55; n++) expect((await produceTo(client, 'big', 0, batchOf([chunk]), { acks: 1 })).errorCode).toBe(0);
    const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${broker.pid}/status`, 'utf8'))?.[1]) * 1024;
    const socket = connect(broker.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.pause();
    for (let correlationId = 1; correlationId <= 20; correlationId++) {
      const body = {
        maxWaitMs: 0,
        minBytes: 1,
        sessionEpoch: -1,
        topics: [{ topic: 'big', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 52_428_800 }] }],
      };
      for (const part of encodeRequest({ api: Fetch, version: 11, correlationId, clientId: null }, { ...body, maxBytes: 52_428_800 })) socket.write(part);
    }
    for (let n = 0; n < 30; n++) expect((await produceTo(client, 'big', 0, batchOf(['other work']))).errorCode).toBe(0);
    if (process.platform === 'linux') expect(rss()).toBeLessThan(400_000_000);
    client.close();
    socket.destroy();
    const began = performance.now();
    expect(await broker.stop()).toBe(143);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('garbage, HTTP, TLS, negative and huge lengths: that connection ends, and the log says why', async () => {
    const broker = await brokerWith();
    await broker.topic('calm');
    const sizes = (size: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(size);
      return bytes;
    };
    for (const [bytes, said] of [
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), /HTTP/],
      [Buffer.from('16030100a5010000a1', 'hex'), /TLS/],
      [sizes(-1), /-1 bytes/],
      [sizes(2_000_000_000), /2000000000 bytes/],
      [Buffer.concat([sizes(8), Buffer.from('0003000900000001', 'hex')]), /cannot be read/],
      [Buffer.concat([sizes(12), Buffer.from('000300010000000100ffffff', 'hex')]), /cannot be read/],
    ] as const) {
      broker.said.length = 0;
      const raw = await broker.raw();
      raw.send(bytes);
      expect(await raw.frame()).toBeNull();
      expect(broker.said.join()).toMatch(said);
    }
    await serves(await broker.client(), 'calm');
  });

  test('members that vanish in the middle of a rebalance: the rest of the group goes on', async () => {
    const broker = await brokerWith({ 'group.min.session.timeout.ms': '1' });
    const join = async (client: KafkaConnection, memberId = '') => {
      const ask = (id: string) =>
        client.call(
          JoinGroup,
          {
            groupId: 'vanish',
            sessionTimeoutMs: 1500,
            rebalanceTimeoutMs: 1500,
            memberId: id,
            protocolType: 'consumer',
            protocols: [{ name: 'range', metadata: Buffer.alloc(4) }],
          },
          { version: 5 },
        );
      const first = await ask(memberId);
      return first.errorCode === 79 ? ask(first.memberId) : first;
    };
    const [one, two, three] = [await broker.client(), await broker.client(), await broker.client()];
    const alone = await join(one);
    await one.call(SyncGroup, { groupId: 'vanish', generationId: 1, memberId: alone.memberId, assignments: [] }, { version: 3 });
    // Two wait in JoinGroup; one hangs up there, the other after its answer, before its SyncGroup.
    const lost = join(two).catch(() => null);
    const waiting = join(three).catch(() => null);
    const watcher = await broker.client();
    const beat = async (generationId: number, memberId: string): Promise<number> =>
      (await watcher.call(Heartbeat, { groupId: 'vanish', generationId, memberId })).errorCode;
    await eventually(async () => (await beat(1, alone.memberId)) === 27, 'the rebalance');
    two.close();
    await lost;
    let joined = await join(one, alone.memberId);
    expect(joined).toMatchObject({ errorCode: 0, leader: alone.memberId });
    expect((await waiting)?.errorCode).toBe(0);
    three.close();
    // The last one does what a client does, until nobody else is left.
    await eventually(async () => {
      if (joined.members.length === 1) return true;
      const { generationId, memberId } = joined;
      const assignments = joined.members.map((member) => ({ memberId: member.memberId, assignment: Buffer.from('a') }));
      expect((await one.call(SyncGroup, { groupId: 'vanish', generationId, memberId, assignments }, { version: 3 })).errorCode).toBe(0);
      await eventually(async () => (await beat(generationId, memberId)) === 27, 'the next rebalance');
      joined = await join(one, memberId);
      expect(joined.errorCode).toBe(0);
      return false;
    }, 'a group of one');
  });
});

describe('time and resources', () => {
  test('a clock that is set back: appends, reads by time and sessions go on', async () => {
    const clock = new ManualClock();
    const broker = await brokerWith({}, { clock });
    const client = await broker.client();
    await broker.topic('time', 1, { 'message.timestamp.type': 'LogAppendTime' });
    const now = clock.now();
    await produceTo(client, 'time', 0, batchOf(['early']));
    clock.setWall(now - 3_600_000);
    expect(await produceTo(client, 'time', 0, batchOf(['set back']))).toMatchObject({ errorCode: 0, baseOffset: 1 });
    await clock.advance(120_000);
    expect(await produceTo(client, 'time', 0, batchOf(['later']))).toMatchObject({ errorCode: 0, baseOffset: 2 });
    expect((await readAll(client, 'time', 0)).map(({ value }) => value)).toEqual(['early', 'set back', 'later']);
    const { topics } = await client.call(ListOffsets, { replicaId: -1, topics: [{ name: 'time', partitions: [{ partitionIndex: 0, timestamp: now }] }] });
    expect(topics[0]!.partitions[0]!.offset).toBe(0);
    await broker.restart();
    expect(await readAll(await broker.client(), 'time', 0)).toHaveLength(3);
  });

  test('200 topics made, written and deleted: no file handle stays', async () => {
    const broker = await processOn();
    const client = await broker.client();
    const handles = (): string[] => fs.readdirSync(`/proc/${broker.pid}/fd`);
    const round = async (n: number): Promise<void> => {
      const name = `loop-${n}`;
      const made = await client.call(CreateTopics, {
        topics: [{ name, numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }],
        timeoutMs: 5000,
      });
      expect(made.topics[0]!.errorCode).toBe(0);
      expect((await produceTo(client, name, 1, batchOf(['x']))).errorCode).toBe(0);
      expect((await fetchFrom(client, name, 1, 0)).errorCode).toBe(0);
      const gone = await client.call(DeleteTopics, { topics: [{ name, topicId: ZERO_UUID }], timeoutMs: 5000 });
      expect(gone.responses[0]!.errorCode).toBe(0);
    };
    for (let n = 0; n < 5; n++) await round(n);
    const before = process.platform === 'linux' ? handles().length : 0;
    for (let n = 5; n < 205; n++) await round(n);
    if (process.platform === 'linux') expect(handles().length).toBeLessThanOrEqual(before + 5);
    const left = fs.readdirSync(broker.dataDir).filter((name) => name.startsWith('loop-') && !name.endsWith('-delete'));
    expect(left).toEqual([]);
    client.close();
    await broker.stop();
    await broker.start();
    expect(fs.readdirSync(broker.dataDir).filter((name) => name.startsWith('loop-'))).toEqual([]);
  });

  test('a stop under load ends within 10 s with a clean mark, and everything acknowledged is there', async () => {
    const broker = await processOn();
    const admin = await broker.client();
    await admin.call(CreateTopics, { topics: [{ name: 'busy', numPartitions: 4, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 5000 });
    admin.close();
    const acknowledged = [0, 0, 0, 0];
    const work = [0, 1, 2, 3].map(async (partition) => {
      try {
        const client = await broker.client();
        void fetchFrom(client, 'busy', partition, 0, { waitMs: 1 }).catch(() => {});
        for (;;) {
          const { errorCode } = await produceTo(client, 'busy', partition, batchOf(['load']));
          if (errorCode === 0) acknowledged[partition]!++;
        }
      } catch {
        // The broker went.
      }
    });
    const idle = await broker.client();
    const poll = fetchFrom(idle, 'busy', 0, 1_000_000_000, { waitMs: 60_000 }).catch(() => null);
    await eventually(() => acknowledged.every((count) => count > 20), 'load');
    const began = performance.now();
    expect(await broker.stop()).toBe(143);
    expect(performance.now() - began).toBeLessThan(10_000);
    await Promise.all([...work, poll]);
    expect(fs.existsSync(path.join(broker.dataDir, '.kafka_cleanshutdown'))).toBe(true);
    await broker.start();
    const client = await broker.client();
    for (const [partition, count] of acknowledged.entries()) expect((await readAll(client, 'busy', partition)).length).toBeGreaterThanOrEqual(count);
    client.close();
  });
});
