/**
 * Where real clients for the compat tests are kept, and how they get there: Java by Maven, Python by pip into an environment
 * of its own, Go by its module proxy, npm packages by npm. `${XDG_CACHE_HOME:-~/.cache}/millrace-compat`; never in the
 * repository. They are fetched only by `npm run proof`; what is not there is skipped by name, with the reason.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { PROOF } from '../integration/broker-harness.ts';

export const CACHE = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'millrace-compat');

export interface Ended {
  readonly code: number | null;
  /** stdout and stderr together. */
  readonly output: string;
}

/** Runs a program to its end, at most `limitSeconds`. */
export function run(command: string, args: readonly string[], { cwd = process.cwd(), limitSeconds = 170, env = {} } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), limitSeconds * 1000);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
    child.on('error', (error) => (output += error.message));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

function has(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Makes `dir` once through `make`; false when it is absent and this run does not fetch, or the making failed. */
function once(dir: string, make: () => boolean): boolean {
  const done = path.join(dir, '.complete');
  if (fs.existsSync(done)) return true;
  if (!PROOF) return false;
  fs.mkdirSync(dir, { recursive: true });
  if (!make()) return false;
  fs.writeFileSync(done, '');
  return true;
}

/** Folder with the jars of an artifact of Apache Kafka, or null. */
export function jars(artifact: string, version: string): string | null {
  return has('javac', '-version') ? mavenJars(`${artifact}-${version}`, [`org.apache.kafka:${artifact}:${version}`]) : null;
}

/** Folder with the jars of some artifacts (`group:artifact:version`) and all they need, or null. */
export function mavenJars(name: string, artifacts: readonly string[]): string | null {
  if (!has('java', '-version')) return null;
  const dir = path.join(CACHE, 'java', name);
  const made = once(dir, () => {
    const pom = path.join(dir, 'pom.xml');
    const dependencies = artifacts.map((coordinates) => {
      const [group, artifact, version] = coordinates.split(':');
      return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
    });
    const head = '<modelVersion>4.0.0</modelVersion><groupId>c</groupId><artifactId>c</artifactId><version>1</version><packaging>pom</packaging>';
    const space = 'xmlns="http://maven.apache.org/POM/4.0.0"';
    fs.writeFileSync(pom, `<project ${space}>${head}<dependencies>${dependencies.join('')}</dependencies></project>`);
    return has('mvn', '-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${dir}`, '-DincludeScope=runtime');
  });
  return made ? dir : null;
}

/** Compiles Java programs of `test/compat/java` against jars; the class path to run them with. */
export async function compileJava(programs: readonly string[], jarDir: string, out: string): Promise<string> {
  const files = programs.map((name) => path.join(import.meta.dirname, 'java', `${name}.java`));
  const { code, output } = await run('javac', ['-nowarn', '-cp', `${jarDir}/*`, '-d', out, ...files]);
  if (code !== 0) throw new Error(`javac: ${output}`);
  return `${out}:${jarDir}/*`;
}

/** The python of an environment that has these packages, or null. */
export function python(name: string, packages: readonly string[]): string | null {
  const dir = path.join(CACHE, 'python', name);
  const program = path.join(dir, 'bin', 'python');
  const made = once(dir, () => has('python3', '-m', 'venv', dir) && has(program, '-m', 'pip', 'install', '-q', ...packages));
  return made ? program : null;
}

/** A folder with npm packages installed, or null. */
export function npmPackages(name: string, packages: readonly string[]): string | null {
  const dir = path.join(CACHE, 'npm', name);
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', '--prefix', dir];
  return once(dir, () => has('npm', 'install', ...flags, ...packages)) ? dir : null;
}

/** A built Go program of `test/compat/go/NAME`, or null. */
export function goProgram(name: string): string | null {
  const dir = path.join(CACHE, 'go', name);
  const source = path.join(import.meta.dirname, 'go', name);
  const program = path.join(dir, name);
  return once(dir, () => has('go', 'version') && has('go', 'build', '-C', source, '-o', program, '.')) ? program : null;
}

/** The scenarios that a program completed; fails with its output when it did not end well, or the broker `said` that something failed. */
export function completed({ code, output }: Ended, said: readonly string[]): string[] {
  expect(code, output).toBe(0);
  expect(said.filter((line) => /failed|cannot/.test(line))).toEqual([]);
  return [...output.matchAll(/^ok (.*?)\r?$/gm)].map((match) => match[1] as string);
}
