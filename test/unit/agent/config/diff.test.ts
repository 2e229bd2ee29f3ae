import { describe, expect, it } from 'vitest';
import { diffModels } from '../../../../src/agent/config/diff.ts';
import type { ListedKind } from '../../../../src/agent/config/model.ts';
import { load } from './fixture-catalog.ts';

const BASE = `a1.sources = r1 r2
a1.channels = c1 c2
a1.sinks = k1 k2
a1.sinkgroups = g1
a1.sources.r1.type = netcat
a1.sources.r1.bind = 127.0.0.1
a1.sources.r1.port = 1
a1.sources.r1.channels = c1 c2
a1.sources.r1.interceptors = i1
a1.sources.r1.interceptors.i1.type = static
a1.sources.r1.interceptors.i1.key = k
a1.sources.r2.type = netcat
a1.sources.r2.bind = 127.0.0.1
a1.sources.r2.port = 2
a1.sources.r2.channels = c2
a1.channels.c1.type = memory
a1.channels.c2.type = memory
a1.sinks.k1.type = logger
a1.sinks.k1.channel = c1
a1.sinks.k2.type = logger
a1.sinks.k2.channel = c2
a1.sinkgroups.g1.sinks = k1 k2
a1.sinkgroups.g1.processor.type = failover
a1.sinkgroups.g1.processor.priority.k1 = 1
`;

/** `kind name what` for everything that is not unchanged. */
async function moves(before: string, after: string, adopted?: Set<string>): Promise<string[]> {
  const [one, two] = [(await load(before)).model, (await load(after)).model];
  const diff = diffModels(one, two, adopted);
  const kinds = Object.keys(diff) as ListedKind[];
  return kinds.flatMap((kind) => (['left', 'changed', 'came'] as const).flatMap((what) => diff[kind][what].map((name) => `${kind} ${name} ${what}`)));
}

describe('what moves', () => {
  it.each<[string, string, string[]]>([
    ['nothing', BASE, []],
    ['nothing for a comment, another order or another alias in case', `# c\n${BASE.split('\n').reverse().join('\n').replace('= memory', '= MEMORY')}`, []],
    ['a property of a source', BASE.replace('r1.port = 1', 'r1.port = 9'), ['source r1 changed']],
    ['an interceptor', BASE.replace('i1.key = k', 'i1.key = z'), ['source r1 changed']],
    ['the selector', `${BASE}a1.sources.r1.selector.optional = c2\n`, ['source r1 changed']],
    ['the channels of a source', BASE.replace('r1.channels = c1 c2', 'r1.channels = c2 c1'), ['source r1 changed']],
    ['a sink', BASE.replace('k2.type = logger', 'k2.type = null'), ['sink k2 changed', 'sinkgroup g1 changed']],
    [
      'a channel takes its sources, sinks and groups along',
      `${BASE}a1.channels.c1.capacity = 500\n`,
      ['source r1 changed', 'channel c1 changed', 'sink k1 changed', 'sinkgroup g1 changed'],
    ],
    ['the processor', BASE.replace('priority.k1 = 1', 'priority.k1 = 2'), ['sinkgroup g1 changed']],
    ['a source goes', BASE.replace('sources = r1 r2', 'sources = r1'), ['source r2 left']],
    ['a group goes', BASE.replace('a1.sinkgroups = g1\n', ''), ['sinkgroup g1 left']],
  ])('%s', async (_name, after, expected) => {
    expect(await moves(BASE, after)).toEqual(expected);
  });

  it('a source comes', async () => {
    expect(await moves(BASE.replace('sources = r1 r2', 'sources = r1'), BASE)).toEqual(['source r2 came']);
  });

  it('a channel that takes its configuration over leaves the rest alone', async () => {
    expect(await moves(BASE, `${BASE}a1.channels.c1.capacity = 500\n`, new Set(['c1']))).toEqual(['channel c1 changed']);
  });
});

it('everything comes and goes with an agent', async () => {
  const { model } = await load(BASE);
  expect(diffModels(null, model).source.came).toEqual(['r1', 'r2']);
  expect(diffModels(model, null).channel.left).toEqual(['c1', 'c2']);
});
