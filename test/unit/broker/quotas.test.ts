/** Rates and delays of client quotas, and which of several quotas counts. */
import { describe, expect, test } from 'vitest';
import type { Quota } from '../../../src/broker/coordinator/metadata.ts';
import { Quotas } from '../../../src/broker/quotas.ts';
import type { RequestContext } from '../../../src/broker/request.ts';
import { ManualClock } from '../../../src/lib/clock.ts';

function from(user: string, clientId: string): RequestContext {
  return { client: { principal: `User:${user}`, clientId } } as unknown as RequestContext;
}

type Name = string | null | undefined;
function quota(user: Name, clientId: Name, limit: number, key = 'producer_byte_rate'): Quota {
  const entity = [...(user === undefined ? [] : [{ type: 'user', name: user }]), ...(clientId === undefined ? [] : [{ type: 'client-id', name: clientId }])];
  return { entity, values: { [key]: limit } } as Quota;
}

describe('the delay', () => {
  test('is none below the rate, and as long as the excess takes above it', async () => {
    const clock = new ManualClock();
    const quotas = new Quotas(() => [quota('u', undefined, 1000)], clock);
    // Ten seconds' worth at once is the rate over the ten windows of a young client.
    expect(quotas.produced(from('u', 'c'), 10_000)).toBe(0);
    expect(quotas.produced(from('u', 'c'), 1000)).toBe(1000);
    await clock.advance(1000);
    expect(quotas.produced(from('u', 'c'), 0)).toBe(0);
    expect(quotas.produced(from('u', 'c'), 500)).toBeGreaterThan(1000);
    // After eleven quiet windows everything is forgiven.
    await clock.advance(12_000);
    expect(quotas.produced(from('u', 'c'), 10_000)).toBe(0);
  });

  test('holds a steady client to its rate', async () => {
    const clock = new ManualClock();
    const quotas = new Quotas(() => [quota('u', undefined, 1000)], clock);
    let sent = 0;
    const until = clock.monotonic() + 120_000;
    while (clock.monotonic() < until) {
      sent += 5000;
      await clock.advance(Math.max(10, quotas.produced(from('u', 'c'), 5000)));
    }
    expect(sent / 120).toBeGreaterThan(900);
    expect(sent / 120).toBeLessThan(1200);
  });

  test('is at most thirty seconds; producing and fetching are counted apart', () => {
    const quotas = new Quotas(() => [quota('u', undefined, 1), quota('u', undefined, 1_000_000, 'consumer_byte_rate')], new ManualClock());
    expect(quotas.produced(from('u', 'c'), 1_000_000)).toBe(30_000);
    expect(quotas.fetched(from('u', 'c'), 1_000_000)).toBe(0);
  });
});

describe('request_percentage', () => {
  test('counts the time that requests keep the loop busy, and makes the client wait a second at most', async () => {
    const clock = new ManualClock();
    const quotas = new Quotas(() => [quota('u', undefined, 10, 'request_percentage')], clock);
    // A tenth of ten seconds is a second.
    expect(quotas.worked(from('u', 'c'), 1000)).toBe(0);
    expect(quotas.worked(from('u', 'c'), 50)).toBe(500);
    expect(quotas.worked(from('u', 'c'), 5000)).toBe(1000);
    expect(quotas.worked(from('v', 'c'), 5000)).toBe(0);
    await clock.advance(12_000);
    expect(quotas.worked(from('u', 'c'), 1000)).toBe(0);
  });
});

describe('controller_mutation_rate', () => {
  const asking = (clientId = 'c') => {
    const waits: number[] = [];
    const context = { client: { principal: 'User:u', clientId }, throttle: (ms: number) => void (ms > 0 && waits.push(ms)) } as unknown as RequestContext;
    return { context, waits };
  };
  const limited = (clock = new ManualClock()) => ({ clock, quotas: new Quotas(() => [quota('u', undefined, 2, 'controller_mutation_rate')], clock) });

  test('eleven seconds’ worth is there at once, the last change may exceed it, then a client is refused until time has made up for it', async () => {
    const { clock, quotas } = limited();
    const { context, waits } = asking();
    const first = quotas.mutations(context, true);
    expect([first.charge(20), first.charge(10), first.charge(1), first.throttleTimeMs()]).toEqual([true, true, false, 4000]);
    expect(waits).toEqual([4000]);
    await clock.advance(3900);
    const early = quotas.mutations(context, true);
    expect([early.charge(1), early.throttleTimeMs()]).toEqual([false, 100]);
    await clock.advance(200);
    const later = quotas.mutations(context, true);
    expect([later.charge(1), later.throttleTimeMs()]).toEqual([true, 0]);
  });

  test('a client that does not know the code has its way and waits afterwards', () => {
    const { quotas } = limited();
    const { context, waits } = asking();
    const one = quotas.mutations(context, false);
    expect([one.charge(30), one.charge(2), one.throttleTimeMs()]).toEqual([true, true, 5000]);
    expect(waits).toEqual([5000]);
  });

  test('what a client owes is not forgotten because many others come', async () => {
    const clock = new ManualClock();
    const quotas = new Quotas(() => [quota(undefined, null, 1, 'controller_mutation_rate')], clock);
    const charge = (clientId: string, partitions: number): boolean => quotas.mutations(asking(clientId).context, true).charge(partitions);
    expect(charge('greedy', 100)).toBe(true);
    expect(charge('modest', 1)).toBe(true);
    await clock.advance(12_000);
    for (let i = 0; i < 1000; i++) charge(`c${i}`, 1);
    expect(quotas.size).toBe(1001);
    expect(charge('greedy', 1)).toBe(false);
  });

  test('the wait fits into the answer', () => {
    const quotas = new Quotas(() => [quota('u', undefined, 1e-6, 'controller_mutation_rate')], new ManualClock());
    const one = quotas.mutations(asking().context, false);
    expect([one.charge(1000), one.throttleTimeMs()]).toEqual([true, 2 ** 31 - 1]);
  });

  test('nobody else waits', () => {
    const { quotas } = limited();
    const all = new Quotas(() => [], new ManualClock());
    const other = asking().context;
    expect([all.mutations(other, true).charge(1e9), all.mutations(other, true).throttleTimeMs()]).toEqual([true, 0]);
    expect(quotas.size).toBe(0);
  });
});

describe('the most specific quota counts', () => {
  const all = [
    quota(undefined, null, 1),
    quota(undefined, 'c', 2),
    quota(null, undefined, 3),
    quota(null, null, 4),
    quota(null, 'c', 5),
    quota('u', undefined, 6),
    quota('u', null, 7),
    quota('u', 'c', 8),
  ];

  test('user and client, user with default client, user; then the same of the default user; then clients', () => {
    const order = [8, 7, 6, 5, 4, 3, 2, 1];
    for (let i = 0; i < order.length; i++) {
      const left = all.filter(({ values }) => order.indexOf(values.producer_byte_rate as number) >= i);
      const most = Math.max(...left.map(({ values }) => values.producer_byte_rate as number));
      expect(new Quotas(() => left, new ManualClock()).produced(from('u', 'c'), most * 10 + 1)).toBeGreaterThan(0);
      expect(new Quotas(() => left, new ManualClock()).produced(from('u', 'c'), most * 10)).toBe(0);
    }
  });

  test('quotas of a user are shared by its clients, default ones are not', () => {
    const shared = new Quotas(() => [quota('u', undefined, 1000)], new ManualClock());
    shared.produced(from('u', 'one'), 10_000);
    expect(shared.produced(from('u', 'two'), 1)).toBeGreaterThan(0);
    const each = new Quotas(() => [quota(undefined, null, 1000)], new ManualClock());
    each.produced(from('u', 'one'), 10_000);
    expect(each.produced(from('u', 'two'), 1)).toBe(0);
    expect(each.produced(from('v', 'one'), 1)).toBeGreaterThan(0);
  });

  test('quotas by address are kept for tools and bind nobody', () => {
    const quotas = new Quotas(() => [{ entity: [{ type: 'ip', name: null }], values: { producer_byte_rate: 1 } } as Quota], new ManualClock());
    expect(quotas.produced(from('u', 'c'), 1_000_000)).toBe(0);
  });
});
