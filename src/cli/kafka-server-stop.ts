/**
 * `kafka-server-stop.sh`: sends SIGTERM to every broker of this machine that this user may signal; exit 1 when there is none.
 * `--node-id N` means the one with this id, `--process-role broker` all; as with Kafka's script the id comes first. Whoever
 * asks for help, or writes what is not understood, wants to stop nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ourPlaceFor } from './broker-settings.ts';

const USAGE =
  'USAGE: kafka-server-stop.sh [--process-role=broker|controller] [--node-id=N]\nStops every broker that this user has on this machine, or the one with this id.\n';

/** A running broker. */
interface Broker {
  readonly pid: number;
  readonly words: readonly string[];
}

/** Running brokers, by their command lines (Linux: /proc). */
function brokers(): Broker[] {
  const found: Broker[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (words.some((word) => /[/\\]cli[/\\]kafka-server-start\.(js|ts)$/.test(word))) found.push({ pid: Number(name), words });
    } catch {
      // It ended while we looked, or belongs to somebody else.
    }
  }
  return found;
}

/** The id in a broker's file or overrides; undefined when the file cannot be read. */
function idOf({ pid, words }: Broker): number | undefined {
  const at = words.findIndex((word) => /kafka-server-start\.(js|ts)$/.test(word));
  const file = words.slice(at + 1).find((word, i, rest) => word !== '' && !word.startsWith('-') && rest[i - 1] !== '--override' && rest[i - 1] !== '-name');
  if (file === undefined) return undefined;
  try {
    const lines = readFileSync(ourPlaceFor(isAbsolute(file) ? file : join(`/proc/${pid}/cwd`, file)), 'utf8').split(/\r?\n/);
    const settings = [...lines, ...words.filter((_, i) => words[i - 1] === '--override')];
    const last = (key: string): string | undefined =>
      settings
        .flatMap((line) => {
          const [, name, value] = /^\s*([\w.]+)\s*[=:]\s*(\d+)\s*$/.exec(line) ?? [];
          return name === key ? [value as string] : [];
        })
        .at(-1);
    return Number(last('broker.id') ?? last('node.id') ?? 0);
  } catch {
    return undefined;
  }
}

/** What the command line asks for; null when it is not understood. */
function readWords(): { help?: boolean; version?: boolean; 'process-role'?: string; 'node-id'?: string } | null {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({ options: { help: { ...flag, short: 'h' }, version: flag, 'process-role': text, 'node-id': text } }).values;
  } catch {
    return null;
  }
}

function stop(role: string | undefined, id: string | undefined): void {
  // There are no controllers.
  const none = id === undefined && role === 'controller';
  const meant = none ? [] : brokers().filter((broker) => id === undefined || idOf(broker) === Number(id));
  if (meant.length === 0) {
    process.stdout.write('No kafka server to stop\n');
    process.exitCode = 1;
  }
  for (const { pid } of meant) process.kill(pid, 'SIGTERM');
}

const words = readWords();
const role = words?.['process-role'];
const id = words?.['node-id'];
if (words?.help) process.stderr.write(USAGE);
else if (words?.version) process.stdout.write('3.9.1\n');
else if (words === null || !/^(broker|controller)$/.test(role ?? 'broker') || !/^\d+$/.test(id ?? '0')) {
  process.stderr.write(USAGE);
  process.exitCode = 1;
} else stop(role, id);
