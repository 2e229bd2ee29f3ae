/** A partition that a consumer has: how far it was fetched, handed out and made safe, and what lies ready. */
import type { BatchView } from '../../records/batch.ts';
import type { RecordCursor } from '../../records/cursor.ts';

/** One fetched batch, unpacked; `skip` = nothing in it for readers (control records, aborted transactions). */
export interface Ready {
  readonly view: BatchView;
  /** Plain records, where the batch was packed. */
  readonly records: Buffer | undefined;
  readonly skip: boolean;
  cursor: RecordCursor | undefined;
}

export class Assigned {
  readonly topic: string;
  readonly partition: number;
  /** For headers. */
  readonly partitionText: string;
  /** Offset of the next record to hand out; -1 = not known yet. */
  position = -1;
  /** Offset of the next batch to ask for. */
  fetchOffset = -1;
  /** Everything before it is with the reader for good, and may be committed. */
  safe = -1;
  committed = -1;
  readonly ready: Ready[] = [];
  readyBytes = 0;
  /** No longer ours: what is still under way must not be committed. */
  revoked = false;
  isFetching = false;
  /** Not fetched before this moment (monotonic ms), after an error. */
  pausedUntil = 0;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
    this.partitionText = String(partition);
  }

  /** Begins at `offset`, with nothing ready. */
  seek(offset: number): void {
    this.position = offset;
    this.fetchOffset = offset;
    this.safe = offset;
    this.committed = offset;
    this.ready.length = 0;
    this.readyBytes = 0;
  }
}
