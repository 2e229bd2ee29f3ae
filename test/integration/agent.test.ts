import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { endsWithTest } from '../ends-with-test.ts';
import { AgentProcess, freePort, LineClient, netcatFlow } from './agent-process.ts';

function agent(text: string): AgentProcess {
  return endsWithTest(new AgentProcess(text));
}

function netcatToLogger(port: number, more = ''): string {
  return netcatFlow(port, `channels.c1.capacity = 1000\nsinks.k1.type = logger\n${more}`);
}

describe('flume-ng agent', () => {
  it('shows a line sent with netcat, answers OK, and ends with 143', async () => {
    const port = await freePort();
    const a1 = agent(netcatToLogger(port)).start();
    await a1.says('agent a1 runs');
    const client = await LineClient.connect(port);
    expect(await client.ask('hello')).toEqual(['OK']);
    await a1.says(/Event: \{ headers:\{\} body: 68 65 6C 6C 6F +hello \}/);
    client.close();
    expect(await a1.stop()).toBe(143);
  });

  it('ends with 130 on SIGINT', async () => {
    const a1 = agent(netcatToLogger(await freePort())).start();
    await a1.says('agent a1 runs');
    a1.signal('SIGINT');
    expect(await a1.exited()).toBe(130);
  });

  it('logs to a file when nothing else is said, and names it on stderr', async () => {
    const a1 = agent(netcatToLogger(await freePort()));
    a1.startWith('agent', '-f', a1.file, '-n', 'a1');
    const log = path.join(a1.dir, 'logs', 'flume.log');
    await a1.says(log);
    await expect.poll(() => fs.existsSync(log) && fs.readFileSync(log, 'utf8'), { timeout: 20_000 }).toContain('agent a1 runs');
    await a1.stop();
  });

  it('ends with 1 before ten seconds are over when the only port is taken', async () => {
    const blocker = net.createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as net.AddressInfo;
    const a1 = agent(netcatToLogger(port));
    const began = performance.now();
    a1.start();
    expect(await a1.exited()).toBe(1);
    expect(performance.now() - began).toBeGreaterThan(5_000);
    expect(a1.output).toMatch(new RegExp(`source r1: .*${port}.*use`));
    expect(a1.output.match(/trying again/g)?.length).toBe(1);
    blocker.close();
  });

  it('starts with --startup-policy retry once the port is free', async () => {
    const blocker = net.createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as net.AddressInfo;
    const a1 = agent(netcatToLogger(port)).start('--startup-policy', 'retry');
    await a1.says('trying again');
    await new Promise((resolve) => blocker.close(resolve));
    await a1.says('works again');
    expect(await (await LineClient.connect(port)).ask('x')).toEqual(['OK']);
    expect(await a1.stop()).toBe(143);
  });

  it('runs the flow that can run', async () => {
    const blocker = net.createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const taken = (blocker.address() as net.AddressInfo).port;
    const port = await freePort();
    const second = `channels = c1 c2
      sources = r1 r2
      sources.r2.type = netcat
      sources.r2.bind = 127.0.0.1
      sources.r2.port = ${taken}
      sources.r2.channels = c2
      channels.c2.type = memory
      sinks = k1 k2
      sinks.k2.type = null
      sinks.k2.channel = c2`;
    const a1 = agent(netcatToLogger(port, second)).start();
    await a1.says('runs in part');
    expect(await (await LineClient.connect(port)).ask('x')).toEqual(['OK']);
    expect(await a1.stop()).toBe(143);
    blocker.close();
  });
});

describe('flume-ng agent, its command line and definition', () => {
  const cases: readonly [string, readonly string[], number, RegExp][] = [
    ['no name', ['agent', '-f', 'agent.conf'], 2, /Missing required option: n/],
    ['no file', ['agent', '-n', 'a1'], 2, /No configuration was provided/],
    ['a file that is not there', ['agent', '-n', 'a1', '-f', 'nowhere.conf'], 1, /Unable to read file .*nowhere\.conf/],
    ['an agent that is not in the file', ['agent', '-n', 'a2', '-f', 'agent.conf'], 1, /no agent is named "a2".*a1/],
    ['a missing blank', ['agent', '--conf-file', 'agent.conf--name', 'a1'], 2, /a blank is missing in "agent\.conf--name" before --name/],
    ['a long dash', ['agent', '--conf-file', 'agent.conf', '–name', 'a1'], 2, /long dash.*\n.*write --name/],
    ['an unknown option', ['agent', '--conf-file', 'agent.conf', '--nmae', 'a1'], 2, /Unrecognized option: --nmae\n.*did you mean --name/],
    ['ZooKeeper', ['agent', '-n', 'a1', '-z', 'zk:2181'], 2, /ZooKeeper/],
    ['an unknown command', ['agnet'], 1, /Unknown or unspecified command 'agnet'[\s\S]*Usage: flume-ng/],
    ['no argument for --conf', ['agent', '--conf'], 1, /Option --conf requires an argument/],
    ['help', ['help'], 0, /Usage: flume-ng <command>/],
    ['help of the agent', ['agent', '-n', 'a1', '-h'], 0, /--no-reload-conf/],
    ['the version', ['version'], 0, /^Flume .*\n.*\nRevision: .*\nCompiled by .* on .*\nFrom source with checksum [0-9a-f]+\n$/],
    ['a dry run', ['agent', '-n', 'a1', '-f', 'agent.conf', '--dryrun'], 0, /agent -n a1 -f agent\.conf/],
    ['the integrity tool', ['tool', 'fcintegritytool', '-l', 'x'], 1, /flume-ng channel verify/],
    ['--strict and something to say', ['agent', '-n', 'a1', '-f', 'odd.conf', '--strict'], 1, /capacty/],
  ];
  for (const [name, args, code, pattern] of cases) {
    it(name, async () => {
      const a1 = agent(netcatToLogger(44_444));
      fs.writeFileSync(path.join(a1.dir, 'odd.conf'), netcatToLogger(44_444, 'channels.c1.capacty = 5'));
      a1.startWith(...args);
      expect(await a1.exited(), a1.output).toBe(code);
      expect(a1.output).toMatch(pattern);
    });
  }

  it('takes the settings of a Java machine and runs flume-env.sh', async () => {
    const port = await freePort();
    const a1 = agent(netcatToLogger(port).replace(`port = ${port}`, ['port = $', '{env:NC_PORT}'].join('')));
    fs.writeFileSync(path.join(a1.dir, 'flume-env.sh'), `export NC_PORT=${port}\nJAVA_OPTS="-Xms100m -Dflume.root.logger=INFO,console"\n`);
    a1.startWith('agent', '-n', 'a1', '-Xmx512m', '-c', '.', '-javaagent:x.jar=y', '-f', 'agent.conf');
    await a1.says('agent a1 runs');
    expect(await (await LineClient.connect(port)).ask('x')).toEqual(['OK']);
    await a1.stop();
  });

  it('reads a definition over HTTP, keeps a backup, and starts from it without the server', async () => {
    const { createServer } = await import('node:http');
    const text = netcatToLogger(await freePort());
    const server = createServer((request, response) => {
      const ok = request.headers.authorization === `Basic ${Buffer.from('u:p').toString('base64')}`;
      response.writeHead(ok ? 200 : 401).end(ok ? text : '');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const uri = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/a.properties`;
    const a1 = agent('');
    const words = ['agent', '-n', 'a1', '--conf-uri', uri, '-b', 'backup', '-Dflume.root.logger=INFO,console'];
    a1.startWith(...words);
    await a1.says('Authorization failed');
    expect(await a1.exited()).toBe(1);
    a1.startWith(...words, '-user', 'u', '-pwd', 'p');
    await a1.says('agent a1 runs');
    const backup = path.join(a1.dir, 'backup', '.a1.properties');
    await expect.poll(() => fs.existsSync(backup), { timeout: 20_000 }).toBe(true);
    expect(fs.statSync(backup).mode & 0o077).toBe(0);
    await a1.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const from = a1.output.length;
    a1.startWith(...words, '-user', 'u', '-pwd', 'p');
    await a1.says('agent a1 runs', from);
    expect(a1.output.slice(from)).toMatch(/the backup .* is used/);
    await a1.stop();
  });
});
