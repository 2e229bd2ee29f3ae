import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import file from '../../../src/agent/channels/file.ts';
import type { Event } from '../../../src/agent/core/event.ts';
import { run } from '../../../src/cli/channel.ts';
import type { CommandContext } from '../../../src/cli/command.ts';
import { configOf, contextOf, never } from '../../channel-model.ts';

const places: string[] = [];
afterEach(() => {
  for (const dir of places.splice(0)) fs.rmSync(dir, { recursive: true, force: true });
});

function place() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-channel-cli-'));
  places.push(dir);
  const dirs = { checkpointDir: `${dir}/c`, dataDirs: `${dir}/d`, minimumRequiredSpace: '0' };
  const lines = ['sources = r1', 'channels = c1', 'sources.r1.type = seq', 'sources.r1.channels = c1', 'channels.c1.type = file'];
  const definition = path.join(dir, 'agent.conf');
  fs.writeFileSync(
    definition,
    [...lines, ...Object.entries(dirs).map(([key, value]) => `channels.c1.${key} = ${value}`)].map((line) => `a1.${line}\n`).join(''),
  );
  const channel = async (...words: string[]) => {
    const said = { out: '', err: '' };
    const context: CommandContext = {
      systemProperties: {},
      confDir: undefined,
      pluginsPath: undefined,
      classpath: [],
      env: {},
      cwd: dir,
      stdout: { write: (text) => (said.out += text) },
      stderr: { write: (text) => (said.err += text) },
    };
    const code = await run([...words, '-f', definition, '-n', 'a1', 'c1'], context);
    return { code, ...said };
  };
  const open = async () => {
    const opened = file.create(configOf(file, dirs), contextOf(undefined).ctx);
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
