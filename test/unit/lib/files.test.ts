import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type FileSystem, readWhole, realDisk, replaceWhole, StorageError } from '../../../src/lib/files.ts';
import { MemoryDisk, PowerLoss } from '../../../src/lib/memory-disk.ts';

const made: string[] = [];
afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function errnoOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof StorageError) return error.errno;
    throw error;
  }
  return 'none';
}

describe.each([
  [
    'the real disk',
    (): [FileSystem, string] => {
      const dir = mkdtempSync(join(tmpdir(), 'millrace-files-'));
      made.push(dir);
      return [realDisk, dir];
    },
  ],
  [
    'the memory disk',
    (): [FileSystem, string] => {
      const disk = new MemoryDisk();
      disk.mkdir('/d');
      return [disk, '/d'];
    },
  ],
])('%s keeps the contract', (_name, make) => {
  test('write, read, grow with a hole, truncate', async () => {
    const [disk, dir] = make();
    const path = join(dir, 'a');
    expect(errnoOf(() => disk.open(path, 'read'))).toBe('ENOENT');
    expect(errnoOf(() => disk.open(path, 'update'))).toBe('ENOENT');
    const fd = disk.open(path, 'create');
    disk.write(fd, Buffer.from('hello'), 0);
    disk.write(fd, Buffer.from('world'), 8);
    disk.write(fd, Buffer.from('J'), 0);
    expect(disk.size(fd)).toBe(13);
    const buf = Buffer.alloc(20, '.');
    expect(disk.read(fd, buf, 2, 18, 0)).toBe(13);
    expect(buf.toString()).toBe('..Jello\0\0\0world.....');
    expect(disk.read(fd, buf, 0, 5, 13)).toBe(0);
    disk.truncate(fd, 3);
    disk.truncate(fd, 5);
    expect(readWhole(disk, path)?.toString()).toBe('Jel\0\0');
    disk.sync(fd);
    await disk.datasync(fd);
    disk.close(fd);
    expect(errnoOf(() => disk.close(fd))).toBe('EBADF');
    const reading = disk.open(path, 'read');
    expect(errnoOf(() => disk.write(reading, Buffer.from('x'), 0))).toBe('EBADF');
    disk.close(reading);
  });

  test('names: list, rename over, remove, directories, times', async () => {
    const [disk, dir] = make();
    const at = (name: string): string => join(dir, name);
    disk.mkdir(at('sub/deep'));
    disk.mkdir(at('sub/deep'));
    for (const name of ['a', 'b']) {
      const fd = disk.open(at(name), 'create');
      disk.write(fd, Buffer.from(name), 0);
      disk.close(fd);
    }
    expect(disk.readdir(dir).sort()).toEqual(['a', 'b', 'sub']);
    disk.rename(at('a'), at('b'));
    expect([disk.stat(at('a')), readWhole(disk, at('b'))?.toString(), readWhole(disk, at('a'))]).toEqual([null, 'a', null]);
    disk.setModified(at('b'), 1_600_000_000_000);
    expect(disk.stat(at('b'))).toEqual({ sizeBytes: 1, modifiedMs: 1_600_000_000_000, isDirectory: false });
    expect(disk.stat(at('sub'))?.isDirectory).toBe(true);
    disk.syncDir(dir);
    disk.rename(at('sub'), at('sub2'));
    expect(disk.stat(at('sub2/deep'))?.isDirectory).toBe(true);
    disk.rmdir(at('sub2'));
    disk.rmdir(at('sub2'));
    await disk.remove(at('b'));
    await disk.remove(at('b'));
    expect(disk.readdir(dir)).toEqual([]);
    expect([errnoOf(() => disk.unlink(at('b'))), errnoOf(() => disk.readdir(at('nowhere')))]).toEqual(['ENOENT', 'ENOENT']);
    expect(disk.freeBytes(dir)).toBeGreaterThan(0);
  });

  test('an open file survives its name', () => {
    const [disk, dir] = make();
    const fd = disk.open(join(dir, 'a'), 'create');
    disk.write(fd, Buffer.from('still here'), 0);
    disk.unlink(join(dir, 'a'));
    const buf = Buffer.alloc(10);
    expect([disk.read(fd, buf, 0, 10, 0), buf.toString()]).toEqual([10, 'still here']);
    disk.close(fd);
  });

  test('replaceWhole leaves no temporary', () => {
    const [disk, dir] = make();
    replaceWhole(disk, join(dir, 'c'), Buffer.from('one and more'));
    replaceWhole(disk, join(dir, 'c'), Buffer.from('two'));
    expect([readWhole(disk, join(dir, 'c'))?.toString(), disk.readdir(dir)]).toEqual(['two', ['c']]);
  });
});

test('an error says what, where, why and what to do', () => {
  const error = new StorageError('write', '/data/x.log', 'ENOSPC');
  expect([error.message, error.fix, error.retriable, error.code]).toEqual([
    'cannot write /data/x.log: no space left on the disk',
    'free some space; work goes on by itself then',
    true,
    'STORAGE',
  ]);
  expect(new StorageError('open', '/x', 'EROFS').retriable).toBe(false);
});

describe('the memory disk after a power loss', () => {
  const withFile = (seed = 1): { disk: MemoryDisk; fd: number } => {
    const disk = new MemoryDisk(seed, 4);
    disk.mkdir('/d');
    disk.syncDir('/');
    const fd = disk.open('/d/f', 'create');
    disk.write(fd, Buffer.from('aaaabbbb'), 0);
    disk.sync(fd);
    disk.syncDir('/d');
    return { disk, fd };
  };
  const content = (disk: MemoryDisk): string | undefined => readWhole(disk, '/d/f')?.toString();

  test('forgets what was not synced: bytes, sizes, names', () => {
    const { disk, fd } = withFile();
    disk.write(fd, Buffer.from('XXXXYYYYZZZZ'), 0);
    const other = disk.open('/d/new', 'create');
    disk.sync(other);
    disk.rename('/d/f', '/d/g');
    disk.crash();
    expect([disk.readdir('/d'), content(disk), disk.openFiles]).toEqual([['f'], 'aaaabbbb', 0]);
    const again = disk.open('/d/f', 'update');
    disk.truncate(again, 2);
    disk.crash();
    expect(content(disk)).toBe('aaaabbbb');
  });

  test('torn: any of the sectors, all kinds of endings', () => {
    const seen = new Set<string | undefined>();
    for (let seed = 1; seed < 200; seed++) {
      const { disk, fd } = withFile(seed);
      disk.write(fd, Buffer.from('XXXXYYYYZZZZ'), 0);
      disk.crash({ tear: true });
      seen.add(content(disk));
      disk.crash({ tear: true });
    }
    expect([...seen].sort()).toEqual(['XXXXYYYY', 'XXXXYYYYZZZZ', 'XXXXbbbb', 'XXXXbbbbZZZZ', 'aaaaYYYY', 'aaaaYYYYZZZZ', 'aaaabbbb', 'aaaabbbbZZZZ']);
  });

  test('a failed sync forgets for good, though reads still show it', async () => {
    const { disk, fd } = withFile();
    disk.write(fd, Buffer.from('XXXX'), 0);
    disk.failNext('sync', 'EIO');
    await expect(disk.datasync(fd)).rejects.toThrow(/disk reported an error/);
    await disk.datasync(fd);
    expect(content(disk)).toBe('XXXXbbbb');
    disk.crash();
    expect(content(disk)).toBe('aaaabbbb');
  });

  test('a sync covers what was written before it began, not after', async () => {
    const { disk, fd } = withFile();
    disk.write(fd, Buffer.from('XXXX'), 0);
    const syncing = disk.datasync(fd);
    disk.write(fd, Buffer.from('YYYY'), 4);
    await syncing;
    disk.crash();
    expect(content(disk)).toBe('XXXXbbbb');
  });

  test('faults on order: the second write to one file, no room, read-only, power', () => {
    const { disk, fd } = withFile();
    disk.failNext('write', 'EIO', { path: '/d/f', skip: 1 });
    disk.write(fd, Buffer.from('1'), 0);
    expect(errnoOf(() => disk.write(fd, Buffer.from('2'), 0))).toBe('EIO');
    disk.write(fd, Buffer.from('3'), 0);
    disk.capacityBytes = 10;
    expect([errnoOf(() => disk.write(fd, Buffer.from('wxyz'), 8)), disk.size(fd), disk.freeBytes('/')]).toEqual(['ENOSPC', 10, 0]);
    disk.write(fd, Buffer.from('over'), 0);
    disk.readOnly = true;
    expect([errnoOf(() => disk.write(fd, Buffer.from('x'), 0)), errnoOf(() => disk.open('/d/z', 'create'))]).toEqual(['EROFS', 'EROFS']);
    disk.readOnly = false;
    disk.powerOffAt = disk.changes + 2;
    disk.write(fd, Buffer.from('x'), 0);
    expect(() => disk.write(fd, Buffer.from('x'), 0)).toThrow(PowerLoss);
    expect(() => disk.readdir('/d')).toThrow(PowerLoss);
    disk.crash();
    expect(disk.readdir('/d')).toEqual(['f']);
  });
});
