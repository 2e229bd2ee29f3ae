/** No image can be built on the machines that run these tests, so the Dockerfile is read instead: see its first lines. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const home = path.resolve(import.meta.dirname, '../..');
const read = (name: string): string => fs.readFileSync(path.join(home, name), 'utf8');

/** Instructions with their continuation lines joined, comments left out. */
const instructions = read('Dockerfile')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ word: line.split(' ', 1)[0]!, rest: line.slice(line.indexOf(' ') + 1) }));
const all = (word: string): string[] => instructions.filter((one) => one.word === word).map((one) => one.rest);
const stages = all('FROM');

describe('Dockerfile', () => {
  it('has only instructions that exist', () => {
    const known = ['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'VOLUME', 'USER', 'EXPOSE', 'HEALTHCHECK', 'STOPSIGNAL', 'ENTRYPOINT', 'CMD'];
    expect(instructions.map((one) => one.word).filter((word) => !known.includes(word))).toEqual([]);
  });
  it('builds in one stage and runs in another, on a pinned slim base', () => {
    expect(stages).toEqual(['node:22-slim AS build', 'node:22-slim']);
  });
  it('copies only what is there and not ignored', () => {
    const ignored = read('.dockerignore').split('\n');
    for (const copy of all('COPY').filter((one) => !one.startsWith('--from'))) {
      for (const source of copy.split(' ').slice(0, -1)) {
        expect(fs.existsSync(path.join(home, source)), source).toBe(true);
        expect(ignored, source).not.toContain(source);
      }
    }
  });
  it('installs and builds exactly as the bootstrap does', () => {
    const bootstrap = read('bin/bootstrap.mjs');
    const flags = /const quiet = \[(.*)\]/.exec(bootstrap)![1]!.replace(/[' ]/g, '').split(',').join(' ');
    expect(all('RUN')).toContain(`npm ci ${flags}`);
    expect(all('RUN').some((run) => run.startsWith('node bin/bootstrap.mjs --check'))).toBe(true);
  });
  it('carries everything the shims and the package need', () => {
    const copied = all('COPY').map((one) => one.split(' ').at(-1));
    for (const needed of ['./bin', './dist', './node_modules', './conf', './plugins']) expect(copied).toContain(needed);
  });
  it('runs without rights, tells its health, and gets signals itself', () => {
    const last = instructions.slice(instructions.findLastIndex((one) => one.word === 'FROM'));
    expect(last.find((one) => one.word === 'USER')?.rest).toBe('node');
    const position = (word: string): number => last.findIndex((one) => one.word === word);
    expect(position('USER')).toBeGreaterThan(last.findLastIndex((one) => one.word === 'RUN'));
    const [healthcheck] = all('HEALTHCHECK');
    expect(healthcheck).toContain('http://127.0.0.1:41414/health');
    const command = JSON.parse(healthcheck!.slice(healthcheck!.indexOf('['))) as string[];
    expect(() => new (Object.getPrototypeOf(async () => {}).constructor)(command[2]!)).not.toThrow();
    expect(JSON.parse(all('ENTRYPOINT')[0]!)).toEqual(['flume-ng']);
    const cmd = JSON.parse(all('CMD')[0]!) as string[];
    expect(cmd[0]).toBe('agent');
    expect(cmd).toContain('-Dflume.monitoring.port=41414');
  });
});
