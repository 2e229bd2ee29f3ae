/**
 * spooldir: reads files that are put into a directory, each from start to end, once (Flume's SpoolDirectorySource and
 * ReliableSpoolingFileEventReader). Writers must move whole files in; names must not come twice.
 *
 * What is promised: every event of a file is put into the channel at least once. The position is stored after `put`
 * resolved (spooldir/position-file.ts), so a kill repeats at most the batch under way, and a power cut at most what the
 * system had not written to disk. A file is retired only after its last event is in the channel.
 *
 * Unlike Flume one bad file does not end the source: it is put aside (spooldir/completion.ts), counted, told, and shown as
 * degraded until somebody takes it away. A batch is what a slab of the file gave, at least batchSize if there is as much
 * and at most what the channels take at once: larger transactions are what makes files fast.
 */
import path from 'node:path';
import type { FindingDraft, RawValue } from '../../lib/props/finding.ts';
import { bool, type Config, charset, duration, int, oneOf, path as pathProperty, regex, rest, text } from '../../lib/props/spec.ts';
import { defineSource } from '../core/define.ts';
import { SpoolReader } from './spooldir/spool-reader.ts';

const properties = {
  spoolDir: pathProperty({ required: true, doc: 'The directory to read files from; it must exist.' }),
  fileSuffix: text({ default: '.COMPLETED', doc: 'Added to the name of a file that was read.' }),
  deletePolicy: oneOf(['never', 'immediate'], { default: 'never', doc: 'immediate deletes a file after reading instead of renaming it.' }),
  trackingPolicy: oneOf(['rename', 'tracker_dir'], { default: 'rename', doc: 'tracker_dir leaves files untouched and records them in trackerDir.' }),
  trackerDir: pathProperty({ default: '.flumespool', doc: 'Directory for the position and tracker files; relative: inside spoolDir.' }),
  fileHeader: bool({ default: false, doc: 'Put the absolute path of the file into a header.' }),
  fileHeaderKey: text({ default: 'file', doc: 'The name of that header.' }),
  basenameHeader: bool({ default: false, doc: 'Put the name of the file into a header.' }),
  basenameHeaderKey: text({ default: 'basename', doc: 'The name of that header.' }),
  includePattern: regex({ default: '^.*$', doc: 'Java pattern of the whole name of files to read.' }),
  ignorePattern: regex({ default: '^$', doc: 'Java pattern of the whole name of files and sub-directories to leave out; it wins over includePattern.' }),
  consumeOrder: oneOf(['oldest', 'youngest', 'random'], { default: 'oldest', doc: 'Which file is next, by time of modification, then by name.' }),
  pollDelay: duration({ default: 500, unit: 'ms', min: 1, doc: 'Pause between two listings of the directory.' }),
  recursiveDirectorySearch: bool({ default: false, doc: 'Read sub-directories too, but for those whose names begin with a dot.' }),
  batchSize: int({ default: 100, min: 1, unit: 'events', doc: 'Events put into the channel at once, at least; more if the channel takes more.' }),
  inputCharset: charset({ default: 'UTF-8', doc: 'Character set of the files, by its Java name, e.g. GBK.' }),
  decodeErrorPolicy: oneOf(['FAIL', 'REPLACE', 'IGNORE'], {
    default: 'FAIL',
    doc: 'What to do with bytes that are not of that character set: put the file aside, write U+FFFD, leave them out.',
  }),
  deserializer: text({ default: 'LINE', doc: 'How a file becomes events: LINE, AVRO or a class name.' }),
  'deserializer.*': rest({ doc: 'Properties of the deserializer, e.g. maxLineLength.' }),
  maxBackoff: duration({ default: 4000, unit: 'ms', min: 1, doc: 'Longest pause between two tries at a full channel; the first is 250.' }),
  bufferMaxLineLength: int({ min: 1, unit: 'chars', doc: 'Retired: deserializer.maxLineLength of the LINE deserializer.' }),
  bufferMaxLines: text({ doc: 'Retired.', ignored: 'Flume does not use it either' }),
} as const;

/** What the reader is configured with. */
export type SpoolSettings = Config<typeof properties>;

export default defineSource({
  type: 'spooldir',
  aliases: ['org.apache.flume.source.SpoolDirectorySource'],
  summary: 'Reads the files that are put into a directory, each once.',
  properties,
  counters: {
    FilesCompletedCount: 'Files read to their end and retired.',
    FilesAsideCount: 'Files put aside because they changed, bore a used name or could not be decoded.',
  },
  check: (config, raw) => check(config, raw),
  facts: (config) => ({ batchSize: config.batchSize, reads: [path.resolve(config.spoolDir)] }),
  delivery: () => ({
    crash: { effect: 'doubles', note: 'reading goes on from the last stored position; the batch under way comes again' },
    stop: { effect: 'nothing', note: 'the position is stored and reading goes on from there' },
    full: { effect: 'waits', note: 'reading stops until there is room; files stay where they are' },
    replays: true,
  }),
  create: (config, ctx) => new SpoolReader(config, ctx),
});

function check(config: SpoolSettings, raw: Readonly<Record<string, RawValue>>): FindingDraft[] {
  const findings: FindingDraft[] = [];
  if ('bufferMaxLineLength' in raw) {
    const message = 'property "bufferMaxLineLength" is retired';
    findings.push({ code: 'retired-property', severity: 'warning', message, fix: 'write deserializer.maxLineLength instead', key: 'bufferMaxLineLength' });
  }
  if (config.deletePolicy === 'immediate' && config.trackingPolicy === 'tracker_dir') {
    const message = 'trackingPolicy has no effect with deletePolicy immediate: files are deleted';
    findings.push({ code: 'no-effect', severity: 'warning', message, fix: 'remove one of the two', key: 'trackingPolicy' });
  }
  return findings;
}
