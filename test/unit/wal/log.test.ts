import { describe, expect, test } from 'vitest';
import { StorageError } from '../../../src/lib/files.ts';
import { MemoryDisk, PowerLoss } from '../../../src/lib/memory-disk.ts';
import { BatchView } from '../../../src/records/batch.ts';
import { BatchBuilder, filterBatch } from '../../../src/records/builder.ts';
import { LogReader } from '../../../src/wal/reader.ts';
import { batchOf, contents, DIR, fill, openLog, upTo, valuesOf } from './kit.ts';

const small = { segmentBytes: 400, indexIntervalBytes: 100 };

describe('append and read', () => {
  test('numbers batches in place and gives them back whole', () => {
    const { log } = openLog();
    expect([log.nextOffset, log.logStartOffset, log.sizeBytes]).toEqual([0, 0, 0]);
    expect(log.append(batchOf(['a', 'b']))).toEqual({ firstOffset: 0, lastOffset: 1, maxTimestamp: 1000 });
    const two = Buffer.concat([batchOf(['c']), batchOf(['d', 'e'], 2000)]);
    expect(log.append(two, 7)).toEqual({ firstOffset: 2, lastOffset: 4, maxTimestamp: 2000 });
    expect(new BatchView(two, batchOf(['c']).length).leaderEpoch).toBe(7);
    expect(contents(log)).toEqual(['0:a', '1:b', '2:c', '3:d', '4:e']);
    // an offset within a batch gives the whole batch
    const chunk = log.read(4, 1);
    expect([valuesOf(chunk!.bytes), chunk!.nextOffset]).toEqual([['3:d', '4:e'], 5]);
    expect(log.read(5, 100)).toEqual({ bytes: Buffer.alloc(0), nextOffset: 5 });
    expect(log.read(6, 100)).toBeNull();
    expect(log.read(-1, 100)).toBeNull();
  });

  test('reads no more than asked, but one batch at least, and nothing at or above the bound', () => {
    const { log } = openLog();
    fill(log, 10);
    const one = batchOf(['v0', 'v1']).length;
    expect(valuesOf(log.read(0, one * 3 - 1)!.bytes)).toEqual(upTo(4));
    expect(valuesOf(log.read(0, 1)!.bytes)).toEqual(upTo(2));
    expect(valuesOf(log.read(0, one * 100, 6)!.bytes)).toEqual(upTo(6));
    expect(log.read(6, one * 100, 6)).toEqual({ bytes: Buffer.alloc(0), nextOffset: 6 });
    expect(log.read(0, one * 3)!.nextOffset).toBe(6);
  });

  test('every offset can be read across segments, forwards, backwards, and by a reader in any chunk size', () => {
    const { log } = openLog({ config: small });
    fill(log, 50);
    expect(log.segments().length).toBeGreaterThan(5);
    for (let offset = 0; offset < 100; offset++) expect(valuesOf(log.read(offset, 1)!.bytes)).toEqual(upTo(offset - (offset % 2) + 2, offset - (offset % 2)));
    for (let offset = 99; offset >= 0; offset--) expect(log.read(offset, 1)!.nextOffset).toBe(offset - (offset % 2) + 2);
    for (const chunkBytes of [1, 100, 1000, 100_000]) expect(contents(log, 0, { chunkBytes })).toEqual(upTo(100));
  });

  test('how much there is to read is known without reading, and is what a read gives', () => {
    const { log } = openLog({ config: small });
    fill(log, 50);
    for (let offset = 0; offset <= 100; offset++) {
      for (const upTo of [offset, offset + 1, offset + 3, 100]) {
        const between = log.bytesBetween(offset, upTo);
        const read = log.read(offset, 100_000, upTo)!;
        if (between !== Number.POSITIVE_INFINITY) expect(read.bytes.length).toBeGreaterThanOrEqual(between);
        // Beyond the end of a segment nobody need wait for more.
        else expect(read.bytes.length).toBeGreaterThan(0);
        if (between === 0) expect(read.bytes.length).toBeLessThanOrEqual(batchOf(['v98', 'v99']).length);
      }
    }
    expect(log.bytesBetween(log.activeBase, 100)).toBe(log.read(log.activeBase, 100_000)!.bytes.length);
    expect([log.bytesBetween(100, 100), log.bytesBetween(100, 90)]).toEqual([0, 0]);
    log.deleteBefore(log.activeBase);
    expect([log.bytesBetween(0, 100), log.bytesBetween(101, 102)]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });

  test('a reader goes on when more was appended, and stops at its bound', () => {
    const { log } = openLog();
    fill(log, 2);
    const reader = new LogReader(log, 0);
    expect(reader.next()?.nextOffset).toBe(2);
    expect(reader.next(2)).toBeNull();
    expect(reader.next()?.nextOffset).toBe(4);
    expect(reader.next()).toBeNull();
    fill(log, 1);
    expect([reader.next()?.nextOffset, reader.offset]).toEqual([6, 6]);
    reader.seek(1);
    expect(reader.next()?.baseOffset).toBe(0);
  });
});

describe('rolling', () => {
  test('by size, by a full index, by age of records, by age without timestamps, by offset distance', async () => {
    const bases = (log: { segments(): { baseOffset: number }[] }): number[] => log.segments().map((s) => s.baseOffset);
    const size = batchOf(['v0', 'v1']).length;
    const a = openLog({ config: { segmentBytes: 2 * size } });
    fill(a.log, 5);
    expect(bases(a.log)).toEqual([0, 4, 8]);
    const b = openLog({ config: { segmentIndexBytes: 36, indexIntervalBytes: 1 } });
    fill(b.log, 6);
    expect(bases(b.log)).toEqual([0, 6]);
    const c = openLog({ config: { segmentMs: 100 } });
    for (const t of [1000, 1050, 1101, 900, 1150]) c.log.append(batchOf(['x'], t));
    expect(bases(c.log)).toEqual([0, 2]);
    const d = openLog({ config: { segmentMs: 100 } });
    d.log.append(batchOf(['x'], -1));
    await d.clock.advance(50);
    d.log.append(batchOf(['x'], -1));
    await d.clock.advance(60);
    d.log.append(batchOf(['x'], -1));
    expect(bases(d.log)).toEqual([0, 2]);
    const e = openLog();
    const wide = batchOf(['x']);
    e.log.append(batchOf(['y']));
    wide.writeInt32BE(0x7fffffff, 23);
    e.log.append(wide);
    expect([bases(e.log), e.log.nextOffset]).toEqual([[0, 1], 2 ** 31 + 1]);
    e.log.append(batchOf(['z']));
    expect(bases(e.log)).toEqual([0, 1, 2 ** 31 + 1]);
  });

  test('tells its owner, and files of closed segments are complete', async () => {
    const rolls: number[] = [];
    const { log, disk } = openLog({ config: small, onRoll: (base) => rolls.push(base) });
    fill(log, 9);
    expect(rolls).toEqual(
      log
        .segments()
        .slice(1)
        .map((s) => s.baseOffset),
    );
    const [first] = log.segments();
    expect(disk.stat(`${first!.path}.timeindex`)!.sizeBytes).toBeGreaterThan(0);
    log.roll();
    log.roll();
    expect(log.segments().at(-1)).toMatchObject({ baseOffset: 18, sizeBytes: 0, isActive: true });
  });
});

describe('stop and start', () => {
  test('a clean log opens without looking at more than its end', async () => {
    const { log, disk } = openLog({ config: small });
    fill(log, 100);
    await log.close();
    expect(disk.openFiles).toBe(0);
    disk.crash();
    const again = openLog({ disk, config: small, clean: true, recoveryPoint: 200 });
    expect([again.log.nextOffset, again.damage]).toEqual([200, []]);
    expect(disk.openFiles).toBe(1);
    expect(contents(again.log)).toEqual(upTo(200));
    fill(again.log, 3);
    expect(contents(again.log, 190)).toEqual(upTo(206, 190));
    await again.log.close();
    expect(disk.openFiles).toBe(0);
  });

  test('after kill -9 everything in the page cache is there, and the indexes are right', () => {
    const { log, disk } = openLog({ config: small });
    fill(log, 100);
    const again = openLog({ disk, config: small });
    expect(contents(again.log)).toEqual(upTo(200));
    for (let offset = 0; offset < 200; offset++) expect(valuesOf(again.log.read(offset, 1)!.bytes)[offset % 2]).toBe(`${offset}:v${offset}`);
    expect(again.damage).toEqual([]);
    for (const { path, isActive } of again.log.segments()) if (!isActive) expect(disk.stat(`${path}.index`)!.sizeBytes).toBeGreaterThan(0);
  });

  test('after a power loss what was synced is there; offsets handed out before the recovery point are not used again', async () => {
    const { log, disk } = openLog({ config: small });
    fill(log, 10);
    await log.sync();
    expect(log.recoveryPoint).toBe(20);
    fill(log, 10);
    disk.crash();
    const again = openLog({ disk, config: small });
    expect(contents(again.log)).toEqual(upTo(20));
    const third = openLog({ disk: new MemoryDisk(), recoveryPoint: 50 });
    expect([third.log.nextOffset, third.damage]).toEqual([50, []]);
    disk.crash();
    const fourth = openLog({ disk, config: small, recoveryPoint: 24 });
    expect([fourth.log.nextOffset, fourth.damage]).toMatchObject([24, [{ kind: 'missing', firstOffset: 20, nextOffset: 24 }]]);
    fill(fourth.log, 1);
    expect(contents(fourth.log, 18)).toEqual(['18:v18', '19:v19', '24:v24', '25:v25']);
  });

  test('missing, cut or wrong indexes are rebuilt, clean or not', async () => {
    for (const clean of [true, false]) {
      for (const harm of ['unlink', 'cut', 'garbage', 'zeros'] as const) {
        const { log, disk } = openLog({ config: small });
        fill(log, 20);
        await log.close();
        for (const { path } of log.segments()) {
          for (const ending of ['.index', '.timeindex']) {
            const fd = disk.open(path + ending, 'create');
            const size = disk.size(fd);
            if (harm === 'unlink') disk.unlink(path + ending);
            if (harm === 'cut') disk.truncate(fd, Math.max(0, size - 3));
            if (harm === 'garbage') disk.write(fd, Buffer.alloc(size, 0x33), 0);
            if (harm === 'zeros') disk.write(fd, Buffer.alloc(1200), size);
            disk.close(fd);
          }
        }
        const again = openLog({ disk, config: small, clean });
        expect(contents(again.log)).toEqual(upTo(40));
        expect(again.log.read(25, 1)!.nextOffset).toBe(26);
        expect(again.log.offsetForTime(1021)).toMatchObject({ offset: 22 });
      }
    }
  });

  test('leftovers of deletions and rewrites go', async () => {
    const { log, disk } = openLog();
    fill(log, 2);
    await log.close();
    for (const name of [
      '00000000000000000000.log.deleted',
      '00000000000000000007.log.cleaned',
      '00000000000000000099.index',
      '00000000000000000007.index.cleaned',
    ]) {
      disk.close(disk.open(`${DIR}/${name}`, 'create'));
    }
    disk.close(disk.open(`${DIR}/leader-epoch-checkpoint`, 'create'));
    openLog({ disk, clean: true });
    expect(disk.readdir(DIR).sort()).toEqual([
      '00000000000000000000.index',
      '00000000000000000000.log',
      '00000000000000000000.timeindex',
      'leader-epoch-checkpoint',
    ]);
  });
});

describe('grouped sync', () => {
  test('all who wrote before a sync starts share it; who comes during one shares the next', async () => {
    const { log, disk } = openLog();
    const before = disk.syncs;
    fill(log, 5);
    await Promise.all([log.sync(), log.sync(), log.sync()]);
    expect([disk.syncs - before, log.recoveryPoint]).toEqual([1, 10]);
    await log.sync();
    expect(disk.syncs - before).toBe(1);
    fill(log, 1);
    const first = log.sync();
    await new Promise((resolve) => setImmediate(resolve));
    fill(log, 1);
    const second = [log.sync(), log.sync()];
    await first;
    expect(log.recoveryPoint).toBe(12);
    await Promise.all(second);
    expect([disk.syncs - before, log.recoveryPoint]).toEqual([3, 14]);
  });

  test('the name of a new directory is in it, whoever made the directory', async () => {
    for (const clean of [true, false]) {
      const disk = new MemoryDisk();
      disk.mkdir('/data');
      disk.syncDir('/');
      disk.mkdir(DIR);
      const { log } = openLog({ disk, clean });
      fill(log, 2);
      await log.sync();
      disk.crash();
      expect(contents(openLog({ disk }).log)).toEqual(upTo(4));
    }
  });

  test('segments rolled since the last sync are in it', async () => {
    const { log, disk } = openLog({ config: small });
    fill(log, 50);
    await log.sync();
    disk.crash();
    expect(contents(openLog({ disk, config: small }).log)).toEqual(upTo(100));
  });
});

describe('a disk that refuses', () => {
  test('full: nothing is appended, and it goes on when there is room', async () => {
    const { log, disk } = openLog();
    fill(log, 3);
    disk.capacityBytes = disk.usedBytes + 30;
    expect(() => fill(log, 1)).toThrow(/no space left/);
    const error = (() => {
      try {
        fill(log, 1);
      } catch (e) {
        return e as StorageError;
      }
    })();
    expect([error?.errno, error?.retriable, error?.path.endsWith('.log')]).toEqual(['ENOSPC', true, true]);
    expect([log.nextOffset, contents(log)]).toEqual([6, upTo(6)]);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    fill(log, 2);
    await log.close();
    expect(contents(openLog({ disk, clean: true }).log)).toEqual(upTo(10));
  });

  test('full and then stopped cleanly: the half-written batch is not in the file', async () => {
    const { log, disk } = openLog();
    fill(log, 3);
    disk.capacityBytes = disk.usedBytes + 30;
    expect(() => fill(log, 1)).toThrow(StorageError);
    disk.capacityBytes += 1000;
    await log.close();
    const again = openLog({ disk, clean: true });
    expect([again.damage, contents(again.log)]).toEqual([[], upTo(6)]);
  });

  test('too many files at a roll: the append fails, the next one rolls', () => {
    const { log, disk } = openLog({ config: { segmentBytes: 160 } });
    fill(log, 2);
    disk.failNext('open', 'EMFILE', { path: '.log' });
    expect(() => fill(log, 1)).toThrow(/too many files/);
    fill(log, 1);
    expect([log.segments().length, contents(log)]).toEqual([2, upTo(6)]);
  });

  test('a failed sync fails all who wait, stops appends, and healing keeps exactly what was durable', async () => {
    const { log, disk } = openLog();
    fill(log, 2);
    await log.sync();
    fill(log, 2);
    disk.failNext('sync', 'EIO');
    const waiting = [log.sync(), log.sync()];
    for (const promise of waiting) await expect(promise).rejects.toThrow(/disk reported an error/);
    expect(log.failure?.errno).toBe('EIO');
    expect(() => fill(log, 1)).toThrow(/disk reported an error/);
    await expect(log.sync()).rejects.toThrow(StorageError);
    disk.failNext('sync', 'EIO');
    await expect(log.heal()).rejects.toThrow(StorageError);
    expect(log.failure).not.toBeNull();
    await log.heal();
    expect([log.failure, log.nextOffset, contents(log)]).toEqual([null, 4, upTo(4)]);
    fill(log, 1);
    await log.sync();
    disk.crash();
    expect(contents(openLog({ disk }).log)).toEqual(upTo(6));
  });

  test('healing waits for a slow disk without keeping anybody else waiting: the log can be read meanwhile, and takes nothing, whoever else heals', async () => {
    const { log, disk } = openLog();
    fill(log, 2);
    await log.sync();
    fill(log, 2);
    disk.failNext('sync', 'EIO');
    await expect(log.sync()).rejects.toThrow(StorageError);
    let release = (): void => {};
    const datasync = disk.datasync.bind(disk);
    disk.datasync = async (fd) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return datasync(fd);
    };
    let healed = false;
    const done = (): void => {
      healed = true;
    };
    // The second one must not take the log for healed before the first has cut it.
    const healing = Promise.all([log.heal().then(done), log.heal().then(done)]);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect([healed, contents(log)]).toEqual([false, upTo(4)]);
    expect(() => fill(log, 1)).toThrow(/disk reported an error/);
    release();
    await healing;
    disk.datasync = datasync;
    fill(log, 1);
    expect(contents(log)).toEqual(upTo(6));
  });
});

describe('finding by time', () => {
  const withTimes = (times: number[][], config = small): ReturnType<typeof openLog> => {
    const bench = openLog({ config });
    for (const batch of times) {
      const builder = new BatchBuilder({}, 256);
      for (const t of batch) builder.append(null, Buffer.from('x'), t);
      bench.log.append(builder.finish(), 3);
    }
    return bench;
  };
  test('the first record at or after a time, within batches and across segments', () => {
    const times = Array.from({ length: 40 }, (_, i) => [i * 10, i * 10 + 5]);
    const { log } = withTimes(times);
    for (let t = -1; t <= 395; t++)
      expect(log.offsetForTime(t)).toEqual({ offset: Math.max(0, Math.ceil(t / 5)), timestamp: Math.max(0, Math.ceil(t / 5)) * 5, leaderEpoch: 3 });
    expect(log.offsetForTime(396)).toBeNull();
    expect(log.offsetOfMaxTime()).toEqual({ offset: 79, timestamp: 395, leaderEpoch: 3 });
  });
  test('times that fall back, and records without', () => {
    const { log } = withTimes([[50], [10, 90], [20], [95], [95], [-1]]);
    expect([log.offsetForTime(0)?.offset, log.offsetForTime(51)?.offset, log.offsetForTime(91)?.offset]).toEqual([0, 2, 4]);
    expect(log.offsetOfMaxTime()?.offset).toBe(4);
    expect(withTimes([[-1]]).log.offsetOfMaxTime()).toBeNull();
    log.deleteBefore(3);
    expect(log.offsetForTime(0)?.offset).toBe(3);
  });
  test('survives a restart, clean or not', async () => {
    const { log, disk } = withTimes(Array.from({ length: 40 }, (_, i) => [i * 10]));
    await log.close();
    for (const clean of [true, false]) {
      const again = openLog({ disk, clean, config: small }).log;
      for (let t = 0; t <= 390; t += 5) expect(again.offsetForTime(t)?.offset).toBe(Math.ceil(t / 10));
    }
  });
});

describe('cutting', () => {
  test('truncateTo drops a batch that contains the offset, and later segments', async () => {
    for (const at of [0, 1, 2, 7, 20, 33, 98, 99]) {
      const { log, disk } = openLog({ config: small });
      fill(log, 50);
      log.truncateTo(at);
      const kept = at - (at % 2);
      expect([log.nextOffset, contents(log)]).toEqual([kept, upTo(kept)]);
      fill(log, 2);
      expect(contents(log)).toEqual(upTo(kept + 4));
      await log.sync();
      disk.crash();
      expect(contents(openLog({ disk, config: small }).log)).toEqual(upTo(kept + 4));
    }
  });

  test('truncateFullyTo starts anew at an offset', async () => {
    const { log } = openLog({ config: small });
    fill(log, 10);
    log.truncateFullyTo(1000);
    fill(log, 1);
    expect([log.logStartOffset, contents(log), log.segments().length]).toEqual([1000, ['1000:v1000', '1001:v1001'], 1]);
    expect(log.read(5, 10)).toBeNull();
    await log.close();
  });

  test('deleteBefore moves the start and removes whole segments with their companions', async () => {
    const { log, disk } = openLog({ config: small });
    fill(log, 50);
    const [first, second] = log.segments();
    disk.close(disk.open(`${first!.path}.txnindex`, 'create'));
    disk.close(disk.open(`${first!.path}.snapshot`, 'create'));
    expect(log.deleteBefore(second!.baseOffset - 1)).toEqual([]);
    expect(log.read(0, 1)).toBeNull();
    expect(log.deleteBefore(second!.baseOffset).map((s) => s.baseOffset)).toEqual([0]);
    await log.close();
    expect(disk.readdir(DIR).filter((name) => name.startsWith('00000000000000000000.'))).toEqual([]);
    const again = openLog({ disk, config: small, clean: true, logStartOffset: 51 });
    expect([again.log.logStartOffset, contents(again.log, 0)[0]]).toEqual([51, '50:v50']);
    again.log.deleteBefore(100);
    expect([again.log.logStartOffset, again.log.segments().length, contents(again.log)]).toEqual([100, 1, []]);
  });
});

describe('rewriting segments', () => {
  const oddOnly = (bytes: Buffer): Buffer[] => {
    const out: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const view = new BatchView(bytes, at);
      const kept = filterBatch(view, (r) => r.offset % 2 === 1);
      if (kept) out.push(kept);
      at += view.sizeBytes;
    }
    return out;
  };
  const rewriteFirst = (log: ReturnType<typeof openLog>['log'], count: number): void => {
    const bases = log
      .segments()
      .slice(0, count)
      .map((s) => s.baseOffset);
    const end = log.segments()[count]!.baseOffset;
    const rewrite = log.rewrite(bases);
    for (let offset = 0; offset < end; ) {
      const chunk = log.read(offset, 1, end)!;
      for (const batch of oddOnly(chunk.bytes)) rewrite.append(batch);
      offset = chunk.nextOffset;
    }
    rewrite.commit();
  };
  const expected = (end: number): string[] => upTo(100).filter((v, i) => i >= end || v.match(/^\d*[13579]:/));

  test('neighbours become one; gaps read over; restart keeps it', async () => {
    const { log, disk } = openLog({ config: small });
    fill(log, 50);
    await log.sync();
    const end = log.segments()[3]!.baseOffset;
    rewriteFirst(log, 3);
    expect(log.segments()[1]!.baseOffset).toBe(end);
    expect(contents(log)).toEqual(expected(end));
    expect(valuesOf(log.read(0, 1)!.bytes)).toEqual(['1:v1']);
    await log.close();
    disk.crash();
    expect(contents(openLog({ disk, config: small, clean: true }).log)).toEqual(expected(end));
    expect(() => openLog({ disk }).log.rewrite([log.segments().at(-1)!.baseOffset])).toThrow(/not be the active/);
  });

  test('cut off at any step it is either done or not done', async () => {
    const measure = openLog({ config: small });
    fill(measure.log, 50);
    await measure.log.sync();
    const before = measure.disk.changes;
    rewriteFirst(measure.log, 3);
    const steps = measure.disk.changes - before;
    expect(steps).toBeGreaterThan(15);
    for (let step = 1; step <= steps; step++) {
      for (const tear of [false, true]) {
        const { log, disk } = openLog({ config: small, disk: new MemoryDisk(step) });
        fill(log, 50);
        await log.sync();
        const end = log.segments()[3]!.baseOffset;
        disk.powerOffAt = disk.changes + step;
        let done = true;
        try {
          rewriteFirst(log, 3);
        } catch (error) {
          expect(error).toBeInstanceOf(PowerLoss);
          done = false;
        }
        // The last steps free the old files in the background.
        await new Promise((resolve) => setImmediate(resolve));
        disk.crash({ tear });
        const again = openLog({ disk, config: small });
        const now = contents(again.log);
        expect(done ? [expected(end)] : [upTo(100), expected(end)]).toContainEqual(now);
        expect(again.damage).toEqual([]);
      }
    }
  });
});
