// flume-ng explain: the drawing and the grades, worked out from the real components.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { flumeNg } from './flume-ng.ts';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-explain-'));
});
afterAll(() => rm(dir, { recursive: true }));

async function file(text: string): Promise<string> {
  const path = join(dir, 'agent.conf');
  await writeFile(path, text);
  return path;
}

it('draws the first tutorial and says what its memory channel loses', async () => {
  const { code, stdout } = await flumeNg(['explain', '-f', 'conf/example.conf', '-n', 'a1']);
  expect(code).toBe(0);
  expect(stdout).toContain(`Agent a1
  r1 (netcat)  tcp 0.0.0.0:44444
  └─▶ c1 (memory)  room for 1,000
      └─▶ k1 (logger)
`);
  expect(stdout).toContain('r1 → c1 → k1: can lose events, by a crash or a stop');
  expect(stdout).toMatch(/a crash +loses +r1: /);
  expect(stdout).toContain('to improve: c1: use a channel of type = file');
});

const WIDE = `a1.sources = r1
a1.channels = c1 c2
a1.sinks = k1 k2 k3
a1.sinkgroups = g1
a1.sources.r1.type = seq
a1.sources.r1.channels = c1 c2
a1.sources.r1.selector.optional = c2
a1.sources.r1.interceptors = i1
a1.sources.r1.interceptors.i1.type = timestamp
a1.channels.c1.type = memory
a1.channels.c2.type = memory
a1.sinks.k1.type = null
a1.sinks.k1.channel = c1
a1.sinks.k2.type = null
a1.sinks.k2.channel = c1
a1.sinks.k3.type = logger
a1.sinks.k3.channel = c2
a1.sinkgroups.g1.sinks = k1 k2
a1.sinkgroups.g1.processor.type = failover
`;

it('draws several channels, groups and interceptors', async () => {
  const { stdout } = await flumeNg(['explain', '-f', await file(WIDE)]);
  const lines = stdout.split('\n').map((line) => line.replace(/ {2}(room|batches|in group).*/, '').trimEnd());
  expect(lines.slice(0, 9)).toEqual([
    'Agent a1',
    '  r1 (seq)',
    '  │   interceptor i1 (timestamp)',
    '  │   selector replicating',
    '  ├─▶ c1 (memory)',
    '  │   ├─▶ k1 (null)',
    '  │   └─▶ k2 (null)',
    '  └─▶ c2 (memory)',
    '      └─▶ k3 (logger)',
  ]);
  expect(stdout).toContain('in group g1 (failover)');
  expect(stdout).toContain('g1: k2 takes over');
  expect(stdout).toContain('c2: it is an optional channel');
});

it('answers programs, and fails when something is left out', async () => {
  const { code, stdout } = await flumeNg(['explain', '-f', await file(WIDE.replace('k3.type = logger', 'k3.type = hbase')), '--json']);
  expect(code).toBe(1);
  const { flows } = JSON.parse(stdout) as { flows: { source: string; channel: string; sink?: string; effects: Record<string, string> }[] };
  expect(flows.map(({ source, channel, sink }) => [source, channel, sink])).toEqual([
    ['r1', 'c1', 'k1'],
    ['r1', 'c1', 'k2'],
    ['r1', 'c2', undefined],
  ]);
  expect(flows[0]?.effects.crash).toBe('loses');
});

it('wants to know which agent', async () => {
  const { code, stderr } = await flumeNg(['explain', '-f', await file(WIDE + WIDE.replaceAll('a1.', 'b1.'))]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('several agents: a1, b1')]);
});
