/**
 * DescribeProducers (key 61).
 *
 * Producers that are active in partitions, with the first offset of their open transaction or -1 (KIP-664).
 */
import { api, array, int16, int32, int64, string } from '../schema.ts';

export const DescribeProducers = api(
  61,
  { name: 'DescribeProducers', versions: '0', flexible: '0+' },
  {
    topics: array({
      name: string(),
      partitionIndexes: array(int32()),
    }),
  },
  {
    throttleTimeMs: int32().default(0),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().default(null),
        activeProducers: array({
          producerId: int64(),
          producerEpoch: int32(),
          lastSequence: int32().default(-1),
          lastTimestamp: int64().default(-1),
          coordinatorEpoch: int32(),
          currentTxnStartOffset: int64().default(-1),
        }),
      }),
    }),
  },
);
