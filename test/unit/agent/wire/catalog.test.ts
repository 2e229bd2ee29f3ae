// The table and the specs must say the same, in both directions: each entry loads what it names, and each component file has an entry.
import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { AnySpec, Kind } from '../../../../src/agent/core/define.ts';
import { BUILT_IN, builtInCatalog, loadSpec } from '../../../../src/agent/wire/catalog.ts';

const FOLDERS: Readonly<Record<string, Kind>> = {
  channels: 'channel',
  sources: 'source',
  sinks: 'sink',
  selectors: 'selector',
  processors: 'processor',
  interceptors: 'interceptor',
  serializers: 'serializer',
  deserializers: 'deserializer',
  'config-filters': 'configfilter',
};

it.each(BUILT_IN.map((entry) => [entry.kind, entry.type, entry] as const))('%s %s is what its module declares', async (_kind, _type, entry) => {
  const spec = await loadSpec(entry);
  expect([...(spec.aliases ?? [])].sort()).toEqual([...entry.aliases].sort());
  expect(spec.summary).toMatch(/\.$/);
  // Without it `explain` cannot tell what a flow loses.
  if (entry.kind === 'source' || entry.kind === 'channel' || entry.kind === 'sink') expect(spec).toHaveProperty('delivery');
});

it.each(Object.entries(FOLDERS))('every file of %s that declares a component is listed', async (folder, kind) => {
  const listed = BUILT_IN.filter((entry) => entry.kind === kind).map((entry) => entry.type);
  const root = new URL(`../../../../src/agent/${folder}/`, import.meta.url);
  for (const name of await readdir(root)) {
    if (!name.endsWith('.ts')) continue;
    const module: { default?: AnySpec } = await import(new URL(name, root).href);
    if (module.default?.kind !== undefined) expect(listed, `${folder}/${name}`).toContain(module.default.type);
  }
});

it('has no spelling twice within a kind', () => {
  const spellings = BUILT_IN.flatMap(({ kind, type, aliases }) => [type.toLowerCase(), ...aliases].map((name) => `${kind} ${name}`));
  expect(spellings).toHaveLength(new Set(spellings).size);
});

describe('find', () => {
  it.each<[Kind, string, string | undefined]>([
    ['channel', 'memory', 'memory'],
    ['channel', 'MEMORY', 'memory'],
    ['channel', 'org.apache.flume.channel.MemoryChannel', 'memory'],
    ['channel', 'org.apache.flume.channel.memorychannel', undefined],
    ['sink', 'memory', undefined],
  ])('%s %s', async (kind, type, expected) => expect((await builtInCatalog.find(kind, type))?.type).toBe(expected));
});

describe('unavailable', () => {
  it.each<[Kind, string, string]>([
    ['sink', 'hdfs', 'file_roll'],
    ['sink', 'HBase', 'Kafka'],
    ['sink', 'org.apache.flume.sink.hive.HiveSink', 'Hive'],
    ['source', 'jms', 'JNDI'],
    ['sink', 'org.apache.flume.plugins.KafkaSink', 'kafka.bootstrap.servers'],
  ])('%s %s has a reason and a way out', (kind, type, part) => {
    const text = builtInCatalog.unavailable(kind, type);
    expect(text).toContain(part);
    expect(text).toContain('; ');
  });

  it('says nothing about what it does not know', () => {
    expect(builtInCatalog.unavailable('sink', 'logger')).toBeUndefined();
    expect(builtInCatalog.unavailable('source', 'hdfs')).toBeUndefined();
  });
});
