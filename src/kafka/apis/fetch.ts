/**
 * Fetch (key 1).
 *
 * Reads record batches, waiting until `minBytes` are there or `maxWaitMs` has passed.
 *
 * Versions: 3 adds maxBytes, 4 isolation levels and aborted transactions, 5 the log start offset, 7 sessions (KIP-227),
 * 9 leader epochs, 10 zstd, 11 the rack, 12 is flexible, 13 names topics by id (KIP-516), 15 moves the replica id into a tag,
 * 16 node endpoints (KIP-951), 17 the directory id of followers. An empty partition answers zero-length records, never null:
 * some clients fail on null.
 */
import { api, array, int8, int16, int32, int64, records, string, struct, uuid } from '../schema.ts';

export const Fetch = api(
  1,
  { name: 'Fetch', versions: '0-17', flexible: '12+' },
  {
    clusterId: string().nullable().default(null).tag(0, '12+').ignorable(),
    replicaId: int32().default(-1).until(14),
    replicaState: struct({
      replicaId: int32().default(-1),
      replicaEpoch: int64().default(-1),
    }).tag(1, '15+'),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: int32().default(2147483647).since(3).ignorable(),
    isolationLevel: int8().since(4).ignorable(),
    sessionId: int32().since(7).ignorable(),
    sessionEpoch: int32().default(-1).since(7).ignorable(),
    topics: array({
      topic: string().until(12).ignorable(),
      topicId: uuid().since(13).ignorable(),
      partitions: array({
        partition: int32(),
        currentLeaderEpoch: int32().default(-1).since(9).ignorable(),
        fetchOffset: int64().noLimit(),
        lastFetchedEpoch: int32().default(-1).since(12),
        logStartOffset: int64().default(-1).since(5).ignorable(),
        partitionMaxBytes: int32(),
        replicaDirectoryId: uuid().tag(0, '17+').ignorable(),
      }),
    }),
    forgottenTopicsData: array({
      topic: string().until(12).ignorable(),
      topicId: uuid().since(13).ignorable(),
      partitions: array(int32()),
    }).since(7),
    rackId: string().since(11).ignorable(),
  },
  {
    throttleTimeMs: int32().since(1).ignorable(),
    errorCode: int16().since(7).ignorable(),
    sessionId: int32().since(7),
    responses: array({
      topic: string().until(12).ignorable(),
      topicId: uuid().since(13).ignorable(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        highWatermark: int64(),
        lastStableOffset: int64().default(-1).since(4).ignorable(),
        logStartOffset: int64().default(-1).since(5).ignorable(),
        divergingEpoch: struct({
          epoch: int32().default(-1),
          endOffset: int64().default(-1),
        }).tag(0, '12+'),
        currentLeader: struct({
          leaderId: int32().default(-1),
          leaderEpoch: int32().default(-1),
        }).tag(1, '12+'),
        snapshotId: struct({
          endOffset: int64().default(-1),
          epoch: int32().default(-1),
        }).tag(2, '12+'),
        abortedTransactions: array({
          producerId: int64(),
          firstOffset: int64(),
        })
          .nullable()
          .since(4)
          .ignorable(),
        preferredReadReplica: int32().default(-1).since(11),
        records: records().nullable(),
      }),
    }),
    nodeEndpoints: array({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null),
    }).tag(0, '16+'),
  },
);
