/** DeleteTopics (key 20): by name, or from version 6 also by id. The name is free at once; the files go later (file.delete.delay.ms). */
import { DeleteTopics } from '../../kafka/apis/delete-topics.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { ZERO_UUID } from '../../kafka/schema.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import type { Mutations } from '../quotas.ts';
import { handle, type RequestContext } from '../request.ts';

/** Older clients would take THROTTLING_QUOTA_EXCEEDED for a failure. */
const KNOWS_QUOTA_SINCE = 5;

export const deleteTopics = handle(DeleteTopics, async (request, context) => {
  const wanted = context.version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }));
  const quota = context.broker.quotas.mutations(context, context.version >= KNOWS_QUOTA_SINCE);
  const responses = [];
  for (const one of wanted) responses.push(await deleteOne(one, quota, context));
  return { responses, throttleTimeMs: quota.throttleTimeMs() };
});

async function deleteOne({ name, topicId }: { readonly name: string | null; readonly topicId: string }, quota: Mutations, { broker, client }: RequestContext) {
  const topic = name === null ? broker.topics.byId(topicId) : broker.topics.get(name);
  const answer = (errorCode: number, message?: string) => ({
    name: name ?? topic?.name ?? null,
    topicId: topic?.id ?? topicId,
    errorCode,
    errorMessage: errorCode === ErrorCode.NONE ? null : (message ?? errorMessage(errorCode)),
  });
  const asked = topic?.name ?? name;
  if (asked !== null && asked !== undefined && !broker.authorizer.allowed(client, OPERATION.delete, RESOURCE.topic, asked))
    return answer(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
  if (!broker.config.own['delete.topic.enable']) return answer(ErrorCode.TOPIC_DELETION_DISABLED);
  if (!topic) return answer(name === null ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  if (topic.internal) return answer(ErrorCode.INVALID_TOPIC_EXCEPTION, `Topic '${topic.name}' is internal; its offsets or transactions would be lost.`);
  if (!quota.charge(topic.partitions.length)) return answer(ErrorCode.THROTTLING_QUOTA_EXCEEDED);
  const { errorCode, message } = await broker.topics.remove(topic.name);
  return answer(errorCode, message);
}
