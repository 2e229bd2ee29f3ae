/**
 * Whole pipelines through the built agent as a user runs it: events per second from the first event fed to the last one
 * taken, CPU seconds per million events, peak memory, and seconds from the command until monitoring answers.
 * Run: npx tsx bench/flow.ts [--events 1000000] [--rounds 5] [--profile] [PIPELINE …]
 * A pipeline is SOURCE-memory-SINK with source netcat, netcatack, exec, spooldir and sink null, file_roll. With --profile
 * one more round runs under `node --cpu-prof`, and the functions that take most time are listed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HOUSE = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const ALL = ['netcat-memory-null', 'netcatack-memory-null', 'exec-memory-null', 'spooldir-memory-null', 'exec-memory-file_roll', 'spooldir-memory-file_roll'];
const LINE_BYTES = 100;
const SPOOL_FILES = 10;
const POLL_MS = 5;
const LIMIT_MS = 120_000;
const TOP = 12;

const words = process.argv.slice(2);
const EVENTS = Number(option('--events') ?? 1_000_000);
const ROUNDS = Number(option('--rounds') ?? 5);
const PROFILE = words.includes('--profile');

function option(name: string): string | undefined {
  const at = words.indexOf(name);
  return at < 0 ? undefined : words[at + 1];
}

interface Round {
  readonly rate: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
  readonly readySeconds: number;
}

/** What a round works in. */
interface Place {
  readonly dir: string;
  readonly port: number;
  readonly monitoring: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function definition(pipeline: string, { dir, port }: Place): string {
  const [from = '', , to = ''] = pipeline.split('-');
  const source: Readonly<Record<string, readonly string[]>> = {
    netcat: ['type = netcat', 'bind = 127.0.0.1', `port = ${port}`, 'ack-every-event = false'],
    netcatack: ['type = netcat', 'bind = 127.0.0.1', `port = ${port}`],
    exec: ['type = exec', 'shell = /bin/sh -c', `command = until [ -e ${dir}/go ]; do sleep 0.01; done; exec cat ${dir}/lines`, 'batchSize = 1000'],
    spooldir: ['type = spooldir', `spoolDir = ${dir}/spool`, 'batchSize = 1000', 'pollDelay = 10'],
  };
  const sink: Readonly<Record<string, readonly string[]>> = {
    null: ['type = null', 'batchSize = 1000'],
    file_roll: ['type = file_roll', `sink.directory = ${dir}/out`, 'sink.rollInterval = 0', 'sink.batchSize = 1000'],
  };
  const lines = ['a1.sources = r1', 'a1.channels = c1', 'a1.sinks = k1', 'a1.sources.r1.channels = c1', 'a1.sinks.k1.channel = c1'];
  for (const line of source[from] ?? []) lines.push(`a1.sources.r1.${line}`);
  for (const line of ['type = memory', 'capacity = 100000', 'transactionCapacity = 10000']) lines.push(`a1.channels.c1.${line}`);
  for (const line of sink[to] ?? []) lines.push(`a1.sinks.k1.${line}`);
  return `${lines.join('\n')}\n`;
}

/** Hands the events over; resolves when all are on their way. */
async function feed(pipeline: string, { dir, port }: Place, data: Buffer): Promise<void> {
  if (pipeline.startsWith('exec')) return fs.writeFileSync(path.join(dir, 'go'), '');
  if (pipeline.startsWith('spooldir')) return fs.renameSync(path.join(dir, 'ready'), path.join(dir, 'spool', 'files'));
  const socket = net.connect(port, '127.0.0.1');
  socket.resume();
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.end(data);
}

/** Files wait beside the spool directory, in a folder that is moved in as one. */
function prepare(pipeline: string, { dir }: Place, data: Buffer): void {
  for (const name of ['out', 'spool', 'ready']) fs.mkdirSync(path.join(dir, name));
  if (pipeline.startsWith('exec')) fs.writeFileSync(path.join(dir, 'lines'), data);
  if (!pipeline.startsWith('spooldir')) return;
  const part = (EVENTS / SPOOL_FILES) * LINE_BYTES;
  for (let i = 0; i < SPOOL_FILES; i++) fs.writeFileSync(path.join(dir, 'ready', `f${i}`), data.subarray(i * part, (i + 1) * part));
}

async function taken(monitoring: number): Promise<number> {
  const reply = await fetch(`http://127.0.0.1:${monitoring}/metrics`).catch(() => null);
  const metrics = (await reply?.json().catch(() => null)) as Record<string, Record<string, string>> | null | undefined;
  return Number(metrics?.['CHANNEL.c1']?.EventTakeSuccessCount ?? -1);
}

async function reaches(monitoring: number, count: number): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while ((await taken(monitoring)) < count) {
    if (performance.now() > deadline) throw new Error(`${count} events were not taken within ${LIMIT_MS} ms`);
    await pause(POLL_MS);
  }
}

function cpuSecondsOf(pid: number): number {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.kill('SIGTERM');
  await gone;
}

/** One agent, one pipeline, EVENTS events. `nodeArgs` go before the program. */
async function round(pipeline: string, data: Buffer, nodeArgs: readonly string[] = []): Promise<Round> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'flow-'));
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const place = { dir, port, monitoring: port + 1 };
  const text = definition(pipeline, place);
  const more = pipeline.startsWith('spooldir') ? 'a1.sources.r1.recursiveDirectorySearch = true\n' : '';
  fs.writeFileSync(path.join(dir, 'x.conf'), text + more);
  prepare(pipeline, place, data);
  const program = [
    ...nodeArgs,
    path.join(HOUSE, 'dist', 'cli', 'flume-ng.js'),
    'agent',
    '--conf',
    dir,
    '--conf-file',
    path.join(dir, 'x.conf'),
    '--name',
    'a1',
  ];
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [...program, '-Dflume.root.logger=WARN,console', '-Dflume.monitoring.type=http', `-Dflume.monitoring.port=${place.monitoring}`],
    {
      cwd: dir,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  try {
    await reaches(place.monitoring, 0);
    const readySeconds = (performance.now() - began) / 1000;
    const idleCpu = cpuSecondsOf(child.pid as number);
    const fedAt = performance.now();
    await feed(pipeline, place, data);
    await reaches(place.monitoring, EVENTS);
    const seconds = (performance.now() - fedAt) / 1000;
    const peakMegabytes = Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024;
    return { rate: EVENTS / seconds, cpuSeconds: cpuSecondsOf(child.pid as number) - idleCpu, peakMegabytes, readySeconds };
  } finally {
    await ended(child);
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number } }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Share of the busy time spent in each function itself, most first. */
function topFunctions({ nodes, samples, timeDeltas }: Profile): readonly (readonly [name: string, share: number])[] {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [id, `${functionName || '(anonymous)'} ${placeOf(url, lineNumber)}`.trim()]),
  );
  const spent = new Map<string, number>();
  let busy = 0;
  samples.forEach((id, i) => {
    const name = names.get(id) as string;
    if (name === '(idle)') return;
    busy += timeDeltas[i] as number;
    spent.set(name, (spent.get(name) ?? 0) + (timeDeltas[i] as number));
  });
  return [...spent].sort(([, a], [, b]) => b - a).map(([name, micros]) => [name, micros / busy]);
}

function placeOf(url: string, line: number): string {
  if (url === '') return '';
  return url.startsWith('node:') ? url : `${url.slice(url.indexOf('/dist/') + 6)}:${line + 1}`;
}

async function profile(pipeline: string, data: Buffer): Promise<void> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'profile-'));
  await round(pipeline, data, ['--cpu-prof', '--cpu-prof-interval', '200', `--cpu-prof-dir=${dir}`]);
  const [name] = fs.readdirSync(dir).filter((file) => file.endsWith('.cpuprofile'));
  const found = JSON.parse(fs.readFileSync(path.join(dir, name as string), 'utf8')) as Profile;
  fs.rmSync(dir, { recursive: true });
  console.log(`\n  where ${pipeline} spends its time, start and stop included\n`);
  for (const [what, share] of topFunctions(found).slice(0, TOP)) console.log(`  | ${(share * 100).toFixed(1).padStart(5)} % | ${what} |`);
  console.log('');
}

if (spawnSync(path.join(HOUSE, 'bin', 'flume-ng'), ['version'], { stdio: 'ignore' }).status !== 0) throw new Error('the agent cannot be built');
const asked = words.filter((word) => /^\w+-memory-\w+$/.test(word));
const data = Buffer.from(Array.from({ length: EVENTS }, (_, i) => `${String(i).padStart(LINE_BYTES - 1, 'x')}\n`).join(''));
console.log(
  `machine: ${os.cpus()[0]?.model ?? '?'} x${os.cpus().length}, Node ${process.version}, ${os.platform()} ${os.release()}, load ${os.loadavg()[0]?.toFixed(1)}`,
);
console.log(`${EVENTS} events of ${LINE_BYTES} bytes, median of ${ROUNDS}`);
for (const pipeline of asked.length > 0 ? asked : ALL) {
  const rounds: Round[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await round(pipeline, data));
  const of = (key: keyof Round): number => median(rounds.map((one) => one[key]));
  const cpu = (of('cpuSeconds') / EVENTS) * 1e6;
  console.log(
    `${pipeline.padEnd(26)} ${(of('rate') / 1e6).toFixed(2)} M events/s  ${cpu.toFixed(2)} CPU s/M  ${of('peakMegabytes').toFixed(0)} MB  ready ${of('readySeconds').toFixed(2)} s`,
  );
  if (PROFILE) await profile(pipeline, data);
}
