/**
 * RPC clients of older Flumes, from the jars of their time (Avro 1.7 on Netty 3, Thrift 0.7 to 0.9), into the avro and thrift
 * sources of a running agent: `java/OldRpc.java` compiled against each. In `npm run proof` Maven fetches them
 * (fetched.ts); elsewhere, and without Java or Maven, they are skipped by name.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentProcess, definition, freePort, until } from '../integration/agent-process.ts';
import { PROOF } from '../integration/broker-harness.ts';
import { compileJava, mavenJars, run } from './fetched.ts';

const PASSWORD = 'changeit';
const COUNT = 1_200;
const VERSIONS = ['1.4.0', '1.6.0', '1.7.0', '1.9.0'].map((version) => ({
  version,
  jars: PROOF ? mavenJars(`flume-ng-sdk-${version}`, [`org.apache.flume:flume-ng-sdk:${version}`]) : null,
}));

/** A client, the source it sends to, and what both are told besides addresses. */
interface Way {
  readonly source: string;
  readonly client: Readonly<Record<string, string>>;
  /** Flume 1.4 does not have it. */
  readonly since16?: boolean;
}

describe.runIf(VERSIONS.some(({ jars }) => jars))('RPC clients of Flume 1.4 to 1.9 (Java; needs a JDK and Maven, in npm run proof)', () => {
  // Made when it is sure that they run: this is read also where they are skipped.
  const dir = path.join(os.tmpdir(), `millrace-old-flume-${process.pid}`);
  const at = (name: string): string => path.join(dir, name);
  const deflate = { 'compression-type': 'deflate' };
  const serverTls = { ssl: 'true', keystore: at('key.p12'), 'keystore-password': PASSWORD, 'keystore-type': 'PKCS12' };
  const clientTls = { ssl: 'true', truststore: at('trust.jks'), 'truststore-password': PASSWORD };
  const SOURCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    plain: { type: 'avro' },
    deflate: { type: 'avro', ...deflate },
    tls: { type: 'avro', ...serverTls },
    deflatetls: { type: 'avro', ...deflate, ...serverTls },
    compact: { type: 'thrift' },
    binary: { type: 'thrift', protocol: 'binary' },
    thrifttls: { type: 'thrift', ...serverTls },
  };
  const thrift = { 'client.type': 'thrift' };
  const WAYS: Readonly<Record<string, Way>> = {
    default: { source: 'plain', client: {} },
    failover: { source: 'plain', client: { 'client.type': 'default_failover' } },
    deflate: { source: 'deflate', client: deflate },
    tls: { source: 'tls', client: clientTls },
    deflatetls: { source: 'deflatetls', client: { ...deflate, ...clientTls } },
    thrift: { source: 'compact', client: thrift },
    binary: { source: 'binary', client: { ...thrift, protocol: 'binary' }, since16: true },
    thrifttls: { source: 'thrifttls', client: { ...thrift, ...clientTls }, since16: true },
  };
  const ports = new Map<string, number>();
  let agent: AgentProcess;

  const properties = (of: string, values: Readonly<Record<string, string>>): string[] => Object.entries(values).map(([key, value]) => `${of}${key} = ${value}`);

  beforeAll(async () => {
    fs.mkdirSync(dir);
    const keytool = (line: string): void => void execFileSync('keytool', line.split(' '), { cwd: dir, stdio: 'pipe' });
    keytool(`-genkeypair -alias agent -keyalg RSA -keysize 2048 -validity 30 -dname CN=elsewhere -storetype PKCS12 -keystore key.p12 -storepass ${PASSWORD}`);
    keytool(`-exportcert -alias agent -keystore key.p12 -storepass ${PASSWORD} -file agent.cer`);
    keytool(`-importcert -noprompt -alias agent -file agent.cer -storetype JKS -keystore trust.jks -storepass ${PASSWORD}`);
    fs.mkdirSync(at('out'));
    const names = Object.keys(SOURCES);
    for (const name of [...names, 'dead']) ports.set(name, await freePort());
    const lines = [
      `sources = ${names.join(' ')}`,
      'channels = c1',
      'sinks = k1',
      ...names.flatMap((name) => properties(`sources.${name}.`, { ...SOURCES[name], bind: '127.0.0.1', port: `${ports.get(name)}`, channels: 'c1' })),
      ...properties('channels.c1.', { type: 'memory', capacity: '20000', transactionCapacity: '1000' }),
      ...properties('sinks.k1.', {
        type: 'file_roll',
        channel: 'c1',
        'sink.directory': at('out'),
        'sink.rollInterval': '0',
        'sink.serializer': 'HEADER_AND_TEXT',
      }),
    ];
    agent = new AgentProcess(definition(lines.join('\n'))).start();
    for (const name of names) await agent.says(new RegExp(`\\b${name}\\b.*started`));
  });

  afterAll(async () => {
    await agent?.end();
    fs.rmSync(dir, { recursive: true, force: true });
  });

  /** Lines in the agent's file of events called `tag`. */
  const written = (tag: string): string[] =>
    fs
      .readdirSync(at('out'))
      .flatMap((name) => fs.readFileSync(path.join(at('out'), name), 'utf8').split('\n'))
      .filter((line) => line.includes(`} ${tag} `));

  /** The file of properties of a client. */
  function clientFile(tag: string, { source, client }: Way): string {
    const hosts = client['client.type'] === 'default_failover' ? ['dead', source] : [source];
    const all = { tag, hosts: hosts.join(' '), 'batch-size': '100', ...client };
    const lines = [...properties('', all), ...hosts.map((name) => `hosts.${name} = 127.0.0.1:${ports.get(name)}`)];
    fs.writeFileSync(at(`${tag}.properties`), `${lines.join('\n')}\n`);
    return at(`${tag}.properties`);
  }

  /** What OldRpc.java sends, as the agent writes it; the two headers in either order. */
  const expected = (tag: string): string[] =>
    Array.from({ length: COUNT }, (_, i) => `{${i % 3 === 0 ? '' : `n=${i}, 名=值${i}`}} ${tag} ${i} 数据 ${'x'.repeat((i * 37) % 3000)}`);
  const sorted = (line: string): string => line.replace(/^\{(名=[^,}]*), (n=[^,}]*)\}/, '{$2, $1}');

  for (const { version, jars } of VERSIONS) {
    test.runIf(jars)(`flume-ng-sdk ${version}: every event once, in order, with its headers`, async () => {
      const ways = Object.entries(WAYS).filter(([, way]) => version !== '1.4.0' || way.since16 !== true);
      const tags = ways.map(([name]) => `${version}-${name}`);
      const files = ways.map(([, way], i) => clientFile(tags[i] as string, way));
      // The channel is first in, first out: behind this one nothing of the others is still to come, a double neither.
      files.push(clientFile(`${version}-end`, WAYS.default as Way));
      const classes = await compileJava(['OldRpc'], jars as string, at(version));
      const { code, output } = await run('java', ['-Xmx256m', '-cp', classes, 'OldRpc', `${COUNT}`, ...files]);
      expect(code, `${output}\n${agent.output.slice(-3_000)}`).toBe(0);
      expect([...output.matchAll(/^ok (.*)$/gm)].map((match) => match[1])).toEqual([...tags, `${version}-end`]);
      await until(
        () => written(`${version}-end`).length >= COUNT,
        () => `the last events of ${version}:\n${agent.output.slice(-3_000)}`,
      );
      for (const tag of tags) expect(written(tag).map(sorted), tag).toEqual(expected(tag));
      expect(agent.output).not.toMatch(/ (WARN|ERROR) /);
    });
  }
});
