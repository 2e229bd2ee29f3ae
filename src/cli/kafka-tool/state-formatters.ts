/**
 * Records of __consumer_offsets and __transaction_state as text: JSON as in 3.9 (objects without a line break in between)
 * and the older forms under their old class names. Records of other kinds are passed over.
 */

import type { Message } from '../../kafka/schema.ts';
import { within } from '../../kafka/schema.ts';
import {
  consumerOffsetsMessages,
  decodeGroupValue,
  decodeOffsetsKey,
  decodeOffsetValue,
  type GroupValue,
  type OffsetValue,
} from '../../kafka/stored/consumer-offsets.ts';
import { decodeTransactionKey, decodeTransactionValue, TRANSACTION_STATES, type TransactionValue } from '../../kafka/stored/transaction-state.ts';
import type { Formatter } from './message-formatters.ts';

/** JSON with int64 in full; bytes as base64, as Kafka's JSON converters write them. */
export function stateJson(value: unknown): string {
  if (Buffer.isBuffer(value)) return JSON.stringify(value.toString('base64'));
  if (Array.isArray(value)) return `[${value.map(stateJson).join(',')}]`;
  if (typeof value === 'number' && Math.abs(value) >= 2 ** 63) return value > 0 ? '9223372036854775807' : '-9223372036854775808';
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .filter(([name]) => name !== 'version')
    .map(([name, one]) => `${JSON.stringify(name)}:${stateJson(one)}`)
    .join(',')}}`;
}

/** Only the fields that a stored version has: what is absent was not there to be shown. */
export function fieldsIn(message: Message, version: number, value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(message.fields)) {
    if (!within(field.spec.versions, version)) continue;
    const inner = field.spec.kind === 'array' ? field.spec.element?.spec.fields : undefined;
    const one = value[name];
    out[name] =
      inner !== undefined && Array.isArray(one) ? one.map((item) => fieldsIn({ ...message, fields: inner }, version, item as Record<string, unknown>)) : one;
  }
  return out;
}

function versioned(version: number, data: unknown): string {
  return `{"version":${version},"data":${stateJson(data)}}`;
}

/** `{"version":…,"data":{…}}` of an offset or group record; null for other kinds. */
export function offsetsRecordJson(key: Buffer, value: Buffer | null): { key: string; value: string; kind: 'offset' | 'group' } | null {
  const decoded = decodeOffsetsKey(key);
  const { OffsetCommitValue, GroupMetadataValue } = consumerOffsetsMessages;
  if (decoded.kind === 'offset') {
    const { group, topic, partition } = decoded;
    const offset = value === null ? null : decodeOffsetValue(value);
    return {
      kind: 'offset',
      key: versioned(key.readInt16BE(), { group, topic, partition }),
      value: offset === null ? 'null' : versioned(offset.version, fieldsIn(OffsetCommitValue as unknown as Message, offset.version, offset)),
    };
  }
  if (decoded.kind === 'other') return null;
  const group = value === null ? null : decodeGroupValue(value);
  return {
    kind: 'group',
    key: versioned(key.readInt16BE(), { group: decoded.group }),
    value: group === null ? 'null' : versioned(group.version, fieldsIn(GroupMetadataValue as unknown as Message, group.version, group)),
  };
}

/** A record of __transaction_state. */
export function transactionRecordJson(key: Buffer, value: Buffer | null): { key: string; value: string } {
  const transactionalId = decodeTransactionKey(key);
  const decoded = value === null ? null : decodeTransactionValue(value);
  return { key: versioned(key.readInt16BE(), { transactionalId }), value: decoded === null ? 'null' : versioned(decoded.version, decoded) };
}

function jsonFormatter(kind: 'offset' | 'group'): Formatter {
  return (_, cursor, to) => {
    const key = cursor.key();
    const shown = key === null ? null : offsetsRecordJson(key, cursor.value());
    if (shown?.kind === kind) to.text(`{"key":${shown.key},"value":${shown.value}}`);
  };
}

const transactionFormatter: Formatter = (_, cursor, to) => {
  const key = cursor.key();
  if (key === null) return;
  const shown = transactionRecordJson(key, cursor.value());
  to.text(`{"key":${shown.key},"value":${shown.value}}`);
};

function offsetText(value: OffsetValue): string {
  const epoch = value.leaderEpoch < 0 ? 'Optional.empty' : `Optional[${value.leaderEpoch}]`;
  const expires = value.expireTimestamp < 0 ? 'None' : `Some(${value.expireTimestamp})`;
  return `OffsetAndMetadata(offset=${value.offset}, leaderEpoch=${epoch}, metadata=${value.metadata}, commitTimestamp=${value.commitTimestamp}, expireTimestamp=${expires})`;
}

const oldOffsets: Formatter = (_, cursor, to) => {
  const key = cursor.key();
  const decoded = key === null ? null : decodeOffsetsKey(key);
  if (decoded?.kind !== 'offset') return;
  const value = cursor.value();
  to.text(`[${decoded.group},${decoded.topic},${decoded.partition}]::${value === null ? 'NULL' : offsetText(decodeOffsetValue(value))}\n`);
};

function groupText(group: string, value: GroupValue): string {
  const state = value.members.length === 0 ? 'Empty' : 'Stable';
  const members = value.members.map(
    (m) =>
      `${m.memberId} -> MemberMetadata(memberId=${m.memberId}, groupInstanceId=${m.groupInstanceId === null ? 'None' : `Some(${m.groupInstanceId})`}, clientId=${m.clientId}, clientHost=${m.clientHost}, sessionTimeoutMs=${m.sessionTimeout}, rebalanceTimeoutMs=${m.rebalanceTimeout}, supportedProtocols=List(${value.protocol ?? ''}))`,
  );
  return `GroupMetadata(groupId=${group}, generation=${value.generation}, protocolType=Some(${value.protocolType}), currentState=${state}, members=Map(${members.join(', ')}))`;
}

const oldGroups: Formatter = (_, cursor, to) => {
  const key = cursor.key();
  const decoded = key === null ? null : decodeOffsetsKey(key);
  if (decoded?.kind !== 'group') return;
  const value = cursor.value();
  to.text(`${decoded.group}::${value === null ? 'NULL' : groupText(decoded.group, decodeGroupValue(value))}\n`);
};

function transactionText(id: string, value: TransactionValue): string {
  const partitions = (value.transactionPartitions ?? []).flatMap(({ topic, partitionIds }) => partitionIds.map((partition) => `${topic}-${partition}`));
  return (
    `TransactionMetadata(transactionalId=${id}, producerId=${value.producerId}, producerEpoch=${value.producerEpoch}, txnTimeoutMs=${value.transactionTimeoutMs}, ` +
    `state=${TRANSACTION_STATES[value.transactionStatus]}, pendingState=None, topicPartitions=HashSet(${partitions.join(', ')}), ` +
    `txnStartTimestamp=${value.transactionStartTimestampMs}, txnLastUpdateTimestamp=${value.transactionLastUpdateTimestampMs})`
  );
}

const oldTransactions: Formatter = (_, cursor, to) => {
  const key = cursor.key();
  if (key === null) return;
  const id = decodeTransactionKey(key);
  const value = cursor.value();
  to.text(`${id}::${value === null ? 'NULL' : transactionText(id, decodeTransactionValue(value))}\n`);
};

/** By class name without package; "(old)" under the names from before 3.9. */
export const stateFormatters: Readonly<Record<string, Formatter>> = {
  OffsetsMessageFormatter: jsonFormatter('offset'),
  GroupMetadataMessageFormatter: jsonFormatter('group'),
  TransactionLogMessageFormatter: transactionFormatter,
  'OffsetsMessageFormatter (old)': oldOffsets,
  'GroupMetadataMessageFormatter (old)': oldGroups,
  'TransactionLogMessageFormatter (old)': oldTransactions,
};
