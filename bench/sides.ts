/**
 * What the side-by-side benchmarks share: starting a program in a process group of its own, what the group used, and what
 * an agent says it has taken. A real Flume and a real Kafka are looked for at MILLRACE_PEERS or ../shared/peers; without
 * them only our side runs.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '../src/lib/free-port.ts';

export { freePort };

export const HOUSE = path.resolve(import.meta.dirname, '..');
/** The built clone whose programs are measured. */
export const CLONE = process.env.BENCH_HOUSE ?? HOUSE;
const PEERS = process.env.MILLRACE_PEERS ?? path.resolve(HOUSE, '../shared/peers');
/** The command of a real Flume, and of a real Kafka; the files may be absent. */
export const FLUME = path.join(PEERS, 'flume');
export const KAFKA = path.join(PEERS, 'kafka');

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const machine = `${os.cpus()[0]?.model ?? '?'} x${os.cpus().length}, Node ${process.version}, ${os.platform()} ${os.release()}`;

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/** Resolves when somebody takes connections on a port of this machine. @throws Error nobody does within a minute */
export async function listening(port: number): Promise<void> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; await pause(20)) {
    const socket = net.connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** Starts a program whose output goes to a file; its process group has its pid. */
export function spawnGroup(program: readonly string[], logFile: string, cwd: string): ChildProcess {
  const log = fs.openSync(logFile, 'w');
  return spawn(program[0] as string, program.slice(1), { cwd, detached: true, stdio: ['ignore', log, log] });
}

/** Starts an agent of either side with its monitoring on a port. */
export function startAgent(program: readonly string[], file: string, monitorPort: number): ChildProcess {
  const monitoring = ['-Dflume.monitoring.type=http', `-Dflume.monitoring.port=${monitorPort}`];
  const args = ['agent', '--name', 'a1', '--conf-file', file];
  const words = program[0] === FLUME ? [...monitoring, '-Dpeer.log.level=WARN', ...args] : [...args, ...monitoring, '-Dflume.root.logger=WARN,console'];
  return spawnGroup([...program, ...words], `${file}.log`, path.dirname(file));
}

/** Kills the process groups and waits for their leaders. */
export async function killGroups(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    const gone = new Promise((resolve) => child.once('close', resolve));
    if (child.pid === undefined || child.exitCode !== null) continue;
    process.kill(-child.pid, 'SIGKILL');
    await gone;
  }
}

/** CPU seconds and peak resident MB of process groups together. */
export function usage(groups: readonly number[]): { cpuSeconds: number; peakMb: number } {
  let ticks = 0;
  let kb = 0;
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = fs
        .readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      if (!groups.includes(Number(stat[2]))) continue;
      ticks += Number(stat[11]) + Number(stat[12]);
      kb += Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      // It ended while we looked.
    }
  }
  return { cpuSeconds: ticks / 100, peakMb: kb / 1024 };
}

/** Events taken from a channel, by the agent's own count; undefined while it cannot be asked. */
export async function taken(monitorPort: number, channel = 'c1'): Promise<number | undefined> {
  try {
    const reply = (await (await fetch(`http://127.0.0.1:${monitorPort}/metrics`)).json()) as Record<string, Record<string, string>>;
    return Number(reply[`CHANNEL.${channel}`]?.EventTakeSuccessCount ?? 0);
  } catch {
    return undefined;
  }
}

/** A broker that runs; `group` is its process group. */
export interface Broker {
  readonly address: string;
  readonly group: number;
  end(): Promise<void>;
}

/** Starts a broker of ours with its files in `dir`. */
export async function ourBroker(dir: string): Promise<Broker> {
  const port = await freePort();
  const file = path.join(dir, 'server.properties');
  fs.writeFileSync(file, `listeners=PLAINTEXT://127.0.0.1:${port}\nlog.dirs=${dir}/data\ngroup.initial.rebalance.delay.ms=0\n`);
  const child = spawnGroup([path.join(CLONE, 'bin', 'kafka-server-start.sh'), file], path.join(dir, 'broker.log'), dir);
  await listening(port);
  return { address: `127.0.0.1:${port}`, group: child.pid as number, end: () => killGroups([child]) };
}

/** Starts a real Kafka, fresh. */
export async function realBroker(): Promise<Broker> {
  const pid = Number(execFileSync(KAFKA, ['start', '19092'], { encoding: 'utf8' }).trim().split(/\s+/)[0]);
  await listening(19092);
  return {
    address: '127.0.0.1:19092',
    group: pid,
    end: async () => {
      execFileSync(KAFKA, ['stop']);
    },
  };
}
