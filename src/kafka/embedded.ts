/**
 * Messages that travel inside byte fields: what members of a consumer group tell each other through JoinGroup and
 * SyncGroup (`ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`), and the key and value of control
 * records, which end transactions. The broker passes the first two on unread, except to learn which topics a group reads.
 */
import { ByteReader, ByteWriter } from '../lib/bytes.ts';
import { ProtocolError } from '../lib/errors.ts';
import { decodeMessage, encodeMessage } from './compile.ts';
import type { Decoded, Draft } from './schema.ts';
import { array, bytes, int32, message, string } from './schema.ts';

const ConsumerProtocolSubscription = message(
  'ConsumerProtocolSubscription',
  { versions: '0-3', newerIsReadable: true },
  {
    topics: array(string()),
    userData: bytes().nullable().default(null),
    ownedPartitions: array({ topic: string(), partitions: array(int32()) })
      .since(1)
      .ignorable(),
    generationId: int32().default(-1).since(2).ignorable(),
    rackId: string().nullable().default(null).since(3).ignorable(),
  },
);

const ConsumerProtocolAssignment = message(
  'ConsumerProtocolAssignment',
  { versions: '0-3', newerIsReadable: true },
  {
    assignedPartitions: array({ topic: string(), partitions: array(int32()) }),
    userData: bytes().nullable().default(null),
  },
);

const EndTxnMarker = message('EndTxnMarker', { versions: '0', newerIsReadable: true }, { coordinatorEpoch: int32() });

/** For tests. */
export const embeddedMessages = { ConsumerProtocolSubscription, ConsumerProtocolAssignment, EndTxnMarker } as const;

export type Subscription = Decoded<(typeof ConsumerProtocolSubscription)['fields']>;
export type Assignment = Decoded<(typeof ConsumerProtocolAssignment)['fields']>;

export function encodeSubscription(value: Draft<(typeof ConsumerProtocolSubscription)['fields']>, version = 3): Buffer {
  return encodeMessage(ConsumerProtocolSubscription, version, value);
}

/** @throws ProtocolError if the blob is not a subscription: other protocols than "consumer" have blobs of their own */
export function decodeSubscription(data: Buffer): Subscription & { readonly version: number } {
  return decodeMessage(ConsumerProtocolSubscription, data);
}

export function encodeAssignment(value: Draft<(typeof ConsumerProtocolAssignment)['fields']>, version = 3): Buffer {
  return encodeMessage(ConsumerProtocolAssignment, version, value);
}

/** Empty bytes are a member without partitions. @throws ProtocolError if the blob is not an assignment */
export function decodeAssignment(data: Buffer): Assignment & { readonly version: number } {
  return data.length === 0 ? { assignedPartitions: [], userData: null, version: 0 } : decodeMessage(ConsumerProtocolAssignment, data);
}

/** What a control record ends: the only two types that occur in topics. */
export type MarkerType = 'abort' | 'commit';

/** Key of a control record: int16 version 0, int16 type (0 abort, 1 commit). */
export function encodeControlKey(type: MarkerType): Buffer {
  const writer = new ByteWriter(4);
  writer.i16(0);
  writer.i16(type === 'commit' ? 1 : 0);
  return writer.finish();
}

/** Undefined for control records that do not end a transaction. @throws ProtocolError for a key that is too short */
export function decodeControlKey(key: Buffer): MarkerType | undefined {
  const reader = new ByteReader(key);
  const version = reader.i16();
  if (version < 0) throw new ProtocolError(`a control record's key has version ${version}`);
  const type = reader.i16();
  return type === 1 ? 'commit' : type === 0 ? 'abort' : undefined;
}

/** Value of a commit or abort marker. */
export function encodeMarkerValue(coordinatorEpoch: number): Buffer {
  return encodeMessage(EndTxnMarker, 0, { coordinatorEpoch });
}

export function decodeMarkerValue(value: Buffer): { readonly coordinatorEpoch: number } {
  return decodeMessage(EndTxnMarker, value);
}
