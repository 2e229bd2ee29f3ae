/** Alter- and ListPartitionReassignments (keys 45 and 46): on one node nothing moves (KIP-455). */
import { AlterPartitionReassignments } from '../../kafka/apis/alter-partition-reassignments.ts';
import { ListPartitionReassignments } from '../../kafka/apis/list-partition-reassignments.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { handle, type RequestContext } from '../request.ts';

export const listPartitionReassignments = handle(ListPartitionReassignments, () => ({ errorCode: ErrorCode.NONE, errorMessage: null, topics: [] }));

export const alterPartitionReassignments = handle(AlterPartitionReassignments, (request, context) => ({
  errorCode: ErrorCode.NONE,
  errorMessage: null,
  responses: request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, replicas }) => {
      const errorCode = verdict(context.broker.topics.partition(name, partitionIndex) !== undefined, replicas, context);
      return { partitionIndex, errorCode, errorMessage: errorCode === ErrorCode.NONE ? null : errorMessage(errorCode) };
    }),
  })),
}));

function verdict(exists: boolean, replicas: readonly number[] | null, { broker }: RequestContext): number {
  if (!exists) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  if (replicas === null) return ErrorCode.NO_REASSIGNMENT_IN_PROGRESS;
  return replicas.length === 1 && replicas[0] === broker.nodeId ? ErrorCode.NONE : ErrorCode.INVALID_REPLICA_ASSIGNMENT;
}
