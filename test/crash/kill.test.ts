// kill -9 of a real agent at random moments, through `flume-ng crashtest`: what a source was told is stored comes out. A few
// kills by default, more than 200 with MILLRACE_PROOF=1.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';

const PROGRAM = path.resolve(import.meta.dirname, '..', '..', 'bin', 'flume-ng');
const PROOF = Boolean(process.env.MILLRACE_PROOF);

const places: string[] = [];
afterEach(() => {
  for (const dir of places.splice(0)) fs.rmSync(dir, { recursive: true, force: true });
});

interface Outcome {
  readonly channel: string;
  readonly acknowledged: number;
  readonly delivered: number;
  readonly lost: number;
  readonly doubled: number;
  readonly invented: number;
}

/** One netcat source (an answer per line) and one spooldir source, each with a channel of these properties. */
function crashtest(channels: readonly [string, string], options: { kills: number; seed: number }): Outcome[] {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-kill-'));
  places.push(dir);
  const lines = [
    'sources = r1 r2',
    'channels = c1 c2',
    'sinks = k1 k2',
    'sources.r1.type = netcat',
    'sources.r1.bind = 127.0.0.1',
    'sources.r1.port = 44444',
    'sources.r1.channels = c1',
    'sources.r2.type = spooldir',
    `sources.r2.spoolDir = ${dir}`,
    'sources.r2.channels = c2',
    ...channels.flatMap((text, i) => text.split('; ').map((property) => `channels.c${i + 1}.${property}`)),
    'sinks.k1.type = file_roll',
    `sinks.k1.sink.directory = ${dir}`,
    'sinks.k1.sink.batchSize = 37',
    'sinks.k1.channel = c1',
    'sinks.k2.type = file_roll',
    `sinks.k2.sink.directory = ${dir}`,
    'sinks.k2.channel = c2',
  ];
  const definition = path.join(dir, 'agent.conf');
  fs.writeFileSync(definition, lines.map((line) => `a1.${line}\n`).join(''));
  const args = ['crashtest', '-f', definition, '-n', 'a1', '--kills', String(options.kills), '--seed', String(options.seed), '--json'];
  const { stdout, stderr } = spawnSync(PROGRAM, args, { encoding: 'utf8', env: { ...process.env, HOME: dir } });
  expect(stdout, stderr).toMatch(/^\{/);
  return (JSON.parse(stdout) as { channels: Outcome[] }).channels;
}

test.each([
  [
    'file',
    ['type = file; minimumRequiredSpace = 0', 'type = file; dataDirs = a,b; checkpointDir = c; minimumRequiredSpace = 0; checkpointInterval = 1000'],
    3,
    80,
  ],
  [
    'file with small data files and a backup, memory that acknowledges through',
    [
      'type = file; maxFileSize = 200000; useDualCheckpoints = true; backupCheckpointDir = b; minimumRequiredSpace = 0',
      'type = memory; capacity = 10000; transactionCapacity = 1000; ackThrough = true',
    ],
    3,
    80,
  ],
  [
    'everything spilled',
    [
      'type = SPILLABLEMEMORY; memoryCapacity = 0; checkpointDir = x; dataDirs = y; minimumRequiredSpace = 0',
      'type = SPILLABLEMEMORY; memoryCapacity = 0; minimumRequiredSpace = 0',
    ],
    2,
    50,
  ],
] as const)('%s', (_name, channels, few, many) => {
  const kills = PROOF ? many : few;
  const outcomes = crashtest(channels, { kills, seed: 4711 });
  console.log(
    `${kills} kills: ${outcomes.map(({ channel, acknowledged, delivered, lost, doubled }) => `${channel} acknowledged ${acknowledged}, delivered ${delivered}, lost ${lost}, doubled ${doubled}`).join('; ')}`,
  );
  for (const { acknowledged, lost, invented } of outcomes) {
    expect({ lost, invented }).toEqual({ lost: 0, invented: 0 });
    expect(acknowledged).toBeGreaterThan(100);
  }
});
