/**
 * TxnOffsetCommit (key 28).
 *
 * Offsets of a group, pending until the transaction's marker (KIP-98).
 *
 * Versions: 2 adds the leader epoch, 3 is flexible and carries member and generation to fence zombies (KIP-447), 4 may
 * answer TRANSACTION_ABORTABLE.
 */
import { api, array, int16, int32, int64, string } from '../schema.ts';

export const TxnOffsetCommit = api(
  28,
  { name: 'TxnOffsetCommit', versions: '0-4', flexible: '3+' },
  {
    transactionalId: string(),
    groupId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    generationId: int32().default(-1).since(3),
    memberId: string().since(3),
    groupInstanceId: string().nullable().default(null).since(3),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64().noLimit(),
        committedLeaderEpoch: int32().default(-1).since(2).ignorable(),
        committedMetadata: string().nullable(),
      }),
    }),
  },
  {
    throttleTimeMs: int32().default(0),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
);
