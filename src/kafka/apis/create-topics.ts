/**
 * CreateTopics (key 19).
 *
 * Creates topics by counts or by assignment of replicas, with configs; `validateOnly` only checks.
 *
 * Versions: 1 adds validateOnly and error messages, 4 allows -1 for the broker's defaults (kafkajs sends it in 3 as well), 5
 * is flexible and answers counts and configs (KIP-525), 7 the topic id. configErrorCode is tag 0.
 */
import { api, array, bool, int8, int16, int32, string, uuid } from '../schema.ts';

export const CreateTopics = api(
  19,
  { name: 'CreateTopics', versions: '0-7', flexible: '5+' },
  {
    topics: array({
      name: string(),
      numPartitions: int32(),
      replicationFactor: int16(),
      assignments: array({
        partitionIndex: int32(),
        brokerIds: array(int32()),
      }),
      configs: array({
        name: string(),
        value: string().nullable(),
      }),
    }),
    timeoutMs: int32().default(60000),
    validateOnly: bool().since(1),
  },
  {
    throttleTimeMs: int32().since(2).ignorable(),
    topics: array({
      name: string(),
      topicId: uuid().since(7).ignorable(),
      errorCode: int16(),
      errorMessage: string().nullable().since(1).ignorable(),
      topicConfigErrorCode: int16().tag(0, '5+').ignorable(),
      numPartitions: int32().default(-1).since(5).ignorable(),
      replicationFactor: int16().default(-1).since(5).ignorable(),
      configs: array({
        name: string(),
        value: string().nullable(),
        readOnly: bool(),
        configSource: int8().default(-1).ignorable(),
        isSensitive: bool(),
      })
        .nullable()
        .since(5)
        .ignorable(),
    }),
  },
);
