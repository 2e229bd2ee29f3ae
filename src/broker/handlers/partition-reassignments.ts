/** Alter- and ListPartitionReassignments (keys 45 and 46): on one node nothing moves (KIP-455). */
import { AlterPartitionReassignments } from '../../kafka/apis/alter-partition-reassignments.ts';
import { ListPartitionReassignments } from '../../kafka/apis/list-partition-reassignments.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { handle, type RequestContext } from '../request.ts';
import { manualPlacementError } from './manual-placement.ts';

export const listPartitionReassignments = handle(ListPartitionReassignments, () => ({ errorCode: ErrorCode.NONE, errorMessage: null, topics: [] }));

export const alterPartitionReassignments = handle(AlterPartitionReassignments, (request, context) => ({
  errorCode: ErrorCode.NONE,
  errorMessage: null,
  responses: request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, replicas }) => ({ partitionIndex, ...verdict({ name, partitionIndex }, replicas, context) })),
  })),
}));

function verdict(of: { readonly name: string; readonly partitionIndex: number }, replicas: readonly number[] | null, { broker }: RequestContext) {
  if (!broker.topics.get(of.name)) return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: `Unable to find a topic named ${of.name}.` };
  if (!broker.topics.partition(of.name, of.partitionIndex))
    return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: `Unable to find partition ${of.name}:${of.partitionIndex}.` };
  if (replicas === null) return { errorCode: ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, errorMessage: null };
  const message = manualPlacementError(replicas, broker.nodeId);
  return { errorCode: message === null ? ErrorCode.NONE : ErrorCode.INVALID_REPLICA_ASSIGNMENT, errorMessage: message };
}
