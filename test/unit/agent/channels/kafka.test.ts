/** What the Kafka channel says about its definition; what it does is in test/integration/kafka-channel.test.ts. */
import { expect, it } from 'vitest';
import kafka from '../../../../src/agent/channels/kafka.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

function read(values: Readonly<Record<string, string>>) {
  const raw = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value }]));
  const { config, findings, unknown } = parseProperties(kafka.properties, raw);
  const all = [...findings, ...(config === null ? [] : (kafka.check?.(config, raw) ?? []))];
  return { config, unknown, said: all.map(({ severity, message }) => `${severity}: ${message}`) };
}

it('takes the keys of 1.6, names the present ones, and says which have no effect', () => {
  const { config, said, unknown } = read({
    brokerList: 'h:1,i:2',
    topic: 't',
    groupId: 'g',
    readSmallestOffset: 'false',
    pollTimeout: '100',
    zookeeperConnect: 'z:2181',
    migrateZookeeperOffsets: 'true',
  });
  expect(config).toMatchObject({
    'kafka.bootstrap.servers': ['h:1', 'i:2'],
    'kafka.topic': 't',
    'kafka.consumer.group.id': 'g',
    readSmallestOffset: false,
    'kafka.pollTimeout': 100,
  });
  expect(unknown).toEqual([]);
  for (const key of ['brokerList', 'topic', 'groupId', 'pollTimeout']) expect(said.join('\n')).toContain(`property "${key}" is retired`);
  for (const key of ['zookeeperConnect', 'migrateZookeeperOffsets'])
    expect(
      said.some((line) => line.includes(key)),
      key,
    ).toBe(true);
  expect(said.filter((line) => line.startsWith('error'))).toEqual([]);
});

it('has Flume’s defaults, and prefers the present keys', () => {
  expect(read({ 'kafka.bootstrap.servers': 'h:1' }).config).toMatchObject({
    'kafka.topic': 'flume-channel',
    'kafka.consumer.group.id': 'flume',
    'kafka.producer.acks': 'all',
    'kafka.pollTimeout': 500,
    parseAsFlumeEvent: true,
  });
  expect(read({ 'kafka.bootstrap.servers': 'h:1', 'kafka.topic': 'new', topic: 'old' }).config).toMatchObject({ 'kafka.topic': 'new' });
});

it('needs brokers, and passes settings of producer and consumer on', () => {
  expect(read({}).said.join()).toMatch(/error: .*kafka\.bootstrap\.servers/);
  const wrong = { 'kafka.bootstrap.servers': 'h:1', 'kafka.producer.acks': '7', 'kafka.consumer.auto.offset.reset': 'sometimes' };
  const { said } = read(wrong);
  expect(said.join('\n')).toMatch(/kafka\.producer\.acks/);
  expect(said.join('\n')).toMatch(/kafka\.consumer\.auto\.offset\.reset/);
});
