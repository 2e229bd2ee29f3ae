/**
 * The storage path in parts, median of 5: encode records into batches; check a batch; append 16 KiB batches to a log, in the
 * page cache and with a grouped fdatasync after each and after every 16; read them back. `npx tsx bench/micro-append.ts [DIR]`
 * The same bytes by bare write and fdatasync on the same disk stand beside it.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/lib/clock.ts';
import { realDisk } from '../src/lib/files.ts';
import { BatchView, checkBatch } from '../src/records/batch.ts';
import { BatchBuilder } from '../src/records/builder.ts';
import { RecordCursor } from '../src/records/cursor.ts';
import { Log } from '../src/wal/log.ts';
import { LogReader } from '../src/wal/reader.ts';

const ROUNDS = 5;
const parent = process.argv[2] ?? tmpdir();

async function median(round: () => Promise<number> | number): Promise<number> {
  const all: number[] = [];
  await round();
  for (let i = 0; i < ROUNDS; i++) all.push(await round());
  return all.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
}

function tell(name: string, value: number, unit: string): void {
  console.log(`${name}: ${value >= 100 ? Math.round(value) : value.toFixed(2)} ${unit}`);
  console.log(JSON.stringify({ bench: name, value, unit }));
}

const value = Buffer.alloc(100, 'x');
const key = Buffer.from('key-0001');

function batchOf(records: number): Buffer {
  const builder = new BatchBuilder({}, 32_768);
  for (let i = 0; i < records; i++) builder.append(key, value, 1_700_000_000_000 + i);
  return builder.finish();
}

function recordsPerSecond(one: (builder: BatchBuilder, i: number) => void): number {
  const builder = new BatchBuilder({}, 65_536);
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < 150) {
    for (let i = 0; i < 500; i++) one(builder, i);
    builder.finish();
    builder.restart(true);
    count += 500;
  }
  return count / (performance.now() - start) / 1000;
}

const headers = { timestamp: '1700000000000', host: 'web-0001' };
tell('encode key and 100 B value', await median(() => recordsPerSecond((b, i) => b.append(key, value, 1_700_000_000_000 + i))), 'M records/s');
tell('encode event with 2 headers', await median(() => recordsPerSecond((b, i) => b.appendEvent(value, headers, 1_700_000_000_000 + i))), 'M records/s');

const batch = batchOf(140);
tell('batch size', batch.length, 'bytes');
tell(
  'decode, keys and values as views',
  await median(() => {
    const start = performance.now();
    let n = 0;
    for (let i = 0; i < 2000; i++) {
      const cursor = new RecordCursor(new BatchView(batch));
      while (cursor.next()) n += (cursor.key()?.length ?? 0) > 0 && cursor.value() ? 1 : 0;
    }
    return n / (performance.now() - start) / 1000;
  }),
  'M records/s',
);
tell(
  'check a batch',
  await median(() => {
    const start = performance.now();
    for (let i = 0; i < 20_000; i++) checkBatch(batch);
    return ((performance.now() - start) / 20_000) * 1000;
  }),
  'µs',
);

/** Runs with a fresh log in a fresh directory. */
async function withLog(work: (log: Log) => Promise<number> | number): Promise<number> {
  const dir = fs.mkdtempSync(join(parent, 'millrace-bench-'));
  const log = Log.open({ dir, disk: realDisk, clock: systemClock });
  try {
    return await work(log);
  } finally {
    await log.close({ clean: false });
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

const N = 4000;
tell(
  'append 16 KiB, page cache',
  await median(() =>
    withLog((log) => {
      const start = performance.now();
      for (let i = 0; i < N; i++) log.append(batch);
      return ((performance.now() - start) / N) * 1000;
    }),
  ),
  'µs',
);

async function durable(log: Log, perSync: number): Promise<number> {
  const rounds = Math.floor(400 / perSync);
  const start = performance.now();
  for (let i = 0; i < rounds; i++) {
    const waits: Promise<void>[] = [];
    for (let w = 0; w < perSync; w++) {
      log.append(batch);
      waits.push(log.sync());
    }
    await Promise.all(waits);
  }
  return ((performance.now() - start) / (rounds * perSync)) * 1000;
}
tell('append 16 KiB and sync, 1 writer', await median(() => withLog((log) => durable(log, 1))), 'µs');
tell('append 16 KiB and sync, 16 writers', await median(() => withLog((log) => durable(log, 16))), 'µs');

tell(
  'write 16 KiB and fdatasync, bare',
  await median(() => {
    const path = join(parent, `millrace-bench-${process.pid}`);
    const fd = fs.openSync(path, 'w');
    const start = performance.now();
    for (let i = 0; i < 400; i++) {
      fs.writeSync(fd, batch, 0, batch.length, i * batch.length);
      fs.fdatasyncSync(fd);
    }
    const spent = performance.now() - start;
    fs.closeSync(fd);
    fs.unlinkSync(path);
    return (spent / 400) * 1000;
  }),
  'µs',
);

const read = async (work: (log: Log) => number): Promise<number> =>
  median(() =>
    withLog((log) => {
      for (let i = 0; i < N; i++) log.append(batch);
      const start = performance.now();
      const bytes = work(log);
      return bytes / (performance.now() - start) / 1e6;
    }),
  );
tell(
  'read in 1 MiB chunks, as a fetch does',
  await read((log) => {
    let bytes = 0;
    for (let offset = 0; offset < log.nextOffset; ) {
      const chunk = log.read(offset, 1_048_576);
      if (!chunk) break;
      bytes += chunk.bytes.length;
      offset = chunk.nextOffset;
    }
    return bytes;
  }),
  'GB/s',
);
tell(
  'read batch by batch, verified',
  await read((log) => {
    let bytes = 0;
    const reader = new LogReader(log, 0);
    for (let next = reader.next(); next; next = reader.next()) bytes += next.sizeBytes;
    return bytes;
  }),
  'GB/s',
);
tell(
  'seek and read one batch, at random',
  await median(() =>
    withLog((log) => {
      for (let i = 0; i < N; i++) log.append(batch);
      const start = performance.now();
      for (let i = 0; i < 2000; i++) log.read((i * 7919 * 140) % log.nextOffset, 1);
      return ((performance.now() - start) / 2000) * 1000;
    }),
  ),
  'µs',
);
