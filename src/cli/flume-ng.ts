/**
 * `flume-ng COMMAND …` (Flume: bin/flume-ng): takes the launcher's flags, sources flume-env.sh, and hands the rest to the
 * command's own module, which is imported only then. The one place that ends the process.
 */
import { AppError } from '../lib/errors.ts';
import { setSystemProperties } from '../lib/system-properties.ts';
import { type Command, type CommandContext, EXIT } from './command.ts';
import { environmentScript, sourcedEnvironment } from './environment-script.ts';
import { type LauncherFlags, launcherFlags, systemPropertiesOf, UsageError } from './flags.ts';

/** Each is the module of the same name beside this one. */
const COMMANDS: readonly (readonly [name: string, doc: string])[] = [
  ['help', 'display this help text'],
  ['agent', 'run a Flume agent'],
  ['validate', 'check a definition: everything that is wrong or odd in it, with line and remedy'],
  ['explain', 'draw the flows of a definition and say what can get lost or doubled in them'],
  ['describe', 'reference of a component: properties, defaults, counters'],
  ['avro-client', 'send files to an avro source'],
  ['channel', 'look into a stored channel, verify or empty it'],
  ['crashtest', 'kill an agent again and again and count what is lost or doubled'],
  ['version', 'show version information'],
];
/** Further words that are commands, for Flume's sake. */
const ALIASES: Readonly<Record<string, string>> = { node: 'agent' };

const HELP = `Usage: flume-ng <command> [options]...

commands:
${COMMANDS.map(([name, doc]) => `  ${name.padEnd(22)}${doc}`).join('\n')}

global options:
  --conf,-c <dir>       directory with flume-env.sh
  --classpath,-C <cp>   directories looked through for classpath: URIs
  --dryrun,-d           show what would be run, and do not run it
  --plugins-path <dirs> colon-separated list of plugins.d directories; replaces plugins.d beside bin/
  -Dproperty=value      sets a system property, e.g. -Dflume.root.logger=INFO,console
  -Xproperty=value      taken and ignored, like every setting of a Java machine

agent options: flume-ng agent --help

Note that if the --conf directory holds a flume-env.sh, it is sourced before the command runs.
`;

interface CommandModule {
  readonly run: Command;
}

async function main(argv: readonly string[]): Promise<number> {
  const [word, ...rest] = argv;
  if (word === 'help' || word === '--help' || word === '-h') {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  if (word === 'tool') return tool(rest);
  const name = ALIASES[word ?? ''] ?? word;
  if (name === undefined || !COMMANDS.some(([known]) => known === name)) {
    process.stderr.write(`Error: Unknown or unspecified command '${word ?? ''}'\n`);
    process.stdout.write(`\n${HELP}`);
    return EXIT.failed;
  }
  if (word === 'node') process.stderr.write('Warning: The "node" command is deprecated. Please use "agent" instead.\n');
  const flags = launcherFlags(rest);
  if (flags.dryRun) {
    process.stderr.write('Warning: Dryrun mode enabled (will not actually initiate startup)\n');
    process.stdout.write(`${process.execPath} ${process.argv[1]} ${argv.filter((arg) => arg !== '--dryrun' && arg !== '-d').join(' ')}\n`);
    return EXIT.ok;
  }
  const { run } = (await import(new URL(`./${name}${import.meta.url.slice(-3)}`, import.meta.url).href)) as CommandModule;
  return run(flags.words, contextOf(flags, name));
}

/** Flume's file channel tool, whose work `channel verify` does. */
function tool(words: readonly string[]): number {
  const asked = words[0] === undefined ? 'Flume tools are' : words[0].toLowerCase() === 'fcintegritytool' ? 'fcintegritytool is' : `"${words[0]}" is`;
  process.stderr.write(
    `Error: ${asked} not needed here. Channels are checked when they open;\n  flume-ng channel verify -f FILE -n NAME CHANNEL\nchecks one without opening it.\n`,
  );
  return EXIT.failed;
}

function contextOf(flags: LauncherFlags, command: string): CommandContext {
  const cwd = process.cwd();
  const script = environmentScript(flags.confDir, cwd);
  if (script !== undefined) process.stderr.write(`Info: Sourcing environment configuration script ${script}\n`);
  else if (flags.confDir === undefined && command === 'agent') process.stderr.write('Warning: No configuration directory set! Use --conf <dir> to override.\n');
  const env = script === undefined ? process.env : sourcedEnvironment(script, process.env);
  // Components see the environment as the script left it.
  if (script !== undefined) Object.assign(process.env, env);
  const systemProperties = { ...systemPropertiesOf(env.JAVA_OPTS), ...systemPropertiesOf(env.FLUME_JAVA_OPTS), ...flags.systemProperties };
  setSystemProperties(systemProperties);
  return {
    systemProperties,
    confDir: flags.confDir,
    pluginsPath: flags.pluginsPath,
    classpath: [
      ...(flags.confDir === undefined ? [] : [flags.confDir]),
      ...flags.classpath,
      ...(env.FLUME_CLASSPATH ?? '').split(':').filter((dir) => dir !== ''),
    ],
    env,
    cwd,
    stdout: process.stdout,
    stderr: process.stderr,
  };
}

/** What went wrong, for a person at a terminal. A stack helps only where nobody foresaw the error. */
function explain(error: unknown): number {
  if (error instanceof AppError) {
    process.stderr.write(`Error: ${error.message}${error.fix === undefined ? '' : `\n  ${error.fix}`}\n`);
    return error instanceof UsageError ? error.exitCode : EXIT.failed;
  }
  process.stderr.write(`Error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.failed;
}

process.exit(await main(process.argv.slice(2)).catch(explain));
