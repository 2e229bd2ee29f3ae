/** The exec source through the real command: what is left of a command when the agent goes, and what much output costs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { AgentProcess, definition, until } from './agent-process.ts';

const open: { end(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.end();
});

function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function agentWith(command: string, sink = 'sinks.k1.type = null'): AgentProcess {
  const one = new AgentProcess(
    definition(`
    sources = r1
    channels = c1
    sinks = k1
    sources.r1.type = exec
    sources.r1.shell = /bin/sh -c
    sources.r1.command = ${command}
    sources.r1.channels = c1
    channels.c1.type = memory
    channels.c1.capacity = 10000
    channels.c1.transactionCapacity = 1000
    ${sink}
    sinks.k1.channel = c1`),
  );
  open.push(one);
  return one;
}

/** An agent whose command has started two jobs, and the process ids of all three. */
async function tree(): Promise<{ agent: AgentProcess; pids: number[] }> {
  const agent = agentWith('echo $$ >> pids; sleep 600 & echo $! >> pids; sleep 601 | cat & echo $! >> pids; wait').start();
  const file = path.join(agent.dir, 'pids');
  const read = (): number[] => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split(/\s+/).map(Number) : []);
  await until(
    () => read().length === 3,
    () => `three processes:\n${agent.output}`,
    () => agent.exitCode !== undefined,
  );
  const pids = read();
  expect(pids.map(runs)).toEqual([true, true, true]);
  return { agent, pids };
}

it('ends the command and all it started when the agent is killed with SIGKILL', async () => {
  const { agent, pids } = await tree();
  agent.signal('SIGKILL');
  await until(
    () => !pids.some(runs),
    () => 'the end of the command and its children',
  );
});

/** Processes with this word among their arguments. */
function withWord(word: string): string[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
      } catch {
        return false; // It ended while we looked.
      }
    });
}

// Between the start of a command and the word to its watchdog, a kill -9 once left the command behind for ever.
it.each([
  ['spawned', false],
  ['announced', false],
  ['running', true],
])('leaves no command behind when the agent is killed while it is being started: %s', async (moment, ran) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-exec-'));
  const [marker, token] = [path.join(dir, 'ran'), `word-${path.basename(dir)}`];
  open.push({ end: async () => fs.rmSync(dir, { recursive: true }) });
  const child = fileURLToPath(new URL('exec-victim.ts', import.meta.url));
  const victim = spawn(process.execPath, ['--import', 'tsx', child, moment, marker, token], { stdio: ['ignore', 'ignore', 'inherit'] });
  expect(await once(victim, 'exit')).toEqual([null, 'SIGKILL']);
  await until(
    () => withWord(token).length === 0,
    () => `the end of ${withWord(token).join(' ')}`,
  );
  expect(fs.existsSync(marker)).toBe(ran);
});

it('ends them within the stop on SIGTERM', async () => {
  const { agent, pids } = await tree();
  expect(await agent.stop()).toBe(143);
  expect(pids.some(runs)).toBe(false);
});

it('delivers every line of a command, in order, also those of the last moment before a stop', async () => {
  const agent = agentWith(
    'seq 1 500000; echo all > done; exec sleep 600',
    'sinks.k1.type = file_roll\nsinks.k1.sink.directory = out\nsinks.k1.sink.rollInterval = 0',
  );
  const out = path.join(agent.dir, 'out');
  fs.mkdirSync(out);
  agent.start();
  await until(
    () => fs.existsSync(path.join(agent.dir, 'done')),
    () => `the command to finish:\n${agent.output}`,
  );
  expect(await agent.stop()).toBe(143);
  const [name] = fs.readdirSync(out);
  const lines = fs
    .readFileSync(path.join(out, name as string), 'utf8')
    .trimEnd()
    .split('\n');
  expect(lines.length).toBe(500_000);
  expect(lines.every((line, i) => line === String(i + 1))).toBe(true);
});
