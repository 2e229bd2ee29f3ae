// docs/reference against the sources, and the tables of codes against the sources, each in both directions.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FINDING_CODES } from '../../../src/agent/config/codes.ts';
import { HOME } from '../../../src/cli/component-catalog.ts';
import { referencePages } from '../../../src/cli/write-reference.ts';
import { ERROR_CODES } from '../../../src/lib/error-codes.ts';

const dir = path.join(HOME, 'docs', 'reference');

it('docs/reference is what npm run docs writes', async () => {
  const pages = await referencePages();
  expect((await readdir(dir)).sort()).toEqual([...pages.keys()].sort());
  for (const [name, text] of pages) expect(await readFile(path.join(dir, name), 'utf8'), name).toBe(text);
});

/** All sources, the tables themselves left out. */
async function sources(): Promise<string> {
  const names = await readdir(path.join(HOME, 'src'), { recursive: true });
  const files = names.filter((name) => name.endsWith('.ts') && !/codes\.ts$/.test(name));
  return (await Promise.all(files.map((name) => readFile(path.join(HOME, 'src', name), 'utf8')))).join('\n');
}

it('every code of a finding is in the table, and none else', async () => {
  const text = await sources();
  const written = new Set(
    [...text.matchAll(/\bcode: (?:[a-z]+ \? )?'([a-z][a-z0-9-]*)'(?: : '([a-z-]+)')?/g)]
      .flatMap(([, one, two]) => [one, two])
      .filter((code) => code !== undefined),
  );
  expect([...written].filter((code) => !(code in FINDING_CODES)).sort()).toEqual([]);
  expect(Object.keys(FINDING_CODES).filter((code) => !text.includes(`'${code}'`))).toEqual([]);
});

it('every code of an error is in the table, and none else', async () => {
  const text = await sources();
  const written = new Set([...text.matchAll(/(?:new AppError|super)\(\s*'([A-Z_]+)'/g)].map(([, code]) => code!));
  expect([...written].filter((code) => !(code in ERROR_CODES)).sort()).toEqual([]);
  expect(Object.keys(ERROR_CODES).filter((code) => !text.includes(`'${code}'`))).toEqual([]);
});
