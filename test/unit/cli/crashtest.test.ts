// The copy of a definition that `flume-ng crashtest` runs: own places, the same channels, and nothing of the outside world. Real kills
// are in test/crash/kill.test.ts.
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type CrashDefinition, crashDefinition } from '../../../src/cli/crashtest/definition.ts';
import { Numbers } from '../../../src/cli/crashtest/feeders.ts';
import { outputOf } from '../../../src/cli/crashtest/outputs.ts';
import { outcomeOf } from '../../../src/cli/crashtest.ts';
import { quietCatalog } from '../../../src/cli/definition-options.ts';
import { placeFor } from '../../ends-with-test.ts';
import { contextIn } from './command-context.ts';

async function copyOf(lines: string): Promise<{ definition: CrashDefinition; text: string; dir: string }> {
  const dir = placeFor('crash-copy');
  const file = path.join(dir, 'mine.conf');
  fs.writeFileSync(file, lines.trim().replaceAll(/^\s*/gm, 'a1.'));
  const definition = await crashDefinition(
    { files: [file], name: 'a1', catalog: quietCatalog(contextIn(dir).context), cwd: dir, env: {}, systemProperties: {} },
    dir,
  );
  return { definition, text: fs.readFileSync(definition.file, 'utf8'), dir };
}

test('sources get places of their own, channels keep their limits, sinks write where it can be read', async () => {
  const { definition, text, dir } = await copyOf(`
    sources = r1 r2 r3 r4
    channels = c1 c2
    sinks = k1 k2 k3
    sinks.k3.type = hdfs
    sinks.k3.channel = c1
    sources.r1.type = avro
    sources.r1.bind = 0.0.0.0
    sources.r1.port = 4141
    sources.r1.compression-type = deflate
    sources.r1.channels = c1
    sources.r2.type = exec
    sources.r2.shell = /bin/sh -c
    sources.r2.command = cat /etc/passwd
    sources.r2.batchSize = 7
    sources.r2.channels = c2
    sources.r3.type = seq
    sources.r3.channels = c1
    sources.r4.type = spooldir
    sources.r4.spoolDir = /precious
    sources.r4.deletePolicy = immediate
    sources.r4.channels = c1
    channels.c1.type = file
    channels.c1.checkpointDir = /precious/checkpoint
    channels.c1.dataDirs = /precious/a,/precious/b
    channels.c1.capacity = 777
    channels.c1.transactionCapacity = 100
    channels.c2.type = jdbc
    channels.c2.driver.url = jdbc:sqlite:/precious/events.sqlite
    sinks.k1.type = org.apache.flume.sink.kafka.KafkaSink
    sinks.k1.kafka.bootstrap.servers = production:9092
    sinks.k1.kafka.topic = orders
    sinks.k1.kafka.producer.acks = all
    sinks.k1.kafka.producer.security.protocol = SSL
    sinks.k1.flumeBatchSize = 70
    sinks.k1.channel = c1
    sinks.k2.type = avro
    sinks.k2.hostname = production
    sinks.k2.port = 4242
    sinks.k2.channel = c2`);
  expect(text).not.toMatch(/precious|production|orders|passwd|SSL|deflate|0\.0\.0\.0|4141/);
  expect(definition.notes).toEqual([
    'sink k3 cannot run as written and is left out; flume-ng validate says why',
    'source r3 (seq) cannot be fed here and is left out',
  ]);
  expect(definition.sources).toEqual([
    { name: 'r1', type: 'avro', port: expect.any(Number) },
    { name: 'r2', type: 'exec', file: `${dir}/exec-r2`, monitoringPort: definition.monitoringPort },
    { name: 'r4', type: 'spooldir', dir: `${dir}/spool-r4` },
  ]);
  for (const kept of ['channels.c1.capacity = 777', 'sources.r2.batchSize = 7', 'kafka.producer.acks = all', 'sinks.k1.flumeBatchSize = 70']) {
    expect(text).toContain(kept);
  }
  expect(text).toContain(`channels.c1.dataDirs = ${dir}/channel-c1/data-0,${dir}/channel-c1/data-1`);
  expect(definition.channels).toEqual([
    { name: 'c1', sources: ['r1', 'r4'], outputs: [{ kind: 'topic', topic: 'crashtest-k1', port: expect.any(Number) }] },
    { name: 'c2', sources: ['r2'], outputs: [{ kind: 'files', dir: `${dir}/out-k2` }] },
  ]);
  expect(fs.readFileSync(definition.broker as string, 'utf8')).toContain(`log.dirs=${dir}/kafka`);
});

test('a channel owes nothing that it may refuse, or that a header may send elsewhere', async () => {
  const { definition, text } = await copyOf(`
    sources = r1 r2
    channels = c1 c2
    sources.r1.type = avro
    sources.r1.bind = 127.0.0.1
    sources.r1.port = 4141
    sources.r1.channels = c1 c2
    sources.r1.selector.optional = c2
    sources.r2.type = avro
    sources.r2.bind = 127.0.0.1
    sources.r2.port = 4142
    sources.r2.channels = c1 c2
    sources.r2.selector.type = multiplexing
    sources.r2.selector.header = place
    sources.r2.selector.default = c1
    channels.c1.type = memory
    channels.c2.type = memory`);
  expect(definition.channels.map(({ name, sources }) => ({ name, sources }))).toEqual([
    { name: 'c1', sources: ['r1'] },
    { name: 'c2', sources: [] },
  ]);
  expect(text).toContain('a1.sources.r1.selector.optional = c2');
  for (const source of definition.sources) expect('port' in source && source.port).toBeLessThan(32_768);
});

test('without a source that can be fed it says which can', async () => {
  const refused = copyOf(`
    sources = r1
    channels = c1
    sources.r1.type = seq
    sources.r1.channels = c1
    channels.c1.type = memory`);
  await expect(refused).rejects.toThrow('no source of the agent can be fed');
  await expect(refused).rejects.toMatchObject({ fix: 'crashtest can feed netcat, avro, thrift, exec, spooldir and Kafka sources' });
});

test('events are counted as they come, a torn line when it is whole, other text never', async () => {
  const dir = placeFor('crash-copy');
  const output = outputOf({ kind: 'files', dir });
  const line = (n: number): string => `crashtest r1 ${String(n).padStart(9, '0')} end\n`;
  fs.writeFileSync(path.join(dir, '1'), `${line(1)}${line(2)}noise\n${line(3).slice(0, 20)}`);
  expect(await output.look()).toBe(true);
  expect([...output.seen.keys()]).toEqual(['r1 000000001', 'r1 000000002']);
  fs.appendFileSync(path.join(dir, '1'), line(3).slice(20));
  fs.writeFileSync(path.join(dir, '2'), line(2));
  expect(await output.look()).toBe(true);
  expect(await output.look()).toBe(false);
  await output.reread();
  expect(Object.fromEntries(output.seen)).toEqual({ 'r1 000000001': 1, 'r1 000000002': 2, 'r1 000000003': 1 });
});

test('what a selector brings from a source that is not held to this channel is not invented', async () => {
  const feeder = { numbers: new Numbers('r1', () => 0), isReady: async () => true, feed: async () => {} };
  const ids = [...feeder.numbers.take(1), ...feeder.numbers.take(1)];
  const output = { seen: new Map([...ids, 'r1 000000077'].map((id) => [id, 1])), look: async () => false, reread: async () => {}, close() {} };
  expect(outcomeOf({ channel: 'c1', feeders: [], outputs: [output] }, [feeder])).toMatchObject({ delivered: 3, lost: 0, invented: 1 });
});
