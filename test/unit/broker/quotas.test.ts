/** Rates and delays of client quotas, and which of several quotas counts. */
import { describe, expect, test } from 'vitest';
import type { Quota } from '../../../src/broker/coordinator/metadata.ts';
import { QuotaLimits } from '../../../src/broker/coordinator/quota-limits.ts';
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

function limits(quotas: readonly Quota[]): QuotaLimits {
  const all = new QuotaLimits();
  for (const { entity, values } of quotas) all.set(entity, values);
  return all;
}

describe('the delay', () => {
  test('is none below the rate, and as long as the excess takes above it', async () => {
    const clock = new ManualClock();
    const quotas = new Quotas(limits([quota('u', undefined, 1000)]), clock);
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
    const quotas = new Quotas(limits([quota('u', undefined, 1000)]), clock);
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
    const quotas = new Quotas(limits([{ ...quota('u', undefined, 1), values: { producer_byte_rate: 1, consumer_byte_rate: 1_000_000 } }]), new ManualClock());
    expect(quotas.produced(from('u', 'c'), 1_000_000)).toBe(30_000);
    expect(quotas.fetched(from('u', 'c'), 1_000_000)).toBe(0);
  });
});

describe('request_percentage', () => {
  test('counts the time that requests keep the loop busy, and makes the client wait a second at most', async () => {
    const clock = new ManualClock();
    const quotas = new Quotas(limits([quota('u', undefined, 10, 'request_percentage')]), clock);
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
  const limited = (clock = new ManualClock()) => ({ clock, quotas: new Quotas(limits([quota('u', undefined, 2, 'controller_mutation_rate')]), clock) });

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
    const quotas = new Quotas(limits([quota(undefined, null, 1, 'controller_mutation_rate')]), clock);
    const charge = (clientId: string, partitions: number): boolean => quotas.mutations(asking(clientId).context, true).charge(partitions);
    expect(charge('greedy', 100)).toBe(true);
    expect(charge('modest', 1)).toBe(true);
    await clock.advance(12_000);
    for (let i = 0; i < 1000; i++) charge(`c${i}`, 1);
    expect(quotas.size).toBe(1001);
    expect(charge('greedy', 1)).toBe(false);
  });

  test('the wait fits into the answer', () => {
    const quotas = new Quotas(limits([quota('u', undefined, 1e-6, 'controller_mutation_rate')]), new ManualClock());
    const one = quotas.mutations(asking().context, false);
    expect([one.charge(1000), one.throttleTimeMs()]).toEqual([true, 2 ** 31 - 1]);
  });

  test('nobody else waits', () => {
    const { quotas } = limited();
    const all = new Quotas(limits([]), new ManualClock());
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
      expect(new Quotas(limits(left), new ManualClock()).produced(from('u', 'c'), most * 10 + 1)).toBeGreaterThan(0);
      expect(new Quotas(limits(left), new ManualClock()).produced(from('u', 'c'), most * 10)).toBe(0);
    }
  });

  test('quotas of a user are shared by its clients, default ones are not', () => {
    const shared = new Quotas(limits([quota('u', undefined, 1000)]), new ManualClock());
    shared.produced(from('u', 'one'), 10_000);
    expect(shared.produced(from('u', 'two'), 1)).toBeGreaterThan(0);
    const each = new Quotas(limits([quota(undefined, null, 1000)]), new ManualClock());
    each.produced(from('u', 'one'), 10_000);
    expect(each.produced(from('u', 'two'), 1)).toBe(0);
    expect(each.produced(from('v', 'one'), 1)).toBeGreaterThan(0);
  });

  test('of many quotas that come and go the same one counts as when all are looked through', () => {
    const random = randomFrom(20261121);
    const pick = <T>(...of: T[]): T => of[Math.floor(random() * of.length)] as T;
    const names: Name[] = [undefined, null, 'a', 'b', 'c'];
    const index = new QuotaLimits();
    const model = new Map<string, Quota>();
    for (let step = 0; step < 2000; step++) {
      const [user, client] = [pick(...names), pick(...names)];
      if (user === undefined && client === undefined) continue;
      const { entity } = quota(user, client, 0);
      const values = pick(undefined, { producer_byte_rate: step }, { consumer_byte_rate: step }, { producer_byte_rate: step, consumer_byte_rate: -step });
      index.set(entity, values);
      if (values) model.set(JSON.stringify(entity), { entity, values } as Quota);
      else model.delete(JSON.stringify(entity));
      for (const key of ['producer_byte_rate', 'consumer_byte_rate']) {
        const [asker, clientId] = [pick('a', 'b', 'c', 'd', ''), pick('a', 'b', 'c', 'd', '')];
        expect(index.find(key, asker, clientId)?.limit, `${key} of ${asker}/${clientId} after step ${step}`).toBe(naive(model.values(), key, asker, clientId));
      }
    }
    expect(model.size).toBeGreaterThan(5);
  });

  test('looking up does not take longer with thousands of quotas than with ten', () => {
    const time = (count: number): number => {
      const index = limits(Array.from({ length: count }, (_, i) => quota(`u${i}`, pickName(i), i + 1)));
      const began = performance.now();
      for (let i = 0; i < 20_000; i++) index.find('producer_byte_rate', `u${i % count}`, 'c');
      return performance.now() - began;
    };
    time(10);
    // Looking through all would be two thousand times as long.
    expect(time(20_000)).toBeLessThan(Math.max(1, time(10)) * 200);
  });
});

const pickName = (i: number): Name => [undefined, null, 'c'][i % 3];

/** All that fit, the most specific by Kafka's order. */
function naive(quotas: Iterable<Quota>, key: string, user: string, clientId: string): number | undefined {
  const order = [
    [user, clientId],
    [user, null],
    [user, undefined],
    [null, clientId],
    [null, null],
    [null, undefined],
    [undefined, clientId],
    [undefined, null],
  ];
  const all = [...quotas];
  for (const [byUser, byClient] of order) {
    const wanted = JSON.stringify(quota(byUser, byClient, 0).entity);
    const found = all.find(({ entity, values }) => JSON.stringify(entity) === wanted && values[key] !== undefined);
    if (found) return found.values[key];
  }
  return undefined;
}

function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('connection_creation_rate', () => {
  const ip = (name: string | null, rate: number): Quota => ({ entity: [{ type: 'ip', name }], values: { connection_creation_rate: rate } });

  test('an address above its rate is made to wait, a second at most, and what was refused does not count', async () => {
    const clock = new ManualClock();
    const quotas = new Quotas(limits([ip('10.0.0.1', 2)]), clock);
    for (let i = 0; i < 20; i++) expect(quotas.connected('10.0.0.1')).toBe(0);
    for (let i = 0; i < 100; i++) expect(quotas.connected('10.0.0.1')).toBe(500);
    expect(quotas.connected('10.0.0.2')).toBe(0);
    await clock.advance(12_000);
    expect(quotas.connected('10.0.0.1')).toBe(0);
  });

  test('the address counts before its name, that before the default of all; every address has a rate of its own', () => {
    const quotas = new Quotas(limits([ip('10.0.0.1', 3), ip('host', 2), ip(null, 1), ip('0:0:0:0:0:0:0:1', 4)]), new ManualClock());
    const room = (address: string, host?: string): number => {
      let count = 0;
      while (quotas.connected(address, host) === 0) count++;
      return count;
    };
    expect([room('10.0.0.1', 'host'), room('10.0.0.2', 'host'), room('10.0.0.3'), room('10.0.0.4'), room('::1')]).toEqual([30, 20, 10, 10, 40]);
  });

  test('quotas of addresses bind no requests', () => {
    const quotas = new Quotas(limits([{ entity: [{ type: 'ip', name: null }], values: { producer_byte_rate: 1 } }]), new ManualClock());
    expect(quotas.produced(from('u', 'c'), 1_000_000)).toBe(0);
  });
});
