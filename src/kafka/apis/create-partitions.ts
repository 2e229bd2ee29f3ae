/**
 * CreatePartitions (key 37).
 *
 * Raises the number of partitions of topics to `count` (KIP-195). Versions: 2 is flexible, 3 may answer a quota error.
 */
import { api, array, bool, int16, int32, string } from '../schema.ts';

export const CreatePartitions = api(
  37,
  { name: 'CreatePartitions', versions: '0-3', flexible: '2+' },
  {
    topics: array({
      name: string(),
      count: int32(),
      assignments: array({
        brokerIds: array(int32()),
      }).nullable(),
    }),
    timeoutMs: int32(),
    validateOnly: bool(),
  },
  {
    throttleTimeMs: int32().default(0),
    results: array({
      name: string(),
      errorCode: int16(),
      errorMessage: string().nullable().default(null),
    }),
  },
);
