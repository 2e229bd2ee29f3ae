// The spillable channel against a list: one order over memory and disk, whatever spills when. Over a stop nothing is lost;
// over a crash what had gone to disk is kept.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import spillable from '../../src/agent/channels/spillable.ts';
import type { Channel, Lease } from '../../src/agent/core/channel.ts';
import { ManualClock } from '../../src/lib/clock.ts';
import { MemoryDisk } from '../../src/lib/memory-disk.ts';
import { configOf, contextOf, type Modelled, ModelledChannel, never, operationsFailEverywhere, powerGoesOffEverywhere } from '../channel-model.ts';

const RAW = {
  transactionCapacity: '50',
  overflowCapacity: '300',
  overflowTimeout: '0',
  checkpointDir: '/c',
  dataDirs: '/d',
  minimumRequiredSpace: '0',
  maxFileSize: '3000',
};

type Step = readonly ['put', number] | readonly ['take', number] | readonly ['end', number, number];
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('put' as const), fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 50 }))),
  fc.tuple(fc.constant('take' as const), fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 50 }))),
  fc.tuple(fc.constant('end' as const), fc.nat(5), fc.constantFrom(0, 0.4, 1, 1)),
);

async function idsOf(channel: Channel): Promise<number[]> {
  const ids: number[] = [];
  while (channel.gauges().size > 0) {
    const lease = (await channel.take(50, never)) as Lease;
    ids.push(...lease.events.map(({ body }) => body.readUInt32BE(0)));
    await lease.commit();
  }
  return ids;
}

test.each([
  ['5 % free memory ends spilling', '40', '5'],
  ['half of it must be free', '100', '50'],
  ['no memory at all', '0', '5'],
])('behaves as a list does: %s', async (_name, memoryCapacity, overflowDeactivationThreshold) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), fc.boolean(), async (steps, crash) => {
      const disk = new MemoryDisk();
      const config = configOf(spillable, { ...RAW, memoryCapacity, overflowDeactivationThreshold });
      const make = () => {
        const { ctx, voice } = contextOf(disk, new ManualClock());
        return { channel: spillable.create(config, ctx), voice };
      };
      const model = new ModelledChannel(make);
      await model.open();
      for (const [what, a, b] of steps) {
        if (what === 'put') await model.put(a);
        else if (what === 'take') await model.take(a);
        else {
          const index = a % Math.max(1, model.lent.length);
          await model.end(index, Math.round((model.lent[index]?.ids.length ?? 0) * b));
        }
        model.check();
      }
      for (let i = model.lent.length; i > 0; i--) await model.end(0, 0);
      const onDisk = Number(model.channel.extraGauges?.().EventsOnDisk);
      if (crash) disk.crash();
      else await model.channel.stop();
      const { channel } = make();
      await channel.start();
      const ids = await idsOf(channel);
      if (crash) {
        expect(ids.length).toBe(onDisk);
        expect(ids.filter((id) => !model.waiting.includes(id))).toEqual([]);
        expect(ids).toEqual([...ids].sort((x, y) => x - y));
      } else expect([...ids].sort((x, y) => x - y)).toEqual(model.waiting);
      await channel.stop();
      expect(disk.openFiles).toBe(0);
    }),
    { numRuns: 60 },
  );
});

describe('without memory, where nothing may be lost', () => {
  const config = configOf(spillable, { ...RAW, memoryCapacity: '0' });
  const modelled: Modelled = (disk, clock) =>
    new ModelledChannel(() => {
      const { ctx, voice } = contextOf(disk, clock);
      return { channel: spillable.create(config, ctx), voice };
    });

  test('the power goes off at every change in turn', () => powerGoesOffEverywhere(modelled));

  test('every kind of operation fails once, at every place in turn, and work goes on', () => operationsFailEverywhere(modelled, 40));
});
