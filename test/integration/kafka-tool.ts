/** Runs a program of bin/ to its end, with words as a shell would split them and something on its stdin. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { HOUSE } from './broker-harness.ts';

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export function runTool(name: string, words: readonly string[], stdin = '', environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(HOUSE, 'bin', name), words, { stdio: 'pipe', env: { ...process.env, ...environment } });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }));
    child.stdin.on('error', () => undefined); // a tool that ends at once does not read it
    child.stdin.end(stdin);
  });
}

/** A command line as it stands in a tutorial: `bin/NAME.sh words…`, blanks separate. */
export function runLine(line: string, stdin = ''): Promise<Outcome> {
  const [program, ...words] = line.trim().split(/\s+/);
  return runTool(path.basename(program as string), words, stdin);
}
