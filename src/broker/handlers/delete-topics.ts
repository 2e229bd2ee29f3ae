/** DeleteTopics (key 20): by name, or from version 6 also by id. The name is free at once; the files go later (file.delete.delay.ms). */
import { DeleteTopics } from '../../kafka/apis/delete-topics.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { ZERO_UUID } from '../../kafka/schema.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle, type RequestContext } from '../request.ts';

export const deleteTopics = handle(DeleteTopics, async (request, context) => {
  const wanted = context.version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }));
  const responses = [];
  for (const { name, topicId } of wanted) responses.push(await deleteOne(name, topicId, context));
  return { responses };
});

async function deleteOne(name: string | null, topicId: string, { broker, client }: RequestContext) {
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
  const { errorCode, message } = await broker.topics.remove(topic.name);
  return answer(errorCode, message);
}
