/**
 * ElectLeaders (key 43): the only replica leads already. Named partitions get ELECTION_NOT_NEEDED; asked for all (null),
 * Kafka leaves those out, so the answer is empty.
 */
import { ElectLeaders } from '../../kafka/apis/elect-leaders.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { handle } from '../request.ts';

/** Preferred and unclean. */
const KNOWN_TYPES = 2;

export const electLeaders = handle(ElectLeaders, (request, { broker }) => ({
  errorCode: request.electionType < KNOWN_TYPES ? ErrorCode.NONE : ErrorCode.INVALID_REQUEST,
  replicaElectionResults: (request.topicPartitions ?? []).map(({ topic, partitions }) => ({
    topic,
    partitionResult: partitions.map((partitionId) => {
      if (request.electionType >= KNOWN_TYPES)
        return { partitionId, errorCode: ErrorCode.INVALID_REQUEST, errorMessage: `Unknown election type ${request.electionType}` };
      const errorCode = broker.topics.partition(topic, partitionId) ? ErrorCode.ELECTION_NOT_NEEDED : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
      return {
        partitionId,
        errorCode,
        errorMessage:
          errorCode === ErrorCode.ELECTION_NOT_NEEDED
            ? errorMessage(errorCode)
            : `No such ${broker.topics.get(topic) ? `partition as ${topic}-${partitionId}` : `topic as ${topic}`}`,
      };
    }),
  })),
}));
