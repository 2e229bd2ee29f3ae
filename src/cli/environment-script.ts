/**
 * `flume-env.sh` in the `--conf` directory: a shell fragment in which people export what `${…}` in their definitions
 * needs. It is run by a shell, as Flume's launcher does, and what it changed in the environment is taken over.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { AppError } from '../lib/errors.ts';

const SCRIPT = 'flume-env.sh';

/** The script's path when there is one. */
export function environmentScript(confDir: string | undefined, cwd: string): string | undefined {
  if (confDir === undefined) return undefined;
  const file = path.resolve(cwd, confDir, SCRIPT);
  return fs.existsSync(file) ? file : undefined;
}

/** Runs the script and answers the environment after it. What it prints goes to stderr. @throws AppError it failed */
export function sourcedEnvironment(file: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  // "set -a" exports plain assignments too: Flume's launcher reads JAVA_OPTS and the like without an export.
  const script = 'set -a; . "$1" 1>&2; set +a; exec env -0';
  const shell = spawnSync('/bin/sh', ['-c', script, 'sh', file], { env, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 16 * 1024 * 1024 });
  if (shell.error !== undefined || shell.status !== 0) {
    throw new AppError('ENVIRONMENT', `${file} failed${shell.status === null ? '' : ` with exit code ${shell.status}`}`, {
      cause: shell.error,
      fix: 'correct the script, or start without --conf',
    });
  }
  const out: NodeJS.ProcessEnv = {};
  for (const entry of shell.stdout.toString('utf8').split('\0')) {
    const at = entry.indexOf('=');
    if (at > 0) out[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return out;
}
