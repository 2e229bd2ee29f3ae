import { defineConfig } from 'vitest/config';

// Each folder of test/ is a project; `npm run unit` is the inner loop. Real processes and sockets get time, but no test is timed.
const project = (name: string, timeoutMs: number) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout: timeoutMs, hookTimeout: timeoutMs, pool: 'forks' as const },
});

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts', 'test/architecture.test.ts'], testTimeout: 10_000, pool: 'forks' as const } },
      project('fuzz', 60_000),
      project('contract', 60_000),
      project('integration', 90_000),
      project('crash', 180_000),
      project('compat', 180_000),
    ],
  },
});
