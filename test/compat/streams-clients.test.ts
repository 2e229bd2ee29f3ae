/**
 * Kafka Streams' word count with exactly_once_v2 while the broker is killed with -9 again and again: the counts that a
 * committed reader sees are exact. Runs in `npm run proof`, where kafka-streams is fetched by Maven.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { BatchBuilder } from '../../src/records/builder.ts';
import { freePort } from '../integration/agent-process.ts';
import { BrokerProcess, eventually, PROOF, produceTo, readAll, tempDir } from '../integration/broker-harness.ts';
import { compileJava, jars } from './fetched.ts';

const VERSION = '3.9.1';
const PARTITIONS = 4;
const WORDS = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'];
const LINES = 4000;
const KILLS = 4;

/** An idempotent producer that tries again until the broker is there. */
class Feeder {
  readonly counts = new Map<string, number>();
  readonly #broker: BrokerProcess;
  #client: KafkaConnection | undefined;
  #producerId = -1;
  readonly #sequences: number[] = Array(PARTITIONS).fill(0);

  constructor(broker: BrokerProcess) {
    this.#broker = broker;
  }

  async line(n: number): Promise<void> {
    const words = [WORDS[n % 5]!, WORDS[(n * 3 + 1) % 5]!, `w${n % 17}`];
    const partition = n % PARTITIONS;
    for (;;) {
      try {
        this.#client ??= await this.#broker.client('feeder');
        if (this.#producerId < 0) {
          const { errorCode, producerId } = await this.#client.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 1000 });
          if (errorCode !== 0) throw new Error(`InitProducerId: ${errorCode}`);
          this.#producerId = producerId;
        }
        const builder = new BatchBuilder({ producerId: this.#producerId, producerEpoch: 0, baseSequence: this.#sequences[partition]! });
        builder.append(null, Buffer.from(words.join(' ')), Date.now());
        const { errorCode } = await produceTo(this.#client, 'words-in', partition, builder.finish());
        if (errorCode !== 0) throw new Error(`Produce: ${errorCode}`);
        break;
      } catch (error) {
        if (/: \d+$/.test(String(error))) throw error;
        this.#client?.close();
        this.#client = undefined;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    this.#sequences[partition]!++;
    for (const word of words) this.counts.set(word, (this.counts.get(word) ?? 0) + 1);
  }

  close(): void {
    this.#client?.close();
  }
}

/** The last count of each word, and the words whose counts did not rise. */
async function counted(broker: BrokerProcess): Promise<{ readonly last: Map<string, number>; readonly disorder: string[] }> {
  const client = await broker.client('reader');
  const last = new Map<string, number>();
  const disorder: string[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (const { key, value } of await readAll(client, 'words-out', partition, { committed: true })) {
      const count = Number(value);
      if (count <= (last.get(key!) ?? 0)) disorder.push(`${key} ${last.get(key!)} -> ${count}`);
      last.set(key!, count);
    }
  }
  client.close();
  return { last, disorder };
}

const dir = PROOF ? jars('kafka-streams', VERSION) : null;
test.runIf(dir)(`kafka-streams ${VERSION}: exactly_once_v2 over ${KILLS} kill -9 of the broker (Java; in npm run proof)`, { timeout: 600_000 }, async () => {
  const broker = await new BrokerProcess(await freePort()).start();
  const scratch = tempDir('streams');
  const classes = await compileJava(['WordCount'], dir!, path.join(scratch, 'classes'));
  const admin = await broker.client();
  const topics = ['words-in', 'words-out'].map((name) => ({ name, numPartitions: PARTITIONS, replicationFactor: 1, assignments: [], configs: [] }));
  await admin.call(CreateTopics, { topics, timeoutMs: 1000 });
  admin.close();
  const streams = spawn('java', ['-cp', classes, 'WordCount', `127.0.0.1:${broker.port}`, path.join(scratch, 'state')], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [streams.stdout, streams.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
  const feeder = new Feeder(broker);
  try {
    await eventually(() => said.includes('state RUNNING'), 'Streams to run', 60_000).catch((error) => {
      throw new Error(`${error.message}\n${said}`);
    });
    for (let n = 0; n < LINES; n++) {
      if (n > 0 && n % Math.floor(LINES / (KILLS + 1)) === 0) {
        await broker.kill();
        await broker.start();
      }
      await feeder.line(n);
    }
    const wanted = [...feeder.counts].sort();
    let seen: Awaited<ReturnType<typeof counted>> | undefined;
    await eventually(
      async () => {
        seen = await counted(broker);
        return JSON.stringify([...seen.last].sort()) === JSON.stringify(wanted);
      },
      'all counts',
      120_000,
    ).catch(() => {});
    expect([...(seen?.last ?? [])].sort(), said).toEqual(wanted);
    expect(seen?.disorder).toEqual([]);
  } finally {
    feeder.close();
    streams.kill('SIGKILL');
    await broker.end();
    fs.rmSync(scratch, { recursive: true, force: true });
  }
});
