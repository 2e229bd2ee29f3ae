/**
 * A Java consumer in one group with ours, under the sticky assignors, on our broker: whoever of the two is asked to assign,
 * both read, nothing is lost, and nothing is read by both. Skipped without the real Kafka (MILLRACE_PEERS).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DescribeGroups } from '../../src/kafka/apis/describe-groups.ts';
import { GroupConsumer } from '../../src/kafka/client/consumer.ts';
import { type ConsumerConfig, readConsumerConfig } from '../../src/kafka/client/settings.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { batchOf, eventually, produceTo, TestBroker } from '../integration/broker-harness.ts';

const PEERS = process.env.MILLRACE_PEERS ?? path.resolve(import.meta.dirname, '../../../shared/peers');
const KAFKA = path.join(PEERS, 'kafka');
const hasKafka = fs.existsSync(KAFKA);
const PARTITIONS = 6;

describe.skipIf(!hasKafka)(`a group with a Java consumer${hasKafka ? '' : ' (no real Kafka here: set MILLRACE_PEERS)'}`, () => {
  let broker: TestBroker;
  const closing: (() => Promise<unknown>)[] = [];
  beforeEach(async () => {
    broker = await TestBroker.start();
    await broker.topic('t', PARTITIONS);
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    await broker.end();
  });

  function java(strategy: string): { lines(): string[] } {
    const words = ['--bootstrap-server', broker.address, '--topic', 't', '--group', 'g', '--from-beginning'];
    const properties = [`partition.assignment.strategy=${strategy}`, 'session.timeout.ms=6000', 'heartbeat.interval.ms=300'];
    const child: ChildProcess = spawn(KAFKA, ['console-consumer', ...words, ...properties.flatMap((one) => ['--consumer-property', one])], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    closing.push(async () => {
      const gone = new Promise((resolve) => child.once('close', resolve));
      process.kill(-(child.pid as number), 'SIGKILL'); // the script and its Java
      await gone;
    });
    return { lines: () => output.split('\n').slice(0, -1) };
  }

  async function ours(strategy: string): Promise<{ lines(): string[] }> {
    const settings = { 'group.id': 'g', 'auto.offset.reset': 'earliest', 'partition.assignment.strategy': strategy, 'heartbeat.interval.ms': '100' };
    const consumer = new GroupConsumer({
      bootstrap: [broker.address],
      config: readConsumerConfig(settings).config as ConsumerConfig,
      clientId: 'ours',
      clock: systemClock,
      topics: ['t'],
      onTrouble: () => {},
    });
    const got: string[] = [];
    const abort = new AbortController();
    consumer.start();
    const loop = (async () => {
      while (!abort.signal.aborted) {
        await consumer.wait(100, abort.signal);
        consumer.drain(1000, (_, cursor) => void got.push(String(cursor.value())));
        consumer.allSafe();
        void consumer.commit();
      }
    })();
    closing.push(async () => {
      abort.abort();
      await loop;
      await consumer.stop();
    });
    return { lines: () => got };
  }

  const group = async () => {
    const client = await broker.client();
    const { groups } = await client.call(DescribeGroups, { groups: ['g'] });
    client.close();
    return groups[0]!;
  };

  let round = 0;
  async function send(): Promise<string[]> {
    const values = Array.from({ length: PARTITIONS }, (_, p) => `round ${round} partition ${p}`);
    round++;
    const client = await broker.client();
    for (const [p, value] of values.entries()) expect((await produceTo(client, 't', p, batchOf([value]))).errorCode).toBe(0);
    client.close();
    return values;
  }

  const CASES = ['StickyAssignor', 'CooperativeStickyAssignor'].flatMap((assignor) => [[assignor, 'ours first'] as const, [assignor, 'Java first'] as const]);
  it.each(CASES)('%s, %s', async (assignor, who) => {
    const strategy = `org.apache.kafka.clients.consumer.${assignor}`;
    const join = [() => ours(strategy), async () => java(strategy)];
    const members: { lines(): string[] }[] = [];
    const sent: string[] = [];
    const all = (): string[] => members.flatMap((one) => one.lines());
    const delivered = async (): Promise<void> => {
      sent.push(...(await send()));
      await eventually(() => sent.every((value) => all().includes(value)), 'everything sent', 60_000);
    };
    for (const [i, next] of (who === 'ours first' ? join : join.reverse()).entries()) {
      members.push(await next());
      await eventually(async () => (await group()).members.length === i + 1 && (await group()).groupState === 'Stable', `${i + 1} members`, 60_000);
      await delivered();
    }
    // Until the partitions that the first had to give up have moved.
    await eventually(async () => {
      const isShared = members.every((one) => one.lines().length >= 2);
      if (!isShared) await delivered();
      return isShared;
    }, 'events for both');
    expect((await group()).protocolData).toBe(assignor === 'StickyAssignor' ? 'sticky' : 'cooperative-sticky');
    // The Java consumer commits by time: what it had read and not yet committed is read again, by the rules.
    expect(new Set(all())).toEqual(new Set(sent));
  });
});
