/** The memory channel against a list: any mix of puts, takes, whole and partial commits and rollbacks by several readers. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import memory from '../../src/agent/channels/memory.ts';
import type { Lease } from '../../src/agent/core/channel.ts';
import type { ChannelContext } from '../../src/agent/core/define.ts';
import type { Event } from '../../src/agent/core/event.ts';
import { ManualClock } from '../../src/lib/clock.ts';

const CAPACITY = 300;
const SLOTS = 1500;
const config = {
  capacity: CAPACITY,
  transactionCapacity: 100,
  ackThrough: false,
  'keep-alive': 0,
  byteCapacity: SLOTS * 125,
  byteCapacityBufferPercentage: 20,
};
const never = new AbortController().signal;

type Step =
  | { readonly do: 'put'; readonly count: number; readonly bytes: number; readonly header: number }
  | { readonly do: 'take'; readonly max: number }
  | { readonly do: 'commit'; readonly which: number; readonly share: number }
  | { readonly do: 'rollback'; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      count: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 100 })),
      bytes: fc.integer({ min: 4, max: 900 }),
      header: fc.integer({ min: 0, max: 400 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('take' as const), max: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 })) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('commit' as const), which: fc.nat(9), share: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rollback' as const), which: fc.nat(9) }) },
);

/** Number of an event, written into its body. */
const numberOf = (event: { body: Buffer }): number => event.body.readUInt32BE(0);
const slots = (event: { body: Buffer }): number => Math.max(1, Math.ceil(event.body.length / 100));

class Model {
  readonly waiting: Event[] = [];
  readonly lent: { lease: Lease; events: Event[] }[] = [];
  next = 0;
  get held(): Event[] {
    return [...this.waiting, ...this.lent.flatMap((loan) => loan.events)];
  }
  giveBack(events: readonly Event[]): void {
    this.waiting.push(...events);
    this.waiting.sort((a, b) => numberOf(a) - numberOf(b));
  }
}

async function run(steps: readonly Step[]): Promise<void> {
  const channel = memory.create(config, { clock: new ManualClock() } as unknown as ChannelContext);
  await channel.start();
  const model = new Model();
  for (const action of steps) {
    if (action.do === 'put') {
      const batch = Array.from({ length: action.count }, (): Event => {
        const body = Buffer.alloc(action.bytes);
        body.writeUInt32BE(model.next++);
        return { headers: action.header > 0 ? { h: 'x'.repeat(action.header) } : {}, body };
      });
      const stored = await channel.put(batch, never).then(
        () => true,
        () => false,
      );
      const after = [...model.held, ...batch];
      const bodySlots = after.reduce((sum, event) => sum + slots(event), 0);
      const headerBytes = after.reduce((sum, event) => sum + Math.max(0, (event.headers.h?.length ?? -1) + 1 - slots(event) * 25), 0);
      expect(stored).toBe(after.length <= CAPACITY && bodySlots * 100 + headerBytes <= SLOTS * 100);
      if (stored) model.waiting.push(...batch);
    } else if (action.do === 'take') {
      if (model.waiting.length === 0) continue;
      const lease = (await channel.take(action.max, never)) as Lease;
      const expected = model.waiting.splice(0, action.max);
      expect(lease.events.map(numberOf)).toEqual(expected.map(numberOf));
      model.lent.push({ lease, events: expected });
    } else {
      const loan = model.lent.splice(action.which % Math.max(1, model.lent.length), 1)[0];
      if (loan === undefined) continue;
      const gone = action.do === 'commit' ? Math.round(action.share * loan.events.length) : 0;
      if (action.do === 'commit') await loan.lease.commit(gone);
      else loan.lease.rollback();
      model.giveBack(loan.events.slice(gone));
    }
    expect(channel.gauges()).toEqual({ size: model.waiting.length, capacity: CAPACITY, lent: model.lent.reduce((sum, loan) => sum + loan.events.length, 0) });
  }
  for (const loan of model.lent.splice(0)) {
    loan.lease.rollback();
    model.giveBack(loan.events);
  }
  while (model.waiting.length > 0) {
    const lease = (await channel.take(100, never)) as Lease;
    expect(lease.events.map(numberOf)).toEqual(model.waiting.splice(0, 100).map(numberOf));
    await lease.commit();
  }
}

test('behaves as a list does', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 120 }), run), { numRuns: 400 });
});

test('writers and readers that wait for each other lose, double and reorder nothing', async () => {
  const scenario = fc.record({
    sizes: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 60 }),
    readers: fc.integer({ min: 1, max: 4 }),
    seed: fc.integer(),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ sizes, readers, seed }) => {
      const channel = memory.create({ ...config, ackThrough: false, 'keep-alive': 1000 }, { clock: new ManualClock() } as unknown as ChannelContext);
      await channel.start();
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const stop = new AbortController();
      const seen: number[] = [];
      let random = seed >>> 0;
      const pick = (below: number): number => {
        random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
        return Math.floor((random / 2 ** 32) * below);
      };
      const read = async (): Promise<void> => {
        for (let lease = await channel.take(1 + pick(100), stop.signal); lease !== null; lease = await channel.take(1 + pick(100), stop.signal)) {
          const numbers = lease.events.map(numberOf);
          expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
          await Promise.resolve();
          const gone = pick(3) === 0 ? pick(numbers.length + 1) : numbers.length;
          if (gone === 0) lease.rollback();
          else await lease.commit(gone);
          seen.push(...numbers.slice(0, gone));
          if (seen.length === total) stop.abort();
        }
      };
      const write = async (): Promise<void> => {
        let next = 0;
        for (const size of sizes) {
          const batch = Array.from({ length: size }, (): Event => {
            const body = Buffer.alloc(50);
            body.writeUInt32BE(next++);
            return { headers: {}, body };
          });
          await channel.put(batch, never);
        }
      };
      await Promise.all([write(), ...Array.from({ length: readers }, read)]);
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, i) => i));
      expect(channel.gauges()).toMatchObject({ size: 0, lent: 0 });
    }),
    { numRuns: 200 },
  );
});
