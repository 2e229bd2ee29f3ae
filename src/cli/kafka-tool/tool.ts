/**
 * What all Kafka tools share: reading the command line, `--help` and `--version`, where to connect, legacy flags, how
 * errors end. A tool is a function that gets its options and resolves with the exit code.
 *
 * `--zookeeper` and `--broker-list`: no ZooKeeper is needed here. The tool says so once on stderr and talks to
 * `--bootstrap-server`, else to the brokers of `--broker-list`, else to this machine's broker.
 */
import { AppError, errorText } from '../../lib/errors.ts';
import { Cluster } from './cluster.ts';
import { type Options, optionTable, parseOptions, type ToolOption, UsageFault } from './options.ts';
import { err, out, WireError } from './output.ts';

/** The version whose tools these stand for. */
export const KAFKA_VERSION = '3.9.1';
/** Where a broker of ours listens unless told otherwise. */
export const LOCAL_BROKER = 'localhost:9092';

export const BOOTSTRAP: ToolOption = {
  name: 'bootstrap-server',
  value: 'String: server to connect to',
  doc: 'The brokers to connect to, host:port, separated by commas.',
};
export const COMMAND_CONFIG: ToolOption = {
  name: 'command-config',
  value: 'String: command config property file',
  doc: 'File with settings of the client: security.protocol, sasl.*, ssl.*.',
};
export const ZOOKEEPER: ToolOption = { name: 'zookeeper', value: 'String: hosts', doc: 'Not needed any more; accepted from older command lines.' };
export const BROKER_LIST: ToolOption = { name: 'broker-list', value: 'String: broker-list', doc: 'Older name of --bootstrap-server.' };
/** Options about a quorum of controllers or ZooKeeper's TLS, which older and newer command lines have. */
export const ELSEWHERE: readonly ToolOption[] = [
  { name: 'bootstrap-controller', value: 'String: controller to connect to', doc: 'There are no controllers of their own here; use --bootstrap-server.' },
  { name: 'zk-tls-config-file', value: 'String', doc: 'Not needed any more; accepted from older command lines.' },
];
const HELP: readonly ToolOption[] = [
  { name: 'help', doc: 'Print usage information.' },
  { name: 'version', doc: 'Display Kafka version.' },
];

export interface Tool {
  /** What the tool is for; the first line of its help. */
  readonly purpose: string;
  readonly options: readonly ToolOption[];
  /** Called without any word: print the purpose and the table, exit 1, as most tools do. */
  readonly helpWithoutWords?: boolean;
  run(options: Options): Promise<number>;
}

/** Reads the command line, runs the tool and sets the exit code. */
export async function runTool(tool: Tool, words: readonly string[] = process.argv.slice(2)): Promise<void> {
  // A reader that went away (`| head`) ends the program quietly.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  process.exitCode = await outcome(tool, words);
}

async function outcome(tool: Tool, words: readonly string[]): Promise<number> {
  const specs = [...tool.options, ...HELP];
  try {
    const options = parseOptions(words, specs);
    for (const notice of options.notices) err(`NOTICE: ${notice}\n`);
    if (options.has('help') || (words.length === 0 && (tool.helpWithoutWords ?? true))) {
      err(`${tool.purpose}\n${optionTable(specs)}`);
      return options.has('help') ? 0 : 1;
    }
    if (options.has('version')) {
      out(`${KAFKA_VERSION}\n`);
      return 0;
    }
    return await tool.run(options);
  } catch (error) {
    return report(error, specs);
  }
}

function report(error: unknown, specs: readonly ToolOption[]): number {
  if (error instanceof UsageFault) {
    err(`${error.message}\n`);
    if (error.javaClass !== undefined) err(`${error.javaClass}: ${error.message}\n`);
    if (!error.brief) err(optionTable(specs));
    return 1;
  }
  err(`${errorText(error)}\n`);
  if (error instanceof AppError && error.fix !== undefined) err(`${error.fix}\n`);
  // What the system refuses (a file that is not there) is said by its message; a stack shows mistakes of ours.
  else if (error instanceof Error && !(error instanceof AppError) && !('syscall' in error)) err(`${error.stack ?? ''}\n`);
  if (error instanceof WireError) err(`${error.javaText}\n`);
  return 1;
}

let noticed = false;

/**
 * The addresses to connect to. @throws UsageFault when the command line names none
 * @param missing what Kafka's tool says without `--bootstrap-server`
 */
export function bootstrapOf(options: Options, missing: UsageFault = new UsageFault('Missing required argument "[bootstrap-server]"')): string {
  const given = options.get('bootstrap-server') ?? options.get('broker-list');
  const legacy = ['zookeeper', 'authorizer-properties'].find((name) => options.has(name));
  if (legacy !== undefined && !noticed) {
    noticed = true;
    const named = given === undefined ? `this machine's broker, ${LOCAL_BROKER} (name another with --bootstrap-server)` : given;
    err(`NOTICE: ZooKeeper is not needed and --${legacy} is not used: talking to ${named}.\n`);
  }
  if (given !== undefined) return given;
  if (options.has('bootstrap-controller'))
    throw new UsageFault('--bootstrap-controller cannot be used: brokers answer here, controllers are not asked; write --bootstrap-server', { brief: true });
  if (legacy !== undefined) return LOCAL_BROKER;
  throw missing;
}

/** Connects where the options say, runs `work`, closes. */
export async function withCluster<T>(options: Options, work: (cluster: Cluster) => Promise<T>, missing?: UsageFault): Promise<T> {
  const bootstrap = bootstrapOf(options, missing);
  const settings = await settingsOf(options, 'command-config');
  const cluster = await Cluster.open(bootstrap, settings);
  try {
    return await work(cluster);
  } finally {
    cluster.close();
  }
}

/** Settings in the file that option `name` names, with `key=value` words of `inline` options on top. */
export async function settingsOf(options: Options, name: string, inline: readonly string[] = []): Promise<Record<string, string>> {
  const file = options.get(name);
  const settings: Record<string, string> = {};
  if (file !== undefined) {
    const { readClientFile } = await import('./client-file.ts');
    Object.assign(settings, readClientFile(file));
  }
  for (const pair of inline) {
    const at = pair.indexOf('=');
    settings[at < 0 ? pair : pair.slice(0, at)] = at < 0 ? '' : pair.slice(at + 1);
  }
  return settings;
}
