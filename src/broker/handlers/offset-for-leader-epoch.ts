/**
 * OffsetForLeaderEpoch (key 23): where an epoch ended (KIP-320). Epochs are kept per partition in leader-epoch-checkpoint;
 * a partition written by us alone has one.
 */
import { OffsetForLeaderEpoch } from '../../kafka/apis/offset-for-leader-epoch.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';

export const offsetForLeaderEpoch = handle(OffsetForLeaderEpoch, (request, { broker, client }) => ({
  topics: request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition: index, currentLeaderEpoch, leaderEpoch }) => {
      const none = (errorCode: number) => ({ errorCode, partition: index, leaderEpoch: -1, endOffset: -1 });
      if (!broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.topic, topic)) return none(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
      const partition = broker.topics.partition(topic, index);
      if (!partition) return none(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      const fenced = partition.epochError(currentLeaderEpoch);
      if (fenced !== ErrorCode.NONE) return none(fenced);
      const { epoch, endOffset } = partition.endOfEpoch(leaderEpoch);
      return { errorCode: ErrorCode.NONE, partition: index, leaderEpoch: epoch, endOffset };
    }),
  })),
}));
