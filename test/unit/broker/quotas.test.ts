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
