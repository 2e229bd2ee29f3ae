/**
 * Child of exec.test.ts: starts a command as the exec source does, and dies of SIGKILL at the chosen moment. Arguments: the
 * moment, a file that the command would write, and a word by which its processes can be found.
 */
import childProcess, { type ChildProcess } from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';

const [moment, marker, token] = process.argv.slice(2) as [string, string, string];
const die = (): void => void process.kill(process.pid, 'SIGKILL');
const spawn = childProcess.spawn as (...words: unknown[]) => ChildProcess;
let spawned = 0;
Object.assign(childProcess, {
  spawn: (...words: unknown[]): ChildProcess => {
    const child = spawn(...words);
    // The first is the watchdog.
    if (++spawned < 2) return child;
    if (moment === 'spawned') die();
    const { stdin } = child;
    if (moment === 'announced' && stdin !== null)
      stdin.write = (): boolean => {
        die();
        return true;
      };
    return child;
  },
});
syncBuiltinESMExports();

const { ProcessTree } = await import('../../src/lib/process-tree.ts');
const { systemClock } = await import('../../src/lib/clock.ts');
const tree = await ProcessTree.start({
  argv: ['/bin/sh', '-c', `trap "" PIPE; echo ran > "${marker}"; echo ran; sleep 600; : ${token}`],
  stderr: false,
  clock: systemClock,
  graceMs: 1_000,
});
tree.stdout.once('data', die);
