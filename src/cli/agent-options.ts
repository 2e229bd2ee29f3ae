/**
 * The options of `flume-ng agent` (Flume: node/Application.java) and what they amount to. Defaults for any of them may
 * be in /etc/flume/flume.opts (key = long name); the command line wins.
 */
import fs from 'node:fs';
import { readProperties } from '../lib/props/lexer.ts';
import { type OptionSpec, type ParsedOptions, parseOptions, UsageError } from './flags.ts';

export const AGENT_OPTIONS: readonly OptionSpec[] = [
  { long: 'name', short: 'n', value: 'agent', doc: 'the agent to run (required)' },
  { long: 'conf-file', short: 'f', value: 'file', doc: 'its definition; may be given several times, later files win' },
  { long: 'conf-uri', short: 'u', value: 'uri', doc: 'its definition from http:, https:, file: or classpath:; several times' },
  { long: 'conf-user', short: 'user', value: 'name', doc: 'user for http(s) URIs' },
  { long: 'conf-password', short: 'pwd', value: 'password', doc: 'password for http(s) URIs' },
  { long: 'poll-interval', short: 'i', value: 'seconds', doc: 'how often http(s) URIs are asked again (default 300); files are watched' },
  { long: 'backup-directory', short: 'b', value: 'dir', doc: 'where the effective definition is kept, for a start without its source' },
  { long: 'no-reload-conf', doc: 'do not follow changes of the definition' },
  { long: 'strict', doc: 'do not start when there is anything to say about the definition' },
  { long: 'startup-policy', value: 'policy', doc: 'exit | degraded | retry: see README (default degraded)' },
  { long: 'stop-timeout', value: 'seconds', doc: 'how long a stop may take, draining included (default 10)' },
  { long: 'broker', value: 'file', optional: true, doc: 'run the log broker beside the agent, with this server.properties' },
  { long: 'zkConnString', short: 'z', value: 'hosts', doc: 'not supported: ZooKeeper' },
  { long: 'zkBasePath', short: 'p', value: 'path', doc: 'not supported: ZooKeeper' },
  { long: 'auth-provider', short: 'a', value: 'class', doc: 'not supported: Java class' },
  { long: 'conf-provider', short: 'prov', value: 'class', doc: 'not supported: Java class' },
  { long: 'help', short: 'h', doc: 'print this' },
];

/** What a failing start means. `exit`: any component that cannot start ends the agent; `retry`: none ever does. */
export type StartupPolicy = 'exit' | 'degraded' | 'retry';

export interface AgentSettings {
  readonly name: string;
  readonly files: readonly string[];
  readonly uris: readonly string[];
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
  readonly pollMs: number;
  readonly backupDir: string | undefined;
  readonly reload: boolean;
  readonly strict: boolean;
  readonly startupPolicy: StartupPolicy;
  readonly stopTimeoutMs: number;
  /** The broker's file; empty = its defaults; undefined = no broker. */
  readonly broker: string | undefined;
  /** Things to say that stop nothing. */
  readonly remarks: readonly string[];
}

const DEFAULT_POLL_S = 300;
const DEFAULT_STOP_S = 10;
const SYSTEM_OPTIONS = '/etc/flume/flume.opts';

/** Reads the words after `agent`. Answers null when help is asked for. @throws UsageError */
export function agentSettings(words: readonly string[], optionsFile: string = SYSTEM_OPTIONS): AgentSettings | null {
  const written = parseOptions(words, AGENT_OPTIONS);
  if (written.values.has('help')) return null;
  const values = new Map([...defaultsFrom(optionsFile), ...written.values]);
  refuse(values);
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  const files = values.get('conf-file') ?? [];
  const uris = values.get('conf-uri') ?? [];
  const name = last('name');
  if (name === undefined) throw new UsageError('Missing required option: n', 'write --name and the name of the agent, as in --name a1');
  if (files.length + uris.length === 0) throw new UsageError('No configuration was provided', 'write --conf-file and the path of the definition');
  const user = last('conf-user');
  const password = last('conf-password');
  return {
    name,
    files: uris.length > 0 ? [] : files,
    uris,
    credentials: user !== undefined && password !== undefined ? { user, password } : undefined,
    pollMs: seconds('poll-interval', last('poll-interval'), DEFAULT_POLL_S, 1),
    backupDir: last('backup-directory'),
    reload: !values.has('no-reload-conf'),
    strict: values.has('strict'),
    startupPolicy: policyOf(last('startup-policy')),
    stopTimeoutMs: seconds('stop-timeout', last('stop-timeout'), DEFAULT_STOP_S, 0),
    broker: last('broker'),
    remarks: remarksOf(written, files, uris),
  };
}

function defaultsFrom(file: string): Map<string, readonly string[]> {
  const out = new Map<string, readonly string[]>();
  if (!fs.existsSync(file)) return out;
  for (const { key, value } of readProperties(fs.readFileSync(file), file).entries) {
    const spec = AGENT_OPTIONS.find(({ long }) => long === key.replace(/^--/, ''));
    if (spec === undefined) continue;
    if (spec.value !== undefined) out.set(spec.long, [value.trim()]);
    else if (value.trim().toLowerCase() !== 'false') out.set(spec.long, ['']);
  }
  return out;
}

function refuse(values: ReadonlyMap<string, readonly string[]>): void {
  if (values.has('zkConnString') || values.has('zkBasePath')) {
    throw new UsageError(
      'definitions are not read from ZooKeeper here',
      'put the definition in a file (--conf-file) or behind a web server (--conf-uri http://…)',
    );
  }
  const java = ['auth-provider', 'conf-provider'].find((name) => values.has(name));
  if (java !== undefined) {
    throw new UsageError(`--${java} names a Java class, which cannot run here`, 'use --conf-uri with --conf-user and --conf-password, or --conf-file');
  }
}

function remarksOf({ extra }: ParsedOptions, files: readonly string[], uris: readonly string[]): readonly string[] {
  const remarks = extra.map((word) => `"${word}" belongs to no option and is ignored`);
  if (files.length > 0 && uris.length > 0) remarks.push('both --conf-uri and --conf-file are given: only the URIs are used, as in Flume');
  return remarks;
}

function policyOf(value: string | undefined): StartupPolicy {
  if (value === undefined) return 'degraded';
  const policy = value.toLowerCase();
  if (policy === 'exit' || policy === 'degraded' || policy === 'retry') return policy;
  throw new UsageError(`--startup-policy is "${value}" but must be exit, degraded or retry`);
}

/** Whole or broken seconds as milliseconds. */
function seconds(name: string, value: string | undefined, fallback: number, low: number): number {
  const number = value === undefined ? fallback : /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!(number >= low)) throw new UsageError(`--${name} is "${value}" but must be a number of seconds, ${low} or more`);
  return number * 1000;
}
