/** Transactions: who may do what in which state, fencing, timeouts, and what a restart finds. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { StateRecord } from '../../../../src/broker/coordinator/machine.ts';
import { ProducerIds } from '../../../../src/broker/coordinator/producer-ids.ts';
import { type EndMarkers, fencedCode, type TransactionCommand, type TransactionReply, Transactions } from '../../../../src/broker/coordinator/transactions.ts';
import { ErrorCode as E } from '../../../../src/kafka/errors.ts';

const RULES = { maxTimeoutMs: 900_000, idExpirationMs: 7 * 86_400_000 };

/** A coordinator with its log and the markers it asked for; `markers` are written only when the test says so. */
class Driver {
  transactions = new Transactions(RULES);
  now = 1_000_000;
  readonly log: StateRecord[] = [];
  markers: EndMarkers[] = [];
  #fresh = 1000;

  run(command: TransactionCommand): TransactionReply {
    const { records, reply, effects } = this.transactions.decide(command, this.now);
    for (const record of records) {
      this.log.push(record);
      this.transactions.apply(record);
    }
    this.markers.push(...(effects ?? []));
    return reply ?? { errorCode: E.NONE };
  }

  /** Writes the markers that were asked for. */
  settle(): EndMarkers[] {
    const written = this.markers;
    this.markers = [];
    for (const { transactionalId } of written) this.run({ kind: 'markers-written', transactionalId });
    return written;
  }

  advance(ms: number): void {
    const until = this.now + ms;
    while (this.transactions.nextDeadline() <= until) {
      this.now = Math.max(this.now, this.transactions.nextDeadline());
      this.run({ kind: 'tick' });
    }
    this.now = until;
  }

  restart(): void {
    this.transactions = new Transactions(RULES);
    for (const record of this.log) this.transactions.apply(record);
    this.markers = this.transactions.loaded();
  }

  init(transactionalId = 'tx', { producerId = -1, epoch = -1, timeoutMs = 60_000 } = {}): TransactionReply {
    return this.run({ kind: 'init', transactionalId, producerId, epoch, timeoutMs, freshId: this.#fresh++ });
  }
  add(producerId: number, epoch: number, partitions: readonly number[] = [0]): number {
    return this.run({ kind: 'add', transactionalId: 'tx', producerId, epoch, topics: [{ topic: 't', partitions }] }).errorCode;
  }
  end(producerId: number, epoch: number, commit = true): number {
    return this.run({ kind: 'end', transactionalId: 'tx', producerId, epoch, commit }).errorCode;
  }
  get state(): string {
    return this.transactions.describe('tx').transactionState;
  }
}

let d: Driver;
beforeEach(() => {
  d = new Driver();
});

describe('InitProducerId', () => {
  it('gives a new id epoch 0 and a known one the next epoch', () => {
    expect(d.init()).toEqual({ errorCode: 0, producerId: 1000, epoch: 0 });
    expect(d.init()).toEqual({ errorCode: 0, producerId: 1000, epoch: 1 });
    d.restart();
    expect(d.init()).toEqual({ errorCode: 0, producerId: 1000, epoch: 2 });
  });

  it('refuses empty ids and timeouts out of range', () => {
    expect(d.init('').errorCode).toBe(E.INVALID_REQUEST);
    expect(d.init('tx', { timeoutMs: 0 }).errorCode).toBe(E.INVALID_TRANSACTION_TIMEOUT);
    expect(d.init('tx', { timeoutMs: 900_001 }).errorCode).toBe(E.INVALID_TRANSACTION_TIMEOUT);
  });

  it('checks the pair that a client brings, and lets it repeat a lost answer (KIP-360)', () => {
    d.init();
    expect(d.init('tx', { producerId: 1000, epoch: 0 })).toEqual({ errorCode: 0, producerId: 1000, epoch: 1 });
    expect(d.init('tx', { producerId: 1000, epoch: 0 })).toEqual({ errorCode: 0, producerId: 1000, epoch: 1 });
    expect(d.init('tx', { producerId: 1000, epoch: 7 }).errorCode).toBe(E.PRODUCER_FENCED);
    expect(d.init('tx', { producerId: 999, epoch: 1 }).errorCode).toBe(E.PRODUCER_FENCED);
    expect([fencedCode(E.PRODUCER_FENCED, false), fencedCode(E.PRODUCER_FENCED, true), fencedCode(E.NONE, false)]).toEqual([
      E.INVALID_PRODUCER_EPOCH,
      E.PRODUCER_FENCED,
      0,
    ]);
  });

  it('fences the predecessor and aborts what it left open', () => {
    d.init();
    d.add(1000, 0, [0, 3]);
    expect(d.init().errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
    expect(d.init().errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
    expect(d.markers).toEqual([{ transactionalId: 'tx', producerId: 1000, epoch: 1, commit: false, topics: [{ topic: 't', partitions: [0, 3] }] }]);
    expect(d.end(1000, 0)).toBe(E.PRODUCER_FENCED);
    d.settle();
    expect(d.state).toBe('CompleteAbort');
    expect(d.init()).toEqual({ errorCode: 0, producerId: 1000, epoch: 2 });
    expect(d.add(1000, 0)).toBe(E.PRODUCER_FENCED);
  });

  it('takes a new id when epochs run out', () => {
    d.init();
    for (let epoch = 0; epoch < 32_766; epoch++) d.init();
    expect(d.transactions.describe('tx')).toMatchObject({ producerId: 1000, producerEpoch: 32_766 });
    d.add(1000, 32_766);
    d.init();
    d.settle();
    expect(d.transactions.describe('tx').producerEpoch).toBe(32_767);
    const next = d.init();
    expect(next).toMatchObject({ errorCode: 0, epoch: 0 });
    expect(next.producerId).toBeGreaterThan(1000);
  });
});

describe('a transaction', () => {
  it('begins with the first partition, and ends with markers in each', () => {
    d.init();
    expect(d.end(1000, 0)).toBe(E.INVALID_TXN_STATE);
    expect(d.add(1000, 0, [0])).toBe(0);
    expect(d.add(1000, 0, [1, 2])).toBe(0);
    const before = d.log.length;
    expect(d.add(1000, 0, [2])).toBe(0);
    expect(d.log).toHaveLength(before);
    expect(d.transactions.describe('tx')).toMatchObject({
      transactionState: 'Ongoing',
      transactionStartTimeMs: d.now,
      topics: [{ topic: 't', partitions: [0, 1, 2] }],
    });
    expect(d.end(1000, 0)).toBe(0);
    expect(d.state).toBe('PrepareCommit');
    expect(d.add(1000, 0)).toBe(E.CONCURRENT_TRANSACTIONS);
    expect(d.end(1000, 0)).toBe(E.CONCURRENT_TRANSACTIONS);
    expect(d.end(1000, 0, false)).toBe(E.INVALID_TXN_STATE);
    expect(d.settle()).toEqual([{ transactionalId: 'tx', producerId: 1000, epoch: 0, commit: true, topics: [{ topic: 't', partitions: [0, 1, 2] }] }]);
    expect(d.state).toBe('CompleteCommit');
    expect(d.end(1000, 0)).toBe(0);
    expect(d.end(1000, 0, false)).toBe(E.INVALID_TXN_STATE);
    expect(d.add(1000, 0)).toBe(0);
    expect(d.transactions.describe('tx').topics).toEqual([{ topic: 't', partitions: [0] }]);
    expect(d.end(1000, 0, false)).toBe(0);
    expect(d.state).toBe('PrepareAbort');
  });

  it('belongs to one producer', () => {
    d.init();
    expect(d.add(999, 0)).toBe(E.INVALID_PRODUCER_ID_MAPPING);
    expect(d.add(1000, 1)).toBe(E.PRODUCER_FENCED);
    expect(d.run({ kind: 'add', transactionalId: '', producerId: 1000, epoch: 0, topics: [] }).errorCode).toBe(E.INVALID_REQUEST);
    expect(d.run({ kind: 'end', transactionalId: 'other', producerId: 1000, epoch: 0, commit: true }).errorCode).toBe(E.INVALID_PRODUCER_ID_MAPPING);
    expect(d.run({ kind: 'markers-written', transactionalId: 'other' }).errorCode).toBe(0);
  });

  it('lets batches only into partitions that were added', () => {
    d.init();
    const producer = { transactionalId: 'tx', producerId: 1000, epoch: 0 };
    expect(d.transactions.verifyPartition(producer, 't', 0)).toBe(E.INVALID_TXN_STATE);
    d.add(1000, 0, [0]);
    expect(d.transactions.verifyPartition(producer, 't', 0)).toBe(0);
    expect(d.transactions.verifyPartition(producer, 't', 1)).toBe(E.INVALID_TXN_STATE);
    expect(d.transactions.verifyPartition({ ...producer, epoch: 5 }, 't', 0)).toBe(E.INVALID_PRODUCER_EPOCH);
    expect(d.transactions.verifyPartition({ ...producer, producerId: 5 }, 't', 0)).toBe(E.INVALID_PRODUCER_ID_MAPPING);
  });

  it('that takes too long is aborted and its producer fenced', () => {
    d.init('tx', { timeoutMs: 20_000 });
    d.add(1000, 0);
    d.advance(19_999);
    expect(d.state).toBe('Ongoing');
    d.advance(1);
    expect(d.state).toBe('PrepareAbort');
    expect(d.settle()).toMatchObject([{ epoch: 1, commit: false }]);
    expect(d.end(1000, 0)).toBe(E.PRODUCER_FENCED);
    expect(d.init()).toMatchObject({ errorCode: 0, epoch: 2 });
  });

  it('that was decided is carried out after a restart; one that was open still times out', () => {
    d.init();
    d.add(1000, 0, [4]);
    d.end(1000, 0);
    d.restart();
    expect(d.markers).toEqual([{ transactionalId: 'tx', producerId: 1000, epoch: 0, commit: true, topics: [{ topic: 't', partitions: [4] }] }]);
    d.settle();
    expect(d.state).toBe('CompleteCommit');
    d.add(1000, 0);
    d.restart();
    expect(d.markers).toEqual([]);
    expect(d.state).toBe('Ongoing');
    d.advance(60_000);
    expect(d.state).toBe('PrepareAbort');
  });

  it('id that is idle for a week is forgotten', () => {
    d.init();
    d.add(1000, 0);
    d.end(1000, 0);
    d.settle();
    d.advance(7 * 86_400_000 - 1);
    expect(d.transactions.describe('tx').errorCode).toBe(0);
    d.advance(1);
    expect(d.transactions.describe('tx').errorCode).toBe(E.TRANSACTIONAL_ID_NOT_FOUND);
    d.restart();
    expect(d.transactions.describe('tx').errorCode).toBe(E.TRANSACTIONAL_ID_NOT_FOUND);
    expect(d.init().epoch).toBe(0);
  });

  it('is listed by state, producer and age', () => {
    d.init('idle');
    d.init('tx');
    d.add(1001, 0);
    const list = (filter: { stateFilters?: string[]; producerIdFilters?: number[]; durationFilter?: number }) =>
      d.transactions
        .list({ stateFilters: [], producerIdFilters: [], durationFilter: -1, ...filter }, d.now + 500)
        .transactionStates.map(({ transactionalId }) => transactionalId);
    expect(list({})).toEqual(['idle', 'tx']);
    expect(list({ stateFilters: ['Ongoing'] })).toEqual(['tx']);
    expect(list({ producerIdFilters: [1000] })).toEqual(['idle']);
    expect([list({ durationFilter: 499 }), list({ durationFilter: 500 })]).toEqual([['tx'], []]);
    expect(d.transactions.list({ stateFilters: ['Odd'], producerIdFilters: [], durationFilter: -1 }, d.now)).toMatchObject({
      unknownStateFilters: ['Odd'],
      transactionStates: [],
    });
  });
});

describe('producer ids', () => {
  it('come from blocks that were reserved first, also under a rush', async () => {
    let next = 5000;
    const reserved: number[] = [];
    const ids = new ProducerIds(async (count) => {
      reserved.push(count);
      next += count;
      return next - count;
    });
    const taken = await Promise.all(Array.from({ length: 2500 }, () => ids.take()));
    expect(new Set(taken).size).toBe(2500);
    expect(Math.min(...taken)).toBe(5000);
    expect(reserved).toEqual([1000, 1000, 1000]);
  });

  it('stay unassigned when the reservation fails, and are asked for again', async () => {
    let fail = true;
    const ids = new ProducerIds(async () => {
      if (fail) throw new Error('disk full');
      return 0;
    });
    await expect(ids.take()).rejects.toThrow('disk full');
    fail = false;
    expect(await ids.take()).toBe(0);
  });
});
