/**
 * What a broker does when its disk refuses, when the power goes off between two steps, and when requests cross each other:
 * through real sockets, on a disk in memory that fails on demand.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { IncrementalAlterConfigs } from '../../src/kafka/apis/incremental-alter-configs.ts';
import { ManualClock } from '../../src/lib/clock.ts';
import { MemoryDisk } from '../../src/lib/memory-disk.ts';
import { batchOf, fetchFrom, produceTo, readAll, TestBroker } from './broker-harness.ts';

const STORAGE_ERROR = 56;
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function onMemory(settings: Readonly<Record<string, string>> = {}, disk = new MemoryDisk(), clock = new ManualClock(Date.now())) {
  const broker = await TestBroker.start({ 'log.dirs': '/data', ...settings }, { disk, clock });
  ends.push(() => broker.stop().catch(() => {}));
  return { broker, disk, clock, client: await broker.client() };
}

/** The power goes off and comes back; another broker starts on what is left. */
async function afterCrash(disk: MemoryDisk, settings: Readonly<Record<string, string>> = {}) {
  disk.crash();
  return onMemory(settings, disk);
}

describe('topics through crashes', () => {
  test('one that was deleted and made again does not begin where checkpoints say the first one ended', async () => {
    const { broker, disk, client } = await onMemory();
    const { topics } = broker.running.broker;
    await broker.topic('t');
    for (let i = 0; i < 10; i++) await produceTo(client, 't', 0, batchOf(['old']));
    await topics.raiseLogStart(topics.partition('t', 0)!, 8);
    topics.writeRecoveryPoints();
    await topics.remove('t');
    await broker.topic('t');
    await produceTo(client, 't', 0, batchOf(['new']));
    const next = await afterCrash(disk);
    expect(next.broker.said).toEqual([]);
    expect(await readAll(next.client, 't', 0)).toEqual([{ offset: 0, key: null, value: 'new' }]);
    expect((await produceTo(next.client, 't', 0, batchOf(['newer']))).baseOffset).toBe(1);
  });

  test('partitions added while the topic goes do not stay behind', async () => {
    const { broker, disk } = await onMemory();
    await broker.topic('t');
    const { topics } = broker.running.broker;
    const outcomes = await Promise.all([topics.addPartitions('t', 3), topics.remove('t')]);
    expect(outcomes[1].errorCode).toBe(0);
    expect(disk.readdir('/data').filter((name) => /^t-\d+$/.test(name))).toEqual([]);
    const next = await afterCrash(disk);
    expect(next.broker.running.broker.topics.get('t')).toBeUndefined();
  });

  test('one that could not be made on a full disk is not there after a restart', async () => {
    const { broker, disk, client } = await onMemory();
    disk.failNext('write', 'ENOSPC', { path: 't-2' });
    const answer = await client.call(CreateTopics, { topics: [{ name: 't', numPartitions: 4, replicationFactor: 1, assignments: [], configs: [] }] });
    expect(answer.topics[0]?.errorCode).toBe(STORAGE_ERROR);
    await broker.restart();
    expect(broker.running.broker.topics.get('t')).toBeUndefined();
  });

  test('growing that failed half-way can be asked for again', async () => {
    const { broker, disk } = await onMemory();
    await broker.topic('t');
    const { topics } = broker.running.broker;
    disk.failNext('write', 'ENOSPC', { path: 't-2' });
    expect((await topics.addPartitions('t', 4)).errorCode).toBe(STORAGE_ERROR);
    expect((await topics.addPartitions('t', 4)).errorCode).toBe(0);
    expect(topics.get('t')?.partitions.length).toBe(4);
  });

  test('one that cannot be deleted stays usable, and can be deleted later', async () => {
    const { broker, disk, client } = await onMemory();
    await broker.topic('t', 2);
    await produceTo(client, 't', 0, batchOf(['a']));
    disk.failNext('rename', 'EIO', { path: 't-1' });
    const { topics } = broker.running.broker;
    expect((await topics.remove('t')).errorCode).toBe(STORAGE_ERROR);
    expect((await produceTo(client, 't', 0, batchOf(['b']))).errorCode).toBe(0);
    expect((await readAll(client, 't', 0)).map(({ value }) => value)).toEqual(['a', 'b']);
    expect((await topics.remove('t')).errorCode).toBe(0);
    expect((await fetchFrom(client, 't', 0, 0)).errorCode).toBe(3);
  });
});

describe('settings through restarts', () => {
  test('those of a broker whose id stands in meta.properties alone', async () => {
    const disk = new MemoryDisk();
    const first = await onMemory({ 'node.id': '5' }, disk);
    await first.broker.stop();
    const { broker, client } = await onMemory({}, disk);
    const answer = await client.call(IncrementalAlterConfigs, {
      validateOnly: false,
      resources: [{ resourceType: 4, resourceName: '5', configs: [{ name: 'log.retention.ms', configOperation: 0, value: '1234567' }] }],
    });
    expect(answer.responses[0]?.errorCode).toBe(0);
    await broker.restart();
    expect(broker.running.broker.config.server['log.retention.ms']).toBe('1234567');
  });
});
