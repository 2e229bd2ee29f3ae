/** Every key of the tutorials' server.properties files, and of Kafka's own sample, is accepted. */
import { describe, expect, test } from 'vitest';
import { readSettings } from '../../../src/broker/settings.ts';
import { effectiveTopicConfig } from '../../../src/broker/topic-config.ts';
import { readProperties } from '../../../src/lib/props/lexer.ts';

function read(text: string) {
  const { entries } = readProperties(Buffer.from(text), 'server.properties');
  return readSettings(Object.fromEntries(entries.map(({ key, value, where }) => [key, { value: value.trim(), where }])));
}

const THREE_NODES = `broker.id=2
log.dirs=/opt/servers/kafka_2.12-2.2.0/logs
zookeeper.connect=hadoop01:2181,hadoop02:2181,hadoop03:2181
delete.topic.enable=true
`;

const TUNED = `broker.id=0
host.name=192.168.79.129
log.dirs=/home/mywork/kafka/kafka-logs
zookeeper.connect=192.168.79.129:2181
num.partitions=1
delete.topic.enable=true
auto.create.topics.enable=false
default.replication.factor=2
offsets.topic.num.partitions=50
offsets.topic.replication.factor=2
zookeeper.connection.timeout.ms=45000
min.insync.replicas=1
message.max.bytes=1048576
replica.lag.max.messages=204800000
num.network.threads=4
num.io.threads=8
socket.send.buffer.bytes=1048576
socket.receive.buffer.bytes=1048576
socket.request.max.bytes=104857600
queued.max.requests=100
log.cleanup.policy=delete
log.flush.interval.ms=9223372036854775807
log.flush.interval.messages=9223372036854775807
log.flush.scheduler.interval.ms=9223372036854775807
num.recovery.threads.per.data.dir=10
num.replica.fetchers=4
log.retention.hours=72
log.roll.hours=72
log.retention.bytes=-1
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
fetch.purgatory.purge.interval.requests=1000
producer.purgatory.purge.interval.requests=1000
`;

const SAMPLE = `broker.id=0
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kafka-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
zookeeper.connect=localhost:2181
zookeeper.connection.timeout.ms=6000
group.initial.rebalance.delay.ms=0
`;

const KRAFT = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs=/tmp/kraft-combined-logs
`;

describe.each([
  ['three nodes', THREE_NODES, 0],
  ['a tuned one', TUNED, 2],
  ['Kafka’s sample with ZooKeeper', SAMPLE, 0],
  ['Kafka’s sample with KRaft', KRAFT, 0],
])('%s', (_name, text, clamped) => {
  test('is accepted: one line for what is not needed, one for each clamped factor, nothing else', () => {
    const { settings, findings } = read(text);
    expect(settings).not.toBeNull();
    expect(findings.filter(({ code }) => code === 'not-needed')).toHaveLength(1);
    expect(findings.filter(({ code }) => code === 'clamped')).toHaveLength(clamped);
    expect(findings.filter(({ code }) => code !== 'not-needed' && code !== 'clamped')).toEqual([]);
  });
});

test('the line names each key with the reason', () => {
  const { findings } = read(TUNED);
  const line = findings.find(({ code }) => code === 'not-needed')?.message;
  expect(line).toContain('zookeeper.connect (no ZooKeeper is needed)');
  expect(line).toContain('num.io.threads (this broker has one event loop)');
  expect(line).toContain('replica.lag.max.messages (this broker is a single node)');
  expect(findings.find(({ code }) => code === 'clamped')).toMatchObject({
    severity: 'warning',
    message: 'default.replication.factor=2 is taken as 1: this broker is a single node',
    where: { line: 8 },
  });
});

test('what is honoured is in force', () => {
  const { settings } = read(TUNED);
  expect(settings?.own).toMatchObject({
    'broker.id': 0,
    'auto.create.topics.enable': false,
    'offsets.topic.num.partitions': 50,
    'host.name': '192.168.79.129',
  });
  const config = effectiveTopicConfig({}, settings?.server ?? {});
  expect(config).toMatchObject({ 'retention.ms': 72 * 3_600_000, 'segment.ms': 72 * 3_600_000, 'max.message.bytes': 1_048_576, 'retention.bytes': -1 });
});

test('an unknown key is said with its line and stops nothing; a bad value is an error', () => {
  const { settings, findings } = read('broker.idd=1\n');
  expect(settings).not.toBeNull();
  expect(findings).toMatchObject([{ code: 'unknown-property', severity: 'warning', where: { line: 1 } }]);
  expect(read('num.partitions=many\n').settings).toBeNull();
});
