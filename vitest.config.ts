import path from 'node:path';
import { defineConfig } from 'vitest/config';

// Each folder of test/ is a project; `npm run unit` is the inner loop. Real processes and sockets get time, but no test is timed.
// The long proofs (`npm run proof`) have big numbers and so more time.
const factor = process.env.MILLRACE_PROOF ? 10 : 1;
const resolve = { alias: { 'millrace/plugin': path.join(import.meta.dirname, 'src/plugin.ts') } };

const project = (name: string, timeoutMs: number, more: readonly string[] = []) => ({
  resolve,
  test: { name, include: [`test/${name}/**/*.test.ts`, ...more], testTimeout: timeoutMs * factor, hookTimeout: timeoutMs * factor, pool: 'forks' as const },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', 10_000, ['test/architecture.test.ts']),
      project('fuzz', 60_000),
      project('contract', 60_000),
      project('integration', 90_000),
      project('crash', 180_000),
      project('compat', 180_000),
    ],
  },
});
