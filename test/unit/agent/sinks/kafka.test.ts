/** What the Kafka sink says about its definition; what it does is in test/integration/kafka-sink.test.ts. */
import { expect, it } from 'vitest';
import kafka from '../../../../src/agent/sinks/kafka.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

function read(values: Readonly<Record<string, string>>) {
  const raw = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value }]));
  const { config, findings, unknown } = parseProperties(kafka.properties, raw);
  const all = [...findings, ...(config === null ? [] : (kafka.check?.(config, raw) ?? []))];
  return { config, unknown, said: all.map(({ severity, message }) => `${severity}: ${message}`), facts: config === null ? undefined : kafka.facts?.(config) };
}
const NEW = { 'kafka.bootstrap.servers': 'h:1', 'kafka.topic': 't' };

it('takes the keys of 1.6 and names the present ones', () => {
  const { config, said, unknown, facts } = read({
    brokerList: 'h:1',
    topic: 't',
    batchSize: '7',
    requiredAcks: '-1',
    'serializer.class': 'kafka.serializer.StringEncoder',
  });
  expect(config).toMatchObject({ 'kafka.bootstrap.servers': ['h:1'], 'kafka.topic': 't', flumeBatchSize: 7, 'kafka.producer.acks': '-1' });
  expect(unknown).toEqual([]);
  expect(facts).toEqual({ batchSize: 7 });
  for (const key of ['brokerList', 'topic', 'batchSize', 'requiredAcks']) expect(said).toContain(`warning: property "${key}" is retired`);
  expect(said.filter((line) => line.startsWith('error'))).toEqual([]);
});

it('honours kafka.flumeBatchSize, which Flume ignores, and says so', () => {
  const { said, facts } = read({ ...NEW, 'kafka.flumeBatchSize': '20' });
  expect(facts).toEqual({ batchSize: 20 });
  expect(said.join()).toContain('Flume itself ignores kafka.flumeBatchSize');
});

it('prefers the present keys to the retired ones', () => {
  expect(read({ ...NEW, topic: 'old', flumeBatchSize: '3', 'kafka.flumeBatchSize': '4' }).config).toMatchObject({ 'kafka.topic': 't', flumeBatchSize: 3 });
});

it('cannot do without brokers, and wants them as host:port', () => {
  expect(read({ 'kafka.topic': 't' }).said.join()).toContain('"kafka.bootstrap.servers" is required');
  expect(read({ ...NEW, 'kafka.bootstrap.servers': 'somewhere' }).said.join()).toContain('must be brokers as host:port');
});

it('says that escapes are not expanded without override, as in Flume', () => {
  expect(read({ ...NEW, 'kafka.topic': '%{x}', allowTopicOverride: 'false' }).said.join()).toContain('not expanded');
});

it('says nothing about a plain definition of today', () => expect(read({ ...NEW, 'kafka.producer.acks': 'all', flumeBatchSize: '100' }).said).toEqual([]));
