/**
 * What a partition keeps beside its log: producer state, open and aborted transactions, leader epochs.
 *
 *   %020d.snapshot            producer state at that offset: at each roll, and at the end on a clean stop
 *   %020d.txnindex            aborted transactions whose marker is in the segment
 *   leader-epoch-checkpoint   epoch → first offset
 *
 * All of it can be found again in the batches: a snapshot that does not check out costs a longer replay, nothing else.
 */
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { type FileSystem, readWhole, replaceWhole } from '../../lib/files.ts';
import { type BatchView, batches, HEADER_BYTES } from '../../records/batch.ts';
import { readControl } from '../../records/builder.ts';
import type { Log } from '../../wal/log.ts';
import { offsetName } from '../../wal/segment.ts';
import { AbortedTxns, appendAborted, decodeAborted } from './aborted.ts';
import { type EpochStart, readEpochs, writeEpochs } from './checkpoints.ts';
import { type AbortedTxn, ProducerState } from './producers.ts';

const REPLAY_BYTES = 1_048_576;
const PRODUCER_EXPIRY_MS = 86_400_000;
const EPOCH_FILE = 'leader-epoch-checkpoint';
const EMPTY = Buffer.alloc(0);

export class PartitionState {
  readonly producers = new ProducerState();
  readonly aborted = new AbortedTxns();
  readonly #log: Log;
  readonly #disk: FileSystem;
  readonly #clock: Clock;
  readonly #epochs: EpochStart[];

  /** Reads it from the files beside the log and from its batches. @throws StorageError */
  constructor(log: Log, disk: FileSystem, clock: Clock) {
    this.#log = log;
    this.#disk = disk;
    this.#clock = clock;
    this.#epochs = readEpochs(disk, join(log.dir, EPOCH_FILE)).filter(({ startOffset }) => startOffset <= log.nextOffset);
    this.#load();
  }

  get lastStableOffset(): number {
    const open = this.producers.firstOpenOffset();
    return open < 0 ? this.#log.nextOffset : open;
  }

  // ---- leader epochs ----

  get epoch(): number {
    return this.#epochs.at(-1)?.epoch ?? 0;
  }

  /** A partition begins with epoch 0, said on disk before its first record. @throws StorageError */
  ensureEpoch(): void {
    if (this.#epochs.length > 0) return;
    this.#epochs.push({ epoch: 0, startOffset: this.#log.nextOffset });
    writeEpochs(this.#disk, join(this.#log.dir, EPOCH_FILE), this.#epochs);
  }

  /** Epoch and end offset of the largest epoch up to the asked one; -1 and -1 when it is unknown. */
  endOfEpoch(asked: number): { readonly epoch: number; readonly endOffset: number } {
    if (asked === this.epoch) return { epoch: asked, endOffset: this.#log.nextOffset };
    if (asked > this.epoch) return { epoch: -1, endOffset: -1 };
    const at = this.#epochs.findLastIndex(({ epoch }) => epoch <= asked);
    const next = this.#epochs[at + 1];
    return at < 0 || !next ? { epoch: -1, endOffset: -1 } : { epoch: (this.#epochs[at] as EpochStart).epoch, endOffset: next.startOffset };
  }

  epochOf(offset: number): number {
    return this.#epochs.findLast(({ startOffset }) => startOffset <= offset)?.epoch ?? -1;
  }

  // ---- producers and transactions ----

  /** What a batch in the log says about producers and transactions. `live`: it was just written. */
  note(batch: BatchView, live: boolean): void {
    if (batch.producerId < 0) return;
    if (!batch.isControl) {
      this.producers.appended(batch, batch.baseOffset);
      return;
    }
    const control = batch.sizeBytes > HEADER_BYTES ? readControl(batch) : null;
    if (!control) return;
    const firstOffset = this.producers.marked(batch.producerId, batch.producerEpoch, control.coordinatorEpoch, { timestamp: batch.maxTimestamp });
    if (control.type !== 0 || firstOffset < 0) return;
    const txn: AbortedTxn = { producerId: batch.producerId, firstOffset, lastOffset: batch.baseOffset, lastStableOffset: this.lastStableOffset };
    this.aborted.add(txn);
    if (live) appendAborted(this.#disk, `${(this.#log.segments().at(-1) as { path: string }).path}.txnindex`, txn);
  }

  /** Writes down the producers as of an offset. @throws StorageError */
  snapshot(offset: number): void {
    if (this.producers.size > 0) replaceWhole(this.#disk, this.#log.path(`${offsetName(offset)}.snapshot`), this.producers.encode());
    this.#dropOldSnapshots();
  }

  /** The two newest serve; older ones only cost space. */
  #dropOldSnapshots(): void {
    for (const name of this.#snapshotNames().slice(0, -2)) this.#disk.unlink(this.#log.path(name));
  }

  #snapshotNames(): string[] {
    return this.#disk
      .readdir(this.#log.dir)
      .filter((name) => /^\d{20}\.snapshot$/.test(name))
      .sort();
  }

  /** After the log was cut: forgets what the lost records said. */
  reload(): void {
    this.producers.clear();
    this.aborted.dropFrom(this.#log.nextOffset);
    this.#load();
  }

  /** Producer state: the newest snapshot that is sound, then the headers of all batches behind it. */
  #load(): void {
    for (const { path } of this.#log.segments()) {
      for (const txn of decodeAborted(readWhole(this.#disk, `${path}.txnindex`) ?? EMPTY)) if (txn.lastOffset < this.#log.nextOffset) this.aborted.add(txn);
    }
    let from = this.#log.logStartOffset;
    for (const name of this.#snapshotNames().reverse()) {
      const offset = Number.parseInt(name, 10);
      const usable = offset <= this.#log.nextOffset && this.producers.decode(readWhole(this.#disk, this.#log.path(name)) ?? EMPTY);
      if (usable) {
        from = Math.max(from, offset);
        break;
      }
      this.#disk.unlink(this.#log.path(name));
    }
    if (from < this.#log.nextOffset) this.#replay(from);
    this.producers.expire(this.#clock.now() - PRODUCER_EXPIRY_MS);
  }

  #replay(from: number): void {
    for (let offset = from; offset < this.#log.nextOffset; ) {
      const chunk = this.#log.read(offset, REPLAY_BYTES);
      if (!chunk || chunk.bytes.length === 0) return;
      for (const batch of batches(chunk.bytes)) if (batch.magic === 2 && batch.baseOffset >= from) this.note(batch, false);
      offset = chunk.nextOffset;
    }
  }
}
