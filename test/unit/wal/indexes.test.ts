/** Which index files are believed, and that one which is not is made anew: a wrong entry would hide records. */
import { describe, expect, test } from 'vitest';
import { readWhole } from '../../../src/lib/files.ts';
import { MemoryDisk } from '../../../src/lib/memory-disk.ts';
import { OffsetIndex, TimeIndex } from '../../../src/wal/indexes.ts';
import { batchOf, contents, DIR, fill, openLog, upTo } from './kit.ts';

const FILE = '/d/0.index';
const LOG_BYTES = 1000;

function fileOf(content: Buffer): MemoryDisk {
  const disk = new MemoryDisk();
  disk.mkdir('/d');
  const fd = disk.open(FILE, 'create');
  disk.write(fd, content, 0);
  disk.close(fd);
  return disk;
}

function offsets(...entries: readonly (readonly [offset: number, position: number])[]): Buffer {
  const out = Buffer.alloc(entries.length * OffsetIndex.ENTRY_BYTES);
  entries.forEach(([offset, position], i) => {
    out.writeInt32BE(offset, i * 8);
    out.writeInt32BE(position, i * 8 + 4);
  });
  return out;
}

function times(...entries: readonly (readonly [timestamp: number, offset: number])[]): Buffer {
  const out = Buffer.alloc(entries.length * TimeIndex.ENTRY_BYTES);
  entries.forEach(([timestamp, offset], i) => {
    out.writeBigInt64BE(BigInt(timestamp), i * 12);
    out.writeInt32BE(offset, i * 12 + 8);
  });
  return out;
}

describe('an offset index', () => {
  test('that rises within its log is believed; zeros that Kafka laid out behind it are passed over', () => {
    const index = OffsetIndex.load(fileOf(Buffer.concat([offsets([3, 100], [9, 999]), Buffer.alloc(80)])), FILE, LOG_BYTES);
    expect([0, 1].map((i) => [index?.offsetAt(i), index?.positionAt(i)])).toEqual([
      [3, 100],
      [9, 999],
    ]);
    expect(index?.count).toBe(2);
  });

  test.each([
    ['offsets that fall', offsets([9, 100], [3, 200])],
    ['an offset twice', offsets([3, 100], [3, 200])],
    ['positions that fall', offsets([3, 200], [9, 100])],
    ['a position twice', offsets([3, 100], [9, 100])],
    ['a place behind the end of the log', offsets([3, 100], [9, LOG_BYTES])],
    ['half an entry', offsets([3, 100], [9, 200]).subarray(0, 12)],
  ])('with %s is not', (_name, content) => {
    expect(OffsetIndex.load(fileOf(content), FILE, LOG_BYTES)).toBeNull();
  });
});

describe('a time index', () => {
  test('that rises is believed', () => {
    expect(TimeIndex.load(fileOf(times([1000, 3], [2000, 9])), FILE)).toMatchObject({ count: 2, lastTimestamp: 2000, lastOffset: 9 });
  });

  test.each([
    ['times that fall', times([2000, 3], [1000, 9])],
    ['offsets that fall', times([1000, 9], [2000, 3])],
    ['half an entry', times([1000, 3], [2000, 9]).subarray(0, 20)],
  ])('with %s is not', (_name, content) => {
    expect(TimeIndex.load(fileOf(content), FILE)).toBeNull();
  });
});

describe('of a log', () => {
  const config = { indexIntervalBytes: 100 };
  const path = `${DIR}/00000000000000000000.index`;

  test('an index with two entries exchanged is made anew, and every record is found', async () => {
    const { log, disk } = openLog({ config });
    fill(log, 20);
    await log.close();
    const good = readWhole(disk, path) as Buffer;
    const bad = Buffer.concat([good.subarray(8, 16), good.subarray(0, 8), good.subarray(16)]);
    const fd = disk.open(path, 'update');
    disk.write(fd, bad, 0);
    disk.close(fd);
    const { log: again, damage } = openLog({ disk, config, clean: true, recoveryPoint: 40 });
    for (let offset = 0; offset < 40; offset += 2) expect(contents(again, offset)[0]).toBe(`${offset}:v${offset}`);
    expect(damage).toEqual([]);
    await again.close();
    expect(readWhole(disk, path)).toEqual(good);
  });

  test('entries of a tail that a start has cut off do not come back when the power fails right after', async () => {
    const { log, disk } = openLog({ config });
    fill(log, 20);
    await log.close();
    const file = `${DIR}/00000000000000000000.log`;
    const fd = disk.open(file, 'update');
    disk.truncate(fd, 12 * batchOf(['v10', 'v11']).length);
    disk.sync(fd);
    disk.close(fd);
    const { log: cut } = openLog({ disk, config });
    const kept = cut.nextOffset;
    expect(contents(cut)).toEqual(upTo(kept));
    disk.crash();
    const content = readWhole(disk, path) as Buffer;
    expect(content.length).toBeGreaterThan(0);
    expect(content.readInt32BE(content.length - 8)).toBeLessThan(kept);
  });
});
