/**
 * A disk that takes only a part of a batch, without being root: a limit on the size of files does the same (EFBIG in
 * place of ENOSPC), including the partial write before the error.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'roll-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('leaves no half batch behind when the disk takes only a part of it, and goes on with the next', async () => {
  const child = fileURLToPath(new URL('file-roll-full-disk.ts', import.meta.url));
  const command = `trap '' XFSZ; ulimit -f 1; exec "${process.execPath}" --import tsx "${child}" "${folder}"`;
  // tsx keeps compiled files in TMPDIR/…, which the limit would hit too.
  const { stdout } = await promisify(execFile)('bash', ['-c', command], { env: { ...process.env, TSX_DISABLE_CACHE: '1' } });
  const [first, second, third] = JSON.parse(stdout);
  expect([first, third]).toEqual(['delivered', 'delivered']);
  expect(second).toMatchObject({ retriable: true, code: 'EFBIG' });
  const [name] = readdirSync(folder) as [string];
  expect(second.message).toContain(path.join(folder, name));
  const lines = readFileSync(path.join(folder, name), 'utf8').split('\n');
  expect(lines.map((line) => line.split(' ')[1])).toEqual(['0', '1', '2', '3', '4', '0', '1', '2', undefined]);
});
