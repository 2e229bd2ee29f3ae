/**
 * The five tutorials, from an empty machine to the consumed line: the files of conf/ as they stand but for ports and
 * directories, on our broker, with the programs of bin/. (`compat/` runs three of them on a real Kafka cluster.)
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentProcess, freePort, HOUSE, LineClient } from './agent-process.ts';
import { BrokerProcess, eventually, tempDir } from './broker-harness.ts';

interface Answer {
  readonly code: number;
  readonly text: string;
}

/** Runs a program of bin/ to its end. */
function tool(name: string, ...words: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(path.join(HOUSE, 'bin', name), words, { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, text: stdout + stderr });
    });
  });
}

/** The lines of a topic, as many as asked for. */
async function consumed(topic: string, count: number): Promise<string[]> {
  const { text } = await tool(
    ...([
      'kafka-console-consumer.sh',
      '--bootstrap-server',
      address,
      '--from-beginning',
      '--topic',
      topic,
      '--max-messages',
      `${count}`,
      '--timeout-ms',
      '30000',
    ] as const),
  );
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('Processed a total of'));
}

let broker: BrokerProcess;
let address: string;
let place: string;
const agents: AgentProcess[] = [];

beforeEach(async () => {
  place = tempDir('tutorial');
  broker = new BrokerProcess(await freePort());
  address = `127.0.0.1:${broker.port}`;
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.end();
  await broker.end();
  fs.rmSync(place, { recursive: true, force: true });
});

/** A file of conf/ with its places and ports made this test's own. */
function definition(file: string, changes: Readonly<Record<string, string>>): string {
  let text = fs.readFileSync(path.join(HOUSE, 'conf', file), 'utf8');
  for (const [from, to] of Object.entries(changes)) {
    expect(text).toContain(from);
    text = text.replaceAll(from, to);
  }
  return text;
}

function agentOf(text: string, name: string, ...more: string[]): AgentProcess {
  const agent = new AgentProcess(text);
  agents.push(agent);
  agent.startWith('agent', '-c', path.join(HOUSE, 'conf'), '-f', agent.file, '-n', name, '-Dflume.root.logger=INFO,console', ...more);
  return agent;
}

async function lineClient(port: number): Promise<LineClient> {
  return eventually(() => LineClient.connect(port), 'the netcat port');
}

describe('the tutorials', () => {
  it('1: netcat → memory → KafkaSink with the keys of 1.6, and the console consumer', async () => {
    expect((await tool('zkServer.sh', 'start')).code).toBe(0);
    await broker.start();
    expect(
      (await tool('kafka-topics.sh', '--create', '--bootstrap-server', address, '--replication-factor', '1', '--partitions', '1', '--topic', 'topic1')).text,
    ).toContain('Created topic topic1');
    const port = await freePort();
    const agent = agentOf(definition('kafka.conf', { '44444': `${port}`, '127.0.0.1:9092': address }), 'a1');
    const client = await lineClient(port);
    expect(await client.ask('hello', '你好')).toEqual(['OK', 'OK']);
    expect(await consumed('topic1', 2)).toEqual(['hello', '你好']);
    client.close();
    expect(agent.output).toMatch(/brokerList.*is retired/);
    expect(await agent.stop()).toBe(143);
  });

  it('2: netcat → memory → logger', async () => {
    const port = await freePort();
    const agent = agentOf(definition('example.conf', { '0.0.0.0': '127.0.0.1', '44444': `${port}` }), 'a1');
    const client = await lineClient(port);
    expect(await client.ask('Hello world!')).toEqual(['OK']);
    client.close();
    await agent.says(/body: 48 65 6C 6C 6F 20 77 6F 72 6C 64 21/);
    expect(await agent.stop()).toBe(143);
  });

  it('3: topics created, changed, deleted; spooldir GBK → memory → KafkaSink with three brokers named, of which one answers', async () => {
    await broker.start();
    const topics = (...words: string[]): Promise<Answer> => tool('kafka-topics.sh', '--bootstrap-server', address, ...words);
    expect((await topics('--create', '--partitions', '3', '--topic', 'test')).text).toContain('Created topic test');
    expect((await topics('--list')).text.split('\n')).toContain('test');
    expect((await topics('--describe', '--topic', 'test')).text).toMatch(/PartitionCount: 3/);
    expect((await topics('--alter', '--topic', 'test', '--partitions', '5')).code).toBe(0);
    expect((await topics('--describe', '--topic', 'test')).text).toMatch(/PartitionCount: 5/);
    const configs = (...words: string[]): Promise<Answer> =>
      tool('kafka-configs.sh', '--bootstrap-server', address, '--entity-type', 'topics', '--entity-name', 'test', '--alter', ...words);
    expect((await configs('--add-config', 'flush.messages=1')).code).toBe(0);
    expect((await topics('--describe', '--topic', 'test')).text).toContain('flush.messages=1');
    expect((await configs('--delete-config', 'flush.messages')).code).toBe(0);
    expect((await topics('--create', '--topic', 'gone')).code).toBe(0);
    expect((await topics('--delete', '--topic', 'gone')).code).toBe(0);
    expect((await topics('--list')).text.split('\n')).not.toContain('gone');

    const spool = path.join(place, 'flumedata');
    fs.mkdirSync(spool);
    const three = `127.0.0.1:${await freePort()},${address},127.0.0.1:${await freePort()}`;
    const agent = agentOf(definition('spooldir_kafka.conf', { '/tmp/flumedata': spool, 'localhost:9092,localhost:9093,localhost:9094': three }), 'a1');
    // 中文日志 and 第二行 in GBK.
    fs.writeFileSync(path.join(place, 'a.txt'), Buffer.from('d6d0cec4c8d5d6be0ab5dab6fed0d00a', 'hex'));
    fs.writeFileSync(path.join(spool, 'half.tmp'), 'not yet\n');
    fs.renameSync(path.join(place, 'a.txt'), path.join(spool, 'a.txt'));
    expect((await consumed('test', 2)).sort()).toEqual(['中文日志', '第二行'].sort());
    await eventually(() => fs.existsSync(path.join(spool, 'a.txt.COMPLETED')), 'the completed file');
    expect(fs.existsSync(path.join(spool, 'half.tmp'))).toBe(true);
    expect(agent.output).toMatch(/flumeBatchSize/);
  });

  it('4: exec tail -F through a rotation → memory → the plugin sink', async () => {
    await broker.start();
    const log = path.join(place, 'test.log');
    fs.writeFileSync(log, '');
    const three = `${address},127.0.0.1:${await freePort()},127.0.0.1:${await freePort()}`;
    const agent = agentOf(definition('flume.conf', { '/tmp/flume-logs/test.log': log, 'localhost:9092,localhost:9093,localhost:9094': three }), 'producer');
    await agent.says(/agent producer runs/);
    fs.appendFileSync(log, 'one\ntwo 二\n');
    expect(await consumed('test-topic', 2)).toEqual(['one', 'two 二']);
    fs.renameSync(log, `${log}.1`);
    fs.writeFileSync(log, 'three\n');
    expect(await consumed('test-topic', 3)).toEqual(['one', 'two 二', 'three']);
  });

  describe('5: Kafka test3 → flume A → Avro → flume B → Kafka test2', () => {
    async function agents5(changeA: (text: string) => string, changeB: (text: string) => string) {
      await broker.start();
      for (const topic of ['test3', 'test2']) expect((await tool('kafka-topics.sh', '--create', '--bootstrap-server', address, '--topic', topic)).code).toBe(0);
      const port = await freePort();
      const textB = changeB(definition('avro-memory-kafka.conf', { '44444': `${port}`, '127.0.0.1:9092': address, '/tmp/flume-b': path.join(place, 'b') }));
      const textA = changeA(definition('kafka-memory-avro.conf', { '44444': `${port}`, '127.0.0.1:9092': address, '/tmp/flume-a': path.join(place, 'a') }));
      const b = agentOf(textB, 'avro-memory-kafka');
      // checkpontDir is misspelt: the default directory is below the home.
      const a = agentOf(`${textA}kafka-memory-avro.sources.s1.kafka.consumer.auto.offset.reset = earliest\n`, 'kafka-memory-avro', `-Duser.home=${place}`);
      return { a, b, textB };
    }
    const lines = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => `line ${from + i}`);

    async function produce(topic: string, values: readonly string[]): Promise<void> {
      const file = path.join(place, `in-${values[0]}`);
      fs.writeFileSync(file, `${values.join('\n')}\n`);
      const { code } = await tool('kafka-console-producer.sh', '--bootstrap-server', address, '--topic', topic, '--file', file).then(async (answer) =>
        answer.code === 0 ? answer : piped('kafka-console-producer.sh', fs.readFileSync(file, 'utf8'), '--bootstrap-server', address, '--topic', topic),
      );
      expect(code).toBe(0);
    }

    it('with the static interceptor; flume B is killed twice and nothing is lost', async () => {
      const { a, b, textB } = await agents5(
        (text) => text,
        (text) => text,
      );
      await a.says(/checkpontDir/);
      await produce('test3', lines(0, 50));
      expect(new Set(await consumed('test2', 50)).size).toBe(50);
      let present = b;
      for (const round of [1, 2]) {
        present.signal('SIGKILL');
        await present.exited();
        await produce('test3', lines(round * 100, 50));
        present = agentOf(textB, 'avro-memory-kafka');
      }
      await eventually(async () => new Set(await consumed('test2', 150)).size === 150, 'all lines', 60_000);
      expect(a.output).not.toContain('topic loop');
    });

    it('with allowTopicOverride = false instead', async () => {
      await agents5(
        (text) => text.replace(/^.*interceptors.*$/gm, ''),
        (text) => `${text}avro-memory-kafka.sinks.kafka-sink.allowTopicOverride = false\navro-memory-kafka.sinks.kafka-sink.kafka.topic = test2\n`,
      );
      await produce('test3', lines(0, 30));
      expect((await consumed('test2', 30)).sort()).toEqual(lines(0, 30).sort());
    });

    it('with neither: the loop is found before, and broken at run time', async () => {
      const { a, b } = await agents5(
        (text) => text.replace(/^.*interceptors.*$/gm, ''),
        (text) => text,
      );
      const { text, code } = await tool('flume-ng', 'validate', '-f', a.file, '-f', b.file);
      expect(text).toMatch(/overrides topic/);
      expect(code).toBeLessThan(2);
      await produce('test3', ['round and round']);
      await b.says(/topic loop: events went round through topic test3/);
      // The line itself, and one copy for each hop that was allowed.
      expect(await consumed('test3', 17)).toHaveLength(17);
    });
  });
});

function piped(name: string, input: string, ...words: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile(path.join(HOUSE, 'bin', name), words, { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, text: stdout + stderr }),
    );
    child.stdin?.end(input);
  });
}
