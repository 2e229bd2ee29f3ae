/** DescribeProducers (key 61): producers remembered per partition, with the start of their open transaction (KIP-664). */
import { DescribeProducers } from '../../kafka/apis/describe-producers.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';
import { Repeats } from './repeats.ts';

export const describeProducers = handle(DescribeProducers, (request, { broker, client }) => {
  const repeats = new Repeats();
  const topics = request.topics.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => {
      const none = (errorCode: number) => ({ partitionIndex, errorCode, errorMessage: errorMessage(errorCode), activeProducers: [] });
      if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.topic, name)) return none(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
      if (!broker.topics.isLegalName(name)) return { ...none(ErrorCode.INVALID_TOPIC_EXCEPTION), errorMessage: broker.topics.nameError(name) };
      const partition = broker.topics.partition(name, partitionIndex);
      if (!partition) return none(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      const activeProducers = [...partition.producers.entries()].map((entry) => ({
        producerId: entry.producerId,
        producerEpoch: entry.epoch,
        lastSequence: entry.batches.at(-1)?.lastSequence ?? -1,
        lastTimestamp: entry.lastTimestamp,
        coordinatorEpoch: entry.coordinatorEpoch,
        currentTxnStartOffset: entry.txnFirstOffset,
      }));
      repeats.count(partition.label, activeProducers.length);
      return { partitionIndex, errorCode: ErrorCode.NONE, errorMessage: null, activeProducers };
    }),
  }));
  return { topics };
});
