/**
 * The `external` config filter: a command prints the value (Flume: ExternalProcessConfigFilter). The command is split
 * at white space and started without a shell, with the key as its last argument; the first line of its output counts.
 */
import { spawnSync } from 'node:child_process';
import { ConfigError } from '../../lib/errors.ts';
import { charset, text } from '../../lib/props/spec.ts';
import { defineConfigFilter } from '../core/define.ts';

/** A command that does not answer must not hang a start for ever. */
const TIMEOUT_MS = 30_000;

export default defineConfigFilter({
  type: 'external',
  aliases: ['org.apache.flume.configfilter.ExternalProcessConfigFilter'],
  summary: 'Runs a command that prints the value of a key.',
  properties: {
    command: text({ required: true, doc: 'Command, split at white space, run without a shell; the key is added as its last argument.' }),
    charset: charset({ default: 'UTF-8', doc: 'Character set of what the command prints.' }),
  },
  create: ({ command, charset: name }) => {
    const words = command.trim().split(/\s+/);
    return (key) => firstLine(words, key, name);
  },
});

function firstLine(words: readonly string[], key: string, charsetName: string): string {
  const [program, ...fixed] = words as [string, ...string[]];
  const result = spawnSync(program, [...fixed, key], { timeout: TIMEOUT_MS, stdio: ['ignore', 'pipe', 'pipe'] });
  const what = `"${[...words, key].join(' ')}"`;
  if (result.error !== undefined) {
    throw new ConfigError(`${what} could not be run: ${result.error.message}`, { cause: result.error, fix: 'check the path and the rights of the command' });
  }
  if (result.status !== 0) {
    const said = result.stderr.toString().trim().split('\n', 1)[0] ?? '';
    throw new ConfigError(`${what} ended with ${result.status ?? result.signal}${said === '' ? '' : `: ${said}`}`, { fix: 'run the command by hand' });
  }
  const line = new TextDecoder(charsetName).decode(result.stdout).split(/\r?\n/, 1)[0] ?? '';
  if (line === '') throw new ConfigError(`${what} printed nothing`, { fix: 'the first line of its output must be the value' });
  return line;
}
