/**
 * Records of __consumer_offsets that keep groups of the new consumer protocol (KIP-848), in Kafka's own format
 * (`group-coordinator/src/main/resources/common/message/ConsumerGroup*.json` of 3.9). The int16 at the front of a key:
 *
 *     3  group                 its epoch
 *     4  group                 the topics it reads: id, name, number of partitions
 *     5  group, member         who a member is and what it subscribes to
 *     6  group                 epoch of the target assignment
 *     7  group, member         what a member shall have
 *     8  group, member         what it has now, its epoch and state
 *
 * A null value is a tombstone. Keys from 9 on belong to share groups and to caches of Kafka 4, and are not read. A member
 * that speaks the classic protocol in such a group (online migration) has what its JoinGroup said in its record (key 5).
 */
import { ByteReader } from '../../lib/bytes.ts';
import { decodeMessage, encodeMessage } from '../compile.ts';
import type { Decoded, Draft, Fields, Message } from '../schema.ts';
import { array, bytes, int8, int32, message, string, struct, uuid } from '../schema.ts';

const groupKey = (name: string, version: number) => message(name, { versions: String(version) }, { groupId: string() });
const memberKey = (name: string, version: number) => message(name, { versions: String(version) }, { groupId: string(), memberId: string() });
const value = <F extends Fields>(name: string, fields: F): Message<F> => message(name, { versions: '0', flexible: '0+' }, fields);
const topicPartitions = () => array({ topicId: uuid(), partitions: array(int32()) });

const ConsumerGroupMetadataKey = groupKey('ConsumerGroupMetadataKey', 3);
const ConsumerGroupMetadataValue = value('ConsumerGroupMetadataValue', { epoch: int32() });

const ConsumerGroupPartitionMetadataKey = groupKey('ConsumerGroupPartitionMetadataKey', 4);
const ConsumerGroupPartitionMetadataValue = value('ConsumerGroupPartitionMetadataValue', {
  topics: array({
    topicId: uuid(),
    topicName: string(),
    numPartitions: int32(),
    partitionMetadata: array({ partition: int32(), racks: array(string()) }),
  }),
});

const ConsumerGroupMemberMetadataKey = memberKey('ConsumerGroupMemberMetadataKey', 5);
const ConsumerGroupMemberMetadataValue = value('ConsumerGroupMemberMetadataValue', {
  instanceId: string().nullable(),
  rackId: string().nullable(),
  clientId: string(),
  clientHost: string(),
  subscribedTopicNames: array(string()),
  subscribedTopicRegex: string().nullable(),
  rebalanceTimeoutMs: int32().default(-1),
  serverAssignor: string().nullable(),
  // Null has to be written: without it Kafka reads a member of the classic protocol.
  classicMemberMetadata: struct({ sessionTimeoutMs: int32(), supportedProtocols: array({ name: string(), metadata: bytes() }) })
    .nullable()
    .tag(0, '0+'),
});

const ConsumerGroupTargetAssignmentMetadataKey = groupKey('ConsumerGroupTargetAssignmentMetadataKey', 6);
const ConsumerGroupTargetAssignmentMetadataValue = value('ConsumerGroupTargetAssignmentMetadataValue', { assignmentEpoch: int32() });

const ConsumerGroupTargetAssignmentMemberKey = memberKey('ConsumerGroupTargetAssignmentMemberKey', 7);
const ConsumerGroupTargetAssignmentMemberValue = value('ConsumerGroupTargetAssignmentMemberValue', { topicPartitions: topicPartitions() });

const ConsumerGroupCurrentMemberAssignmentKey = memberKey('ConsumerGroupCurrentMemberAssignmentKey', 8);
const ConsumerGroupCurrentMemberAssignmentValue = value('ConsumerGroupCurrentMemberAssignmentValue', {
  memberEpoch: int32(),
  previousMemberEpoch: int32(),
  state: int8(),
  assignedPartitions: topicPartitions(),
  partitionsPendingRevocation: topicPartitions(),
});

const RECORDS = {
  epoch: [ConsumerGroupMetadataKey, ConsumerGroupMetadataValue],
  topics: [ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue],
  member: [ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue],
  'target-epoch': [ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue],
  target: [ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue],
  current: [ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue],
} as const;

export type ConsumerGroupRecordKind = keyof typeof RECORDS;
export type ConsumerGroupRecordValue<K extends ConsumerGroupRecordKind> = Decoded<(typeof RECORDS)[K][1]['fields']>;

const KINDS: Readonly<Record<number, ConsumerGroupRecordKind>> = { 3: 'epoch', 4: 'topics', 5: 'member', 6: 'target-epoch', 7: 'target', 8: 'current' };

export interface ConsumerGroupKey {
  readonly kind: ConsumerGroupRecordKind;
  readonly groupId: string;
  /** Empty in the records of the group as a whole. */
  readonly memberId: string;
}

/** What a record is about; null if it belongs to another protocol or a later version. @throws ProtocolError if the key is cut short */
export function decodeConsumerGroupKey(key: Buffer): ConsumerGroupKey | null {
  const kind = KINDS[new ByteReader(key).i16()];
  if (kind === undefined) return null;
  const { groupId, memberId = '' } = decodeMessage(RECORDS[kind][0] as Message, key) as unknown as { groupId: string; memberId?: string };
  return { kind, groupId, memberId };
}

/** The bytes of a key; `memberId` only where the kind has one. */
export function encodeConsumerGroupKey({ kind, groupId, memberId }: ConsumerGroupKey): Buffer {
  const [layout] = RECORDS[kind];
  return encodeMessage(layout as Message, layout.versions[0], { groupId, ...('memberId' in layout.fields && { memberId }) });
}

export function encodeConsumerGroupValue<K extends ConsumerGroupRecordKind>(kind: K, fields: Draft<(typeof RECORDS)[K][1]['fields']>): Buffer {
  return encodeMessage(RECORDS[kind][1] as unknown as Message, 0, fields as Draft<Fields>);
}

/** @throws ProtocolError if the bytes are cut short or of an unknown version */
export function decodeConsumerGroupValue<K extends ConsumerGroupRecordKind>(
  kind: K,
  bytes: Buffer,
): ConsumerGroupRecordValue<K> & { readonly version: number } {
  return decodeMessage(RECORDS[kind][1] as unknown as Message, bytes) as unknown as ConsumerGroupRecordValue<K> & { readonly version: number };
}
