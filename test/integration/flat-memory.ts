/** Whether a process keeps its size while it works: for tests in which more comes in than goes out. */
import fs from 'node:fs';
import { expect } from 'vitest';
import { PROOF } from './broker-harness.ts';

/** How long such a test watches: ten minutes in the long proof. */
export const WATCH_MS = PROOF ? 610_000 : 6_000;
export const WATCH_TEXT = PROOF ? 'ten minutes' : 'seconds';
/** Processes can be looked at. */
export const hasProc = fs.existsSync('/proc/self/status');

/** In the first seconds a process of Node grows until its young generation has found its size; after minutes it has. */
const SLACK_MB = PROOF ? 15 : 40;

/** Resident memory of a process, MB. */
function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;
}

/** Looks at a process after each step, and compares the most of the second half of the time with that of the first. */
export async function expectFlat(pid: number, step: () => Promise<unknown>): Promise<void> {
  const began = performance.now();
  const peaks: [number, number] = [0, 0];
  const perMinute: number[] = [];
  for (let passed = 0; passed < WATCH_MS; passed = performance.now() - began) {
    await step();
    const mb = residentMb(pid);
    const half = passed < WATCH_MS / 2 ? 0 : 1;
    peaks[half] = Math.max(peaks[half], mb);
    const minute = Math.floor(passed / 60_000);
    perMinute[minute] = Math.max(perMinute[minute] ?? 0, Math.round(mb));
  }
  expect(peaks[1], `MB in each minute: ${perMinute.join(' ')}`).toBeLessThan(peaks[0] + SLACK_MB);
  if (PROOF) console.log(`memory was flat; MB in each minute: ${perMinute.join(' ')}`);
}
