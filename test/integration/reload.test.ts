import fs from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { endsWithTest } from '../ends-with-test.ts';
import { AgentProcess, definition, freePort, LineClient, netcatFlow, until } from './agent-process.ts';

/** A flow that keeps what it gets in a directory, next to one that each test changes. */
function twoFlows(ports: readonly [number, number], dir: string, changing: string): string {
  return definition(`
    sources = r1 r2
    channels = c1 c2
    sinks = k1 k2
    sources.r1.type = netcat
    sources.r1.bind = 127.0.0.1
    sources.r1.port = ${ports[0]}
    sources.r1.channels = c1
    channels.c1.type = memory
    channels.c1.capacity = 10000
    channels.c1.transactionCapacity = 1000
    sinks.k1.type = file_roll
    sinks.k1.sink.directory = ${dir}
    sinks.k1.sink.rollInterval = 0
    sinks.k1.channel = c1
    sources.r2.type = netcat
    sources.r2.bind = 127.0.0.1
    sources.r2.port = ${ports[1]}
    sources.r2.channels = c2
    channels.c2.type = memory
    sinks.k2.type = logger
    sinks.k2.channel = c2
    ${changing}`);
}

async function started(
  changing = '',
): Promise<{ a1: AgentProcess; ports: [number, number]; dir: string; write: (changing: string) => void; kept: () => string[] }> {
  const ports: [number, number] = [await freePort(), await freePort()];
  const a1 = endsWithTest(new AgentProcess(''));
  const dir = path.join(a1.dir, 'kept');
  fs.mkdirSync(dir);
  const write = (text: string): void => a1.rewrite(twoFlows(ports, dir, text));
  write(changing);
  a1.start();
  await a1.says('agent a1 runs');
  const kept = (): string[] => fs.readdirSync(dir).flatMap((name) => fs.readFileSync(path.join(dir, name), 'utf8').split('\n').slice(0, -1));
  return { a1, ports, dir, write, kept };
}

describe('reload', () => {
  it('takes a change over within a second, without the other flow noticing', async () => {
    const { a1, ports, write } = await started();
    const other = await LineClient.connect(ports[0]);
    const from = a1.output.length;
    const began = performance.now();
    write('sinks.k2.maxBytesToLog = 3');
    await a1.says('the changed definition runs', from);
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(a1.output.slice(from)).toMatch(/built anew k2/);
    expect(a1.output.slice(from)).not.toMatch(/\(source r[12]\)|\(sink k1\)|\(channel/);
    expect(await other.ask('same connection')).toEqual(['OK']);
    const client = await LineClient.connect(ports[1]);
    await client.ask('abcdef');
    await a1.says(/body: 61 62 63 +abc/, from);
    expect(await a1.stop()).toBe(143);
  });

  it('follows a file that an editor replaces by renaming', async () => {
    const { a1, ports, dir } = await started();
    for (let round = 0; round < 3; round++) {
      const from = a1.output.length;
      fs.writeFileSync(`${a1.file}.new`, twoFlows(ports, dir, `sinks.k2.maxBytesToLog = ${20 + round}`));
      fs.renameSync(`${a1.file}.new`, a1.file);
      await a1.says('the changed definition runs', from);
    }
    await a1.stop();
  });

  it('brings the old parts back when a new one cannot start', async () => {
    const { a1, ports, write } = await started();
    const from = a1.output.length;
    // The port of the other source: bound, so the changed source cannot have it.
    write(`sources.r2.port = ${ports[0]}\n    sources.r2.bind = localhost`);
    await a1.says(/taken back|runs on with the previous/, from);
    expect(await (await LineClient.connect(ports[1])).ask('x')).toEqual(['OK']);
    await a1.stop();
  });

  it('reads the definition again on SIGHUP, and never with --no-reload-conf', async () => {
    const { a1 } = await started();
    let from = a1.output.length;
    a1.signal('SIGHUP');
    await a1.says('nothing in it has changed', from);
    await a1.stop();
    from = a1.output.length;
    a1.start('--no-reload-conf');
    await a1.says('agent a1 runs', from);
    await until(
      () => {
        a1.signal('SIGHUP');
        return a1.output.slice(from).includes('is not read again');
      },
      () => 'the answer to SIGHUP',
    );
    await a1.stop();
  });

  it('asks a web server again, and runs on while it is gone', async () => {
    const port = await freePort();
    const text = (more: string): string => netcatFlow(port, `sinks.k1.type = logger\n${more}`);
    let [body, version, unchanged, down] = [text(''), 'Sat, 01 Jan 2022 00:00:00 GMT', 0, false];
    const server = http.createServer((request, response) => {
      if (down) return void response.writeHead(500).end();
      const same = request.headers['if-modified-since'] === version;
      if (same) unchanged++;
      response.writeHead(same ? 304 : 200, { 'last-modified': version }).end(same ? '' : body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const a1 = endsWithTest(new AgentProcess(''));
    const uri = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/a1`;
    a1.startWith('agent', '-n', 'a1', '-u', uri, '-i', '1', '-Dflume.root.logger=INFO,console');
    await a1.says('agent a1 runs');
    await until(
      () => unchanged > 0,
      () => 'a conditional request',
    );
    down = true;
    await a1.says('answered 500; the agent runs on');
    down = false;
    [body, version] = [text('sinks.k1.maxBytesToLog = 2'), 'Sun, 02 Jan 2022 00:00:00 GMT'];
    await a1.says('built anew k1');
    await a1.stop();
  });
});
