/**
 * A load on a broker that dies, and what it was promised meanwhile: producers with acks=all, an idempotent one that sends
 * again, offset commits and transactions. {@link Promises.check} compares the promises with what the next start serves.
 */
import { expect } from 'vitest';
import { AddPartitionsToTxn } from '../../src/kafka/apis/add-partitions-to-txn.ts';
import { EndTxn } from '../../src/kafka/apis/end-txn.ts';
import { InitProducerId } from '../../src/kafka/apis/init-producer-id.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import { ConnectionError, type KafkaConnection } from '../../src/kafka/client/connection.ts';
import { ErrorCode } from '../../src/kafka/errors.ts';
import { batchOf, eventually, produceTo, readAll } from '../integration/broker-harness.ts';

const WRITERS = 3;
/** The topics that the load needs, with their partitions. */
export const LOAD_TOPICS: Readonly<Record<string, number>> = { load: WRITERS, once: 1, tx: 2 };

/** Works until the broker is gone. */
async function untilGone(open: () => Promise<KafkaConnection>, work: (client: KafkaConnection) => Promise<void>): Promise<void> {
  try {
    const client = await open();
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
export class Promises {
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
  readonly #isDiskGone: () => boolean;

  constructor(isDiskGone = () => false) {
    this.#isDiskGone = isDiskGone;
  }

  /** Takes over from the last life of the broker, and checks what it left. */
  async resume(open: () => Promise<KafkaConnection>): Promise<{ producerId: number; producerEpoch: number; sequence: number }> {
    const client = await open();
    const ids = await transactionalId(client);
    await this.freshId(client);
    await this.check(client);
    client.close();
    return { ...ids, sequence: 0 };
  }

  /** All workers at once; resolves when the broker is gone. */
  async work(open: () => Promise<KafkaConnection>, producer: { producerId: number; producerEpoch: number; sequence: number }): Promise<void> {
    await Promise.all([
      ...Array.from({ length: WRITERS }, (_, partition) => untilGone(open, (client) => this.write(client, partition))),
      untilGone(open, (client) => this.writeOnce(client)),
      untilGone(open, (client) => this.commit(client)),
      untilGone(open, (client) => this.transact(client, producer)),
    ]);
  }

  /** Ends the worker when the disk is gone and that is in order; otherwise a refusal is a failure of the test. */
  #accepted(errorCode: number): void {
    if (errorCode !== ErrorCode.NONE && this.#isDiskGone()) throw new ConnectionError('the disk is gone');
    expect(errorCode).toBe(0);
  }

  async write(client: KafkaConnection, partition: number): Promise<void> {
    const value = `${partition}-${this.sent++}-${'x'.repeat(300)}`;
    const { errorCode, baseOffset } = await produceTo(client, 'load', partition, batchOf([value]));
    this.#accepted(errorCode);
    this.acknowledged[partition]!.set(baseOffset, value);
  }

  async writeOnce(client: KafkaConnection): Promise<void> {
    if (this.producerId < 0) this.producerId = await this.freshId(client);
    const bytes = batchOf([`once-${this.sequence}`], { producerId: this.producerId, producerEpoch: 0, baseSequence: this.sequence });
    this.#accepted((await produceTo(client, 'once', 0, bytes)).errorCode);
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
    this.#accepted(answer.topics[0]!.partitions[0]!.errorCode);
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
    for (const { partitionErrorCode } of added.resultsByTopicV3AndBelow[0]!.resultsByPartition) this.#accepted(partitionErrorCode);
    for (const partition of [0, 1]) {
      const bytes = batchOf([`t${n}`], { producerId, producerEpoch, baseSequence: sequence, transactional: true });
      this.#accepted((await produceTo(client, 'tx', partition, bytes, { transactionalId: 'crash' })).errorCode);
    }
    producer.sequence++;
    const committed = n % 3 !== 0;
    this.#accepted((await client.call(EndTxn, { transactionalId: 'crash', producerId, producerEpoch, committed })).errorCode);
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
