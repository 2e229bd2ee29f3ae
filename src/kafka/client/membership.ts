/**
 * One member of a classic consumer group (JoinGroup, SyncGroup, Heartbeat, LeaveGroup; Java's ConsumerCoordinator): the
 * calls and what their errors mean. When to make them is the consumer's business.
 */
import { AppError, ProtocolError } from '../../lib/errors.ts';
import { Heartbeat } from '../apis/heartbeat.ts';
import { JoinGroup } from '../apis/join-group.ts';
import { LeaveGroup } from '../apis/leave-group.ts';
import { OffsetCommit } from '../apis/offset-commit.ts';
import { OffsetFetch } from '../apis/offset-fetch.ts';
import { SyncGroup } from '../apis/sync-group.ts';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from '../embedded.ts';
import { ErrorCode, errorMessage, errorName, isRetriable, needsRefresh } from '../errors.ts';
import type { ResponseOf } from '../schema.ts';
import type { Assigned } from './assigned.ts';
import { ASSIGNORS, assignorNames, COOPERATIVE, type Member, type TopicPartitions } from './assignors.ts';
import type { Cluster } from './cluster.ts';
import { ConnectionError, type KafkaConnection } from './connection.ts';
import type { ConsumerConfig } from './settings.ts';
import { type Claim, decodeGeneration, decodeStickyData, encodeGeneration, encodeStickyData } from './sticky-assignor.ts';

/** The group goes on in a new generation: join again. */
export class RebalanceError extends AppError {
  /** The group no longer knows this member: what it had may belong to others already. */
  readonly isThrownOut: boolean;
  constructor(message: string, isThrownOut: boolean) {
    super('KAFKA_REBALANCE', message, { retriable: true });
    this.isThrownOut = isThrownOut;
  }
}

export interface Assignment {
  readonly partitions: readonly TopicPartitions[];
  /** What this member had and has no more may be given to another only after it has joined again. */
  readonly isCooperative: boolean;
}

type JoinAnswer = ResponseOf<typeof JoinGroup>;

const PROTOCOL_TYPE = 'consumer';
/** JoinGroup is answered when all have joined; the network may take its time too. */
const JOIN_SLACK_MS = 5_000;
const LEAVE_TIMEOUT_MS = 2_000;

export class Membership {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  #coordinator: number | undefined;
  #memberId = '';
  #generation = -1;

  constructor(cluster: Cluster, config: ConsumerConfig) {
    this.#cluster = cluster;
    this.#config = config;
  }

  get generation(): number {
    return this.#generation;
  }
  get isMember(): boolean {
    return this.#memberId !== '';
  }

  /**
   * Joins, and assigns partitions if this member is made leader. `claim`: what it has, and since which generation.
   * @throws RebalanceError try again; ConnectionError, ProtocolError
   */
  async join(topics: readonly string[], claim: Claim): Promise<Assignment> {
    const answer = await this.#join(topics, claim);
    this.#generation = answer.generationId;
    const plan = answer.leader === this.#memberId && !answer.skipAssignment ? await this.#plan(answer) : [];
    const synced = await this.#call((connection) =>
      connection.call(SyncGroup, {
        ...this.#identity(),
        protocolType: PROTOCOL_TYPE,
        protocolName: answer.protocolName,
        assignments: plan,
      }),
    );
    this.#check('SyncGroup', synced.errorCode);
    return { partitions: decodeAssignment(synced.assignment).assignedPartitions, isCooperative: answer.protocolName === COOPERATIVE };
  }

  async #join(topics: readonly string[], claim: Claim): Promise<JoinAnswer> {
    const { 'max.poll.interval.ms': rebalanceTimeoutMs } = this.#config;
    for (;;) {
      const answer = await this.#call((connection) =>
        connection.call(
          JoinGroup,
          {
            groupId: this.#config['group.id'],
            sessionTimeoutMs: this.#config['session.timeout.ms'],
            rebalanceTimeoutMs,
            memberId: this.#memberId,
            groupInstanceId: this.#config['group.instance.id'] ?? null,
            protocolType: PROTOCOL_TYPE,
            protocols: assignorNames(this.#config['partition.assignment.strategy']).map((name) => ({ name, metadata: subscription(name, topics, claim) })),
          },
          { timeoutMs: rebalanceTimeoutMs + JOIN_SLACK_MS },
        ),
      );
      if (answer.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
        this.#memberId = answer.memberId;
        continue;
      }
      this.#check('JoinGroup', answer.errorCode);
      this.#memberId = answer.memberId;
      return answer;
    }
  }

  async #plan(answer: JoinAnswer): Promise<{ memberId: string; assignment: Buffer }[]> {
    const protocol = answer.protocolName ?? '';
    const members: Member[] = answer.members.map(({ memberId, groupInstanceId, metadata }) => ({
      memberId,
      instanceId: groupInstanceId,
      ...subscribed(protocol, metadata),
    }));
    const topics = [...new Set(members.flatMap((member) => member.topics))];
    await this.#cluster.load(topics, this.#config['allow.auto.create.topics']);
    const assign = ASSIGNORS[protocol];
    if (assign === undefined) throw new ProtocolError(`group ${this.#config['group.id']} assigns by ${protocol}, which is not known here`);
    const plan = assign(members, (topic) => this.#cluster.topic(topic)?.partitions.length);
    return Array.from(plan, ([memberId, byTopic]) => ({
      memberId,
      assignment: encodeAssignment({ assignedPartitions: Array.from(byTopic, ([topic, partitions]) => ({ topic, partitions })) }, 1),
    }));
  }

  /** Says that this member lives. @throws RebalanceError, ConnectionError, ProtocolError */
  async heartbeat(): Promise<void> {
    const { errorCode } = await this.#call((connection) => connection.call(Heartbeat, this.#identity(), { timeoutMs: this.#config['session.timeout.ms'] }));
    this.#check('Heartbeat', errorCode);
  }

  /** Stores how far each partition is safe. @throws RebalanceError, ConnectionError, ProtocolError */
  async commit(partitions: readonly { readonly partition: Assigned; readonly offset: number }[]): Promise<void> {
    const { generationId, ...member } = this.#identity();
    const topics = new Map<string, { partitionIndex: number; committedOffset: number; committedMetadata: string }[]>();
    for (const { partition, offset } of partitions) {
      const list = topics.get(partition.topic) ?? [];
      list.push({ partitionIndex: partition.partition, committedOffset: offset, committedMetadata: '' });
      topics.set(partition.topic, list);
    }
    const answer = await this.#call((connection) =>
      connection.call(
        OffsetCommit,
        { ...member, generationIdOrMemberEpoch: generationId, topics: Array.from(topics, ([name, list]) => ({ name, partitions: list })) },
        { version: connection.versionOf(OffsetCommit, 8) },
      ),
    );
    for (const { partitions: answers } of answer.topics) for (const { errorCode } of answers) this.#check('OffsetCommit', errorCode);
  }

  /** Committed offsets of these partitions, in their order; -1 = none. */
  async committed(partitions: readonly Assigned[]): Promise<number[]> {
    if (partitions.length === 0) return [];
    const byTopic = new Map<string, number[]>();
    for (const { topic, partition } of partitions) byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition]);
    const topics = Array.from(byTopic, ([name, partitionIndexes]) => ({ name, partitionIndexes }));
    const groupId = this.#config['group.id'];
    const requireStable = this.#config['isolation.level'] === 'read_committed';
    const answer = await this.#call((connection) => {
      const version = connection.versionOf(OffsetFetch, 8);
      const body = version >= 8 ? { groups: [{ groupId, topics }], requireStable } : { groupId, topics, ...(version >= 7 && { requireStable }) };
      return connection.call(OffsetFetch, body, { version });
    });
    const group = answer.groups[0] ?? answer;
    this.#check('OffsetFetch', group.errorCode);
    return partitions.map((wanted) => {
      const found = group.topics.find(({ name }) => name === wanted.topic)?.partitions.find(({ partitionIndex }) => partitionIndex === wanted.partition);
      if (found !== undefined) this.#check('OffsetFetch', found.errorCode);
      return found?.committedOffset ?? -1;
    });
  }

  /** Leaves, so that the others need not wait for the session to end. A member with a fixed name stays, as Java's do. */
  async leave(): Promise<void> {
    if (!this.isMember || this.#config['group.instance.id'] !== undefined || this.#coordinator === undefined) return;
    const { groupId, memberId } = this.#identity();
    const connection = await this.#cluster.connection(this.#coordinator, 'group');
    const version = connection.versionOf(LeaveGroup);
    const body = version >= 3 ? { groupId, members: [{ memberId, groupInstanceId: null, reason: 'the consumer is being closed' }] } : { groupId, memberId };
    this.forget();
    await connection.call(LeaveGroup, body, { version, timeoutMs: LEAVE_TIMEOUT_MS });
  }

  /** Begins as a stranger with the next join. */
  forget(): void {
    this.#memberId = '';
    this.#generation = -1;
  }

  #identity() {
    return {
      groupId: this.#config['group.id'],
      generationId: this.#generation,
      memberId: this.#memberId,
      groupInstanceId: this.#config['group.instance.id'] ?? null,
    };
  }

  async #call<T>(request: (connection: KafkaConnection) => Promise<T>): Promise<T> {
    try {
      this.#coordinator ??= await this.#cluster.coordinator(this.#config['group.id'], 0);
      return await request(await this.#cluster.connection(this.#coordinator, 'group'));
    } catch (error) {
      if (error instanceof ConnectionError) this.#coordinator = undefined;
      throw error;
    }
  }

  /** @throws RebalanceError, ProtocolError */
  #check(api: string, errorCode: number): void {
    const group = `group ${this.#config['group.id']}`;
    switch (errorCode) {
      case ErrorCode.NONE:
        return;
      case ErrorCode.REBALANCE_IN_PROGRESS:
        throw new RebalanceError(`${group} is being rebalanced`, false);
      case ErrorCode.UNKNOWN_MEMBER_ID:
      case ErrorCode.ILLEGAL_GENERATION:
        this.forget();
        throw new RebalanceError(`${group} went on without this member`, true);
      case ErrorCode.FENCED_INSTANCE_ID:
        this.forget();
        throw new ProtocolError(`another member of ${group} uses group.instance.id ${this.#config['group.instance.id']}`, {
          wireCode: errorCode,
          fix: 'give each member an id of its own',
        });
      default: {
        if (errorCode === ErrorCode.NOT_COORDINATOR || errorCode === ErrorCode.COORDINATOR_NOT_AVAILABLE) this.#coordinator = undefined;
        const retriable = isRetriable(errorCode) || needsRefresh(errorCode);
        throw new ProtocolError(`${group}: ${api} was refused: ${errorName(errorCode)}: ${errorMessage(errorCode)}`, { wireCode: errorCode, retriable });
      }
    }
  }
}

/** What a member tells the leader under one assignor. Version 1 is understood by all that know more than range. */
function subscription(assignor: string, topics: readonly string[], { owned, generation }: Claim): Buffer {
  const mine = owned.map(({ topic, partitions }) => ({ topic, partitions: [...partitions] }));
  if (assignor === COOPERATIVE) return encodeSubscription({ topics: [...topics], userData: encodeGeneration(generation), ownedPartitions: mine }, 1);
  const userData = assignor === 'sticky' && owned.length > 0 ? encodeStickyData(owned, generation) : null;
  return encodeSubscription({ topics: [...topics], userData, ownedPartitions: [] }, 1);
}

function subscribed(assignor: string, metadata: Buffer): Claim & Pick<Member, 'topics'> {
  const { topics, userData, ownedPartitions, generationId } = decodeSubscription(metadata);
  if (assignor === 'sticky') return { topics, ...decodeStickyData(userData) };
  return { topics, owned: ownedPartitions, generation: generationId >= 0 ? generationId : assignor === COOPERATIVE ? decodeGeneration(userData) : -1 };
}
