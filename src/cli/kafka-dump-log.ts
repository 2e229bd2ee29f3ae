/**
 * `kafka-dump-log.sh`: shows log segments and the files beside them (kafka.tools.DumpLogSegments 3.9): of our broker, of
 * the file channel, of a real Kafka. Reads only; a broker may run meanwhile.
 */
import { errorText } from '../lib/errors.ts';
import { dumpOffsetIndex, dumpProducerSnapshot, dumpTimeIndex, dumpTransactionIndex, IndexFaults } from './kafka-tool/index-dump.ts';
import { dumpLog, type Jumps } from './kafka-tool/log-dump.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, out } from './kafka-tool/output.ts';
import type { RecordDecoder } from './kafka-tool/record-decoders.ts';
import { runTool } from './kafka-tool/tool.ts';

/** Options that ask for keys and values by themselves. */
const CONTENT_DECODERS = ['offsets-decoder', 'transaction-log-decoder', 'key-decoder-class', 'value-decoder-class'];
const OPTIONS: readonly ToolOption[] = [
  {
    name: 'files',
    value: 'String: file1, file2, ...',
    repeatable: true,
    doc: 'REQUIRED: The files to dump, separated by commas: .log, .index, .timeindex, .txnindex, .snapshot.',
  },
  { name: 'print-data-log', doc: 'Print keys and values too.' },
  { name: 'deep-iteration', doc: 'Print a line per record; --print-data-log does so too.' },
  { name: 'verify-index-only', doc: 'Just verify the index log without printing its content.' },
  { name: 'index-sanity-check', doc: 'Just check whether the index file is whole.' },
  { name: 'max-message-size', value: 'Integer: size', doc: 'Largest message; batches of any size are read here.' },
  { name: 'max-bytes', value: 'Integer: size', doc: 'Read only so many bytes of a .log file.' },
  { name: 'skip-record-metadata', doc: 'Print only keys and values of records.' },
  { name: 'key-decoder-class', value: 'String', doc: 'kafka.serializer.StringDecoder (default), IntegerDecoder, LongDecoder.' },
  { name: 'value-decoder-class', value: 'String', doc: 'As --key-decoder-class, for values.' },
  { name: 'offsets-decoder', doc: 'Read records as those of __consumer_offsets.' },
  { name: 'transaction-log-decoder', doc: 'Read records as those of __transaction_state.' },
  { name: 'cluster-metadata-decoder', doc: 'Not available here.' },
  { name: 'remote-log-metadata-decoder', doc: 'Not available here.' },
];
const PURPOSE = 'This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.';

/** `first.log, second.log` may have been cut at its blanks. */
function filesOf(options: Options): string[] {
  return [...options.all('files'), ...options.rest]
    .join(',')
    .split(',')
    .map((file) => file.trim())
    .filter((file) => file !== '');
}

async function run(options: Options): Promise<number> {
  options.require('files');
  for (const name of ['cluster-metadata-decoder', 'remote-log-metadata-decoder'])
    if (options.has(name)) throw new UsageFault(`--${name} is not available here: there is no such log`, { brief: true });
  const printData = options.has('print-data-log') || CONTENT_DECODERS.some((name) => options.has(name));
  let decode: RecordDecoder | undefined;
  if (printData) decode = (await import('./kafka-tool/record-decoders.ts')).recordDecoder(options);
  const jumps: Jumps = new Map();
  const faults = new IndexFaults();
  const index = { sanityOnly: options.has('index-sanity-check'), verifyOnly: options.has('verify-index-only') };
  const log = {
    isDeep: printData || options.has('deep-iteration'),
    decode,
    skipMetadata: options.has('skip-record-metadata'),
    maxBytes: options.has('max-bytes') ? options.int('max-bytes', 0) : Number.POSITIVE_INFINITY,
  };
  for (const file of filesOf(options)) {
    out(`Dumping ${file}\n`);
    const ending = /\.([a-z]+)$/.exec(file)?.[1];
    if (ending === 'log') dumpLog(file, log, jumps);
    else if (ending === 'index') dumpOffsetIndex(file, index, faults);
    else if (ending === 'timeindex') dumpTimeIndex(file, index, faults);
    else if (ending === 'txnindex') dumpTransactionIndex(file);
    else if (ending === 'snapshot') dumpProducerSnapshot(file);
    else err(`Ignoring unknown file ${file}\n`);
  }
  faults.print();
  for (const [file, pairs] of jumps) err(`Non-consecutive offsets in ${file}\n${pairs.map(([a, b]) => `  ${a} is followed by ${b}\n`).join('')}`);
  return 0;
}

await runTool({
  purpose: PURPOSE,
  options: OPTIONS,
  run: async (options) => {
    try {
      return await run(options);
    } catch (error) {
      if (error instanceof UsageFault) throw error;
      err(`${errorText(error)}\n`);
      return 1;
    }
  },
});
