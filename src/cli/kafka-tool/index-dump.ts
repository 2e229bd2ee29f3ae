/**
 * `kafka-dump-log` of the small files beside a log: `.index` and `.timeindex`, compared with the log, `.txnindex` and
 * `.snapshot`. Layouts: kafka-reference of OffsetIndex, TimeIndex, TransactionIndex, ProducerStateManager.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { crc32c } from '../../lib/crc32c.ts';
import { readI64 } from '../../records/batch.ts';
import { LogFile } from './log-file.ts';
import { err, out } from './output.ts';

/** What disagreed, by file; printed at the end. */
export class IndexFaults {
  readonly offsets = new Map<string, [number, number][]>();
  readonly times = new Map<string, [number, number][]>();
  readonly order = new Map<string, [number, number][]>();
  readonly missing = new Map<string, [number, number][]>();

  note(kind: Map<string, [number, number][]>, file: string, pair: [number, number]): void {
    kind.set(file, [...(kind.get(file) ?? []), pair]);
  }

  print(): void {
    const lists = [
      ['Mismatches in :', this.offsets, (a: number, b: number) => `  Index offset: ${a}, log offset: ${b}`],
      ['Found timestamp mismatch in :', this.times, (a: number, b: number) => `  Index timestamp: ${a}, log timestamp: ${b}`],
      ['Found out of order timestamp in :', this.order, (a: number, b: number) => `  Index timestamp: ${a}, Previously indexed timestamp: ${b}`],
    ] as const;
    for (const [heading, faults, line] of lists) {
      for (const [file, pairs] of faults) err(`${heading}${file}\n${pairs.map(([a, b]) => `${line(a, b)}\n`).join('')}`);
    }
    for (const pairs of this.missing.values()) {
      err('The following indexed offsets are not found in the log.\n');
      err(pairs.map(([wanted, found]) => `Indexed offset: ${wanted}, found log offset: ${found}\n`).join(''));
    }
  }
}

export interface IndexDump {
  readonly sanityOnly: boolean;
  readonly verifyOnly: boolean;
}

const OFFSET_ENTRY_BYTES = 8;
const TIME_ENTRY_BYTES = 12;

const logBeside = (path: string): string => path.replace(/\.[a-z]+$/, '.log');

/** Reads the file; null after saying so when it has no entries, or when only its shape was to be checked. */
function entriesOf(path: string, entryBytes: number, { sanityOnly }: IndexDump): Buffer | null {
  const content = readFileSync(path);
  if (content.length < entryBytes) {
    out(`${path} is empty.\n`);
    return null;
  }
  if (!sanityOnly) return content;
  // A file made large beforehand ends in zeros.
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  const last = Math.max(0, Math.ceil(end / entryBytes) - 1) * entryBytes;
  const rises = entryBytes === OFFSET_ENTRY_BYTES ? content.readInt32BE(last) >= content.readInt32BE(0) : readI64(content, last) >= readI64(content, 0);
  if (content.length % entryBytes !== 0 || !rises)
    throw new Error(`Corrupt index found, index file (${path}) has ${content.length} bytes, or an entry that does not rise`);
  out(`${path} passed sanity check.\n`);
  return null;
}

export function dumpOffsetIndex(path: string, dump: IndexDump, faults: IndexFaults): void {
  const content = entriesOf(path, OFFSET_ENTRY_BYTES, dump);
  if (content === null) return;
  const baseOffset = Number.parseInt(basename(path), 10);
  const log = new LogFile(logBeside(path));
  try {
    for (let at = 0; at + OFFSET_ENTRY_BYTES <= content.length; at += OFFSET_ENTRY_BYTES) {
      const offset = baseOffset + content.readInt32BE(at);
      const position = content.readInt32BE(at + 4);
      // The rest of a file that was made large beforehand is zeros.
      if (offset === baseOffset && at > 0) return;
      const batch = log.batchAt(position);
      const found = batch === null ? -1 : batch.magic === 2 ? batch.lastOffset : batch.baseOffset;
      if (found !== offset) faults.note(faults.offsets, path, [offset, found]);
      if (!dump.verifyOnly) out(`offset: ${offset} position: ${position}\n`);
    }
  } finally {
    log.close();
  }
}

export function dumpTimeIndex(path: string, dump: IndexDump, faults: IndexFaults): void {
  const content = entriesOf(path, TIME_ENTRY_BYTES, dump);
  if (content === null) return;
  const baseOffset = Number.parseInt(basename(path), 10);
  const log = new LogFile(logBeside(path));
  const positions = positionsIn(path.replace(/\.timeindex$/, '.index'));
  let previous = -1;
  try {
    for (let at = 0; at + TIME_ENTRY_BYTES <= content.length; at += TIME_ENTRY_BYTES) {
      const timestamp = readI64(content, at);
      const offset = baseOffset + content.readInt32BE(at + 8);
      if (timestamp === 0 && at > 0) return;
      const found = firstReaching(log, offset, positions(offset - baseOffset));
      if (found === null || found.lastOffset !== offset) faults.note(faults.missing, path, [offset, found?.lastOffset ?? -1]);
      else if (found.maxTimestamp !== timestamp) faults.note(faults.times, path, [timestamp, found.maxTimestamp]);
      if (previous >= timestamp) faults.note(faults.order, path, [timestamp, previous]);
      if (!dump.verifyOnly) out(`timestamp: ${timestamp} offset: ${offset}\n`);
      previous = timestamp;
    }
  } finally {
    log.close();
  }
}

/** Looks up the position of the last index entry at or below a relative offset. */
function positionsIn(indexPath: string): (relative: number) => number {
  const content = existsSync(indexPath) ? readFileSync(indexPath) : Buffer.alloc(0);
  const count = Math.floor(content.length / OFFSET_ENTRY_BYTES);
  return (relative) => {
    let position = 0;
    for (let i = 0; i < count && content.readInt32BE(i * 8) <= relative; i++) position = content.readInt32BE(i * 8 + 4);
    return position;
  };
}

function firstReaching(log: LogFile, offset: number, position: number): { lastOffset: number; maxTimestamp: number } | null {
  for (const { batch } of log.batches(position)) {
    const isNew = batch.magic === 2;
    const lastOffset = isNew ? batch.lastOffset : batch.baseOffset;
    if (lastOffset >= offset) return { lastOffset, maxTimestamp: isNew ? batch.maxTimestamp : readI64(batch.buf, batch.at + 18) };
  }
  return null;
}

const TXN_ENTRY_BYTES = 34;

export function dumpTransactionIndex(path: string): void {
  const content = readFileSync(path);
  for (let at = 0; at + TXN_ENTRY_BYTES <= content.length; at += TXN_ENTRY_BYTES) {
    const [producerId, first, last, stable] = [2, 10, 18, 26].map((from) => readI64(content, at + from));
    out(`version: ${content.readInt16BE(at)} producerId: ${producerId} firstOffset: ${first} lastOffset: ${last} lastStableOffset: ${stable}\n`);
  }
}

const SNAPSHOT_HEADER_BYTES = 10;
const SNAPSHOT_ENTRY_BYTES = 46;

/** @throws Error the snapshot is damaged */
export function dumpProducerSnapshot(path: string): void {
  const content = readFileSync(path);
  if (content.length < SNAPSHOT_HEADER_BYTES || content.readInt16BE(0) !== 1)
    throw new Error(`Snapshot contained an unknown file version ${content.length < 2 ? '' : content.readInt16BE(0)}`);
  const stored = content.readUInt32BE(2);
  const computed = crc32c(content, 6);
  if (stored !== computed) throw new Error(`Snapshot is corrupt (CRC is no longer valid). Stored crc: ${stored}. Computed crc: ${computed}`);
  const count = content.readInt32BE(6);
  for (let i = 0; i < count; i++) {
    const at = SNAPSHOT_HEADER_BYTES + i * SNAPSHOT_ENTRY_BYTES;
    const [producerId, epoch, lastSequence, lastOffset] = [
      readI64(content, at),
      content.readInt16BE(at + 8),
      content.readInt32BE(at + 10),
      readI64(content, at + 14),
    ];
    const [delta, timestamp, coordinatorEpoch, txnFirst] = [
      content.readInt32BE(at + 22),
      readI64(content, at + 26),
      content.readInt32BE(at + 34),
      readI64(content, at + 38),
    ];
    const open = txnFirst < 0 ? 'OptionalLong.empty' : `OptionalLong[${txnFirst}]`;
    out(`producerId: ${producerId} producerEpoch: ${epoch} coordinatorEpoch: ${coordinatorEpoch} currentTxnFirstOffset: ${open} lastTimestamp: ${timestamp} `);
    // A producer of which only a marker is known has no sequence.
    const first = lastSequence < 0 ? -1 : (lastSequence - delta + 2 ** 31) % 2 ** 31;
    out(
      lastOffset < 0 ? '\n' : `firstSequence: ${first} lastSequence: ${lastSequence} lastOffset: ${lastOffset} offsetDelta: ${delta} timestamp: ${timestamp}\n`,
    );
  }
}
