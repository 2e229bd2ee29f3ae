/**
 * Groups of the new consumer protocol under random histories: members written like clients, answers that get lost, topics
 * that come, grow and go, a broker that restarts. At every moment no two members hold the same partition; in the end every
 * partition that is read has its reader. Time is a number.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HeartbeatReply } from '../../src/broker/coordinator/consumer-heartbeat.ts';
import { ErrorCode as E } from '../../src/kafka/errors.ts';
import { ConsumerDriver } from '../consumer-driver.ts';

const TOPICS = ['t', 'u', 'v'];
const SESSION_MS = 10_000;

/** A consumer as clients are written: it says what it holds, lets go before it takes, and starts over when it is told to. */
class Consumer {
  readonly name: string;
  readonly instanceId: string | undefined;
  memberId = '';
  epoch = 0;
  held = new Set<string>();
  alive = false;
  topics: readonly string[] = ['t'];
  #told: readonly string[] = [];
  #lives = 0;
  /** It has to tell everything again: its last call had no answer, or its subscription has changed. */
  #isUnsure = true;

  constructor(name: string, isStatic: boolean) {
    this.name = name;
    this.instanceId = isStatic ? name : undefined;
  }

  start(): void {
    if (this.alive) return;
    this.alive = true;
    this.memberId = `${this.name}.${++this.#lives}`;
    this.#startOver();
  }

  #startOver(): void {
    this.epoch = 0;
    this.held.clear();
    this.#told = [];
    this.#isUnsure = true;
  }

  subscribe(topics: readonly string[]): void {
    this.topics = topics;
    this.#isUnsure = true;
  }

  /** @param isLost the broker hears the call, but its answer never arrives */
  step(c: ConsumerDriver, isLost: boolean): void {
    if (!this.alive) return;
    // What it was told to give up it has given up by the time it calls again.
    this.held = new Set(this.#told);
    const reply = this.#call(c);
    if (isLost) {
      this.#isUnsure = true;
      return;
    }
    if (reply.errorCode === E.NONE) {
      this.epoch = reply.memberEpoch;
      this.#isUnsure = false;
      if (reply.assignment)
        this.#told = reply.assignment.topicPartitions.flatMap(({ topicId, partitions }) => partitions.map((partition) => `${topicId}/${partition}`));
      for (const key of this.#told) this.held.add(key);
    } else if (reply.errorCode === E.UNRELEASED_INSTANCE_ID) this.#isUnsure = true;
    else {
      expect([E.UNKNOWN_MEMBER_ID, E.FENCED_MEMBER_EPOCH, E.GROUP_ID_NOT_FOUND], `${this.name} got ${reply.errorCode} ${reply.errorMessage}`).toContain(
        reply.errorCode,
      );
      this.#startOver();
    }
  }

  #call(c: ConsumerDriver): HeartbeatReply {
    const held = [...this.held].map((key) => ({ topicId: key.slice(0, key.indexOf('/')), partitions: [Number(key.slice(key.indexOf('/') + 1))] }));
    const identity = { memberEpoch: this.epoch, instanceId: this.instanceId ?? null };
    const everything = { rebalanceTimeoutMs: 5000, subscribedTopicNames: [...this.topics] };
    return c.send('g', this.memberId, { ...identity, ...(this.#isUnsure && everything), topicPartitions: this.epoch === 0 ? [] : held });
  }

  leave(c: ConsumerDriver): void {
    if (this.alive && this.epoch > 0) c.send('g', this.memberId, { memberEpoch: this.instanceId === undefined ? -1 : -2, instanceId: this.instanceId ?? null });
    this.crash();
  }

  crash(): void {
    this.alive = false;
    this.held.clear();
    this.#told = [];
  }
}

const who = fc.nat(5);
const events = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('start' as const, 'start' as const, 'crash' as const, 'leave' as const), who }),
    fc.record({ kind: fc.constant('subscribe' as const), who, topics: fc.subarray(TOPICS, { minLength: 1 }) }),
    fc.record({ kind: fc.constant('topic' as const), name: fc.constantFrom(...TOPICS), more: fc.nat(3) }),
    fc.record({ kind: fc.constant('lost' as const), who }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(6000) }),
    fc.record({ kind: fc.constant('restart' as const) }),
  ),
  { maxLength: 50, size: 'max' },
);
type Event = typeof events extends fc.Arbitrary<(infer T)[]> ? T : never;

class World {
  readonly c = new ConsumerDriver({ sessionMs: SESSION_MS });
  readonly consumers = Array.from({ length: 6 }, (_, i) => new Consumer(`c${i}`, i >= 4));
  readonly sizes = new Map<string, number>();

  constructor() {
    this.grow('t', 3);
  }

  /** Nothing more for a topic deletes it. */
  grow(name: string, more: number): void {
    const size = more === 0 ? 0 : (this.sizes.get(name) ?? 0) + more;
    if (size === 0) this.sizes.delete(name);
    else this.sizes.set(name, size);
    this.c.topic(name, size);
  }

  act(event: Event): void {
    if (event.kind === 'start') this.consumers[event.who]!.start();
    else if (event.kind === 'crash') this.consumers[event.who]!.crash();
    else if (event.kind === 'leave') this.consumers[event.who]!.leave(this.c);
    else if (event.kind === 'subscribe') this.consumers[event.who]!.subscribe(event.topics);
    else if (event.kind === 'topic') this.grow(event.name, event.more);
    else if (event.kind === 'lost') this.consumers[event.who]!.step(this.c, true);
    else if (event.kind === 'pass') this.pass(event.ms);
    else this.restart();
    this.check();
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) {
      for (const one of this.consumers) {
        one.step(this.c, false);
        this.check();
      }
      this.c.d.advance(Math.min(left, 1000));
    }
  }

  restart(): void {
    const before = this.c.describe('g');
    this.c.d.restart();
    expect(this.c.describe('g')).toEqual(before);
  }

  check(): void {
    const holders = new Map<string, string>();
    for (const one of this.consumers) {
      for (const key of one.held) {
        // One that was removed does not know yet; it learns it with its next call, before which its commits are refused.
        if (!this.c.d.groups.all.get('g')?.consumer?.members.has(one.memberId)) continue;
        expect(holders.get(key), `${key} is held by ${one.name} too`).toBeUndefined();
        holders.set(key, one.name);
      }
    }
  }

  /** In the end everybody who is there is a member, and every partition somebody reads is held. */
  settle(): void {
    this.pass(60_000);
    const alive = this.consumers.filter((one) => one.alive);
    const described = this.c.describe('g');
    expect(described.groupState).toMatch(alive.length > 0 ? /^Stable$/ : /^(Empty|)$/);
    expect(described.members.map(({ memberId }) => memberId).sort()).toEqual(alive.map(({ memberId }) => memberId).sort());
    const read = new Set(alive.flatMap(({ topics }) => topics));
    const wanted = [...this.sizes]
      .filter(([name]) => read.has(name))
      .flatMap(([name, size]) => Array.from({ length: size }, (_, i) => `${this.c.idOf(name)}/${i}`));
    expect(alive.flatMap((one) => [...one.held]).sort()).toEqual(wanted.sort());
    for (const one of alive) {
      const ids = one.topics.flatMap((name) => (this.sizes.has(name) ? [this.c.idOf(name)] : []));
      for (const key of one.held) expect(ids).toContain(key.slice(0, key.indexOf('/')));
    }
  }
}

describe('consumer groups', () => {
  it('never give a partition to two, and always come to rest with all of them read', () => {
    fc.assert(
      fc.property(events, (history) => {
        const world = new World();
        for (const event of history) world.act(event);
        world.settle();
      }),
      { numRuns: 300 },
    );
  });

  it('answer any order of calls with any ids and epochs, and forget everybody who is silent', () => {
    const calls = fc.oneof(
      fc.record({
        kind: fc.constant('beat' as const),
        memberId: fc.constantFrom('', 'a', 'b', 'c'),
        epoch: fc.integer({ min: -3, max: 4 }),
        instanceId: fc.constantFrom(null, 'i', 'j'),
        owned: fc.constantFrom(null, [], ['t-0'], ['t-0', 't-1']),
        isFull: fc.boolean(),
        regex: fc.constantFrom(null, '', 't|u', '('),
      }),
      fc.record({ kind: fc.constant('join' as const), memberId: fc.constantFrom('a', 'b', 'c'), instanceId: fc.constantFrom(undefined, 'i', 'j') }),
      fc.record({ kind: fc.constant('classic' as const), memberId: fc.constantFrom('', 'a') }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(8000) }),
      fc.record({ kind: fc.constant('restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(calls, { maxLength: 40, size: 'max' }), (history) => {
        const c = new ConsumerDriver({ sessionMs: SESSION_MS, maxSize: 3 }, { initialDelayMs: 0 });
        c.topic('t', 2);
        for (const call of history) {
          if (call.kind === 'join') {
            const { memberId, instanceId } = call;
            c.join('g', memberId, instanceId === undefined ? {} : { instanceId });
          } else if (call.kind === 'beat') {
            const { memberId, epoch, instanceId, owned, isFull, regex } = call;
            const words = isFull ? { rebalanceTimeoutMs: 5000, subscribedTopicNames: ['t'] } : {};
            c.send('g', memberId, { memberEpoch: epoch, instanceId, topicPartitions: owned && c.list(owned), subscribedTopicRegex: regex, ...words });
          } else if (call.kind === 'classic') c.d.join('g', { version: 3, memberId: call.memberId, sessionMs: 6000, rebalanceMs: 6000 });
          else if (call.kind === 'pass') c.d.advance(call.ms);
          else {
            const { errorMessage: _, ...before } = c.describe('g');
            c.d.restart();
            expect(c.describe('g')).toMatchObject(before);
          }
        }
        c.d.advance(400_000);
        expect(c.describe('g').members).toEqual([]);
        expect(c.d.groups.describe('g').members).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});
