import { describe, expect, test } from 'vitest';
import { readWhole } from '../../../src/lib/files.ts';
import { type MemoryDisk, PowerLoss } from '../../../src/lib/memory-disk.ts';
import { BatchView } from '../../../src/records/batch.ts';
import { LogReader } from '../../../src/wal/reader.ts';
import { GZIP_MAGIC0, hex, MAGIC1, TWO_BATCHES } from '../records/vectors.ts';
import { batchOf, contents, DIR, fill, openLog, upTo, valuesOf } from './kit.ts';

const small = { segmentBytes: 400, indexIntervalBytes: 100 };
const FIRST = `${DIR}/00000000000000000000.log`;
const one = batchOf(['v0', 'v1']).length;

/** A cleanly closed log of `count` batches in one segment. */
async function closed(count: number, config = {}): Promise<MemoryDisk> {
  const { log, disk } = openLog({ config });
  fill(log, count);
  await log.close();
  return disk;
}

function append(disk: MemoryDisk, path: string, bytes: Buffer): void {
  const fd = disk.open(path, 'update');
  disk.write(fd, bytes, disk.size(fd));
  disk.close(fd);
}

describe('a torn tail is cut and said', () => {
  test.each([
    ['the start of a batch', batchOf(['v8', 'v9']).subarray(0, 40)],
    ['a few bytes', Buffer.from([0, 0, 0, 0, 0])],
    ['zeros', Buffer.alloc(3000)],
    ['a header without its records', batchOf(['v8', 'v9']).subarray(0, 61)],
  ])('%s', async (_name, tail) => {
    const disk = await closed(4);
    if (tail.length >= 12 && tail[16] === 2) tail.writeInt32BE(8, 4);
    append(disk, FIRST, tail);
    const { log, damage } = openLog({ disk });
    expect(damage).toEqual([{ kind: 'torn-tail', file: FIRST, position: 4 * one, sizeBytes: tail.length, firstOffset: 8, nextOffset: -1, savedAs: null }]);
    expect(contents(log)).toEqual(upTo(8));
    disk.crash();
    expect(openLog({ disk }).damage).toEqual([]);
  });

  test('the same below the recovery point is damage, and its offsets are not used again', async () => {
    const disk = await closed(4);
    const fd = disk.open(FIRST, 'update');
    disk.truncate(fd, 4 * one - 10);
    const { log, damage } = openLog({ disk, recoveryPoint: 8 });
    expect(damage).toMatchObject([
      { kind: 'damaged', position: 3 * one, sizeBytes: one - 10, firstOffset: 6, nextOffset: 8 },
      { kind: 'missing', firstOffset: 6, nextOffset: 8 },
    ]);
    fill(log, 1);
    expect(contents(log)).toEqual([...upTo(6), '8:v8', '9:v9']);
  });
});

describe('a bad batch in the middle is put aside', () => {
  test('with a report that names file, position and offsets; all others stay where they were', async () => {
    const disk = await closed(10);
    disk.corrupt(FIRST, 3 * one + 70, 0x01);
    const { log, damage } = openLog({ disk });
    const savedAs = `${DIR}/quarantine/00000000000000000000-at-${3 * one}-1700000000000.bad`;
    expect(damage).toEqual([{ kind: 'damaged', file: FIRST, position: 3 * one, sizeBytes: one, firstOffset: 6, nextOffset: 8, savedAs }]);
    const expected = upTo(20).filter((v) => v !== '6:v6' && v !== '7:v7');
    expect(contents(log)).toEqual(expected);
    expect(valuesOf(log.read(6, 1)!.bytes)).toEqual(['8:v8', '9:v9']);
    const bytes = readWhole(disk, savedAs)!;
    expect([bytes.length, new BatchView(bytes).baseOffset]).toEqual([one, 6]);
    expect(JSON.parse(readWhole(disk, savedAs.replace('.bad', '.json'))!.toString())).toMatchObject({
      file: FIRST,
      position: 3 * one,
      firstOffset: 6,
      nextOffset: 8,
      lostOffsets: 2,
    });
    fill(log, 1);
    await log.close();
    disk.crash();
    const again = openLog({ disk, clean: true });
    expect([again.damage, contents(again.log)]).toEqual([[], [...expected, '20:v20', '21:v21']]);
  });

  test('wherever the power fails meanwhile, its bytes are in the log or aside', async () => {
    const bytesOf = (disk: MemoryDisk): string => {
      const aside = disk.stat(`${DIR}/quarantine`) ? disk.readdir(`${DIR}/quarantine`).filter((name) => name.endsWith('.bad')) : [];
      return [FIRST, ...aside.map((name) => `${DIR}/quarantine/${name}`)].map((file) => readWhole(disk, file)?.toString('latin1')).join('\n');
    };
    let cuts = 0;
    for (let isThrough = false; !isThrough; cuts++) {
      const disk = await closed(10);
      disk.corrupt(FIRST, 3 * one + 70, 0x01);
      const bad = (readWhole(disk, FIRST) as Buffer).toString('latin1', 3 * one, 4 * one);
      disk.powerOffAt = disk.changes + 1 + cuts;
      try {
        openLog({ disk });
        isThrough = true;
      } catch (error) {
        expect(error).toBeInstanceOf(PowerLoss);
      }
      disk.crash();
      expect(bytesOf(disk).includes(bad), `after ${cuts} changes`).toBe(true);
    }
    expect(cuts).toBeGreaterThan(10);
  });

  test.each([
    ['its length', 3 * one + 10],
    ['its length, upwards', 3 * one + 8],
    ['its magic', 3 * one + 16],
    ['its base offset, up', 3 * one + 3],
    ['its base offset, low byte', 3 * one + 7],
    ['its checksum', 3 * one + 17],
  ])('whatever bit of it is wrong: %s', async (_name, position) => {
    const disk = await closed(10);
    disk.corrupt(FIRST, position, 0x40);
    const { log, damage } = openLog({ disk });
    expect(damage).toMatchObject([{ kind: 'damaged', position: 3 * one, sizeBytes: one, firstOffset: 6, nextOffset: 8 }]);
    expect(contents(log)).toEqual(upTo(20).filter((v) => v !== '6:v6' && v !== '7:v7'));
  });

  test('several at once, in several segments, and the last of a closed one', async () => {
    const disk = await closed(30, small);
    const { log } = openLog({ disk, clean: true, config: small });
    const paths = log.segments().map((s) => `${s.path}.log`);
    const bases = log.segments().map((s) => s.baseOffset);
    disk.corrupt(paths[1]!, 65);
    const lastOfTwo = log.segments()[2]!.sizeBytes - 5;
    disk.corrupt(paths[2]!, lastOfTwo);
    disk.corrupt(paths[4]!, 65);
    const again = openLog({ disk, config: small });
    expect(again.damage.map((d) => [d.kind, d.file, d.firstOffset, d.nextOffset])).toEqual([
      ['damaged', paths[1], bases[1], bases[1]! + 2],
      ['damaged', paths[2], bases[3]! - 2, bases[3]],
      ['damaged', paths[4], bases[4], bases[4]! + 2],
    ]);
    expect(contents(again.log).length).toBe(60 - 6);
    expect(again.log.nextOffset).toBe(60);
  });

  test('the last batch of all, whole but wrong: put aside, with the offsets its header claims', async () => {
    const disk = await closed(4);
    disk.corrupt(FIRST, 4 * one - 1);
    const { log, damage } = openLog({ disk });
    expect(damage).toMatchObject([{ kind: 'damaged', position: 3 * one, firstOffset: 6, nextOffset: 8 }]);
    expect([log.nextOffset, contents(log)]).toEqual([6, upTo(6)]);
  });

  test('with the recovery point behind it, the next start does not look; a reader that verifies does, and goes on', async () => {
    const disk = await closed(30, small);
    disk.corrupt(FIRST, one + 65);
    const { log, damage } = openLog({ disk, clean: true, config: small });
    expect(damage).toEqual([]);
    expect(log.read(0, 10_000)!.bytes.length).toBeGreaterThan(0);
    expect(contents(log)).toEqual(upTo(60).filter((v) => v !== '2:v2' && v !== '3:v3'));
    expect(damage).toMatchObject([{ kind: 'damaged', firstOffset: 2, nextOffset: 4 }]);
    await log.close();
  });

  test('found by a plain read when the header cannot be, also in the active segment; the end does not move', async () => {
    const { log, disk, damage } = openLog();
    fill(log, 10);
    disk.corrupt(FIRST, 9 * one + 16);
    expect(log.read(18, 100)).toEqual({ bytes: Buffer.alloc(0), nextOffset: 18 });
    expect(damage).toMatchObject([{ kind: 'damaged', firstOffset: 18, nextOffset: 20 }]);
    expect([log.nextOffset, log.segments().length]).toEqual([20, 2]);
    fill(log, 1);
    const reader = new LogReader(log, 16);
    expect([reader.next()?.baseOffset, reader.next()?.baseOffset, reader.next()]).toEqual([16, 20, null]);
    await log.close();
  });

  test('in a log with gaps by design, a damaged batch costs no other', async () => {
    const { log, disk } = openLog();
    for (let i = 0; i < 10; i++) log.append(batchOf([`v${i * 10}`]), 0, i * 10);
    await log.close();
    const size = batchOf(['v0']).length;
    disk.corrupt(FIRST, size + 65);
    const again = openLog({ disk });
    expect(again.damage).toMatchObject([{ kind: 'damaged', firstOffset: 1, nextOffset: 20 }]);
    expect(contents(again.log).length).toBe(9);
  });

  test('verify finds all of it, and leaves a sound log alone', async () => {
    const disk = await closed(30, small);
    const { log, damage } = openLog({ disk, clean: true, config: small });
    expect([await log.verify(), damage]).toEqual([0, []]);
    for (const { path } of log.segments().slice(0, 2)) disk.corrupt(`${path}.log`, 65);
    expect(await log.verify()).toBe(2);
    expect(damage.length).toBe(2);
    expect(contents(log).length).toBe(56);
    await log.close();
    expect(contents(openLog({ disk, clean: true, config: small }).log).length).toBe(56);
  });
});

describe('what recovery reads', () => {
  test('only what lies behind the recovery point: damage before it stays unseen, behind it is found', async () => {
    const disk = await closed(30);
    disk.corrupt(FIRST, one + 65);
    disk.corrupt(FIRST, 25 * one + 65);
    const { log, damage } = openLog({ disk, recoveryPoint: 40, config: { indexIntervalBytes: 100 } });
    expect(damage.map((d) => d.firstOffset)).toEqual([2, 50]); // one index interval is larger than the log: all of it is read
    expect(log.nextOffset).toBe(60);
    const indexed = await closed(30, { indexIntervalBytes: 100 });
    indexed.corrupt(FIRST, one + 65);
    indexed.corrupt(FIRST, 25 * one + 65);
    const second = openLog({ disk: indexed, recoveryPoint: 40, config: { indexIntervalBytes: 100 } });
    expect(second.damage.map((d) => d.firstOffset)).toEqual([50]);
    expect(second.log.offsetForTime(1030)?.offset).toBe(30);
  });

  test('a reader beside a running owner changes nothing', async () => {
    const { log, disk } = openLog({ config: small });
    fill(log, 20);
    const changes = disk.changes;
    const beside = openLog({ disk, config: small, readOnly: true });
    expect(contents(beside.log)).toEqual(upTo(40));
    expect(() => fill(beside.log, 1)).toThrow(/reading only/);
    await beside.log.close();
    expect(disk.changes).toBe(changes);
    fill(log, 1);
    expect(contents(log)).toEqual(upTo(42));
  });
});

describe('files of real Kafka', () => {
  const withFile = (bytes: Buffer, ending = '.log'): MemoryDisk => {
    const { disk } = openLog();
    const path = FIRST.replace('.log', ending);
    const fd = disk.open(path, 'create');
    disk.write(fd, bytes, 0);
    disk.close(fd);
    return disk;
  };

  test('a segment is served as it is, with or without the clean marker', () => {
    for (const clean of [true, false]) {
      const { log, damage } = openLog({ disk: withFile(TWO_BATCHES), clean });
      expect([damage, log.nextOffset, log.read(0, 1000)!.bytes.equals(TWO_BATCHES)]).toEqual([[], 5, true]);
    }
  });

  test('old messages count one offset each', () => {
    const second = Buffer.from(GZIP_MAGIC0);
    second.writeInt32BE(4, 4);
    for (const clean of [true, false]) {
      const { log, damage } = openLog({ disk: withFile(Buffer.concat([MAGIC1, second])), clean });
      expect([damage, log.nextOffset, log.read(4, 1)!.bytes.equals(second)]).toEqual([[], 5, true]);
      expect(log.offsetForTime(0)).toEqual({ offset: 0, timestamp: 0x1a1fbd7f930, leaderEpoch: -1 });
    }
  });

  test('our indexes are byte for byte what Kafka writes for the same batches', async () => {
    const { log, disk } = openLog({ config: { indexIntervalBytes: 100 } });
    const times = [0x1a1fbd8cd00, 0x1a1fbd8cdb3, 0x1a1fbd8cdbb, 0x1a1fbd8cdbb, 0x1a1fbd8cdc0];
    for (const t of times) log.append(batchOf(['x'.repeat(104 - 61 - 7)], t));
    expect(log.sizeBytes).toBe(5 * 104);
    await log.close();
    expect(readWhole(disk, FIRST.replace('.log', '.index'))).toEqual(hex('00000001 00000068 / 00000002 000000d0 / 00000003 00000138 / 00000004 000001a0'));
    expect(readWhole(disk, FIRST.replace('.log', '.timeindex'))).toEqual(
      hex('000001a1fbd8cdb3 00000001 / 000001a1fbd8cdbb 00000002 / 000001a1fbd8cdc0 00000004'),
    );
  });

  test('a small closed segment has an empty index and one time entry', async () => {
    const { log, disk } = openLog();
    log.append(Buffer.from(TWO_BATCHES));
    log.roll();
    await log.close();
    expect(readWhole(disk, FIRST.replace('.log', '.index'))).toEqual(Buffer.alloc(0));
    expect(readWhole(disk, FIRST.replace('.log', '.timeindex'))).toEqual(hex('000001a1fbd1d3af 00000004'));
  });

  test('preallocated indexes with zeros at the end are taken without them', async () => {
    const source = openLog({ config: small });
    fill(source.log, 4);
    await source.log.close();
    for (const ending of ['.index', '.timeindex']) append(source.disk, FIRST.replace('.log', ending), Buffer.alloc(10_485_720));
    const { log, disk } = openLog({ disk: source.disk, clean: true, config: { ...small, segmentBytes: 10_000 } });
    fill(log, 10);
    expect(contents(log)).toEqual(upTo(28));
    await log.close();
    expect(disk.stat(FIRST.replace('.log', '.index'))!.sizeBytes).toBeLessThan(200);
    expect(contents(openLog({ disk, clean: true }).log, 20)).toEqual(upTo(28, 20));
  });
});
