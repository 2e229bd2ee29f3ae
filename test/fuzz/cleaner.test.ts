/**
 * Compaction against a naive model: whatever is written, however often the cleaner runs, in what memory, with power cuts in
 * between, a reader of committed data finds the last value of every key; no record changes; tombstones live long enough.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ManualClock } from '../../src/lib/clock.ts';
import { MemoryDisk, PowerLoss } from '../../src/lib/memory-disk.ts';
import { end, type KeyValue, openPartition, type PartitionBench, produce, type Seen, seen, stored } from '../unit/broker/storage/partition-kit.ts';

const RETENTION_MS = 1000;
const CONFIG = { 'segment.bytes': '600', 'index.interval.bytes': '100', 'delete.retention.ms': String(RETENTION_MS) };

type Step =
  | { readonly kind: 'write'; readonly pairs: KeyValue[]; readonly codec: number; readonly producer: number }
  | { readonly kind: 'end'; readonly producer: number; readonly commit: boolean }
  | { readonly kind: 'roll' }
  | { readonly kind: 'clean'; readonly powerOff: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'restart'; readonly clean: boolean };

const key = fc.integer({ min: 0, max: 12 }).map((n) => 'key-with-a-tail-'.slice(0, 1 + n) + n);
const value = fc.option(
  fc.integer({ min: 0, max: 60 }).map((n) => `${'v'.repeat(n)}${n}`),
  { nil: null, freq: 4 },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      pairs: fc.array(fc.tuple(key, value), { minLength: 1, maxLength: 6 }),
      codec: fc.constantFrom(0, 0, 0, 1, 3),
      producer: fc.constantFrom(-1, -1, 1, 2, 3),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('end' as const), producer: fc.constantFrom(1, 2, 3), commit: fc.boolean() }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'roll' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('clean' as const),
      powerOff: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 120 }) }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 400, RETENTION_MS + 1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), clean: fc.boolean() }) },
);

/** What was written, and what must still be found. */
class Model {
  readonly records = new Map<number, Seen & { readonly producer: number; readonly at: number }>();
  /** Offsets of open transactions by producer. */
  readonly open = new Map<number, number[]>();
  readonly aborted = new Set<number>();
  readonly sequences = new Map<number, number>();
  next = 0;

  wrote(base: number, pairs: readonly KeyValue[], producer: number, at: number): void {
    expect(base).toBe(this.next);
    for (const [i, [k, v]] of pairs.entries()) {
      this.records.set(base + i, { offset: base + i, key: k, value: v, producer, at });
      if (producer >= 0) this.open.set(producer, [...(this.open.get(producer) ?? []), base + i]);
    }
    this.next += pairs.length;
  }

  ended(producer: number, commit: boolean): void {
    for (const offset of this.open.get(producer) ?? []) if (!commit) this.aborted.add(offset);
    this.open.delete(producer);
    this.next++;
  }

  /** Last value of each key among the records that are stable and not aborted. */
  latest(stable: number): Map<string, string | null> {
    const out = new Map<string, string | null>();
    for (const record of this.records.values()) if (record.offset < stable && !this.aborted.has(record.offset)) out.set(record.key as string, record.value);
    return out;
  }
}

/** Everything that must be true of what a partition holds. */
function check({ partition }: PartitionBench, model: Model): void {
  expect(partition.highWatermark).toBe(model.next);
  const stable = partition.lastStableOffset;
  const visible = seen(partition);
  const last = new Map<string, string | null>();
  let before = -1;
  for (const record of visible) {
    expect(record.offset).toBeGreaterThan(before);
    before = record.offset;
    const original = model.records.get(record.offset);
    expect({ key: original?.key, value: original?.value }).toEqual({ key: record.key, value: record.value });
    expect(model.aborted.has(record.offset)).toBe(false);
    last.set(record.key as string, record.value);
  }
  for (const [k, v] of model.latest(stable)) {
    if (v !== null) expect([k, last.get(k)]).toEqual([k, v]);
    // A tombstone may be gone, but then nothing older of its key is there.
    else expect([k, last.get(k) ?? null]).toEqual([k, null]);
  }
  let end = 0;
  for (const batch of stored(partition)) {
    expect(batch.baseOffset).toBeGreaterThanOrEqual(end);
    end = batch.nextOffset;
  }
}

async function play(steps: readonly Step[], memoryBytes: number, seed: number): Promise<void> {
  const clock = new ManualClock();
  const disk = new MemoryDisk(seed);
  const options = { disk, clock, config: CONFIG, memoryBytes };
  let bench = openPartition(options);
  const model = new Model();
  for (const todo of steps) {
    const { partition } = bench;
    if (todo.kind === 'write') {
      const { producer, codec, pairs } = todo;
      const sequence = model.sequences.get(producer) ?? 0;
      const txn = producer < 0 ? {} : { producerId: producer, producerEpoch: 0, baseSequence: sequence, transactional: true };
      model.wrote(produce(partition, pairs, { codec, ...txn, at: clock.now() }), pairs, producer, clock.now());
      if (producer >= 0) model.sequences.set(producer, sequence + pairs.length);
    } else if (todo.kind === 'end') {
      if (!model.open.has(todo.producer)) continue;
      end(partition, todo.producer, todo.commit, { at: clock.now() });
      model.ended(todo.producer, todo.commit);
    } else if (todo.kind === 'roll') partition.log.roll();
    else if (todo.kind === 'wait') await clock.advance(todo.ms);
    else if (todo.kind === 'restart') {
      if (todo.clean) await partition.close(true);
      else {
        await partition.sync();
        disk.crash({ tear: true });
      }
      bench = openPartition({ ...options, clean: todo.clean, recoveryPoint: todo.clean ? model.next : 0 });
    } else bench = await clean(bench, todo.powerOff, options, model);
    check(bench, model);
  }
  expect(bench.damage).toEqual([]);
}

async function clean(bench: PartitionBench, powerOff: number, options: Parameters<typeof openPartition>[0], model: Model): Promise<PartitionBench> {
  const disk = bench.disk as MemoryDisk;
  await bench.partition.sync();
  const tombstones = seen(bench.partition).filter(
    (record) => record.value === null && model.latest(bench.partition.lastStableOffset).get(record.key as string) === null,
  );
  const young = tombstones.filter(({ offset }) => bench.clock.now() - (model.records.get(offset)?.at ?? 0) < RETENTION_MS);
  if (powerOff > 0) disk.powerOffAt = disk.changes + powerOff;
  try {
    await bench.cleaner.run();
  } catch (error) {
    if (!(error instanceof PowerLoss)) throw error;
  }
  let after = bench;
  if (powerOff > 0) {
    disk.powerOffAt = Number.POSITIVE_INFINITY;
    disk.crash({ tear: powerOff % 2 === 0 });
    after = openPartition({ ...options, clean: false });
  }
  expect(after.said.filter((line) => line.startsWith('error'))).toEqual([]);
  const left = new Set(seen(after.partition).map(({ offset }) => offset));
  const last = (record: Seen): boolean =>
    [...model.records.values()].every((other) => other.key !== record.key || other.offset <= record.offset || model.aborted.has(other.offset));
  for (const record of young) if (last(record)) expect(left.has(record.offset)).toBe(true);
  return after;
}

const RUNS = process.env.MILLRACE_PROOF === undefined ? 150 : 3000;

test('a compacted partition holds what a reader must find', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), fc.constantFrom(24 * 20, 24 * 1000), fc.nat(), (steps, memoryBytes, seed) =>
      play(steps, memoryBytes, seed),
    ),
    { numRuns: RUNS },
  );
}, 600_000);
