/** What the launcher gives a command, for tests that run one in this process: no properties, no environment, words kept. */
import type { CommandContext } from '../../../src/cli/command.ts';

/** What a command wrote. */
export interface Said {
  out: string;
  err: string;
}

/** A context in a directory, and what is written into it. */
export function contextIn(cwd: string): { readonly context: CommandContext; readonly said: Said } {
  const said: Said = { out: '', err: '' };
  const context: CommandContext = {
    systemProperties: {},
    confDir: undefined,
    pluginsPath: undefined,
    classpath: [],
    env: {},
    cwd,
    stdout: { write: (text) => (said.out += text) },
    stderr: { write: (text) => (said.err += text) },
  };
  return { context, said };
}
