/**
 * How long a channel on disk takes to open, and what memory it needs, with so many events waiting: after a stop in order and after
 * a kill -9. Each opening is a process of its own, which also takes the first batch. Every number of events is put once; then the
 * channel is opened and stopped, opened and killed, in turn.
 * Run: npx tsx bench/open-channel.ts [file|SPILLABLEMEMORY|jdbc] [events …]
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import file from '../src/agent/channels/file.ts';
import jdbc from '../src/agent/channels/jdbc.ts';
import spillable from '../src/agent/channels/spillable.ts';
import type { Channel } from '../src/agent/core/channel.ts';
import type { ChannelSpec } from '../src/agent/core/define.ts';
import { benchChannel } from './bench-channel.ts';

const SPECS: Readonly<Record<string, ChannelSpec>> = { file, SPILLABLEMEMORY: spillable, jdbc } as unknown as Record<string, ChannelSpec>;
const BATCH = 1_000;
const BYTES = 100;

function makeChannel(type: string, dir: string): Channel {
  const spec = SPECS[type] as ChannelSpec;
  const raw: Record<string, string> =
    type === 'jdbc'
      ? { 'driver.url': `jdbc:sqlite:${dir}/events.sqlite` }
      : { checkpointDir: `${dir}/checkpoint`, dataDirs: `${dir}/data`, ...(type === 'file' ? { capacity: '100000000' } : { memoryCapacity: '0' }) };
  return benchChannel(spec, raw, dir);
}

/** The work of a child: puts events, or opens and takes a batch, and ends as told. */
async function child(type: string, dir: string, { events, end }: { events: number; end: string }): Promise<void> {
  const channel = makeChannel(type, dir);
  const { signal } = new AbortController();
  const began = performance.now();
  await channel.start();
  const openMs = performance.now() - began;
  const slab = Buffer.alloc(BYTES * BATCH, 97);
  for (let put = 0; put < events; put += BATCH) {
    const count = Math.min(BATCH, events - put);
    await channel.put(
      Array.from({ length: count }, (_, i) => ({ headers: {}, body: slab.subarray(i * BYTES, (i + 1) * BYTES) })),
      signal,
    );
  }
  const { size } = channel.gauges();
  const lease = size > 0 && events === 0 ? await channel.take(BATCH, signal) : null;
  const firstMs = performance.now() - began;
  fs.writeSync(1, JSON.stringify({ openMs, firstMs, size, rssMb: process.memoryUsage().rss / 1_048_576 }));
  lease?.rollback();
  if (end === 'kill') process.kill(process.pid, 'SIGKILL');
  await channel.stop();
}

function run(
  type: string,
  dir: string,
  how: { readonly events: number; readonly end: 'stop' | 'kill' },
): { openMs: number; firstMs: number; size: number; rssMb: number } {
  const script = fileURLToPath(import.meta.url);
  const answer: SpawnSyncReturns<string> = spawnSync(process.execPath, ['--import', 'tsx', script, '--child', type, dir, String(how.events), how.end], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(answer.stdout) as ReturnType<typeof run>;
}

if (process.argv[2] === '--child') {
  const [type, dir, events, end] = process.argv.slice(3) as [string, string, string, string];
  await child(type, dir, { events: Number(events), end });
} else {
  const type = process.argv[2] ?? 'file';
  const counts = process.argv.length > 3 ? process.argv.slice(3).map(Number) : [0, 1_000, 1_000_000, 10_000_000];
  console.log(`${os.cpus()[0]?.model.trim()}, ${os.availableParallelism()} cores, load ${os.loadavg()[0]?.toFixed(1)}, Node ${process.version}, ${type}`);
  for (const events of counts) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-open-'));
    try {
      run(type, dir, { events, end: 'kill' });
      const line = (how: string, { openMs, firstMs, size, rssMb }: ReturnType<typeof run>): void =>
        console.log(
          `${String(size).padStart(9)} events, ${how}: open ${openMs.toFixed(0)} ms, first batch after ${firstMs.toFixed(0)} ms, ${rssMb.toFixed(0)} MB`,
        );
      line('after a kill while it was filled', run(type, dir, { events: 0, end: 'stop' }));
      line('after a stop in order           ', run(type, dir, { events: 0, end: 'kill' }));
      line('after a kill while idle         ', run(type, dir, { events: 0, end: 'stop' }));
    } finally {
      fs.rmSync(dir, { recursive: true, force: true });
    }
  }
}
