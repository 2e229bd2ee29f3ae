// flume-ng describe: the list, one component, plugins, and what is not to be had.
import { expect, it } from 'vitest';
import { flumeNg } from './flume-ng.ts';

it('lists components by kind', async () => {
  const { code, stdout } = await flumeNg(['describe']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Sources: bring events in\n {2}\w/);
  for (const type of ['netcat', 'spooldir', 'memory', 'logger', 'file_roll', 'static', 'multiplexing', 'failover', 'TEXT', 'LINE', 'external'])
    expect(stdout).toMatch(new RegExp(`^  ${type} `, 'm'));
});

it('tells everything about one, whichever way it is written', async () => {
  const { stdout } = await flumeNg(['describe', 'netcat']);
  expect(stdout).toContain('port             number, 0 to 65535; required');
  expect(stdout).toContain('ack-every-event  true or false; default true');
  expect((await flumeNg(['describe', 'org.apache.flume.source.NetcatSource'])).stdout).toBe(stdout);
  expect((await flumeNg(['describe', 'source', 'NETCAT'])).stdout).toBe(stdout);
});

it('answers programs', async () => {
  const [record] = JSON.parse((await flumeNg(['describe', 'memory', '--json'])).stdout) as { kind: string; properties: object[] }[];
  expect(record).toMatchObject({ kind: 'channel', type: 'memory', aliases: ['org.apache.flume.channel.MemoryChannel'] });
  expect(record!.properties).toContainEqual(expect.objectContaining({ key: 'capacity', default: 100, min: 1 }));
});

it('describes plugins', async () => {
  expect((await flumeNg(['describe', 'webhook'])).stdout).toContain('Posts each batch as lines to a URL.');
});

it.each([
  ['what cannot be had', ['describe', 'hdfs'], 1, /not available here: .*Hadoop/],
  ['a slip', ['describe', 'nectat'], 2, /did you mean netcat\?/],
  ['a kind that is none', ['describe', 'pipe', 'x'], 2, /kinds are source, channel/],
])('%s', async (_name, words, code, text) => {
  const answer = await flumeNg(words);
  expect(answer.code).toBe(code);
  expect(answer.stdout + answer.stderr).toMatch(text);
});
