// Every property of Flume's file channel does what its reference says, or is refused with a reason. Order, faults, directories and
// encryption are in file.test.ts.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import file from '../../../../src/agent/channels/file.ts';
import { loadAgent } from '../../../../src/agent/config/load.ts';
import type { Channel, Lease } from '../../../../src/agent/core/channel.ts';
import { builtInCatalog } from '../../../../src/agent/wire/catalog.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { MemoryDisk } from '../../../../src/lib/memory-disk.ts';
import type { Finding } from '../../../../src/lib/props/finding.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';
import { configOf, contextOf, idOf, never, numbered, type Voice } from '../../../channel-model.ts';

const RAW = { checkpointDir: '/c', dataDirs: '/d', minimumRequiredSpace: '0' };

interface Opened {
  readonly channel: Channel;
  readonly voice: Voice;
  readonly clock: ManualClock;
}
async function open(disk: MemoryDisk, more: Record<string, string> = {}): Promise<Opened> {
  const clock = new ManualClock();
  const { ctx, voice } = contextOf(disk, clock);
  const channel = file.create(configOf(file, { ...RAW, ...more }), ctx);
  await channel.start();
  return { channel, voice, clock };
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const put = (channel: Channel, ...ids: number[]): Promise<void> => channel.put(ids.map(numbered), never);
const take = async (channel: Channel, max = 1_000): Promise<Lease> => (await channel.take(max, never)) as Lease;
const ids = async (channel: Channel): Promise<number[]> => (await take(channel)).events.map(idOf);
const dataFiles = (disk: MemoryDisk): string[] => disk.readdir('/d').filter((name) => name.endsWith('.log'));

/** What is said of a definition, and its configuration. */
function judge(raw: Record<string, string>): { findings: Pick<Finding, 'severity' | 'message'>[]; config: Record<string, unknown> | null } {
  const written = Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }]));
  const { config, findings } = parseProperties(file.properties, written);
  return { findings: [...findings, ...(config === null ? [] : (file.check?.(config, written) ?? []))], config };
}

test('the defaults are those of Flume', async () => {
  expect(judge({}).config).toMatchObject({
    capacity: 1_000_000,
    transactionCapacity: 10_000,
    'keep-alive': 3,
    checkpointInterval: 30_000,
    maxFileSize: 1_623_195_647,
    minimumRequiredSpace: 524_288_000,
    useDualCheckpoints: false,
    compressBackupCheckpoint: false,
    checkpointOnClose: true,
    fsyncPerTransaction: true,
    fsyncInterval: 5,
  });
  const disk = new MemoryDisk();
  const { ctx } = contextOf(disk, new ManualClock(), '/home/flume');
  const channel = file.create(configOf(file, { minimumRequiredSpace: '0' }), ctx);
  await channel.start();
  await put(channel, 1);
  expect(disk.readdir('/home/flume/.flume/file-channel/checkpoint')).toContain('checkpoint.json');
  expect(disk.readdir('/home/flume/.flume/file-channel/data').some((name) => name.endsWith('.log'))).toBe(true);
});

test('a capacity of 0 or less, or no number, counts as the default', () => {
  for (const capacity of ['0', '-5', 'many']) {
    const { findings, config } = judge({ capacity });
    expect(config).toMatchObject({ capacity: 1_000_000 });
    expect(findings).toMatchObject([{ severity: 'warning' }]);
  }
});

describe('refused, in words', () => {
  test.each<[Record<string, string>, string]>([
    [{ capacity: '10', transactionCapacity: '11' }, 'File Channel transaction capacity cannot be greater than the capacity of the channel.'],
    [{ useDualCheckpoints: 'true' }, 'useDualCheckpoints needs a backupCheckpointDir'],
    [{ useDualCheckpoints: 'true', checkpointDir: '/c', backupCheckpointDir: '/c' }, 'backupCheckpointDir /c is used otherwise as well'],
    [{ useDualCheckpoints: 'true', dataDirs: '/d', backupCheckpointDir: '/d/' }, 'backupCheckpointDir /d/ is used otherwise as well'],
    [{ checkpointDir: '/d', dataDirs: '/d' }, 'checkpointDir /d is one of the dataDirs as well'],
    [{ dataDirs: '/d,/e,/d' }, 'dataDirs names a directory twice'],
  ])('%j', (raw, message) => {
    expect(judge(raw).findings).toMatchObject([{ severity: 'error', message }]);
  });

  test.each(['encryption.keyProvider.keyStoreFile', 'encryption.keyProvider.keyStorePasswordFile', 'encryption.keyProvider.keys'])('%s', (key) => {
    const { findings } = judge({ [key]: 'x' });
    expect(findings.find(({ severity }) => severity === 'error')?.message).toContain(key);
    expect(JSON.stringify(findings)).toContain('KEYFILE');
  });
});

test('what has no meaning here is said', () => {
  const { findings } = judge({ 'use-log-replay-v1': 'true', 'use-fast-replay': 'true' });
  expect(findings.map(({ message }) => message)).toEqual([expect.stringContaining('use-log-replay-v1'), expect.stringContaining('use-fast-replay')]);
  expect(judge({ maxFileSize: '2000000000' }).findings).toMatchObject([
    { severity: 'info', message: 'maxFileSize 2000000000 counts as 1623195647, as in Flume' },
  ]);
});

test('maxFileSize: no data file is larger, and those that are done with go', async () => {
  const disk = new MemoryDisk();
  const { channel, clock } = await open(disk, { maxFileSize: '2000' });
  for (let i = 0; i < 60; i++) await put(channel, 3 * i, 3 * i + 1, 3 * i + 2);
  expect(dataFiles(disk).length).toBeGreaterThan(5);
  for (const name of dataFiles(disk)) expect(disk.stat(`/d/${name}`)?.sizeBytes).toBeLessThanOrEqual(2_000);
  await (await take(channel)).commit();
  await clock.advance(31_000);
  await expect.poll(() => dataFiles(disk).length).toBe(1);
});

test('dataDirs: batches go to them in turn, and one order holds over all', async () => {
  const disk = new MemoryDisk();
  const { channel } = await open(disk, { dataDirs: '/d1, /d2 ,/d3' });
  for (let i = 0; i < 9; i++) await put(channel, i);
  const sizes = ['/d1', '/d2', '/d3'].map((dir) => disk.stat(`${dir}/00000000000000000000.log`)?.sizeBytes ?? 0);
  expect(Math.min(...sizes)).toBeGreaterThan(100);
  expect(await ids(channel)).toEqual(range(0, 9));
});

test('minimumRequiredSpace: less than 1 MiB counts as that', async () => {
  const disk = new MemoryDisk();
  const { channel } = await open(disk);
  disk.capacityBytes = disk.usedBytes + 1_000_000;
  await expect(put(channel, 1)).rejects.toThrow(/required 1048\d{3} bytes/);
});

test('checkpointInterval: less than 1 s counts as that; then what a start must look at is bounded', async () => {
  const disk = new MemoryDisk();
  const { channel, clock } = await open(disk, { checkpointInterval: '10' });
  const checkpoint = (): string => {
    const fd = disk.open('/c/checkpoint.json', 'read');
    const buf = Buffer.alloc(disk.size(fd));
    disk.read(fd, buf, 0, buf.length, 0);
    disk.close(fd);
    return buf.toString();
  };
  await put(channel, ...range(0, 50));
  const before = checkpoint();
  await clock.advance(900);
  expect(checkpoint()).toBe(before);
  await clock.advance(200);
  await expect.poll(checkpoint).toContain('"next":50');
});

test('useDualCheckpoints, compressed or not: the copy is there after a checkpoint', async () => {
  for (const [compressBackupCheckpoint, name] of [
    ['false', 'acks-backup'],
    ['true', 'acks-backup.gz'],
  ] as const) {
    const disk = new MemoryDisk();
    const { channel } = await open(disk, { useDualCheckpoints: 'true', backupCheckpointDir: '/b', compressBackupCheckpoint });
    await put(channel, ...range(0, 10));
    await (await take(channel, 4)).commit();
    await channel.stop();
    expect(disk.readdir('/b')).toContain(name);
    disk.rmdir('/c');
    const { channel: again } = await open(disk, { useDualCheckpoints: 'true', backupCheckpointDir: '/b', compressBackupCheckpoint });
    expect(await ids(again)).toEqual(range(4, 10));
  }
});

test('a copy that cannot be written is counted, and costs nothing else', async () => {
  const disk = new MemoryDisk();
  const { channel, voice, clock } = await open(disk, { useDualCheckpoints: 'true', backupCheckpointDir: '/b' });
  disk.failNext('open', 'EIO', { path: '/b', times: 1 });
  await put(channel, 1);
  await clock.advance(30_000);
  await expect.poll(() => voice.extra.CheckpointBackupWriteErrorCount).toBe(1);
  await put(channel, 2);
  await clock.advance(30_000);
  await expect.poll(() => disk.readdir('/b').includes('acks-backup')).toBe(true);
  expect(await ids(channel)).toEqual([1, 2]);
});

test('checkpointOnClose = false: the next start verifies, and nothing is lost', async () => {
  for (const checkpointOnClose of ['true', 'false']) {
    const disk = new MemoryDisk();
    const { channel } = await open(disk, { checkpointOnClose });
    await put(channel, ...range(0, 20));
    await channel.stop();
    const fd = disk.open('/c/checkpoint.json', 'read');
    const buf = Buffer.alloc(disk.size(fd));
    disk.read(fd, buf, 0, buf.length, 0);
    expect(buf.toString()).toContain(`"clean":${checkpointOnClose}`);
    disk.close(fd);
    const { channel: again } = await open(disk, { checkpointOnClose });
    expect(await ids(again)).toEqual(range(0, 20));
  }
});

test('fsyncPerTransaction: true is on the device when the put returns; false within fsyncInterval', async () => {
  const disk = new MemoryDisk();
  const each = await open(disk);
  await put(each.channel, 1);
  disk.crash();
  const later = await open(disk, { fsyncPerTransaction: 'false', fsyncInterval: '2' });
  const { syncs } = disk;
  await put(later.channel, 2);
  await put(later.channel, 3);
  expect(disk.syncs).toBe(syncs);
  await later.clock.advance(2_000);
  await expect.poll(() => disk.syncs).toBeGreaterThan(syncs);
  await put(later.channel, 4);
  disk.crash();
  const { channel } = await open(disk);
  expect(await ids(channel)).toEqual([1, 2, 3]);
});

test('the figures of the reference, and the time until it is full', async () => {
  const { channel, voice, clock } = await open(new MemoryDisk(), { capacity: '1000', transactionCapacity: '100' });
  const gauges = () => channel.extraGauges?.() ?? {};
  expect(gauges()).toEqual({ Open: 'true', Closed: 0, Unhealthy: 0, TimeToFullSeconds: -1 });
  for (let second = 0; second < 10; second++) {
    await put(channel, ...range(10 * second, 10 * second + 10));
    await clock.advance(1_000);
    gauges();
  }
  // 10 a second, 900 to go.
  expect(gauges().TimeToFullSeconds).toBe(90);
  await (await take(channel, 100)).commit();
  for (let second = 0; second < 60; second++) {
    await clock.advance(1_000);
    gauges();
  }
  expect(channel.gauges()).toEqual({ size: 0, capacity: 1_000, lent: 0 });
  expect(gauges().TimeToFullSeconds).not.toBe(90);
  await channel.stop();
  expect(gauges()).toMatchObject({ Open: 'false', Closed: 1 });
  expect(Object.keys(file.counters ?? {})).toEqual(
    expect.arrayContaining(['EventPutErrorCount', 'EventTakeErrorCount', 'CheckpointWriteErrorCount', 'CheckpointBackupWriteErrorCount', 'EventsLostCount']),
  );
  expect(voice.lines.filter((line) => line.includes('lost'))).toEqual([]);
});

test('capacity and keep-alive change while it runs; anything about storage needs a new channel', async () => {
  const { channel, clock } = await open(new MemoryDisk(), { capacity: '10', transactionCapacity: '10' });
  await put(channel, ...range(0, 10));
  expect(file.adopt?.(channel, configOf(file, { ...RAW, capacity: '5', transactionCapacity: '5', 'keep-alive': '1' }))).toBe(true);
  expect(channel.gauges()).toEqual({ size: 10, capacity: 5, lent: 0 });
  const refused = expect(put(channel, 10)).rejects.toThrow('capacity');
  await clock.advance(1_000);
  await refused;
  expect(file.adopt?.(channel, configOf(file, { ...RAW, capacity: '20', transactionCapacity: '20' }))).toBe(true);
  await put(channel, 10);
  expect(file.adopt?.(channel, configOf(file, { ...RAW, maxFileSize: '5000' }))).toBe(false);
  expect(await ids(channel)).toEqual(range(0, 11));
});

test('two channels with the same directories, or both with the defaults: the second is left out, and both are named', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-two-channels-'));
  try {
    for (const [lines, where] of [
      ['', '~/.flume/file-channel/checkpoint'],
      ['a1.channels.c1.checkpointDir = /a\na1.channels.c1.dataDirs = /b\na1.channels.c2.checkpointDir = /c\na1.channels.c2.dataDirs = /d,/b/', '/b'],
    ] as const) {
      const file = path.join(dir, 'agent.conf');
      const flow = 'a1.sources = r1\na1.sources.r1.type = seq\na1.sources.r1.channels = c1 c2\na1.channels = c1 c2\n';
      fs.writeFileSync(file, `${flow}a1.channels.c1.type = file\na1.channels.c2.type = SPILLABLEMEMORY\n${lines}\n`);
      const { model, findings } = await loadAgent({ files: [file], name: 'a1', catalog: builtInCatalog, cwd: dir, env: {}, systemProperties: {} });
      expect(model?.channels.map(({ name }) => name)).toEqual(['c1']);
      const found = findings.find(({ code }) => code === 'directory-conflict');
      expect(found).toMatchObject({ severity: 'error', message: `directory ${where} is used by channel c1 (file) as well; only one can own it` });
    }
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
});
