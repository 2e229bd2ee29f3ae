/** Compaction as Kafka's log cleaner does it: what stays, what goes when, and that a crash at any step loses nothing. */
import { describe, expect, test } from 'vitest';
import { decodeAborted } from '../../../../src/broker/storage/aborted.ts';
import { readOffsets } from '../../../../src/broker/storage/checkpoints.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { readWhole } from '../../../../src/lib/files.ts';
import { MemoryDisk, PowerLoss } from '../../../../src/lib/memory-disk.ts';
import { DATA, end, openPartition, produce, seen, stored, texts } from './partition-kit.ts';

const SMALL = { 'segment.bytes': '400', 'index.interval.bytes': '100' };

/** Closes the active segment, so that all there is may be compacted. */
function roll({ partition }: { partition: ReturnType<typeof openPartition>['partition'] }): void {
  partition.log.roll();
}

describe('what stays', () => {
  test('the last record of each key, at its own offset; the active segment is untouched', async () => {
    const bench = openPartition();
    const { partition, cleaner } = bench;
    produce(partition, [
      ['a', '1'],
      ['b', '1'],
      ['a', '2'],
    ]);
    produce(partition, [
      ['b', '2'],
      ['c', '1'],
    ]);
    roll(bench);
    produce(partition, [
      ['a', '3'],
      ['a', '4'],
    ]);
    await cleaner.run();
    expect(texts(seen(partition))).toEqual(['2 a=2', '3 b=2', '4 c=1', '5 a=3', '6 a=4']);
    expect(partition.highWatermark).toBe(7);
    expect(readOffsets(bench.disk, `${DATA}/cleaner-offset-checkpoint`).get('t-0')).toBe(5);
  });

  test('a batch that loses nothing stays byte for byte, packed ones are packed again, wholly superseded ones go', async () => {
    const bench = openPartition();
    const { partition, cleaner } = bench;
    produce(partition, [['gone', '1']]);
    produce(
      partition,
      [
        ['x', '1'.repeat(500)],
        ['y', '1'],
        ['gone', '2'],
      ],
      { codec: 1 },
    );
    produce(
      partition,
      [
        ['k', '1'],
        ['l', '2'],
      ],
      { codec: 3 },
    );
    produce(partition, [
      ['y', '2'],
      ['gone', '3'],
    ]);
    const before = stored(partition).map(({ bytes }) => bytes.toString('hex'));
    roll(bench);
    await cleaner.run();
    const after = stored(partition);
    expect(after.map(({ baseOffset, lastOffset, count, codec }) => [baseOffset, lastOffset, count, codec])).toEqual([
      [1, 3, 1, 1],
      [4, 5, 2, 3],
      [6, 7, 2, 0],
    ]);
    expect(after.slice(1).map(({ bytes }) => bytes.toString('hex'))).toEqual(before.slice(2));
  });

  test('neighbours are merged while they fit into a segment', async () => {
    const bench = openPartition({ config: { ...SMALL, 'segment.bytes': '1000' } });
    const { partition, cleaner } = bench;
    for (let i = 0; i < 60; i++)
      produce(partition, [
        ['same', 'x'.repeat(90) + i],
        [`k${i}`, 'v'],
      ]);
    roll(bench);
    const before = partition.log.segments();
    await cleaner.run();
    // The sizes that count are those before the round: the second one finds small neighbours.
    produce(partition, [['same', '60']]);
    roll(bench);
    await cleaner.run();
    const after = partition.log.segments();
    expect(after.length).toBeLessThan(before.length);
    expect(Math.max(...after.map(({ sizeBytes }) => sizeBytes))).toBeLessThanOrEqual(1000);
    expect(seen(partition).filter(({ key }) => key === 'same')).toEqual([{ offset: 120, key: 'same', value: '60' }]);
    expect(seen(partition)).toHaveLength(61);
    await partition.close(true);
    expect(seen(openPartition({ disk: bench.disk, clean: true, recoveryPoint: 121 }).partition)).toHaveLength(61);
  });

  test('a range with more keys than memory is compacted in several rounds', async () => {
    const bench = openPartition({ config: SMALL, memoryBytes: 24 * 20 });
    const { partition, cleaner } = bench;
    for (let i = 0; i < 100; i++) produce(partition, [[`k${i % 50}`, `${i}`]]);
    roll(bench);
    await cleaner.run();
    expect(cleaner.rounds).toBeGreaterThan(3);
    expect(texts(seen(partition))).toEqual(Array.from({ length: 50 }, (_, i) => `${i + 50} k${i}=${i + 50}`));
  });

  test('one batch with more keys than memory is compacted all the same', async () => {
    const bench = openPartition({ memoryBytes: 24 * 20 });
    const pairs = Array.from({ length: 200 }, (_, i) => [`k${i % 100}`, `${i}`] as const);
    produce(bench.partition, pairs);
    roll(bench);
    await bench.cleaner.run();
    expect(seen(bench.partition)).toHaveLength(100);
  });

  test('the end of the range is kept as a header without records', async () => {
    const bench = openPartition();
    const { partition, cleaner } = bench;
    produce(partition, [['a', '1']], { producerId: 7, producerEpoch: 0, baseSequence: 0, transactional: true });
    end(partition, 7, false);
    roll(bench);
    await cleaner.run();
    const [data, marker] = stored(partition);
    expect([data?.count, data?.sizeBytes, data?.lastOffset]).toEqual([0, 61, 0]);
    expect(marker?.isControl).toBe(true);
    expect(partition.read(0, { maxBytes: 1000, firstWhole: true, readCommitted: true }).records.length).toBeGreaterThan(0);
  });
});

describe('what is deleted stays known for a while', () => {
  test('a tombstone outlives the first round and goes in one after delete.retention.ms', async () => {
    const clock = new ManualClock();
    const bench = openPartition({ clock, config: { 'delete.retention.ms': '1000' } });
    const { partition, cleaner } = bench;
    produce(partition, [
      ['a', '1'],
      ['b', '1'],
    ]);
    produce(partition, [
      ['a', null],
      ['c', '1'],
    ]);
    roll(bench);
    await cleaner.run();
    expect(texts(seen(partition))).toEqual(['1 b=1', '2 a=null', '3 c=1']);
    expect(stored(partition)[1]?.deleteHorizonMs).toBe(clock.now() + 1000);
    await clock.advance(999);
    produce(partition, [['d', '1']]);
    roll(bench);
    await cleaner.run();
    expect(texts(seen(partition))).toContain('2 a=null');
    await clock.advance(1);
    produce(partition, [['e', '1']]);
    roll(bench);
    await cleaner.run();
    expect(texts(seen(partition))).toEqual(['1 b=1', '3 c=1', '4 d=1', '5 e=1']);
  });

  test('a stamped batch keeps the times of its records', async () => {
    const bench = openPartition();
    produce(
      bench.partition,
      [
        ['a', null],
        ['b', '1'],
      ],
      { at: 1_600_000_000_123 },
    );
    roll(bench);
    await bench.cleaner.run();
    expect(stored(bench.partition)[0]?.maxTimestamp).toBe(1_600_000_000_123);
    expect(bench.partition.offsetForTime(1_600_000_000_000, false)).toEqual(expect.objectContaining({ offset: 0, timestamp: 1_600_000_000_123 }));
  });
});

describe('transactions', () => {
  test('aborted data goes; its marker after the horizon; committed data stays', async () => {
    const clock = new ManualClock();
    const bench = openPartition({ clock, config: { 'delete.retention.ms': '1000' } });
    const { partition, cleaner } = bench;
    const txn = (producerId: number, baseSequence: number) => ({ producerId, producerEpoch: 0, baseSequence, transactional: true });
    produce(partition, [['k', 'old']]);
    produce(
      partition,
      [
        ['k', 'aborted'],
        ['x', 'aborted'],
      ],
      txn(1, 0),
    );
    end(partition, 1, false);
    produce(partition, [['m', 'committed']], txn(2, 0));
    end(partition, 2, true);
    // Both go on, so that their last batches lie elsewhere.
    produce(partition, [['z', '1']], txn(1, 2));
    end(partition, 1, true);
    produce(partition, [['z', '2']], txn(2, 1));
    end(partition, 2, true);
    roll(bench);
    await cleaner.run();
    expect(texts(seen(partition, { committed: false }))).toEqual(['0 k=old', '4 m=committed', '8 z=2']);
    const shape = () => stored(partition).map(({ baseOffset, isControl, count }) => `${baseOffset}${isControl ? 'c' : ''}${count}`);
    expect(shape()).toEqual(['01', '3c1', '41', '5c1', '60', '7c1', '81', '9c1']);
    const more = async (key: string): Promise<void> => {
      produce(partition, [[key, '1']]);
      roll(bench);
      await cleaner.run();
    };
    await more('u');
    expect(stored(partition)[1]?.deleteHorizonMs).toBe(clock.now() + 1000);
    await clock.advance(1000);
    await more('v');
    // The marker of the aborted one is gone; the others still end something that is there.
    expect(shape()).toEqual(['01', '41', '5c1', '60', '7c1', '81', '9c1', '101', '111']);
  });

  test('an aborted transaction of which a header stays remains in the index', async () => {
    const bench = openPartition();
    const { partition, cleaner, disk } = bench;
    produce(partition, [['a', '1']], { producerId: 9, producerEpoch: 0, baseSequence: 0, transactional: true });
    end(partition, 9, false);
    produce(partition, [['a', '2']]);
    roll(bench);
    await cleaner.run();
    const known = decodeAborted(readWhole(disk, `${DATA}/t-0/00000000000000000000.txnindex`) as Buffer);
    expect(known).toEqual([expect.objectContaining({ producerId: 9, firstOffset: 0, lastOffset: 1 })]);
    expect(texts(seen(partition))).toEqual(['2 a=2']);
  });

  test('nothing at or behind the first open transaction is touched', async () => {
    const bench = openPartition({ config: SMALL });
    const { partition, cleaner } = bench;
    for (let i = 0; i < 10; i++) produce(partition, [['a', `${i}`]]);
    produce(partition, [['t', 'open']], { producerId: 3, producerEpoch: 0, baseSequence: 0, transactional: true });
    for (let i = 0; i < 10; i++) produce(partition, [['a', `later ${i}`]]);
    roll(bench);
    await cleaner.run();
    expect(texts(seen(partition, { committed: false }))).toHaveLength(12);
    expect(texts(seen(partition))).toEqual(['9 a=9']);
  });

  test('the sequence of a live producer survives the loss of its records', async () => {
    const bench = openPartition();
    const { partition, cleaner, disk } = bench;
    const from = (baseSequence: number) => ({ producerId: 5, producerEpoch: 2, baseSequence });
    produce(
      partition,
      [
        ['a', '1'],
        ['a', '2'],
      ],
      from(0),
    );
    produce(partition, [['a', 'last']]);
    roll(bench);
    await cleaner.run();
    expect(stored(partition)[0]).toMatchObject({ count: 0, producerId: 5, producerEpoch: 2, lastSequence: 1 });
    await partition.sync();
    for (const name of disk.readdir(`${DATA}/t-0`)) if (name.endsWith('.snapshot')) disk.unlink(`${DATA}/t-0/${name}`);
    const again = openPartition({ disk, clock: bench.clock }).partition;
    // The batch sent a second time is known; the next one fits.
    expect(
      produce(
        again,
        [
          ['a', '1'],
          ['a', '2'],
        ],
        from(0),
      ),
    ).toBe(0);
    expect(produce(again, [['b', '1']], from(2))).toBe(3);
  });
});

describe('when', () => {
  test('a share of dirty bytes above min.cleanable.dirty.ratio is needed', async () => {
    const bench = openPartition({ config: { 'min.cleanable.dirty.ratio': '0.5' } });
    const { partition, cleaner } = bench;
    for (let i = 0; i < 4; i++) produce(partition, [[`k${i}`, 'v']]);
    roll(bench);
    await cleaner.run();
    expect(cleaner.rounds).toBe(1);
    produce(partition, [
      ['k0', 'w'],
      ['k1', 'w'],
    ]);
    roll(bench);
    await cleaner.run();
    expect(cleaner.rounds).toBe(1);
    for (let i = 0; i < 6; i++) produce(partition, [['k2', 'w']]);
    roll(bench);
    await cleaner.run();
    expect(cleaner.rounds).toBe(2);
    expect(seen(partition)).toHaveLength(4);
  });

  test('max.compaction.lag.ms makes it due whatever the share is', async () => {
    const clock = new ManualClock();
    const bench = openPartition({ clock, config: { 'min.cleanable.dirty.ratio': '1', 'max.compaction.lag.ms': '5000' } });
    const { partition, cleaner } = bench;
    produce(
      partition,
      [
        ['a', '1'],
        ['a', '2'],
      ],
      { at: clock.now() },
    );
    roll(bench);
    await cleaner.run();
    expect(cleaner.rounds).toBe(0);
    await clock.advance(5001);
    await cleaner.run();
    expect(cleaner.rounds).toBe(1);
    expect(texts(seen(partition))).toEqual(['1 a=2']);
  });

  test('min.compaction.lag.ms protects young segments', async () => {
    const clock = new ManualClock();
    const bench = openPartition({ clock, config: { 'min.compaction.lag.ms': '5000' } });
    const { partition, cleaner } = bench;
    produce(
      partition,
      [
        ['a', '1'],
        ['a', '2'],
      ],
      { at: clock.now() },
    );
    roll(bench);
    await cleaner.run();
    expect(seen(partition)).toHaveLength(2);
    await clock.advance(5001);
    await cleaner.run();
    expect(seen(partition)).toHaveLength(1);
  });

  test('nothing is rewritten twice while nothing is new', async () => {
    const bench = openPartition();
    produce(bench.partition, [
      ['a', '1'],
      ['a', '2'],
    ]);
    roll(bench);
    await bench.cleaner.run();
    const { changes } = bench.disk as MemoryDisk;
    await bench.cleaner.run();
    expect((bench.disk as MemoryDisk).changes).toBe(changes);
  });

  test('how far it is survives a restart; a checkpoint that cannot be true is ignored', async () => {
    const bench = openPartition();
    produce(bench.partition, [
      ['a', '1'],
      ['a', '2'],
    ]);
    roll(bench);
    await bench.cleaner.run();
    await bench.partition.close(true);
    const again = openPartition({ disk: bench.disk, clean: true, recoveryPoint: 2 });
    await again.cleaner.run();
    expect(again.cleaner.rounds).toBe(0);
    await again.partition.close(true);
    const path = `${DATA}/cleaner-offset-checkpoint`;
    const fd = bench.disk.open(path, 'update');
    bench.disk.truncate(fd, 0);
    bench.disk.write(fd, Buffer.from('0\n1\nt 0 900\n'), 0);
    bench.disk.close(fd);
    const third = openPartition({ disk: bench.disk, clean: true, recoveryPoint: 2 });
    await third.cleaner.run();
    expect(third.cleaner.rounds).toBe(1);
  });
});

describe('others at work meanwhile', () => {
  test('a clean part that loses its segments to retention does not stop the rest', async () => {
    const bench = openPartition({ config: { ...SMALL, 'cleanup.policy': 'compact,delete' } });
    const { partition, cleaner } = bench;
    for (let i = 0; i < 20; i++) produce(partition, [[`k${i % 7}`, `${i}`]]);
    roll(bench);
    const working = cleaner.run();
    partition.deleteBefore(partition.log.segments()[2]!.baseOffset);
    await working;
    await cleaner.run();
    expect(texts(seen(partition))).toEqual(Array.from({ length: 7 }, (_, i) => i + 13).map((i) => `${i} k${i % 7}=${i}`));
  });

  test('a damaged batch is put aside and not sealed anew', async () => {
    const bench = openPartition();
    const { partition, cleaner, disk, damage } = bench;
    produce(partition, [['a', '1']]);
    produce(partition, [['b', '1']]);
    produce(partition, [['a', '2']]);
    roll(bench);
    await partition.sync();
    const path = `${DATA}/t-0/00000000000000000000.log`;
    const fd = disk.open(path, 'update');
    const byte = Buffer.alloc(1);
    const at = stored(partition)[0]!.sizeBytes + 65;
    disk.read(fd, byte, 0, 1, at);
    disk.write(fd, Buffer.from([byte[0]! ^ 1]), at);
    await cleaner.run();
    await cleaner.run();
    expect(damage).toMatchObject([{ kind: 'damaged', firstOffset: 1, nextOffset: 2 }]);
    expect(texts(seen(partition))).toEqual(['2 a=2']);
  });

  test('a full disk is said, leaves all as it was, and is tried again', async () => {
    const bench = openPartition();
    const disk = bench.disk as MemoryDisk;
    produce(bench.partition, [
      ['a', '1'],
      ['a', '2'],
      ['b', 'x'.repeat(5000)],
    ]);
    roll(bench);
    await bench.partition.sync();
    disk.capacityBytes = 7000;
    await bench.cleaner.run();
    expect(bench.said).toEqual([expect.stringMatching(/^warn cannot compact t-0 now/)]);
    expect(seen(bench.partition)).toHaveLength(3);
    expect(disk.readdir(`${DATA}/t-0`).filter((name) => name.includes('cleaned'))).toEqual([]);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await bench.cleaner.run();
    expect(seen(bench.partition)).toHaveLength(2);
  });
});

describe('a power cut at any step', () => {
  const fill = (bench: ReturnType<typeof openPartition>): void => {
    for (let i = 0; i < 24; i++) {
      produce(bench.partition, [
        [`k${i % 5}`, `${i}`],
        [`only ${i % 3}`, i % 4 === 0 ? null : `${i}`],
      ]);
      if (i % 8 === 3) produce(bench.partition, [['t', `${i}`]], { producerId: 4, producerEpoch: 0, baseSequence: (i - 3) / 8, transactional: true });
      if (i % 8 === 5) end(bench.partition, 4, i % 16 === 5);
    }
    roll(bench);
  };
  const latest = (partition: ReturnType<typeof openPartition>['partition']): string[] => {
    const last = new Map(seen(partition).map(({ key, value }) => [key, value]));
    return [...last]
      .filter(([, value]) => value !== null)
      .map(([key, value]) => `${key}=${value}`)
      .sort();
  };

  test('leaves the last value of every key, and the next run completes', async () => {
    const measure = openPartition({ config: SMALL });
    fill(measure);
    await measure.partition.sync();
    const expected = latest(measure.partition);
    const before = (measure.disk as MemoryDisk).changes;
    await measure.cleaner.run();
    const steps = (measure.disk as MemoryDisk).changes - before;
    expect(latest(measure.partition)).toEqual(expected);
    expect(steps).toBeGreaterThan(30);
    const final = texts(seen(measure.partition));
    for (let step = 1; step <= steps; step++) {
      for (const tear of [false, true]) {
        const disk = new MemoryDisk(step);
        const bench = openPartition({ disk, config: SMALL });
        fill(bench);
        await bench.partition.sync();
        disk.powerOffAt = disk.changes + step;
        await bench.cleaner.run().catch((error) => {
          if (!(error instanceof PowerLoss)) throw error;
        });
        disk.crash({ tear });
        const again = openPartition({ disk, config: SMALL, clock: bench.clock });
        expect(again.damage).toEqual([]);
        expect(latest(again.partition)).toEqual(expected);
        expect(again.partition.highWatermark).toBe(measure.partition.highWatermark);
        await again.cleaner.run();
        expect(texts(seen(again.partition)).length).toBeLessThanOrEqual(final.length + 1);
        expect(latest(again.partition)).toEqual(expected);
      }
    }
  });
});
