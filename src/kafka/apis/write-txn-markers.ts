/**
 * WriteTxnMarkers (key 27).
 *
 * Writes commit or abort markers into partitions. Between brokers in a cluster; here only `kafka-transactions abort` sends it
 * (KIP-664). Version 1 is flexible.
 */
import { api, array, bool, int16, int32, int64, string } from '../schema.ts';

export const WriteTxnMarkers = api(
  27,
  { name: 'WriteTxnMarkers', versions: '0-1', flexible: '1+' },
  {
    markers: array({
      producerId: int64(),
      producerEpoch: int16(),
      transactionResult: bool(),
      topics: array({
        name: string(),
        partitionIndexes: array(int32()),
      }),
      coordinatorEpoch: int32(),
    }),
  },
  {
    markers: array({
      producerId: int64(),
      topics: array({
        name: string(),
        partitions: array({
          partitionIndex: int32(),
          errorCode: int16(),
        }),
      }),
    }),
  },
);
