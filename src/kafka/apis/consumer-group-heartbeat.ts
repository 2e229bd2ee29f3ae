/**
 * ConsumerGroupHeartbeat (key 68).
 *
 * The one call of the new consumer protocol (KIP-848): joins (epoch 0), stays, leaves (-1, static -2), and gets its
 * assignment; null fields mean "unchanged". Version 1 adds the subscription by regular expression (KIP-1043).
 */
import { api, array, int16, int32, string, struct, uuid } from '../schema.ts';

export const ConsumerGroupHeartbeat = api(
  68,
  { name: 'ConsumerGroupHeartbeat', versions: '0-1', flexible: '0+' },
  {
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    instanceId: string().nullable().default(null),
    rackId: string().nullable().default(null),
    rebalanceTimeoutMs: int32().default(-1),
    subscribedTopicNames: array(string()).nullable().default(null),
    subscribedTopicRegex: string().nullable().default(null).since(1),
    serverAssignor: string().nullable().default(null),
    topicPartitions: array({
      topicId: uuid(),
      partitions: array(int32()),
    })
      .nullable()
      .default(null),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    memberId: string().nullable().default(null),
    memberEpoch: int32(),
    heartbeatIntervalMs: int32(),
    assignment: struct({
      topicPartitions: array({
        topicId: uuid(),
        partitions: array(int32()),
      }),
    })
      .nullable()
      .default(null),
  },
);
