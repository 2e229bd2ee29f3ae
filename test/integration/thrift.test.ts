/** A Thrift hop between real agents, validated and explained like any other flow. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { endsWithTest } from '../ends-with-test.ts';
import { AgentProcess, definition, freePort, LineClient, until } from './agent-process.ts';
import { flumeNg } from './flume-ng.ts';

describe('a Thrift hop', () => {
  test('two agents in one process: netcat to thrift sink, thrift source to a file', async () => {
    const [netcatPort, port] = [await freePort(), await freePort()];
    const a = endsWithTest(new AgentProcess(''));
    const out = path.join(a.dir, 'out');
    fs.mkdirSync(out);
    a.rewrite(
      definition(`
        sources = r1 r2
        channels = c1 c2
        sinks = k1 k2
        sources.r1.type = netcat
        sources.r1.bind = 127.0.0.1
        sources.r1.port = ${netcatPort}
        sources.r1.channels = c1
        channels.c1.type = memory
        sinks.k1.type = org.apache.flume.sink.ThriftSink
        sinks.k1.channel = c1
        sinks.k1.hostname = 127.0.0.1
        sinks.k1.port = ${port}
        sinks.k1.protocol = binary
        sources.r2.type = thrift
        sources.r2.bind = 127.0.0.1
        sources.r2.port = ${port}
        sources.r2.protocol = binary
        sources.r2.channels = c2
        channels.c2.type = memory
        sinks.k2.type = file_roll
        sinks.k2.channel = c2
        sinks.k2.sink.directory = ${out}
        sinks.k2.sink.rollInterval = 0`),
    );
    expect(await flumeNg(['validate', '-f', a.file])).toMatchObject({ code: 0 });
    expect((await flumeNg(['explain', '-f', a.file])).stdout).toContain('thrift');
    a.start();
    await a.says(new RegExp(`listening on 127.0.0.1:${port}`));
    await a.says(new RegExp(`listening on 127.0.0.1:${netcatPort}`));
    const client = await LineClient.connect(netcatPort);
    for (let i = 0; i < 10; i++) await client.ask(...Array.from({ length: 50 }, (_, k) => `line ${i * 50 + k}`));
    const lines = (): string[] =>
      fs
        .readdirSync(out)
        .flatMap((name) => fs.readFileSync(path.join(out, name), 'utf8').split('\n'))
        .filter((line) => line !== '');
    await until(
      () => lines().length >= 500,
      () => `500 lines, ${lines().length} are there; ${a.output}`,
    );
    expect(lines()).toEqual(Array.from({ length: 500 }, (_, i) => `line ${i}`));
    client.close();
    expect(await a.stop()).toBe(143);
  });

  test('kerberos leaves the component out, with a reason', async () => {
    const a = endsWithTest(
      new AgentProcess(
        definition(`
        sources = r1
        channels = c1
        sinks = k1
        sources.r1.type = thrift
        sources.r1.bind = 127.0.0.1
        sources.r1.port = 4141
        sources.r1.channels = c1
        sources.r1.kerberos = true
        channels.c1.type = memory
        sinks.k1.type = null
        sinks.k1.channel = c1`),
      ),
    );
    const { code, stdout } = await flumeNg(['validate', '-f', a.file]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/"kerberos" is not supported: GSSAPI needs Java’s login modules\s+use ssl = true on both ends instead/);
  });
});
