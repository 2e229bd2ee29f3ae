/**
 * Records of __consumer_offsets: committed offsets and the state of groups, in Kafka's own format
 * (`group-coordinator/src/main/resources/common/message/OffsetCommit*.json`, `GroupMetadata*.json`). The int16 at the
 * front of a key says what the record is: 0 and 1 a committed offset, 2 a group; 3 to 8 belong to the new consumer
 * protocol (KIP-848) and are not ours. A null value is a tombstone: the offset or the group is gone.
 *
 * We write what Kafka 3.9 writes (key 1 with value 3, key 2 with value 3) and read all versions.
 */
import { ByteReader } from '../../lib/bytes.ts';
import { decodeMessage, encodeMessage } from '../compile.ts';
import type { Decoded, Draft } from '../schema.ts';
import { array, bytes, int32, int64, message, string } from '../schema.ts';

const OffsetCommitKey = message('OffsetCommitKey', { versions: '0-1' }, { group: string(), topic: string(), partition: int32() });

const OffsetCommitValue = message(
  'OffsetCommitValue',
  { versions: '0-4', flexible: '4+' },
  {
    offset: int64().noLimit(),
    leaderEpoch: int32().default(-1).since(3).ignorable(),
    metadata: string(),
    commitTimestamp: int64().noLimit(),
    expireTimestamp: int64().noLimit().default(-1).since(1).until(1).ignorable(),
  },
);

const GroupMetadataKey = message('GroupMetadataKey', { versions: '2' }, { group: string() });

const GroupMetadataValue = message(
  'GroupMetadataValue',
  { versions: '0-4', flexible: '4+' },
  {
    protocolType: string(),
    generation: int32(),
    protocol: string().nullable(),
    leader: string().nullable(),
    currentStateTimestamp: int64().default(-1).since(2).ignorable(),
    members: array({
      memberId: string(),
      groupInstanceId: string().nullable().default(null).since(3).ignorable(),
      clientId: string(),
      clientHost: string(),
      rebalanceTimeout: int32().default(-1).since(1).ignorable(),
      sessionTimeout: int32(),
      subscription: bytes(),
      assignment: bytes(),
    }),
  },
);

/** All messages of the topic, for tools and tests. */
export const consumerOffsetsMessages = { OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue } as const;

export type OffsetsKey =
  | { readonly kind: 'offset'; readonly group: string; readonly topic: string; readonly partition: number }
  | { readonly kind: 'group'; readonly group: string }
  /** A record of another protocol or a later version; to be kept and ignored. */
  | { readonly kind: 'other'; readonly version: number };

export type OffsetValue = Decoded<(typeof OffsetCommitValue)['fields']>;
export type GroupValue = Decoded<(typeof GroupMetadataValue)['fields']>;

/** @throws ProtocolError if the key is cut short */
export function decodeOffsetsKey(key: Buffer): OffsetsKey {
  const version = new ByteReader(key).i16();
  if (version === 0 || version === 1) {
    const { group, topic, partition } = decodeMessage(OffsetCommitKey, key);
    return { kind: 'offset', group, topic, partition };
  }
  if (version === 2) return { kind: 'group', group: decodeMessage(GroupMetadataKey, key).group };
  return { kind: 'other', version };
}

export function encodeOffsetKey(group: string, topic: string, partition: number): Buffer {
  return encodeMessage(OffsetCommitKey, 1, { group, topic, partition });
}

export function encodeGroupKey(group: string): Buffer {
  return encodeMessage(GroupMetadataKey, 2, { group });
}

export function encodeOffsetValue(value: Draft<(typeof OffsetCommitValue)['fields']>): Buffer {
  return encodeMessage(OffsetCommitValue, 3, value);
}

/** The result also says in which version it was stored. */
export function decodeOffsetValue(value: Buffer): OffsetValue & { readonly version: number } {
  return decodeMessage(OffsetCommitValue, value);
}

export function encodeGroupValue(value: Draft<(typeof GroupMetadataValue)['fields']>): Buffer {
  return encodeMessage(GroupMetadataValue, 3, value);
}

export function decodeGroupValue(value: Buffer): GroupValue & { readonly version: number } {
  return decodeMessage(GroupMetadataValue, value);
}
