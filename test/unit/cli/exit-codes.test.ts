// Scripts rely on the exit codes of the README: both READMEs list every code that the commands and the launcher end with.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/command.ts';

const read = (name: string): string => readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8');

it.each([
  ['README.md', '## Exit codes'],
  ['README.zh-CN.md', '## 退出码'],
])('%s', (name, title) => {
  const text = read(name);
  const section = text.slice(text.indexOf(title), text.indexOf('\n## ', text.indexOf(title) + 1));
  const listed = [...section.matchAll(/^\| ([\d, 、]+?) \|/gm)].flatMap(([, codes]) => (codes as string).split(/[,、]\s*/).map(Number));
  const launcher = [...`${read('bin/bootstrap.sh')}${read('bin/bootstrap.mjs')}`.matchAll(/exit (\d+)|exitCode = (\d+)/g)].map(([, a, b]) => Number(a ?? b));
  expect(new Set(listed)).toEqual(new Set([...Object.values(EXIT), ...launcher]));
});
