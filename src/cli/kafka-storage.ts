/**
 * `kafka-storage.sh format | random-uuid | info`: real brokers without ZooKeeper need their directories formatted first.
 * Ours does not; format and info answer as if, and random-uuid makes an id, so that scripts go on (kafka.tools.StorageTool).
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { errorText } from '../lib/errors.ts';
import { readProperties } from '../lib/props/lexer.ts';

const USAGE = 'usage: kafka-storage [-h] {info,format,random-uuid} ...\n';

/** Kafka's Uuid.randomUuid: 22 characters that do not begin with a dash. */
function randomUuid(): string {
  for (;;) {
    const text = randomBytes(16).toString('base64url');
    if (!text.startsWith('-')) return text;
  }
}

function logDirs(file: string): string[] {
  const settings = new Map(readProperties(readFileSync(file), file).entries.map(({ key, value }) => [key, value.trim()]));
  return (settings.get('log.dirs') ?? settings.get('log.dir') ?? '/tmp/kafka-logs').split(',').map((dir) => dir.trim());
}

function argument(words: readonly string[], ...names: readonly string[]): string | undefined {
  const at = words.findIndex((word) => names.includes(word));
  return at < 0 ? undefined : words[at + 1];
}

function run(words: readonly string[]): number {
  const [command, ...rest] = words;
  if (command === '--version') {
    process.stdout.write('3.9.1\n');
    return 0;
  }
  if (command === '--help' || command === '-h') {
    process.stderr.write(`${USAGE}The broker here needs no formatting; format and info are accepted for scripts that call them.\n`);
    return 0;
  }
  if (command === 'random-uuid') {
    process.stdout.write(`${randomUuid()}\n`);
    return 0;
  }
  if (command !== 'format' && command !== 'info') {
    process.stderr.write(
      `${USAGE}kafka-storage: error: ${command === undefined ? 'too few arguments' : `argument command: invalid choice: '${command}' (choose from 'info', 'format', 'random-uuid')`}\n`,
    );
    return 1;
  }
  const file = argument(rest, '--config', '-c');
  if (file === undefined) {
    process.stderr.write(`usage: kafka-storage ${command} [-h] --config CONFIG\nkafka-storage: error: argument --config/-c is required\n`);
    return 1;
  }
  if (command === 'format' && argument(rest, '--cluster-id', '-t') === undefined) {
    process.stderr.write(
      'usage: kafka-storage format [-h] --config CONFIG --cluster-id CLUSTER_ID\nkafka-storage: error: argument --cluster-id/-t is required\n',
    );
    return 1;
  }
  try {
    const dirs = logDirs(file).join(', ');
    process.stdout.write(`Nothing to ${command === 'format' ? 'format' : 'tell'}: the broker prepares ${dirs} itself when it starts.\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    return 1;
  }
}

process.exitCode = run(process.argv.slice(2));
