/**
 * What a test has made and must not leave behind: a broker, an agent, a directory. It is ended when the test has, also
 * when that failed, newest first, so that a client goes before its broker.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** Ends it with the test that called, and hands it through. */
export function endsWithTest<T extends { end(): unknown }>(made: T): T {
  onTestFinished(async () => void (await made.end()));
  return made;
}

/** An empty directory `millrace-NAME-…` that goes with the test that called. */
export function placeFor(name: string): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), `millrace-${name}-`));
  onTestFinished(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}
