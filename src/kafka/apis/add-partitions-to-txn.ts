/**
 * AddPartitionsToTxn (key 24).
 *
 * Declares that partitions take part in a transaction, before anything is produced to them (KIP-98).
 *
 * Versions: 3 is flexible. 4 and 5 are the batched form between brokers (KIP-890): held for the table's sake, not offered,
 * because some clients would use it when they see it.
 */
import { api, array, bool, int16, int32, int64, string } from '../schema.ts';

export const AddPartitionsToTxn = api(
  24,
  { name: 'AddPartitionsToTxn', versions: '0-5', offered: '0-3', flexible: '3+' },
  {
    transactions: array({
      transactionalId: string(),
      producerId: int64(),
      producerEpoch: int16(),
      verifyOnly: bool(),
      topics: array({
        name: string(),
        partitions: array(int32()),
      }),
    }).since(4),
    v3AndBelowTransactionalId: string().until(3),
    v3AndBelowProducerId: int64().until(3),
    v3AndBelowProducerEpoch: int16().until(3),
    v3AndBelowTopics: array({
      name: string(),
      partitions: array(int32()),
    }).until(3),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16().since(4).ignorable(),
    resultsByTransaction: array({
      transactionalId: string(),
      topicResults: array({
        name: string(),
        resultsByPartition: array({
          partitionIndex: int32(),
          partitionErrorCode: int16(),
        }),
      }),
    }).since(4),
    resultsByTopicV3AndBelow: array({
      name: string(),
      resultsByPartition: array({
        partitionIndex: int32(),
        partitionErrorCode: int16(),
      }),
    }).until(3),
  },
);
