/**
 * DeleteRecords (key 21).
 *
 * Moves the log start offset of partitions up to `offset` (-1: the high watermark) and answers it. Version 2 is flexible (KIP-107).
 */
import { api, array, int16, int32, int64, string } from '../schema.ts';

export const DeleteRecords = api(
  21,
  { name: 'DeleteRecords', versions: '0-2', flexible: '2+' },
  {
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        offset: int64().noLimit(),
      }),
    }),
    timeoutMs: int32(),
  },
  {
    throttleTimeMs: int32().default(0),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        lowWatermark: int64(),
        errorCode: int16(),
      }),
    }),
  },
);
