/**
 * A group whose clients are restarted at random with the classic and the new protocol, eager or cooperative, while answers get
 * lost, clients die and the broker restarts. At every moment no two members hold the same partition, and no commit that is
 * taken lies before another; in the end everything is read, by a group of the protocol of its members. Time is a number.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAssignment, decodeSubscription, encodeAssignment } from '../../src/kafka/embedded.ts';
import { ErrorCode as E } from '../../src/kafka/errors.ts';
import { ConsumerDriver } from '../consumer-driver.ts';
import type { GroupDriver } from '../group-driver.ts';

const PARTITIONS = 4;
const SESSION_MS = 10_000;
type Joining = ReturnType<GroupDriver['join']>;
type Syncing = ReturnType<GroupDriver['sync']>;

/** What clients of both protocols have in common: partitions they hold, each with the next offset to commit. */
abstract class Client {
  readonly held = new Map<number, number>();
  memberId: string;
  /** Generation or epoch. */
  epoch = -1;

  constructor(memberId: string) {
    this.memberId = memberId;
  }

  /** Holds exactly these from now on; what is new begins where others left off. */
  protected have(c: ConsumerDriver, partitions: readonly number[]): void {
    for (const partition of this.held.keys()) if (!partitions.includes(partition)) this.held.delete(partition);
    for (const partition of partitions) if (!this.held.has(partition)) this.held.set(partition, Math.max(0, c.d.fetch('g', partition).committedOffset));
  }

  /** Reads on and commits; a refused commit changes nothing. */
  read(c: ConsumerDriver): void {
    for (const [partition, next] of this.held) {
      const before = c.d.fetch('g', partition).committedOffset;
      const errorCode = c.d.commit('g', next + 1, { memberId: this.memberId, generation: this.epoch, partition, version: 9 });
      if (errorCode !== E.NONE) continue;
      expect(next + 1, `partition ${partition}, committed by ${this.memberId}`).toBeGreaterThanOrEqual(before);
      this.held.set(partition, next + 1);
    }
  }

  /** @param isLost the broker hears the call, but its answer never arrives */
  abstract step(c: ConsumerDriver, isLost: boolean): void;
  abstract leave(c: ConsumerDriver): void;
  /** The connection is gone, and with it the answers that were waited for. */
  disconnect(): void {}
}

class NewClient extends Client {
  #isUnsure = true;
  #told: readonly number[] = [];

  constructor(memberId: string) {
    super(memberId);
    this.epoch = 0;
  }

  step(c: ConsumerDriver, isLost: boolean): void {
    // What it was told to give up it has given up by the time it calls again.
    this.have(
      c,
      [...this.held.keys()].filter((partition) => this.#told.includes(partition)),
    );
    const owned = [...this.held.keys()].map((partition) => `t-${partition}`);
    const isFull = this.#isUnsure || this.epoch === 0;
    const words = isFull ? { rebalanceTimeoutMs: 5000, subscribedTopicNames: ['t'] } : {};
    const reply = c.send('g', this.memberId, { memberEpoch: this.epoch, topicPartitions: this.epoch === 0 ? [] : c.list(owned), ...words });
    this.#isUnsure = isLost;
    if (isLost) return;
    if (reply.errorCode !== E.NONE) {
      expect([E.UNKNOWN_MEMBER_ID, E.FENCED_MEMBER_EPOCH, E.GROUP_ID_NOT_FOUND]).toContain(reply.errorCode);
      this.epoch = 0;
      this.#told = [];
      this.held.clear();
      return;
    }
    this.epoch = reply.memberEpoch;
    const told = c.assigned(reply);
    if (told === null) return;
    this.#told = told.map((name) => Number(name.slice(2)));
    this.have(c, [...new Set([...this.held.keys(), ...this.#told])]);
  }

  leave(c: ConsumerDriver): void {
    if (this.epoch > 0) c.send('g', this.memberId, { memberEpoch: -1 });
  }
}

class ClassicClient extends Client {
  readonly #isEager: boolean;
  #joining: Joining | null = null;
  #syncing: Syncing | null = null;
  #isIn = false;

  constructor(isEager: boolean) {
    super('');
    this.#isEager = isEager;
  }

  step(c: ConsumerDriver, isLost: boolean): void {
    if (this.#isIn) this.#beat(c);
    if (!this.#isIn && !this.#joining && !this.#syncing) this.#join(c);
    if (isLost) this.disconnect();
    else for (let calls = 0; calls < 8 && this.#hear(c); calls++);
  }

  #beat(c: ConsumerDriver): void {
    const errorCode = c.d.heartbeat('g', this.memberId, this.epoch);
    if (errorCode === E.NONE) return;
    this.#isIn = false;
    if (errorCode !== E.REBALANCE_IN_PROGRESS) this.#fail(errorCode);
  }

  /** Whatever was its own is lost. */
  #fail(errorCode: number): void {
    expect([E.UNKNOWN_MEMBER_ID, E.ILLEGAL_GENERATION, E.MEMBER_ID_REQUIRED, E.REBALANCE_IN_PROGRESS]).toContain(errorCode);
    if (errorCode === E.REBALANCE_IN_PROGRESS || errorCode === E.MEMBER_ID_REQUIRED) return;
    this.held.clear();
    this.epoch = -1;
    if (errorCode === E.UNKNOWN_MEMBER_ID) this.memberId = '';
  }

  #join(c: ConsumerDriver): void {
    if (this.#isEager) this.held.clear();
    const options = { memberId: this.memberId, owned: { t: [...this.held.keys()] }, sessionMs: SESSION_MS, rebalanceMs: 5000 };
    this.#joining = c.d.join('g', options);
  }

  /** Goes on with an answer that has come. */
  #hear(c: ConsumerDriver): boolean {
    if (this.#joining?.reply) this.#joined(c, this.#joining.reply);
    else if (this.#syncing?.reply) this.#synced(c, this.#syncing.reply);
    else return false;
    return true;
  }

  #joined(c: ConsumerDriver, reply: NonNullable<Joining['reply']>): void {
    this.#joining = null;
    if (reply.errorCode === E.MEMBER_ID_REQUIRED) this.memberId = reply.memberId!;
    if (reply.errorCode !== E.NONE) {
      this.#fail(reply.errorCode!);
      this.#join(c);
      return;
    }
    this.memberId = reply.memberId!;
    this.epoch = reply.generationId!;
    this.#syncing = c.d.sync('g', this.memberId, this.epoch, reply.leader === this.memberId ? this.#assign(reply.members!) : {});
  }

  /** As the cooperative assignor: nobody is given what another one still holds. */
  #assign(members: readonly { readonly memberId: string; readonly metadata: Uint8Array }[]): Record<string, Buffer> {
    const owners = new Map<number, string>();
    for (const { memberId, metadata } of members)
      for (const { partitions } of decodeSubscription(Buffer.from(metadata)).ownedPartitions)
        for (const partition of partitions) owners.set(partition, memberId);
    const shares = new Map(members.map(({ memberId }) => [memberId, [] as number[]]));
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { memberId } = members[partition % members.length]!;
      if ((owners.get(partition) ?? memberId) === memberId) shares.get(memberId)!.push(partition);
    }
    return Object.fromEntries([...shares].map(([id, partitions]) => [id, encodeAssignment({ assignedPartitions: [{ topic: 't', partitions }] })]));
  }

  #synced(c: ConsumerDriver, reply: NonNullable<Syncing['reply']>): void {
    this.#syncing = null;
    if (reply.errorCode !== E.NONE) {
      this.#fail(reply.errorCode!);
      this.#join(c);
      return;
    }
    const assigned = decodeAssignment(Buffer.from(reply.assignment!)).assignedPartitions.flatMap(({ partitions }) => [...partitions]);
    const gaveUp = [...this.held.keys()].some((partition) => !assigned.includes(partition));
    this.have(c, assigned);
    this.#isIn = true;
    if (!gaveUp) return;
    this.#isIn = false;
    this.#join(c);
  }

  override disconnect(): void {
    if (this.#joining || this.#syncing) this.#isIn = false;
    this.#joining = null;
    this.#syncing = null;
  }

  leave(c: ConsumerDriver): void {
    if (this.memberId !== '') c.d.leave('g', this.memberId);
  }
}

const who = fc.nat(3);
const events = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('classic' as const, 'new' as const), who, leaves: fc.boolean() }),
    fc.record({ kind: fc.constantFrom('crash' as const, 'leave' as const), who }),
    fc.record({ kind: fc.constant('lost' as const), who }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(6000) }),
    fc.record({ kind: fc.constant('restart' as const) }),
  ),
  { maxLength: 40, size: 'max' },
);
type Event = typeof events extends fc.Arbitrary<(infer T)[]> ? T : never;

class World {
  readonly c = new ConsumerDriver({ sessionMs: SESSION_MS }, { initialDelayMs: 500 });
  readonly clients = new Map<number, Client>();
  readonly #isEager: boolean;
  #lives = 0;

  constructor(isEager: boolean) {
    this.#isEager = isEager;
    this.c.topic('t', PARTITIONS);
  }

  act(event: Event): void {
    if (event.kind === 'pass') this.pass(event.ms);
    else if (event.kind === 'restart') this.#restart();
    else this.#tell(event);
    this.check();
  }

  #tell(event: Extract<Event, { who: number }>): void {
    const client = this.clients.get(event.who);
    if (event.kind === 'lost') {
      client?.step(this.c, true);
      return;
    }
    if (event.kind === 'leave' || ('leaves' in event && event.leaves)) client?.leave(this.c);
    this.clients.delete(event.who);
    if (event.kind === 'classic') this.clients.set(event.who, new ClassicClient(this.#isEager));
    else if (event.kind === 'new') this.clients.set(event.who, new NewClient(`new-${++this.#lives}`));
  }

  #restart(): void {
    const { errorMessage: _, ...before } = this.c.describe('g');
    this.c.d.restart();
    expect(this.c.describe('g')).toMatchObject(before);
    for (const client of this.clients.values()) client.disconnect();
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) {
      for (const client of this.clients.values()) {
        client.step(this.c, false);
        client.read(this.c);
        this.check();
      }
      this.c.d.advance(Math.min(left, 1000));
    }
  }

  check(): void {
    const group = this.c.d.groups.all.get('g');
    const holders = new Map<number, string>();
    for (const { memberId, held } of this.clients.values()) {
      // One that was removed does not know yet; until it calls, its commits are refused.
      if (!(group?.consumer ?? group)?.members.has(memberId)) continue;
      for (const partition of held.keys()) {
        expect(holders.get(partition), `${partition} is held by ${memberId} too`).toBeUndefined();
        holders.set(partition, memberId);
      }
    }
  }

  settle(): void {
    this.pass(90_000);
    const alive = [...this.clients.values()];
    const listed = this.c.d.groups.list({ typesFilter: [], statesFilter: [] }).map(({ groupType, groupState }) => `${groupType} ${groupState}`);
    if (alive.length === 0) {
      expect(listed.join()).toMatch(/^((classic|consumer) Empty)?$/);
      return;
    }
    expect(listed).toEqual([`${alive.some((one) => one instanceof NewClient) ? 'consumer' : 'classic'} Stable`]);
    expect(alive.flatMap(({ held }) => [...held.keys()]).sort()).toEqual(Array.from({ length: PARTITIONS }, (_, i) => i));
  }
}

describe('groups between two protocols', () => {
  it.each([['eager'], ['cooperative']])('never give a partition to two, and come to rest with all of them read: %s', (how) => {
    fc.assert(
      fc.property(events, (history) => {
        const world = new World(how === 'eager');
        for (const event of history) world.act(event);
        world.settle();
      }),
      { numRuns: 200 },
    );
  });
});
