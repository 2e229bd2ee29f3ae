/**
 * How kafka-dump-log shows keys and values: as text, numbers, or as what internal topics store (MessageParser and its
 * kin in kafka.tools.DumpLogSegments 3.9).
 */
import { decodeAssignment, decodeSubscription, embeddedMessages } from '../../kafka/embedded.ts';
import type { Message } from '../../kafka/schema.ts';
import { decodeConsumerGroupKey, decodeConsumerGroupValue } from '../../kafka/stored/consumer-group.ts';
import { consumerOffsetsMessages, decodeGroupValue, decodeOffsetsKey, decodeOffsetValue } from '../../kafka/stored/consumer-offsets.ts';
import { decodeTransactionKey, decodeTransactionValue, TRANSACTION_STATES } from '../../kafka/stored/transaction-state.ts';
import { type Options, UsageFault } from './options.ts';
import { fieldsIn, stateJson } from './state-formatters.ts';

export interface ShownRecord {
  readonly key: string | undefined;
  readonly payload: string | undefined;
}

export type RecordDecoder = (key: Buffer | null, value: Buffer | null, offset: number) => ShownRecord;

type Text = (bytes: Buffer) => string;

const DECODERS: Readonly<Record<string, Text>> = {
  StringDecoder: (bytes) => bytes.toString(),
  DefaultDecoder: (bytes) => bytes.toString(),
  ByteArrayDecoder: (bytes) => bytes.toString('hex'),
  IntegerDecoder: (bytes) => String(bytes.readInt32BE()),
  LongDecoder: (bytes) => String(bytes.readBigInt64BE()),
};

function decoder(className: string | undefined): Text {
  const name = (className ?? 'StringDecoder').replace(/^.*\./, '');
  const found = DECODERS[name];
  if (found === undefined) throw new UsageFault(`java.lang.ClassNotFoundException: ${className}`, { brief: true });
  return found;
}

/** @throws UsageFault unknown or unsupported decoder */
export function recordDecoder(options: Options): RecordDecoder {
  if (options.has('offsets-decoder')) return offsetsRecord;
  if (options.has('transaction-log-decoder')) return transactionRecord;
  const keyText = decoder(options.get('key-decoder-class'));
  const valueText = decoder(options.get('value-decoder-class'));
  return (key, value) => ({ key: key === null ? undefined : keyText(key), payload: value === null ? undefined : valueText(value) });
}

const typed = (type: number, data: unknown): string => `{"type":"${type}","data":${stateJson(data)}}`;
const versioned = (version: number, data: unknown): string => `{"version":"${version}","data":${stateJson(data)}}`;

const offsetsRecord: RecordDecoder = (key, value, offset) => {
  if (key === null) throw new Error('Failed to decode message using offset topic decoder (message had a missing key)');
  const decoded = decodeOffsetsKey(key);
  const type = key.readInt16BE();
  if (decoded.kind === 'other') {
    const { groupId, memberId, kind } = decodeConsumerGroupKey(key) ?? {};
    if (kind === undefined) return { key: `Unknown record type ${type} at offset ${offset}, skipping.`, payload: undefined };
    const payload = value === null ? '<DELETE>' : versioned(0, decodeConsumerGroupValue(kind, value));
    return { key: typed(type, memberId === '' ? { groupId } : { groupId, memberId }), payload };
  }
  const { OffsetCommitValue, GroupMetadataValue } = consumerOffsetsMessages;
  if (decoded.kind === 'offset') {
    const { group, topic, partition } = decoded;
    const stored = value === null ? null : decodeOffsetValue(value);
    const payload = stored === null ? '<DELETE>' : versioned(stored.version, fieldsIn(OffsetCommitValue as unknown as Message, stored.version, stored));
    return { key: typed(type, { group, topic, partition }), payload };
  }
  const stored = value === null ? null : decodeGroupValue(value);
  if (stored === null) return { key: typed(type, { group: decoded.group }), payload: '<DELETE>' };
  const isConsumer = stored.protocolType === 'consumer';
  const members = stored.members.map((member) => ({
    ...member,
    ...(isConsumer && member.subscription.length > 0 && { subscription: subscriptionFields(member.subscription) }),
    ...(isConsumer && member.assignment.length > 0 && { assignment: assignmentFields(member.assignment) }),
  }));
  const data = fieldsIn(GroupMetadataValue as unknown as Message, stored.version, { ...stored, members });
  return { key: typed(type, { group: decoded.group }), payload: versioned(stored.version, data) };
};

function subscriptionFields(bytes: Buffer): Record<string, unknown> {
  const { version, ...fields } = decodeSubscription(bytes);
  return fieldsIn(embeddedMessages.ConsumerProtocolSubscription as unknown as Message, version, fields);
}

function assignmentFields(bytes: Buffer): Record<string, unknown> {
  const { version, ...fields } = decodeAssignment(bytes);
  return fieldsIn(embeddedMessages.ConsumerProtocolAssignment as unknown as Message, version, fields);
}

const transactionRecord: RecordDecoder = (key, value) => {
  if (key === null) throw new Error('Failed to decode message using transaction topic decoder (message had a missing key)');
  const shownKey = `transaction_metadata::transactionalId=${decodeTransactionKey(key)}`;
  if (value === null) return { key: shownKey, payload: '<DELETE>' };
  const stored = decodeTransactionValue(value);
  const partitions = (stored.transactionPartitions ?? []).flatMap(({ topic, partitionIds }) => partitionIds.map((id) => `${topic}-${id}`));
  const payload =
    `producerId:${stored.producerId},producerEpoch:${stored.producerEpoch},state=${TRANSACTION_STATES[stored.transactionStatus]},partitions=[${partitions.join(',')}],` +
    `txnLastUpdateTimestamp=${stored.transactionLastUpdateTimestampMs},txnTimeoutMs=${stored.transactionTimeoutMs}`;
  return { key: shownKey, payload };
};
