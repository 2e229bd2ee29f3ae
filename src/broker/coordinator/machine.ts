/**
 * What a coordinator is: a state machine that decides and applies, without clock, disk or sockets (the shape of Kafka's
 * CoordinatorResult and CoordinatorPlayback). A host appends what it decides, applies it, and only then answers:
 *
 *     command ──> decide ──> records ──> log ──> apply ──> (durable) ──> reply, wake
 *                                    replay at start ──^
 *
 * Durable state changes in `apply` alone. What need not survive a restart (who waits, who was heard of when) changes in
 * `decide`. Between the two nothing else may run: the host appends and applies in one synchronous step.
 */

/** Stands for a call that is answered later, e.g. a JoinGroup that waits for the rest of the group; given by the host. */
export type Ticket = number;

/** One record for a log of states. `owner` (group id, transactional id) says which partition it belongs to. */
export interface StateRecord {
  readonly owner: string;
  readonly key: Buffer;
  /** Null deletes the key. */
  readonly value: Buffer | null;
  /** Set if the record belongs to a transaction of this producer and counts only after its marker. */
  readonly producer?: { readonly id: number; readonly epoch: number };
}

export interface Decision<Reply, Rec = StateRecord, Effect = never> {
  /** To be stored, all or none, before anybody is answered. */
  readonly records: readonly Rec[];
  /** The answer to the command; absent if it was given by ticket or comes later. */
  readonly reply?: Reply;
  /** Answers to those who waited, this command's own caller possibly among them. */
  readonly wake?: readonly (readonly [Ticket, Reply])[];
  /** What else the host has to do once the records are durable. */
  readonly effects?: readonly Effect[];
}

export interface Machine<Command, Reply, Rec = StateRecord, Effect = never> {
  /** @param now epoch milliseconds */
  decide(command: Command, now: number): Decision<Reply, Rec, Effect>;
  /** Takes over a stored record, live and on replay; `offset` is its place in the log. */
  apply(record: Rec, offset: number): void;
  /** When the host has to send `{ kind: 'tick' }`, epoch milliseconds; Infinity if nothing is waited for. */
  nextDeadline(): number;
}

/** The partition that keeps an owner's records: Java's String.hashCode, its absolute value, modulo (Utils.abs(MIN_VALUE) = 0). */
export function partitionFor(owner: string, partitions: number): number {
  let hash = 0;
  for (let i = 0; i < owner.length; i++) hash = (Math.imul(hash, 31) + owner.charCodeAt(i)) | 0;
  return (hash === -2147483648 ? 0 : Math.abs(hash)) % partitions;
}
