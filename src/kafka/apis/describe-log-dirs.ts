/**
 * DescribeLogDirs (key 35).
 *
 * Sizes of the logs in every data directory (KIP-113).
 *
 * Versions: 2 is flexible, 3 adds a top-level error, 4 the size of the volume (KIP-827; -1 = unknown).
 */
import { api, array, bool, int16, int32, int64, string } from '../schema.ts';

export const DescribeLogDirs = api(
  35,
  { name: 'DescribeLogDirs', versions: '0-4', flexible: '2+' },
  {
    topics: array({
      topic: string(),
      partitions: array(int32()),
    }).nullable(),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16().since(3).ignorable(),
    results: array({
      errorCode: int16(),
      logDir: string(),
      topics: array({
        name: string(),
        partitions: array({
          partitionIndex: int32(),
          partitionSize: int64(),
          offsetLag: int64(),
          isFutureKey: bool(),
        }),
      }),
      totalBytes: int64().noLimit().default(-1).since(4).ignorable(),
      usableBytes: int64().noLimit().default(-1).since(4).ignorable(),
    }),
  },
);
