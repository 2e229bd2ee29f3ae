/** Small parts of the Kafka tools: lines to records, times, Java's names, figures, and what starting them costs. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { int64Text, javaClassOf, javaDouble, logDate } from '../../../src/cli/kafka-tool/java-text.ts';
import { Latencies } from '../../../src/cli/kafka-tool/latencies.ts';
import { lineReader } from '../../../src/cli/kafka-tool/line-records.ts';
import { dateTime, duration } from '../../../src/cli/kafka-tool/offset-reset.ts';
import { topicFilter } from '../../../src/cli/kafka-tool/topic-filter.ts';

const text = (bytes: Buffer | null): string | null => bytes?.toString() ?? null;

describe('lines to records', () => {
  test('headers, key and value, each only if asked for', () => {
    const read = lineReader({ 'parse.key': 'true', 'parse.headers': 'true' });
    const record = read('h1:a,h2:b\tk\tv\tw');
    expect([text(record.key), text(record.value)]).toEqual(['k', 'v\tw']);
    expect(record.headers.map(([name, value]) => [name, text(value)])).toEqual([
      ['h1', 'a'],
      ['h2', 'b'],
    ]);
    expect(text(lineReader({})('a\tb').value)).toBe('a\tb');
  });

  test('lines that lack a part', () => {
    const strict = lineReader({ 'parse.key': 'true' });
    strict('a\tb');
    expect(() => strict('nokey')).toThrow("No key separator found on line number 2: 'nokey'");
    const lax = lineReader({ 'parse.key': 'true', 'ignore.error': 'true' })('nokey');
    expect([lax.key, text(lax.value)]).toEqual([null, 'nokey']);
    expect(() => lineReader({ 'parse.headers': 'true' })('bad\tv')).toThrow("No header key separator found in pair 'bad' on line number 1");
  });

  test('null markers', () => {
    const read = lineReader({ 'parse.key': 'true', 'null.marker': 'NUL', 'key.separator': ':' });
    expect(read('NUL:NUL')).toMatchObject({ key: null, value: null });
    expect(() => lineReader({ 'null.marker': '\t' })).toThrow('null.marker and key.separator may not be equal');
  });
});

describe('times', () => {
  test('date and time are UTC unless a zone is given', () => {
    expect(dateTime('2020-01-01T00:00:00.000')).toBe(1_577_836_800_000);
    expect(dateTime('2020-01-01T08:00:00.5+08:00')).toBe(1_577_836_800_500);
    expect(dateTime('2020-01-01T08:00:00+0800')).toBe(1_577_836_800_000);
    expect(() => dateTime('2020-01-01')).toThrow("does not contain a 'T'");
    expect(() => dateTime('2020-13-01T00:00:00.000')).toThrow('Unparseable date');
  });

  test('durations', () => {
    expect(duration('P1DT2H3M4.5S')).toBe(93_784_500);
    expect(duration('-PT1M')).toBe(-60_000);
    for (const wrong of ['', 'P', 'PT', '1D', 'bogus']) expect(() => duration(wrong)).toThrow('cannot be parsed');
  });

  test('log dates', () => {
    expect(logDate(Date.parse('2026-01-02T03:04:05.006'))).toBe('2026-01-02 03:04:05,006');
  });
});

test('Java’s names and numbers', () => {
  // org.apache.kafka.common.protocol.Errors of 3.9.1: refusals have no "Failed" in the names of their classes.
  const classes = [29, 30, 31, 53, 65].map((code) => javaClassOf(code).replace('org.apache.kafka.common.errors.', ''));
  expect(classes).toEqual(['Topic', 'Group', 'Cluster', 'TransactionalId', 'DelegationToken'].map((word) => `${word}AuthorizationException`));
  expect(javaClassOf(13)).toBe('org.apache.kafka.common.errors.NetworkException');
  expect(javaClassOf(3)).toBe('org.apache.kafka.common.errors.UnknownTopicOrPartitionException');
  expect(javaClassOf(36)).toBe('org.apache.kafka.common.errors.TopicExistsException');
  expect(javaClassOf(17)).toBe('org.apache.kafka.common.errors.InvalidTopicException');
  expect(javaClassOf(69)).toBe('org.apache.kafka.common.errors.GroupIdNotFoundException');
  expect([javaDouble(1024), javaDouble(0.5)]).toEqual(['1024.0', '0.5']);
  expect(int64Text(2 ** 63)).toBe('9223372036854775807');
});

test('topic patterns match whole names, commas are alternatives', () => {
  const matches = topicFilter('a.*, b');
  expect(['a', 'abc', 'b', 'bc'].map(matches)).toEqual([true, true, true, false]);
  expect(() => topicFilter('a(')).toThrow('invalid regex');
});

test('latencies of many records are sampled evenly', () => {
  const figures = new Latencies(2_000_000);
  figures.begin();
  for (let i = 0; i < 2000; i++) figures.add(1000, 100_000, i < 1980 ? 10 : 500);
  expect(figures.count).toBe(2_000_000);
  expect(figures.total()).toMatch(
    /^2000000 records sent, .* 14\.90 ms avg latency, 500\.00 ms max latency, 10 ms 50th, 10 ms 95th, 500 ms 99th, 500 ms 99\.9th\.\n$/,
  );
});

/** What a program loads before its first line runs: files of src/ and packages. */
function staticImports(entry: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const [, types, target] of readFileSync(file, 'utf8').matchAll(/^(?:import|export) (type )?[^;]*?from '([^']+)';$/gm)) {
      if (types !== undefined) continue;
      if ((target as string).startsWith('.')) visit(path.resolve(path.dirname(file), target as string));
      else if (!(target as string).startsWith('node:')) packages.add(target as string);
    }
  };
  visit(entry);
  return { files, packages };
}

const SRC = path.resolve(import.meta.dirname, '../../../src');

describe('a tool starts in a quarter of a second: it loads no package, and little of the house', () => {
  test.each(['topics', 'configs', 'console-producer', 'console-consumer', 'consumer-groups', 'get-offsets', 'dump-log', 'log-dirs', 'run-class'])(
    'kafka-%s',
    (name) => {
      const { files, packages } = staticImports(path.join(SRC, 'cli', `kafka-${name}.ts`));
      expect([...packages]).toEqual([]);
      const rooms = [...files].map((file) => path.relative(SRC, file).split(path.sep)[0]);
      expect(rooms).not.toContain('agent');
      expect(rooms).not.toContain('broker');
      expect(files.size).toBeLessThan(70);
    },
  );
});
