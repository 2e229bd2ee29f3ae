/**
 * Metadata (key 3).
 *
 * Brokers, topics and partitions; the first thing a client asks, and what creates topics on the way.
 *
 * Versions: in 0 an empty list of topics means all, from 1 on null does and an empty list means none. 1 adds the
 * controller and internal flags, 2 the cluster id, 4 the flag for auto-creation (implied before), 7 leader epochs, 8
 * authorized operations, 9 is flexible, 10 topic ids, 11 drops the cluster's authorized operations, 12 asks by id.
 */
import { api, array, bool, int16, int32, string, uuid } from '../schema.ts';

export const Metadata = api(
  3,
  { name: 'Metadata', versions: '0-12', flexible: '9+' },
  {
    topics: array({
      topicId: uuid().since(10).ignorable(),
      name: string().nullable('10+'),
    }).nullable('1+'),
    allowAutoTopicCreation: bool().default(true).since(4),
    includeClusterAuthorizedOperations: bool().since(8).until(10),
    includeTopicAuthorizedOperations: bool().since(8),
  },
  {
    throttleTimeMs: int32().since(3).ignorable(),
    brokers: array({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().default(null).since(1).ignorable(),
    }),
    clusterId: string().nullable().default(null).since(2).ignorable(),
    controllerId: int32().default(-1).since(1).ignorable(),
    topics: array({
      errorCode: int16(),
      name: string().nullable('12+'),
      topicId: uuid().since(10).ignorable(),
      isInternal: bool().since(1).ignorable(),
      partitions: array({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32().default(-1).since(7).ignorable(),
        replicaNodes: array(int32()),
        isrNodes: array(int32()),
        offlineReplicas: array(int32()).since(5).ignorable(),
      }),
      topicAuthorizedOperations: int32().default(-2147483648).since(8),
    }),
    clusterAuthorizedOperations: int32().default(-2147483648).since(8).until(10),
  },
);
