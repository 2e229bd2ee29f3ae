/**
 * Drives the group coordinator by hand: numbers for time, an array for a log, and clients that note their answers.
 * Like the real host it applies what was decided before anybody is answered.
 */

import type { JoinReply, SyncReply } from '../src/broker/coordinator/group-rebalance.ts';
import { type GroupCommand, type GroupReplies, type GroupReply, type GroupRules, Groups } from '../src/broker/coordinator/groups.ts';
import type { StateRecord } from '../src/broker/coordinator/machine.ts';
import type { JoinGroup } from '../src/kafka/apis/join-group.ts';
import type { OffsetCommit } from '../src/kafka/apis/offset-commit.ts';
import { encodeSubscription } from '../src/kafka/embedded.ts';
import type { RequestOf } from '../src/kafka/schema.ts';

type Answered<R> = { reply?: R };

export const GROUP_RULES: GroupRules = {
  initialDelayMs: 3000,
  minSessionMs: 6000,
  maxSessionMs: 1_800_000,
  maxSize: 1000,
  newId: () => 'unset',
  maxMetadataBytes: 4096,
  retentionMs: 7 * 86_400_000,
  partitions: 50,
  expiryIntervalMs: 600_000,
  consumer: {
    assignors: ['uniform', 'range'],
    sessionMs: 45_000,
    heartbeatMs: 5000,
    maxSize: 1000,
    migration: 'bidirectional',
    topics: { topicsVersion: 0, topics: new Map() },
  },
};

export interface JoinOptions {
  readonly memberId?: string;
  readonly instanceId?: string;
  readonly version?: number;
  readonly protocols?: readonly string[];
  readonly topics?: readonly string[];
  /** What it says it holds, by topic. */
  readonly owned?: Readonly<Record<string, readonly number[]>>;
  readonly sessionMs?: number;
  readonly rebalanceMs?: number;
  readonly clientId?: string;
  readonly protocolType?: string;
}

/** Far more than all members of a test have deadlines. */
const MOST_TICKS = 100_000;

export class GroupDriver {
  readonly rules: GroupRules;
  groups: Groups;
  now = 1_000_000;
  readonly log: { record: StateRecord; offset: number }[] = [];
  /** Ends of transactions, each with the length of the log before it. */
  readonly #markers: { producerId: number; commit: boolean; partition: number; at: number }[] = [];
  #ticket = 0;
  #ids = 0;
  readonly #waiting = new Map<number, Answered<GroupReply>>();

  constructor(rules: Partial<GroupRules> = {}) {
    this.rules = { ...GROUP_RULES, newId: () => `m${++this.#ids}`, ...rules };
    this.groups = new Groups(this.rules);
    this.groups.loaded(this.now);
  }

  /** Replays the log into a new coordinator, as after a crash; waiting calls are lost. */
  restart(): void {
    this.groups = new Groups(this.rules);
    const markers = [...this.#markers];
    const finish = (until: number): void => {
      while (markers[0] !== undefined && markers[0].at <= until) {
        const { producerId, commit, partition } = markers.shift()!;
        this.groups.finish(producerId, commit, partition);
      }
    };
    for (const { record, offset } of this.log) {
      finish(offset);
      this.groups.apply(record, offset);
    }
    finish(this.log.length);
    this.groups.loaded(this.now);
    this.#waiting.clear();
  }

  /** A transaction of this producer ends in a partition of the log. */
  marker(producerId: number, commit: boolean, partition: number): void {
    this.#markers.push({ producerId, commit, partition, at: this.log.length });
    this.groups.finish(producerId, commit, partition);
  }

  run<K extends keyof GroupReplies>(command: Extract<GroupCommand, { kind: K }>): GroupReplies[K] {
    return this.#step(command) as GroupReplies[K];
  }

  tell(command: GroupCommand): void {
    this.#step(command);
  }

  #step(command: GroupCommand): GroupReply | undefined {
    const { records, reply, wake } = this.groups.decide(command, this.now);
    for (const record of records) {
      const offset = this.log.length;
      this.log.push({ record, offset });
      this.groups.apply(record, offset);
    }
    for (const [ticket, answer] of wake ?? []) {
      const waiting = this.#waiting.get(ticket);
      if (waiting?.reply !== undefined) throw new Error(`ticket ${ticket} is answered twice`);
      if (waiting) waiting.reply = answer;
    }
    return reply;
  }

  /** Time passes; everything that falls due happens at its moment. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (let ticks = 0; this.groups.nextDeadline() <= until; ticks++) {
      if (ticks > MOST_TICKS) throw new Error(`what was due at ${this.groups.nextDeadline()} stays due, however often the clock ticks`);
      this.now = Math.max(this.now, this.groups.nextDeadline());
      this.#step({ kind: 'tick' });
    }
    this.now = until;
  }

  ticket<R extends GroupReply>(): { ticket: number; answered: Answered<R> } {
    const answered: Answered<R> = {};
    this.#waiting.set(++this.#ticket, answered as Answered<GroupReply>);
    return { ticket: this.#ticket, answered };
  }

  join(groupId: string, options: JoinOptions = {}): Answered<JoinReply> & { ticket: number } {
    const { memberId = '', instanceId = null, version = 9, protocols = ['range'], topics = ['t'], protocolType = 'consumer' } = options;
    const ownedPartitions = Object.entries(options.owned ?? {}).map(([topic, partitions]) => ({ topic, partitions }));
    const metadata = encodeSubscription({ topics: [...topics], ownedPartitions });
    const request: RequestOf<typeof JoinGroup> = {
      groupId,
      memberId,
      groupInstanceId: instanceId,
      sessionTimeoutMs: options.sessionMs ?? 10_000,
      rebalanceTimeoutMs: options.rebalanceMs ?? 60_000,
      protocolType,
      protocols: protocols.map((name) => ({ name, metadata })),
      reason: null,
    };
    const { ticket, answered } = this.ticket<JoinReply>();
    this.tell({ kind: 'join', ticket, version, request, clientId: options.clientId ?? 'c', clientHost: '/127.0.0.1', mayDescribe: () => true });
    return Object.assign(answered, { ticket });
  }

  /** A whole first join of a dynamic member: asks for an id, then joins with it. */
  enter(groupId: string, options: JoinOptions = {}): Answered<JoinReply> & { memberId: string; ticket: number } {
    const { memberId } = this.join(groupId, options).reply!;
    return Object.assign(this.join(groupId, { ...options, memberId }), { memberId });
  }

  sync(
    groupId: string,
    memberId: string,
    generationId: number,
    assignments: Record<string, string | Buffer> = {},
    instanceId: string | null = null,
  ): Answered<SyncReply> & { ticket: number } {
    const { ticket, answered } = this.ticket<SyncReply>();
    const list = Object.entries(assignments).map(([id, data]) => ({ memberId: id, assignment: typeof data === 'string' ? Buffer.from(data) : data }));
    const request = { groupId, memberId, generationId, groupInstanceId: instanceId, protocolType: null, protocolName: null, assignments: list };
    this.tell({ kind: 'sync', ticket, version: 4, request });
    return Object.assign(answered, { ticket });
  }

  heartbeat(groupId: string, memberId: string, generationId: number, groupInstanceId: string | null = null): number {
    return this.run<'heartbeat'>({ kind: 'heartbeat', request: { groupId, memberId, generationId, groupInstanceId } }).errorCode;
  }

  leave(groupId: string, memberId: string, groupInstanceId: string | null = null): number {
    const request = { groupId, memberId: '', members: [{ memberId, groupInstanceId, reason: null }] };
    return this.run<'leave'>({ kind: 'leave', version: 5, request }).members![0]!.errorCode;
  }

  commit(
    groupId: string,
    offset: number,
    options: { memberId?: string; generation?: number; topic?: string; partition?: number; metadata?: string; version?: number } = {},
  ): number {
    const { memberId = '', generation = -1, topic = 't', partition = 0, metadata = '', version = 8 } = options;
    const request: RequestOf<typeof OffsetCommit> = {
      groupId,
      memberId,
      generationIdOrMemberEpoch: generation,
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [
        {
          name: topic,
          partitions: [{ partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: -1, commitTimestamp: -1, committedMetadata: metadata }],
        },
      ],
    };
    return this.run<'commit'>({ kind: 'commit', request, version, exists: (name) => name !== 'missing' }).topics[0]!.partitions[0]!.errorCode;
  }

  txnCommit(groupId: string, offset: number, producerId: number, options: { memberId?: string; generation?: number; partition?: number } = {}): number {
    const { memberId = '', generation = -1, partition = 0 } = options;
    const topics = [{ name: 't', partitions: [{ partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: -1, committedMetadata: null }] }];
    const request = { transactionalId: 'tx', groupId, producerId, producerEpoch: 0, generationId: generation, memberId, groupInstanceId: null, topics };
    return this.run<'txn-commit'>({ kind: 'txn-commit', request, exists: () => true }).topics[0]!.partitions[0]!.errorCode;
  }

  /** The committed offset of topic t; -1 = none. */
  fetch(groupId: string, partition = 0, requireStable = false): { committedOffset: number; errorCode: number } {
    return this.groups.fetchOffsets(groupId, { topics: [{ name: 't', partitionIndexes: [partition] }], requireStable })[0]!.partitions[0]!;
  }

  state(groupId: string): string {
    return this.groups.describe(groupId).groupState;
  }

  /** A Stable group of `count` dynamic members, leader first. */
  stable(groupId: string, count: number, options: JoinOptions = {}): string[] {
    const members = Array.from({ length: count }, () => this.enter(groupId, options));
    while (members[0]!.reply === undefined) this.advance(500);
    const generation = members[0]!.reply!.generationId!;
    const assignments = Object.fromEntries(members.map(({ memberId }, i) => [memberId, `a${i}`]));
    for (const { memberId } of members) this.sync(groupId, memberId, generation, memberId === members[0]!.reply!.leader ? assignments : {});
    return members.map(({ memberId }) => memberId);
  }
}
