/**
 * Groups and transactions under random histories, against models that are too simple to be wrong: well-behaved clients
 * that must always find together again, a map of committed offsets, and a table of transaction states. Time is a number.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JoinReply, SyncReply } from '../../src/broker/coordinator/group-rebalance.ts';
import { partitionFor, type StateRecord } from '../../src/broker/coordinator/machine.ts';
import { type TransactionCommand, Transactions } from '../../src/broker/coordinator/transactions.ts';
import { ErrorCode as E } from '../../src/kafka/errors.ts';
import { GroupDriver } from '../group-driver.ts';

const SESSION_MS = 6000;

/** A consumer as clients are written: joins, syncs, heartbeats, and starts over when it is told to. */
class Consumer {
  readonly name: string;
  readonly instanceId: string | undefined;
  memberId = '';
  generation = -1;
  assignment: string | null = null;
  alive = true;
  #joining: { reply?: JoinReply } | null = null;
  #syncing: { reply?: SyncReply } | null = null;

  constructor(name: string, isStatic: boolean) {
    this.name = name;
    this.instanceId = isStatic ? name : undefined;
  }

  /** Does what a client would do next; never more than one call at a time. */
  step(d: GroupDriver): void {
    if (!this.alive) return;
    if (this.#joining) this.#onJoin(d, this.#joining.reply);
    else if (this.#syncing) this.#onSync(this.#syncing.reply);
    else if (this.assignment === null) this.#join(d);
    else this.#heartbeat(d);
  }

  #join(d: GroupDriver): void {
    this.#joining = d.join('g', {
      memberId: this.memberId,
      sessionMs: SESSION_MS,
      rebalanceMs: 20_000,
      ...(this.instanceId === undefined ? {} : { instanceId: this.instanceId }),
    });
  }

  #onJoin(d: GroupDriver, reply: JoinReply | undefined): void {
    if (reply === undefined) return;
    this.#joining = null;
    if (reply.errorCode === E.NONE) {
      expect(reply.generationId!, `${this.name}: generations never go back`).toBeGreaterThanOrEqual(this.generation);
      this.memberId = reply.memberId;
      this.generation = reply.generationId!;
      const leads = reply.leader === reply.memberId && !reply.skipAssignment;
      if (leads) expect(reply.members.map(({ memberId }) => memberId)).toContain(reply.memberId);
      const assignments = leads ? Object.fromEntries(reply.members.map(({ memberId }) => [memberId, `${reply.generationId}:${memberId}`])) : {};
      this.#syncing = d.sync('g', this.memberId, this.generation, assignments, this.instanceId ?? null);
    } else if (reply.errorCode === E.MEMBER_ID_REQUIRED) this.memberId = reply.memberId;
    else this.#startOver(reply.errorCode);
  }

  #onSync(reply: SyncReply | undefined): void {
    if (reply === undefined) return;
    this.#syncing = null;
    if (reply.errorCode !== E.NONE) this.#startOver(reply.errorCode);
    else {
      this.assignment = reply.assignment.toString();
      if (this.instanceId === undefined) expect(this.assignment).toBe(`${this.generation}:${this.memberId}`);
    }
  }

  #heartbeat(d: GroupDriver): void {
    const errorCode = d.heartbeat('g', this.memberId, this.generation, this.instanceId ?? null);
    if (errorCode !== E.NONE) this.#startOver(errorCode);
  }

  #startOver(errorCode: number): void {
    this.assignment = null;
    if (errorCode !== E.REBALANCE_IN_PROGRESS) {
      expect([E.UNKNOWN_MEMBER_ID, E.ILLEGAL_GENERATION], `${this.name} got ${errorCode}`).toContain(errorCode);
      this.memberId = '';
    }
  }

  /** The process is gone; its calls are never picked up. */
  crash(): void {
    this.alive = false;
    this.restart();
  }

  /** A new process, or the same one after the broker's restart: it waits for nothing any more. */
  restart(): void {
    this.#joining = null;
    this.#syncing = null;
    this.assignment = null;
    this.memberId = '';
  }

  reconnect(): void {
    this.#joining = null;
    this.#syncing = null;
  }
}

type GroupEvent =
  | { readonly kind: 'start' | 'crash' | 'leave'; readonly who: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'commit'; readonly who: number; readonly partition: number; readonly offset: number }
  | { readonly kind: 'txn'; readonly producer: number; readonly partition: number; readonly offset: number }
  | { readonly kind: 'marker'; readonly producer: number; readonly commit: boolean }
  | { readonly kind: 'restart' };

const who = fc.nat(7);
const partition = fc.nat(2);
const offset = fc.nat(1000);
const producer = fc.nat(1);
const groupEvents = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('start' as const, 'crash' as const, 'leave' as const), who }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(9000) }),
    fc.record({ kind: fc.constant('commit' as const), who, partition, offset }),
    fc.record({ kind: fc.constant('txn' as const), producer, partition, offset }),
    fc.record({ kind: fc.constant('marker' as const), producer, commit: fc.boolean() }),
    fc.record({ kind: fc.constant('restart' as const) }),
  ),
  { maxLength: 60, size: 'max' },
);

class World {
  readonly d = new GroupDriver({ initialDelayMs: 2000, minSessionMs: 1000 });
  readonly consumers = Array.from({ length: 8 }, (_, i) => new Consumer(`c${i}`, i >= 6));
  readonly committed = new Map<number, { offset: number; at: number }>();
  readonly open = new Map<number, Map<number, { offset: number; at: number }>>();
  #commits = 0;

  constructor() {
    for (const one of this.consumers) one.alive = false;
  }

  /** Everybody acts until nobody has anything to do, then time moves by half a second at most. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 500) {
      for (let round = 0; round < 6; round++) for (const one of this.consumers) one.step(this.d);
      this.d.advance(Math.min(left, 500));
    }
  }

  act(event: GroupEvent): void {
    if (event.kind === 'pass') this.pass(event.ms);
    else if (event.kind === 'restart') this.restart();
    else if (event.kind === 'start') this.consumers[event.who]!.alive = true;
    else if (event.kind === 'crash') this.consumers[event.who]!.crash();
    else if (event.kind === 'leave') this.leave(this.consumers[event.who]!);
    else if (event.kind === 'commit') this.commit(this.consumers[event.who]!, event.partition, event.offset);
    else if (event.kind === 'txn') this.txn(event.producer, event.partition, event.offset);
    else if (event.kind === 'marker') this.marker(event.producer, event.commit);
    for (let i = 0; i <= 2; i++) expect(this.d.fetch('g', i).committedOffset, `partition ${i}`).toBe(this.committed.get(i)?.offset ?? -1);
    for (let i = 0; i <= 2; i++) {
      const isOpen = [...this.open.values()].some((pending) => pending.has(i));
      expect(this.d.fetch('g', i, true).errorCode, `partition ${i}`).toBe(isOpen ? E.UNSTABLE_OFFSET_COMMIT : 0);
    }
  }

  restart(): void {
    const stable = this.d.state('g') === 'Stable' ? this.d.groups.describe('g') : null;
    this.d.restart();
    if (stable) expect(this.d.groups.describe('g')).toEqual(stable);
    for (const one of this.consumers) one.reconnect();
  }

  leave(one: Consumer): void {
    if (one.alive && one.memberId !== '') this.d.leave('g', one.memberId, one.instanceId ?? null);
    one.crash();
  }

  commit(one: Consumer, at: number, value: number): void {
    const errorCode = this.d.commit('g', value, { memberId: one.memberId, generation: one.generation, partition: at });
    if (errorCode === E.NONE) this.committed.set(at, { offset: value, at: this.#commits++ });
  }

  txn(id: number, at: number, value: number): void {
    if (this.d.txnCommit('g', value, id, { partition: at }) !== E.NONE) return;
    const pending = this.open.get(id) ?? new Map<number, { offset: number; at: number }>();
    this.open.set(id, pending.set(at, { offset: value, at: this.#commits++ }));
  }

  marker(id: number, commit: boolean): void {
    this.d.marker(id, commit, partitionFor('g', 50));
    for (const [at, entry] of this.open.get(id) ?? []) if (commit && entry.at > (this.committed.get(at)?.at ?? -1)) this.committed.set(at, entry);
    this.open.delete(id);
  }
}

describe('groups', () => {
  it('members always find together again, offsets are what was last committed', () => {
    fc.assert(
      fc.property(groupEvents, (events) => {
        const world = new World();
        for (const event of events) world.act(event);
        world.pass(70_000);
        const alive = world.consumers.filter((one) => one.alive);
        const described = world.d.groups.describe('g');
        expect(described.groupState).toMatch(alive.length > 0 ? /^Stable$/ : /^(Empty|Dead)$/);
        expect(new Set(described.members.map(({ memberId }) => memberId))).toEqual(new Set(alive.map(({ memberId }) => memberId)));
        expect(new Set(alive.map(({ generation }) => generation)).size).toBeLessThanOrEqual(1);
        for (const one of alive) expect(one.assignment, one.name).not.toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  it('any order of calls with any ids is answered, once, and leaves nobody waiting for ever', () => {
    const ids = fc.constantFrom('', 'c-m1', 'c-m2', 'c-m3', 'nobody');
    const calls = fc.oneof(
      fc.record({
        kind: fc.constant('join' as const),
        memberId: ids,
        version: fc.nat(9),
        instanceId: fc.constantFrom(undefined, 'i1'),
        protocols: fc.subarray(['a', 'b']),
      }),
      fc.record({ kind: fc.constant('sync' as const), memberId: ids, generation: fc.nat(3) }),
      fc.record({ kind: fc.constant('leave' as const), memberId: ids }),
      fc.record({ kind: fc.constant('heartbeat' as const), memberId: ids, generation: fc.nat(3) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(8000) }),
    );
    fc.assert(
      fc.property(fc.array(calls, { maxLength: 40, size: 'max' }), (history) => {
        const d = new GroupDriver({ maxSize: 3 });
        const waiting: { reply?: unknown }[] = [];
        for (const call of history) {
          if (call.kind === 'join') {
            const { memberId, version, protocols, instanceId } = call;
            waiting.push(d.join('g', { memberId, version, protocols, rebalanceMs: 10_000, ...(instanceId === undefined ? {} : { instanceId }) }));
          } else if (call.kind === 'sync') waiting.push(d.sync('g', call.memberId, call.generation));
          else if (call.kind === 'leave') d.leave('g', call.memberId);
          else if (call.kind === 'heartbeat') d.heartbeat('g', call.memberId, call.generation);
          else d.advance(call.ms);
        }
        d.advance(400_000);
        expect(waiting.filter(({ reply }) => reply === undefined)).toEqual([]);
        expect(d.groups.describe('g').members).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

/** One transactional id as a table; every answer of the coordinator is predicted. */
class NaiveTransaction {
  producerId = -1;
  epoch = -1;
  state = 'None';
  parts = new Set<number>();
  startedAt = -1;
  /** The pair with which InitProducerId may be repeated. */
  last = -1;

  refuse(epoch: number): number {
    if (this.state === 'None') return E.INVALID_PRODUCER_ID_MAPPING;
    return epoch === this.epoch ? 0 : E.PRODUCER_FENCED;
  }

  init(freshId: number, epoch: number): number {
    if (this.state === 'None') Object.assign(this, { producerId: freshId, epoch: 0, state: 'Empty', last: -1 });
    else if (this.state === 'Ongoing') {
      if (epoch >= 0 && epoch !== this.epoch) return E.PRODUCER_FENCED;
      this.abort();
      return E.CONCURRENT_TRANSACTIONS;
    } else if (this.state.startsWith('Prepare')) return E.CONCURRENT_TRANSACTIONS;
    else if (epoch < 0 || epoch === this.epoch) Object.assign(this, { last: epoch, epoch: this.epoch + 1, state: 'Empty' });
    else if (epoch !== this.last) return E.PRODUCER_FENCED;
    else this.state = 'Empty';
    return 0;
  }

  abort(): void {
    Object.assign(this, { state: 'PrepareAbort', epoch: this.epoch + 1, last: -1 });
  }

  add(epoch: number, part: number, now: number): number {
    const errorCode = this.refuse(epoch);
    if (errorCode !== 0) return errorCode;
    if (this.state.startsWith('Prepare')) return E.CONCURRENT_TRANSACTIONS;
    if (this.state !== 'Ongoing') Object.assign(this, { state: 'Ongoing', parts: new Set(), startedAt: now });
    this.parts.add(part);
    return 0;
  }

  end(epoch: number, commit: boolean): number {
    const errorCode = this.refuse(epoch);
    if (errorCode !== 0) return errorCode;
    const word = commit ? 'Commit' : 'Abort';
    if (this.state === `Complete${word}`) return 0;
    if (this.state === `Prepare${word}`) return E.CONCURRENT_TRANSACTIONS;
    if (this.state !== 'Ongoing') return E.INVALID_TXN_STATE;
    this.state = `Prepare${word}`;
    return 0;
  }
}

describe('transactions', () => {
  it('answer as the table says, also after restarts', () => {
    const epochs = fc.constantFrom<'none' | 'current' | 'former'>('none', 'current', 'former');
    const steps = fc.oneof(
      fc.record({ kind: fc.constant('init' as const), epoch: epochs }),
      fc.record({ kind: fc.constant('add' as const), epoch: epochs, part: fc.nat(3) }),
      fc.record({ kind: fc.constant('end' as const), epoch: epochs, commit: fc.boolean() }),
      fc.record({ kind: fc.constantFrom('markers' as const, 'restart' as const) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(40_000) }),
    );
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 60, size: 'max' }), (history) => {
        let machine = new Transactions({ maxTimeoutMs: 900_000, idExpirationMs: 7 * 86_400_000 });
        const model = new NaiveTransaction();
        const log: StateRecord[] = [];
        let now = 0;
        let freshId = 100;
        const run = (command: TransactionCommand): number => {
          const { records, reply } = machine.decide(command, now);
          for (const record of records) {
            log.push(record);
            machine.apply(record);
          }
          return reply?.errorCode ?? 0;
        };
        for (const step of history) {
          const chosen = 'epoch' in step ? { none: -1, current: model.epoch, former: model.epoch - 1 }[step.epoch] : 0;
          const producer = { transactionalId: 'tx', producerId: Math.max(0, model.producerId), epoch: chosen };
          if (step.kind === 'init') {
            const known = chosen >= 0 ? model.producerId : -1;
            const got = run({ kind: 'init', ...producer, producerId: known, timeoutMs: 60_000, freshId: ++freshId });
            expect(got, 'init').toBe(model.init(freshId, chosen));
          } else if (step.kind === 'add') {
            const got = run({ kind: 'add', ...producer, topics: [{ topic: 't', partitions: [step.part] }] });
            expect(got, 'add').toBe(model.add(chosen, step.part, now));
          } else if (step.kind === 'end') expect(run({ kind: 'end', ...producer, commit: step.commit }), 'end').toBe(model.end(chosen, step.commit));
          else if (step.kind === 'markers') {
            run({ kind: 'markers-written', transactionalId: 'tx' });
            if (model.state.startsWith('Prepare')) model.state = model.state.replace('Prepare', 'Complete');
          } else if (step.kind === 'pass') {
            now += step.ms;
            run({ kind: 'tick' });
            if (model.state === 'Ongoing' && now >= model.startedAt + 60_000) model.abort();
          } else {
            machine = new Transactions({ maxTimeoutMs: 900_000, idExpirationMs: 7 * 86_400_000 });
            for (const record of log) machine.apply(record);
            const left = machine.loaded();
            expect(left.length).toBe(model.state.startsWith('Prepare') ? 1 : 0);
            model.last = -1;
          }
          const seen = machine.describe('tx');
          if (model.state === 'None') expect(seen.errorCode).toBe(E.TRANSACTIONAL_ID_NOT_FOUND);
          else expect([seen.transactionState, seen.producerId, seen.producerEpoch]).toEqual([model.state, model.producerId, model.epoch]);
          if (model.state === 'Ongoing') expect(new Set(seen.topics[0]?.partitions)).toEqual(model.parts);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
