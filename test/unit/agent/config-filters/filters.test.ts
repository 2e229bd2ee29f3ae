// The config filters themselves, with real commands.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import env from '../../../../src/agent/config-filters/env.ts';
import external from '../../../../src/agent/config-filters/external.ts';
import hadoop from '../../../../src/agent/config-filters/hadoop.ts';

let dir = '';
const script = async (name: string, text: string) => {
  await writeFile(join(dir, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return join(dir, name);
};
const lookup = (command: string, charset = 'UTF-8') => external.create({ command, charset });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-filter-'));
});
afterAll(() => rm(dir, { recursive: true }));

it('env answers from the environment', () => {
  process.env.MILLRACE_TEST_VALUE = 'x y';
  expect(env.create({})('MILLRACE_TEST_VALUE')).toBe('x y');
  expect(env.create({})('MILLRACE_TEST_NONE')).toBeNull();
  delete process.env.MILLRACE_TEST_VALUE;
});

it('external gives the key as last argument and takes the first line', async () => {
  const command = await script('echo', 'echo "$1-$2"; echo second');
  expect(lookup(`${command}  fixed`)('key')).toBe('fixed-key');
});

it('external decodes by its charset', async () => {
  const command = await script('gbk', "printf '\\326\\320\\n'");
  expect(lookup(command, 'GBK')('key')).toBe('中');
});

it.each([
  ['a command that is not there', async () => '/no/such/command', /could not be run/],
  ['an exit code', () => script('fails', 'echo locked >&2; exit 3'), /ended with 3: locked/],
  ['no output', () => script('silent', 'true'), /printed nothing/],
])('external: %s', async (_name, command, message) => {
  const filter = lookup(await command());
  expect(() => filter('key')).toThrow(message);
});

it('hadoop is refused with a way out', () => {
  expect(hadoop.check!({} as never, {})).toMatchObject([{ code: 'unavailable-type', severity: 'error', fix: expect.stringContaining('external') }]);
});
