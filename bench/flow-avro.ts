/**
 * An Avro hop: agent A (stress source → memory → avro sink) to agent B (avro source → memory → null sink), events of 100
 * bytes in batches of 1,000. Ours to ours, and, where there is a real Flume (MILLRACE_PEERS or ../shared/peers), Flume to
 * Flume in the same run, in turn. The rate is what B has taken, from its first event to its last; CPU and memory are of
 * both agents together.
 * Run: npx tsx bench/flow-avro.ts [events, default 2000000] [rounds, default 3]; BENCH_AGENT names another program than
 * bin/flume-ng, BENCH_TYPE=thrift another protocol, BENCH_DEFLATE=1 compresses.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const EVENTS = Number(process.argv[2] ?? 2_000_000);
const ROUNDS = Number(process.argv[3] ?? 3);
const HOUSE = path.resolve(import.meta.dirname, '..');
const OURS = (process.env.BENCH_AGENT ?? path.join(HOUSE, 'bin', 'flume-ng')).split(' ');
const FLUME = path.join(process.env.MILLRACE_PEERS ?? path.resolve(HOUSE, '../shared/peers'), 'flume');
const TYPE = process.env.BENCH_TYPE ?? 'avro';
const PACKED = process.env.BENCH_DEFLATE ? 'compression-type = deflate' : '';
const LIMIT_MS = 240_000;
const QUIET_MS = 5_000;

interface Result {
  readonly rate: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
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

function start(program: readonly string[], file: string, monitorPort: number): ChildProcess {
  const monitoring = ['-Dflume.monitoring.type=http', `-Dflume.monitoring.port=${monitorPort}`];
  const args = ['agent', '--name', 'a1', '--conf-file', file];
  const words = program[0] === FLUME ? [...monitoring, '-Dpeer.log.level=WARN', ...args] : [...args, ...monitoring, '-Dflume.root.logger=WARN,console'];
  const log = fs.openSync(`${file}.log`, 'w');
  return spawn(program[0] as string, [...program.slice(1), ...words], { cwd: path.dirname(file), detached: true, stdio: ['ignore', log, log] });
}

/** CPU seconds and peak resident MB of a process group. */
function usage(group: number): { cpuSeconds: number; peakMb: number } {
  let ticks = 0;
  let kb = 0;
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = fs
        .readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      if (Number(stat[2]) !== group) continue;
      ticks += Number(stat[11]) + Number(stat[12]);
      kb += Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      // It ended while we looked.
    }
  }
  return { cpuSeconds: ticks / 100, peakMb: kb / 1024 };
}

async function taken(monitorPort: number): Promise<number | undefined> {
  try {
    const reply = (await (await fetch(`http://127.0.0.1:${monitorPort}/metrics`)).json()) as Record<string, Record<string, string>>;
    return Number(reply['CHANNEL.c1']?.EventTakeSuccessCount ?? 0);
  } catch {
    return undefined;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function once(program: readonly string[]): Promise<Result> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'flow-avro-'));
  const [port, monitorA, monitorB] = [await freePort(), await freePort(), await freePort()];
  fs.writeFileSync(path.join(dir, 'b.conf'), definition([`type = ${TYPE}`, 'bind = 127.0.0.1', `port = ${port}`, PACKED], ['type = null', 'batchSize = 1000']));
  const stress = ['type = org.apache.flume.source.StressSource', 'size = 100', `maxTotalEvents = ${EVENTS}`, 'batchSize = 1000'];
  fs.writeFileSync(path.join(dir, 'a.conf'), definition(stress, [`type = ${TYPE}`, 'hostname = 127.0.0.1', `port = ${port}`, PACKED]));
  const children: ChildProcess[] = [];
  try {
    const deadline = performance.now() + LIMIT_MS;
    children.push(start(program, path.join(dir, 'b.conf'), monitorB));
    while ((await taken(monitorB)) === undefined) {
      if (performance.now() > deadline) throw new Error(`agent B did not start: ${fs.readFileSync(path.join(dir, 'b.conf.log'), 'utf8').slice(-1_000)}`);
      await pause(100);
    }
    children.push(start(program, path.join(dir, 'a.conf'), monitorA));
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
        const used = children.map((child) => usage(child.pid as number));
        const sum = (of: 'cpuSeconds' | 'peakMb'): number => used.reduce((total, one) => total + one[of], 0);
        return { rate: ((last[1] - first[1]) / (last[0] - first[0])) * 1_000, cpuSeconds: sum('cpuSeconds'), peakMb: sum('peakMb') };
      }
      if (now > deadline) throw new Error(`${count} of ${EVENTS} came: ${fs.readFileSync(path.join(dir, 'a.conf.log'), 'utf8').slice(-1_000)}`);
      await pause(20);
    }
  } finally {
    for (const child of children) {
      const gone = new Promise((resolve) => child.once('close', resolve));
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      await gone;
    }
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const sides: readonly (readonly [string, readonly string[]])[] = [...(fs.existsSync(FLUME) ? [['flume', [FLUME]] as const] : []), ['ours', OURS]];
const results = new Map<string, Result[]>(sides.map(([name]) => [name, []]));

console.log(
  `machine: ${os.cpus()[0]?.model ?? '?'} x${os.cpus().length}, Node ${process.version}, ${os.platform()} ${os.release()}; ${EVENTS} events of 100 bytes, ${TYPE}${PACKED === '' ? '' : ', deflate'}`,
);
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
