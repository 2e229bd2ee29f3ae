/**
 * What a partition keeps beside its log: producer state, open and aborted transactions, leader epochs.
 *
 *   %020d.snapshot            producer state at that offset: at each roll, and at the end on a clean stop
 *   %020d.txnindex            aborted transactions whose marker is in the segment
 *   leader-epoch-checkpoint   epoch → first offset
 *
 * All of it can be found again in the batches: a snapshot that does not check out costs a longer replay, nothing else. After
 * a clean stop nothing is replayed: where there is no snapshot at the end there were no producers.
 */
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { type FileSystem, readWhole, replaceWhole } from '../../lib/files.ts';
import { type BatchView, batches, HEADER_BYTES } from '../../records/batch.ts';
import { readControl } from '../../records/builder.ts';
import type { SegmentInfo } from '../../wal/config.ts';
import type { Log } from '../../wal/log.ts';
import { offsetName } from '../../wal/segment.ts';
import { Slices } from '../slices.ts';
import { AbortedTxns, appendAborted, loadAborted } from './aborted.ts';
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
  /** `.txnindex` files that were written since they were last synced. */
  readonly #unsynced = new Set<string>();
  /** Up to which offset the batches were looked at, while {@link reload} is at work. */
  #foundUpTo: number | null = null;

  /**
   * Reads it from the files beside the log and from its batches.
   * @param cleanEnd where the log ended at a clean stop; 0 after any other
   * @throws StorageError
   */
  constructor(log: Log, { disk, clock, cleanEnd }: { readonly disk: FileSystem; readonly clock: Clock; readonly cleanEnd: number }) {
    this.#log = log;
    this.#disk = disk;
    this.#clock = clock;
    this.#epochs = readEpochs(disk, join(log.dir, EPOCH_FILE)).filter(({ startOffset }) => startOffset <= log.nextOffset);
    this.#load(cleanEnd);
  }

  /** While it is being found again: as far as that has come, for nobody knows yet what is open behind. */
  get lastStableOffset(): number {
    const open = this.producers.firstOpenOffset();
    const known = Math.min(this.#foundUpTo ?? this.#log.nextOffset, this.#log.nextOffset);
    return open < 0 ? known : Math.min(open, known);
  }

  // ---- leader epochs ----

  get epoch(): number {
    return this.#epochs.at(-1)?.epoch ?? 0;
  }

  /** A partition begins with epoch 0, said on disk before its first record. @throws StorageError */
  ensureEpoch(): void {
    if (this.#epochs.length > 0) return;
    const first = { epoch: 0, startOffset: this.#log.nextOffset };
    writeEpochs(this.#disk, join(this.#log.dir, EPOCH_FILE), [first]);
    this.#epochs.push(first);
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

  /** What a batch in the log says about producers and transactions; each is told of once, in order. */
  note(batch: BatchView): void {
    if (batch.producerId < 0) return;
    if (!batch.isControl) {
      this.producers.appended(batch, batch.baseOffset);
      return;
    }
    const control = batch.sizeBytes > HEADER_BYTES ? readControl(batch) : null;
    if (!control) return;
    const firstOffset = this.producers.marked(batch.producerId, batch.producerEpoch, control.coordinatorEpoch, { timestamp: batch.maxTimestamp });
    if (control.type !== 0 || firstOffset < 0) return;
    const open = this.producers.firstOpenOffset();
    const lastStableOffset = open < 0 ? batch.nextOffset : open;
    const txn: AbortedTxn = { producerId: batch.producerId, firstOffset, lastOffset: batch.baseOffset, lastStableOffset };
    this.aborted.add(txn);
    const path = `${(this.#log.segments().findLast(({ baseOffset }) => baseOffset <= txn.lastOffset) as SegmentInfo).path}.txnindex`;
    appendAborted(this.#disk, path, txn);
    this.#unsynced.add(path);
  }

  /**
   * Writes down the producers as of an offset, also when there are none, so that nobody need look for them before it. Nobody
   * replays what is before a snapshot, so the aborted transactions from there must be durable first. The snapshot itself may
   * be lost: the one before it serves.
   * @throws StorageError
   */
  snapshot(offset: number): void {
    // Half of it would be worse than the snapshot before.
    if (this.#foundUpTo !== null) return;
    this.#syncAborted();
    const path = this.#log.path(`${offsetName(offset)}.snapshot`);
    const fd = this.#disk.open(path, 'create');
    try {
      const content = this.producers.encode();
      this.#disk.truncate(fd, content.length);
      this.#disk.write(fd, content, 0);
    } finally {
      this.#disk.close(fd);
    }
    this.#dropOldSnapshots();
  }

  /** The same for a clean stop: durable, and none where there are no producers. @throws StorageError */
  snapshotAtEnd(): void {
    this.#syncAborted();
    if (this.producers.size > 0) replaceWhole(this.#disk, this.#log.path(`${offsetName(this.#log.nextOffset)}.snapshot`), this.producers.encode());
  }

  #syncAborted(): void {
    if (this.#unsynced.size === 0) return;
    for (const path of this.#unsynced) {
      // Retention may have removed the segment meanwhile.
      if (!this.#disk.stat(path)) continue;
      const fd = this.#disk.open(path, 'update');
      try {
        this.#disk.sync(fd);
      } finally {
        this.#disk.close(fd);
      }
    }
    this.#disk.syncDir(this.#log.dir);
    this.#unsynced.clear();
  }

  /** The two newest serve; older ones only cost space. */
  #dropOldSnapshots(): void {
    for (const name of snapshotsOf(this.#disk.readdir(this.#log.dir)).slice(0, -2)) this.#disk.unlink(this.#log.path(name));
  }

  /**
   * After the log was cut: forgets what the lost records said. Up to a segment is looked at, in slices; meanwhile nothing may
   * be appended, and what is not known yet counts as not stable.
   * @throws StorageError
   */
  async reload(): Promise<void> {
    const slices = new Slices(this.#clock);
    this.producers.clear();
    this.#foundUpTo = this.#log.logStartOffset;
    const from = this.#loadKnown(0);
    for (const upTo of this.#replay(from)) {
      this.#foundUpTo = upTo;
      if (slices.over) await slices.breathe();
    }
    this.producers.expire(this.#clock.now() - PRODUCER_EXPIRY_MS);
    this.#foundUpTo = null;
  }

  /** Producer state: the newest snapshot that is sound, then the headers of all batches behind it. */
  #load(cleanEnd: number): void {
    for (const upTo of this.#replay(this.#loadKnown(cleanEnd))) this.#foundUpTo = upTo;
    this.#foundUpTo = null;
    this.producers.expire(this.#clock.now() - PRODUCER_EXPIRY_MS);
  }

  /** What the files beside the log say. @returns the offset from which on batches must be replayed */
  #loadKnown(cleanEnd: number): number {
    const names = this.#disk.readdir(this.#log.dir);
    const from = this.#loadSnapshot(names, cleanEnd);
    this.aborted.dropFrom(0);
    const indexed = new Set(names.filter((name) => name.endsWith('.txnindex')).map((name) => Number.parseInt(name, 10)));
    for (const { path, baseOffset, nextOffset } of indexed.size > 0 ? this.#log.segments() : []) {
      if (!indexed.has(baseOffset)) continue;
      const known = loadAborted(this.#disk, `${path}.txnindex`, { from: baseOffset, to: Math.min(nextOffset, from) });
      for (const txn of known) this.aborted.add(txn);
    }
    return from;
  }

  /** @returns the offset from which on batches must be replayed */
  #loadSnapshot(names: readonly string[], cleanEnd: number): number {
    if (cleanEnd > 0 && !names.includes(`${offsetName(cleanEnd)}.snapshot`)) return Math.max(this.#log.logStartOffset, cleanEnd);
    for (const name of snapshotsOf(names).reverse()) {
      const offset = Number.parseInt(name, 10);
      const usable = offset <= this.#log.nextOffset && this.producers.decode(readWhole(this.#disk, this.#log.path(name)) ?? EMPTY);
      if (usable) return Math.max(this.#log.logStartOffset, offset);
      this.#disk.unlink(this.#log.path(name));
    }
    return this.#log.logStartOffset;
  }

  /** Tells of the batches from an offset on, a piece at a time; yields how far it has come. */
  *#replay(from: number): Generator<number> {
    for (let offset = from; offset < this.#log.nextOffset; ) {
      // Retention may have moved the start between two pieces.
      const chunk = this.#log.read(Math.max(offset, this.#log.logStartOffset), REPLAY_BYTES);
      if (!chunk || chunk.bytes.length === 0) return;
      for (const batch of batches(chunk.bytes)) if (batch.magic === 2 && batch.baseOffset >= from) this.note(batch);
      offset = chunk.nextOffset;
      yield offset;
    }
  }
}

/** Snapshot files in a listing, oldest first. */
function snapshotsOf(names: readonly string[]): string[] {
  return names.filter((name) => /^\d{20}\.snapshot$/.test(name)).sort();
}
