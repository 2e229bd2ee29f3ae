import { expect, it } from 'vitest';
import { type Handed, KafkaLedger } from '../../../../src/agent/channels/kafka-ledger.ts';
import { Assigned } from '../../../../src/kafka/client/assigned.ts';

function handed(partition: Assigned, from: number, count: number): Handed {
  partition.position = from + count;
  return {
    events: Array.from({ length: count }, (_, i) => ({ headers: {}, body: Buffer.from(`${from + i}`) })),
    partitions: Array.from({ length: count }, () => partition),
    nextOffsets: Array.from({ length: count }, (_, i) => from + i + 1),
    sequences: [],
  };
}

function setUp() {
  const ledger = new KafkaLedger();
  const partition = new Assigned('t', 0);
  partition.seek(0);
  const hand = (from: number, count: number): Handed => {
    const one = handed(partition, from, count);
    ledger.hand(one);
    return one;
  };
  return { ledger, partition, hand };
}

it('makes offsets safe only without a gap', () => {
  const { ledger, partition, hand } = setUp();
  const [a, b] = [hand(0, 3), hand(3, 3)];
  ledger.settle(b, 3);
  expect(partition.safe).toBe(0);
  ledger.settle(a, 2);
  expect(partition.safe).toBe(2);
  ledger.giveBack(a, 2);
  const again = ledger.takeReturned(10) as Handed;
  expect(again.events.map(({ body }) => body.toString())).toEqual(['2']);
  ledger.settle(again, 1);
  expect(partition.safe).toBe(6);
  expect(ledger.lent).toBe(0);
});

it('hands returned records out first and in their order, whichever came back first', () => {
  const { ledger, hand } = setUp();
  const [a, b] = [hand(0, 2), hand(2, 2)];
  ledger.giveBack(b, 0);
  ledger.giveBack(a, 0);
  expect(ledger.takeReturned(3)?.nextOffsets).toEqual([1, 2, 3]);
  expect(ledger.returned).toBe(1);
});

it('forgets what belongs to others now', () => {
  const { ledger, partition, hand } = setUp();
  const [a, b] = [hand(0, 2), hand(2, 2)];
  ledger.giveBack(a, 0);
  partition.revoked = true;
  ledger.dropRevoked();
  ledger.giveBack(b, 0);
  expect(ledger.takeReturned(10)).toBeNull();
  expect(ledger.lent).toBe(0);
});
