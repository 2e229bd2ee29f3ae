// The jdbc channel against a list: random puts, takes, commits and rollbacks, over stops and kills. A kill is a copy of the files
// as they are at that moment: what was acknowledged must be in it, and nothing else may be. Without SQLite it is skipped by name.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import jdbc from '../../src/agent/channels/jdbc.ts';
import { ManualClock } from '../../src/lib/clock.ts';
import { configOf, contextOf, ModelledChannel } from '../channel-model.ts';
import { compiled } from '../sqlite.ts';

const places: string[] = [];
afterEach(() => {
  for (const dir of places.splice(0)) fs.rmSync(dir, { recursive: true, force: true });
});

type Step = readonly ['put', number] | readonly ['take', number] | readonly ['end', number, number] | readonly ['kill' | 'stop'];
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('put' as const), fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 300 }))) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('take' as const), fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 300 }))) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('end' as const), fc.nat(5), fc.constantFrom(0, 0.3, 0.5, 1, 1, 1)) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('kill' as const, 'stop' as const)) },
);

/** A channel whose directory a kill copies, so that the next instance finds what the killed one left. */
function modelled(root: string): { readonly model: ModelledChannel; kill(): Promise<void> } {
  let life = 0;
  const place = (): string => path.join(root, String(life));
  const model = new ModelledChannel(() => {
    const { ctx, voice } = contextOf(undefined, new ManualClock());
    return { channel: jdbc.create(configOf(jdbc, { 'driver.url': `jdbc:sqlite:${place()}/events.sqlite` }), ctx), voice };
  });
  return {
    model,
    async kill() {
      const [left, { channel }] = [place(), model];
      life++;
      fs.cpSync(left, place(), { recursive: true });
      fs.rmSync(path.join(place(), 'in_use.lock'), { force: true });
      await channel.stop();
      fs.rmSync(left, { recursive: true });
      await model.reopenAfterCrash();
    },
  };
}

describe.runIf(compiled)('with SQLite', () => {
  test('behaves as a list does, over kills and stops', async () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-jdbc-model-'));
    places.push(root);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { model, kill } = modelled(path.join(root, String(run++)));
        await model.open();
        for (const [what, a = 0, b = 0] of steps) {
          if (what === 'put') await model.put(a);
          else if (what === 'take') await model.take(a);
          else if (what === 'end') {
            const index = a % Math.max(1, model.lent.length);
            await model.end(index, Math.round((model.lent[index]?.ids.length ?? 0) * b));
          } else if (what === 'kill') await kill();
          else await model.reopenAfterStop();
        }
        await model.reopenAfterStop();
        model.check();
        await model.channel.stop();
        expect(model.voice.extra.EventsLostCount ?? 0).toBe(0);
      }),
      { numRuns: process.env.MILLRACE_PROOF ? 300 : 25 },
    );
  });
});
