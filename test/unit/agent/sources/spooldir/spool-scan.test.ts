import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SpoolScan } from '../../../../../src/agent/sources/spooldir/spool-scan.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'scan-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

function scanOf(recursive = false, looked: string[] = []): SpoolScan {
  const isDone = (relative: string): boolean => looked.push(relative) < 0;
  return new SpoolScan({ directory: folder, suffix: '.COMPLETED', include: /^.*$/, ignore: /^$/, recursive, order: 'oldest', isDone });
}

it('does not list a directory again that was empty and did not change for longer than time stamps are coarse', async () => {
  let nowMs = 1_000;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  const looked: string[] = [];
  const scan = scanOf(false, looked);
  const file = path.join(folder, 'a');
  writeFileSync(file, '');
  expect((await scan.list()).map(({ relative }) => relative)).toEqual(['a']);
  expect((await scan.list()).length).toBe(1);
  rmSync(file);
  expect(await scan.list()).toEqual([]);
  nowMs += 5_000;
  expect(await scan.list()).toEqual([]);
  // From here on it is quiet, until the directory changes.
  expect(await scan.list()).toEqual([]);
  writeFileSync(file, '');
  expect((await scan.list()).length).toBe(1);
  expect(looked).toEqual(['a', 'a', 'a']);
});

it('always looks into sub-directories, whose changes their parent does not show', async () => {
  let nowMs = 1_000;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  mkdirSync(path.join(folder, 'sub'));
  const scan = scanOf(true);
  expect(await scan.list()).toEqual([]);
  nowMs += 60_000;
  expect(await scan.list()).toEqual([]);
  writeFileSync(path.join(folder, 'sub', 'x'), '');
  expect((await scan.list()).map(({ relative }) => relative)).toEqual(['sub/x']);
});

it('lists thousands of files oldest first', async () => {
  for (let i = 0; i < 2_000; i++) writeFileSync(path.join(folder, `f${i}`), '');
  const found = await scanOf().list();
  expect(found).toHaveLength(2_000);
  for (let i = 1; i < found.length; i++) {
    const [later, earlier] = [found[i - 1], found[i]] as const;
    expect(later?.modifiedMs).toBeGreaterThanOrEqual(earlier?.modifiedMs as number);
  }
});
