/**
 * OffsetFetch (key 9).
 *
 * Reads the committed offsets of one group (to version 7) or several (from 8 on).
 *
 * Versions: 0 meant offsets in ZooKeeper, 2 allows null for all topics and adds a top-level error, 5 the leader epoch, 6 is
 * flexible, 7 adds requireStable (KIP-447), 8 the list of groups, 9 member id and epoch (KIP-848). Offset -1 = none committed.
 */
import { api, array, bool, int16, int32, int64, string } from '../schema.ts';

export const OffsetFetch = api(
  9,
  { name: 'OffsetFetch', versions: '0-9', flexible: '6+' },
  {
    groupId: string().until(7),
    topics: array({
      name: string(),
      partitionIndexes: array(int32()),
    })
      .nullable('2-7')
      .until(7),
    groups: array({
      groupId: string(),
      memberId: string().nullable().default(null).since(9).ignorable(),
      memberEpoch: int32().default(-1).since(9).ignorable(),
      topics: array({
        name: string().ignorable(),
        partitionIndexes: array(int32()),
      }).nullable(),
    }).since(8),
    requireStable: bool().since(7),
  },
  {
    throttleTimeMs: int32().since(3).ignorable(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64().noLimit(),
        committedLeaderEpoch: int32().default(-1).since(5).ignorable(),
        metadata: string().nullable(),
        errorCode: int16(),
      }),
    }).until(7),
    errorCode: int16().since(2).until(7).ignorable(),
    groups: array({
      groupId: string(),
      topics: array({
        name: string().ignorable(),
        partitions: array({
          partitionIndex: int32(),
          committedOffset: int64().noLimit(),
          committedLeaderEpoch: int32().default(-1).ignorable(),
          metadata: string().nullable(),
          errorCode: int16(),
        }),
      }),
      errorCode: int16(),
    }).since(8),
  },
);
