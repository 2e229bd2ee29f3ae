/**
 * The real Flume 1.11 at the other end of a topic, on our broker: its Kafka source reads what our sink wrote, our source
 * what its sink wrote, plain and as AvroFlumeEvent.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Event } from '../../src/agent/core/event.ts';
import type { Sink } from '../../src/agent/core/sink.ts';
import type { PollableSource } from '../../src/agent/core/source.ts';
import sinkSpec from '../../src/agent/sinks/kafka.ts';
import sourceSpec from '../../src/agent/sources/kafka.ts';
import { configOf } from '../contract/config-of.ts';
import { sinkContext, sourceContext } from '../contract/contexts.ts';
import { freePort, LineClient } from '../integration/agent-process.ts';
import { eventually, TestBroker, tempDir } from '../integration/broker-harness.ts';
import { FlumeAgent, hasFlume } from './real-flume.ts';

describe.runIf(hasFlume)(`with the real Flume${hasFlume ? '' : ' (skipped: it is not installed)'}`, () => {
  let broker: TestBroker;
  let place: string;
  const closing: (() => Promise<unknown>)[] = [];
  beforeEach(async () => {
    place = tempDir('flume-kafka');
    broker = await TestBroker.start();
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    await broker.end();
    fs.rmSync(place, { recursive: true, force: true });
  });

  function flume(...lines: string[]): FlumeAgent {
    const agent = new FlumeAgent(path.join(place, 'flume.conf'), ['sources = r1', 'channels = c1', 'sinks = k1', ...lines]);
    closing.push(() => agent.stop());
    return agent;
  }

  const MEMORY = ['sources.r1.channels = c1', 'sinks.k1.channel = c1', 'channels.c1.type = memory', 'channels.c1.transactionCapacity = 100'];
  const BODIES = ['one', 'zwei ü', '三'];

  it.each([false, true])('its source reads what our sink wrote (useFlumeEventFormat = %s)', async (format) => {
    await broker.topic('t', 2);
    const config = configOf(sinkSpec, {
      'kafka.bootstrap.servers': broker.address,
      'kafka.topic': 't',
      useFlumeEventFormat: format,
      'kafka.producer.compression.type': 'lz4',
    });
    const sink = sinkSpec.create(config, sinkContext()) as Sink;
    await sink.start();
    closing.push(() => sink.stop());
    await sink.deliver(BODIES.map((text) => ({ headers: { from: 'millrace', key: text }, body: Buffer.from(text) })));
    const out = path.join(place, 'out');
    fs.mkdirSync(out);
    const agent = flume(
      ...MEMORY,
      'sources.r1.type = org.apache.flume.source.kafka.KafkaSource',
      `sources.r1.kafka.bootstrap.servers = ${broker.address}`,
      'sources.r1.kafka.topics = t',
      'sources.r1.batchSize = 10',
      `sources.r1.useFlumeEventFormat = ${format}`,
      'sources.r1.kafka.consumer.auto.offset.reset = earliest',
      'sinks.k1.type = file_roll',
      `sinks.k1.sink.directory = ${out}`,
      'sinks.k1.sink.rollInterval = 0',
      'sinks.k1.sink.serializer = HEADER_AND_TEXT',
    );
    const written = (): string[] => fs.readdirSync(out).flatMap((name) => fs.readFileSync(path.join(out, name), 'utf8').split('\n').slice(0, -1));
    await eventually(() => written().length === 3, `three lines: ${agent.output.slice(-2000)}`, 80_000);
    for (const text of BODIES) expect(written().filter((line) => line.endsWith(` ${text}`) && line.includes('topic=t'))).toHaveLength(1);
    if (format) expect(written().every((line) => line.includes('from=millrace'))).toBe(true);
  });

  it.each([false, true])('our source reads what its sink wrote (useFlumeEventFormat = %s)', async (format) => {
    const port = await freePort();
    const agent = flume(
      ...MEMORY,
      'sources.r1.type = netcat',
      'sources.r1.bind = 127.0.0.1',
      `sources.r1.port = ${port}`,
      'sources.r1.interceptors = i',
      'sources.r1.interceptors.i.type = static',
      'sources.r1.interceptors.i.key = from',
      'sources.r1.interceptors.i.value = flume',
      'sinks.k1.type = org.apache.flume.sink.kafka.KafkaSink',
      `sinks.k1.kafka.bootstrap.servers = ${broker.address}`,
      'sinks.k1.kafka.topic = t',
      `sinks.k1.useFlumeEventFormat = ${format}`,
    );
    const client = await eventually(() => LineClient.connect(port), `the netcat port: ${agent.output.slice(-2000)}`, 80_000);
    expect(await client.ask(...BODIES)).toEqual(['OK', 'OK', 'OK']);
    client.close();
    const got: Event[] = [];
    const put = async (batch: Event[]): Promise<void> => void got.push(...batch);
    const config = configOf(sourceSpec, {
      'kafka.bootstrap.servers': broker.address,
      'kafka.topics': 't',
      useFlumeEventFormat: format,
      'kafka.consumer.auto.offset.reset': 'earliest',
    });
    const source = sourceSpec.create(config, sourceContext({ put, maxBatch: 100 })) as PollableSource;
    await source.start();
    closing.push(() => source.stop());
    const abort = new AbortController();
    const loop = (async () => {
      while (!abort.signal.aborted) await source.poll(abort.signal);
    })();
    await eventually(() => got.length === 3, 'three events', 60_000);
    abort.abort();
    await loop;
    expect(got.map(({ body }) => body.toString())).toEqual(BODIES);
    expect(got.every(({ headers }) => headers.topic === 't' && headers.from === (format ? 'flume' : undefined))).toBe(true);
  });
});
