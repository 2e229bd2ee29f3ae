/** What a partition knows after a start: from snapshots, after a clean stop without reading the log, and rebuilt where files are bad. */
import { describe, expect, test } from 'vitest';
import { decodeAborted, encodeAborted } from '../../../../src/broker/storage/aborted.ts';
import { readWhole } from '../../../../src/lib/files.ts';
import { MemoryDisk } from '../../../../src/lib/memory-disk.ts';
import { DATA, end, openPartition, type PartitionBench, produce, seen, texts } from './partition-kit.ts';

const DIR = `${DATA}/t-0`;
const PLAIN = { 'cleanup.policy': 'delete', 'segment.bytes': '2000' };

/** Bytes read from files that end so, while `work` runs. */
function bytesRead(disk: MemoryDisk, ending: string, work: () => void): number {
  let total = 0;
  const paths = new Map<number, string>();
  const { open, read } = disk;
  disk.open = (path, mode) => {
    const fd = open.call(disk, path, mode);
    paths.set(fd, path);
    return fd;
  };
  disk.read = (fd, ...rest) => {
    const n = read.call(disk, fd, ...rest);
    if (paths.get(fd)?.endsWith(ending)) total += n;
    return n;
  };
  work();
  Object.assign(disk, { open, read });
  return total;
}

async function reopened(bench: PartitionBench, clean = true): Promise<PartitionBench> {
  const { highWatermark } = bench.partition;
  if (clean) await bench.partition.close(true);
  else {
    await bench.partition.sync();
    (bench.disk as MemoryDisk).crash();
  }
  return openPartition({ disk: bench.disk, clock: bench.clock, clean, recoveryPoint: clean ? highWatermark : 0, config: PLAIN });
}

function overwrite(disk: PartitionBench['disk'], path: string, content: Buffer): void {
  const fd = disk.open(path, 'create');
  disk.truncate(fd, content.length);
  disk.write(fd, content, 0);
  disk.close(fd);
}

const idempotent = (producerId: number, baseSequence: number) => ({ producerId, producerEpoch: 0, baseSequence });
const transactional = (producerId: number, baseSequence: number) => ({ ...idempotent(producerId, baseSequence), transactional: true });

describe('after a clean stop', () => {
  test.each([false, true])('no log is read to know the producers (there are some: %s)', async (some) => {
    const bench = openPartition({ config: PLAIN });
    for (let i = 0; i < 100; i++) produce(bench.partition, [['k', 'x'.repeat(100)]], some ? idempotent(1, i) : {});
    const { highWatermark } = bench.partition;
    await bench.partition.close(true);
    const total = bench.partition.sizeBytes;
    const read = bytesRead(bench.disk as MemoryDisk, '.log', () => {
      openPartition({ disk: bench.disk, clock: bench.clock, clean: true, recoveryPoint: highWatermark, config: PLAIN });
    });
    expect(total).toBeGreaterThan(15_000);
    expect(read).toBeLessThan(4000);
  });

  test('a batch that was sent before is known, the next one fits, a gap is refused', async () => {
    const bench = openPartition({ config: PLAIN });
    for (let i = 0; i < 30; i++) produce(bench.partition, [['k', 'x'.repeat(100)]], idempotent(1, i));
    const { partition } = await reopened(bench);
    expect(produce(partition, [['k', 'x'.repeat(100)]], idempotent(1, 29))).toBe(29);
    expect(() => produce(partition, [['k', 'y']], idempotent(1, 31))).toThrow(/error 45/);
    expect(produce(partition, [['k', 'y']], idempotent(1, 30))).toBe(30);
  });

  test('an open transaction is still open, an aborted one still hidden', async () => {
    const bench = openPartition({ config: PLAIN });
    produce(bench.partition, [['a', 'gone']], transactional(1, 0));
    end(bench.partition, 1, false);
    produce(bench.partition, [['b', 'open']], transactional(2, 0));
    const { partition } = await reopened(bench);
    expect(partition.lastStableOffset).toBe(2);
    end(partition, 2, true);
    expect(texts(seen(partition))).toEqual(['2 b=open']);
  });

  test('a foreign segment behind the end is taken with what it says of producers', async () => {
    const bench = openPartition({ config: PLAIN });
    produce(bench.partition, [['k', '1']]);
    produce(bench.partition, [['k', '2']], idempotent(7, 0));
    await bench.partition.close(true);
    // The owner's last word was before the second batch.
    for (const name of bench.disk.readdir(DIR)) if (name.endsWith('.snapshot')) bench.disk.unlink(`${DIR}/${name}`);
    const { partition } = openPartition({ disk: bench.disk, clock: bench.clock, clean: true, recoveryPoint: 1, config: PLAIN });
    expect(produce(partition, [['k', '2']], idempotent(7, 0))).toBe(1);
    expect(partition.highWatermark).toBe(2);
  });
});

describe('aborted transactions', () => {
  test('one is told of also to whoever begins to read in its middle, or at its marker', () => {
    const { partition } = openPartition({ config: PLAIN });
    for (let i = 0; i < 3; i++) produce(partition, [['k', `${i}`]], transactional(1, i));
    end(partition, 1, false);
    produce(partition, [['k', 'stays']]);
    const aborted = (offset: number) => partition.read(offset, { maxBytes: 10_000, firstWhole: true, readCommitted: true }).aborted;
    for (const offset of [0, 1, 2, 3]) expect(aborted(offset)).toMatchObject([{ producerId: 1, firstOffset: 0, lastOffset: 3 }]);
    expect(aborted(4)).toEqual([]);
  });

  test('what stands before a producer snapshot is on the device before it: nobody looks for it again', async () => {
    const disk = new MemoryDisk();
    const { partition } = openPartition({ disk, config: PLAIN });
    produce(partition, [['k', 'gone']], transactional(1, 0));
    await partition.sync();
    end(partition, 1, false);
    for (let i = 0; i < 20; i++) produce(partition, [['k', 'x'.repeat(100)]], idempotent(2, i));
    expect(disk.readdir(DIR).filter((name) => name.endsWith('.snapshot')).length).toBeGreaterThan(0);
    disk.crash();
    expect(decodeAborted(readWhole(disk, `${DIR}/00000000000000000000.txnindex`) ?? Buffer.alloc(0))).toMatchObject([
      { producerId: 1, firstOffset: 0, lastOffset: 1 },
    ]);
  });
});

describe('after a crash', () => {
  test('the snapshot of the last roll and the batches behind it tell the same', async () => {
    const bench = openPartition({ config: PLAIN });
    for (let i = 0; i < 50; i++) produce(bench.partition, [['k', 'x'.repeat(100)]], idempotent(1 + (i % 3), Math.floor(i / 3)));
    const { partition } = await reopened(bench, false);
    for (const producerId of [1, 2, 3]) expect(partition.producers.get(producerId)?.batches.at(-1)).toMatchObject({ lastSequence: producerId < 3 ? 16 : 15 });
  });

  test('a snapshot that is damaged or torn is passed over for the one before it', async () => {
    const bench = openPartition({ config: PLAIN });
    for (let i = 0; i < 50; i++) produce(bench.partition, [['k', 'x'.repeat(100)]], idempotent(1, i));
    await bench.partition.sync();
    const names = bench.disk
      .readdir(DIR)
      .filter((name) => name.endsWith('.snapshot'))
      .sort();
    expect(names).toHaveLength(2);
    const path = `${DIR}/${names[1]}`;
    const content = readWhole(bench.disk, path) as Buffer;
    content[content.length - 1] = (content[content.length - 1] as number) ^ 1;
    overwrite(bench.disk, path, content);
    const { partition, disk } = openPartition({ disk: bench.disk, clock: bench.clock, config: PLAIN });
    expect(partition.producers.get(1)?.batches.at(-1)?.lastSequence).toBe(49);
    expect(disk.stat(path)).toBeNull();
  });

  test('torn entries of aborted transactions are made anew from the markers', async () => {
    const bench = openPartition({ config: { ...PLAIN, 'segment.bytes': '1000000' } });
    for (let i = 0; i < 4; i++) {
      produce(bench.partition, [['k', `${i}`]], transactional(i, 0));
      end(bench.partition, i, i % 2 === 0);
    }
    await bench.partition.sync();
    const path = `${DIR}/00000000000000000000.txnindex`;
    const good = decodeAborted(readWhole(bench.disk, path) as Buffer);
    expect(good).toHaveLength(2);
    // The first was never written, the second is followed by half a third.
    overwrite(bench.disk, path, Buffer.concat([Buffer.alloc(34), encodeAborted(good[1] as never), Buffer.alloc(20, 1)]));
    const { partition, disk } = openPartition({ disk: bench.disk, clock: bench.clock, config: PLAIN });
    expect(decodeAborted(readWhole(disk, path) as Buffer)).toEqual(good);
    expect(texts(seen(partition))).toEqual(['0 k=0', '4 k=2']);
  });
});
