import { expect, test } from 'vitest';
import { eventOf } from '../../../../src/agent/core/event.ts';
import processor from '../../../../src/agent/processors/default.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';

const ctx = { clock: new ManualClock(), log: {} as never };
const member = (name: string) => ({ name, deliver: async () => 7 });

test('hands the batch on and the answer back', async () => {
  expect(await processor.create({}, [member('k1')], ctx).deliver([eventOf(Buffer.alloc(0))])).toBe(7);
});

test('refuses several sinks in the words of Flume', () => {
  expect(() => processor.create({}, [member('k1'), member('k2')], ctx)).toThrow('DefaultSinkProcessor cannot handle multiple sinks');
});
