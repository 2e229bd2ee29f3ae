import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import file from '../../../src/agent/channels/file.ts';
import jdbc from '../../../src/agent/channels/jdbc.ts';
import spillable from '../../../src/agent/channels/spillable.ts';
import type { AnySpec, ChannelSpec } from '../../../src/agent/core/define.ts';
import type { Event } from '../../../src/agent/core/event.ts';
import { run } from '../../../src/cli/channel.ts';
import { configOf, contextOf, never } from '../../channel-model.ts';
import { placeFor } from '../../ends-with-test.ts';
import { compiled } from '../../sqlite.ts';
import { contextIn } from './command-context.ts';

type Kind = 'file' | 'SPILLABLEMEMORY' | 'jdbc' | 'memory' | 'encrypted';
const SPECS = { file, encrypted: file, SPILLABLEMEMORY: spillable, jdbc } as unknown as Readonly<Record<Kind, ChannelSpec>>;

function propertiesOf(kind: Kind, dir: string): Record<string, string> {
  if (kind === 'memory') return {};
  if (kind === 'jdbc') return { 'driver.url': `jdbc:sqlite:${dir}/events.sqlite` };
  const dirs = { checkpointDir: `${dir}/c`, dataDirs: `${dir}/d`, minimumRequiredSpace: '0' };
  if (kind !== 'encrypted') return dirs;
  fs.writeFileSync(`${dir}/keys`, `k1 = ${'ab'.repeat(32)}\n`);
  const keys = { 'encryption.keyProvider': 'KEYFILE', 'encryption.keyProvider.keyFile': `${dir}/keys`, 'encryption.activeKey': 'k1' };
  return { ...dirs, ...keys, 'encryption.cipherProvider': 'AESCTRNOPADDING' };
}

function place(kind: Kind = 'file') {
  const dir = placeFor('channel-cli');
  const dirs = propertiesOf(kind, dir);
  const type = kind === 'encrypted' ? 'file' : kind;
  const lines = ['sources = r1', 'channels = c1', 'sources.r1.type = seq', 'sources.r1.channels = c1', `channels.c1.type = ${type}`];
  const definition = path.join(dir, 'agent.conf');
  fs.writeFileSync(
    definition,
    [...lines, ...Object.entries(dirs).map(([key, value]) => `channels.c1.${key} = ${value}`)].map((line) => `a1.${line}\n`).join(''),
  );
  const channel = async (...words: string[]) => {
    const { context, said } = contextIn(dir);
    const code = await run([...words, '-f', definition, '-n', 'a1', 'c1'], context);
    return { code, ...said };
  };
  const open = async () => {
    const opened = SPECS[kind].create(configOf(SPECS[kind] as AnySpec, dirs), contextOf(undefined).ctx);
    await opened.start();
    return opened;
  };
  return { dir, channel, open };
}

const EVENTS: Event[] = [
  { headers: {}, body: Buffer.alloc(0) },
  { headers: { ü: '中\n"', '': 'empty name', __proto__x: 'y' }, body: Buffer.from(Array.from({ length: 256 }, (_, i) => i)) },
  { headers: { a: '' }, body: Buffer.alloc(70_000, 0xfe) },
];

test('export and import bring back every byte; ls, peek and verify read beside a running agent', async () => {
  const from = place();
  const running = await from.open();
  await running.put(EVENTS, never);
  expect(await from.channel('ls')).toMatchObject({ code: 0, out: expect.stringContaining('3 events wait') });
  expect((await from.channel('peek', '--count', '1')).out).toBe('0  {}  ""\n');
  expect(await from.channel('verify')).toMatchObject({ code: 0, out: expect.stringContaining('no damage found') });
  const lines = path.join(from.dir, 'events.jsonl');
  expect((await from.channel('export', '--file', lines)).err).toBe('3 events written\n');
  await expect(from.channel('drain')).rejects.toThrow('already locked');
  await running.stop();
  const to = place();
  expect((await to.channel('import', '--file', lines)).err).toBe('3 events put in\n');
  const again = await to.open();
  expect((await again.take(9, never))?.events).toEqual(EVENTS);
  await again.stop();
});

test('drain takes out what it wrote; drop needs --yes where nobody can be asked', async () => {
  const { dir, channel, open } = place();
  let opened = await open();
  await opened.put(EVENTS, never);
  await opened.stop();
  expect(await channel('drop')).toMatchObject({ code: 1, err: expect.stringContaining('nothing was thrown away') });
  const lines = path.join(dir, 'out.jsonl');
  expect((await channel('drain', '--file', lines)).err).toBe('3 events written and taken out\n');
  expect(fs.readFileSync(lines, 'utf8').trim().split('\n')).toHaveLength(3);
  await channel('import', '--file', lines);
  expect((await channel('drop', '--yes')).err).toBe('3 events thrown away\n');
  opened = await open();
  expect(opened.gauges().size).toBe(0);
  await opened.stop();
});

test('verify names the damaged place and changes nothing', async () => {
  const { dir, channel, open } = place();
  const opened = await open();
  await opened.put(EVENTS, never);
  await opened.put(EVENTS, never);
  await opened.stop();
  const data = path.join(dir, 'd', '00000000000000000000.log');
  const bytes = fs.readFileSync(data);
  bytes[200] = (bytes[200] as number) ^ 1;
  fs.writeFileSync(data, bytes);
  expect(await channel('verify')).toMatchObject({ code: 1, out: expect.stringMatching(/from 0 on are damaged/) });
  expect(fs.readFileSync(data).equals(bytes)).toBe(true);
});

test.each(['after a stop', 'beside a running agent'])('verify tells that the end of the newest data file is gone, %s', async (when) => {
  const { dir, channel, open } = place();
  const opened = await open();
  const data = path.join(dir, 'd', '00000000000000000000.log');
  await opened.put(EVENTS, never);
  const { size } = fs.statSync(data);
  await opened.put(EVENTS, never);
  if (when === 'after a stop') await opened.stop();
  expect(await channel('verify')).toMatchObject({ code: 0, out: expect.stringContaining('no damage found') });
  fs.truncateSync(data, size);
  expect(await channel('verify')).toMatchObject({ code: 1, out: expect.stringContaining('3 events that were stored cannot be read any more') });
  expect(JSON.parse((await channel('verify', '--json')).out)).toMatchObject({ bad: [], missing: 3 });
  await opened.stop();
});

describe.each<[Kind]>([['SPILLABLEMEMORY'], ['encrypted'], ...(compiled ? [['jdbc'] as [Kind]] : [])])('%s', (kind) => {
  test('ls, peek, verify, export, drain, import and drop', async () => {
    const { dir, channel, open } = place(kind);
    const opened = await open();
    await opened.put(EVENTS, never);
    await opened.stop();
    expect(await channel('ls')).toMatchObject({ code: 0, out: expect.stringContaining('3 events wait') });
    expect(JSON.parse((await channel('ls', '--json')).out)).toMatchObject({ channel: 'c1', events: 3 });
    expect((await channel('peek', '--json', '--count', '2')).out.trim().split('\n')).toHaveLength(2);
    expect(await channel('verify')).toMatchObject({ code: 0, out: expect.stringContaining('no damage found') });
    const exported = path.join(dir, 'exported.jsonl');
    const drained = path.join(dir, 'drained.jsonl');
    await channel('export', '--file', exported);
    await expect(channel('export', '--file', exported)).rejects.toThrow('is there already');
    await channel('drain', '--file', drained);
    expect(fs.readFileSync(drained, 'utf8')).toBe(fs.readFileSync(exported, 'utf8'));
    expect((await channel('import', '--file', drained)).err).toBe('3 events put in\n');
    const again = await open();
    expect((await again.take(9, never))?.events).toEqual(EVENTS);
    await again.stop();
    expect((await channel('drop', '--yes')).err).toBe('3 events thrown away\n');
    expect((await channel('ls')).out).toContain('0 events wait');
  });
});

test.runIf(compiled)('verify of a damaged database says so', async () => {
  const { dir, channel, open } = place('jdbc');
  const opened = await open();
  for (let i = 0; i < 50; i++) await opened.put([{ headers: {}, body: Buffer.alloc(500, i) }], never);
  await opened.stop();
  const data = path.join(dir, 'events.sqlite');
  const bytes = fs.readFileSync(data);
  bytes.fill(0xee, bytes.readUInt16BE(16) * 3, bytes.readUInt16BE(16) * 4);
  fs.writeFileSync(data, bytes);
  expect((await channel('verify')).code).toBe(1);
  expect(JSON.parse((await channel('verify', '--json')).out).faults.length).toBeGreaterThan(0);
  await expect(channel('export')).rejects.toThrow(/database .* is damaged/);
});

test('what cannot be done is refused with the way out', async () => {
  await expect(place('memory').channel('ls')).rejects.toThrow('is of type memory, which keeps nothing on disk');
  await expect(place().channel('look')).rejects.toThrow('channel look is not known');
  await expect(place().channel('ls', 'c2')).rejects.toThrow('too many words');
  const { dir, channel } = place();
  fs.writeFileSync(path.join(dir, 'bad.jsonl'), '{"headers":{},"body":"YQ=="}\n{"headers":{"a":1},"body":""}\n');
  const refused = channel('import', '--file', path.join(dir, 'bad.jsonl'));
  await expect(refused).rejects.toThrow('line 2 is no event: header a is no text; 0 events were put in before');
});
