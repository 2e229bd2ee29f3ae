/** What people and programs do to the definition of a running agent. The flow goes on as if nothing had happened. */
import fs from 'node:fs';
import { expect } from 'vitest';
import { LineClient } from './agent-process.ts';
import { type Fault, NETCAT, type Rig, testFaults } from './fault-rig.ts';

/** A second flow, which a reload may change. */
const two = (more: string): string => `${NETCAT}
  sources = r1 r2
  channels = c1 c2
  sinks = k1 k2
  sources.r2.type = netcat
  sources.r2.bind = 127.0.0.1
  sources.r2.port = $OTHER
  sources.r2.channels = c2
  channels.c2.type = memory
  sinks.k2.type = logger
  sinks.k2.channel = c2
  ${more}`;

let client: LineClient;

/** The same connection goes on, and a good definition is taken over within a second. */
async function recovers(rig: Rig): Promise<void> {
  expect(await client.ask('during')).toEqual(['OK']);
  const from = rig.agent.output.length;
  const began = performance.now();
  rig.define(two('sinks.k2.maxBytesToLog = 5'));
  await rig.agent.says('the changed definition runs', from);
  expect(performance.now() - began).toBeLessThan(3_000);
  expect(await client.ask('after')).toEqual(['OK']);
  await rig.delivers(rig.accepted + 2);
  expect(await rig.health()).toBe(200);
}

/** A fault of the file: it is noticed, said once, and changes nothing. */
function fault(name: Fault['name'], spoil: (rig: Rig, whole: string) => void, where?: string): Fault {
  return {
    name,
    ...(where === undefined ? {} : { where }),
    lines: two(''),
    bring: async (rig) => {
      client = await LineClient.connect(rig.port);
      rig.open.push(client);
      expect(await client.ask('before')).toEqual(['OK']);
      rig.accepted = 1;
      spoil(rig, rig.text(two('')));
      await rig.agent.says('runs on with the previous definition');
      expect((await rig.status()).reloads.refused).toBe(1);
      expect((await rig.status()).components.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 'running'));
    },
    survive: recovers,
  };
}

const ROUNDS = 200;
let sent = 0;
let going = false;
let load: Promise<void> | undefined;

testFaults([
  fault('the definition deleted', (rig) => fs.rmSync(rig.agent.file)),
  fault('the definition half-written', (rig, whole) => rig.agent.rewrite(whole.slice(0, whole.indexOf('a1.sinks.k1.channel')))),
  fault('the definition half-written', (rig) => rig.agent.rewrite(''), 'nothing of it yet'),
  fault('the definition replaced by rubbish', (rig) =>
    fs.writeFileSync(rig.agent.file, Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 7919) % 256))),
  ),
  fault('the definition replaced by rubbish', (rig) => rig.define(`${two('')}\n sinks.k2.type = loger`), 'a misspelt type'),
  fault('the definition replaced by rubbish', (rig) => rig.agent.rewrite(`${rig.text(two(''))}a1.x = \\u12`), 'a malformed escape'),
  {
    name: 'the definition reloaded under load',
    where: `${ROUNDS} times; nothing is lost in the flow that does not change`,
    lines: two(''),
    bring: async (rig) => {
      client = await LineClient.connect(rig.port);
      rig.open.push(client);
      [sent, going] = [0, true];
      const ask = async (): Promise<void> => {
        while (going && !client.closed) {
          const lines = Array.from({ length: 50 }, () => `${sent++}`);
          const answers = await client.ask(...lines).catch(() => []);
          expect(answers.filter((answer) => answer !== 'OK')).toEqual([]);
          rig.accepted += answers.length;
        }
      };
      load = ask();
      rig.define(two('sources.r2.max-line-length = 100'));
      rig.agent.signal('SIGHUP');
      await rig.agent.says('the changed definition runs');
      // One more is under way when this returns.
      rig.define(two('channels.c2.capacity = 500'));
      rig.agent.signal('SIGHUP');
    },
    survive: async (rig) => {
      for (let round = 1; round <= ROUNDS; round++) {
        const from = rig.agent.output.length;
        const changes = [`channels.c2.capacity = ${200 + round}`, `sinks.k2.maxBytesToLog = ${round}`, `sources.r2.max-line-length = ${500 + round}`];
        rig.define(two(changes[round % 3] as string));
        // Not by the watcher, which waits until the file is still: by the signal, as fast as it goes.
        rig.agent.signal('SIGHUP');
        await rig.agent.says(/the changed definition runs|nothing in it has changed/, from);
        if (round % 20 === 0) await rig.isConserved();
      }
      going = false;
      await load;
      await rig.delivers(sent);
      expect(rig.delivered).toEqual(Array.from({ length: sent }, (_, i) => `${i}`));
      expect((await rig.status()).reloads.refused).toBe(0);
      expect(rig.agent.output).not.toMatch(/\[ERROR/);
    },
  },
]);
