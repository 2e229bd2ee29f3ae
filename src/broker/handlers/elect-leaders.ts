/**
 * ElectLeaders (key 43): the only replica leads already. Named partitions get ELECTION_NOT_NEEDED; asked for all (null),
 * Kafka leaves those out, so the answer is empty.
 */
import { ElectLeaders } from '../../kafka/apis/elect-leaders.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { handle } from '../request.ts';

export const electLeaders = handle(ElectLeaders, (request, { broker }) => ({
  errorCode: ErrorCode.NONE,
  replicaElectionResults: (request.topicPartitions ?? []).map(({ topic, partitions }) => ({
    topic,
    partitionResult: partitions.map((partitionId) => {
      const errorCode = broker.topics.partition(topic, partitionId) ? ErrorCode.ELECTION_NOT_NEEDED : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
      return { partitionId, errorCode, errorMessage: errorMessage(errorCode) };
    }),
  })),
}));
