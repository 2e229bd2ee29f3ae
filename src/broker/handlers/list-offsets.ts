/**
 * ListOffsets (key 2): the offset at a moment. Special timestamps: -1 latest, -2 earliest, -3 of the largest timestamp
 * (v7), -4 earliest local (v8), -5 latest tiered (v9, always -1 here). Version 0 answers a list of segment starts.
 */
import { ListOffsets } from '../../kafka/apis/list-offsets.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle, type RequestContext } from '../request.ts';
import { type Partition, readErrorCode } from '../storage/partition.ts';

const LATEST = -1;
const EARLIEST = -2;
/** Special timestamp → first version that knows it. */
const SPECIAL_SINCE: Readonly<Record<number, number>> = { [-1]: 0, [-2]: 0, [-3]: 7, [-4]: 8, [-5]: 9 };

interface Asked {
  readonly partitionIndex: number;
  readonly currentLeaderEpoch: number;
  readonly timestamp: number;
  readonly maxNumOffsets: number;
}

export const listOffsets = handle(ListOffsets, (request, context) => {
  const repeated = context.version === 0 ? new Set<string>() : repeatedPartitions(request.topics);
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((asked) => {
      if (repeated.has(`${name}-${asked.partitionIndex}`)) return nothing(asked.partitionIndex, ErrorCode.INVALID_REQUEST);
      return answer(name, asked, request.isolationLevel === 1, context);
    }),
  }));
  return { topics };
});

/** Which partitions are asked for more than once: Kafka refuses them from version 1 on. */
function repeatedPartitions(topics: readonly { readonly name: string; readonly partitions: readonly Asked[] }[]): Set<string> {
  const [once, again] = [new Set<string>(), new Set<string>()];
  for (const { name, partitions } of topics) {
    for (const { partitionIndex } of partitions) {
      const key = `${name}-${partitionIndex}`;
      if (once.has(key)) again.add(key);
      else once.add(key);
    }
  }
  return again;
}

function nothing(partitionIndex: number, errorCode: number) {
  return { partitionIndex, errorCode, oldStyleOffsets: [] as number[], timestamp: -1, offset: -1, leaderEpoch: -1 };
}

function answer(topic: string, asked: Asked, readCommitted: boolean, { broker, client, version }: RequestContext) {
  const { partitionIndex } = asked;
  const none = (errorCode: number) => nothing(partitionIndex, errorCode);
  if (!broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.topic, topic)) return none(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
  const partition = broker.topics.partition(topic, partitionIndex);
  if (!partition) return none(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const fenced = partition.epochError(asked.currentLeaderEpoch);
  if (fenced !== ErrorCode.NONE) return none(fenced);
  if (asked.timestamp < 0 && !((SPECIAL_SINCE[asked.timestamp] ?? Number.POSITIVE_INFINITY) <= version)) return none(ErrorCode.UNSUPPORTED_VERSION);
  // After a failed sync nobody knows yet which transactions are open; clients ask again.
  if (readCommitted && partition.isBroken && (asked.timestamp >= 0 || asked.timestamp === LATEST)) return none(ErrorCode.KAFKA_STORAGE_ERROR);
  try {
    if (version === 0) return { ...none(ErrorCode.NONE), oldStyleOffsets: oldStyle(partition, asked) };
    const found = lookUp(partition, asked.timestamp, readCommitted);
    // Versions below 4 cannot carry an epoch.
    const leaderEpoch = version < 4 || found.offset < 0 ? -1 : partition.epochOf(found.offset);
    return { ...none(ErrorCode.NONE), ...found, leaderEpoch };
  } catch (error) {
    return none(readErrorCode(error));
  }
}

function lookUp(partition: Partition, timestamp: number, readCommitted: boolean): { readonly offset: number; readonly timestamp: number } {
  switch (timestamp) {
    case LATEST:
      return { offset: readCommitted ? partition.lastStableOffset : partition.highWatermark, timestamp: -1 };
    case EARLIEST:
    case -4:
      return { offset: partition.logStartOffset, timestamp: -1 };
    case -3:
      return partition.offsetOfMaxTimestamp();
    case -5:
      return { offset: -1, timestamp: -1 };
    default:
      return partition.offsetForTime(timestamp, readCommitted);
  }
}

/** Version 0: start offsets of segments older than the time, newest first, the end of the log before them. */
function oldStyle(partition: Partition, { timestamp, maxNumOffsets }: Asked): number[] {
  if (timestamp === LATEST) return partition.offsetsBefore(Number.POSITIVE_INFINITY).slice(0, Math.max(0, maxNumOffsets));
  if (timestamp === EARLIEST) return [partition.logStartOffset];
  return partition.offsetsBefore(timestamp).slice(0, Math.max(0, maxNumOffsets));
}
