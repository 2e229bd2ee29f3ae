/** What a broker finds again when it starts, whose directory it takes, and how much it looks at. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { DescribeConfigs } from '../../src/kafka/apis/describe-configs.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { type FileSystem, realDisk } from '../../src/lib/files.ts';
import { placeFor } from '../ends-with-test.ts';
import { batchOf, brokerWith, produceTo, readAll, TestBroker } from './broker-harness.ts';

describe('a restart finds again', () => {
  test('topics with ids and settings, records, producers and their sequences', async () => {
    const broker = await brokerWith();
    await broker.topic('t', 3, { 'retention.ms': '12345', 'segment.bytes': '2000' });
    const client = await broker.client();
    const { producerId, producerEpoch } = await client.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
    const batch = (i: number) => batchOf([`${i} ${'x'.repeat(200)}`], { producerId, producerEpoch, baseSequence: i });
    for (let i = 0; i < 30; i++) expect(await produceTo(client, 't', 1, batch(i))).toMatchObject({ errorCode: 0, baseOffset: i });
    const before = (await client.call(Metadata, { topics: [{ name: 't' }] })).topics[0];
    const { clusterId } = broker.running.broker;
    await broker.restart();
    const again = await broker.client();
    expect((await again.call(Metadata, { topics: [{ name: 't' }] })).topics[0]).toEqual(before);
    expect(broker.running.broker.clusterId).toBe(clusterId);
    const described = await again.call(DescribeConfigs, { resources: [{ resourceType: 2, resourceName: 't', configurationKeys: ['retention.ms'] }] });
    expect(described.results[0]?.configs).toEqual([expect.objectContaining({ name: 'retention.ms', value: '12345', configSource: 1 })]);
    expect(await readAll(again, 't', 1)).toHaveLength(30);
    expect(await produceTo(again, 't', 1, batch(29))).toMatchObject({ errorCode: 0, baseOffset: 29 });
    expect(await produceTo(again, 't', 1, batch(31))).toMatchObject({ errorCode: 45 });
    expect(await produceTo(again, 't', 1, batch(30))).toMatchObject({ errorCode: 0, baseOffset: 30 });
    const next = await again.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
    expect(next.producerId).toBeGreaterThan(producerId);
    expect(broker.said).toEqual([]);
  });

  test('partitions spread over several directories, each where it was', async () => {
    const dirs = [placeFor('data-a'), placeFor('data-b')];
    const broker = await brokerWith({ 'log.dirs': dirs.join(',') });
    await broker.topic('t', 4);
    const where = () =>
      dirs.map((dir) =>
        fs
          .readdirSync(dir)
          .filter((name) => name.startsWith('t-'))
          .sort(),
      );
    const before = where();
    expect(before.map((names) => names.length)).toEqual([2, 2]);
    const client = await broker.client();
    for (let i = 0; i < 4; i++) await produceTo(client, 't', i, batchOf([`in ${i}`]));
    await broker.restart();
    expect(where()).toEqual(before);
    const again = await broker.client();
    for (let i = 0; i < 4; i++) expect((await readAll(again, 't', i)).map(({ value }) => value)).toEqual([`in ${i}`]);
  });
});

describe('after a clean stop', () => {
  test('no log is read but for the end of it, and stopping again writes nothing', async () => {
    const broker = await brokerWith();
    await broker.topic('t', 4, { 'segment.bytes': '200000' });
    const client = await broker.client();
    const value = 'x'.repeat(1000);
    for (let i = 0; i < 40; i++) for (let p = 0; p < 4; p++) await produceTo(client, 't', p, batchOf(Array(20).fill(value)), { acks: 1 });
    await broker.stop();
    expect(fs.existsSync(path.join(broker.dir, '.kafka_cleanshutdown'))).toBe(true);
    const logs = fs.readdirSync(broker.dir, { recursive: true, encoding: 'utf8' }).filter((name) => /t-\d\/.*\.log$/.test(name));
    const total = logs.reduce((sum, name) => sum + fs.statSync(path.join(broker.dir, name)).size, 0);
    expect(total).toBeGreaterThan(3_000_000);

    const counted = new CountingDisk();
    const again = await TestBroker.start({}, { dir: broker.dir, disk: counted.disk });
    await again.stop();
    expect(counted.readBytes).toBeLessThan(total / 10);
    expect(counted.written.filter((file) => /t-\d\//.test(file))).toEqual([]);
    await broker.up();
    expect(await readAll(await broker.client(), 't', 3)).toHaveLength(800);
  });
});

/** The real disk, watched. */
class CountingDisk {
  readBytes = 0;
  readonly written: string[] = [];
  readonly disk: FileSystem;

  constructor() {
    const paths = new Map<number, string>();
    this.disk = new Proxy(realDisk, {
      get: (disk, name: keyof FileSystem) => {
        const method = disk[name] as (...words: unknown[]) => unknown;
        return (...words: unknown[]) => {
          const answer = method.apply(disk, words);
          const file = paths.get(words[0] as number) ?? '';
          if (name === 'open') paths.set(answer as number, words[0] as string);
          if (name === 'read' && file.endsWith('.log')) this.readBytes += answer as number;
          if (name === 'write' || name === 'truncate') this.written.push(file);
          return answer;
        };
      },
    });
  }
}

describe('directories of others', () => {
  test('the ids and the empty lock of a stopped Kafka are taken over', async () => {
    const dir = placeFor('kafka');
    fs.writeFileSync(path.join(dir, '.lock'), '');
    fs.writeFileSync(path.join(dir, 'meta.properties'), '#\n#Sat Nov 21 13:14:59 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nversion=0\nbroker.id=7\n');
    const broker = await brokerWith({ 'log.dirs': dir });
    const answer = await (await broker.client()).call(Metadata, { topics: [] });
    expect([answer.clusterId, answer.controllerId]).toEqual(['MkU3OEVBNTcwNTJENDM2Qg', 7]);
  });

  test('another broker.id than the directory’s is refused', async () => {
    const dir = placeFor('kafka');
    fs.writeFileSync(path.join(dir, 'meta.properties'), 'version=0\nbroker.id=7\n');
    await expect(TestBroker.start({ 'log.dirs': dir, 'broker.id': '3' })).rejects.toThrow(/belongs to broker 7, but broker\.id is 3/);
    // The refusal lets go of the lock.
    const broker = await brokerWith({ 'log.dirs': dir, 'broker.id': '7' });
    await expect(TestBroker.start({ 'log.dirs': dir })).rejects.toThrow(/It is used by a broker, of this same process/);
    expect(broker.running.broker.nodeId).toBe(7);
  });

  test('a partition that lies in two directories is refused with both names, and nothing in them is touched', async () => {
    const dirs = [placeFor('data-a'), placeFor('data-b')];
    const broker = await brokerWith({ 'log.dirs': dirs.join(',') });
    await broker.topic('t');
    await produceTo(await broker.client(), 't', 0, batchOf(['kept']));
    await broker.stop();
    const [from, to] = fs.existsSync(path.join(dirs[0]!, 't-0')) ? dirs : [...dirs].reverse();
    fs.cpSync(path.join(from!, 't-0'), path.join(to!, 't-0'), { recursive: true });
    const start = broker.up();
    await expect(start).rejects.toThrow(/^t-0 is in two directories of log\.dirs: \/.*\/t-0 and \/.*\/t-0$/);
    expect(fs.readdirSync(path.join(to!, 't-0'))).toEqual(fs.readdirSync(path.join(from!, 't-0')));
    fs.rmSync(path.join(to!, 't-0'), { recursive: true });
    await broker.up();
    expect((await readAll(await broker.client(), 't', 0)).map(({ value }) => value)).toEqual(['kept']);
  });

  test('one directory named twice is refused', async () => {
    const dir = placeFor('twice');
    await expect(TestBroker.start({ 'log.dirs': `${dir},${dir}/../${path.basename(dir)}` })).rejects.toThrow(/names one directory twice/);
  });
});
