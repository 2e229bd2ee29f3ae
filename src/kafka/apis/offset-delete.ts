/**
 * OffsetDelete (key 47).
 *
 * Deletes committed offsets of a group for partitions that no live member subscribes to (KIP-496). Never flexible. Note
 * that the error comes before the throttle time here.
 */
import { api, array, int16, int32, string } from '../schema.ts';

export const OffsetDelete = api(
  47,
  { name: 'OffsetDelete', versions: '0' },
  {
    groupId: string(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
      }),
    }),
  },
  {
    errorCode: int16(),
    throttleTimeMs: int32().default(0),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
);
