/**
 * The log behind coordinator/metadata.ts: one small log of batches in `millrace.metadata/` of the first data directory.
 *
 *   DIR/%020d.log …      batches of records, key and value as metadata.ts describes; the last value of a key counts
 *
 * When it is safe: `durable` resolves after fdatasync. It grows by one record per change and is rewritten at start when
 * most of it is outdated: the live records go into a fresh segment behind the old ones, are synced, and only then the old
 * segments are deleted; a crash in between leaves both, and replaying both gives the same state.
 *
 * After a failed sync the log is cut back to what is durable, and what was appended since (memory has applied it) is
 * written again: at once, and when that fails too, with the next change.
 */
import type { Clock } from '../../lib/clock.ts';
import { type FileSystem, StorageError } from '../../lib/files.ts';
import { batches } from '../../records/batch.ts';
import { BatchBuilder } from '../../records/builder.ts';
import { RecordCursor } from '../../records/cursor.ts';
import { Log } from '../../wal/log.ts';
import type { Damage } from '../../wal/recover.ts';
import type { StateLog } from './host.ts';
import type { StateRecord } from './machine.ts';

const REPLAY_BYTES = 1_048_576;
/** Rewritten at start when it holds this many records more than keys. */
const OUTDATED_RECORDS = 10_000;

export interface MetadataLogOptions {
  readonly dir: string;
  readonly disk: FileSystem;
  readonly clock: Clock;
  readonly onDamage: (damage: Damage) => void;
}

export class MetadataLog implements StateLog<StateRecord> {
  readonly #options: MetadataLogOptions;
  #log: Log | undefined;
  /** Batches not known to be durable, oldest first, and how often the log had been cut back when each was written. */
  #tail: { readonly bytes: Buffer; readonly end: number; readonly cuts: number }[] = [];
  #cuts = 0;
  #healing: Promise<void> | null = null;

  constructor(options: MetadataLogOptions) {
    this.#options = options;
  }

  open(clean: boolean): void {
    this.#log = Log.open({ ...this.#options, clean });
  }

  get #open(): Log {
    if (!this.#log) throw new Error('the metadata log is not open');
    return this.#log;
  }

  append(records: readonly StateRecord[]): number[] {
    const now = this.#options.clock.now();
    const builder = new BatchBuilder();
    for (const { key, value } of records) builder.append(key, value, now);
    // A disk that refused before is asked again; whoever comes next finds out.
    if (this.#open.failure) this.#heal().catch(() => {});
    this.#restore();
    const bytes = builder.finish();
    const { firstOffset, lastOffset } = this.#open.append(bytes);
    this.#tail.push({ bytes, end: lastOffset + 1, cuts: this.#cuts });
    return records.map((_, i) => firstOffset + i);
  }

  async durable(): Promise<void> {
    try {
      await this.#sync();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      await this.#heal();
      await this.#sync();
    }
  }

  async #sync(): Promise<void> {
    this.#restore();
    const upTo = this.#open.nextOffset;
    await this.#open.sync();
    this.#tail = this.#tail.filter(({ end }) => end > upTo);
  }

  /** Writes again what a failed sync took. @throws StorageError */
  #restore(): void {
    for (const [i, { bytes, cuts }] of this.#tail.entries()) {
      if (cuts !== this.#cuts) this.#tail[i] = { bytes, end: this.#open.append(bytes).lastOffset + 1, cuts: this.#cuts };
    }
  }

  /** Cuts the log back to what is durable. @throws StorageError */
  #heal(): Promise<void> {
    this.#healing ??= this.#healNow().finally(() => {
      this.#healing = null;
    });
    return this.#healing;
  }

  async #healNow(): Promise<void> {
    if (!this.#open.failure) return;
    await this.#open.heal();
    this.#cuts++;
  }

  /** Tells every record, oldest first. */
  replay(tell: (record: StateRecord) => void): void {
    const log = this.#open;
    const live = new Map<string, StateRecord>();
    let count = 0;
    for (let offset = log.logStartOffset; offset < log.nextOffset; ) {
      const chunk = log.read(offset, REPLAY_BYTES);
      if (!chunk || chunk.bytes.length === 0) break;
      for (const batch of batches(chunk.bytes)) {
        const cursor = new RecordCursor(batch);
        for (; cursor.next(); count++) {
          const record = { owner: '', key: Buffer.from(cursor.key() as Buffer), value: cursor.valueLength < 0 ? null : Buffer.from(cursor.value() as Buffer) };
          live.set(record.key.toString('latin1'), record);
          tell(record);
        }
      }
      offset = chunk.nextOffset;
    }
    const kept = [...live.values()].filter(({ value }) => value !== null);
    if (count - kept.length > OUTDATED_RECORDS) this.#rewrite(kept);
  }

  #rewrite(kept: readonly StateRecord[]): void {
    const log = this.#open;
    log.roll();
    const from = log.nextOffset;
    if (kept.length > 0) this.append(kept);
    log.sync().then(
      () => log.deleteBefore(from),
      () => {},
    );
  }

  async close(): Promise<void> {
    await this.#log?.close({ clean: true });
  }
}
