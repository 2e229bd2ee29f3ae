/** What validate, explain and describe share: their options, and the components as a question sees them (nothing is logged). */
import type { PluginCatalog } from '../agent/runtime/plugins.ts';
import type { Logger } from '../lib/log.ts';
import type { CommandContext } from './command.ts';
import { componentCatalog } from './component-catalog.ts';
import { type OptionSpec, optionHelp, type ParsedOptions, parseOptions, UsageError } from './flags.ts';

export const DEFINITION_OPTIONS: readonly OptionSpec[] = [
  { long: 'conf-file', short: 'f', value: 'file', doc: 'definition file; may be given several times, later files override earlier ones' },
  { long: 'name', short: 'n', value: 'agent', doc: 'agent to look at' },
  { long: 'json', doc: 'answer for programs' },
  { long: 'help', short: 'h', doc: 'this text' },
];

const SILENT: Logger = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, isLevelEnabled: () => false };

/** What is wrong with plugins is not logged but in its `problems()`. */
export function quietCatalog(context: CommandContext): PluginCatalog {
  return componentCatalog(context, SILENT);
}

/** What a command was asked. */
export interface DefinitionWords {
  readonly files: readonly string[];
  readonly name: string | undefined;
  readonly json: boolean;
  readonly help: boolean;
  readonly options: ParsedOptions;
}

/** Reads the words of a command. @throws UsageError */
export function readDefinitionWords(words: readonly string[], specs: readonly OptionSpec[]): DefinitionWords {
  const options = parseOptions(words, specs);
  const { values, extra } = options;
  const help = values.has('help');
  const files = [...(values.get('conf-file') ?? []), ...extra];
  if (files.length === 0 && !help) throw new UsageError('no definition file was given', 'write -f FILE');
  const names = values.get('name') ?? [];
  if (new Set(names).size > 1) throw new UsageError(`--name is given several times: ${names.join(', ')}`, 'give it once');
  return { files, name: names[0], json: values.has('json'), help, options };
}

/** The help text of a command. */
export function helpText(usage: string, about: string, specs: readonly OptionSpec[]): string {
  return `usage: flume-ng ${usage}\n\n${about}\n\noptions:\n${optionHelp(specs)}\n`;
}
