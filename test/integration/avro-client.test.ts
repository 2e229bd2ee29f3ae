/** `flume-ng avro-client` as a user runs it, into a real source. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import avroSource from '../../src/agent/sources/avro.ts';
import type { RpcServer } from '../../src/agent/wire/rpc-server.ts';
import { type Rig, rig } from '../unit/agent/sources/source-harness.ts';
import { freePort, HOUSE } from './agent-process.ts';
import { flumeNg } from './flume-ng.ts';

describe('flume-ng avro-client', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-client-'));
  const at = (name: string): string => path.join(dir, name);
  let server: Rig<RpcServer>;
  let address: string[];
  beforeAll(async () => {
    server = rig<RpcServer>(avroSource, { bind: '127.0.0.1', port: '0' });
    await server.source.start();
    address = ['-H', '127.0.0.1', '-p', `${server.source.port}`];
  });
  afterAll(async () => {
    await server.source.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });
  const received = (): { bodies: string[]; batches: number[]; headers: Readonly<Record<string, string>>[] } => {
    const { output } = server;
    const out = { bodies: output.bodies, batches: [...output.batches], headers: output.events.map((event) => ({ ...event.headers })) };
    output.events.splice(0);
    output.batches.splice(0);
    return out;
  };

  test('the lines of a file, whatever ends them, five in a call', async () => {
    fs.writeFileSync(at('in.txt'), 'one\r\ntwo\n\nvier 四\rfive\nsix');
    expect(await flumeNg(['avro-client', ...address, '-F', at('in.txt')])).toMatchObject({ code: 0, stderr: '' });
    const { bodies, batches, headers } = received();
    expect(bodies).toEqual(['one', 'two', '', 'vier 四', 'five', 'six']);
    expect(batches).toEqual([5, 1]);
    expect(headers[0]).toEqual({});
  });

  test('standard input, with headers from a file', async () => {
    fs.writeFileSync(at('headers.properties'), 'host = web1\ndc=x\\u0031\n');
    const child = spawn(path.join(HOUSE, 'bin', 'flume-ng'), ['avro-client', ...address, '-R', at('headers.properties')], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin.end('a\nb\n');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    const { bodies, headers } = received();
    expect(bodies).toEqual(['a', 'b']);
    expect(headers).toEqual([
      { host: 'web1', dc: 'x1' },
      { host: 'web1', dc: 'x1' },
    ]);
  });

  test('the files of a directory, renamed when done', async () => {
    fs.mkdirSync(at('spool'));
    fs.writeFileSync(at('spool/a.log'), 'a1\na2\n');
    fs.writeFileSync(at('spool/b.log'), 'b1\n');
    expect(await flumeNg(['avro-client', ...address, '--dirname', at('spool')])).toMatchObject({ code: 0 });
    expect(received().bodies.sort()).toEqual(['a1', 'a2', 'b1']);
    expect(
      fs
        .readdirSync(at('spool'))
        .filter((name) => !name.startsWith('.'))
        .sort(),
    ).toEqual(['a.log.COMPLETED', 'b.log.COMPLETED']);
    expect(await flumeNg(['avro-client', ...address, '--dirname', at('spool')])).toMatchObject({ code: 0 });
    expect(received().bodies).toEqual([]);
  });

  test('rpcProps: several hosts, its own batch size', async () => {
    fs.writeFileSync(at('many.txt'), Array.from({ length: 250 }, (_, i) => `${i}\n`).join(''));
    fs.writeFileSync(
      at('rpc.properties'),
      `client.type = default_failover\nhosts = dead alive\nhosts.dead = 127.0.0.1:${await freePort()}\nhosts.alive = 127.0.0.1:${server.source.port}\nbatch-size = 100\n`,
    );
    const answer = await flumeNg(['avro-client', '--rpcProps', at('rpc.properties'), '-F', at('many.txt')]);
    expect(answer).toMatchObject({ code: 0 });
    const { bodies, batches } = received();
    expect(bodies.length).toBe(250);
    expect(batches).toEqual([100, 100, 50]);
  });

  test('failures are told, and the exit code says so', async () => {
    const nobody = await freePort();
    const gone = await flumeNg(['avro-client', '-H', '127.0.0.1', '-p', `${nobody}`, '-F', at('in.txt')]);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toMatch(/^Error: Unable to open connection to Flume: cannot connect to 127.0.0.1:\d+: nobody listens there/);
    server.output.room = 5;
    const full = await flumeNg(['avro-client', ...address, '-F', at('many.txt')]);
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(/Unable to deliver events to Flume: .* answered FAILED[\s\S]*5 events were delivered before/);
    fs.writeFileSync(at('spool/c.log'), 'c1\n');
    const stuck = await flumeNg(['avro-client', ...address, '--dirname', at('spool')]);
    expect(stuck.code).toBe(1);
    expect(fs.existsSync(at('spool/c.log'))).toBe(true);
    server.output.room = Number.POSITIVE_INFINITY;
    received();
  });

  test('the command line', async () => {
    const said = async (...words: string[]): Promise<string> => {
      const { code, stderr } = await flumeNg(['avro-client', ...words]);
      return `${code} ${stderr}`;
    };
    expect(await said()).toMatch(/^2 Error: Either --rpcProps or both --host and --port must be specified\./);
    expect(await said('-H', 'h')).toMatch(/^2 Error: You must specify a port to connect to with --port/);
    expect(await said(...address, '-F', 'a', '--dirname', 'b')).toMatch(/^2 Error: --filename and --dirname options cannot be used simultaneously/);
    expect(await said('--rpcProps', at('none'))).toMatch(/does not exist/);
    expect((await flumeNg(['avro-client', '--help'])).stdout).toMatch(/--headerFile <file>/);
  });
});
