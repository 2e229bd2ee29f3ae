// The file channel against a naive queue, on a disk that fails, tears and forgets. A story: an acknowledged put must come out
// again whatever the power does; a refused one must be there whole or not at all; nothing else may appear.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import file from '../../src/agent/channels/file.ts';
import { ManualClock } from '../../src/lib/clock.ts';
import { MemoryDisk } from '../../src/lib/memory-disk.ts';
import { configOf, contextOf, type Modelled, ModelledChannel, operationsFailEverywhere, powerGoesOffEverywhere } from '../channel-model.ts';

const RAW = {
  capacity: '400',
  transactionCapacity: '100',
  'keep-alive': '0',
  checkpointDir: '/c',
  dataDirs: '/d1',
  maxFileSize: '3000',
  minimumRequiredSpace: '0',
};
const VARIANTS: readonly (readonly [string, Record<string, string>])[] = [
  ['one directory', {}],
  ['three directories', { dataDirs: '/d1,/d2,/d3' }],
  ['a backup of the checkpoint', { useDualCheckpoints: 'true', backupCheckpointDir: '/b', compressBackupCheckpoint: 'true', checkpointOnClose: 'false' }],
];

function modelled(disk: MemoryDisk, more: Record<string, string>, clock: ManualClock): ModelledChannel {
  const config = configOf(file, { ...RAW, ...more });
  return new ModelledChannel(() => {
    const { ctx, voice } = contextOf(disk, clock);
    return { channel: file.create(config, ctx), voice };
  });
}

type Step =
  | { readonly do: 'put'; readonly count: number }
  | { readonly do: 'take'; readonly max: number }
  | { readonly do: 'end'; readonly which: number; readonly share: number }
  | { readonly do: 'crash'; readonly tear: boolean }
  | { readonly do: 'stop' }
  | { readonly do: 'time'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), count: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 })) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('take' as const), max: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 })) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(5), share: fc.constantFrom(0, 0.3, 0.5, 1, 1, 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), tear: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ do: 'stop' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('time' as const), ms: fc.constantFrom(500, 31_000) }) },
);

async function perform(model: ModelledChannel, disk: MemoryDisk, clock: ManualClock, action: Step): Promise<void> {
  if (action.do === 'put') await model.put(action.count);
  else if (action.do === 'take') await model.take(action.max);
  else if (action.do === 'end') {
    const index = action.which % Math.max(1, model.lent.length);
    await model.end(index, Math.round((model.lent[index]?.ids.length ?? 0) * action.share));
  } else if (action.do === 'crash') {
    disk.crash({ tear: action.tear });
    await model.reopenAfterCrash();
  } else if (action.do === 'stop') await model.reopenAfterStop();
  else await clock.advance(action.ms);
}

describe.each(VARIANTS)('%s', (_name, more) => {
  const of: Modelled = (disk, clock) => modelled(disk, more, clock);

  test('behaves as a list does, over crashes and stops', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer(), async (steps, seed) => {
        const disk = new MemoryDisk(seed);
        const clock = new ManualClock();
        const model = of(disk, clock);
        await model.open();
        for (const action of steps) {
          await perform(model, disk, clock, action);
          model.check();
        }
        await model.reopenAfterStop();
        expect(disk.openFiles).toBeGreaterThan(0);
        await model.channel.stop();
        expect(disk.openFiles).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test('the power goes off at every change in turn', () => powerGoesOffEverywhere(of));

  test('every kind of operation fails once, at every place in turn, and work goes on', () => operationsFailEverywhere(of, 60));
});
