// kill -9 of a real agent at random moments, through `flume-ng crashtest`: what a source was told is stored comes out, by files
// and by a broker. Ten kills by default, more than 200 with MILLRACE_PROOF=1. MILLRACE_SEED picks the moments.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/cli/crashtest.ts';
import { compiled } from '../sqlite.ts';

const PROGRAM = path.resolve(import.meta.dirname, '..', '..', 'bin', 'flume-ng');
const PROOF = Boolean(process.env.MILLRACE_PROOF);
const SEED = Number(process.env.MILLRACE_SEED ?? 4711);

const places: string[] = [];
afterEach(() => {
  for (const dir of places.splice(0)) fs.rmSync(dir, { recursive: true, force: true });
});

type Source = 'netcat' | 'avro' | 'thrift' | 'exec' | 'spooldir' | 'kafka';
/** One source, one channel with these properties, one sink. */
type Flow = readonly [source: Source, channel: string, sink: 'file_roll' | 'kafka'];

const SOURCES: Readonly<Record<Source, string>> = {
  netcat: 'type = netcat; bind = 127.0.0.1; port = 44444',
  avro: 'type = avro; bind = 127.0.0.1; port = 44445',
  thrift: 'type = thrift; bind = 127.0.0.1; port = 44446',
  // Without waiting for a batch to fill, so that kills find it storing.
  exec: 'type = exec; command = tail -F /nowhere; batchTimeout = 20',
  spooldir: 'type = spooldir; spoolDir = /nowhere',
  kafka: 'type = org.apache.flume.source.kafka.KafkaSource; kafka.bootstrap.servers = nowhere:1; kafka.topics = t',
};
const SINKS = {
  file_roll: 'type = file_roll; sink.directory = /nowhere; sink.batchSize = 37',
  kafka: 'type = org.apache.flume.sink.kafka.KafkaSink; kafka.bootstrap.servers = nowhere:1; kafka.topic = t; kafka.producer.acks = all',
};
const SPACE = 'minimumRequiredSpace = 0';

function definitionOf(flows: readonly Flow[]): string {
  const lines = flows.flatMap(([source, channel, sink], i) => {
    const part = (prefix: string, text: string): string[] => text.split('; ').map((property) => `${prefix}${i + 1}.${property}`);
    return [
      ...part('sources.r', `${SOURCES[source]}; channels = c${i + 1}`),
      ...part('channels.c', channel),
      ...part('sinks.k', `${SINKS[sink]}; channel = c${i + 1}`),
    ];
  });
  const names = (letter: string): string => flows.map((_, i) => `${letter}${i + 1}`).join(' ');
  return [`sources = ${names('r')}`, `channels = ${names('c')}`, `sinks = ${names('k')}`, ...lines].map((line) => `a1.${line}\n`).join('');
}

async function crashtest(flows: readonly Flow[], kills: number, more: Readonly<Record<string, string>> = {}): Promise<Outcome[]> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-kill-'));
  places.push(dir);
  const file = path.join(dir, 'agent.conf');
  fs.writeFileSync(
    file,
    definitionOf(flows) +
      Object.entries(more)
        .map(([key, value]) => `a1.${key} = ${value}\n`)
        .join(''),
  );
  const args = ['crashtest', '-f', file, '-n', 'a1', '--kills', String(kills), '--seed', String(SEED), '--json'];
  // Its temporary directory is in ours, so that nothing is left behind when the test is ended.
  const options = { env: { ...process.env, HOME: dir, TMPDIR: dir }, maxBuffer: 1e9 };
  // A loss ends it with exit code 1, and the table all the same.
  const { stdout, stderr } = await promisify(execFile)(PROGRAM, args, options).catch((error: { stdout: string; stderr: string }) => error);
  expect(stdout, stderr).toMatch(/^\{/);
  return (JSON.parse(stdout) as { channels: Outcome[] }).channels;
}

async function survives(flows: readonly Flow[], kills: number): Promise<void> {
  const outcomes = await crashtest(flows, kills);
  for (const [i, { channel, ...counts }] of outcomes.entries()) {
    console.log(`${kills} kills, seed ${SEED}: ${flows[i]?.join(' → ')}: ${JSON.stringify(counts)}`);
    const { acknowledged, lost, invented, unstored } = counts;
    expect({ channel, lost, invented }).toEqual({ channel, lost: 0, invented: 0 });
    expect(acknowledged).toBeGreaterThan(100);
    // A file is there until it is stored, whatever is killed.
    if (flows[i]?.[0] === 'spooldir') expect(unstored).toBe(0);
  }
  expect(outcomes).toHaveLength(flows.length);
}

describe('what was acknowledged comes out', () => {
  test.each<[name: string, few: number, many: number, flows: readonly Flow[]]>([
    [
      'file',
      3,
      80,
      [
        ['netcat', `type = file; checkpointDir = c1; dataDirs = d1; ${SPACE}`, 'file_roll'],
        ['avro', `type = file; checkpointDir = c2; dataDirs = a,b; checkpointInterval = 1000; ${SPACE}`, 'kafka'],
        ['exec', `type = file; checkpointDir = c3; dataDirs = d3; ${SPACE}`, 'kafka'],
      ],
    ],
    [
      'file with small data files and a backup; memory that acknowledges through',
      3,
      70,
      [
        [
          'spooldir',
          `type = file; checkpointDir = c; dataDirs = d; maxFileSize = 200000; useDualCheckpoints = true; backupCheckpointDir = b; ${SPACE}`,
          'kafka',
        ],
        ['netcat', 'type = memory; capacity = 10000; transactionCapacity = 1000; ackThrough = true', 'file_roll'],
        ['avro', 'type = memory; capacity = 10000; transactionCapacity = 1000; ackThrough = true', 'kafka'],
        ['spooldir', 'type = memory; capacity = 10000; transactionCapacity = 1000; ackThrough = true', 'file_roll'],
        ['kafka', 'type = memory; capacity = 10000; transactionCapacity = 1000; ackThrough = true', 'file_roll'],
      ],
    ],
    [
      'everything spilled',
      2,
      60,
      [
        ['exec', `type = SPILLABLEMEMORY; memoryCapacity = 0; checkpointDir = c1; dataDirs = d1; ${SPACE}`, 'file_roll'],
        ['thrift', `type = SPILLABLEMEMORY; memoryCapacity = 0; checkpointDir = c2; dataDirs = d2; ${SPACE}`, 'kafka'],
        ['spooldir', `type = SPILLABLEMEMORY; memoryCapacity = 0; checkpointDir = c3; dataDirs = d3; maxFileSize = 300000; ${SPACE}`, 'file_roll'],
      ],
    ],
  ])('%s', async (_name, few, many, flows) => {
    await survives(flows, PROOF ? many : few);
  });

  test.runIf(compiled)('jdbc', async () => {
    await survives(
      [
        ['netcat', 'type = jdbc; driver.url = jdbc:sqlite:/nowhere/a', 'file_roll'],
        ['avro', 'type = jdbc; driver.url = jdbc:sqlite:/nowhere/b', 'kafka'],
      ],
      PROOF ? 20 : 2,
    );
  });
});

// An event at a time is slower than its source, so there is always something in memory when the kill comes.
test('what a channel in memory loses is found, so losses can be found', async () => {
  const [outcome] = await crashtest([['netcat', 'type = memory; capacity = 10000; transactionCapacity = 1000', 'file_roll']], 3, {
    'sinks.k1.sink.batchSize': '1',
  });
  expect(outcome?.lost).toBeGreaterThan(0);
});
