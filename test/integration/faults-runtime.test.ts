/** What the runtime has to stand when a component misbehaves or a channel stays full, seen from outside. */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { AgentProcess, definition, freePort, LineClient, until } from './agent-process.ts';

const open: { end(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.end();
});

/** Keeps what it gets in got.txt; fails while a file `broken` is there, hangs while `blocked` is. */
const PLUGINS = `
import fs from 'node:fs';
import { defineInterceptor, defineSink } from 'millrace/plugin';
`;
const STEERED_SINK = `${PLUGINS}
export default defineSink({ type: 'steered', summary: 'For a test.', properties: {}, create: () => ({
  async deliver(batch) {
    while (fs.existsSync('blocked')) await new Promise((resolve) => setTimeout(resolve, 20));
    if (fs.existsSync('broken')) throw new Error('the other end is gone');
    fs.appendFileSync('got.txt', batch.map((event) => event.body + '\\n').join(''));
  },
}) });`;
const PICKY_INTERCEPTOR = `${PLUGINS}
export default defineInterceptor({ type: 'picky', summary: 'For a test.', properties: {}, create: () => ({
  apply(batch) {
    for (const event of batch) if (event.body.includes('bad')) throw new Error('cannot stand this event');
    return batch;
  },
}) });`;

function steered(port: number, more = ''): AgentProcess {
  const a1 = new AgentProcess(
    definition(`
    sources = r1
    channels = c1
    sinks = k1
    sources.r1.type = netcat
    sources.r1.bind = 127.0.0.1
    sources.r1.port = ${port}
    sources.r1.channels = c1
    channels.c1.type = memory
    channels.c1.capacity = 100
    channels.c1.transactionCapacity = 100
    channels.c1.keep-alive = 0
    sinks.k1.type = steered
    sinks.k1.channel = c1
    ${more}`),
  );
  open.push(a1);
  fs.mkdirSync(path.join(a1.dir, 'mine'));
  fs.writeFileSync(path.join(a1.dir, 'mine', 'steered.mjs'), STEERED_SINK);
  fs.writeFileSync(path.join(a1.dir, 'mine', 'picky.mjs'), PICKY_INTERCEPTOR);
  return a1;
}

function steer(a1: AgentProcess, name: 'blocked' | 'broken', on: boolean): void {
  const file = path.join(a1.dir, name);
  if (on) fs.writeFileSync(file, '');
  else fs.rmSync(file);
}

function got(a1: AgentProcess): string[] {
  const file = path.join(a1.dir, 'got.txt');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
}

interface Status {
  readonly components: readonly { readonly name: string; readonly status: string; readonly counters: Readonly<Record<string, number>> }[];
  readonly flows: readonly { readonly received: number; readonly delivered: number; readonly inChannel: number; readonly gap: number | null }[];
}

/** Asks the agent's own account of itself. */
async function statusOf(monitoring: number): Promise<Status> {
  return (await (await fetch(`http://127.0.0.1:${monitoring}/status`)).json()) as Status;
}

async function startSteered(more = ''): Promise<{ a1: AgentProcess; client: LineClient; monitoring: number }> {
  const [port, monitoring] = [await freePort(), await freePort()];
  const a1 = steered(port, more).start('--plugins-path', 'mine', '-Dflume.monitoring.type=http', `-Dflume.monitoring.port=${monitoring}`);
  await a1.says('monitoring (http) on port');
  return { a1, client: await LineClient.connect(port), monitoring };
}

describe('faults', () => {
  it('a channel full for a while: what was answered OK arrives, once; the rest was answered otherwise', async () => {
    const { a1, client, monitoring } = await startSteered();
    steer(a1, 'blocked', true);
    const accepted: string[] = [];
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const [answer] = await client.ask(`${i}`);
      if (answer === 'OK') accepted.push(`${i}`);
      else refused++;
    }
    expect(refused).toBeGreaterThan(0);
    expect(accepted.length).toBeGreaterThanOrEqual(100);
    const full = await statusOf(monitoring);
    const source = full.components.find(({ name }) => name === 'r1');
    expect(source?.status).toBe('degraded');
    expect(source?.counters).toMatchObject({ EventReceivedCount: 300, EventAcceptedCount: accepted.length });
    expect(full.flows[0]).toMatchObject({ received: accepted.length, delivered: 0, inChannel: accepted.length, gap: 0 });
    steer(a1, 'blocked', false);
    await until(
      () => got(a1).length >= accepted.length,
      () => 'all accepted events',
    );
    expect(await client.ask('after')).toEqual(['OK']);
    expect((await statusOf(monitoring)).components.find(({ name }) => name === 'r1')?.status).toBe('running');
    expect(await a1.stop()).toBe(143);
    expect(got(a1)).toEqual([...accepted, 'after']);
  });

  it('a sink that fails for a while: said once, nothing lost, order kept', async () => {
    const { a1, client, monitoring } = await startSteered();
    steer(a1, 'broken', true);
    await client.ask(...Array.from({ length: 60 }, (_, i) => `${i}`));
    await until(
      () => a1.output.includes('the other end is gone'),
      () => 'the error',
    );
    // Several attempts later it still has been said only once.
    const attempts = async (): Promise<number> => (await statusOf(monitoring)).components.find(({ name }) => name === 'k1')?.counters.EventWriteFail ?? 0;
    while ((await attempts()) < 3) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(a1.output.match(/ERROR .*the other end is gone/g)).toHaveLength(1);
    expect((await statusOf(monitoring)).components.find(({ name }) => name === 'k1')?.status).toBe('degraded');
    steer(a1, 'broken', false);
    await a1.says('works again');
    await a1.stop();
    expect(got(a1)).toEqual(Array.from({ length: 60 }, (_, i) => `${i}`));
  });

  it('an interceptor that throws: the client hears of it, the error is counted, nothing of the batch is stored', async () => {
    const { a1, client, monitoring } = await startSteered('sources.r1.interceptors = i1\n    sources.r1.interceptors.i1.type = picky');
    expect(await client.ask('good')).toEqual(['OK']);
    const [answer] = await client.ask('bad');
    expect(answer).not.toBe('OK');
    expect(await client.ask('good again')).toEqual(['OK']);
    const source = (await statusOf(monitoring)).components.find(({ name }) => name === 'r1');
    expect(source?.counters.GenericProcessingFail).toBeGreaterThan(0);
    expect(a1.output).toContain('cannot stand this event');
    await a1.stop();
    expect(got(a1)).toEqual(['good', 'good again']);
  });

  it.each(['blocked', 'broken'] as const)('SIGTERM while the sink is %s: ends in time, in order, with a count of what is lost', async (how) => {
    const { a1, client } = await startSteered();
    steer(a1, how, true);
    await client.ask('1', '2', '3', '4');
    const began = performance.now();
    expect(await a1.stop()).toBe(143);
    expect(performance.now() - began).toBeLessThan(11_000);
    expect(a1.output).toMatch(/channel c1: 4 events were not delivered and are lost/);
  });

  it('an error thrown outside of any call ends the agent in order, with its events delivered and exit code 1', async () => {
    const { a1, client } = await startSteered();
    fs.writeFileSync(
      path.join(a1.dir, 'mine', 'bomb.mjs'),
      `${PLUGINS}
export default defineSink({ type: 'bomb', summary: 'For a test.', properties: {}, create: () => ({
  async start() { setTimeout(() => { throw new Error('thrown by a timer'); }, 300); },
  async deliver() {},
}) });`,
    );
    await client.ask('1', '2');
    a1.rewrite(
      `${fs.readFileSync(a1.file, 'utf8')}${definition('sinks = k1 k2\n sinks.k2.type = bomb\n channels = c1 c2\n channels.c2.type = memory\n sinks.k2.channel = c2')}`,
    );
    expect(await a1.exited()).toBe(1);
    expect(a1.output).toContain('thrown by a timer');
    expect(a1.output).toContain('stopped');
    expect(got(a1)).toEqual(['1', '2']);
  });
});
