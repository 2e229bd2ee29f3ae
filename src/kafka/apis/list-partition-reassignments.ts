/**
 * ListPartitionReassignments (key 46).
 *
 * Partitions on the move (KIP-455); `kafka-topics --describe` asks for it.
 */
import { api, array, int16, int32, string } from '../schema.ts';

export const ListPartitionReassignments = api(
  46,
  { name: 'ListPartitionReassignments', versions: '0', flexible: '0+' },
  {
    timeoutMs: int32().default(60000),
    topics: array({
      name: string(),
      partitionIndexes: array(int32()),
    })
      .nullable()
      .default(null),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    errorMessage: string().nullable(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        replicas: array(int32()),
        addingReplicas: array(int32()),
        removingReplicas: array(int32()),
      }),
    }),
  },
);
