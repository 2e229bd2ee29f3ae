/** DeleteTopics (key 20): by name, or from version 6 also by id. The name is free at once; the files go later (file.delete.delay.ms). */
import { DeleteTopics } from '../../kafka/apis/delete-topics.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { ZERO_UUID } from '../../kafka/schema.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import type { Mutations } from '../quotas.ts';
import { handle, type RequestContext } from '../request.ts';
import { timesNamed } from './repeats.ts';

/** Older clients would take THROTTLING_QUOTA_EXCEEDED for a failure. */
const KNOWS_QUOTA_SINCE = 5;

export const deleteTopics = handle(DeleteTopics, async (request, context) => {
  const wanted = context.version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }));
  const quota = context.broker.quotas.mutations(context, context.version >= KNOWS_QUOTA_SINCE);
  const responses = [];
  const repeated = repeatedTopics(wanted, context);
  const refused = new Set<string>();
  for (const one of wanted) {
    const message = one.name !== null && one.topicId !== ZERO_UUID ? 'You may not specify both topic name and topic id.' : repeated(one);
    if (message === REPEATED_BY_ID) continue;
    if (message === null) responses.push(await deleteOne(one, quota, context));
    else if (!refused.has(`${one.name} ${one.topicId}`))
      responses.push({
        ...one,
        topicId: message === NAMED_BY_ID ? (context.broker.topics.get(one.name ?? '')?.id ?? one.topicId) : one.topicId,
        errorCode: ErrorCode.INVALID_REQUEST,
        errorMessage: message,
      });
    refused.add(`${one.name} ${one.topicId}`);
  }
  return { responses, throttleTimeMs: quota.throttleTimeMs() };
});

const NAMED_BY_ID = 'The provided topic name maps to an ID that was already supplied.';
/** No message of its own: the name's answer speaks for both. */
const REPEATED_BY_ID = '';

type Wanted = { readonly name: string | null; readonly topicId: string };

/** Kafka deletes nothing that a request names twice, be it by name and id. */
function repeatedTopics(wanted: readonly Wanted[], { broker }: RequestContext): (one: Wanted) => string | null {
  const counts = timesNamed(wanted.map(({ name, topicId }) => name ?? topicId));
  const count = (key: string): number => counts.get(key) ?? 0;
  return ({ name: given, topicId }) => {
    if (given !== null) {
      if (count(given) > 1) return 'Duplicate topic name.';
      const id = broker.topics.get(given)?.id;
      return id !== undefined && count(id) > 0 ? NAMED_BY_ID : null;
    }
    if (topicId === ZERO_UUID) return 'Neither topic name nor id were specified.';
    const name = broker.topics.byId(topicId)?.name;
    if (name !== undefined && counts.has(name)) return REPEATED_BY_ID;
    return count(topicId) > 1 ? 'Duplicate topic id.' : null;
  };
}

async function deleteOne({ name, topicId }: Wanted, quota: Mutations, { broker, client }: RequestContext) {
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
