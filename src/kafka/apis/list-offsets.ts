/**
 * ListOffsets (key 2).
 *
 * Finds offsets by time: -1 latest, -2 earliest, -3 of the largest timestamp (v7+), -4 earliest local (v8+), -5 latest
 * tiered (v9+), else the first offset whose timestamp is not smaller.
 *
 * Versions: 0 is a protocol of its own, with a list of segment offsets; 2 adds the isolation level, 4 leader epochs, 6 is flexible.
 */
import { api, array, int8, int16, int32, int64, string } from '../schema.ts';

export const ListOffsets = api(
  2,
  { name: 'ListOffsets', versions: '0-9', flexible: '6+' },
  {
    replicaId: int32(),
    isolationLevel: int8().since(2),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        currentLeaderEpoch: int32().default(-1).since(4).ignorable(),
        timestamp: int64().noLimit(),
        maxNumOffsets: int32().default(1).until(0),
      }),
    }),
  },
  {
    throttleTimeMs: int32().since(2).ignorable(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        oldStyleOffsets: array(int64().noLimit()).until(0),
        timestamp: int64().noLimit().default(-1).since(1),
        offset: int64().noLimit().default(-1).since(1),
        leaderEpoch: int32().default(-1).since(4),
      }),
    }),
  },
);
