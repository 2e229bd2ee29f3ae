/**
 * A child process together with everything it starts, as one thing that can be ended. The child leads a process group of
 * its own, so a signal reaches pipelines and background jobs too, and Ctrl-C in a terminal does not reach it before its
 * owner decides. A small `sh` watches from outside: it waits on a pipe from this process and, when that closes without a
 * word (kill -9, power of an OOM killer), ends the group. Node has no prctl(PR_SET_PDEATHSIG), and that would not cover
 * grandchildren. The command itself waits at a gate until the watchdog knows it: a kill -9 leaves nothing behind at any moment.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from './clock.ts';
import { AppError } from './errors.ts';

/** How a command ended: its exit code, or 128 + the signal's number, as a shell (and Java) says it. */
export interface ProcessEnd {
  readonly code: number;
}

export interface ProcessTreeOptions {
  /** Program and arguments. */
  readonly argv: readonly string[];
  /** Whether somebody reads stderr; otherwise it goes nowhere. */
  readonly stderr: boolean;
  readonly clock: Clock;
  /** How long the processes may take to end after SIGTERM before SIGKILL, ms. */
  readonly graceMs: number;
}

const POLL_MS = 25;
/** How long the output of a group that is gone may take to be read to its end. */
const CLOSE_MS = 500;

/** The first line names the group. A second one means that all is well; end of file without it, that the owner is gone. */
const WATCH = `read -r group || exit 0
read -r _ && exit 0
kill -s TERM -- "-$group" 2>/dev/null || exit 0
n=0
while [ $n -lt 20 ] && kill -s 0 -- "-$group" 2>/dev/null; do sleep 0.1; n=$((n + 1)); done
kill -s KILL -- "-$group" 2>/dev/null
exit 0`;

/** Becomes the command when it gets a line on stdin; when its owner is killed before, it gets none. `read` takes no byte too many. */
const GATE = 'read -r millrace_go || exit 0; exec "$@"';

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 };

export class ProcessTree {
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  /** Resolves when the command has exited and its output is closed by everybody who had it. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #group: number;
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #watchdog: ChildProcess;
  #over = false;
  #giveUp: (end: ProcessEnd) => void = () => {};

  private constructor(child: ChildProcess, watchdog: ChildProcess, options: ProcessTreeOptions) {
    this.#child = child;
    this.#group = child.pid as number;
    this.#clock = options.clock;
    this.#graceMs = options.graceMs;
    this.stdout = child.stdout as Readable;
    this.stderr = child.stderr ?? undefined;
    this.#watchdog = watchdog;
    this.ended = new Promise((resolve) => {
      this.#giveUp = resolve;
      child.once('close', (code, signal) => resolve({ code: code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0) }));
    });
  }

  /** Starts a command. @throws AppError it cannot be run (not found, not executable) */
  static async start(options: ProcessTreeOptions): Promise<ProcessTree> {
    const [file, ...args] = options.argv as [string, ...string[]];
    const watchdog = startWatchdog();
    let child: ChildProcess;
    try {
      if (watchdog.pid !== undefined) mustExist(file);
      const argv = watchdog.pid === undefined ? options.argv : ['/bin/sh', '-c', GATE, 'millrace-gate', file, ...args];
      // stdin stays open and silent, as Flume's: a command that reads it waits instead of ending at once.
      child = spawn(argv[0] as string, argv.slice(1), { detached: true, stdio: ['pipe', 'pipe', options.stderr ? 'pipe' : 'ignore'] });
      if (watchdog.pid !== undefined && child.pid !== undefined) {
        // In this order; both are in the pipes when `write` returns.
        watchdog.stdin?.write(`${child.pid}\n`);
        child.stdin?.write('\n');
      }
    } catch (error) {
      watchdog.stdin?.end();
      throw cannotRun(file, error);
    }
    child.stdin?.on('error', () => {});
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => {
        watchdog.stdin?.end();
        reject(cannotRun(file, error));
      });
    });
    child.on('error', () => {});
    return new ProcessTree(child, watchdog, options);
  }

  /** The command's process id, which is its group's too. */
  get pid(): number {
    return this.#group;
  }

  /**
   * Ends what is left of the group: SIGTERM, SIGKILL after the grace. Resolves when no process of the group is left, its
   * output is closed, and the watchdog is gone. Safe twice, and due after `ended` too, for background jobs left behind.
   */
  async end(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const deadline = this.#clock.monotonic() + this.#graceMs;
    let alive = signalGroup(this.#group, 'SIGTERM');
    while (alive && this.#clock.monotonic() < deadline) {
      await this.#clock.sleep(POLL_MS);
      alive = groupRuns(this.#group);
    }
    if (alive) signalGroup(this.#group, 'SIGKILL');
    this.#watchdog.stdin?.end('\n');
    this.#child.stdin?.destroy();
    await Promise.race([this.ended, this.#clock.sleep(CLOSE_MS)]);
    // Somebody left the group and still holds the pipe, or runs as another user (sudo) and cannot be signalled.
    this.stdout.destroy();
    this.stderr?.destroy();
    this.#child.unref();
    this.#giveUp({ code: 128 + 9 });
  }
}

function startWatchdog(): ChildProcess {
  const watchdog = spawn('/bin/sh', ['-c', WATCH, 'millrace-watchdog'], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  // Without a shell there is no watchdog; an orderly stop ends the children all the same.
  watchdog.on('error', () => {});
  watchdog.stdin?.on('error', () => {});
  watchdog.unref();
  return watchdog;
}

/** The gate is started in place of the command, so what execvp would find is looked for here. @throws with its code, ENOENT or EACCES */
function mustExist(file: string): void {
  const places = file.includes('/') ? [file] : (process.env.PATH ?? '/usr/bin:/bin').split(':').map((dir) => path.join(dir === '' ? '.' : dir, file));
  const faults = places.map(whyNotRun);
  if (faults.includes(undefined)) return;
  throw Object.assign(new Error(`cannot execute ${file}`), { code: faults.includes('EACCES') ? 'EACCES' : 'ENOENT' });
}

function whyNotRun(file: string): string | undefined {
  try {
    if (!fs.statSync(file).isFile()) return 'EACCES';
    fs.accessSync(file, fs.constants.X_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'ENOENT';
  }
}

/** False = no process of the group is left. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Whether a process of the group still runs. Orphans that nobody has reaped yet (in a container perhaps never) answer to
 * signals but do not run, so where there is /proc it decides.
 */
function groupRuns(group: number): boolean {
  if (!signalGroup(group, 0)) return false;
  let names: string[];
  try {
    names = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return true;
  }
  return names.length === 0 || names.some((name) => runsInGroup(name, group));
}

function runsInGroup(pid: string, group: number): boolean {
  try {
    // pid (name) state parent group …; the name may contain anything.
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(itsGroup) === group && state !== 'Z' && state !== 'X';
  } catch {
    return false; // It ended while we looked.
  }
}

function cannotRun(file: string, cause: unknown): AppError {
  const code = (cause as NodeJS.ErrnoException).code;
  const [why, fix] =
    code === 'ENOENT'
      ? ['no such program', `Install it, give its full path, or check PATH; shell syntax needs the property "shell".`]
      : code === 'EACCES'
        ? ['not executable', `Make it executable (chmod +x ${file}) for the user the agent runs as.`]
        : [(cause as Error).message, 'See the cause.'];
  return new AppError('COMMAND', `cannot run "${file}": ${why}`, { fix, cause, retriable: true });
}
