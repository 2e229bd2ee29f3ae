import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import file from '../../../../src/agent/channels/file.ts';
import type { Channel, Lease } from '../../../../src/agent/core/channel.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ChannelError, ChannelFullError, ConfigError } from '../../../../src/lib/errors.ts';
import { type FileSystem, realDisk } from '../../../../src/lib/files.ts';
import { MemoryDisk } from '../../../../src/lib/memory-disk.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';
import { writeSealed } from '../../../../src/wal/queue/sealed-text.ts';
import { configOf, contextOf, idOf, never, numbered, type Voice } from '../../../channel-model.ts';

const RAW = { checkpointDir: '/c', dataDirs: '/d', minimumRequiredSpace: '0', transactionCapacity: '1000', capacity: '5000' };

const temporary: string[] = [];
afterEach(() => {
  for (const dir of temporary.splice(0)) fs.rmSync(dir, { recursive: true, force: true });
});
function temporaryDir(): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-file-channel-'));
  temporary.push(dir);
  return dir;
}

interface Opened {
  readonly channel: Channel;
  readonly voice: Voice;
  readonly clock: ManualClock;
}
function make(disk: FileSystem | undefined, more: Record<string, string> = {}): Opened {
  const clock = new ManualClock();
  const { ctx, voice } = contextOf(disk, clock);
  return { channel: file.create(configOf(file, { ...RAW, ...more }), ctx), voice, clock };
}
async function open(disk: FileSystem | undefined, more: Record<string, string> = {}): Promise<Opened> {
  const made = make(disk, more);
  await made.channel.start();
  return made;
}
const put = (channel: Channel, ...ids: number[]): Promise<void> => channel.put(ids.map(numbered), never);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
async function take(channel: Channel, max = 1000): Promise<Lease> {
  const lease = await channel.take(max, AbortSignal.timeout(5_000));
  if (lease === null) throw new Error('nothing to take');
  return lease;
}
const ids = (lease: Lease): number[] => lease.events.map(idOf);
function realDirs(): Record<string, string> {
  const dir = temporaryDir();
  return { checkpointDir: path.join(dir, 'checkpoint'), dataDirs: path.join(dir, 'data') };
}

describe('order and room', () => {
  test('what is rolled back comes first, over several readers', async () => {
    const { channel } = await open(new MemoryDisk());
    await put(channel, ...range(0, 9));
    const [a, b, c] = [await take(channel, 3), await take(channel, 3), await take(channel, 3)];
    b.rollback();
    a.rollback();
    await c.commit(1);
    expect(ids(await take(channel))).toEqual([0, 1, 2, 3, 4, 5, 7, 8]);
  });

  test('a taker that waits is woken by a put', async () => {
    const { channel } = await open(new MemoryDisk());
    const waiting = take(channel);
    await put(channel, 1);
    expect(ids(await waiting)).toEqual([1]);
  });

  test('a full channel refuses after keep-alive in the words of Flume, and goes on when there is room', async () => {
    const { channel, clock } = await open(new MemoryDisk(), { capacity: '10', transactionCapacity: '10', 'keep-alive': '60' });
    await put(channel, ...range(0, 10));
    const refused = put(channel, 10);
    const outcome = expect(refused).rejects.toThrow("The channel has reached it's capacity.");
    await clock.advance(60_000);
    await outcome;
    await expect(refused).rejects.toBeInstanceOf(ChannelFullError);
    const later = put(channel, 11);
    await (await take(channel, 1)).commit();
    await later;
    expect(ids(await take(channel))).toEqual([...range(1, 10), 11]);
  });

  test('a batch above transactionCapacity is refused', async () => {
    const { channel } = await open(new MemoryDisk(), { transactionCapacity: '2' });
    await expect(put(channel, 1, 2, 3)).rejects.toThrow('Put queue for FileBackedTransaction of capacity 2 full');
  });
});

describe('faults', () => {
  test('the disk fills up in the middle of a put: the source hears of it, nothing acknowledged is lost, and it goes on', async () => {
    const disk = new MemoryDisk();
    const { channel } = await open(disk);
    await put(channel, ...range(0, 100));
    disk.capacityBytes = disk.usedBytes + 700;
    const refused = put(channel, ...range(100, 200));
    await expect(refused).rejects.toBeInstanceOf(ChannelError);
    await expect(refused).rejects.toMatchObject({ retriable: true });
    const lease = await take(channel, 60);
    expect(ids(lease)).toEqual(range(0, 60));
    await lease.commit();
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await put(channel, ...range(200, 300));
    disk.crash();
    const { channel: again } = await open(disk);
    expect(ids(await take(again))).toEqual([...range(60, 100), ...range(200, 300)]);
  });

  test('less free space than minimumRequiredSpace is refused in the words of Flume', async () => {
    const disk = new MemoryDisk();
    disk.capacityBytes = 3_000_000;
    const { channel, clock } = await open(disk, { minimumRequiredSpace: '2999999' });
    const refused = put(channel, 1);
    await expect(refused).rejects.toThrow(/Usable space exhausted, only \d+ bytes remaining, required \d+ bytes/);
    await expect(refused).rejects.toMatchObject({ retriable: true });
    disk.capacityBytes = 10_000_000;
    await clock.advance(1_000);
    await put(channel, 2);
    expect(ids(await take(channel))).toEqual([2]);
  });

  // Root may write anywhere, so the directory is read-only on the faulty disk.
  test('a read-only directory: the start says so and can be tried again', async () => {
    const disk = new MemoryDisk();
    disk.readOnly = true;
    const { channel } = make(disk);
    await expect(channel.start()).rejects.toThrow('read-only');
    expect(channel.extraGauges?.()).toMatchObject({ Open: 'false', Closed: 1, Unhealthy: 1 });
    disk.readOnly = false;
    await channel.start();
    await put(channel, 1);
    disk.readOnly = true;
    await expect(put(channel, 2)).rejects.toMatchObject({ retriable: true });
    disk.readOnly = false;
    await put(channel, 3);
    expect(ids(await take(channel))).toEqual([1, 3]);
  });

  test('a directory removed while running: puts fail, the channel asks to be started again, and works then', async () => {
    const dirs = realDirs();
    const { channel, voice } = await open(undefined, dirs);
    await put(channel, 1);
    fs.rmSync(dirs.dataDirs as string, { recursive: true });
    await expect(put(channel, 2)).rejects.toThrow('no such file');
    expect(voice.failures).toHaveLength(1);
    await channel.stop();
    await channel.start();
    await put(channel, 3);
    expect(ids(await take(channel))).toEqual([3]);
    expect(voice.lines.join('\n')).toContain('1 events that had been safe are lost');
    expect(voice.extra.EventsLostCount).toBe(1);
    await channel.stop();
  });

  test('what was lent before it was opened anew and is committed late makes no room that is not there', async () => {
    const { channel } = await open(new MemoryDisk(), { capacity: '10', transactionCapacity: '10', 'keep-alive': '0' });
    await put(channel, ...range(0, 10));
    const lent = await take(channel, 5);
    await channel.stop();
    await channel.start();
    await lent.commit();
    await expect(put(channel, 10)).rejects.toBeInstanceOf(ChannelFullError);
  });

  test('no file handles: the put that needs a new data file fails, the next one works', async () => {
    const disk = new MemoryDisk();
    const { channel } = await open(disk, { maxFileSize: '2000' });
    await put(channel, ...range(0, 50));
    disk.failNext('open', 'EMFILE', { path: '.log' });
    await expect(put(channel, 50)).rejects.toThrow('too many files open');
    await put(channel, 51);
    expect(ids(await take(channel))).toEqual([...range(0, 50), 51]);
  });

  test.each(['a stop', 'a kill'])('the first data file removed after %s: its events are counted as lost, all others come', async (end) => {
    const disk = new MemoryDisk();
    const { channel } = await open(disk, { maxFileSize: '2000' });
    for (let id = 0; id < 60; id++) await put(channel, id);
    await (await take(channel, 5)).commit();
    if (end === 'a stop') await channel.stop();
    else disk.crash({ killed: true });
    const files = disk.readdir('/d').filter((name) => name.endsWith('.log'));
    const second = Number(files.sort()[1]?.replace('.log', ''));
    disk.unlink(`/d/${files[0]}`);
    const { channel: again, voice } = await open(disk, { maxFileSize: '2000' });
    expect(ids(await take(again))).toEqual(range(second, 60));
    expect(voice.extra.EventsLostCount).toBe(second - 5);
    expect(voice.lines.join('\n')).toContain(`events 5 to ${second - 1} had been stored and are in none of the data files any more`);
  });

  test('the clock set back changes nothing', async () => {
    const disk = new MemoryDisk();
    const { channel, clock } = await open(disk, { maxFileSize: '2000' });
    await put(channel, ...range(0, 40));
    clock.setWall(0);
    await put(channel, ...range(40, 80));
    clock.setWall(4_000_000_000_000);
    await put(channel, ...range(80, 90));
    disk.crash();
    const { channel: again } = await open(disk, { maxFileSize: '2000' });
    expect(ids(await take(again))).toEqual(range(0, 90));
  });

  test('a failed fsync: nothing of the put comes out later, and the next put works', async () => {
    const disk = new MemoryDisk();
    const { channel, voice } = await open(disk);
    await put(channel, 1);
    disk.failNext('sync', 'EIO', { path: '.log' });
    await expect(put(channel, 2)).rejects.toMatchObject({ retriable: true });
    expect(voice.extra.EventPutErrorCount).toBe(1);
    await put(channel, 3);
    disk.crash();
    const { channel: again } = await open(disk);
    expect(ids(await take(again))).toEqual([1, 3]);
  });

  test('a put that was refused counts as no loss after a power failure, whatever of it had reached the disk', async () => {
    for (let seed = 0; seed < 100; seed++) {
      const disk = new MemoryDisk(seed);
      const { channel } = await open(disk);
      await put(channel, 1);
      disk.failNext('sync', 'EIO', { path: '.log' });
      await expect(put(channel, 2)).rejects.toMatchObject({ retriable: true });
      disk.crash({ tear: true });
      const { channel: again, voice } = await open(disk);
      expect([seed, voice.extra.EventsLostCount]).toEqual([seed, 0]);
      expect(ids(await take(again))).toContain(1);
    }
  });

  test('acknowledgements that cannot be written do not stop the sinks', async () => {
    const disk = new MemoryDisk();
    const { channel, voice } = await open(disk);
    await put(channel, ...range(0, 10));
    disk.failNext('write', 'EIO', { path: 'acks', times: 3 });
    await (await take(channel, 5)).commit();
    expect(voice.extra.CheckpointWriteErrorCount).toBeGreaterThan(0);
    for (let i = 0; i < 4; i++) await (await take(channel, 1)).commit();
    disk.crash();
    const { channel: again } = await open(disk);
    expect(ids(await take(again))).toEqual([9]);
  });

  test('a safe mark that cannot be written stops nothing, and the log says what that costs, and when it works again', async () => {
    const disk = new MemoryDisk();
    const { channel, voice } = await open(disk);
    disk.failNext('write', 'EIO', { path: '/c/safe', times: 2 });
    for (let id = 0; id < 4; id++) await put(channel, id);
    expect(voice.lines.filter((line) => /safe/.test(line))).toEqual([
      expect.stringMatching(/\/c\/safe.*; events keep flowing, but if the end of the newest data file were lost now, nothing would tell$/),
      expect.stringContaining('the safe mark can be written again'),
    ]);
    expect(ids(await take(channel))).toEqual(range(0, 4));
  });
});

describe('numbers of refused puts', () => {
  test('are no losses after a kill, also when the disk took their acknowledgement no more than the put', async () => {
    const disk = new MemoryDisk();
    const { channel } = await open(disk);
    await put(channel, 1);
    disk.failNext('sync', 'EIO', { path: '.log' });
    disk.failNext('write', 'EIO', { path: 'acks', times: 3 });
    await expect(put(channel, 2)).rejects.toMatchObject({ retriable: true });
    await put(channel, 3);
    disk.crash({ killed: true });
    const { channel: again, voice } = await open(disk);
    expect(ids(await take(again))).toEqual([1, 3]);
    expect(voice.extra.EventsLostCount).toBe(0);
  });
});

describe('directories', () => {
  test('two channels on one directory: the second names the first', async () => {
    const dirs = realDirs();
    const { channel } = await open(undefined, dirs);
    const second = make(undefined, dirs);
    await expect(second.channel.start()).rejects.toThrow(/already locked.*channel c1 of agent a1, of this same process/s);
    await channel.stop();
    await second.channel.start();
    await second.channel.stop();
  });

  test('another process on the directory is named; a dead one does not matter', async () => {
    const dirs = realDirs();
    const holder = spawn('sleep', ['60']);
    const started = fs
      .readFileSync(`/proc/${holder.pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
    fs.mkdirSync(dirs.checkpointDir as string);
    fs.writeFileSync(path.join(dirs.checkpointDir as string, 'in_use.lock'), `${holder.pid} ${started} channel x of agent y\n`);
    const { channel } = make(undefined, dirs);
    await expect(channel.start()).rejects.toThrow(`channel x of agent y, process ${holder.pid}`);
    const ended = new Promise((resolve) => holder.on('close', resolve));
    holder.kill('SIGKILL');
    await ended;
    await channel.start();
    await channel.stop();
  });

  test('what Java Flume left is not ignored', async () => {
    const dirs = realDirs();
    fs.mkdirSync(dirs.dataDirs as string, { recursive: true });
    fs.writeFileSync(path.join(dirs.dataDirs as string, 'log-1.meta'), 'x');
    const started = make(undefined, dirs).channel.start();
    await expect(started).rejects.toBeInstanceOf(ConfigError);
    await expect(started).rejects.toThrow('holds a file channel of Java Flume');
  });

  test('files of a newer version are refused with a sentence', async () => {
    const disk = new MemoryDisk();
    await (await open(disk)).channel.stop();
    writeSealed(disk, '/c/channel.id', { kind: 'millrace-channel', format: 2, value: {} });
    await expect(make(disk).channel.start()).rejects.toThrow('was written by a newer version of this program (format 2, this one knows 1)');
    const other = new MemoryDisk();
    const { channel } = await open(other);
    await put(channel, 1);
    await channel.stop();
    writeSealed(other, '/c/checkpoint.json', { kind: 'millrace-checkpoint', format: 2, value: {} });
    const refused = make(other).channel.start();
    await expect(refused).rejects.toBeInstanceOf(ConfigError);
    await expect(refused).rejects.toMatchObject({ fix: expect.stringContaining('start the newer version again') });
    expect(other.openFiles).toBe(0);
  });

  test('directories of two channels mixed up are refused', async () => {
    const disk = new MemoryDisk();
    await (await open(disk)).channel.stop();
    await (await open(disk, { checkpointDir: '/c2', dataDirs: '/d2' })).channel.stop();
    await expect(make(disk, { dataDirs: '/d2' }).channel.start()).rejects.toThrow('belong to different channels');
  });

  test('a data directory with events may not leave; an empty one may, and others may come', async () => {
    const disk = new MemoryDisk();
    const { channel } = await open(disk, { dataDirs: '/d1,/d2' });
    await put(channel, 1);
    await put(channel, 2);
    await channel.stop();
    await expect(make(disk, { dataDirs: '/d1' }).channel.start()).rejects.toThrow('events wait in /d2');
    const both = await open(disk, { dataDirs: '/d3,/d2,/d1' });
    const lease = await take(both.channel);
    expect(ids(lease)).toEqual([1, 2]);
    await lease.commit();
    await both.channel.stop();
    const one = await open(disk, { dataDirs: '/d3' });
    expect(one.channel.gauges().size).toBe(0);
    await put(one.channel, 3);
    expect(ids(await take(one.channel))).toEqual([3]);
  });

  test('without its checkpoint directory everything comes again; with a backup of it nothing does', async () => {
    for (const backup of [{}, { useDualCheckpoints: 'true', backupCheckpointDir: '/b' }]) {
      const disk = new MemoryDisk();
      const { channel } = await open(disk, backup);
      await put(channel, ...range(0, 10));
      await (await take(channel, 4)).commit();
      await channel.stop();
      disk.rmdir('/c');
      const again = await open(disk, backup);
      expect(ids(await take(again.channel))).toEqual('backupCheckpointDir' in backup ? range(4, 10) : range(0, 10));
    }
  });
});

describe('encryption', () => {
  const KEYS = { 'encryption.activeKey': 'k1', 'encryption.cipherProvider': 'AESCTRNOPADDING', 'encryption.keyProvider': 'KEYFILE' };
  const body = Buffer.from('the quick brown fox');

  test('nothing readable is on disk, and it comes back, also after a change of key', async () => {
    const dirs = realDirs();
    const keyFile = path.join(temporaryDir(), 'keys');
    fs.writeFileSync(keyFile, `# keys\nk1 = ${'ab'.repeat(32)}\nk2 = ${Buffer.alloc(16, 7).toString('base64')}\n`);
    const config = { ...dirs, ...KEYS, 'encryption.keyProvider.keyFile': keyFile };
    const first = await open(undefined, config);
    await first.channel.put([{ headers: { secret: 'header' }, body }], never);
    await first.channel.stop();
    const second = await open(undefined, { ...config, 'encryption.activeKey': 'k2' });
    await second.channel.put([{ headers: {}, body }], never);
    await second.channel.stop();
    const [data] = fs.readdirSync(dirs.dataDirs as string).filter((name) => name.endsWith('.log'));
    const bytes = fs.readFileSync(path.join(dirs.dataDirs as string, data as string));
    expect(bytes.includes('quick')).toBe(false);
    expect(bytes.includes('secret')).toBe(false);
    const third = await open(undefined, config);
    expect((await take(third.channel)).events).toEqual([
      { headers: { secret: 'header' }, body },
      { headers: {}, body },
    ]);
    await third.channel.stop();
    fs.writeFileSync(keyFile, `k2 = ${Buffer.alloc(16, 7).toString('base64')}\n`);
    await expect(make(undefined, config).channel.start()).rejects.toThrow('has no key "k1"');
    const without = await open(undefined, { ...config, 'encryption.activeKey': 'k2' });
    await expect(take(without.channel)).rejects.toThrow('encrypted with key "k1", which the key file lacks');
    await without.channel.stop();
  });

  test.each([
    [{ 'encryption.activeKey': 'k1' }, 'encryption needs'],
    [{ ...KEYS, 'encryption.keyProvider': 'JCEKSFILE' }, 'cannot be had here'],
    [{ ...KEYS, 'encryption.cipherProvider': 'ROT13' }, 'is not known'],
    [KEYS, 'encryption needs encryption.keyProvider.keyFile'],
  ])('%j is refused', (raw, message) => {
    const written = Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }]));
    const { config } = parseProperties(file.properties, written);
    expect(file.check?.(config as NonNullable<typeof config>, written).map((finding) => finding.message)).toEqual([expect.stringContaining(message)]);
  });
});

test('the real disk: everything is there after a stop, and nothing is left open', async () => {
  const dirs = realDirs();
  const { channel } = await open(undefined, dirs);
  await Promise.all([put(channel, ...range(0, 500)), put(channel, ...range(500, 700))]);
  await (await take(channel, 100)).commit();
  await channel.stop();
  await channel.stop();
  expect(realDisk.readdir(dirs.dataDirs as string)).not.toContain('in_use.lock');
  const again = await open(undefined, dirs);
  expect(again.channel.gauges()).toEqual({ size: 600, capacity: 5000, lent: 0 });
  expect(ids(await take(again.channel))).toEqual(range(100, 700));
  await again.channel.stop();
});
