/**
 * Produce (key 0).
 *
 * Appends record batches to partitions. `acks` is 0 (there is no response at all), 1 or -1.
 *
 * Versions: 2 brings the append time, 3 batch format v2 and transactional ids, 5 the log start offset, 7 zstd, 8 errors
 * per record, 9 is flexible, 10 the current leader (tagged). 12 and 13 belong to "transactions v2" and topic ids: not held.
 * Old librdkafka stops compressing when version 0 is not offered. Kafka reference: KIP-98, KIP-467, KIP-951.
 */
import { api, array, int16, int32, int64, records, string, struct } from '../schema.ts';

export const Produce = api(
  0,
  { name: 'Produce', versions: '0-11', flexible: '9+' },
  {
    transactionalId: string().nullable().default(null).since(3),
    acks: int16(),
    timeoutMs: int32(),
    topicData: array({
      name: string(),
      partitionData: array({
        index: int32(),
        records: records().nullable(),
      }),
    }),
  },
  {
    responses: array({
      name: string(),
      partitionResponses: array({
        index: int32(),
        errorCode: int16(),
        baseOffset: int64(),
        logAppendTimeMs: int64().default(-1).since(2).ignorable(),
        logStartOffset: int64().default(-1).since(5).ignorable(),
        recordErrors: array({
          batchIndex: int32(),
          batchIndexErrorMessage: string().nullable().default(null),
        })
          .since(8)
          .ignorable(),
        errorMessage: string().nullable().default(null).since(8).ignorable(),
        currentLeader: struct({
          leaderId: int32().default(-1),
          leaderEpoch: int32().default(-1),
        }).tag(0, '10+'),
      }),
    }),
    throttleTimeMs: int32().since(1).ignorable(),
    nodeEndpoints: array({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null),
    }).tag(0, '10+'),
  },
);
