/** Locks of directories: one owner at a time, dead owners count as none, and of many who find one dead only one gets in. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectoryInUseError, lockDirectory } from '../../../src/lib/dir-lock.ts';

const MODULE = path.resolve(import.meta.dirname, '../../../src/lib/dir-lock.ts');
const DEAD = '4194305 1 a broker\n'; // above the largest process id there is
let place: string;
beforeEach(() => {
  place = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-lock-'));
});
afterEach(() => fs.rmSync(place, { recursive: true, force: true }));

test('one owner at a time; what it leaves behind is nothing', () => {
  const unlock = lockDirectory(place, '.lock', 'the first');
  expect(() => lockDirectory(place, '.lock', 'the second')).toThrow(DirectoryInUseError);
  expect(() => lockDirectory(place, '.lock', 'the second')).toThrow(/used by the first, of this same process/);
  unlock();
  unlock();
  const again = lockDirectory(place, '.lock', 'the second');
  unlock();
  expect(fs.readFileSync(path.join(place, '.lock'), 'utf8')).toContain('the second');
  again();
  expect(fs.readdirSync(place)).toEqual([]);
});

test.each([
  ['a dead owner', { '.lock': DEAD }],
  ['an empty file', { '.lock': '' }],
  ['a dead owner, and one who died breaking its lock', { '.lock': DEAD, '.lock.breaking': DEAD, '.lock.breaking.breaking': DEAD }],
])('%s is no owner', (_what, files) => {
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(place, name), text);
  lockDirectory(place, '.lock', 'the next')();
  expect(fs.readdirSync(place)).toEqual([]);
});

test('a directory that cannot be written is said', () => {
  expect(() => lockDirectory(path.join(place, 'nowhere'), '.lock', 'x')).toThrow(/cannot lock .*nowhere/);
});

test('several processes find the same dead owner at the same moment: exactly one gets in, each time', async () => {
  const ROUNDS = 80;
  const STARTERS = 4;
  for (let i = 0; i < ROUNDS; i++) {
    fs.mkdirSync(path.join(place, String(i)));
    fs.writeFileSync(path.join(place, String(i), '.lock'), DEAD);
  }
  // All go for directory i as soon as everybody has said that it is there, so that they meet as closely as can be.
  const program = `
    import fs from 'node:fs';
    import { lockDirectory } from ${JSON.stringify(MODULE)};
    const [place, me] = process.argv.slice(-2);
    const ready = fs.openSync(place + '/ready', 'a');
    let won = '';
    for (let i = 0; i < ${ROUNDS}; i++) {
      fs.writeSync(ready, '.');
      while (fs.fstatSync(ready).size < ${STARTERS} * (i + 1));
      try { lockDirectory(place + '/' + i, '.lock', me); won += i + ' '; } catch (error) { if (error.code !== 'DIRECTORY_IN_USE') throw error; }
    }
    // Owners must live until everybody has looked.
    fs.writeSync(ready, '.');
    while (fs.fstatSync(ready).size < ${STARTERS} * ${ROUNDS + 1});
    console.log(won);`;
  const run = (me: number) =>
    new Promise<string>((resolve, reject) => {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program, place, String(me)], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let [out, err] = ['', ''];
      child.stdout.on('data', (chunk) => (out += chunk));
      child.stderr.on('data', (chunk) => (err += chunk));
      child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(err))));
    });
  const won = await Promise.all(Array.from({ length: STARTERS }, (_, me) => run(me)));
  const rounds = won.flatMap((text) => text.trim().split(' ').filter(Boolean).map(Number)).sort((a, b) => a - b);
  expect(rounds).toEqual(Array.from({ length: ROUNDS }, (_, i) => i));
});
