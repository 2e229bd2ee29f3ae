/**
 * An Avro hop: agent A (stress source → memory → avro sink) to agent B (avro source → memory → null sink), events of 100
 * bytes in batches of 1,000. Ours to ours, and, where there is a real Flume (MILLRACE_PEERS or ../shared/peers), Flume to
 * Flume in the same run, in turn. The rate is what B has taken, from its first event to its last; CPU and memory are of
 * both agents together.
 * Run: npx tsx bench/flow-avro.ts [events, default 2000000] [rounds, default 3]; BENCH_AGENT names another program than
 * bin/flume-ng, BENCH_TYPE=thrift another protocol, BENCH_DEFLATE=1 compresses.
 */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FLUME, freePort, HOUSE, killGroups, machine, median, pause, startAgent, taken, usage } from './sides.ts';

const EVENTS = Number(process.argv[2] ?? 2_000_000);
const ROUNDS = Number(process.argv[3] ?? 3);
const OURS = (process.env.BENCH_AGENT ?? path.join(HOUSE, 'bin', 'flume-ng')).split(' ');
const TYPE = process.env.BENCH_TYPE ?? 'avro';
const PACKED = process.env.BENCH_DEFLATE ? 'compression-type = deflate' : '';
const LIMIT_MS = 240_000;
const QUIET_MS = 5_000;

interface Result {
  readonly rate: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

function definition(source: readonly string[], sink: readonly string[]): string {
  const memory = ['type = memory', 'capacity = 100000', 'transactionCapacity = 10000'];
  const part = (name: string, lines: readonly string[]): string[] => lines.filter((line) => line !== '').map((line) => `a1.${name}.${line}`);
  return [
    'a1.sources = r1',
    'a1.channels = c1',
    'a1.sinks = k1',
    ...part('sources.r1', [...source, 'channels = c1']),
    ...part('channels.c1', memory),
    ...part('sinks.k1', [...sink, 'channel = c1', 'batch-size = 1000']),
    '',
  ].join('\n');
}

async function once(program: readonly string[]): Promise<Result> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'flow-avro-'));
  const [port, monitorA, monitorB] = [await freePort(), await freePort(), await freePort()];
  fs.writeFileSync(path.join(dir, 'b.conf'), definition([`type = ${TYPE}`, 'bind = 127.0.0.1', `port = ${port}`, PACKED], ['type = null', 'batchSize = 1000']));
  const stress = ['type = org.apache.flume.source.StressSource', 'size = 100', `maxTotalEvents = ${EVENTS}`, 'batchSize = 1000'];
  fs.writeFileSync(path.join(dir, 'a.conf'), definition(stress, [`type = ${TYPE}`, 'hostname = 127.0.0.1', `port = ${port}`, PACKED]));
  const children: ChildProcess[] = [];
  try {
    const deadline = performance.now() + LIMIT_MS;
    children.push(startAgent(program, path.join(dir, 'b.conf'), monitorB));
    while ((await taken(monitorB)) === undefined) {
      if (performance.now() > deadline) throw new Error(`agent B did not start: ${fs.readFileSync(path.join(dir, 'b.conf.log'), 'utf8').slice(-1_000)}`);
      await pause(100);
    }
    children.push(startAgent(program, path.join(dir, 'a.conf'), monitorA));
    let first: readonly [number, number] | undefined;
    let last: readonly [number, number] = [0, 0];
    for (;;) {
      const count = (await taken(monitorB)) ?? 0;
      const now = performance.now();
      if (count > 0) first ??= [now, count];
      if (count > last[1]) last = [now, count];
      // Flume's stress source gives up a batch for which a full channel had no room in time, and counts it all the same.
      const done = count >= EVENTS || (count >= EVENTS * 0.98 && now - last[0] > QUIET_MS);
      if (done && first !== undefined) {
        const used = usage(children.map((child) => child.pid as number));
        return { rate: ((last[1] - first[1]) / (last[0] - first[0])) * 1_000, ...used };
      }
      if (now > deadline) throw new Error(`${count} of ${EVENTS} came: ${fs.readFileSync(path.join(dir, 'a.conf.log'), 'utf8').slice(-1_000)}`);
      await pause(20);
    }
  } finally {
    await killGroups(children);
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

const sides: readonly (readonly [string, readonly string[]])[] = [...(fs.existsSync(FLUME) ? [['flume', [FLUME]] as const] : []), ['ours', OURS]];
const results = new Map<string, Result[]>(sides.map(([name]) => [name, []]));

console.log(`machine: ${machine}; ${EVENTS} events of 100 bytes, ${TYPE}${PACKED === '' ? '' : ', deflate'}`);
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, program] of sides) {
    const result = await once(program);
    results.get(name)?.push(result);
    console.log(
      `  ${name.padEnd(6)} ${Math.round(result.rate).toLocaleString('en').padStart(11)} events/s   cpu ${result.cpuSeconds.toFixed(1)} s   peak ${Math.round(result.peakMb)} MB`,
    );
  }
}
const figure = (name: string, of: keyof Result): number => median((results.get(name) as Result[]).map((one) => one[of]));
if (results.has('flume')) {
  const ratio = (of: keyof Result): string => (figure('ours', of) / figure('flume', of)).toFixed(2);
  console.log(`ours / flume (medians): rate ${ratio('rate')}x   cpu ${ratio('cpuSeconds')}x   memory ${ratio('peakMb')}x`);
} else console.log(`ours: ${Math.round(figure('ours', 'rate')).toLocaleString('en')} events/s; there is no real Flume to compare with`);
