/** Runs the real `bin/flume-ng` to its end, for commands that answer and go. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { HOUSE } from './agent-process.ts';

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** In the house's directory, so that `conf/…` is found. Extra environment goes over this process's. */
export function flumeNg(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const program = process.env.FLUME_NG ?? path.join(HOUSE, 'bin', 'flume-ng');
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { cwd: HOUSE, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    // What the launcher says while it builds is not the command's answer.
    child.on('close', (code) => resolve({ code, stdout, stderr: stderr.replace(/^flume-ng: .*\n/gm, '') }));
  });
}
