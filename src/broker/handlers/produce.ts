/**
 * Produce (key 0). The bytes of each partition are checked and appended as they came; nothing is decoded unless the topic
 * asks for it (see storage/partition.ts for the order of checks).
 *
 * When it is safe: acks=-1 is answered after fdatasync of every partition it wrote to, shared with all who wrote before
 * that sync began (millrace.sync=acknowledged, the default), or after the write (millrace.sync=os, as Kafka). acks=1 is
 * answered after the write, or after fdatasync where flush.messages=1. acks=0 has no answer; an error closes the
 * connection, the only sign there is.
 */
import { Produce } from '../../kafka/apis/produce.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle, type RequestContext } from '../request.ts';
import type { AppendOutcome, Partition } from '../storage/partition.ts';

interface Item {
  readonly index: number;
  readonly records: Buffer | null;
}
type PartitionAnswer = ReturnType<typeof answerOf>;
/** Versions below take format v0 or v1; from here on exactly one batch of format v2. */
const ONE_BATCH_SINCE = 3;
/** Older clients take it for a fatal error (KIP-890). */
const KNOWS_ABORTABLE_SINCE = 11;

export const produce = handle(Produce, (request, context) => {
  const { broker } = context;
  const written: Partition[] = [];
  const acksKnown = request.acks >= -1 && request.acks <= 1;
  const asked = request.topicData.filter(({ partitionData }) => partitionData.length > 0);
  const responses = asked.map(({ name, partitionData }) => ({
    name,
    partitionResponses: partitionData.map((item) => {
      const refused = acksKnown ? requestRefusal(request.transactionalId, name, context) : ErrorCode.INVALID_REQUIRED_ACKS;
      return refused !== ErrorCode.NONE ? failure(item.index, refused) : append(name, item, request.transactionalId, { context, written });
    }),
  }));
  const answer = { responses, throttleTimeMs: broker.quotas.produced(context, written.length === 0 ? 0 : bytesOf(request.topicData)) };
  if (answer.throttleTimeMs > 0) context.throttle(answer.throttleTimeMs);
  if (request.acks === 0) return answerNothing(responses, context);
  const toSync = written.filter((partition) => broker.mustSync(partition, request.acks));
  if (toSync.length === 0) return answer;
  return Promise.allSettled(toSync.map((partition) => partition.sync())).then((ends) => {
    const failed = toSync.filter((_, i) => ends[i]?.status === 'rejected');
    if (failed.length === 0) return answer;
    const err: unknown = ends.find((end) => end.status === 'rejected')?.reason;
    broker.log.error({ err }, `cannot sync ${failed.map((partition) => partition.label).join(', ')}: the records are not acknowledged`);
    return { ...answer, responses: responses.map((topic) => unsynced(topic, failed)) };
  });
});

function append(
  topic: string,
  item: Item,
  transactionalId: string | null,
  into: { readonly context: RequestContext; readonly written: Partition[] },
): PartitionAnswer {
  const { broker, client, version } = into.context;
  if (!broker.authorizer.allowed(client, OPERATION.write, RESOURCE.topic, topic)) return failure(item.index, ErrorCode.TOPIC_AUTHORIZATION_FAILED);
  const partition = broker.topics.partition(topic, item.index);
  if (!partition) return failure(item.index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  if (broker.topics.isGuarded(topic)) return failure(item.index, ErrorCode.INVALID_TOPIC_EXCEPTION);
  if (!item.records || item.records.length === 0) return failure(item.index, version >= ONE_BATCH_SINCE ? ErrorCode.INVALID_RECORD : ErrorCode.CORRUPT_MESSAGE);
  const outcome = partition.append(item.records, {
    oneBatch: version >= ONE_BATCH_SINCE,
    zstdAllowed: version >= 7,
    inTransaction: (producerId, epoch) => {
      if (transactionalId === null) return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
      const errorCode = broker.transactionState.verifyPartition({ transactionalId, producerId, epoch }, topic, item.index);
      return errorCode === ErrorCode.INVALID_TXN_STATE && version >= KNOWS_ABORTABLE_SINCE ? ErrorCode.TRANSACTION_ABORTABLE : errorCode;
    },
  });
  if (outcome.errorCode === ErrorCode.NONE) {
    into.written.push(partition);
    broker.purgatory.wake(partition);
  }
  return answerOf(item.index, outcome);
}

function requestRefusal(transactionalId: string | null, topic: string, { broker, client }: RequestContext): number {
  if (transactionalId !== null && !broker.authorizer.allowed(client, OPERATION.write, RESOURCE.transactionalId, transactionalId)) {
    return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
  }
  return broker.topics.isLegalName(topic) ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
}

function answerOf(index: number, outcome: AppendOutcome) {
  const { errorCode, baseOffset, logAppendTimeMs, logStartOffset, recordErrors, message } = outcome;
  return { index, errorCode, baseOffset, logAppendTimeMs, logStartOffset, recordErrors: recordErrors ?? [], errorMessage: message ?? null };
}

function failure(index: number, errorCode: number): PartitionAnswer {
  return { index, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1, recordErrors: [], errorMessage: errorMessage(errorCode) };
}

/** What a partition's answer becomes when its sync failed: stored perhaps, but not promised. */
function unsynced(topic: { readonly name: string; readonly partitionResponses: readonly PartitionAnswer[] }, failed: readonly Partition[]) {
  return {
    name: topic.name,
    partitionResponses: topic.partitionResponses.map((one) =>
      failed.some((partition) => partition.topic === topic.name && partition.index === one.index) ? failure(one.index, ErrorCode.KAFKA_STORAGE_ERROR) : one,
    ),
  };
}

function answerNothing(responses: readonly { readonly partitionResponses: readonly PartitionAnswer[] }[], context: RequestContext): null {
  const failed = responses.flatMap((topic) => topic.partitionResponses).find((one) => one.errorCode !== ErrorCode.NONE);
  if (failed) context.hangUp(`produce with acks=0 failed: ${failed.errorMessage ?? failed.errorCode}`);
  return null;
}

function bytesOf(topics: readonly { readonly partitionData: readonly Item[] }[]): number {
  let sum = 0;
  for (const topic of topics) for (const item of topic.partitionData) sum += item.records?.length ?? 0;
  return sum;
}
