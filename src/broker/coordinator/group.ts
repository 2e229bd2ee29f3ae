/**
 * What belongs to a group id: the offsets it committed, and either a group of the classic protocol (its members, what they
 * support, who waits) or one of the new consumer protocol (consumer-group.ts). Rules are in group-membership.ts and
 * group-offsets.ts; here are the data and questions about them.
 *
 *     Empty ──join──> PreparingRebalance ──all joined──> CompletingRebalance ──leader synced──> Stable
 *       ^                   │      ^                              │                               │
 *       └─────nobody left───┘      └──────join, leave, expiry─────┴───────────────────────────────┘
 *
 * Protocol: KIP-62 (heartbeats), KIP-134 (initial delay), KIP-345 (static members), KIP-394 (known member ids).
 */

import { decodeSubscription } from '../../kafka/embedded.ts';
import { ProtocolError } from '../../lib/errors.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import type { Ticket } from './machine.ts';
import type { OffsetStore } from './offset-store.ts';

/** Names as DescribeGroups and ListGroups show them. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable';

export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

/** A call that is not answered yet. */
export interface Waiting {
  readonly ticket: Ticket;
  readonly version: number;
}

export interface Member {
  readonly id: string;
  readonly instanceId: string | null;
  clientId: string;
  /** As Kafka shows it: "/127.0.0.1". */
  clientHost: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  protocols: readonly GroupProtocol[];
  assignment: Buffer;
  join: Waiting | null;
  sync: Waiting | null;
  /** When the session ends if nothing is heard. */
  deadline: number;
  /** In its first JoinGroup: then even a waiting member expires, after a generous while. */
  isNew: boolean;
  /** Has fetched its assignment in this generation. */
  synced: boolean;
}

const NEVER = Number.POSITIVE_INFINITY;
const NOTHING = Buffer.alloc(0);

export class Group {
  readonly id: string;
  state: GroupState = 'Empty';
  /** Since when, epoch milliseconds; what the expiry of offsets counts from. */
  stateSince: number;
  /** "consumer" for consumers; "" for a group that only ever committed offsets. */
  protocolType = '';
  generation = 0;
  /** The chosen assignor; null before the first rebalance is complete and while the group is empty. */
  protocol: string | null = null;
  leader: string | null = null;
  readonly members = new Map<string, Member>();
  /** Member id of each static member. */
  readonly instances = new Map<string, string>();
  /** Ids given out by MEMBER_ID_REQUIRED and not used yet, with the time they are forgotten. */
  readonly pending = new Map<string, number>();
  /** When the rebalance goes on without those who are missing. */
  joinDeadline = NEVER;
  /** Milliseconds by which joins may still extend the initial delay; 0 outside of it. */
  initialDelayLeft = 0;
  /** A member came during the initial delay. */
  newcomers = false;
  /** When those who have not synced are removed. */
  syncDeadline = NEVER;
  readonly offsets: OffsetStore;
  /** Set while the id belongs to a group of the new protocol; then the classic group is blank. */
  consumer: ConsumerGroup | null = null;

  constructor(id: string, now: number, offsets: OffsetStore) {
    this.id = id;
    this.stateSince = now;
    this.offsets = offsets;
  }

  become(state: GroupState, now: number): void {
    this.state = state;
    this.stateSince = now;
  }

  add(member: Member): void {
    this.members.set(member.id, member);
    if (member.instanceId !== null) this.instances.set(member.instanceId, member.id);
    this.leader ??= member.id;
    this.pending.delete(member.id);
  }

  remove(member: Member): void {
    this.members.delete(member.id);
    if (member.instanceId !== null && this.instances.get(member.instanceId) === member.id) this.instances.delete(member.instanceId);
    if (this.leader === member.id) this.leader = this.members.keys().next().value ?? null;
  }

  /** Puts a restarted static member in the place of its predecessor, which keeps its position and leadership. */
  replace(old: Member, id: string): Member {
    const member: Member = { ...old, id, join: null, sync: null };
    const all = [...this.members.values()].map((one) => (one === old ? member : one));
    this.members.clear();
    for (const one of all) this.members.set(one.id, one);
    if (member.instanceId !== null) this.instances.set(member.instanceId, id);
    if (this.leader === old.id) this.leader = id;
    return member;
  }

  /** The protocol of most first votes among those that all members support; ties go to the one voted for first. */
  selectProtocol(): string | null {
    const candidates = this.#candidates();
    const votes = new Map<string, number>();
    for (const { protocols } of this.members.values()) {
      const choice = protocols.find(({ name }) => candidates.has(name));
      if (choice) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
    }
    let best: string | null = null;
    for (const [name, count] of votes) if (best === null || count > votes.get(best)!) best = name;
    return best;
  }

  #candidates(): Set<string> {
    let common: Set<string> | undefined;
    for (const { protocols } of this.members.values()) {
      const names = new Set(protocols.map(({ name }) => name));
      common = common === undefined ? names : new Set([...common].filter((name) => names.has(name)));
    }
    return common ?? new Set();
  }

  /** Whether somebody with these protocols can be a member. */
  supports(protocolType: string, protocols: readonly GroupProtocol[]): boolean {
    if (this.members.size === 0) return protocolType !== '' && protocols.length > 0;
    if (protocolType !== this.protocolType) return false;
    const candidates = this.#candidates();
    return protocols.some(({ name }) => candidates.has(name));
  }

  /** The longest rebalance timeout of the members. */
  get rebalanceTimeoutMs(): number {
    let longest = 0;
    for (const { rebalanceTimeoutMs } of this.members.values()) longest = Math.max(longest, rebalanceTimeoutMs);
    return longest;
  }

  get allJoined(): boolean {
    if (this.pending.size > 0) return false;
    for (const member of this.members.values()) if (member.join === null) return false;
    return true;
  }

  get joining(): number {
    let count = 0;
    for (const member of this.members.values()) if (member.join !== null) count++;
    return count;
  }

  /** Without members, of whichever protocol. */
  get isEmpty(): boolean {
    return this.consumer ? this.consumer.members.size === 0 : this.state === 'Empty';
  }

  /** Nothing is known of this id: no members, no offsets, no past. */
  get isBlank(): boolean {
    const isClassic = this.protocolType !== '' || this.members.size > 0 || this.pending.size > 0;
    return this.consumer === null && !isClassic && this.offsets.all.size === 0 && !this.offsets.hasOpen;
  }

  /** Whether a live member reads the topic; null if that cannot be known (other protocol types, foreign blobs). */
  subscribes(topic: string): boolean | null {
    if (this.consumer) return this.consumer.subscribes(topic);
    if (this.members.size === 0) return false;
    if (this.protocolType !== 'consumer' || this.protocol === null) return null;
    try {
      return [...this.members.values()].some((member) => decodeSubscription(metadataOf(member, this.protocol)).topics.includes(topic));
    } catch (error) {
      if (error instanceof ProtocolError) return null;
      throw error;
    }
  }

  /** The earliest moment at which time alone changes something. */
  get nextDeadline(): number {
    let next = Math.min(this.joinDeadline, this.syncDeadline);
    for (const at of this.pending.values()) next = Math.min(next, at);
    for (const member of this.members.values()) if (mayExpire(member)) next = Math.min(next, member.deadline);
    return next;
  }
}

/** A member that waits for us is not silent; only a newcomer's first join has a limit. */
export function mayExpire(member: Member): boolean {
  return member.isNew || (member.join === null && member.sync === null);
}

/** What a member said under a protocol; empty if it does not support it. */
export function metadataOf(member: Member, protocol: string | null): Buffer {
  return member.protocols.find(({ name }) => name === protocol)?.metadata ?? NOTHING;
}

export function sameProtocols(a: readonly GroupProtocol[], b: readonly GroupProtocol[]): boolean {
  return a.length === b.length && a.every(({ name, metadata }, i) => name === b[i]!.name && metadata.equals(b[i]!.metadata));
}
