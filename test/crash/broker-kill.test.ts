/**
 * kill -9 of the real broker under load, again and again: what it acknowledged is there after the restart. Producers with
 * acks=all, an idempotent one that sends again, offset commits and transactions; then damage done to its files by hand.
 * 5 kills in `npm test`, 100 in `npm run proof`. MILLRACE_SEED picks the moments.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { AddPartitionsToTxn } from '../../src/kafka/apis/add-partitions-to-txn.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { EndTxn } from '../../src/kafka/apis/end-txn.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import { ConnectionError, type KafkaConnection } from '../../src/kafka/client/connection.ts';
import { batches } from '../../src/records/batch.ts';
import { freePort } from '../integration/agent-process.ts';
import { BrokerProcess, batchOf, eventually, PROOF, produceTo, readAll } from '../integration/broker-harness.ts';

const KILLS = PROOF ? 100 : 5;
const SEED = Number(process.env.MILLRACE_SEED ?? 4);
const WRITERS = 3;

let broker: BrokerProcess;
afterEach(() => broker.end());

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function createTopics(names: Readonly<Record<string, number>>): Promise<void> {
  const client = await broker.client();
  const configs = [{ name: 'segment.bytes', value: '100000' }];
  const topics = Object.entries(names).map(([name, numPartitions]) => ({ name, numPartitions, replicationFactor: 1, assignments: [], configs }));
  const { topics: made } = await client.call(CreateTopics, { topics, timeoutMs: 1000 });
  expect(made.map(({ errorCode }) => errorCode)).toEqual(made.map(() => 0));
  client.close();
}

/** Works until the broker is gone. */
async function untilKilled(work: (client: KafkaConnection) => Promise<void>): Promise<void> {
  try {
    const client = await broker.client();
    for (;;) await work(client);
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
  }
}

/** Takes over the transactional id; the broker asks to wait (CONCURRENT_TRANSACTIONS) while it ends what was left open. */
async function transactionalId(client: KafkaConnection): Promise<{ readonly producerId: number; readonly producerEpoch: number }> {
  return eventually(async () => {
    const { errorCode, producerId, producerEpoch } = await client.call(InitProducerId, { transactionalId: 'crash', transactionTimeoutMs: 60_000 });
    expect([0, 51]).toContain(errorCode);
    return errorCode === 0 && { producerId, producerEpoch };
  }, 'the transactional id');
}

/** What was promised so far. */
class Promises {
  /** Values by partition of `load`, at their offsets. */
  readonly acknowledged: Map<number, string>[] = Array.from({ length: WRITERS }, () => new Map());
  sent = 0;
  /** The idempotent producer: its id, and how many records were acknowledged. */
  producerId = -1;
  sequence = 0;
  readonly producerIds = new Set<number>();
  committedOffset = 0;
  attemptedOffset = 0;
  transactions = 0;
  readonly committed = new Set<string>();
  readonly aborted = new Set<string>();

  async write(client: KafkaConnection, partition: number): Promise<void> {
    const value = `${partition}-${this.sent++}-${'x'.repeat(300)}`;
    const { errorCode, baseOffset } = await produceTo(client, 'load', partition, batchOf([value]));
    expect(errorCode).toBe(0);
    this.acknowledged[partition]!.set(baseOffset, value);
  }

  async writeOnce(client: KafkaConnection): Promise<void> {
    if (this.producerId < 0) this.producerId = await this.freshId(client);
    const bytes = batchOf([`once-${this.sequence}`], { producerId: this.producerId, producerEpoch: 0, baseSequence: this.sequence });
    expect((await produceTo(client, 'once', 0, bytes)).errorCode).toBe(0);
    this.sequence++;
  }

  async freshId(client: KafkaConnection): Promise<number> {
    const { errorCode, producerId } = await client.call(InitProducerId, { transactionalId: null, transactionTimeoutMs: 1000 });
    expect(errorCode).toBe(0);
    expect(this.producerIds.has(producerId), `producer id ${producerId} was given twice`).toBe(false);
    this.producerIds.add(producerId);
    return producerId;
  }

  async commit(client: KafkaConnection): Promise<void> {
    const committedOffset = ++this.attemptedOffset;
    const answer = await client.call(OffsetCommit, {
      groupId: 'crash',
      topics: [{ name: 'load', partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: '' }] }],
    });
    expect(answer.topics[0]!.partitions[0]!.errorCode).toBe(0);
    this.committedOffset = committedOffset;
  }

  async transact(client: KafkaConnection, producer: { producerId: number; producerEpoch: number; sequence: number }): Promise<void> {
    const n = this.transactions++;
    const { producerId, producerEpoch, sequence } = producer;
    const added = await client.call(AddPartitionsToTxn, {
      v3AndBelowTransactionalId: 'crash',
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name: 'tx', partitions: [0, 1] }],
    });
    expect(added.resultsByTopicV3AndBelow[0]!.resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode)).toEqual([0, 0]);
    for (const partition of [0, 1]) {
      const bytes = batchOf([`t${n}`], { producerId, producerEpoch, baseSequence: sequence, transactional: true });
      expect((await produceTo(client, 'tx', partition, bytes, { transactionalId: 'crash' })).errorCode).toBe(0);
    }
    producer.sequence++;
    const committed = n % 3 !== 0;
    expect((await client.call(EndTxn, { transactionalId: 'crash', producerId, producerEpoch, committed })).errorCode).toBe(0);
    (committed ? this.committed : this.aborted).add(`t${n}`);
  }

  /** Checks all of it against the restarted broker. */
  async check(client: KafkaConnection): Promise<void> {
    for (const [partition, wanted] of this.acknowledged.entries()) {
      const found = new Map((await readAll(client, 'load', partition)).map(({ offset, value }) => [offset, value]));
      const lost = [...wanted].filter(([offset, value]) => found.get(offset) !== value).map(([offset]) => offset);
      expect(lost, `acknowledged offsets of load-${partition} that are not there`).toEqual([]);
    }
    const once = (await readAll(client, 'once', 0)).map(({ value }) => value);
    expect(once).toEqual(once.map((_, n) => `once-${n}`));
    expect([this.sequence, this.sequence + 1]).toContain(once.length);
    const { groups } = await client.call(OffsetFetch, { groups: [{ groupId: 'crash', topics: [{ name: 'load', partitionIndexes: [0] }] }] });
    const offset = groups[0]!.topics[0]!.partitions[0]!.committedOffset;
    expect(offset).toBeGreaterThanOrEqual(this.committedOffset === 0 ? -1 : this.committedOffset);
    expect(offset).toBeLessThanOrEqual(this.attemptedOffset);
    await this.#checkTransactions(client);
  }

  async #checkTransactions(client: KafkaConnection): Promise<void> {
    const sides = await Promise.all([0, 1].map((partition) => readAll(client, 'tx', partition, { committed: true })));
    const [left, right] = sides.map((records) => records.map(({ value }) => value as string)) as [string[], string[]];
    expect(left, 'a transaction is in both partitions or in none').toEqual(right);
    const seen = new Set(left);
    expect(left).toHaveLength(seen.size);
    expect(
      [...this.committed].filter((id) => !seen.has(id)),
      'committed transactions that are not there',
    ).toEqual([]);
    expect(
      [...this.aborted].filter((id) => seen.has(id)),
      'aborted transactions that show',
    ).toEqual([]);
  }
}

test(`${KILLS} kills under load (seed ${SEED}): nothing acknowledged is lost or doubled`, { timeout: KILLS * 20_000 }, async () => {
  const random = randomFrom(SEED);
  broker = await new BrokerProcess(await freePort()).start();
  await createTopics({ load: WRITERS, once: 1, tx: 2 });
  const promises = new Promises();
  for (let kill = 0; kill < KILLS; kill++) {
    const opening = await broker.client();
    const ids = await transactionalId(opening);
    await promises.freshId(opening);
    await promises.check(opening);
    opening.close();
    const producer = { ...ids, sequence: 0 };
    const work = [
      ...Array.from({ length: WRITERS }, (_, partition) => untilKilled((client) => promises.write(client, partition))),
      untilKilled((client) => promises.writeOnce(client)),
      untilKilled((client) => promises.commit(client)),
      untilKilled((client) => promises.transact(client, producer)),
    ];
    await new Promise((resolve) => setTimeout(resolve, 50 + random() * 450));
    await broker.kill();
    await Promise.all(work);
    await broker.start();
  }
  const client = await broker.client();
  await transactionalId(client);
  await promises.check(client);
  expect(promises.sent).toBeGreaterThan(KILLS * 10);
  expect(promises.committed.size).toBeGreaterThan(0);
  client.close();
  expect(broker.output).not.toMatch(/ ERROR /);
});

describe('damaged files', () => {
  /** A killed broker with one batch of one record per offset in `hurt-0`; the file of its only segment. */
  async function killedWith(count: number): Promise<string> {
    broker = await new BrokerProcess(await freePort()).start();
    await createTopics({ hurt: 1 });
    const client = await broker.client();
    for (let n = 0; n < count; n++) expect((await produceTo(client, 'hurt', 0, batchOf([`value-${n}`]))).errorCode).toBe(0);
    client.close();
    await broker.kill();
    return path.join(broker.dataDir, 'hurt-0', '00000000000000000000.log');
  }
  const restarted = async (): Promise<(string | null)[]> => {
    await broker.start();
    const client = await broker.client();
    try {
      return (await readAll(client, 'hurt', 0)).map(({ value }) => value);
    } finally {
      client.close();
    }
  };

  test('a torn tail is cut and said; writing goes on behind it', async () => {
    const file = await killedWith(10);
    const whole = fs.readFileSync(file);
    const data = [...batches(whole)];
    const end = data.at(-1)!;
    fs.truncateSync(file, end.at + end.sizeBytes - 5);
    expect(await restarted()).toEqual(Array.from({ length: 9 }, (_, n) => `value-${n}`));
    expect(broker.output).toMatch(/WARN .*hurt-0.*unfinished write of \d+ bytes at position \d+ was cut off/);
    const client = await broker.client();
    expect(await produceTo(client, 'hurt', 0, batchOf(['again']))).toMatchObject({ errorCode: 0, baseOffset: 9 });
    client.close();
  });

  test('garbage behind the last batch is cut and said', async () => {
    const file = await killedWith(3);
    const end = [...batches(fs.readFileSync(file))].at(-1)!;
    const fd = fs.openSync(file, 'r+');
    fs.writeSync(fd, Buffer.alloc(50, 0xee), 0, 50, end.at + end.sizeBytes);
    fs.closeSync(fd);
    expect(await restarted()).toEqual(['value-0', 'value-1', 'value-2']);
    expect(broker.output).toMatch(/hurt-0.*(cut off|damaged)/);
  });

  test('a flipped bit in the middle: put aside, reported with file, position and offsets; the rest is served', async () => {
    const file = await killedWith(10);
    const bytes = fs.readFileSync(file);
    const victim = [...batches(bytes)][4]!;
    const at = victim.at + victim.sizeBytes - 3;
    const fd = fs.openSync(file, 'r+');
    fs.writeSync(fd, Buffer.from([bytes[at]! ^ 4]), 0, 1, at);
    fs.closeSync(fd);
    const values = await restarted();
    expect(values).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 9].map((n) => `value-${n}`));
    expect(broker.output).toMatch(new RegExp(`ERROR .*hurt-0.*damaged bytes at position ${victim.at}; lost are offsets 4 to 4`));
    const client = await broker.client();
    expect(await produceTo(client, 'hurt', 0, batchOf(['again']))).toMatchObject({ errorCode: 0, baseOffset: 10 });
    client.close();
  });

  test('a second start finds nothing more to repair', async () => {
    const file = await killedWith(5);
    fs.truncateSync(file, [...batches(fs.readFileSync(file))].at(-1)!.at + 20);
    await restarted();
    await broker.stop();
    const from = broker.output.length;
    expect(await restarted()).toHaveLength(4);
    expect(broker.output.slice(from)).not.toMatch(/cut off|damaged/);
  });
});
