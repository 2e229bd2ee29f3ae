/** Commands that are not there, do not live, or print what nobody expects. */
import fs from 'node:fs';
import { expect } from 'vitest';
import { until } from './agent-process.ts';
import { type Fault, PROOF, type Rig, testFaults } from './fault-rig.ts';

const exec = (command: string, more = ''): string => `sources.r1.type = exec\n sources.r1.shell = /bin/sh -c\n sources.r1.command = ${command}\n${more}`;
const TO_NULL = 'sinks.k1.type = null\n sinks.k1.batchSize = 1000';

/** A flow that has nothing to do with the command. */
const BESIDES = `sources = r1 r2
  sources.r2.type = seq
  sources.r2.totalEvents = 5
  sources.r2.channels = c1`;

const received = async (rig: Rig): Promise<number> => (await rig.component('r1')).counters.EventReceivedCount as number;

/** Lines of 200 bytes: 1 GB, or 50 MB. */
const MUCH = PROOF ? 5_000_000 : 250_000;

const faults: readonly Fault[] = [
  {
    name: 'exec command missing',
    lines: `sources.r1.type = exec\n sources.r1.command = $DIR/tool --lines\n${BESIDES}`,
    bring: async (rig) => {
      await rig.agent.says('tool": no such program');
      expect((await rig.component('r1')).status).toBe('retrying');
      expect(await rig.health()).toBe(503);
      await rig.delivers(5);
      rig.accepted += 5;
    },
    survive: async (rig) => {
      fs.writeFileSync(rig.path('tool'), '#!/bin/sh\necho here\nexec sleep 600\n', { mode: 0o755 });
      await rig.delivers(6);
      expect(rig.delivered.at(-1)).toBe('here');
      await rig.becomes('r1', 'running');
    },
  },
  {
    name: 'exec command crashing in a loop',
    lines: exec('echo alive; exit 3', ' sources.r1.restart = true\n sources.r1.restartThrottle = 100'),
    bring: async (rig) => {
      await rig.delivers(3);
      rig.accepted += 3;
    },
    survive: async (rig) => {
      await rig.agent.says('Restarting in 100ms, exit code 3');
      const [began, before] = [performance.now(), await received(rig)];
      await rig.delivers(before + 5);
      // Not more often than the throttle says.
      expect(performance.now() - began).toBeGreaterThan(4 * 90);
      expect(new Set(rig.delivered)).toEqual(new Set(['alive']));
    },
  },
  {
    name: 'exec command printing without newline',
    lines: exec("yes x | tr -d '\\\\n'", TO_NULL),
    bring: async (rig) => {
      await rig.agent.says('is cut into several events');
      await expect.poll(() => received(rig), { timeout: 60_000 }).toBeGreaterThan(PROOF ? 60 : 6);
    },
    survive: async (rig) => {
      expect(rig.peakMegabytes).toBeLessThan(400);
      expect((await rig.component('r1')).counters.EventReceivedCount).toBeGreaterThan(0);
      expect(await rig.health()).toBe(200);
    },
  },
  {
    name: 'exec command with much output',
    lines: exec(`yes ${'x'.repeat(199)} | head -n ${MUCH}; exec sleep 600`, TO_NULL),
    bring: (rig) => expect.poll(() => received(rig), { timeout: 60_000 }).toBeGreaterThan(1_000),
    survive: async (rig) => {
      await expect.poll(() => received(rig), { timeout: PROOF ? 300_000 : 60_000 }).toBe(MUCH);
      await expect.poll(async () => (await rig.status()).flows[0]).toMatchObject({ received: MUCH, delivered: MUCH, inChannel: 0, gap: 0 });
      expect(rig.peakMegabytes).toBeLessThan(250);
    },
  },
  {
    name: 'exec command with much output',
    where: 'into a channel whose sink is slow',
    lines: exec(
      'seq 1 20000; echo done > done; exec sleep 600',
      'channels.c1.capacity = 100\n channels.c1.transactionCapacity = 100\n channels.c1.keep-alive = 0',
    ),
    bring: (rig) => expect.poll(() => received(rig), { timeout: 60_000 }).toBeGreaterThan(1),
    survive: async (rig) => {
      await rig.delivers(20_000);
      expect(rig.delivered).toEqual(Array.from({ length: 20_000 }, (_, i) => `${i + 1}`));
      await until(
        () => fs.existsSync(rig.path('done')),
        () => 'the command to get rid of its output',
      );
    },
  },
];

testFaults(faults);
