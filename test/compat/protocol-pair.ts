/**
 * Two brokers asked the same thing: a real Kafka and ours. A request is declared once and goes to both over sockets of its
 * own, encoded by our codec; the decoded answers are compared leaf by leaf. What two brokers cannot have in common (ids that
 * they draw, ports, clocks) is given a name first: an id is called after the request whose answer first showed it, so that a
 * later answer has to show the same one. What is left must be equal, or be in {@link file://./protocol-allowed.ts}.
 */

import { ApiVersions } from '../../src/kafka/apis/api-versions.ts';
import { decodeResponse, encodeRequest } from '../../src/kafka/headers.ts';
import { type AnyApi, type AnyField, type Fields, type ResponseOf, within, ZERO_UUID } from '../../src/kafka/schema.ts';
import { ByteReader } from '../../src/lib/bytes.ts';
import { BatchView, sizeAt } from '../../src/records/batch.ts';
import { RawClient } from '../integration/broker-harness.ts';

export const OURS = 0;
export const REAL = 1;
type Side = 0 | 1;
type Draft = object;
type Named = { readonly [name: string]: unknown };
/** Longer than any answer takes; a broker that says nothing until then says nothing. */
const ANSWER_MS = 4000;
const NOT_THERE = '(absent)';
/** One broker's answer: decoded, or a word for what happened instead. */
type Answer<A extends AnyApi> = ResponseOf<A>;

/** One leaf in which the two differ. */
export interface Difference {
  readonly request: string;
  readonly path: string;
  readonly ours: string;
  readonly real: string;
}

export interface AskOptions {
  /** Which connection; requests on one are answered in order. */
  readonly on?: string;
  /** The request gets no answer (acks = 0). */
  readonly silent?: boolean;
}

/** Lists whose order Kafka leaves to a hash table, and what to sort them by. */
const UNORDERED: Readonly<Record<string, string>> = {
  'Produce.responses': 'name',
  'Produce.partitionResponses': 'index',
  'Fetch.responses': 'topic',
  'Metadata.topics': 'name',
  'DescribeGroups.groups': 'groupId',
  'DeleteGroups.results': 'groupId',
  'JoinGroup.members': 'groupInstanceId',
  'DescribeGroups.members': 'groupInstanceId',
  'AddPartitionsToTxn.resultsByTopicV3AndBelow': 'name',
  'AddPartitionsToTxn.resultsByPartition': 'partitionIndex',
  'DeleteTopics.responses': 'name,errorCode',
  'AlterReplicaLogDirs.results': 'topicName',
  'AlterReplicaLogDirs.partitions': 'partitionIndex',
  'DescribeUserScramCredentials.credentialInfos': 'mechanism',
  'DescribeProducers.activeProducers': 'producerEpoch,lastSequence',
  'DescribeUserScramCredentials.results': 'user',
  'AlterUserScramCredentials.results': 'user',
  'Metadata.partitions': 'partitionIndex',
  'CreateTopics.topics': 'name',
  'CreatePartitions.results': 'name',
  'AlterClientQuotas.entity': 'entityType',
  'ListGroups.groups': 'groupId',
  'DescribeAcls.resources': 'resourceName,patternType',
  'DescribeAcls.acls': 'principal,operation,host,permissionType',
  'DeleteAcls.matchingAcls': 'principal,operation,resourceName,patternType,host,permissionType',
  'DescribeConfigs.configs': 'name',
  'CreateTopics.configs': 'name',
  'DescribeLogDirs.topics': 'name',
  'DescribeLogDirs.partitions': 'partitionIndex',
  'ListTransactions.transactionStates': 'transactionalId',
  'DescribeTransactions.topics': 'topic',
  'DescribeClientQuotas.entries': 'entity',
  'DescribeClientQuotas.values': 'key',
  'DescribeClientQuotas.entity': 'entityType',
  'OffsetFetch.topics': 'name',
  'OffsetFetch.partitions': 'partitionIndex',
  'OffsetCommit.topics': 'name',
  'ApiVersions.apiKeys': 'apiKey',
  'ApiVersions.supportedFeatures': 'name',
  'ApiVersions.finalizedFeatures': 'name',
};

/** One broker and what is known of the ids that it drew. */
class Lane {
  readonly port: number;
  readonly side: Side;
  readonly #clients = new Map<string, Promise<RawClient>>();
  readonly #names = new Map<string, string>();
  #correlationId = 0;

  constructor(side: Side, port: number) {
    this.side = side;
    this.port = port;
  }

  client(on: string): Promise<RawClient> {
    let client = this.#clients.get(on);
    if (client === undefined) {
      client = RawClient.open(this.port);
      this.#clients.set(on, client);
    }
    return client;
  }

  async ask(api: AnyApi, version: number, body: Draft, { on = 'main', silent = false }: AskOptions): Promise<unknown> {
    const client = await this.client(on);
    const id = ++this.#correlationId;
    client.send(Buffer.concat(encodeRequest({ api, version, correlationId: id, clientId: 'pair' }, body as never)));
    if (silent) return typeof (await this.ask(ApiVersions, 0, {}, { on })) === 'string' ? 'closed' : 'open';
    const frame = await client.frame(ANSWER_MS).catch(() => 'silence');
    if (frame === null || typeof frame === 'string') {
      client.close();
      this.#clients.delete(on);
      return frame ?? 'closed';
    }
    if (frame.readInt32BE(0) !== id) return `answer to ${frame.readInt32BE(0)} instead of ${id}`;
    const reader = new ByteReader(frame);
    reader.i32();
    const answer = decodeResponse(api, version, reader);
    return reader.remaining === 0 ? answer : `${reader.remaining} bytes too many`;
  }

  /** Bytes that may not be a request; the frame that comes back as hex without its correlation id, or 'closed'. */
  async raw(bytes: Buffer): Promise<string> {
    const client = await RawClient.open(this.port);
    client.send(bytes);
    const frame = await client.frame(10_000).catch(() => 'silence');
    client.close();
    return frame === null ? 'closed' : typeof frame === 'string' ? frame : frame.toString('hex');
  }

  /** The name of an id that this broker drew: where it was first seen. */
  named(id: string, where: string): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    this.#names.set(id, `<${where}>`);
    return `<${where}>`;
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) (await client).close();
  }
}

/** Keeps what the version has. @throws Error for a name that the API does not have: a mistake in the case */
function fitted(fields: Fields, version: number, draft: Draft): Draft {
  const kept: { [name: string]: unknown } = {};
  for (const [name, value] of Object.entries(draft)) {
    const field = fields[name];
    if (field === undefined) throw new Error(`no field ${name}`);
    if (within(field.spec.versions, version)) kept[name] = fitValue(field, version, value);
  }
  return kept;
}

function fitValue(field: AnyField, version: number, value: unknown): unknown {
  const { kind, element, fields } = field.spec;
  if (value === null) return null;
  if (kind === 'struct') return fitted(fields as Fields, version, value as Draft);
  if (kind === 'array') return (value as unknown[]).map((one) => fitValue(element as AnyField, version, one));
  return value;
}

/** What stands in a Fetch answer's records, without what brokers write into it themselves. Kafka's last one may be cut. */
function describeRecords(buf: Buffer): unknown[] {
  const out: unknown[] = [];
  for (let at = 0; at + 17 <= buf.length; at += sizeAt(buf, at)) {
    const batch = new BatchView(buf, at);
    if (at + sizeAt(buf, at) > buf.length) break;
    const common = { magic: batch.magic, baseOffset: batch.baseOffset, sizeBytes: batch.sizeBytes };
    if (batch.magic < 2) out.push(common);
    else {
      const { attributes, lastOffsetDelta, producerEpoch, baseSequence, count, leaderEpoch } = batch;
      const stamp = batch.isControl || batch.isLogAppendTime ? '<now>' : `${batch.baseTimestamp}-${batch.maxTimestamp}`;
      out.push({ ...common, attributes, lastOffsetDelta, producerEpoch, baseSequence, count, leaderEpoch, stamp });
    }
  }
  return out;
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? `${value}` : JSON.stringify(value);
}

/** The outermost element on this path of which these leaves have nothing. */
function lacks(path: string, leaves: ReadonlyMap<string, string>): string | undefined {
  for (const { index } of path.matchAll(/\]/g)) {
    const element = path.slice(0, index + 1);
    if (![...leaves.keys()].some((known) => known.startsWith(element))) return element;
  }
  return undefined;
}

/** Random ids in text: those of members, groups, topics. */
const IDS = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** An answer in which ids have names; leaves by path. */
class Leaves {
  readonly all = new Map<string, string>();
  readonly #lane: Lane;
  readonly #request: string;
  readonly #api: string;

  constructor(lane: Lane, api: string, request: string) {
    this.#lane = lane;
    this.#api = api;
    this.#request = request;
  }

  walk(value: unknown, key: string, path: string): void {
    if (Buffer.isBuffer(value)) {
      if (key === 'records') this.walk(describeRecords(value), 'batches', path);
      else this.all.set(path, `bytes ${value.toString('hex')}`);
    } else if (Array.isArray(value)) {
      this.all.set(`${path}.length`, `${value.length}`);
      const by = UNORDERED[`${this.#api}.${key}`];
      const order = (one: unknown): string =>
        (by as string)
          .split(',')
          .map((name) => text((one as Named)[name]))
          .join();
      if (by !== undefined) for (const one of [...value].sort((a, b) => (order(a) < order(b) ? -1 : 1))) this.walk(one, key, `${path}[${order(one)}]`);
      else for (const [i, one] of value.entries()) this.walk(one, key, `${path}[${i}]`);
    } else if (typeof value === 'object' && value !== null) {
      const { name, topicName } = value as { name?: unknown; topicName?: unknown };
      for (const [field, one] of Object.entries(value)) {
        const topic = typeof name === 'string' ? name : topicName;
        if (field === 'topicId' && typeof topic === 'string' && one !== ZERO_UUID) this.#lane.named(one as string, `id of ${topic}`);
        this.walk(one, field, path === '' ? field : `${path}.${field}`);
      }
    } else this.all.set(path, this.#leaf(value, key, path));
  }

  #leaf(value: unknown, key: string, path: string): string {
    if (key === 'throttleTimeMs') return '<throttle>';
    if (key === 'clusterId') return '<cluster>';
    if (key === 'logDir') return '<dir>';
    if (key === 'sessionId' && value !== 0) return '<session>';
    if (key === 'usableBytes') return '<room>';
    if (key === 'port' && value === this.#lane.port) return '<port>';
    if (key === 'producerId' && (value as number) >= 0) return this.#lane.named(`producer ${value}`, `${this.#request} ${path}`);
    if (typeof value === 'number') return Math.abs(value - Date.now()) < 600_000 ? '<now>' : `${value}`;
    if (typeof value !== 'string') return String(value);
    if (key === 'topicId' && value !== ZERO_UUID) return this.#lane.named(value, value);
    const known = value.replaceAll(IDS, (id) => this.#lane.named(id, `${this.#request} ${path}`));
    return JSON.stringify(known.replaceAll(`:${this.#lane.port}`, ':<port>'));
  }
}

export class Pair {
  readonly differences: Difference[] = [];
  /** Requests whose answers were compared. */
  compared = 0;
  /** By API: the versions asked. */
  readonly asked = new Map<string, Set<number>>();
  readonly #lanes: readonly [Lane, Lane];
  readonly #ranges = new Map<number, readonly [number, number]>();

  constructor(ours: number, real: number) {
    this.#lanes = [new Lane(OURS, ours), new Lane(REAL, real)];
  }

  /** Learns which versions the real one has. */
  async negotiate(): Promise<void> {
    const { apiKeys } = (await this.#lanes[REAL].ask(ApiVersions, 3, { clientSoftwareName: 'pair', clientSoftwareVersion: '1' }, {})) as ResponseOf<
      typeof ApiVersions
    >;
    for (const { apiKey, minVersion, maxVersion } of apiKeys) this.#ranges.set(apiKey, [minVersion, maxVersion]);
  }

  /** The lowest, a middle and the highest version that both have. */
  versions(api: AnyApi): number[] {
    const [low, high] = this.range(api);
    return [...new Set([low, (low + high) >> 1, high])].filter((version) => version >= low && version <= high);
  }

  range(api: AnyApi): readonly [low: number, high: number] {
    const [low, high] = this.#ranges.get(api.key) ?? [0, -1];
    return [Math.max(low, api.offered[0]), Math.min(high, api.offered[1])];
  }

  /**
   * Asks both and compares. `body` is what to ask, or makes it for each side. Fields that the version does not have are left
   * out. A version without null where the body has one is not asked: null.
   */
  async ask<A extends AnyApi>(
    what: string,
    api: A,
    version: number,
    body: Draft | ((side: Side) => Draft),
    options: AskOptions = {},
  ): Promise<readonly [Answer<A>, Answer<A>]> {
    const request = `${api.name} v${version} ${what}`;
    const answers = await Promise.all(
      this.#lanes.map((lane) => lane.ask(api, version, fitted(api.request, version, typeof body === 'function' ? body(lane.side) : body), options)),
    );
    this.asked.set(api.name, (this.asked.get(api.name) ?? new Set()).add(version));
    this.#compare(request, api.name, answers);
    return answers as unknown as readonly [Answer<A>, Answer<A>];
  }

  /** {@link ask} at the lowest, a middle and the highest version. */
  async each(what: string, api: AnyApi, body: Draft | ((version: number, side: Side) => Draft), options: AskOptions = {}): Promise<void> {
    for (const version of this.versions(api)) await this.ask(what, api, version, typeof body === 'function' ? (side) => body(version, side) : body, options);
  }

  /** {@link ask} at the highest version. */
  async last<A extends AnyApi>(
    what: string,
    api: A,
    body: Draft | ((side: Side) => Draft),
    options: AskOptions = {},
  ): Promise<readonly [Answer<A>, Answer<A>]> {
    return this.ask(what, api, this.range(api)[1], body, options);
  }

  /** {@link last}, again while the answers differ, for up to 3 s: Kafka's brokers hear of a change after it was answered. */
  async settled(what: string, api: AnyApi, body: Draft): Promise<void> {
    const [differences, compared, deadline] = [this.differences.length, this.compared, performance.now() + 3000];
    for (;;) {
      await this.last(what, api, body);
      if (this.differences.length === differences || performance.now() > deadline) return;
      this.differences.length = differences;
      this.compared = compared;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  /** Sends bytes as they are, on a connection of its own. */
  async raw(what: string, bytes: Buffer): Promise<void> {
    this.#compare(`raw ${what}`, 'raw', await Promise.all(this.#lanes.map((lane) => lane.raw(bytes))));
  }

  /** Asks both, without comparing, until both answers please. */
  async until<A extends AnyApi>(what: string, api: A, body: Draft | ((side: Side) => Draft), pleases: (answer: Answer<A>) => boolean): Promise<void> {
    const version = this.range(api)[1];
    for (const lane of this.#lanes) {
      const deadline = performance.now() + 20_000;
      for (;;) {
        const answer = await lane.ask(api, version, fitted(api.request, version, typeof body === 'function' ? body(lane.side) : body), { on: 'until' });
        if (pleases(answer as Answer<A>)) break;
        if (performance.now() > deadline) throw new Error(`waited in vain for ${what}: ${JSON.stringify(answer)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async close(): Promise<void> {
    for (const lane of this.#lanes) await lane.close();
  }

  #compare(request: string, api: string, answers: readonly unknown[]): void {
    this.compared++;
    const [ours, real] = this.#lanes.map((lane) => {
      const leaves = new Leaves(lane, api, request);
      leaves.walk(answers[lane.side], '', '');
      return leaves.all;
    }) as [Map<string, string>, Map<string, string>];
    const told: string[] = [];
    for (const path of new Set([...ours.keys(), ...real.keys()])) {
      const [a, b] = [ours.get(path) ?? NOT_THERE, real.get(path) ?? NOT_THERE];
      if (a === b || told.some((known) => path.startsWith(known))) continue;
      // One line says enough about an element, or a list, that only one of them has.
      const lacking = a === NOT_THERE ? ours : real;
      const element = a === NOT_THERE || b === NOT_THERE ? lacks(path, lacking) : undefined;
      this.differences.push({ request, path: element ?? path, ours: a, real: b });
      if (element !== undefined) told.push(element);
      else if (path.endsWith('.length') && (a === '0' || b === '0')) told.push(`${path.slice(0, -'.length'.length)}[`);
    }
  }
}
