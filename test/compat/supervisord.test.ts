/** The agent under a real supervisord (Debian's package) with the settings of the tutorials. Skipped where there is none. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { AgentProcess, definition, freePort, HOUSE, LineClient, until } from '../integration/agent-process.ts';

const there = spawnSync('supervisord', ['--version']).status === 0;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** A supervisord of its own with one program, `agent`. */
async function supervised(port: number): Promise<{ control: (...words: string[]) => string; dir: string }> {
  const a1 = new AgentProcess(
    definition(`sources = r1
      channels = c1
      sinks = k1
      sources.r1.type = netcat
      sources.r1.bind = 127.0.0.1
      sources.r1.port = ${port}
      sources.r1.channels = c1
      channels.c1.type = memory
      sinks.k1.type = logger
      sinks.k1.channel = c1`),
  );
  const { dir } = a1;
  const file = path.join(dir, 'supervisord.conf');
  fs.writeFileSync(
    file,
    `[unix_http_server]
file=${dir}/s.sock
[supervisord]
logfile=${dir}/supervisord.log
pidfile=${dir}/supervisord.pid
nodaemon=true
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${dir}/s.sock
[program:agent]
command=${path.join(HOUSE, 'bin', 'flume-ng')} agent --conf-file ${a1.file} --name a1 -Dflume.root.logger=INFO,console
directory=${dir}
autostart=false
startsecs=10
startretries=0
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=${dir}/agent.log
`,
  );
  const daemon = spawn('supervisord', ['-c', file], { stdio: 'ignore' });
  ends.push(async () => {
    const gone = new Promise((resolve) => daemon.on('close', resolve));
    daemon.kill('SIGTERM');
    await gone;
    await a1.end();
  });
  const control = (...words: string[]): string => spawnSync('supervisorctl', ['-c', file, ...words], { encoding: 'utf8' }).stdout;
  await until(
    () => control('status').includes('agent'),
    () => 'supervisord',
  );
  return { control, dir };
}

describe.skipIf(!there)('under supervisord', () => {
  it('starts, restarts and stops in time', async () => {
    const port = await freePort();
    const { control } = await supervised(port);
    expect(control('start', 'agent')).toContain('started');
    expect(control('status', 'agent')).toContain('RUNNING');
    expect(await (await LineClient.connect(port)).ask('x')).toEqual(['OK']);
    expect(control('restart', 'agent')).toContain('started');
    const began = performance.now();
    expect(control('stop', 'agent')).toContain('stopped');
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('is not RUNNING when its port is taken, and the log says why', async () => {
    const blocker = net.createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    ends.push(async () => {
      blocker.close();
    });
    const { port } = blocker.address() as net.AddressInfo;
    const { control, dir } = await supervised(port);
    expect(control('start', 'agent')).toContain('ERROR');
    expect(control('status', 'agent')).not.toContain('RUNNING');
    expect(fs.readFileSync(path.join(dir, 'agent.log'), 'utf8')).toMatch(new RegExp(`${port}.*in use`));
  });
});
