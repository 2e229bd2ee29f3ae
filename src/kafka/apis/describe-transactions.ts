/**
 * DescribeTransactions (key 65).
 *
 * State, producer and partitions of transactions by transactional id (KIP-664).
 */
import { api, array, int16, int32, int64, string } from '../schema.ts';

export const DescribeTransactions = api(
  65,
  { name: 'DescribeTransactions', versions: '0', flexible: '0+' },
  {
    transactionalIds: array(string()),
  },
  {
    throttleTimeMs: int32().default(0),
    transactionStates: array({
      errorCode: int16(),
      transactionalId: string(),
      transactionState: string(),
      transactionTimeoutMs: int32(),
      transactionStartTimeMs: int64(),
      producerId: int64(),
      producerEpoch: int16(),
      topics: array({
        topic: string(),
        partitions: array(int32()),
      }),
    }),
  },
);
