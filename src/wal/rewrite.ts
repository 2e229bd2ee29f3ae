/**
 * Replacing closed segments by one new segment with fewer records: what compaction does to a log. Kafka's steps, each safe
 * to be cut off: write NNN.log.cleaned and its indexes, fsync; rename them to .swap, which decides; remove the old
 * segments; rename to the final names. tidyDirectory (recover.ts) undoes before and finishes after the decision.
 */
import type { Workshop } from './recover.ts';
import { SEGMENT_ENDINGS, Segment } from './segment.ts';

export class SegmentRewrite {
  readonly #shop: Workshop;
  readonly #sources: readonly Segment[];
  readonly #swapIn: (replacement: Segment, doomed: readonly string[]) => void;
  readonly #target: Segment;
  #done = false;

  /** @param swapIn takes the new segment into the log, and the old files (renamed already) to erase */
  constructor(shop: Workshop, sources: readonly Segment[], swapIn: (replacement: Segment, doomed: readonly string[]) => void) {
    this.#shop = shop;
    this.#sources = sources;
    this.#swapIn = swapIn;
    const { disk, dir } = shop;
    const baseOffset = (sources[0] as Segment).baseOffset;
    this.#target = new Segment(disk, { dir, baseOffset, suffix: '.cleaned' }, { sizeBytes: 0, createdMs: shop.now() });
    for (const ending of SEGMENT_ENDINGS) if (disk.stat(this.#target.file(ending))) disk.unlink(this.#target.file(ending));
    this.#target.openForAppend();
  }

  get sizeBytes(): number {
    return this.#target.sizeBytes;
  }

  /** Where the owner may write the new `.txnindex`, before {@link commit}. */
  get txnindexPath(): string {
    return this.#target.file('.txnindex');
  }

  /** Adds batches as they are, offsets and all; offsets must rise. @throws StorageError; then {@link abort} */
  append(batches: Buffer): void {
    this.#target.append(batches, this.#shop.indexIntervalBytes);
  }

  /** Brings what was appended to the device without blocking, so that {@link commit} need not wait for it. @throws StorageError (rejection) */
  async settle(): Promise<void> {
    if (!this.#done) await this.#target.datasync();
  }

  /** Puts the new segment in the place of the old ones. @throws StorageError: the old ones stay, or the next open finishes */
  commit(): void {
    if (this.#done) return;
    const { disk, dir } = this.#shop;
    const [first] = this.#sources;
    const modifiedMs = Math.max(...this.#sources.map((segment) => disk.stat(segment.file('.log'))?.modifiedMs ?? 0));
    this.#target.finish('durable');
    this.#target.sync();
    const txnindex = disk.stat(this.txnindexPath) !== null;
    this.#done = true;
    const { sizeBytes } = this.#target;
    // The log goes last: only a `.log.swap` decides.
    for (const ending of ['.index', '.timeindex', '.txnindex', '.log'] as const) {
      if (ending === '.txnindex' && !txnindex) continue;
      disk.rename(this.#target.file(ending), this.#target.path + ending + '.swap');
    }
    disk.syncDir(dir);
    this.#target.close();
    const doomed = this.#sources.flatMap((segment) => this.#setAside(segment));
    for (const ending of ['.index', '.timeindex', '.txnindex', '.log'] as const) {
      if (ending === '.txnindex' && !txnindex) continue;
      disk.rename(this.#target.path + ending + '.swap', this.#target.path + ending);
    }
    disk.syncDir(dir);
    const path = (first as Segment).file('.log');
    disk.setModified(path, modifiedMs);
    const replacement = new Segment(disk, { dir, baseOffset: this.#target.baseOffset }, { sizeBytes, createdMs: this.#shop.now() });
    this.#swapIn(replacement, doomed);
  }

  /**
   * Old files get names that no longer count, so that the log can erase them in the background: freeing a large one takes the
   * kernel long. Producer snapshots stay, they are about offsets and not about bytes.
   */
  #setAside(segment: Segment): string[] {
    const { disk } = this.#shop;
    segment.close();
    const out: string[] = [];
    for (const ending of ['.log', '.index', '.timeindex', '.txnindex'] as const) {
      const from = segment.file(ending);
      if (!disk.stat(from)) continue;
      disk.rename(from, `${from}.deleted`);
      out.push(`${from}.deleted`);
    }
    return out;
  }

  /** Gives up; the old segments were never touched. */
  abort(): void {
    if (this.#done) return;
    this.#done = true;
    this.#target.close();
    for (const ending of SEGMENT_ENDINGS) if (this.#shop.disk.stat(this.#target.file(ending))) this.#shop.disk.unlink(this.#target.file(ending));
  }
}
