/**
 * OffsetForLeaderEpoch (key 23).
 *
 * The end offset of the largest leader epoch that is not above the given one; how consumers notice a truncated log (KIP-320).
 *
 * Versions: 1 answers the epoch, 2 takes the current epoch, 3 adds the replica id (-1 consumer, -2 debug), 4 is flexible.
 */
import { api, array, int16, int32, int64, string } from '../schema.ts';

export const OffsetForLeaderEpoch = api(
  23,
  { name: 'OffsetForLeaderEpoch', versions: '0-4', flexible: '4+' },
  {
    replicaId: int32().default(-2).since(3).ignorable(),
    topics: array({
      topic: string(),
      partitions: array({
        partition: int32(),
        currentLeaderEpoch: int32().default(-1).since(2).ignorable(),
        leaderEpoch: int32(),
      }),
    }),
  },
  {
    throttleTimeMs: int32().since(2).ignorable(),
    topics: array({
      topic: string(),
      partitions: array({
        errorCode: int16(),
        partition: int32(),
        leaderEpoch: int32().default(-1).since(1).ignorable(),
        endOffset: int64().default(-1),
      }),
    }),
  },
);
