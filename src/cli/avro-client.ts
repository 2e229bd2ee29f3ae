/**
 * `flume-ng avro-client`: sends the lines of a file or of stdin, or the files of a directory, to an avro source (Flume's
 * AvroCLIClient). Each batch is waited for. Unlike Flume, whose exit code is always 0, a failure exits 1: a script must be
 * able to tell. Exit codes: 0 all delivered; 1 not all; 2 command line.
 */
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { SourceCounters } from '../agent/core/counters.ts';
import type { DeserializerInput, DeserializerSpec, SourceContext } from '../agent/core/define.ts';
import type { Event } from '../agent/core/event.ts';
import type { Deserializer } from '../agent/core/serializer.ts';
import { SpoolReader } from '../agent/sources/spooldir/spool-reader.ts';
import spooldir from '../agent/sources/spooldir.ts';
import { builtInCatalog } from '../agent/wire/catalog.ts';
import { type RpcClient, rpcClient } from '../agent/wire/rpc-clients.ts';
import { systemClock } from '../lib/clock.ts';
import { AppError, errorText } from '../lib/errors.ts';
import { LineSplitter } from '../lib/lines.ts';
import type { Logger } from '../lib/log.ts';
import { readProperties } from '../lib/props/lexer.ts';
import { parseProperties } from '../lib/props/spec.ts';
import { type Command, type CommandContext, EXIT } from './command.ts';
import { type OptionSpec, optionHelp, parseOptions, UsageError } from './flags.ts';
import { createLogging } from './logging.ts';

const OPTIONS: readonly OptionSpec[] = [
  { long: 'host', short: 'H', value: 'host', doc: 'host of the avro source' },
  { long: 'port', short: 'p', value: 'port', doc: 'port of the avro source' },
  { long: 'rpcProps', short: 'P', value: 'file', doc: 'properties of the RPC client, instead of host and port' },
  { long: 'filename', short: 'F', value: 'file', doc: 'file whose lines are sent; default: standard input' },
  { long: 'dirname', value: 'dir', doc: 'directory whose files are sent; each is renamed to .COMPLETED then' },
  { long: 'headerFile', short: 'R', value: 'file', doc: 'properties that become headers of every event' },
  { long: 'help', short: 'h', doc: 'this text' },
];
/** Events in a call when only host and port are given, as in Flume. */
const DEFAULT_BATCH = 5;

interface Asked {
  readonly client: Readonly<Record<string, string>>;
  readonly filename: string | undefined;
  readonly dirname: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export const run: Command = async (words, context) => {
  const asked = readWords(words);
  if (asked === null) {
    context.stdout.write(`usage: flume-ng avro-client [--dirname <dir>] [-F <file>] [-H <host>] [-P <file>] [-p <port>] [-R <file>]\n${optionHelp(OPTIONS)}\n`);
    return EXIT.ok;
  }
  const { systemProperties, cwd, stderr } = context;
  const logging = createLogging({ systemProperties: { 'flume.root.logger': 'WARN,console', ...systemProperties }, cwd, stderr });
  const log = logging.child('avro-client', 'client.avro');
  try {
    return await send(asked, log, context);
  } finally {
    logging.close();
  }
};

/** Null = help was asked for. @throws UsageError */
function readWords(words: readonly string[]): Asked | null {
  const { values, extra } = parseOptions(words, OPTIONS);
  if (values.has('help')) return null;
  if (extra.length > 0) throw new UsageError(`"${extra[0]}" belongs to no option`, 'name the file with -F');
  const one = (name: string): string | undefined => values.get(name)?.at(-1);
  const [host, port, rpcProps] = [one('host'), one('port'), one('rpcProps')];
  if (rpcProps === undefined && host === undefined && port === undefined)
    throw new UsageError('Either --rpcProps or both --host and --port must be specified.');
  if (rpcProps === undefined && port === undefined) throw new UsageError('You must specify a port to connect to with --port');
  if (rpcProps === undefined && host === undefined) throw new UsageError('You must specify a hostname to connect to with --host');
  if (values.has('filename') && values.has('dirname')) throw new UsageError('--filename and --dirname options cannot be used simultaneously');
  const client =
    rpcProps === undefined ? { hosts: 'h1', 'hosts.h1': `${host}:${port}`, 'batch-size': String(DEFAULT_BATCH) } : propertiesOf('rpcProps', rpcProps);
  const headerFile = one('headerFile');
  return { client, filename: one('filename'), dirname: one('dirname'), headers: headerFile === undefined ? {} : propertiesOf('headerFile', headerFile) };
}

function propertiesOf(option: string, file: string): Record<string, string> {
  if (!existsSync(file)) throw new UsageError(`the file ${file} of --${option} does not exist`);
  try {
    return Object.fromEntries(readProperties(readFileSync(file), file).entries.map(({ key, value }) => [key, value]));
  } catch (cause) {
    throw new UsageError(`the file ${file} of --${option} cannot be read: ${errorText(cause)}`);
  }
}

/** The exit code. @throws AppError the client cannot be built, or the input not read */
async function send(asked: Asked, log: Logger, { stderr }: CommandContext): Promise<number> {
  const client = rpcClient(asked.client, { clock: systemClock, log });
  let delivered = 0;
  const deliver = async (events: readonly Event[]): Promise<void> => {
    await client.send(events);
    delivered += events.length;
  };
  try {
    if (asked.dirname !== undefined) await sendDirectory({ asked, log, client, deliver });
    else await sendLines(asked, client.batchSize, deliver);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const fix = error.fix === undefined ? '' : `\n  ${error.fix}`;
    const what = delivered === 0 && /^cannot connect/.test(error.message) ? 'Unable to open connection to Flume' : 'Unable to deliver events to Flume';
    stderr.write(`Error: ${what}: ${error.message}${fix}\n  ${delivered} events were delivered before\n`);
    return EXIT.failed;
  } finally {
    await client.close();
  }
}

type Deliver = (events: readonly Event[]) => Promise<void>;

async function sendLines({ filename, headers }: Asked, batchSize: number, deliver: Deliver): Promise<void> {
  const input: Readable = filename === undefined ? process.stdin : createReadStream(filename);
  const splitter = new LineSplitter({ ends: 'any' });
  const pass = async (lines: readonly Buffer[]): Promise<void> => {
    for (let from = 0; from < lines.length; from += batchSize) {
      await deliver(lines.slice(from, from + batchSize).map((body) => ({ headers: { ...headers }, body })));
    }
  };
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      const lines: Buffer[] = [];
      splitter.push(chunk, lines);
      await pass(lines);
    }
  } catch (cause) {
    if (cause instanceof AppError || filename === undefined) throw cause;
    throw new AppError('USAGE', `cannot read ${filename}: ${errorText(cause)}`, { fix: 'check the path and its permissions', cause });
  }
  const last = splitter.rest();
  if (last !== null) await pass([last]);
}

interface DirectoryJob {
  readonly asked: Asked;
  readonly log: Logger;
  readonly client: RpcClient;
  readonly deliver: Deliver;
}

/** Runs the spooling directory source until it has nothing more to read. */
async function sendDirectory({ asked, log, client, deliver }: DirectoryJob): Promise<void> {
  const { config } = parseProperties(spooldir.properties, { spoolDir: { value: asked.dirname as string } });
  if (config === null) throw new UsageError(`"${asked.dirname}" is no directory name`);
  const lines = (await builtInCatalog.find('deserializer', 'LINE')) as DeserializerSpec;
  let finish: (error?: unknown) => void = () => undefined;
  const finished = new Promise<void>((resolve, reject) => {
    finish = (error) => (error === undefined ? resolve() : reject(error));
  });
  const ctx: SourceContext = {
    name: 'avro-client',
    agent: 'avro-client',
    log,
    clock: systemClock,
    home: '',
    extra: Object.fromEntries(Object.keys(spooldir.counters ?? {}).map((name) => [name, 0])),
    degraded: () => undefined,
    healthy: () => undefined,
    failed: finish,
    counters: new SourceCounters(),
    output: {
      maxBatch: client.batchSize,
      put: async (events) => {
        for (const event of events) Object.assign(event.headers, asked.headers);
        // The first batch that cannot be delivered ends the command; the reader must not go on trying.
        await deliver(events).catch((error: unknown) => {
          finish(error);
          throw error;
        });
      },
    },
    deserializer: (_type: string, _properties: Readonly<Record<string, string>>, input: DeserializerInput): Deserializer =>
      lines.create(parseProperties(lines.properties, {}).config as never, input),
  };
  const reader = new SpoolReader(config, ctx, () => finish());
  await reader.start();
  try {
    await finished;
  } finally {
    await reader.stop();
  }
}
