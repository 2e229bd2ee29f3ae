/**
 * conf/example.conf under a real supervisord, with the settings the tutorials use (startsecs=10, stopasgroup, killasgroup,
 * redirect_stderr): start, restart, stop in less than 10 s, and a taken port is not RUNNING.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, HOUSE, installed } from './agent-process.ts';

const DEADLINE_MS = 60_000;

describe.skipIf(!installed('supervisord'))('under supervisord', { timeout: 240_000 }, () => {
  let dir: string;
  let daemon: ChildProcess;
  let port: number;

  beforeAll(async () => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'supervised-'));
    port = await freePort();
    const example = fs.readFileSync(path.join(HOUSE, 'conf/example.conf'), 'utf8');
    fs.writeFileSync(path.join(dir, 'example.conf'), example.replace(/(\.port\s*=\s*)\d+/, `$1${port}`));
    fs.writeFileSync(
      path.join(dir, 'supervisord.conf'),
      `[supervisord]
nodaemon=true
logfile=${dir}/supervisord.log
pidfile=${dir}/supervisord.pid
[unix_http_server]
file=${dir}/s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${dir}/s
[program:flume-netcat-memory-logger]
command=${HOUSE}/bin/flume-ng agent --conf ${HOUSE}/conf --conf-file ${dir}/example.conf --name a1 -Dflume.root.logger=INFO,console
directory=${dir}
autostart=false
startsecs=10
autorestart=true
startretries=0
redirect_stderr=true
stdout_logfile=${dir}/example.log
stopasgroup=true
killasgroup=true
`,
    );
    daemon = spawn('supervisord', ['-c', path.join(dir, 'supervisord.conf')], { stdio: 'ignore' });
    await until(() => fs.existsSync(path.join(dir, 's')), 'supervisord');
  });

  afterAll(async () => {
    const gone = new Promise((resolve) => daemon.on('exit', resolve));
    daemon.kill('SIGTERM');
    await gone;
    fs.rmSync(dir, { recursive: true, force: true });
  });

  function control(...args: string[]): Promise<string> {
    return new Promise((resolve) => {
      execFile('supervisorctl', ['-c', path.join(dir, 'supervisord.conf'), ...args], (_error, stdout, stderr) => resolve(stdout + stderr));
    });
  }
  const state = async (): Promise<string> => (await control('status')).split(/\s+/)[1] ?? '';
  const log = (): string => fs.readFileSync(path.join(dir, 'example.log'), 'utf8');

  async function until(check: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS;
    while (!(await check())) {
      if (performance.now() > deadline) throw new Error(`waited in vain for ${what}:\n${fs.existsSync(path.join(dir, 'example.log')) ? log() : ''}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  function says(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(`${line}\n`));
      socket.once('data', (chunk) => {
        socket.end();
        resolve(chunk.toString());
      });
      socket.once('error', reject);
    });
  }

  async function stopInTime(): Promise<void> {
    const began = performance.now();
    expect(await control('stop', 'flume-netcat-memory-logger')).toContain('stopped');
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await state()).toBe('STOPPED');
    expect(fs.readFileSync(path.join(dir, 'supervisord.log'), 'utf8')).not.toContain('SIGKILL');
  }

  it('starts, carries events, restarts and stops in time', async () => {
    expect(await control('start', 'flume-netcat-memory-logger')).toContain('started');
    expect(await state()).toBe('RUNNING');
    expect(await says('first')).toBe('OK\n');
    await until(() => log().includes('66 69 72 73 74'), 'the event in the log');

    expect(await control('restart', 'flume-netcat-memory-logger')).toMatch(/stopped[\s\S]*started/);
    expect(await state()).toBe('RUNNING');
    expect(await says('again')).toBe('OK\n');
    await until(() => log().includes('61 67 61 69 6E'), 'the event after the restart');
    await stopInTime();
  });

  it('does not pass for running when its port is taken', async () => {
    const other = net.createServer();
    await new Promise<void>((resolve) => other.listen(port, '0.0.0.0', resolve));
    const before = log().length;
    expect(await control('start', 'flume-netcat-memory-logger')).toContain('ERROR');
    expect(['FATAL', 'BACKOFF', 'EXITED']).toContain(await state());
    expect(log().slice(before)).toContain('the port is in use');
    await new Promise((resolve) => other.close(resolve));
    expect(await control('start', 'flume-netcat-memory-logger')).toContain('started');
    await stopInTime();
  });
});
