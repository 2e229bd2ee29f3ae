/**
 * The real command-line tools of Apache Kafka 3.9 as clients of the broker, each command once: exit code and the lines that
 * matter (see real-kafka.ts). A JVM per command: the whole list runs in `npm run proof`, otherwise what everybody starts with.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AddPartitionsToTxn } from '../../src/kafka/apis/add-partitions-to-txn.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { batchOf, PROOF, produceTo, TestBroker } from '../integration/broker-harness.ts';
import { NEEDS_KAFKA, realKafka } from './real-kafka.ts';

describe.runIf(realKafka)(`kafka-*.sh of Apache Kafka 3.9 (${NEEDS_KAFKA})`, () => {
  let broker: TestBroker;
  beforeAll(async () => {
    broker = await TestBroker.start();
  });
  afterAll(() => broker.end());

  interface Ended {
    readonly code: number | null;
    readonly out: string;
    readonly err: string;
  }
  function run(tool: string, args: readonly string[], input = ''): Promise<Ended> {
    return new Promise((done) => {
      const child = spawn('timeout', ['100', realKafka!.script, tool, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
      let [out, err] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (out += chunk));
      child.stderr.on('data', (chunk: Buffer) => (err += chunk));
      child.on('close', (code) => done({ code, out, err }));
      child.stdin.end(input);
    });
  }
  const ask = (tool: string, ...args: string[]): Promise<Ended> => run(tool, ['--bootstrap-server', broker.address, ...args]);
  /** A command that must end with 0; its output. */
  async function ok(tool: string, args: readonly string[], input = ''): Promise<string> {
    const { code, out, err } = await run(tool, ['--bootstrap-server', broker.address, ...args], input);
    expect(code, `${tool} ${args.join(' ')}: ${out}${err}`).toBe(0);
    return out;
  }

  test('create a topic, produce to it, consume from it', async () => {
    expect(await ok('topics', ['--create', '--topic', 'tools', '--partitions', '2', '--config', 'retention.ms=60000'])).toBe('Created topic tools.\n');
    await ok('console-producer', ['--topic', 'tools', '--property', 'parse.key=true', '--property', 'key.separator=:'], 'a:1\nb:2\nc:3\n');
    const properties = ['print.key=true', 'print.partition=true', 'print.offset=true'].flatMap((property) => ['--property', property]);
    const out = await ok('console-consumer', ['--topic', 'tools', '--from-beginning', '--max-messages', '3', '--group', 'tools-group', ...properties]);
    const pairs = out
      .trim()
      .split('\n')
      .map((line) => line.split('\t').slice(2).join(':'));
    expect(pairs.sort()).toEqual(['a:1', 'b:2', 'c:3']);
  });

  describe.runIf(PROOF)('the rest of the list (in npm run proof)', () => {
    test('kafka-topics', async () => {
      const refused = await ask('topics', '--create', '--topic', 'tools');
      expect(refused).toMatchObject({ code: 1, out: expect.stringContaining("Error while executing topic command : Topic 'tools' already exists.") });
      const replicas = await ask('topics', '--create', '--topic', 'r', '--replication-factor', '2');
      expect(replicas.code).toBe(1);
      expect(replicas.out).toMatch(/Error while executing topic command : .*Kafka cluster/);
      expect((await ok('topics', ['--list'])).split('\n')).toEqual(expect.arrayContaining(['__consumer_offsets', 'tools']));
      const described = await ok('topics', ['--describe', '--topic', 'tools']);
      expect(described).toMatch(/^Topic: tools\tTopicId: \S{22}\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: .*retention\.ms=60000/);
      expect(described).toMatch(/\n\tTopic: tools\tPartition: 1\tLeader: 0\tReplicas: 0\tIsr: 0\tElr: .*\tLastKnownElr: /);
      expect(await ok('topics', ['--alter', '--topic', 'tools', '--partitions', '3'])).toBe('');
      const fewer = await ask('topics', '--alter', '--topic', 'tools', '--partitions', '1');
      expect(fewer).toMatchObject({ code: 1, out: expect.stringContaining('The topic tools currently has 3 partition(s); 1 would not be an increase.') });
      await ok('topics', ['--create', '--topic', 'doomed']);
      expect(await ok('topics', ['--delete', '--topic', 'doomed'])).toBe('');
    });

    test('kafka-configs', async () => {
      const entity = ['--entity-type', 'topics', '--entity-name', 'tools'];
      expect(await ok('configs', ['--alter', ...entity, '--add-config', 'max.message.bytes=9999'])).toBe('Completed updating config for topic tools.\n');
      expect(await ok('configs', ['--describe', ...entity])).toContain(
        'max.message.bytes=9999 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=9999, DEFAULT_CONFIG:message.max.bytes=1048588}',
      );
      expect(await ok('configs', ['--alter', ...entity, '--delete-config', 'max.message.bytes'])).toContain('Completed');
      expect(await ok('configs', ['--describe', '--all', '--entity-type', 'brokers', '--entity-name', '0'])).toContain('log.retention.hours=');
      const user = ['--entity-type', 'users', '--entity-name', 'alice'];
      expect(await ok('configs', ['--alter', ...user, '--add-config', 'SCRAM-SHA-256=[iterations=8192,password=secret]'])).toContain('for user alice');
      expect(await ok('configs', ['--describe', ...user])).toContain('SCRAM-SHA-256=iterations=8192');
      await ok('configs', ['--alter', '--entity-type', 'clients', '--entity-name', 'c1', '--add-config', 'producer_byte_rate=1024']);
      expect(await ok('configs', ['--describe', '--entity-type', 'clients', '--entity-name', 'c1'])).toContain('producer_byte_rate=1024.0');
    });

    test('kafka-consumer-groups', async () => {
      expect(await ok('consumer-groups', ['--list'])).toContain('tools-group');
      expect(await ok('consumer-groups', ['--describe', '--group', 'tools-group'])).toMatch(/tools-group\s+tools\s+\d\s+\d\s+\d\s+0\s/);
      expect(await ok('consumer-groups', ['--describe', '--group', 'tools-group', '--state'])).toMatch(/tools-group\s+\S+\s+\(0\)\s+.*Empty\s+0/);
      const reset = ['--reset-offsets', '--group', 'tools-group', '--topic', 'tools', '--to-earliest', '--execute'];
      expect(await ok('consumer-groups', reset)).toMatch(/tools-group\s+tools\s+\d\s+0/);
      const deleted = await ok('consumer-groups', ['--delete-offsets', '--group', 'tools-group', '--topic', 'tools']);
      expect(deleted).toContain('Request succeed for deleting offsets with topic tools group tools-group');
      await ok('consumer-groups', reset);
      expect(await ok('consumer-groups', ['--delete', '--group', 'tools-group'])).toContain(
        "Deletion of requested consumer groups ('tools-group') was successful.",
      );
      const { out, err } = await ask('consumer-groups', '--describe', '--group', 'nobody');
      expect(out + err).toContain("Consumer group 'nobody' does not exist.");
    });

    test('offsets, records, log dirs, versions', async () => {
      const offsets = await ok('get-offsets', ['--topic', 'tools']);
      expect(offsets.trim().split('\n')).toHaveLength(3);
      const file = join(broker.dir, 'delete-records.json');
      writeFileSync(file, JSON.stringify({ partitions: [{ topic: 'tools', partition: 0, offset: -1 }], version: 1 }));
      expect(await ok('delete-records', ['--offset-json-file', file])).toMatch(/partition: tools-0\tlow_watermark: \d/);
      expect(await ok('log-dirs', ['--describe', '--topic-list', 'tools'])).toMatch(/"partition":"tools-0","size":\d+/);
      const versions = await ok('broker-api-versions', []);
      expect(versions).toContain(`${broker.address} (id: 0 rack: null) -> (`);
      expect(versions).toContain('Produce(0): 0 to 11 [usable: 11]');
    });

    test('kafka-transactions', async () => {
      const client = await broker.client();
      const { producerId, producerEpoch } = await client.call(InitProducerId, { transactionalId: 'tools-tx', transactionTimeoutMs: 60_000 });
      await client.call(AddPartitionsToTxn, {
        v3AndBelowTransactionalId: 'tools-tx',
        v3AndBelowProducerId: producerId,
        v3AndBelowProducerEpoch: producerEpoch,
        v3AndBelowTopics: [{ name: 'tools', partitions: [1] }],
      });
      const bytes = batchOf(['open'], { producerId, producerEpoch, baseSequence: 0, transactional: true });
      const { baseOffset } = await produceTo(client, 'tools', 1, bytes, { transactionalId: 'tools-tx' });
      expect(await ok('transactions', ['list'])).toMatch(/tools-tx\s+0\s+\d+\s+Ongoing/);
      expect(await ok('transactions', ['describe', '--transactional-id', 'tools-tx'])).toMatch(/\stools-tx\s+\d+\s+\d+\s+Ongoing.*tools-1/);
      const producers = await ok('transactions', ['describe-producers', '--topic', 'tools', '--partition', '1']);
      expect(producers).toMatch(new RegExp(`^${producerId}\\s+${producerEpoch}\\s.*\\s${baseOffset}\\s*$`, 'm'));
      await ok('transactions', ['abort', '--topic', 'tools', '--partition', '1', '--start-offset', String(baseOffset)]);
      const after = await ok('transactions', ['describe-producers', '--topic', 'tools', '--partition', '1']);
      expect(after).toMatch(new RegExp(`^${producerId}\\s.*None\\s*$`, 'm'));
    });

    test('performance and verifiable tools', async () => {
      const produced = await run('producer-perf-test', [
        ...['--topic', 'perf', '--num-records', '20000', '--record-size', '100', '--throughput', '-1'],
        ...['--producer-props', `bootstrap.servers=${broker.address}`],
      ]);
      expect(produced).toMatchObject({ code: 0, out: expect.stringContaining('20000 records sent') });
      expect(await ok('consumer-perf-test', ['--topic', 'perf', '--messages', '20000'])).toMatch(/, 20000, /);
      const sent = await ok('verifiable-producer', ['--topic', 'verify', '--max-messages', '5']);
      expect(sent.match(/producer_send_success/g)).toHaveLength(5);
      const got = await ok('verifiable-consumer', ['--topic', 'verify', '--group-id', 'v', '--max-messages', '5', '--reset-policy', 'earliest']);
      expect(got).toMatch(/"name":"offsets_committed".*"offset":5/);
    });
  });
});
