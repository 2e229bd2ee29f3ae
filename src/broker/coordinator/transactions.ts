/**
 * Transactions (KIP-98, fencing by KIP-360 and KIP-447), as one state machine over the records of __transaction_state.
 *
 *     Empty ──add──> Ongoing ──end──> PrepareCommit ──markers written──> CompleteCommit ──add──> Ongoing …
 *                       └──end, timeout, fenced──> PrepareAbort ──────> CompleteAbort
 *
 * A Prepare record is the decision: once it is durable the transaction ends that way, also after a crash. Markers go into
 * every partition as an effect; the host writes them and then sends `markers-written`. Until then callers are told to
 * come back (CONCURRENT_TRANSACTIONS), which is rare: the host waits for the markers before it answers EndTxn.
 */
import type { DescribeTransactions } from '../../kafka/apis/describe-transactions.ts';
import type { ListTransactions } from '../../kafka/apis/list-transactions.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import type { RequestOf, ResponseDraft } from '../../kafka/schema.ts';
import {
  decodeTransactionKey,
  decodeTransactionValue,
  encodeTransactionKey,
  encodeTransactionValue,
  TRANSACTION_STATES,
  type TransactionStateName,
} from '../../kafka/stored/transaction-state.ts';
import { Agenda } from './agenda.ts';
import type { Decision, Machine, StateRecord } from './machine.ts';

export interface TransactionRules {
  /** transaction.max.timeout.ms */
  readonly maxTimeoutMs: number;
  /** transactional.id.expiration.ms */
  readonly idExpirationMs: number;
}

/** Who asks on behalf of a transactional id. */
export interface Producer {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly epoch: number;
}

export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export type TransactionCommand =
  /** `producerId`, `epoch`: what the client had, or -1. `freshId`: an id nobody has, used if one is needed. */
  | ({ readonly kind: 'init'; readonly timeoutMs: number; readonly freshId: number } & Producer)
  | ({ readonly kind: 'add'; readonly topics: readonly TopicPartitions[] } & Producer)
  | ({ readonly kind: 'end'; readonly commit: boolean } & Producer)
  | { readonly kind: 'markers-written'; readonly transactionalId: string }
  | { readonly kind: 'tick' };

export interface TransactionReply {
  /** For clients of old versions see {@link fencedCode}. */
  readonly errorCode: number;
  /** init: the pair to produce with; -1 on errors. */
  readonly producerId?: number;
  readonly epoch?: number;
}

/** Markers to be written into every partition. */
export interface EndMarkers {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly epoch: number;
  readonly commit: boolean;
  readonly topics: readonly TopicPartitions[];
}

interface Transaction {
  readonly transactionalId: string;
  producerId: number;
  epoch: number;
  /** The pair before the last bump, with which a client may still repeat its InitProducerId; -1 if there is none. */
  lastProducerId: number;
  lastEpoch: number;
  timeoutMs: number;
  state: TransactionStateName;
  topics: Map<string, Set<number>>;
  updatedAt: number;
  /** -1 while none was started. */
  startedAt: number;
}

type Change = Partial<Omit<Transaction, 'transactionalId'>>;
type TransactionDecision = Decision<TransactionReply, StateRecord, EndMarkers>;

/** The highest epoch a client gets; the next one is kept for fencing it (Short.MAX_VALUE - 1). */
const LAST_EPOCH = 32_766;
const NOTHING_OPEN: ReadonlySet<TransactionStateName> = new Set(['Empty', 'CompleteCommit', 'CompleteAbort']);

/** Clients of old versions know PRODUCER_FENCED by its former name. */
export function fencedCode(errorCode: number, knowsFenced: boolean): number {
  return errorCode === ErrorCode.PRODUCER_FENCED && !knowsFenced ? ErrorCode.INVALID_PRODUCER_EPOCH : errorCode;
}

export class Transactions implements Machine<TransactionCommand, TransactionReply, StateRecord, EndMarkers> {
  readonly #rules: TransactionRules;
  readonly #transactions = new Map<string, Transaction>();
  readonly #agenda = new Agenda();

  constructor(rules: TransactionRules) {
    this.#rules = rules;
  }

  /** After the replay. Returns the transactions that were decided but not carried out: write their markers, then send `markers-written`. */
  loaded(): EndMarkers[] {
    const open: EndMarkers[] = [];
    for (const transaction of this.#transactions.values()) {
      const { state } = transaction;
      if (state === 'PrepareCommit' || state === 'PrepareAbort') open.push(markersOf(transaction, state === 'PrepareCommit'));
    }
    return open;
  }

  nextDeadline(): number {
    return this.#agenda.next;
  }

  decide(command: TransactionCommand, now: number): TransactionDecision {
    switch (command.kind) {
      case 'init':
        return this.#init(command, now);
      case 'add':
        return this.#add(command, now);
      case 'end':
        return this.#end(command, now);
      case 'markers-written':
        return this.#complete(command.transactionalId, now);
      case 'tick':
        return this.#tick(now);
    }
  }

  #init(command: Extract<TransactionCommand, { kind: 'init' }>, now: number): TransactionDecision {
    const { transactionalId, timeoutMs, freshId } = command;
    if (transactionalId === '') return refused(ErrorCode.INVALID_REQUEST);
    if (timeoutMs <= 0 || timeoutMs > this.#rules.maxTimeoutMs) return refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT);
    const known = this.#transactions.get(transactionalId);
    if (known === undefined) {
      const fresh = { producerId: freshId, epoch: 0, timeoutMs, updatedAt: now };
      return this.#handOut({ ...newTransaction(transactionalId), ...fresh });
    }
    if (!isOwnPair(known, command)) return refused(ErrorCode.PRODUCER_FENCED);
    if (known.state === 'Ongoing') {
      if (command.epoch >= 0 && command.epoch !== known.epoch) return refused(ErrorCode.PRODUCER_FENCED);
      return { ...this.#prepare(known, { commit: false, fence: true, now }), reply: { errorCode: ErrorCode.CONCURRENT_TRANSACTIONS } };
    }
    if (!NOTHING_OPEN.has(known.state)) return refused(ErrorCode.CONCURRENT_TRANSACTIONS);
    return this.#bump(known, command, now);
  }

  /** Nothing is open: the next epoch, or a new id when epochs run out. */
  #bump(known: Transaction, { epoch, timeoutMs, freshId }: Extract<TransactionCommand, { kind: 'init' }>, now: number): TransactionDecision {
    const fresh: Change = { state: 'Empty', topics: new Map(), timeoutMs, updatedAt: now, startedAt: -1 };
    if (epoch >= 0 && epoch === known.lastEpoch && epoch !== known.epoch) return this.#handOut({ ...known, ...fresh });
    if (epoch >= 0 && epoch !== known.epoch) return refused(ErrorCode.PRODUCER_FENCED);
    const last = epoch >= 0 ? { lastProducerId: known.producerId, lastEpoch: known.epoch } : { lastProducerId: -1, lastEpoch: -1 };
    if (known.epoch >= LAST_EPOCH) return this.#handOut({ ...known, ...fresh, ...last, producerId: freshId, epoch: 0 });
    return this.#handOut({ ...known, ...fresh, ...last, epoch: known.epoch + 1 });
  }

  #handOut(next: Transaction): TransactionDecision {
    this.#remember(next);
    const { producerId, epoch } = next;
    return { records: [recordOf(next)], reply: { errorCode: ErrorCode.NONE, producerId, epoch } };
  }

  /** The former pair is not part of the stored format: what `apply` cannot know is kept here. */
  #remember({ transactionalId, lastProducerId, lastEpoch }: Transaction): void {
    this.#former.set(transactionalId, { lastProducerId, lastEpoch });
  }
  readonly #former = new Map<string, { readonly lastProducerId: number; readonly lastEpoch: number }>();

  /** 0, or why this producer may not act for its transactional id. */
  #refuse({ transactionalId, producerId, epoch }: Producer): number {
    if (transactionalId === '') return ErrorCode.INVALID_REQUEST;
    const known = this.#transactions.get(transactionalId);
    if (known === undefined || known.producerId !== producerId) return ErrorCode.INVALID_PRODUCER_ID_MAPPING;
    return known.epoch === epoch ? ErrorCode.NONE : ErrorCode.PRODUCER_FENCED;
  }

  #add(command: Extract<TransactionCommand, { kind: 'add' }>, now: number): TransactionDecision {
    const errorCode = this.#refuse(command);
    if (errorCode !== ErrorCode.NONE) return refused(errorCode);
    const known = this.#transactions.get(command.transactionalId)!;
    if (known.state !== 'Ongoing' && !NOTHING_OPEN.has(known.state)) return refused(ErrorCode.CONCURRENT_TRANSACTIONS);
    const topics = new Map(known.state === 'Ongoing' ? known.topics : []);
    let isNew = known.state !== 'Ongoing';
    for (const { topic, partitions } of command.topics) {
      const merged = new Set([...(topics.get(topic) ?? []), ...partitions]);
      isNew ||= merged.size !== (topics.get(topic)?.size ?? 0);
      topics.set(topic, merged);
    }
    if (!isNew) return refused(ErrorCode.NONE);
    const startedAt = known.state === 'Ongoing' ? known.startedAt : now;
    const next: Transaction = { ...known, state: 'Ongoing', topics, startedAt, updatedAt: now };
    return { records: [recordOf(next)], reply: { errorCode: ErrorCode.NONE } };
  }

  #end(command: Extract<TransactionCommand, { kind: 'end' }>, now: number): TransactionDecision {
    const errorCode = this.#refuse(command);
    if (errorCode !== ErrorCode.NONE) return refused(errorCode);
    const { commit } = command;
    const known = this.#transactions.get(command.transactionalId)!;
    if (known.state === 'Ongoing') return { ...this.#prepare(known, { commit, fence: false, now }), reply: { errorCode: ErrorCode.NONE } };
    if (known.state === (commit ? 'CompleteCommit' : 'CompleteAbort')) return refused(ErrorCode.NONE);
    if (known.state === (commit ? 'PrepareCommit' : 'PrepareAbort')) return refused(ErrorCode.CONCURRENT_TRANSACTIONS);
    return refused(ErrorCode.INVALID_TXN_STATE);
  }

  /** Decides how an ongoing transaction ends. Fencing raises the epoch, so that the markers shut out the old producer. */
  #prepare(known: Transaction, { commit, fence, now }: { readonly commit: boolean; readonly fence: boolean; readonly now: number }): TransactionDecision {
    const next: Transaction = { ...known, state: commit ? 'PrepareCommit' : 'PrepareAbort', epoch: fence ? known.epoch + 1 : known.epoch, updatedAt: now };
    if (fence) this.#remember({ ...next, lastProducerId: -1, lastEpoch: -1 });
    return { records: [recordOf(next)], effects: [markersOf(next, commit)] };
  }

  #complete(transactionalId: string, now: number): TransactionDecision {
    const known = this.#transactions.get(transactionalId);
    if (known?.state !== 'PrepareCommit' && known?.state !== 'PrepareAbort') return refused(ErrorCode.NONE);
    const state = known.state === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort';
    const next: Transaction = { ...known, state, topics: new Map(), updatedAt: now };
    return { records: [recordOf(next)], reply: { errorCode: ErrorCode.NONE } };
  }

  #tick(now: number): TransactionDecision {
    const records: StateRecord[] = [];
    const effects: EndMarkers[] = [];
    for (const id of this.#agenda.due(now)) {
      const known = this.#transactions.get(id);
      if (known === undefined) continue;
      if (deadlineOf(known, this.#rules) > now) this.#agenda.arm(id, deadlineOf(known, this.#rules));
      else if (known.state === 'Ongoing') {
        const { records: prepared, effects: markers } = this.#prepare(known, { commit: false, fence: true, now });
        records.push(...prepared);
        effects.push(...markers!);
      } else records.push({ owner: id, key: encodeTransactionKey(id), value: null });
    }
    return { records, effects };
  }

  /** The log refused the records of a tick: what was due stays due. */
  abandon({ records }: TransactionDecision, now: number): TransactionDecision {
    for (const { owner } of records) if (this.#transactions.has(owner)) this.#agenda.arm(owner, now + RETRY_MS);
    return { records: [] };
  }

  apply({ key, value }: StateRecord): void {
    const transactionalId = decodeTransactionKey(key);
    if (value === null) {
      this.#transactions.delete(transactionalId);
      this.#former.delete(transactionalId);
      return;
    }
    const stored = decodeTransactionValue(value);
    const transaction: Transaction = {
      ...newTransaction(transactionalId),
      ...this.#former.get(transactionalId),
      producerId: stored.producerId,
      epoch: stored.producerEpoch,
      timeoutMs: stored.transactionTimeoutMs,
      state: TRANSACTION_STATES[stored.transactionStatus] ?? 'Dead',
      topics: new Map((stored.transactionPartitions ?? []).map(({ topic, partitionIds }) => [topic, new Set(partitionIds)])),
      updatedAt: stored.transactionLastUpdateTimestampMs,
      startedAt: stored.transactionStartTimestampMs,
    };
    this.#transactions.set(transactionalId, transaction);
    this.#agenda.arm(transactionalId, deadlineOf(transaction, this.#rules));
  }

  /**
   * Whether a transactional batch may be appended to a partition: 0 or the error for the produce response.
   * (Since 3.6 a real broker checks the same: a partition has to be added first.)
   */
  verifyPartition(producer: Producer, topic: string, partition: number): number {
    const errorCode = this.#refuse(producer);
    if (errorCode !== ErrorCode.NONE) return fencedCode(errorCode, false);
    const known = this.#transactions.get(producer.transactionalId)!;
    return known.state === 'Ongoing' && known.topics.get(topic)?.has(partition) ? ErrorCode.NONE : ErrorCode.INVALID_TXN_STATE;
  }

  describe(transactionalId: string): ResponseDraft<typeof DescribeTransactions>['transactionStates'][number] {
    const known = this.#transactions.get(transactionalId);
    if (known === undefined) {
      const nothing = { transactionState: '', transactionTimeoutMs: 0, transactionStartTimeMs: 0, producerId: 0, producerEpoch: 0, topics: [] };
      return { errorCode: transactionalId === '' ? ErrorCode.INVALID_REQUEST : ErrorCode.TRANSACTIONAL_ID_NOT_FOUND, transactionalId, ...nothing };
    }
    return {
      errorCode: ErrorCode.NONE,
      transactionalId,
      transactionState: known.state,
      transactionTimeoutMs: known.timeoutMs,
      transactionStartTimeMs: known.startedAt,
      producerId: known.producerId,
      producerEpoch: known.epoch,
      topics: topicsOf(known),
    };
  }

  /** Unknown names in the filter are answered back; transactions that ran shorter than the duration are left out (-1: no limit). */
  list({ stateFilters, producerIdFilters, durationFilter }: RequestOf<typeof ListTransactions>, now: number): ResponseDraft<typeof ListTransactions> {
    const names: readonly string[] = TRANSACTION_STATES;
    const unknownStateFilters = stateFilters.filter((state) => !names.includes(state));
    const found = [...this.#transactions.values()].filter(
      ({ state, producerId, startedAt }) =>
        (stateFilters.length === 0 || stateFilters.includes(state)) &&
        (producerIdFilters.length === 0 || producerIdFilters.includes(producerId)) &&
        (durationFilter < 0 || (startedAt >= 0 && !NOTHING_OPEN.has(state) && now - startedAt > durationFilter)),
    );
    const transactionStates = found.map(({ transactionalId, producerId, state }) => ({ transactionalId, producerId, transactionState: state }));
    return { errorCode: ErrorCode.NONE, unknownStateFilters, transactionStates };
  }
}

/** Pause before a timeout is carried out that could not be stored. */
const RETRY_MS = 10_000;

function refused(errorCode: number): TransactionDecision {
  return { records: [], reply: { errorCode, producerId: -1, epoch: -1 } };
}

function newTransaction(transactionalId: string): Transaction {
  const nobody = { producerId: -1, epoch: -1, lastProducerId: -1, lastEpoch: -1 };
  return { transactionalId, ...nobody, timeoutMs: 0, state: 'Empty', topics: new Map(), updatedAt: -1, startedAt: -1 };
}

/** A pair that the client brings must be ours, or the one before an exhausted epoch was replaced (KIP-360). */
function isOwnPair(known: Transaction, { producerId, epoch }: Producer): boolean {
  return producerId < 0 || producerId === known.producerId || (producerId === known.lastProducerId && epoch >= LAST_EPOCH);
}

function deadlineOf({ state, startedAt, timeoutMs, updatedAt }: Transaction, rules: TransactionRules): number {
  if (state === 'Ongoing') return startedAt + timeoutMs;
  return NOTHING_OPEN.has(state) ? updatedAt + rules.idExpirationMs : Number.POSITIVE_INFINITY;
}

function topicsOf({ topics }: Transaction): { topic: string; partitions: number[] }[] {
  return [...topics].map(([topic, partitions]) => ({ topic, partitions: [...partitions] }));
}

function markersOf(transaction: Transaction, commit: boolean): EndMarkers {
  const { transactionalId, producerId, epoch } = transaction;
  return { transactionalId, producerId, epoch, commit, topics: topicsOf(transaction) };
}

function recordOf(transaction: Transaction): StateRecord {
  const { transactionalId, state } = transaction;
  const value = encodeTransactionValue({
    producerId: transaction.producerId,
    producerEpoch: transaction.epoch,
    transactionTimeoutMs: transaction.timeoutMs,
    transactionStatus: TRANSACTION_STATES.indexOf(state),
    transactionPartitions: state === 'Empty' ? null : topicsOf(transaction).map(({ topic, partitions }) => ({ topic, partitionIds: partitions })),
    transactionLastUpdateTimestampMs: transaction.updatedAt,
    transactionStartTimestampMs: transaction.startedAt,
  });
  return { owner: transactionalId, key: encodeTransactionKey(transactionalId), value };
}
