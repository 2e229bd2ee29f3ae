/**
 * kcat (librdkafka 2.x in C) against the broker. Skipped by name when kcat is not installed (Debian: `apt install kcat`).
 * What kcat cannot show is asked through confluent-kafka in python-clients.test.ts.
 */
import { spawn, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batches } from '../../src/records/batch.ts';
import { eventually, fetchFrom, TestBroker } from '../integration/broker-harness.ts';

const version = /Version ([\d.]+).*librdkafka ([\d.]+)/s.exec(spawnSync('kcat', ['-V'], { encoding: 'utf8' }).stdout ?? '');

describe.runIf(version)(`kcat ${version ? `${version[1]}, librdkafka ${version[2]}` : '(skipped: not installed)'}`, () => {
  let broker: TestBroker;
  beforeAll(async () => {
    broker = await TestBroker.start();
  });
  afterAll(() => broker.end());

  /** Runs kcat to its end with `input`; stdout. */
  function kcat(args: readonly string[], input = ''): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn('timeout', ['40', 'kcat', '-b', broker.address, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
      let out = '';
      let err = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk));
      child.stderr.on('data', (chunk: Buffer) => (err += chunk));
      child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`kcat ${args.join(' ')} ended with ${code}: ${err}`))));
      child.stdin.end(input);
    });
  }

  test('lists topics with leaders', async () => {
    await broker.topic('listed', 2);
    const listing = await kcat(['-L']);
    expect(listing).toContain(`broker 0 at ${broker.address} (controller)`);
    expect(listing).toMatch(/topic "listed" with 2 partitions:\n\s+partition 0, leader 0, replicas: 0, isrs: 0/);
  });

  test.each([
    ['none', 0],
    ['gzip', 1],
    ['snappy', 2],
    ['lz4', 3],
    ['zstd', 4],
  ] as const)('produces %s, stored as sent, and reads it back', async (codec, number) => {
    const lines = Array.from({ length: 200 }, (_, i) => `k${i}:${codec}-${i}-${'y'.repeat(50)}`);
    await kcat(['-P', '-t', `z-${codec}`, '-K:', '-z', codec, '-X', 'linger.ms=200'], `${lines.join('\n')}\n`);
    const stored = await fetchFrom(await broker.client(), `z-${codec}`, 0, 0);
    expect([...batches(stored.records!)].map((batch) => batch.codec)).toContain(number);
    expect((await kcat(['-C', '-t', `z-${codec}`, '-e', '-q', '-K:'])).trimEnd().split('\n')).toEqual(lines);
  });

  test('headers, partition, key, tombstone and timestamps', async () => {
    await broker.topic('shape', 2);
    await kcat(['-P', '-t', 'shape', '-p', '1', '-k', 'key', '-H', 'a=1', '-H', 'b=2'], 'body\n');
    await kcat(['-P', '-t', 'shape', '-p', '1', '-K:', '-Z'], 'gone:\n');
    const out = await kcat(['-C', '-t', 'shape', '-p', '1', '-e', '-q', '-f', '%p|%o|%k|%S|%h|%s;']);
    expect(out).toBe('1|0|key|4|a=1,b=2|body;1|1|gone|-1||;');
  });

  test('idempotent, and every acks', async () => {
    await kcat(['-P', '-t', 'idem', '-X', 'enable.idempotence=true'], 'a\nb\n');
    for (const acks of ['0', '1', 'all']) await kcat(['-P', '-t', 'idem', '-X', `acks=${acks}`], `${acks}\n`);
    expect((await kcat(['-C', '-t', 'idem', '-e', '-q'])).trimEnd().split('\n').sort()).toEqual(['0', '1', 'a', 'all', 'b']);
    const first = [...batches((await fetchFrom(await broker.client(), 'idem', 0, 0)).records!)][0]!;
    expect(first.producerId).toBeGreaterThanOrEqual(0);
  });

  test('a thousand lines in one go, offsets from the end and by time', async () => {
    const lines = Array.from({ length: 1000 }, (_, i) => `line-${i}`);
    await kcat(['-P', '-t', 'many'], `${lines.join('\n')}\n`);
    expect((await kcat(['-C', '-t', 'many', '-o', '-3', '-e', '-q'])).trimEnd().split('\n')).toEqual(lines.slice(-3));
    expect((await kcat(['-C', '-t', 'many', '-o', '997', '-e', '-q'])).trimEnd().split('\n')).toEqual(lines.slice(-3));
    expect((await kcat(['-C', '-t', 'many', '-o', 's@1', '-e', '-q'])).split('\n')).toHaveLength(1001);
    expect(await kcat(['-Q', '-t', 'many:0:-1'])).toMatch(/many \[0\] offset 1000/);
    expect(await kcat(['-Q', '-t', 'many:0:1'])).toMatch(/many \[0\] offset 0/);
  });

  test('two members of a balanced group share the partitions and hand over when one leaves', async () => {
    await broker.topic('bal', 4);
    const members = [0, 1].map(() => {
      const child = spawn('kcat', ['-b', broker.address, '-G', 'kcats', '-u', '-X', 'auto.offset.reset=earliest', '-X', 'session.timeout.ms=6000', 'bal'], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const member = { child, out: '', err: '', ended: new Promise((resolve) => child.on('close', resolve)) };
      child.stdout.on('data', (chunk: Buffer) => (member.out += chunk));
      child.stderr.on('data', (chunk: Buffer) => (member.err += chunk));
      return member;
    });
    const assigned = (n: number): string[] =>
      (/.*assigned: (.*)/s.exec(members[n]!.err)?.[1] ?? '')
        .split('\n')[0]!
        .split(', ')
        .filter((p) => p.includes('bal ['));
    try {
      await eventually(() => assigned(0).length === 2 && assigned(1).length === 2, 'two partitions each', 30_000);
      const produce = (from: number) => Promise.all([0, 1, 2, 3].map((p) => kcat(['-P', '-t', 'bal', '-p', String(p)], `${from + p}\n`)));
      await produce(0);
      await eventually(() => members.flatMap(({ out }) => out.trim().split('\n').filter(Boolean)).length === 4, 'four messages');
      members[0]!.child.kill('SIGTERM');
      await members[0]!.ended;
      await eventually(() => assigned(1).length === 4, 'all partitions', 30_000);
      await produce(10);
      await eventually(() => members[1]!.out.includes('13'), 'the rest');
      const all = members
        .flatMap(({ out }) => out.trim().split('\n'))
        .filter(Boolean)
        .map(Number);
      expect(all.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 10, 11, 12, 13]);
    } finally {
      for (const { child, ended } of members) {
        child.kill('SIGTERM');
        await ended;
      }
    }
  });

  test('creates a topic by producing to it, not by asking for it with a refusal', async () => {
    const listing = await kcat(['-L', '-t', 'asked', '-X', 'allow.auto.create.topics=false']);
    expect(listing).toMatch(/topic "asked" with 0 partitions: .*Unknown topic/);
    await kcat(['-P', '-t', 'asked'], 'x\n');
    expect(await kcat(['-L', '-t', 'asked'])).toMatch(/topic "asked" with 1 partitions/);
  });
});
