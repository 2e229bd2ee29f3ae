/**
 * What a compaction may conclude from transactions while it walks over a log in order of offsets (Kafka's
 * CleanedTransactionMetadata): batches of aborted ones go; a marker may go once no batch of its transaction is left,
 * because then nobody reads anything that it is about.
 */
import type { BatchView } from '../../records/batch.ts';
import { CONTROL_ABORT, readControl } from '../../records/builder.ts';
import type { AbortedTxn } from './producers.ts';

interface Ongoing {
  readonly txn: AbortedTxn;
  /** A batch of it is still in the log. */
  seen: boolean;
}

export class CleanedTransactions {
  /** By first offset, those not yet reached at the end. */
  readonly #ahead: AbortedTxn[];
  readonly #aborted = new Map<number, Ongoing>();
  /** Producers with a batch of a committed transaction since their last marker. */
  readonly #committed = new Set<number>();

  /** @param aborted transactions with anything in the range to walk over */
  constructor(aborted: readonly AbortedTxn[]) {
    this.#ahead = [...aborted].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  /** Tells of a data batch; true when it belongs to an aborted transaction. */
  data(batch: BatchView): boolean {
    this.#reach(batch.lastOffset);
    if (!batch.isTransactional) return false;
    const ongoing = this.#aborted.get(batch.producerId);
    if (ongoing) ongoing.seen = true;
    else this.#committed.add(batch.producerId);
    return ongoing !== undefined;
  }

  /**
   * Tells of a control batch.
   * @returns whether it may go, and the aborted transaction that must stay known, if it ended one of which something is left
   */
  marker(batch: BatchView): { readonly mayGo: boolean; readonly known: AbortedTxn | null } {
    this.#reach(batch.lastOffset);
    const control = batch.count === 0 ? null : readControl(batch);
    // Emptied by an earlier compaction, which means that its whole transaction was gone.
    if (!control) return { mayGo: true, known: null };
    if (control.type !== CONTROL_ABORT) return { mayGo: !this.#committed.delete(batch.producerId), known: null };
    const ongoing = this.#aborted.get(batch.producerId);
    this.#aborted.delete(batch.producerId);
    return ongoing?.seen ? { mayGo: false, known: ongoing.txn } : { mayGo: true, known: null };
  }

  #reach(offset: number): void {
    for (let next = this.#ahead.at(-1); next && next.firstOffset <= offset; next = this.#ahead.at(-1)) {
      this.#aborted.set(next.producerId, { txn: next, seen: false });
      this.#ahead.pop();
    }
  }
}
