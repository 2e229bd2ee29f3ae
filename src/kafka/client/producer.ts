/**
 * The lean producer: record batches by straight-line code, one request per leader, all leaders at once. What a leader
 * refuses for now is sent again (new leader, time-out, lost connection); what it refuses for ever is cut out of its batch
 * and answered as a refusal; when time is up the whole send fails and the caller brings it again.
 *
 * Order within a partition: the next batch of a partition is sent when the one before is acknowledged. With
 * enable.idempotence a repeated batch is stored once; after a failed send the producer asks for a new id, because what
 * became of the sequence numbers in use is not known. Transactions are not done here: see kafkajs-producer.ts.
 */
import { Backoff } from '../../lib/backoff.ts';
import { CODECS } from '../../lib/codecs.ts';
import { DeliveryError } from '../../lib/errors.ts';
import { addSequence, HEADER_BYTES, stampProducer } from '../../records/batch.ts';
import { BatchBuilder } from '../../records/builder.ts';
import { Produce } from '../apis/produce.ts';
import { ErrorCode, errorMessage, errorName, isRetriable, needsRefresh } from '../errors.ts';
import { partitionForKey } from '../murmur2.ts';
import type { ResponseOf } from '../schema.ts';
import { Cluster, type ClusterOptions, type TopicInfo } from './cluster.ts';
import { ConnectionError, type KafkaConnection } from './connection.ts';
import { fixOf, OldBrokerError } from './produce-errors.ts';
import { type Identity, newIdentity } from './producer-identity.ts';
import { emptyRecord, isTopicName, type OutRecord, type Producer, type RecordSource, type Refusal } from './records.ts';
import type { ProducerConfig } from './settings.ts';

export interface ProducerOptions extends Omit<ClusterOptions, 'config'> {
  readonly config: ProducerConfig;
}

/** Batches are closed below what brokers take by default (message.max.bytes 1048588). */
const BATCH_BYTES = 1_000_000;
/** Requests are repeated no longer than this: the caller's own back-off is the better place to wait. */
const LONGEST_SEND_MS = 15_000;
const LONGEST_TOPIC_WAIT_MS = 5_000;
/** Builders kept for the next send. */
const SPARE_BUILDERS = 16;
/** Bytes of a record besides key and value, at most, without headers. */
const RECORD_OVERHEAD_BYTES = 36;

const REFUSED = new Set<number>([ErrorCode.INVALID_RECORD, ErrorCode.INVALID_TIMESTAMP]);
const TOO_LARGE = new Set<number>([ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE]);
const PRODUCER_LOST = new Set<number>([
  ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
  ErrorCode.UNKNOWN_PRODUCER_ID,
  ErrorCode.INVALID_PRODUCER_EPOCH,
  ErrorCode.INVALID_PRODUCER_ID_MAPPING,
]);

/** The records of one batch of one partition. */
interface Part {
  readonly topic: string;
  readonly partition: number;
  readonly builder: BatchBuilder;
  /** Which records of the source. */
  readonly indexes: number[];
  /** Once built. */
  bytes: Buffer | undefined;
}

/** Parts of one partition, in order. */
type Lane = Part[];

type PartitionAnswer = ResponseOf<typeof Produce>['responses'][number]['partitionResponses'][number];

/** One send, from planning to the last acknowledgement. */
interface Send {
  readonly records: RecordSource;
  readonly lanes: Map<string, Lane>;
  readonly refusals: Refusal[];
  lastError: unknown;
}

export class LeanProducer implements Producer {
  readonly #config: ProducerConfig;
  readonly #cluster: Cluster;
  readonly #codec: number;
  readonly #level: number | undefined;
  readonly #acks: number;
  readonly #record = emptyRecord();
  readonly #spare: BatchBuilder[] = [];
  readonly #turns = new Map<string, number>();
  readonly #roundRobin: boolean;
  #identity: Identity | undefined;

  /** @throws ConfigError */
  constructor(options: ProducerOptions) {
    const { config } = options;
    this.#config = config;
    this.#cluster = new Cluster(options);
    this.#codec = CODECS[config['compression.type']];
    this.#level = this.#codec === CODECS.gzip ? config['compression.gzip.level'] : config['compression.zstd.level'];
    this.#acks = config['enable.idempotence'] ? -1 : config.acks;
    this.#roundRobin = /RoundRobin/i.test(config['partitioner.class'] ?? '');
  }

  get cluster(): Cluster {
    return this.#cluster;
  }

  async send(records: RecordSource): Promise<readonly Refusal[]> {
    const send: Send = { records, lanes: new Map(), refusals: [], lastError: undefined };
    if (this.#cluster.isStale) await this.#lookAround();
    for (let missing = this.#plan(send); missing.size > 0; missing = this.#plan(send)) await this.#load([...missing]);
    if (this.#config['enable.idempotence'] && this.#identity === undefined) this.#identity = await newIdentity(this.#cluster);
    try {
      await this.#sendAll(send);
      return send.refusals;
    } catch (error) {
      // Which sequence numbers were used is not known; a new producer begins at 0.
      this.#identity = undefined;
      throw error;
    }
  }

  /** Learns of new partitions. A topic that is gone is forgotten, not made again. */
  async #lookAround(): Promise<void> {
    if (this.#turns.size === 0) return;
    const errors = await this.#cluster.load([...this.#turns.keys()], false);
    for (const topic of errors.keys()) this.#turns.delete(topic);
  }

  async close(): Promise<void> {
    this.#cluster.close();
    this.#identity = undefined;
  }

  /** Distributes the records; answers topics that must be asked for first. */
  #plan(send: Send): Set<string> {
    for (const lane of send.lanes.values()) for (const part of lane) this.#release(part.builder);
    send.lanes.clear();
    send.refusals.length = 0;
    const missing = new Set<string>();
    const open = new Map<string, Part[]>();
    const record = this.#record;
    let name = '';
    let info: TopicInfo | undefined;
    let parts: Part[] = [];
    let sticky = -1;
    for (let i = 0; i < send.records.count; i++) {
      if (!send.records.load(i, record)) continue;
      if (record.topic !== name) {
        name = record.topic;
        info = this.#cluster.topic(name);
        if (info === undefined) {
          if (isTopicName(name)) missing.add(name);
          else send.refusals.push({ index: i, topic: name, reason: `"${name}" cannot be the name of a topic` });
          name = '';
          continue;
        }
        parts = open.get(name) ?? [];
        open.set(name, parts);
        sticky = this.#nextPartition(info);
      }
      if (missing.size > 0 || !this.#fits(send, i)) continue;
      if (this.#roundRobin && record.key === null) sticky = this.#nextPartition(info as TopicInfo);
      const partition = this.#choose(info as TopicInfo, record, sticky);
      this.#append(send, parts, partition, i);
    }
    return missing;
  }

  #fits(send: Send, index: number): boolean {
    const record = this.#record;
    let bytes = HEADER_BYTES + RECORD_OVERHEAD_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0);
    for (const [name, value] of record.headers) bytes += name.length + (value?.length ?? 0) + 10;
    if (bytes - RECORD_OVERHEAD_BYTES <= this.#config['max.request.size']) return true;
    const reason = `it has ${bytes - RECORD_OVERHEAD_BYTES - HEADER_BYTES} bytes, more than max.request.size (${this.#config['max.request.size']}) allows`;
    send.refusals.push({ index, topic: record.topic, reason });
    return false;
  }

  #choose(info: TopicInfo, { partition, key, topic }: OutRecord, sticky: number): number {
    if (partition >= 0) {
      if (partition < info.partitions.length) return partition;
      throw new DeliveryError(`topic ${topic} has no partition ${partition}, only 0 to ${info.partitions.length - 1}`, {
        retriable: false,
        fix: 'correct the partition header or defaultPartitionId, or add partitions',
      });
    }
    return key === null ? sticky : partitionForKey(key, info.partitions.length);
  }

  /** The next partition of a topic that has a leader. */
  #nextPartition({ name, partitions }: TopicInfo): number {
    const turn = this.#turns.get(name) ?? Math.floor(Math.random() * partitions.length);
    for (let i = 0; i < partitions.length; i++) {
      const partition = (turn + i) % partitions.length;
      if (partitions[partition]?.leader === -1) continue;
      this.#turns.set(name, partition + 1);
      return partition;
    }
    this.#turns.set(name, turn + 1);
    return turn % partitions.length;
  }

  #append(send: Send, parts: Part[], partition: number, index: number): void {
    const record = this.#record;
    let part = parts[partition];
    const bytes = (record.value?.length ?? 0) + (record.key?.length ?? 0) + RECORD_OVERHEAD_BYTES;
    if (part !== undefined && part.builder.sizeBytes + bytes > Math.min(BATCH_BYTES, this.#config['max.request.size'])) part = undefined;
    if (part === undefined) {
      part = { topic: record.topic, partition, builder: this.#builder(), indexes: [], bytes: undefined };
      parts[partition] = part;
      const key = `${record.topic}-${partition}`;
      const lane = send.lanes.get(key);
      if (lane === undefined) send.lanes.set(key, [part]);
      else lane.push(part);
    }
    part.builder.append(record.key, record.value, record.timestamp, record.headers);
    part.indexes.push(index);
  }

  #builder(): BatchBuilder {
    return this.#spare.pop() ?? new BatchBuilder({ codec: this.#codec, ...(this.#level !== undefined && { level: this.#level }) });
  }

  #release(builder: BatchBuilder): void {
    builder.restart(true);
    if (this.#spare.length < SPARE_BUILDERS) this.#spare.push(builder);
  }

  /** Sends the first part of every lane, round after round, until all are done or time is up. */
  async #sendAll(send: Send): Promise<void> {
    const { clock } = this.#cluster;
    const { 'retry.backoff.ms': minMs, 'retry.backoff.max.ms': maxMs, 'delivery.timeout.ms': timeoutMs, retries } = this.#config;
    const deadline = clock.monotonic() + Math.min(timeoutMs, LONGEST_SEND_MS);
    const backoff = new Backoff({ minMs, maxMs: Math.max(minMs, maxMs) });
    while (send.lanes.size > 0) {
      send.lastError = undefined;
      await this.#round(send);
      if (send.lastError === undefined) continue;
      if (backoff.attempts >= retries || clock.monotonic() >= deadline) throw send.lastError;
      await clock.sleep(backoff.next());
      await this.#load([...new Set([...send.lanes.values()].map((lane) => (lane[0] as Part).topic))]);
    }
  }

  async #round(send: Send): Promise<void> {
    const byLeader = new Map<number, Part[]>();
    for (const [part] of send.lanes.values()) {
      const { topic, partition } = part as Part;
      const leader = this.#cluster.topic(topic)?.partitions[partition]?.leader ?? -1;
      if (leader === -1) {
        send.lastError = new DeliveryError(`partition ${partition} of topic ${topic} has no leader at present`, { fix: 'see that its brokers run' });
        continue;
      }
      const parts = byLeader.get(leader);
      if (parts === undefined) byLeader.set(leader, [part as Part]);
      else parts.push(part as Part);
    }
    await Promise.all([...byLeader].map(([leader, parts]) => this.#request(send, leader, parts)));
  }

  async #request(send: Send, leader: number, all: readonly Part[]): Promise<void> {
    // A request is bounded as a record is; what does not fit goes in the next round.
    const parts: Part[] = [];
    let bytes = 0;
    for (const part of all) {
      if (parts.length > 0 && bytes + part.builder.sizeBytes > Math.max(BATCH_BYTES, this.#config['max.request.size'])) break;
      part.bytes ??= await this.#build(part);
      bytes += part.bytes.length;
      parts.push(part);
    }
    const { 'request.timeout.ms': timeoutMs } = this.#config;
    const body = { acks: this.#acks, timeoutMs, topicData: topicData(parts) };
    try {
      const connection = await this.#cluster.connection(leader);
      this.#checkVersion(connection);
      if (this.#acks === 0) {
        connection.post(Produce, body);
        for (const part of parts) this.#done(send, part, null);
        return;
      }
      const answer = await connection.call(Produce, body, { timeoutMs: timeoutMs + 1_000 });
      for (const { name, partitionResponses } of answer.responses) {
        for (const response of partitionResponses) {
          const part = parts.find((one) => one.topic === name && one.partition === response.index);
          if (part !== undefined) this.#settle(send, part, response);
        }
      }
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      send.lastError = error;
    }
  }

  #checkVersion(connection: KafkaConnection): void {
    if (connection.versionOf(Produce) >= 3) return;
    throw new OldBrokerError('the broker is older than Kafka 0.11 and takes no record batches of the present format');
  }

  async #build(part: Part): Promise<Buffer> {
    const bytes = this.#codec === 0 ? part.builder.finish() : await part.builder.finishAsync();
    const identity = this.#identity;
    if (identity !== undefined) {
      const baseSequence = identity.sequences.get(`${part.topic}-${part.partition}`) ?? 0;
      stampProducer(bytes, { producerId: identity.producerId, producerEpoch: identity.producerEpoch, baseSequence });
    }
    return bytes;
  }

  #settle(send: Send, part: Part, answer: PartitionAnswer): void {
    const { errorCode } = answer;
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) {
      this.#done(send, part, answer.baseOffset);
      return;
    }
    const why = answer.errorMessage ?? errorMessage(errorCode);
    if (TOO_LARGE.has(errorCode) || REFUSED.has(errorCode)) {
      this.#divide(send, part, answer);
    } else if (isRetriable(errorCode) || needsRefresh(errorCode)) {
      send.lastError = new DeliveryError(`partition ${part.partition} of topic ${part.topic}: ${errorName(errorCode)}: ${why}`);
    } else {
      const lost = PRODUCER_LOST.has(errorCode);
      throw new DeliveryError(`topic ${part.topic} refuses the batch: ${errorName(errorCode)}: ${why}`, {
        retriable: lost,
        ...(!lost && { fix: fixOf(errorCode, part.topic) }),
      });
    }
  }

  /** @param baseOffset null = nobody answers */
  #done(send: Send, part: Part, baseOffset: number | null): void {
    const base = baseOffset ?? -1;
    if (send.records.stored) for (const [at, index] of part.indexes.entries()) send.records.stored(index, part.partition, base < 0 ? -1 : base + at);
    const key = `${part.topic}-${part.partition}`;
    const lane = send.lanes.get(key) as Lane;
    lane.shift();
    if (lane.length === 0) send.lanes.delete(key);
    const identity = this.#identity;
    if (identity !== undefined) identity.sequences.set(key, addSequence(identity.sequences.get(key) ?? 0, part.builder.count));
    // Without an answer nobody knows when the slab has left the process.
    if (baseOffset !== null) this.#release(part.builder);
  }

  /** Takes refused records out of a batch, or halves it until the one that is refused stands alone. */
  #divide(send: Send, part: Part, answer: PartitionAnswer): void {
    const lane = send.lanes.get(`${part.topic}-${part.partition}`) as Lane;
    const named = REFUSED.has(answer.errorCode) ? answer.recordErrors : [];
    const reasonOf = (text: string | null): string => text ?? answer.errorMessage ?? errorMessage(answer.errorCode);
    let pieces: number[][];
    if (named.length > 0) {
      const bad = new Map(named.map(({ batchIndex, batchIndexErrorMessage }) => [batchIndex, batchIndexErrorMessage]));
      for (const [at, text] of bad) send.refusals.push({ index: part.indexes[at] ?? 0, topic: part.topic, reason: reasonOf(text) });
      pieces = [part.indexes.filter((_, at) => !bad.has(at))];
    } else if (part.indexes.length === 1) {
      const size = TOO_LARGE.has(answer.errorCode) ? `its record of ${part.bytes?.length ?? 0} bytes is too large for the topic: ` : '';
      send.refusals.push({ index: part.indexes[0] as number, topic: part.topic, reason: `${size}${reasonOf(null)}` });
      pieces = [];
    } else {
      const middle = part.indexes.length >> 1;
      pieces = [part.indexes.slice(0, middle), part.indexes.slice(middle)];
    }
    const parts = pieces.filter((piece) => piece.length > 0).map((piece) => this.#rebuilt(send, part, piece));
    lane.splice(0, 1, ...parts);
    if (lane.length === 0) send.lanes.delete(`${part.topic}-${part.partition}`);
    this.#release(part.builder);
  }

  #rebuilt(send: Send, { topic, partition }: Part, indexes: number[]): Part {
    const builder = this.#builder();
    const record = this.#record;
    for (const index of indexes) {
      send.records.load(index, record);
      builder.append(record.key, record.value, record.timestamp, record.headers);
    }
    return { topic, partition, builder, indexes, bytes: undefined };
  }

  /** Asks for topics until each has partitions. @throws DeliveryError a topic does not exist, or must not be used */
  async #load(topics: readonly string[]): Promise<void> {
    const { clock } = this.#cluster;
    const deadline = clock.monotonic() + Math.min(this.#config['max.block.ms'], LONGEST_TOPIC_WAIT_MS);
    for (;;) {
      const errors = await this.#cluster.load(topics, true);
      const [first] = errors;
      if (first === undefined) return;
      const [topic, code] = first;
      const final = !isRetriable(code) && !needsRefresh(code);
      if (final || clock.monotonic() >= deadline) {
        const text =
          code === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION ? `topic ${topic} does not exist` : `topic ${topic}: ${errorName(code)}: ${errorMessage(code)}`;
        throw new DeliveryError(text, { fix: fixOf(code, topic), retriable: !final });
      }
      await clock.sleep(Math.max(20, this.#config['retry.backoff.ms']));
    }
  }
}

function topicData(parts: readonly Part[]): { name: string; partitionData: { index: number; records: Buffer | null }[] }[] {
  const topics = new Map<string, { index: number; records: Buffer | null }[]>();
  for (const { topic, partition, bytes } of parts) {
    const list = topics.get(topic);
    const entry = { index: partition, records: bytes ?? null };
    if (list === undefined) topics.set(topic, [entry]);
    else list.push(entry);
  }
  return Array.from(topics, ([name, partitionData]) => ({ name, partitionData }));
}
