/**
 * Our kafka-*.sh and the real ones, the same command on the same cluster: what they print must be the same, but for the
 * order of rows (Java's is that of a hash map) and white space, which 3.9 leaves out between some. On our broker, or on the cluster that MILLRACE_KAFKA (host:port) names.
 * Part of `npm run proof` (see real-kafka.ts): each of Kafka's tools takes seconds to start.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROOF, TestBroker } from '../integration/broker-harness.ts';
import { runTool } from '../integration/kafka-tool.ts';
import { realKafka } from './real-kafka.ts';

const hasKafka = realKafka !== null;

const why = !hasKafka ? ' (skipped: they are not installed)' : PROOF ? '' : ' (in npm run proof)';

interface Printed {
  readonly code: number;
  readonly text: string;
}

function real(name: string, words: readonly string[]): Promise<Printed> {
  return new Promise((resolve) => {
    execFile(realKafka!.script, [name, ...words], { timeout: 120_000, maxBuffer: 1e8 }, (error, stdout) =>
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, text: stdout }),
    );
  });
}

/** The words of an output: Java's rows come in the order of a hash map, so order does not count here. */
const words = (text: string): string[] =>
  text
    .split(/[\s,{}[\]]+/)
    .filter((word) => word !== '')
    .sort();

describe.runIf(PROOF && hasKafka)(`the same output as the real tools${why}`, { timeout: 300_000 }, () => {
  let broker: TestBroker | undefined;
  let address: string;
  const topic = `tools-${process.pid}`;
  const group = `tools-group-${process.pid}`;

  beforeAll(async () => {
    address = process.env.MILLRACE_KAFKA ?? '';
    if (address === '') {
      broker = await TestBroker.start({ 'broker.id': '1' });
      address = broker.address;
    }
    const at = ['--bootstrap-server', address, '--topic', topic];
    await runTool('kafka-topics.sh', [...at, '--create', '--partitions', '3', '--config', 'flush.messages=7', '--config', 'retention.ms=86400000']);
    const keyed = ['--property', 'parse.key=true', '--property', 'parse.headers=true'];
    await runTool('kafka-console-producer.sh', [...at, ...keyed, '--compression-codec', 'lz4'], 'a:1,b:2\tk1\tv1\nc:3\tk2\tv2\nd:4\tk3\t明天\n');
    await runTool('kafka-console-producer.sh', at, 'one\ntwo\nthree\n');
    await runTool('kafka-console-consumer.sh', [...at, '--group', group, '--from-beginning', '--max-messages', '4']);
  });
  afterAll(() => broker?.end());

  const COMMANDS: readonly (readonly [tool: string, ...words: string[]])[] = [
    ['topics', '--describe', '--topic', topic],
    ['topics', '--list', '--topic', `${topic}|nosuch`],
    ['topics', '--create', '--topic', topic],
    ['topics', '--create', '--topic', 'x y'],
    ['topics', '--describe', '--topic', 'nosuch'],
    ['topics', '--alter', '--topic', topic, '--partitions', '2'],
    ['configs', '--describe', '--entity-type', 'topics', '--entity-name', topic],
    ['configs', '--describe', '--topic', topic, '--all'],
    ['get-offsets', '--topic', topic],
    ['get-offsets', '--topic-partitions', `${topic}:0-2`, '--time', '-2'],
    ['get-offsets', '--topic', topic, '--time', '-3'],
    ['consumer-groups', '--describe', '--group', group],
    ['consumer-groups', '--describe', '--group', group, '--state'],
    ['consumer-groups', '--describe', '--group', group, '--members', '--verbose'],
    ['consumer-groups', '--describe', '--group', 'nosuch'],
    ['consumer-groups', '--reset-offsets', '--group', group, '--topic', topic, '--to-earliest', '--dry-run'],
    ['consumer-groups', '--reset-offsets', '--group', group, '--all-topics', '--shift-by', '-1', '--dry-run', '--export'],
    ['consumer-groups', '--delete', '--group', 'nosuch'],
    ['log-dirs', '--describe', '--topic-list', topic],
    ['transactions', 'list'],
    ['topics', '--describe', '--topic-id', 'xxx'],
    ['topics', '--create', '--topic', 'a', '--partitions', 'many'],
    ['topics', '--list', '--partitions', '1'],
    ['consumer-groups', '--describe', '--all-groups', '--group', group],
    ['consumer-groups', '--describe', '--group', 'nosuch', '--members'],
    ['consumer-groups', '--reset-offsets', '--group', group, '--topic', `${topic}:x`, '--to-offset', '1', '--dry-run'],
    ['consumer-groups', '--reset-offsets', '--group', 'nosuch', '--all-topics', '--to-earliest', '--dry-run'],
    ['consumer-groups', '--reset-offsets', '--group', group, '--topic', topic, '--by-duration', 'P1D', '--dry-run', '--export'],
    ['transactions', 'abort', '--topic', topic, '--partition', '0', '--producer-id', '1'],
    ['configs', '--describe', '--topic', topic, '--entity-type', 'topics'],
    ['configs', '--describe', '--entity-type', 'brokers', '--entity-name', 'x'],
    [
      'console-consumer',
      '--topic',
      topic,
      '--partition',
      '0',
      '--offset',
      'earliest',
      '--timeout-ms',
      '10000',
      ...['timestamp', 'partition', 'offset', 'headers', 'key'].flatMap((name) => ['--property', `print.${name}=true`]),
    ],
  ];

  test.each(COMMANDS)('kafka-%s %s %s %s %s', async (name, ...options) => {
    const all = ['--bootstrap-server', address, ...options];
    const ours = await runTool(`kafka-${name}.sh`, all);
    const theirs = await real(name, all);
    expect(words(ours.out)).toEqual(words(theirs.text));
    expect(ours.code).toBe(theirs.code);
  });

  test('broker-api-versions: one line per API of the broker', async () => {
    const all = ['--bootstrap-server', address];
    const theirs = (await real('broker-api-versions', all)).text.split('\n');
    const ours = (await runTool('kafka-broker-api-versions.sh', all)).out.split('\n');
    const offered = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/ \[.*/, '')).filter((line) => /^\t\w+\(\d+\): \d/.test(line));
    expect(offered(ours)).toEqual(offered(theirs));
  });

  test.runIf(process.env.MILLRACE_KAFKA === undefined)('kafka-dump-log of our files, byte for byte', async () => {
    const dir = (broker as TestBroker).dir;
    const names = fs
      .readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.log$/.test(name) && fs.statSync(path.join(dir, name)).size > 0);
    const [data, offsets] = [names.filter((name) => name.startsWith(topic)), names.filter((name) => name.startsWith('__consumer_offsets'))];
    for (const [list, flag] of [
      [data, '--print-data-log'],
      [offsets, '--offsets-decoder'],
    ] as const) {
      expect(list.length).toBeGreaterThan(0);
      const files = ['--files', list.map((name) => path.join(dir, name)).join(','), flag];
      expect((await runTool('kafka-dump-log.sh', files)).out).toBe((await real('dump-log', files)).text);
    }
  });
});
