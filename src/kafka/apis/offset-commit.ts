/**
 * OffsetCommit (key 8).
 *
 * Stores the offsets of a group. Generation -1 with an empty member id is a "simple" commit without membership.
 *
 * Versions: 0 knows no generation, 1 carries a timestamp per partition, 2 to 4 a retention time, 6 adds the leader epoch,
 * 7 static membership, 8 is flexible, 9 is for the new consumer protocol (KIP-848; `generationIdOrMemberEpoch`).
 */
import { api, array, int16, int32, int64, string } from '../schema.ts';

export const OffsetCommit = api(
  8,
  { name: 'OffsetCommit', versions: '0-9', flexible: '8+' },
  {
    groupId: string(),
    generationIdOrMemberEpoch: int32().default(-1).since(1).ignorable(),
    memberId: string().since(1).ignorable(),
    groupInstanceId: string().nullable().default(null).since(7),
    retentionTimeMs: int64().noLimit().default(-1).since(2).until(4).ignorable(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64().noLimit(),
        committedLeaderEpoch: int32().default(-1).since(6).ignorable(),
        commitTimestamp: int64().noLimit().default(-1).since(1).until(1),
        committedMetadata: string().nullable(),
      }),
    }),
  },
  {
    throttleTimeMs: int32().since(3).ignorable(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
);
