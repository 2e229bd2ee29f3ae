/**
 * The log against a naive model on a disk that loses power, tears, forgets and fails: after every restart each record that
 * a sync confirmed is there, nothing is there that was not appended at that offset, and offsets rise.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/lib/clock.ts';
import { StorageError } from '../../src/lib/files.ts';
import { MemoryDisk, PowerLoss, seededRandom } from '../../src/lib/memory-disk.ts';
import { BatchBuilder } from '../../src/records/builder.ts';
import { records } from '../../src/records/cursor.ts';
import { Log } from '../../src/wal/log.ts';
import { LogReader } from '../../src/wal/reader.ts';
import type { Damage } from '../../src/wal/recover.ts';

const DIR = '/data/t-0';
const config = { segmentBytes: 900, indexIntervalBytes: 150 };

/** What must be and what may be in the log. */
class Model {
  /** Values that were ever appended at an offset. */
  readonly possible = new Map<number, Set<string>>();
  /** Confirmed by a sync. */
  readonly durable = new Map<number, string>();
  /** Appended since, in order. */
  pending: [number, string][] = [];
  start = 0;
  /** A recovery point that the owner wrote down. */
  checkpoint = 0;

  /** It may be found from now on, and need not be. */
  allow(offset: number, value: string): void {
    const set = this.possible.get(offset) ?? new Set();
    this.possible.set(offset, set.add(value));
  }

  append(offset: number, value: string): void {
    this.allow(offset, value);
    this.pending.push([offset, value]);
  }

  confirm(upTo: number): void {
    for (const [offset, value] of this.pending) if (offset < upTo) this.durable.set(offset, value);
    this.pending = this.pending.filter(([offset]) => offset >= upTo);
  }

  /** Compares with a log just opened, which then is the truth. */
  check(log: Log, damage: readonly Damage[]): void {
    const found = readAll(log);
    let last = -1;
    for (const [offset, value] of found) {
      expect(offset).toBeGreaterThan(last);
      last = offset;
      expect(this.possible.get(offset)?.has(value)).toBe(true);
    }
    for (const [offset, value] of this.durable)
      if (offset >= Math.max(this.start, log.logStartOffset)) expect([offset, found.get(offset)]).toEqual([offset, value]);
    expect(log.nextOffset).toBeGreaterThan(last);
    expect(log.nextOffset).toBeGreaterThanOrEqual(this.checkpoint);
    for (const d of damage) {
      const lost = [...this.durable.keys()].filter((offset) => offset >= this.start && offset >= d.firstOffset && offset < d.nextOffset);
      expect(lost).toEqual([]);
    }
    this.pending = [];
    for (const [offset, value] of found) this.durable.set(offset, value);
  }
}

function readAll(log: Log, onGap: (first: number, next: number) => void = () => {}): Map<number, string> {
  const out = new Map<number, string>();
  const reader = new LogReader(log, 0, { chunkBytes: 500, onGap });
  for (let batch = reader.next(); batch; batch = reader.next()) {
    for (const r of records(batch)) if (r.offset >= log.logStartOffset) out.set(r.offset, r.value!.toString());
  }
  return out;
}

class Driver {
  readonly disk: MemoryDisk;
  readonly model = new Model();
  readonly random: () => number;
  log!: Log;
  #serial = 0;

  constructor(seed: number) {
    this.disk = new MemoryDisk(seed, 64);
    this.disk.mkdir('/data');
    this.disk.syncDir('/');
    this.random = seededRandom(seed + 1000);
  }

  open(clean = false): void {
    const damage: Damage[] = [];
    this.log = Log.open({
      dir: DIR,
      disk: this.disk,
      clock: new ManualClock(),
      config,
      clean,
      recoveryPoint: this.model.checkpoint,
      logStartOffset: this.model.start,
      onDamage: (d) => damage.push(d),
    });
    this.model.check(this.log, damage);
    // An owner that opens writes down how far it is.
    this.model.checkpoint = this.log.recoveryPoint;
  }

  append(): void {
    const count = 1 + Math.floor(this.random() * 3);
    const first = this.log.nextOffset;
    const values = Array.from({ length: count }, () => `${this.#serial++}-${'x'.repeat(Math.floor(this.random() * 200))}`);
    // What fails may still be found after a power loss: it was on its way.
    for (const [i, value] of values.entries()) this.model.allow(first + i, value);
    const parts: Buffer[] = [];
    for (let i = 0; i < count; ) {
      const builder = new BatchBuilder({}, 64);
      const n = Math.min(count - i, 1 + Math.floor(this.random() * 2));
      for (let k = 0; k < n; k++) builder.append(null, Buffer.from(values[i + k]!), 1000 + first);
      parts.push(builder.finish());
      i += n;
    }
    this.log.append(Buffer.concat(parts), 0);
    for (const [i, value] of values.entries()) this.model.append(first + i, value);
  }

  async sync(): Promise<void> {
    const upTo = this.log.nextOffset;
    await this.log.sync();
    this.model.confirm(upTo);
    if (this.random() < 0.5) this.model.checkpoint = this.log.recoveryPoint;
  }

  async step(): Promise<void> {
    const dice = this.random();
    if (dice < 0.55) this.append();
    else if (dice < 0.8) await this.sync();
    else if (dice < 0.85) this.log.roll();
    else if (dice < 0.9) {
      this.model.start = Math.max(this.model.start, Math.floor(this.log.recoveryPoint * this.random()));
      this.log.deleteBefore(this.model.start);
    } else if (dice < 0.95) {
      const syncing = this.sync();
      try {
        this.append();
      } finally {
        await syncing;
      }
    } else {
      let clean = false;
      try {
        await this.log.close();
        clean = true;
        this.model.confirm(Number.POSITIVE_INFINITY);
        this.model.checkpoint = this.log.recoveryPoint;
      } finally {
        if (!this.disk.isOff) this.open(clean);
      }
    }
  }

  /** Runs steps; a disk error is met as an owner would: heal, else go on. Returns false when the power went off. */
  async steps(count: number): Promise<boolean> {
    for (let i = 0; i < count; i++) {
      try {
        await this.step();
      } catch (error) {
        if (error instanceof PowerLoss) return false;
        if (!(error instanceof StorageError)) throw error;
        if (this.log.failure) await this.heal();
      }
    }
    return true;
  }

  async heal(): Promise<void> {
    await this.log.heal();
    this.model.pending = [];
    this.model.check(this.log, []);
  }
}

describe('random histories', () => {
  test('power losses at random moments, torn or not', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e9 }), async (seed) => {
        const driver = new Driver(seed);
        driver.open();
        for (let life = 0; life < 6; life++) {
          driver.disk.powerOffAt = driver.disk.changes + 1 + Math.floor(driver.random() * 60);
          while (await driver.steps(20));
          driver.disk.crash({ tear: driver.random() < 0.7 });
          // the power may go off again while recovering
          if (driver.random() < 0.3) {
            driver.disk.powerOffAt = driver.disk.changes + 1 + Math.floor(driver.random() * 10);
            try {
              driver.open();
            } catch (error) {
              if (!(error instanceof PowerLoss)) throw error;
              driver.disk.crash({ tear: true });
              driver.open();
            }
            driver.disk.powerOffAt = Number.POSITIVE_INFINITY;
          } else driver.open();
        }
      }),
      { numRuns: 150 },
    );
  });

  test('kill -9: the page cache survives', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e9 }), async (seed) => {
        const driver = new Driver(seed);
        driver.open();
        for (let life = 0; life < 5; life++) {
          await driver.steps(15);
          const pending = [...driver.model.pending];
          driver.open();
          for (const [offset, value] of pending) if (offset >= driver.model.start) expect(driver.model.durable.get(offset)).toBe(value);
        }
        // What was found after the last kill counts as durable, so it must outlive the power too.
        driver.disk.crash({ tear: true });
        driver.open();
      }),
      { numRuns: 60 },
    );
  });
});

describe('each change of one history in turn', () => {
  const seeds = [3, 17, 99];
  const length = async (seed: number): Promise<number> => {
    const driver = new Driver(seed);
    driver.open();
    await driver.steps(60);
    return driver.disk.changes;
  };

  test('the power goes off within it', async () => {
    for (const seed of seeds) {
      const changes = await length(seed);
      expect(changes).toBeGreaterThan(80);
      for (let n = 1; n <= changes; n++) {
        for (const tear of [false, true]) {
          const driver = new Driver(seed);
          driver.disk.powerOffAt = n;
          try {
            driver.open();
            if (await driver.steps(60)) continue;
          } catch (error) {
            if (!(error instanceof PowerLoss)) throw error;
          }
          driver.disk.crash({ tear });
          driver.open();
          await driver.steps(5);
        }
      }
    }
  });

  test.each(['EIO', 'ENOSPC'])('it fails with %s, and nothing confirmed is lost, then or after a power loss', async (errno) => {
    for (const seed of seeds) {
      const changes = await length(seed);
      for (let n = 1; n <= changes; n++) {
        const driver = new Driver(seed);
        driver.disk.failAt = { change: n, errno };
        try {
          driver.open();
        } catch (error) {
          if (!(error instanceof StorageError)) throw error;
          driver.open();
        }
        expect(await driver.steps(60)).toBe(true);
        driver.disk.crash({ tear: n % 2 === 0 });
        driver.open();
      }
    }
  });
});

test('any byte of any file changed, truncated or zeroed: it opens, tells what is lost, and the rest is there', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1e9 }), fc.constantFrom('flip', 'cut', 'zero'), fc.boolean(), async (seed, harm, clean) => {
      const disk = new MemoryDisk(seed);
      disk.mkdir('/data');
      const random = seededRandom(seed);
      const open = (options: { clean?: boolean; recoveryPoint?: number }): { log: Log; damage: Damage[] } => {
        const damage: Damage[] = [];
        return { log: Log.open({ dir: DIR, disk, clock: new ManualClock(), config, gapless: true, onDamage: (d) => damage.push(d), ...options }), damage };
      };
      const { log } = open({});
      for (let i = 0; i < 40; i++) {
        const builder = new BatchBuilder({}, 64);
        for (let k = 0; k <= i % 3; k++) builder.append(null, Buffer.from(`v${log.nextOffset + k}`), 1000 + i);
        log.append(builder.finish());
      }
      await log.close();
      const end = log.nextOffset;
      const names = disk.readdir(DIR).filter((name) => disk.stat(`${DIR}/${name}`)!.sizeBytes > 0);
      const path = `${DIR}/${names[Math.floor(random() * names.length)]}`;
      const size = disk.stat(path)!.sizeBytes;
      const position = Math.floor(random() * size);
      const fd = disk.open(path, 'update');
      if (harm === 'flip') disk.corrupt(path, position, 1 << Math.floor(random() * 8));
      if (harm === 'cut') disk.truncate(fd, position);
      if (harm === 'zero') disk.write(fd, Buffer.alloc(Math.min(100, size - position)), position);
      disk.close(fd);
      const again = open({ clean, recoveryPoint: end });
      const lost = new Set<number>();
      const lose = (first: number, next: number): void => {
        for (let offset = first; offset < next; offset++) lost.add(offset);
      };
      const found = readAll(again.log, lose);
      for (const d of again.damage) lose(d.firstOffset, d.nextOffset);
      for (let offset = 0; offset < end; offset++) {
        if (found.has(offset)) expect(found.get(offset)).toBe(`v${offset}`);
        else expect([offset, lost.has(offset)]).toEqual([offset, true]);
      }
      expect(found.size).toBeGreaterThan(end - 25);
      expect(again.log.nextOffset).toBe(end);
    }),
    { numRuns: 300 },
  );
});
