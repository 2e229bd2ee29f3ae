/**
 * Tutorials 1, 3 and 5 on a real Kafka cluster of three brokers, of which one is killed while lines are on the way:
 * acks = -1 loses nothing. Part of `npm run proof`, where the real Kafka is at hand (MILLRACE_PEERS).
 */
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GroupConsumer } from '../../src/kafka/client/consumer.ts';
import { consumerProperties, readConsumerConfig } from '../../src/kafka/client/settings.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { AgentProcess, freePort, HOUSE, LineClient } from '../integration/agent-process.ts';
import { eventually, PROOF, tempDir } from '../integration/broker-harness.ts';

const PEERS = process.env.MILLRACE_PEERS ?? path.resolve(import.meta.dirname, '../../../shared/peers');
const KAFKA = path.join(PEERS, 'kafka');
const hasKafka = fs.existsSync(KAFKA);

const why = !hasKafka ? ' (skipped: there is none)' : PROOF ? '' : ' (in npm run proof)';

describe.runIf(PROOF && hasKafka)(`on a real cluster of three${why}`, { timeout: 600_000 }, () => {
  const PORT = 19_392;
  const brokers = [0, 10, 20].map((step) => `127.0.0.1:${PORT + step}`);
  let pids: number[] = [];
  let place: string;
  const agents: AgentProcess[] = [];

  const kafka = (...words: string[]): Promise<string> =>
    new Promise((resolve, reject) =>
      execFile(KAFKA, words, { timeout: 180_000, env: { ...process.env, BROKER_HEAP_OPTS: '-Xmx384M' } }, (error, stdout, stderr) =>
        error ? reject(new Error(stderr)) : resolve(stdout),
      ),
    );

  beforeAll(async () => {
    place = tempDir('cluster');
    const printed = execFileSync(KAFKA, ['start', `${PORT}`, '3'], {
      env: { ...process.env, BROKER_HEAP_OPTS: '-Xmx384M' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    pids = printed.toString().trim().split(/\s+/).map(Number);
    for (const topic of ['topic1', 'test', 'test3', 'test2']) {
      await kafka('topics', '--bootstrap-server', brokers.join(), '--create', '--topic', topic, '--partitions', '3', '--replication-factor', '2');
    }
  }, 240_000);
  afterAll(async () => {
    for (const agent of agents) await agent.end();
    await kafka('stop');
    fs.rmSync(place, { recursive: true, force: true });
  }, 120_000);

  function agentOf(file: string, name: string, changes: Readonly<Record<string, string>>, more = ''): AgentProcess {
    let text = fs.readFileSync(path.join(HOUSE, 'conf', file), 'utf8');
    for (const [from, to] of Object.entries(changes)) text = text.replaceAll(from, to);
    const agent = new AgentProcess(text + more);
    agents.push(agent);
    return agent.startWith(
      'agent',
      '-c',
      path.join(HOUSE, 'conf'),
      '-f',
      agent.file,
      '-n',
      name,
      '-Dflume.root.logger=INFO,console',
      `-Duser.home=${place}/${name}`,
    );
  }

  /** Everything in a topic, read with our consumer in a group of its own. */
  async function all(topic: string, isComplete: (texts: ReadonlySet<string>) => boolean): Promise<ReadonlySet<string>> {
    const { config } = readConsumerConfig({ 'group.id': `check-${topic}-${process.pid}`, 'auto.offset.reset': 'earliest' });
    if (config === null) throw new Error(Object.keys(consumerProperties).join());
    const consumer = new GroupConsumer({ bootstrap: brokers, config, clientId: 'check', clock: systemClock, topics: [topic], onTrouble: () => {} });
    const texts = new Set<string>();
    consumer.start();
    try {
      await eventually(
        async () => {
          await consumer.wait(200, AbortSignal.timeout(1_000));
          consumer.drain(10_000, (_, cursor) => void texts.add(String(cursor.value())));
          consumer.allSafe();
          return isComplete(texts);
        },
        `all of ${topic}`,
        120_000,
      );
    } finally {
      await consumer.stop();
    }
    return texts;
  }

  it('1, 3 and 5 lose nothing when a broker is killed meanwhile', async () => {
    const [netcat, avro] = [await freePort(), await freePort()];
    const spool = path.join(place, 'spool');
    fs.mkdirSync(spool);
    const three = brokers.join();
    agentOf('kafka.conf', 'a1', {
      '44444': `${netcat}`,
      '127.0.0.1:9092': three,
      'requiredAcks = 1': 'requiredAcks = -1',
      'capacity = 1000\n': 'capacity = 100000\n',
    });
    agentOf('spooldir_kafka.conf', 'a1', { '/tmp/flumedata': spool, 'localhost:9092,localhost:9093,localhost:9094': three, 'acks = 1': 'acks = -1' });
    agentOf('avro-memory-kafka.conf', 'avro-memory-kafka', {
      '44444': `${avro}`,
      '127.0.0.1:9092': three,
      'requiredAcks = 1': 'requiredAcks = -1',
      '/tmp/flume-b': `${place}/b`,
    });
    agentOf(
      'kafka-memory-avro.conf',
      'kafka-memory-avro',
      { '44444': `${avro}`, '127.0.0.1:9092': three, '/tmp/flume-a': `${place}/a` },
      'kafka-memory-avro.sources.s1.kafka.consumer.auto.offset.reset = earliest\n',
    );
    const fifth = agentOf('kafka.conf', 'a1', {
      '44444': `${netcat + 1}`,
      '127.0.0.1:9092': three,
      'topic = topic1': 'topic = test3',
      'requiredAcks = 1': 'requiredAcks = -1',
      'capacity = 1000\n': 'capacity = 100000\n',
    });
    const client = await eventually(() => LineClient.connect(netcat), 'the netcat port');
    const feeder = await eventually(() => LineClient.connect(netcat + 1), `the second netcat port: ${fifth.output}`);
    const lines: string[] = [];
    for (let round = 0; round < 40; round++) {
      const some = Array.from({ length: 50 }, (_, i) => `line ${round}/${i}`);
      lines.push(...some);
      expect(new Set([...(await client.ask(...some)), ...(await feeder.ask(...some))])).toEqual(new Set(['OK']));
      fs.writeFileSync(path.join(place, `f${round}`), `${some.join('\n')}\n`);
      fs.renameSync(path.join(place, `f${round}`), path.join(spool, `f${round}`));
      if (round === 15) process.kill(pids[1] as number, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    client.close();
    feeder.close();
    const complete = (texts: ReadonlySet<string>): boolean => lines.every((line) => texts.has(line));
    for (const topic of ['topic1', 'test', 'test2']) expect((await all(topic, complete)).size).toBe(lines.length);
  });
});
