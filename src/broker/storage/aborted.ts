/**
 * The aborted transactions of a partition, so that a reader of committed data can skip theirs (KIP-98). In memory sorted
 * by marker; on disk appended to the `.txnindex` of the segment that holds the marker:
 *
 *     i16 version=0 · i64 producerId · i64 firstOffset · i64 lastOffset (of the marker) · i64 lastStableOffset     34 bytes
 *
 * Written before the marker's batch is acknowledged, synced with the next producer snapshot: at start the entries of
 * markers behind the snapshot are thrown away, for they may be torn, and found again in the replayed batches.
 */

import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { type FileSystem, readWhole, replaceWhole } from '../../lib/files.ts';
import type { AbortedTxn } from './producers.ts';

export const TXN_ENTRY_BYTES = 34;

export function encodeAborted(txn: AbortedTxn): Buffer {
  const out = new ByteWriter(TXN_ENTRY_BYTES);
  out.i16(0);
  out.i64(txn.producerId);
  out.i64(txn.firstOffset);
  out.i64(txn.lastOffset);
  out.i64(txn.lastStableOffset);
  return out.finish();
}

/** Whole entries of a `.txnindex`; stops at the first of another version. */
export function decodeAborted(bytes: Buffer): AbortedTxn[] {
  const reader = new ByteReader(bytes);
  const out: AbortedTxn[] = [];
  while (reader.remaining >= TXN_ENTRY_BYTES) {
    if (reader.i16() !== 0) break;
    out.push({ producerId: reader.i64(), firstOffset: reader.i64(), lastOffset: reader.i64(), lastStableOffset: reader.i64() });
  }
  return out;
}

/** Appends an entry to the file of a segment, made when absent. */
export function appendAborted(disk: FileSystem, path: string, txn: AbortedTxn): void {
  const fd = disk.open(path, 'create');
  try {
    const size = disk.size(fd);
    disk.write(fd, encodeAborted(txn), size - (size % TXN_ENTRY_BYTES));
  } finally {
    disk.close(fd);
  }
}

/**
 * Reads the file of a segment that holds offsets [from, to) and drops what cannot be true from it.
 * @returns the entries, oldest marker first
 */
export function loadAborted(disk: FileSystem, path: string, { from, to }: { readonly from: number; readonly to: number }): AbortedTxn[] {
  const bytes = readWhole(disk, path);
  if (bytes === null) return [];
  let last = from - 1;
  const entries = decodeAborted(bytes).filter((txn) => {
    const good = txn.lastOffset > last && txn.lastOffset < to && txn.firstOffset < txn.lastOffset;
    if (good) last = txn.lastOffset;
    return good;
  });
  if (entries.length * TXN_ENTRY_BYTES !== bytes.length) replaceWhole(disk, path, Buffer.concat(entries.map(encodeAborted)));
  return entries;
}

/** What a partition knows of aborted transactions, oldest marker first. */
export class AbortedTxns {
  #all: AbortedTxn[] = [];

  /** Takes one whose marker is behind those of all others. */
  add(txn: AbortedTxn): void {
    this.#all.push(txn);
  }

  /** Those whose data or marker may lie in [from, to), by first offset. */
  within(from: number, to: number): AbortedTxn[] {
    if (this.#all.length === 0) return [];
    return this.#all.filter((txn) => txn.lastOffset >= from && txn.firstOffset < to).sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /** Forgets what ended below the start of the log. */
  dropBelow(logStartOffset: number): void {
    if (this.#all.length > 0) this.#all = this.#all.filter((txn) => txn.lastOffset >= logStartOffset);
  }

  /** Forgets what ended at or above an offset, when the log was cut there. */
  dropFrom(offset: number): void {
    this.#all = this.#all.filter((txn) => txn.lastOffset < offset);
  }
}
