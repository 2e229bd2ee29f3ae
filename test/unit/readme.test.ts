// Two READMEs, one content: what is not prose must be the same in both, section by section, and everything they point to exists.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const home = path.resolve(import.meta.dirname, '../..');
const sections = (name: string): string[] => fs.readFileSync(path.join(home, name), 'utf8').split(/^## /m);
const [english, chinese] = [sections('README.md'), sections('README.zh-CN.md')];

const all = (text: string, pattern: RegExp): string[] => [...new Set([...text.matchAll(pattern)].map(([whole, part]) => part ?? whole))].sort();
const withoutBlocks = (text: string): string => text.replace(/^```[\s\S]*?^```$/gm, '');
/** Options, properties, commands, files, levels in code spans, and all numbers: what is the same in every language. */
const words = (text: string): string[] => {
  const prose = withoutBlocks(text);
  const code = all(prose, /`[^`]+`/g).join(' ');
  const names = all(code, /-D[\w.=,]+|--[a-z][\w-]*|\bnpm (?:run )?[a-z:]+|\b(?:bin|conf|docs|logs|test|\.ci)\/[\w./-]*\w|\b[A-Z]{4,}(?:,\w+)*\b/g);
  return [...names.filter((name) => !/^(?:HOST|PORT|FILE|NAME|TYPE|CHANNEL)$/.test(name)), ...all(prose, /\b\d+\b/g)];
};

it('has the same sections', () => {
  expect(chinese.length).toBe(english.length);
  expect(english.length).toBeGreaterThan(6);
});

it.each(english.map((text, i) => [text.split('\n')[0] as string, i] as const))('%s', (_title, i) => {
  const [one, other] = [english[i] as string, chinese[i] as string];
  expect(all(other, /^```[\s\S]*?^```$/gm)).toEqual(all(one, /^```[\s\S]*?^```$/gm));
  expect(all(other, /\]\(([^)]+)\)/g).filter((to) => !to.startsWith('README'))).toEqual(all(one, /\]\(([^)]+)\)/g).filter((to) => !to.startsWith('README')));
  expect([...other.matchAll(/^\|/gm)].length).toBe([...one.matchAll(/^\|/gm)].length);
  expect(words(other)).toEqual(words(one));
});

it('points only to what is there', () => {
  for (const text of [...english, ...chinese]) for (const to of all(text, /\]\(([^)#:]+)\)/g)) expect(fs.existsSync(path.join(home, to)), to).toBe(true);
});
