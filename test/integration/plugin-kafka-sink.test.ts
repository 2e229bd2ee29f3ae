/** The third-party sink org.apache.flume.plugins.KafkaSink (plugins/kafka-sink.ts) against our broker: every key it had. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import plugin from '../../plugins/kafka-sink.ts';
import type { Sealed } from '../../src/agent/core/event.ts';
import type { Sink } from '../../src/agent/core/sink.ts';
import { partitionForKey } from '../../src/kafka/murmur2.ts';
import { parseProperties } from '../../src/lib/props/spec.ts';
import { batches } from '../../src/records/batch.ts';
import { type PlainRecord, records } from '../../src/records/cursor.ts';
import { configOf } from '../contract/config-of.ts';
import { events, sinkContext } from '../contract/contexts.ts';
import { freePort } from './agent-process.ts';
import { fetchFrom, TestBroker } from './broker-harness.ts';

let broker: TestBroker;
const sinks: Sink[] = [];
beforeEach(async () => {
  broker = await TestBroker.start();
});
afterEach(async () => {
  for (const sink of sinks.splice(0)) await sink.stop();
  await broker.end();
});

type Values = Readonly<Record<string, string>>;

/** The definition of the tutorial, with the broker of this test. */
const TUTORIAL: Values = {
  'serializer.class': 'kafka.serializer.StringEncoder',
  'request.required.acks': '-1',
  'max.message.size': '1000000',
  'custom.encoding': 'UTF-8',
  'custom.topic.name': 'test-topic',
};

function make(values: Values) {
  const context = sinkContext();
  const said: string[] = [];
  const log = { ...context.log, error: (...words: unknown[]) => void said.push(String(words.at(-1))) } as typeof context.log;
  const config = configOf(plugin, { 'metadata.broker.list': broker.address, ...TUTORIAL, ...values });
  const sink = plugin.create(config, { ...context, log }) as Sink;
  sinks.push(sink);
  return { sink, context, said, batchSize: plugin.facts?.(config).batchSize };
}

async function stored(partition = 0): Promise<PlainRecord[]> {
  const { records: bytes } = await fetchFrom(await broker.client(), 'test-topic', partition, 0);
  return [...batches(bytes ?? Buffer.alloc(0))].flatMap((batch) => [...records(batch)]);
}
const texts = async (partition = 0): Promise<string[]> => (await stored(partition)).map(({ value }) => String(value));
const ofBytes = (hex: string): Sealed => ({ headers: {}, body: Buffer.from(hex, 'hex') });

describe('the keys of the plug-in', () => {
  it('metadata.broker.list, custom.topic.name, request.required.acks: as the tutorial has them; one broker of three answers', async () => {
    const { sink } = make({ 'metadata.broker.list': `127.0.0.1:${await freePort()},${broker.address},127.0.0.1:${await freePort()}` });
    await sink.deliver(events('one', '二'));
    expect(await texts()).toEqual(['one', '二']);
    expect((await stored())[0]).toMatchObject({ key: null, headers: [] });
  });

  it('custom.encoding: bodies are read in it and sent as UTF-8', async () => {
    const { sink } = make({ 'custom.encoding': 'GBK' });
    await sink.deliver([ofBytes('d6d0cec4')]);
    expect(await texts()).toEqual(['中文']);
    await make({ 'custom.encoding': 'UTF_8' }).sink.deliver(events('as it is'));
    expect((await texts())[1]).toBe('as it is');
    expect(() => make({ 'custom.encoding': 'KLINGON' })).toThrow('no character set "KLINGON"');
  });

  it('max.message.size: a larger event is left out, said and counted; the others go', async () => {
    const { sink, said, context } = make({ 'max.message.size': '1000' });
    await sink.deliver(events('a', 'x'.repeat(2_000), 'b'));
    expect(await texts()).toEqual(['a', 'b']);
    expect(said.join()).toMatch(/1 events are left out, topic test-topic will not take them: it has 2000 bytes/);
    expect(context.extra.EventsSetAsideCount).toBe(1);
  });

  it.each([
    [{}, 100],
    [{ 'producer.type': 'sync' }, 100],
    [{ 'producer.type': 'async' }, 200],
    [{ 'producer.type': 'async', 'batch.num.messages': '500' }, 500],
  ] as const)('producer.type, batch.num.messages: %j takes %i events at once', async (values, size) => {
    const { sink, batchSize } = make(values);
    expect(batchSize).toBe(size);
    await sink.deliver(events('x'));
    // async as well resolves only when the broker has it.
    expect(await texts()).toEqual(['x']);
  });

  it.each(['custom.partition.key', 'partition.key'])('%s: the key of every record', async (name) => {
    await broker.topic('test-topic', 5);
    await make({ [name]: 'k1' }).sink.deliver(events('a', 'b'));
    expect((await stored(partitionForKey(Buffer.from('k1'), 5))).map(({ key, value }) => `${key} ${value}`)).toEqual(['k1 a', 'k1 b']);
  });

  it('partitioner.class: SinglePartition sends everything to partition 0', async () => {
    await broker.topic('test-topic', 5);
    const { sink } = make({ 'partitioner.class': 'org.apache.flume.plugins.SinglePartition' });
    for (const text of ['a', 'b', 'c']) await sink.deliver(events(text));
    expect(await texts(0)).toEqual(['a', 'b', 'c']);
  });

  it.each([
    ['none', 0],
    ['0', 0],
    ['gzip', 1],
    ['1', 1],
    ['snappy', 2],
    ['2', 2],
  ])('compression.codec = %s', async (codec, expected) => {
    await make({ 'compression.codec': codec }).sink.deliver(events('x'.repeat(500), 'y'.repeat(500)));
    const { records: bytes } = await fetchFrom(await broker.client(), 'test-topic', 0, 0);
    expect([...batches(bytes as Buffer)].map((batch) => batch.codec)).toEqual([expected]);
  });

  it('request.timeout.ms, message.send.max.retries, retry.backoff.ms, client.id: how long it tries', async () => {
    const { sink } = make({
      'metadata.broker.list': `127.0.0.1:${await freePort()}`,
      'request.timeout.ms': '500',
      'message.send.max.retries': '0',
      'retry.backoff.ms': '10',
      'client.id': 'me',
    });
    await expect(sink.deliver(events('x'))).rejects.toThrow(/cannot connect to 127\.0\.0\.1/);
  });

  it('says of all other keys of the old producer that they have no effect, and why', () => {
    const keys = ['serializer.class', 'key.serializer.class', 'queue.buffering.max.ms', 'queue.buffering.max.messages', 'queue.enqueue.timeout.ms'];
    for (const key of [...keys, 'send.buffer.bytes', 'topic.metadata.refresh.interval.ms', 'compressed.topics']) {
      const { findings, unknown } = parseProperties(plugin.properties, { [key]: { value: 'x' } });
      expect(unknown).toEqual([]);
      expect(findings.find((finding) => finding.key === key)?.message, key).toMatch(/no effect|ignored/);
    }
  });

  it('needs brokers and a topic', () => {
    const { findings } = parseProperties(plugin.properties, {});
    expect(findings.filter(({ severity }) => severity === 'error').map(({ message }) => /"(.+?)"/.exec(message)?.[1])).toEqual([
      'metadata.broker.list',
      'custom.topic.name',
    ]);
  });
});
