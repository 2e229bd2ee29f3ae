/** What happens to files in a spool directory that nobody should touch. The sink is blocked, so that a file is half read. */
import fs from 'node:fs';
import { expect } from 'vitest';
import { until } from './agent-process.ts';
import { type Rig, SHORT_STOP, SPOOLDIR, STEERED, testFaults } from './fault-rig.ts';

const LINES = Array.from({ length: 1_000 }, (_, i) => `line ${i}`);

/** A file of which a part is read and the rest waits, because nothing is delivered. */
async function halfRead(rig: Rig): Promise<void> {
  rig.steer('blocked', true);
  rig.drop('big', `${LINES.join('\n')}\n`);
  await expect.poll(async () => (await rig.status()).flows[0]?.inChannel, { timeout: 20_000 }).toBe(100);
  rig.accepted += 100;
  await rig.becomes('r1', 'degraded');
}

async function completes(rig: Rig, name: string): Promise<void> {
  await until(
    () => rig.spooled(`${name}.COMPLETED`),
    () => `${name} to be completed:\n${rig.agent.output}`,
  );
}

/** Files after the trouble are read as ever. */
async function readsOn(rig: Rig): Promise<void> {
  const before = rig.delivered.length;
  rig.drop('later', 'later\n');
  await completes(rig, 'later');
  await rig.delivers(before + 1);
  expect(rig.delivered.at(-1)).toBe('later');
}

const slow = `${SPOOLDIR}\n${STEERED}`;

testFaults([
  {
    name: 'empty and zero-byte files',
    lines: SPOOLDIR,
    bring: async (rig) => {
      rig.drop('1-empty', '');
      await completes(rig, '1-empty');
      rig.drop('2-newline', '\n');
      await completes(rig, '2-newline');
      rig.drop('3-zero-bytes', Buffer.alloc(3));
      await completes(rig, '3-zero-bytes');
      rig.accepted += 3;
    },
    survive: async (rig) => {
      await rig.delivers(3);
      // As in Flume an empty file is one event without a body.
      expect(rig.delivered).toEqual(['', '', '\0\0\0']);
      await readsOn(rig);
      expect(await rig.health()).toBe(200);
    },
  },
  {
    name: 'a spool file vanishing',
    lines: slow,
    args: SHORT_STOP,
    bring: async (rig) => {
      await halfRead(rig);
      fs.rmSync(rig.path('spool', 'big'));
    },
    survive: async (rig) => {
      rig.steer('blocked', false);
      // It is open, so it is read to its end all the same.
      await rig.delivers(1_000);
      expect(rig.delivered).toEqual(LINES);
      await rig.agent.says('The file vanished while it was read; all of it was delivered');
      await readsOn(rig);
    },
  },
  {
    name: 'a spool file growing',
    lines: slow,
    args: SHORT_STOP,
    bring: async (rig) => {
      await halfRead(rig);
      fs.appendFileSync(rig.path('spool', 'big'), 'one more\n');
    },
    survive: async (rig) => {
      rig.steer('blocked', false);
      await rig.delivers(1_000);
      await rig.agent.says('File has changed size since being read');
      expect(rig.spooled('.aside/big')).toBe(true);
      await readsOn(rig);
      expect(rig.delivered.slice(0, 1_000)).toEqual(LINES);
      expect((await rig.component('r1')).status).toBe('degraded');
      fs.rmSync(rig.path('spool', '.aside', 'big'));
      await rig.becomes('r1', 'running');
    },
  },
  {
    name: 'a spool file unreadable',
    lines: SPOOLDIR,
    bring: async (rig) => {
      // Nothing is forbidden to root, but a link to nowhere cannot be opened by anybody.
      if (process.getuid?.() === 0) fs.symlinkSync(rig.path('nowhere'), rig.path('spool', 'locked'));
      else {
        rig.drop('locked', 'mine\n');
        fs.chmodSync(rig.path('spool', 'locked'), 0);
      }
      await rig.agent.says('cannot be opened');
      expect((await rig.component('r1')).status).toBe('degraded');
    },
    survive: async (rig) => {
      await readsOn(rig);
      if (process.getuid?.() === 0) fs.writeFileSync(rig.path('nowhere'), 'mine\n');
      else fs.chmodSync(rig.path('spool', 'locked'), 0o600);
      await completes(rig, 'locked');
      await rig.delivers(2);
      await rig.becomes('r1', 'running');
    },
  },
  {
    name: 'the spool directory removed',
    lines: SPOOLDIR,
    bring: async (rig) => {
      rig.drop('before', 'before\n');
      await rig.delivers(1);
      rig.accepted++;
      await completes(rig, 'before');
      fs.rmSync(rig.path('spool'), { recursive: true });
      await rig.becomes('r1', 'degraded');
      expect(await rig.health()).toBe(503);
    },
    survive: async (rig) => {
      fs.mkdirSync(rig.path('spool'));
      await readsOn(rig);
      await rig.becomes('r1', 'running');
      expect(rig.delivered).toEqual(['before', 'later']);
    },
  },
  {
    name: 'the spool directory removed',
    where: 'in the middle of a file',
    lines: slow,
    args: SHORT_STOP,
    bring: async (rig) => {
      await halfRead(rig);
      fs.rmSync(rig.path('spool'), { recursive: true });
    },
    survive: async (rig) => {
      rig.steer('blocked', false);
      await rig.delivers(1_000);
      await rig.becomes('r1', 'degraded');
      fs.mkdirSync(rig.path('spool'));
      await readsOn(rig);
      expect(rig.delivered).toEqual([...LINES, 'later']);
    },
  },
]);
