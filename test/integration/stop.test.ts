import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { endsWithTest } from '../ends-with-test.ts';
import { AgentProcess, freePort, LineClient, netcatFlow } from './agent-process.ts';

const flow = (port: number, sink: string): string => netcatFlow(port, `channels.c1.capacity = 10000\nchannels.c1.transactionCapacity = 1000\n${sink}`);

/** Sinks made for this test, in the way users make theirs. */
const SINKS: Readonly<Record<string, string>> = {
  slow: `deliver: async (batch) => { await new Promise((r) => setTimeout(r, 20)); require('node:fs').appendFileSync('got.txt', batch.map((e) => e.body + '\\n').join('')); }`,
  dead: `deliver: async () => { throw new Error('the other end is gone'); }`,
  hanging: `deliver: () => new Promise(() => undefined)`,
  spinning: `deliver: async () => { throw new Error('x'.repeat(1 + Math.floor(Math.random() * 3))); }`,
};

function agentWith(sink: keyof typeof SINKS, port: number): AgentProcess {
  const a1 = endsWithTest(new AgentProcess(flow(port, `sinks.k1.type = ${sink}`)));
  const plugins = path.join(a1.dir, 'mine');
  fs.mkdirSync(plugins);
  fs.writeFileSync(
    path.join(plugins, `${sink}.mjs`),
    `import { createRequire } from 'node:module';
import { defineSink } from 'millrace/plugin';
const require = createRequire(import.meta.url);
export default defineSink({ type: '${sink}', summary: 'For a test.', properties: {}, create: () => ({ ${SINKS[sink]} }) });\n`,
  );
  return a1;
}

describe('stop', () => {
  it('delivers what the memory channel holds before it ends', async () => {
    const port = await freePort();
    const a1 = agentWith('slow', port).start('--plugins-path', 'mine');
    await a1.says('agent a1 runs');
    const client = await LineClient.connect(port);
    const lines = Array.from({ length: 3_000 }, (_, i) => `${i}`);
    await client.ask(...lines);
    expect(await a1.stop()).toBe(143);
    expect(fs.readFileSync(path.join(a1.dir, 'got.txt'), 'utf8').split('\n').slice(0, -1)).toEqual(lines);
    expect(a1.output).not.toContain('lost');
  });

  it.each(['dead', 'hanging', 'spinning'] as const)('ends in time with a %s sink and says what was left', async (sink) => {
    const port = await freePort();
    const a1 = agentWith(sink, port).start('--plugins-path', 'mine', '--stop-timeout', '1');
    await a1.says('agent a1 runs');
    await (await LineClient.connect(port)).ask('1', '2', '3');
    const began = performance.now();
    expect(await a1.stop()).toBe(143);
    expect(performance.now() - began).toBeLessThan(3_000);
    expect(a1.output).toMatch(/channel c1: 3 events were not delivered and are lost/);
  });

  it('ends at once at the second signal, and says what was left', async () => {
    const port = await freePort();
    const a1 = agentWith('dead', port).start('--plugins-path', 'mine', '--stop-timeout', '60');
    await a1.says('agent a1 runs');
    await (await LineClient.connect(port)).ask('1', '2');
    a1.signal('SIGTERM');
    await a1.says('SIGTERM: stopping');
    a1.signal('SIGTERM');
    expect(await a1.exited()).toBe(143);
    expect(a1.output).toMatch(/channel c1: 2 events were not delivered and are lost/);
  });

  it('says in Flume’s words what each component counted', async () => {
    const port = await freePort();
    const a1 = endsWithTest(new AgentProcess(flow(port, 'sinks.k1.type = null')));
    a1.start();
    await a1.says('agent a1 runs');
    await (await LineClient.connect(port)).ask('1', '2', '3');
    expect(await a1.stop()).toBe(143);
    const place = '\\[INFO - org\\.apache\\.flume\\.instrumentation\\.MonitoredCounterGroup\\]';
    expect(a1.output).toMatch(new RegExp(`^\\S+ \\S+ \\(source r1\\) ${place} Component type: SOURCE, name: r1 started$`, 'm'));
    expect(a1.output).toMatch(new RegExp(`\\(source r1\\) ${place} Shutdown Metric for type: SOURCE, name: r1\\. src\\.events\\.accepted == 3$`, 'm'));
    expect(a1.output).toMatch(/Shutdown Metric for type: CHANNEL, name: c1\. channel\.event\.take\.success == 3$/m);
    expect(a1.output).toMatch(/Shutdown Metric for type: SINK, name: k1\. sink\.event\.drain\.sucess == 3$/m);
    expect(a1.output).toMatch(/stopped\n$/);
  });

  it('ends in order while a start is still failing', async () => {
    const port = await freePort();
    const a1 = endsWithTest(new AgentProcess(flow(port, 'sinks.k1.type = file_roll\n    sinks.k1.sink.directory = /nowhere/at/all')));
    a1.start('--startup-policy', 'retry');
    await a1.says('trying again');
    expect(await a1.stop()).toBe(143);
  });

  it('does not wait for clients that stay connected', async () => {
    const port = await freePort();
    const a1 = endsWithTest(new AgentProcess(flow(port, 'sinks.k1.type = null')));
    a1.start();
    await a1.says('agent a1 runs');
    for (let i = 0; i < 20; i++) await LineClient.connect(port);
    const began = performance.now();
    expect(await a1.stop()).toBe(143);
    expect(performance.now() - began).toBeLessThan(3_000);
  });
});
