/**
 * AlterPartitionReassignments (key 45).
 *
 * Starts moving partitions to other brokers, or cancels it with null replicas (KIP-455).
 */
import { api, array, int16, int32, string } from '../schema.ts';

export const AlterPartitionReassignments = api(
  45,
  { name: 'AlterPartitionReassignments', versions: '0', flexible: '0+' },
  {
    timeoutMs: int32().default(60000),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        replicas: array(int32()).nullable().default(null),
      }),
    }),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    errorMessage: string().nullable(),
    responses: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string().nullable(),
      }),
    }),
  },
);
