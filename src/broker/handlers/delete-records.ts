/**
 * DeleteRecords (key 21): moves the log start of partitions up (KIP-107). -1 means everything up to the high watermark.
 * Answered when the new start is on disk. Topics that are only compacted refuse it.
 */
import { DeleteRecords } from '../../kafka/apis/delete-records.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle, type RequestContext } from '../request.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

export const deleteRecords = handle(DeleteRecords, async (request, context) => {
  const topics = [];
  for (const { name, partitions } of request.topics) {
    const results = [];
    for (const { partitionIndex, offset } of partitions) results.push({ partitionIndex, ...(await deleteBefore(name, partitionIndex, offset, context)) });
    topics.push({ name, partitions: results });
  }
  return { topics };
});

async function deleteBefore(name: string, index: number, offset: number, context: RequestContext) {
  const { broker, client } = context;
  const none = (errorCode: number) => ({ errorCode, lowWatermark: -1 });
  if (!broker.authorizer.allowed(client, OPERATION.delete, RESOURCE.topic, name)) return none(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
  const topic = broker.topics.get(name);
  const partition = broker.topics.partition(name, index);
  if (!topic || !partition) return none(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  if (topic.internal) return none(ErrorCode.INVALID_TOPIC_EXCEPTION);
  if (!topic.config['cleanup.policy'].includes('delete')) return none(ErrorCode.POLICY_VIOLATION);
  const target = offset === -1 ? partition.highWatermark : offset;
  if (target < 0 || target > partition.highWatermark) return none(ErrorCode.OFFSET_OUT_OF_RANGE);
  const raised = broker.topics.raiseLogStart(partition, target).then(() => ErrorCode.NONE);
  const errorCode = await unlessDiskRefuses<number, number>(raised, context, () => ErrorCode.KAFKA_STORAGE_ERROR);
  if (errorCode !== ErrorCode.NONE) return none(errorCode);
  if (broker.topics.partition(name, index) !== partition) return none(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  broker.purgatory.wake(partition);
  return { errorCode: ErrorCode.NONE, lowWatermark: partition.logStartOffset };
}
