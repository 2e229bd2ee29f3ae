/**
 * AlterReplicaLogDirs (key 34).
 *
 * Moves replicas between the directories of a broker (KIP-113). Version 2 is flexible.
 */
import { api, array, int16, int32, string } from '../schema.ts';

export const AlterReplicaLogDirs = api(
  34,
  { name: 'AlterReplicaLogDirs', versions: '0-2', flexible: '2+' },
  {
    dirs: array({
      path: string(),
      topics: array({
        name: string(),
        partitions: array(int32()),
      }),
    }),
  },
  {
    throttleTimeMs: int32().default(0),
    results: array({
      topicName: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
);
