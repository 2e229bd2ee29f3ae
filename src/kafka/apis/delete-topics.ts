/**
 * DeleteTopics (key 20).
 *
 * Deletes topics. Versions: 4 is flexible, 5 adds error messages, 6 takes names or ids (KIP-516).
 */
import { api, array, int16, int32, string, uuid } from '../schema.ts';

export const DeleteTopics = api(
  20,
  { name: 'DeleteTopics', versions: '0-6', flexible: '4+' },
  {
    topics: array({
      name: string().nullable().default(null),
      topicId: uuid(),
    }).since(6),
    topicNames: array(string()).until(5).ignorable(),
    timeoutMs: int32(),
  },
  {
    throttleTimeMs: int32().since(1).ignorable(),
    responses: array({
      name: string().nullable('6+'),
      topicId: uuid().since(6).ignorable(),
      errorCode: int16(),
      errorMessage: string().nullable().default(null).since(5).ignorable(),
    }),
  },
);
