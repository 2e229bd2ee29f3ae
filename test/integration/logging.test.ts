/** Standard output as users have it: a pipe, a closed pipe, a pipe nobody reads. Real processes, no agent needed. */
import { execFileSync, spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';

/** A process that logs `count` lines to its standard output and then says on stderr that it is alive. */
function logger(count: number): string {
  const module = new URL('../../src/cli/logging.ts', import.meta.url).href;
  return `import { createLogging } from ${JSON.stringify(module)};
    const logging = createLogging({ systemProperties: { 'flume.root.logger': 'INFO,console' }, cwd: '.', stderr: process.stderr });
    const log = logging.child('k1');
    let n = 0;
    const turn = () => { for (let i = 0; i < 1000 && n < ${count}; i++) log.info('line ' + n++); if (n < ${count}) setImmediate(turn); else { logging.flush(); process.stderr.write('alive lost=' + logging.lost() + '\\n'); setTimeout(() => process.exit(0), 20); } };
    turn();`;
}
const tsx = ['--import', 'tsx', '--input-type=module', '-e'];

describe('standard output as a pipe', () => {
  it('gets every line, in order, up to the very end', () => {
    const out = execFileSync(process.execPath, [...tsx, logger(50_000)], { encoding: 'utf8', maxBuffer: 1e9, stdio: ['ignore', 'pipe', 'ignore'] });
    const numbers = out
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
    expect(numbers).toHaveLength(50_000);
    expect(numbers.every((n, i) => n === i)).toBe(true);
  });

  it('may be closed by its reader without ending the agent', async () => {
    const child = spawn(process.execPath, [...tsx, logger(50_000)], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.once('data', () => child.stdout.destroy());
    let errors = '';
    child.stderr.on('data', (chunk) => (errors += chunk));
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect(errors).toContain('EPIPE');
    expect(errors).toMatch(/alive lost=[1-9]/);
    expect(code).toBe(0);
  });

  it('may have a reader that is stuck without stopping the agent', async () => {
    const child = spawn(process.execPath, [...tsx, logger(400_000)], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.pause();
    let errors = '';
    child.stderr.on('data', (chunk) => (errors += chunk));
    const code = await new Promise((resolve) => child.on('exit', resolve));
    child.stdout.destroy();
    expect(errors).toMatch(/alive lost=[1-9]/);
    expect(code).toBe(0);
  });
});
