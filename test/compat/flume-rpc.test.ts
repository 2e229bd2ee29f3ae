/**
 * Real Flume at the other end of every hop, both ways: Avro plain, compressed, TLS, both; Thrift compact, binary, TLS; and
 * its RPC clients (default, failover, load balancing, Thrift) into our sources, ours into its sources. Skipped without a
 * real Flume: set MILLRACE_PEERS.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SinkSpec, SourceSpec } from '../../src/agent/core/define.ts';
import type { Event } from '../../src/agent/core/event.ts';
import avroSink from '../../src/agent/sinks/avro.ts';
import thriftSink from '../../src/agent/sinks/thrift.ts';
import avroSource from '../../src/agent/sources/avro.ts';
import thriftSource from '../../src/agent/sources/thrift.ts';
import { rpcClient } from '../../src/agent/wire/rpc-clients.ts';
import type { RpcServer } from '../../src/agent/wire/rpc-server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { freePort } from '../integration/agent-process.ts';
import { sinkRig } from '../unit/agent/sinks/sink-harness.ts';
import { type Rig, rig } from '../unit/agent/sources/source-harness.ts';
import { eventually, FlumeAgent, flumeAvroClient, hasFlume } from './real-flume.ts';

const PASSWORD = 'changeit';
const LINES = 700;

/** A hop: what both ends are told besides addresses. */
interface Hop {
  readonly name: string;
  readonly kind: 'avro' | 'thrift';
  readonly source: Readonly<Record<string, string>>;
  readonly sink: Readonly<Record<string, string>>;
}

describe.runIf(hasFlume)('hops with the real Flume (skipped without it: set MILLRACE_PEERS)', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-hops-'));
  const at = (name: string): string => path.join(dir, name);
  const keytool = (line: string): void => void execFileSync('keytool', line.split(' '), { cwd: dir, stdio: 'pipe' });
  const serverTls = { ssl: 'true', keystore: at('key.p12'), 'keystore-password': PASSWORD, 'keystore-type': 'PKCS12' };
  const clientTls = { ssl: 'true', truststore: at('trust.p12'), 'truststore-password': PASSWORD, 'truststore-type': 'PKCS12' };
  const jksServer = { ...serverTls, keystore: at('key.jks'), 'keystore-type': 'JKS' };
  const jksClient = { ...clientTls, truststore: at('trust.jks'), 'truststore-type': 'JKS' };
  const deflate = { 'compression-type': 'deflate' };
  const binary = { protocol: 'binary' };
  const HOPS: readonly Hop[] = [
    { name: 'plain', kind: 'avro', source: {}, sink: {} },
    { name: 'deflate', kind: 'avro', source: deflate, sink: deflate },
    { name: 'tls', kind: 'avro', source: serverTls, sink: clientTls },
    { name: 'tlsjks', kind: 'avro', source: { ...jksServer, 'exclude-protocols': 'TLSv1.3' }, sink: jksClient },
    { name: 'deflatetls', kind: 'avro', source: { ...deflate, ...serverTls }, sink: { ...deflate, ...clientTls } },
    { name: 'compact', kind: 'thrift', source: {}, sink: {} },
    { name: 'binary', kind: 'thrift', source: binary, sink: binary },
    { name: 'thrifttls', kind: 'thrift', source: serverTls, sink: clientTls },
  ];
  const ours = new Map<string, Rig<RpcServer>>();
  const theirPorts = new Map<string, number>();
  let feedPort = 0;
  let flume: FlumeAgent;
  // biome-ignore lint/suspicious/noExplicitAny: of either component
  const spec = (kind: 'avro' | 'thrift'): SourceSpec<any> => (kind === 'avro' ? avroSource : thriftSource);
  // biome-ignore lint/suspicious/noExplicitAny: of either component
  const sinkSpec = (kind: 'avro' | 'thrift'): SinkSpec<any> => (kind === 'avro' ? avroSink : thriftSink);
  const lines = (prefix: string): string[] => Array.from({ length: LINES }, (_, i) => `${prefix} ${i} 数据 ${'x'.repeat(i % 90)}`);
  const properties = (of: string, values: Readonly<Record<string, string>>): string[] =>
    Object.entries(values).map(([key, value]) => `${of}.${key} = ${value}`);
  /** Bodies in the file that Flume wrote, by their prefix. */
  const written = (prefix: string): string[] =>
    fs
      .readdirSync(at('out'))
      .flatMap((name) => fs.readFileSync(path.join(at('out'), name), 'utf8').split('\n'))
      .filter((line) => line.includes(`} ${prefix} `));

  beforeAll(async () => {
    keytool(`-genkeypair -alias agent -keyalg RSA -keysize 2048 -validity 30 -dname CN=elsewhere -storetype PKCS12 -keystore key.p12 -storepass ${PASSWORD}`);
    keytool(`-exportcert -alias agent -keystore key.p12 -storepass ${PASSWORD} -file agent.cer`);
    keytool(`-importkeystore -srckeystore key.p12 -srcstorepass ${PASSWORD} -destkeystore key.jks -deststoretype JKS -deststorepass ${PASSWORD}`);
    for (const [file, type] of ['trust.p12 PKCS12', 'trust.jks JKS'].map((one) => one.split(' '))) {
      keytool(`-importcert -noprompt -alias agent -file agent.cer -storetype ${type} -keystore ${file} -storepass ${PASSWORD}`);
    }
    fs.mkdirSync(at('out'));
    for (const { name, kind, source } of HOPS) {
      const made = rig<RpcServer>(spec(kind), { bind: '127.0.0.1', port: '0', ...source });
      made.output.maxBatch = 1_000;
      await made.source.start();
      ours.set(name, made);
      theirPorts.set(name, await freePort());
    }
    feedPort = await freePort();
    flume = new FlumeAgent(at('flume.conf'), definition());
    await flume.says(/source started|(Avro|Thrift) source \w+ started|type: SOURCE, name: \w+ started/, HOPS.length);
    await flume.says(/Created serverSocket/);
  });

  /** One agent: our sinks' other ends into a file; and a netcat source into all of its own sinks, which are ours to receive. */
  function definition(): string[] {
    const names = HOPS.map(({ name }) => name);
    const memory = (name: string): string[] => [
      `channels.${name}.type = memory`,
      `channels.${name}.capacity = 20000`,
      `channels.${name}.transactionCapacity = 10000`,
    ];
    return [
      `sources = feed ${names.map((name) => `r${name}`).join(' ')}`,
      `channels = in ${names.map((name) => `c${name}`).join(' ')}`,
      `sinks = file ${names.map((name) => `k${name}`).join(' ')}`,
      ...memory('in'),
      ...properties('sinks.file', {
        type: 'file_roll',
        channel: 'in',
        'sink.directory': at('out'),
        'sink.rollInterval': '0',
        'sink.serializer': 'HEADER_AND_TEXT',
      }),
      ...properties('sources.feed', {
        type: 'netcat',
        bind: '127.0.0.1',
        port: `${feedPort}`,
        channels: names.map((name) => `c${name}`).join(' '),
        interceptors: 'i1',
      }),
      ...properties('sources.feed.interceptors.i1', { type: 'static', key: 'origin', value: 'flume' }),
      ...HOPS.flatMap(({ name, kind, source, sink }) => [
        ...memory(`c${name}`),
        ...properties(`sources.r${name}`, { type: kind, bind: '127.0.0.1', port: `${theirPorts.get(name)}`, channels: 'in', ...source }),
        ...properties(`sinks.k${name}`, { type: kind, channel: `c${name}`, hostname: '127.0.0.1', port: `${ours.get(name)?.source.port}`, ...sink }),
      ]),
    ];
  }

  afterAll(async () => {
    await flume?.stop();
    for (const { source } of ours.values()) await source.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });

  test.each(HOPS.map((hop) => [hop.name, hop] as const))('our sink into its source: %s', async (name, { kind, sink }) => {
    const made = sinkRig(sinkSpec(kind), { hostname: '127.0.0.1', port: `${theirPorts.get(name)}`, ...sink });
    await made.sink.start();
    const sent: Event[] = lines(name).map((line, i) => ({ headers: i % 3 === 0 ? {} : { n: `${i}`, 名: '值' }, body: Buffer.from(line) }));
    for (let from = 0; from < sent.length; from += 250) await made.sink.deliver(sent.slice(from, from + 250));
    await made.sink.stop();
    await eventually(
      () => written(name).length >= LINES,
      () => `${LINES} lines of ${name} are in Flume's file, ${written(name).length} are`,
    );
    const got = written(name);
    expect(got.map((line) => line.replace(/^\{.*?\} /, ''))).toEqual(lines(name));
    expect(got[3]).toMatch(/^\{\} /);
    expect(got[4]).toMatch(/^\{(n=4, 名=值|名=值, n=4)\} /);
    expect([made.counters.ConnectionCreatedCount, made.counters.ConnectionFailedCount]).toEqual([1, 0]);
  });

  test('its sinks into our sources: all hops', async () => {
    const socket = net.connect(feedPort, '127.0.0.1');
    socket.write(`${lines('feed').join('\n')}\n`);
    for (const [name, { output, logged }] of ours) {
      await eventually(
        () => output.events.length >= LINES,
        () => `${LINES} events came by ${name}, ${output.events.length} did; ${logged.join('\n')}\n${flume.output.slice(-3_000)}`,
      );
      expect(output.bodies).toEqual(lines('feed'));
      expect(output.events.every((event) => event.headers.origin === 'flume')).toBe(true);
      expect(logged.filter((line) => /^(warn|error)/.test(line))).toEqual([]);
    }
    socket.destroy();
  });

  describe('RPC clients', () => {
    const input = lines('client');
    const dead = (): Promise<number> => freePort();
    async function propsOf(type: string, names: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Record<string, string>> {
      const hosts = await Promise.all(names.map(async (name) => (name === 'dead' ? dead() : (ours.get(name)?.source.port as number))));
      return {
        'client.type': type,
        hosts: hosts.map((_, i) => `h${i}`).join(' '),
        ...Object.fromEntries(hosts.map((port, i) => [`hosts.h${i}`, `127.0.0.1:${port}`])),
        'batch-size': '100',
        ...more,
      };
    }
    const fresh = (...names: string[]): void => {
      for (const name of names) {
        ours.get(name)?.output.events.splice(0);
        ours.get(name)?.output.batches.splice(0);
      }
    };
    const bodies = (name: string): string[] => (ours.get(name) as Rig<RpcServer>).output.bodies;
    async function theirs(type: string, names: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<string> {
      fs.writeFileSync(at('in.txt'), `${input.join('\n')}\n`);
      fs.writeFileSync(
        at('client.properties'),
        Object.entries(await propsOf(type, names, more))
          .map(([key, value]) => `${key} = ${value}\n`)
          .join(''),
      );
      fs.writeFileSync(at('headers.properties'), 'from = client\n');
      return flumeAvroClient(['--rpcProps', at('client.properties'), '-F', at('in.txt'), '-R', at('headers.properties')], dir);
    }

    test('its default client', async () => {
      fresh('plain');
      const said = await theirs('default', ['plain']);
      expect(bodies('plain'), said).toEqual(input);
      expect(ours.get('plain')?.output.events[0]?.headers).toEqual({ from: 'client' });
    });

    test('its failover client, the first host being dead', async () => {
      fresh('plain');
      const said = await theirs('default_failover', ['dead', 'plain']);
      expect(bodies('plain'), said).toEqual(input);
    });

    test('its load-balancing client, over two of ours', async () => {
      fresh('plain', 'second');
      const second = rig<RpcServer>(spec('avro'), { bind: '127.0.0.1', port: '0' });
      second.output.maxBatch = 1_000;
      await second.source.start();
      ours.set('second', second);
      const said = await theirs('default_loadbalance', ['plain', 'second'], { 'host-selector': 'round_robin' });
      expect([...bodies('plain'), ...bodies('second')].sort(), said).toEqual([...input].sort());
      expect(bodies('plain').length).toBeGreaterThan(200);
      expect(bodies('second').length).toBeGreaterThan(200);
      await second.source.stop();
      ours.delete('second');
    });

    test('its Thrift client', async () => {
      fresh('compact');
      const said = await theirs('thrift', ['compact']);
      expect(bodies('compact'), said).toEqual(input);
    });

    test('ours into its sources', async () => {
      const { log } = (ours.get('plain') as Rig<RpcServer>).ctx;
      const at127 = (name: string): string => `127.0.0.1:${theirPorts.get(name)}`;
      const clients: readonly (readonly [string, Record<string, string>])[] = [
        ['cdefault', { hosts: 'a', 'hosts.a': at127('plain') }],
        ['cfail', { 'client.type': 'default_failover', hosts: 'd a', 'hosts.d': `127.0.0.1:${await dead()}`, 'hosts.a': at127('plain') }],
        ['cload', { 'client.type': 'default_loadbalance', backoff: 'true', hosts: 'a d', 'hosts.d': `127.0.0.1:${await dead()}`, 'hosts.a': at127('plain') }],
        ['cthrift', { 'client.type': 'thrift', hosts: 'a', 'hosts.a': at127('compact') }],
      ];
      for (const [name, props] of clients) {
        const client = rpcClient(props, { clock: systemClock, log });
        await client.send(lines(name).map((line) => ({ headers: {}, body: Buffer.from(line) })));
        await client.close();
        await eventually(
          () => written(name).length >= LINES,
          () => `the lines of ${name} are in Flume's file`,
        );
        expect(written(name).length).toBe(LINES);
      }
    });
  });
});
