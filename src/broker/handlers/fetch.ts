/**
 * Fetch (key 1): whole batches from the log as they are stored, in request order, up to the size limits; long poll in
 * the purgatory until MinBytes are there, an error shows, or MaxWaitMs passed; whoever wakes it up has sizes compared, and
 * nothing is read before it is due. The first batch of the first partition with data is returned even if it is larger
 * than every limit, so that a consumer never gets stuck (KIP-74).
 *
 * Versions below 4 get formats v0/v1 (down-conversion), below 10 no zstd, from 13 on topics go by id. Incremental
 * sessions (KIP-227) are in fetch-sessions.ts.
 */
import { Fetch } from '../../kafka/apis/fetch.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { type RequestOf, ZERO_UUID } from '../../kafka/schema.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import type { FetchSession, WantedPartition } from '../fetch-sessions.ts';
import { handle, type RequestContext } from '../request.ts';
import type { Partition } from '../storage/partition.ts';

type FetchRequest = RequestOf<typeof Fetch>;
const BY_ID_SINCE = 13;
const V2_SINCE = 4;
const FIRST_BATCH_WHOLE_SINCE = 3;
const EMPTY = Buffer.alloc(0);
/** With these the list of aborted transactions is empty, with others null: as Kafka makes its answers. */
const NOT_FOUND: ReadonlySet<number> = new Set([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.TOPIC_AUTHORIZATION_FAILED]);

interface Result {
  readonly partitionIndex: number;
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[] | null;
  readonly divergingEpoch?: EpochEnd;
  readonly records: Buffer | readonly Buffer[];
  /** Bytes of `records`. */
  readonly size: number;
}

interface Collected {
  readonly results: readonly { readonly wanted: WantedPartition; readonly result: Result }[];
  readonly bytes: number;
  readonly failed: boolean;
}

export const fetch = handle(Fetch, (request, context) => {
  const { broker, client } = context;
  const session = broker.fetchSessions.resolve(request, context);
  if (session.errorCode !== ErrorCode.NONE) return { errorCode: session.errorCode, sessionId: 0, responses: [] };
  const first = collect(session, request, context);
  const enough = first.failed || first.bytes >= request.minBytes || session.partitions.length === 0;
  if (enough || request.maxWaitMs <= 0 || isDue(session, request, context)) return finish(first, session, context);
  return new Promise((resolve, reject) => {
    const keys = session.partitions.flatMap((wanted) => broker.topics.partition(wanted.topic, wanted.partition) ?? []);
    const drop = broker.purgatory.wait(keys, request.maxWaitMs, (expired) => {
      // Whoever appends wakes the others: what goes wrong with them is not his.
      try {
        if (!expired && !isDue(session, request, context)) return false;
        resolve(finish(collect(session, request, context), session, context));
      } catch (error) {
        reject(error);
      }
      client.gone.removeEventListener('abort', drop);
      return true;
    });
    client.gone.addEventListener('abort', drop, { once: true });
  });
});

/**
 * Whether there is enough to answer with, or an error. As with Kafka, who reads before the last segment does not wait: one
 * read gives no more than the rest of a segment.
 */
function isDue(session: FetchSession, request: FetchRequest, context: RequestContext): boolean {
  let bytes = 0;
  let beyondLimits = 0;
  for (const wanted of session.partitions) {
    const partition = partitionOf(wanted, context);
    if (typeof partition === 'number') return true;
    if (divergence(partition, wanted) !== null) return true;
    const readable = partition.readableBytes(wanted.fetchOffset, request.isolationLevel === 1);
    if (readable === Number.POSITIVE_INFINITY) return true;
    bytes += Math.min(readable, wanted.maxBytes);
    beyondLimits += readable;
  }
  // A first batch may exceed the limit of its partition; only reading tells by how much.
  return bytes >= request.minBytes || (beyondLimits >= request.minBytes && collect(session, request, context).bytes >= request.minBytes);
}

/** Reads what is there now. */
function collect(session: FetchSession, request: FetchRequest, context: RequestContext): Collected {
  const results: { wanted: WantedPartition; result: Result }[] = [];
  let left = Math.min(context.version >= FIRST_BATCH_WHOLE_SINCE ? request.maxBytes : Number.MAX_SAFE_INTEGER, context.broker.config.own['fetch.max.bytes']);
  let bytes = 0;
  let failed = false;
  for (const wanted of session.partitions) {
    const mayExceed = bytes === 0 && context.version >= FIRST_BATCH_WHOLE_SINCE;
    const result = readPartition(wanted, { left, mayExceed, readCommitted: request.isolationLevel === 1 }, context);
    bytes += result.size;
    left = Math.max(0, left - result.size);
    if (result.errorCode !== ErrorCode.NONE) failed = true;
    results.push({ wanted, result });
  }
  return { results, bytes, failed };
}

interface Limits {
  readonly left: number;
  readonly mayExceed: boolean;
  readonly readCommitted: boolean;
}

function readPartition(wanted: WantedPartition, limits: Limits, context: RequestContext): Result {
  const partition = partitionOf(wanted, context);
  return typeof partition === 'number' ? refused(wanted.partition, partition) : read(partition, wanted, limits, context);
}

/** The partition to read from, or why not. */
function partitionOf(wanted: WantedPartition, { broker, client, version }: RequestContext): Partition | number {
  if (wanted.errorCode !== ErrorCode.NONE) return wanted.errorCode;
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.topic, wanted.topic)) return ErrorCode.TOPIC_AUTHORIZATION_FAILED;
  const partition = broker.topics.partition(wanted.topic, wanted.partition);
  if (!partition) return version >= BY_ID_SINCE && !broker.topics.get(wanted.topic) ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  // A session outlives its topics: another one may have the name by now.
  if (wanted.topicId !== ZERO_UUID && wanted.topicId !== partition.topicId) return ErrorCode.UNKNOWN_TOPIC_ID;
  const fenced = partition.epochError(wanted.currentLeaderEpoch);
  return fenced === ErrorCode.NONE ? partition : fenced;
}

interface EpochEnd {
  readonly epoch: number;
  readonly endOffset: number;
}

/** Where a reader that names the epoch of its last record left the log as it is here (KIP-595); null if it did not. */
function divergence(partition: Partition, { lastFetchedEpoch, fetchOffset }: WantedPartition): EpochEnd | null {
  if (lastFetchedEpoch < 0) return null;
  const end = partition.endOfEpoch(lastFetchedEpoch);
  return end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset ? end : null;
}

function read(partition: Partition, wanted: WantedPartition, limits: Limits, context: RequestContext): Result {
  const divergingEpoch = divergence(partition, wanted);
  if (divergingEpoch !== null) {
    if (divergingEpoch.epoch < 0) return refused(wanted.partition, ErrorCode.OFFSET_OUT_OF_RANGE);
    const { highWatermark, lastStableOffset, logStartOffset } = partition;
    return { ...refused(wanted.partition, ErrorCode.NONE), highWatermark, lastStableOffset, logStartOffset, divergingEpoch };
  }
  const maxBytes = Math.min(wanted.maxBytes, limits.left);
  const got = partition.read(wanted.fetchOffset, { maxBytes, firstWhole: limits.mayExceed, readCommitted: limits.readCommitted });
  if (got.errorCode !== ErrorCode.NONE) return refused(wanted.partition, got.errorCode);
  const shaped =
    context.version >= V2_SINCE ? { errorCode: ErrorCode.NONE, records: got.records } : partition.downConvert(got.records, context.version <= 1 ? 0 : 1);
  if (shaped.errorCode !== ErrorCode.NONE) return refused(wanted.partition, shaped.errorCode);
  if (context.version < 10 && context.version >= V2_SINCE && partition.holdsZstd(shaped.records))
    return refused(wanted.partition, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE);
  return {
    partitionIndex: wanted.partition,
    errorCode: ErrorCode.NONE,
    highWatermark: partition.highWatermark,
    lastStableOffset: partition.lastStableOffset,
    logStartOffset: partition.logStartOffset,
    abortedTransactions: limits.readCommitted ? got.aborted : null,
    records: shaped.records,
    size: shaped.records.length,
  };
}

function refused(partitionIndex: number, errorCode: number): Result {
  return {
    partitionIndex,
    errorCode,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    abortedTransactions: NOT_FOUND.has(errorCode) ? [] : null,
    records: EMPTY,
    size: 0,
  };
}

/** Shapes the answer: grouped by topic in order; in a session only what changed. */
function finish({ results, bytes }: Collected, session: FetchSession, context: RequestContext) {
  const responses: { topic: string; topicId: string; partitions: Result[] }[] = [];
  for (const { wanted, result } of results) {
    if (!session.changed(wanted, result)) continue;
    const last = responses.at(-1);
    if (last && last.topic === wanted.topic && last.topicId === wanted.topicId) last.partitions.push(result);
    else responses.push({ topic: wanted.topic, topicId: wanted.topicId, partitions: [result] });
  }
  session.served(results.filter(({ result }) => result.size > 0).map(({ wanted }) => wanted));
  const throttleTimeMs = context.broker.quotas.fetched(context, bytes);
  if (throttleTimeMs > 0) context.throttle(throttleTimeMs);
  return { throttleTimeMs, errorCode: ErrorCode.NONE, sessionId: session.id, responses };
}
