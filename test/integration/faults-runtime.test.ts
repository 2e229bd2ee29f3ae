/** What the runtime has to stand when a channel stays full or a component misbehaves, seen from outside. */
import fs from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { LineClient, until } from './agent-process.ts';
import { type Fault, NETCAT, PROOF, Rig, SHORT_STOP, SPOOLDIR, STEERED, testFaults } from './fault-rig.ts';

/** How long the channel stays full. */
const FULL_MS = PROOF ? 60_000 : 3_000;
const LINES = Array.from({ length: 5_000 }, (_, i) => `${i}`);

let answered: string[] = [];
const steered = (source: string): string => `${source}\n${STEERED}`;

async function connected(rig: Rig): Promise<LineClient> {
  const client = await LineClient.connect(rig.port);
  rig.open.push(client);
  return client;
}

/** Holds the sink, waits until the channel is full, and looks at the counters all the while. */
async function keepsFull(rig: Rig): Promise<void> {
  rig.steer('blocked', true);
  await expect.poll(async () => (await rig.status()).flows[0]?.inChannel, { timeout: 20_000 }).toBe(100);
  await rig.becomes('r1', 'degraded');
  rig.accepted = 100;
  const deadline = performance.now() + FULL_MS;
  while (performance.now() < deadline) {
    expect((await rig.status()).flows[0]).toMatchObject({ received: 100, delivered: 0, inChannel: 100, gap: 0 });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect((await rig.component('r1')).counters.EventAcceptedCount).toBe(100);
}

async function deliversAll(rig: Rig): Promise<void> {
  rig.steer('blocked', false);
  await rig.delivers(LINES.length);
  expect(rig.delivered).toEqual(LINES);
  await rig.becomes('r1', 'running');
  await expect.poll(async () => (await rig.component('r1')).counters).toMatchObject({ EventReceivedCount: LINES.length, EventAcceptedCount: LINES.length });
}

const faults: readonly Fault[] = [
  {
    name: 'a channel full for long',
    where: 'behind netcat: what was answered OK arrives, once; the rest was answered otherwise',
    lines: steered(NETCAT),
    bring: async (rig) => {
      rig.steer('blocked', true);
      const client = await connected(rig);
      answered = [];
      const deadline = performance.now() + FULL_MS;
      let i = 0;
      for (; i < 300 || performance.now() < deadline; i++) {
        const [answer] = await client.ask(`${i}`);
        if (answer === 'OK') answered.push(`${i}`);
        else expect(answer).toMatch(/^FAILED: Space for commit/);
      }
      rig.accepted = answered.length;
      expect(answered.length).toBeGreaterThanOrEqual(100);
      expect(answered.length).toBeLessThan(i);
      expect((await rig.component('r1')).status).toBe('degraded');
      expect((await rig.component('r1')).counters).toMatchObject({ EventReceivedCount: i, EventAcceptedCount: answered.length });
      expect((await rig.status()).flows[0]).toMatchObject({ received: answered.length, delivered: 0, inChannel: answered.length });
    },
    survive: async (rig) => {
      rig.steer('blocked', false);
      await rig.delivers(answered.length);
      expect(await (await connected(rig)).ask('after')).toEqual(['OK']);
      await rig.delivers(answered.length + 1);
      expect(rig.delivered).toEqual([...answered, 'after']);
      expect((await rig.component('r1')).status).toBe('running');
    },
  },
  {
    name: 'a channel full for long',
    where: 'behind spooldir: the file waits',
    lines: steered(SPOOLDIR),
    args: SHORT_STOP,
    bring: async (rig) => {
      rig.drop('big', `${LINES.join('\n')}\n`);
      await keepsFull(rig);
    },
    survive: deliversAll,
  },
  {
    name: 'a channel full for long',
    where: 'behind exec: the command waits',
    lines: steered('sources.r1.type = exec\n sources.r1.shell = /bin/sh -c\n sources.r1.command = seq 0 4999; exec sleep 600'),
    args: SHORT_STOP,
    before: (rig) => rig.steer('blocked', true),
    bring: keepsFull,
    survive: deliversAll,
  },
  {
    name: 'a sink throwing forever',
    lines: steered(NETCAT),
    bring: async (rig) => {
      rig.steer('broken', true);
      const client = await connected(rig);
      expect(new Set(await client.ask(...LINES.slice(0, 60)))).toEqual(new Set(['OK']));
      rig.accepted = 60;
      await rig.agent.says('the other end is gone');
      // Several attempts later it still has been said only once.
      await expect.poll(async () => (await rig.component('k1')).counters.EventWriteFail, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
      expect(rig.agent.output.match(/ERROR .*the other end is gone/g)).toHaveLength(1);
      expect((await rig.component('k1')).status).toBe('degraded');
      expect(await rig.health()).toBe(503);
      // Input goes on as long as there is room.
      expect(await client.ask('60')).toEqual(['OK']);
      rig.accepted = 61;
    },
    survive: async (rig) => {
      rig.steer('broken', false);
      await rig.agent.says('works again');
      await rig.delivers(61);
      expect(rig.delivered).toEqual(LINES.slice(0, 61));
    },
  },
  {
    name: 'an interceptor throwing',
    where: 'behind netcat: the client hears of it',
    lines: `${NETCAT}\n sources.r1.interceptors = i1\n sources.r1.interceptors.i1.type = picky`,
    bring: async (rig) => {
      const client = await connected(rig);
      expect(await client.ask('good')).toEqual(['OK']);
      const [answer] = await client.ask('bad');
      expect(answer).toBe('FAILED: cannot stand this event');
      rig.accepted = 1;
      expect((await rig.component('r1')).counters.GenericProcessingFail).toBe(1);
      await rig.agent.says('cannot stand this event');
    },
    survive: async (rig) => {
      expect(await (await connected(rig)).ask('good again')).toEqual(['OK']);
      await rig.delivers(2);
      expect(rig.delivered).toEqual(['good', 'good again']);
    },
  },
  {
    name: 'an interceptor throwing',
    where: 'behind spooldir: the file waits until the definition is repaired',
    lines: `${SPOOLDIR}\n sources.r1.interceptors = i1\n sources.r1.interceptors.i1.type = picky`,
    bring: async (rig) => {
      rig.drop('1', 'good\n');
      await rig.delivers(1);
      rig.accepted = 1;
      rig.drop('2', 'also good\nbad\nlast\n');
      await rig.becomes('r1', 'degraded');
    },
    survive: async (rig) => {
      expect(rig.delivered).toEqual(['good']);
      rig.define(SPOOLDIR);
      await rig.delivers(4);
      expect(rig.delivered).toEqual(['good', 'also good', 'bad', 'last']);
      await rig.becomes('r1', 'running');
    },
  },
  {
    name: 'an interceptor throwing',
    where: 'behind exec: the output waits',
    lines: 'sources.r1.type = exec\n sources.r1.command = echo bad\n sources.r1.interceptors = i1\n sources.r1.interceptors.i1.type = picky',
    bring: async (rig) => {
      await rig.agent.says('cannot stand this event');
      await rig.becomes('r1', 'degraded');
    },
    survive: async (rig) => {
      expect(rig.delivered).toEqual([]);
      rig.define('sources.r1.type = exec\n sources.r1.command = echo better');
      await rig.delivers(1);
      expect(rig.delivered).toEqual(['better']);
    },
  },
];

testFaults(faults);

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.end();
  rig = undefined;
});

it('an error thrown outside of any call ends the agent in order, with its events delivered and exit code 1', async () => {
  rig = await Rig.start({ lines: steered(NETCAT) });
  const { agent } = rig;
  fs.writeFileSync(
    rig.path('mine', 'bomb.mjs'),
    `import { defineSink } from 'millrace/plugin';
export default defineSink({ type: 'bomb', summary: 'For a test.', properties: {}, create: () => ({
  async start() { setTimeout(() => { throw new Error('thrown by a timer'); }, 300); },
  async deliver() {},
}) });`,
  );
  await (await connected(rig)).ask('1', '2');
  rig.define(`${steered(NETCAT)}\n sinks = k1 k2\n sinks.k2.type = bomb\n channels = c1 c2\n channels.c2.type = memory\n sinks.k2.channel = c2`);
  expect(await agent.exited()).toBe(1);
  expect(agent.output).toContain('thrown by a timer');
  expect(agent.output).toContain('stopped');
  await until(
    () => rig?.delivered.length === 2,
    () => 'both events',
  );
});
