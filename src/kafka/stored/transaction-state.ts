/**
 * Records of __transaction_state: one per change of a transactional id, in Kafka's own format
 * (`transaction-coordinator/src/main/resources/common/message/TransactionLog*.json`); a null value is a tombstone.
 * We write version 0 and read version 1 too, whose tagged fields (client transaction version, neighbouring producer ids)
 * are for "transactions v2" and are skipped.
 */
import { decodeMessage, encodeMessage } from '../compile.ts';
import type { Decoded, Draft } from '../schema.ts';
import { array, int8, int16, int32, int64, message, string } from '../schema.ts';

const TransactionLogKey = message('TransactionLogKey', { versions: '0' }, { transactionalId: string() });

const TransactionLogValue = message(
  'TransactionLogValue',
  { versions: '0-1', flexible: '1+' },
  {
    producerId: int64(),
    producerEpoch: int16(),
    transactionTimeoutMs: int32(),
    transactionStatus: int8(),
    transactionPartitions: array({ topic: string(), partitionIds: array(int32()) }).nullable(),
    transactionLastUpdateTimestampMs: int64(),
    transactionStartTimestampMs: int64(),
  },
);

/** Index = the stored byte, value = the name that DescribeTransactions shows. */
export const TRANSACTION_STATES = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
] as const;
export type TransactionStateName = (typeof TRANSACTION_STATES)[number];

export type TransactionValue = Decoded<(typeof TransactionLogValue)['fields']>;

export function encodeTransactionKey(transactionalId: string): Buffer {
  return encodeMessage(TransactionLogKey, 0, { transactionalId });
}

/** The transactional id. @throws ProtocolError if the key is cut short or of another version */
export function decodeTransactionKey(key: Buffer): string {
  return decodeMessage(TransactionLogKey, key).transactionalId;
}

export function encodeTransactionValue(value: Draft<(typeof TransactionLogValue)['fields']>): Buffer {
  return encodeMessage(TransactionLogValue, 0, value);
}

export function decodeTransactionValue(value: Buffer): TransactionValue & { readonly version: number } {
  return decodeMessage(TransactionLogValue, value);
}
