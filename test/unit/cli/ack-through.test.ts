// ackThrough of the memory channel, as validate and explain see it: a promise for sources that can send again, a warning for others.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { run as explain } from '../../../src/cli/explain.ts';
import { run as validate } from '../../../src/cli/validate.ts';
import { placeFor } from '../../ends-with-test.ts';
import { contextIn } from './command-context.ts';

const SOURCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  spooldir: { spoolDir: '.' },
  avro: { bind: '127.0.0.1', port: '4141' },
  thrift: { bind: '127.0.0.1', port: '4142' },
  netcat: { bind: '127.0.0.1', port: '4143' },
  'org.apache.flume.source.kafka.KafkaSource': { 'kafka.bootstrap.servers': 'localhost:9092', 'kafka.topics': 't' },
  exec: { command: 'tail -F x' },
  netcatudp: { bind: '127.0.0.1', port: '4144' },
  'netcat without answers': { bind: '127.0.0.1', port: '4145', 'ack-every-event': 'false' },
};

async function ask(command: typeof validate, source: string, channel: Readonly<Record<string, string>>): Promise<{ code: number; out: string }> {
  const dir = placeFor('ack-through');
  const lines: readonly (readonly [string, string])[] = [
    ['sources', 'r1'],
    ['channels', 'c1'],
    ['sinks', 'k1'],
    ['sources.r1.type', source.split(' ')[0] as string],
    ...Object.entries(SOURCES[source] ?? {}).map(([key, value]) => [`sources.r1.${key}`, value] as const),
    ['sources.r1.channels', 'c1'],
    ['channels.c1.type', 'memory'],
    ['channels.c1.capacity', '10000'],
    ['channels.c1.transactionCapacity', '1000'],
    ...Object.entries(channel).map(([key, value]) => [`channels.c1.${key}`, value] as const),
    ['sinks.k1.type', 'null'],
    ['sinks.k1.channel', 'c1'],
  ];
  const file = path.join(dir, 'agent.conf');
  fs.writeFileSync(file, lines.map(([key, value]) => `a1.${key} = ${value}\n`).join(''));
  const { context, said } = contextIn(dir);
  const code = await command(['-f', file, '-n', 'a1', '--json'], context);
  return { code, out: said.out + said.err };
}

const through = { ackThrough: 'true' };
const effectsOf = (out: string): Record<string, string> => (JSON.parse(out) as { flows: { effects: Record<string, string> }[] }).flows[0]?.effects ?? {};

describe.each(['spooldir', 'avro', 'thrift', 'netcat', 'org.apache.flume.source.kafka.KafkaSource'])('%s, which can send again', (source) => {
  test('validate has nothing to say against it', async () => {
    expect((await ask(validate, source, through)).out).not.toContain('ack-through-without-replay');
  });

  test('explain: a crash and a stop lose nothing with it, and lose without it', async () => {
    expect(effectsOf((await ask(explain, source, through)).out)).toMatchObject({ crash: 'doubles', stop: 'doubles' });
    const { out } = await ask(explain, source, {});
    expect(effectsOf(out)).toMatchObject({ crash: 'loses', stop: 'loses' });
    expect(out).toContain('or set ackThrough = true, if the source can send again');
  });
});

describe.each(['exec', 'netcatudp', 'netcat without answers'])('%s, which cannot', (source) => {
  test('validate warns, with the line and what to do', async () => {
    const { out } = await ask(validate, source, through);
    const { findings } = JSON.parse(out) as { findings: { code: string; severity: string; message: string; fix: string; where?: { line: number } }[] };
    const found = findings.find(({ code }) => code === 'ack-through-without-replay');
    expect(found).toMatchObject({ severity: 'warning', fix: expect.stringContaining('channel of type = file') });
    expect(found?.message).toContain('a crash still loses what is in memory');
    expect(JSON.stringify(found)).toMatch(/"line":\d+/);
  });

  test('explain: it still loses', async () => {
    const { out } = await ask(explain, source, through);
    expect(effectsOf(out)).toMatchObject({ crash: 'loses' });
    expect(out).toContain('ackThrough does not help a source that cannot send again');
  });
});

test('it is off unless it is asked for, and a word that is neither true nor false leaves it off', async () => {
  expect(effectsOf((await ask(explain, 'avro', { ackThrough: 'false' })).out)).toMatchObject({ crash: 'loses' });
  expect(effectsOf((await ask(explain, 'avro', { ackThrough: 'maybe' })).out)).toMatchObject({ crash: 'loses' });
});
