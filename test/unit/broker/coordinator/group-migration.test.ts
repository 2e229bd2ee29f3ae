/**
 * A group changes its protocol while it has members (KIP-848, online migration), call by call, with numbers for time. Classic
 * members are written as clients are: cooperative ones say what they hold when they join, eager ones hold nothing then.
 */
import { describe, expect, it } from 'vitest';
import type { MigrationPolicy } from '../../../../src/broker/coordinator/consumer-heartbeat.ts';
import { decodeAssignment, encodeAssignment } from '../../../../src/kafka/embedded.ts';
import { ErrorCode as E } from '../../../../src/kafka/errors.ts';
import { decodeConsumerGroupKey } from '../../../../src/kafka/stored/consumer-group.ts';
import { decodeOffsetsKey } from '../../../../src/kafka/stored/consumer-offsets.ts';
import { ConsumerDriver } from '../../../consumer-driver.ts';
import type { JoinOptions } from '../../../group-driver.ts';

function withTopic(partitions: number, ...rest: ConstructorParameters<typeof ConsumerDriver>): ConsumerDriver {
  const c = new ConsumerDriver(...rest);
  c.topic('t', partitions);
  return c;
}

const blob = (topic: string, partitions: readonly number[], userData: Buffer | null = null): Buffer =>
  encodeAssignment({ assignedPartitions: [{ topic, partitions }], userData });

/** A Stable classic group in which members have these partitions of t; returns their ids. */
function classic(c: ConsumerDriver, shares: readonly (readonly number[])[], options: JoinOptions = {}, userData: Buffer | null = null): string[] {
  const members = shares.map(() => c.d.enter('g', options));
  while (members[0]!.reply === undefined) c.d.advance(500);
  const assignments = Object.fromEntries(members.map(({ memberId }, i) => [memberId, blob('t', shares[i]!, userData)]));
  const { leader, generationId } = members[0]!.reply!;
  for (const { memberId } of members) c.d.sync('g', memberId, generationId!, memberId === leader ? assignments : {});
  return members.map(({ memberId }) => memberId);
}

/** A classic member joins with what it holds; the epoch and the partitions it gets, or an error code. */
function rejoin(c: ConsumerDriver, memberId: string, owned: readonly number[] = [], options: JoinOptions = {}): { epoch: number; has: number[] } | number {
  const reply = c.d.join('g', { ...options, memberId, owned: owned.length > 0 ? { t: owned } : {} }).reply!;
  if (reply.errorCode !== 0) return reply.errorCode!;
  expect(reply).toMatchObject({ protocolType: 'consumer', protocolName: 'range', leader: '', members: [] });
  const answer = c.d.sync('g', reply.memberId!, reply.generationId!, {}, options.instanceId ?? null).reply!;
  if (answer.errorCode !== 0) return answer.errorCode!;
  return { epoch: reply.generationId!, has: decodeAssignment(answer.assignment as Buffer).assignedPartitions.flatMap(({ partitions }) => [...partitions]) };
}

const list = (c: ConsumerDriver): string[] =>
  c.d.groups.list({ typesFilter: [], statesFilter: [] }).map(({ groupId, groupType, groupState }) => `${groupId} ${groupType} ${groupState}`);

describe('upgrade', () => {
  it('a member of the new protocol makes a consumer group of a classic one; who is there keeps reading', () => {
    const c = withTopic(4);
    const [a, b] = classic(c, [
      [0, 1],
      [2, 3],
    ]) as [string, string];
    c.d.commit('g', 7, { memberId: a, generation: 1 });
    const joined = c.join('g', 'new');
    expect(joined).toMatchObject({ errorCode: 0, memberEpoch: 2 });
    expect(c.assigned(joined)).toEqual([]);
    expect(list(c)).toEqual(['g consumer Reconciling']);
    expect(c.d.fetch('g').committedOffset).toBe(7);
    expect(c.d.groups.describe('g')).toMatchObject({ groupState: 'Dead' });
    expect(c.describe('g').members.map(({ memberId, memberType, memberEpoch }) => [memberId, memberType, memberEpoch])).toEqual([
      [a, 0, 1],
      [b, 0, 1],
      ['new', 1, 2],
    ]);
    // Commits go on in the generation they had, until the members hear of the new one.
    expect(c.d.commit('g', 8, { memberId: a, generation: 1, version: 5 })).toBe(0);
    expect(c.d.commit('g', 9, { memberId: a, generation: 0 })).toBe(E.ILLEGAL_GENERATION);
    expect([a, b].map((id) => c.d.heartbeat('g', id, 1))).toEqual([E.REBALANCE_IN_PROGRESS, E.REBALANCE_IN_PROGRESS]);
  });

  it('cooperative members give up only what they have to, and the new one gets it when it is free', () => {
    const c = withTopic(4);
    const [a, b] = classic(c, [
      [0, 1],
      [2, 3],
    ]) as [string, string];
    c.join('g', 'new');
    expect(rejoin(c, a, [0, 1])).toEqual({ epoch: 2, has: [0, 1] });
    expect(c.d.heartbeat('g', a, 2)).toBe(0);
    expect(rejoin(c, b, [2, 3])).toEqual({ epoch: 1, has: [2] });
    expect(c.d.heartbeat('g', b, 1)).toBe(E.REBALANCE_IN_PROGRESS);
    expect(c.beat('g', 'new', 2).assignment).toBeNull();
    expect(rejoin(c, b, [2])).toEqual({ epoch: 2, has: [2] });
    expect(c.assigned(c.beat('g', 'new', 2))).toEqual(['t-3']);
    expect(c.state('g')).toBe('Stable 2/2');
    expect([a, b].map((id) => c.d.heartbeat('g', id, 2))).toEqual([0, 0]);
  });

  it('eager members have let go of everything when they join', () => {
    const c = withTopic(4);
    const [a, b] = classic(c, [
      [0, 1],
      [2, 3],
    ]) as [string, string];
    c.join('g', 'new');
    expect(rejoin(c, b)).toEqual({ epoch: 2, has: [2] });
    expect(c.assigned(c.beat('g', 'new', 2))).toEqual(['t-3']);
    expect(rejoin(c, a)).toEqual({ epoch: 2, has: [0, 1] });
    expect(c.state('g')).toBe('Stable 2/2');
  });

  it('a classic member that waits for partitions is told when they are free', () => {
    const c = withTopic(2);
    c.join('g', 'new');
    const { memberId: a } = c.d.join('g').reply!;
    expect(rejoin(c, a!)).toEqual({ epoch: 2, has: [] });
    expect(c.d.heartbeat('g', a!, 2)).toBe(0);
    c.beat('g', 'new', 1, { owned: ['t-0', 't-1'] });
    expect(c.d.heartbeat('g', a!, 2)).toBe(0);
    c.beat('g', 'new', 1, { owned: ['t-0'] });
    expect(c.d.heartbeat('g', a!, 2)).toBe(E.REBALANCE_IN_PROGRESS);
    expect(rejoin(c, a!)).toEqual({ epoch: 2, has: [1] });
    expect(c.d.heartbeat('g', a!, 2)).toBe(0);
  });

  it('who waits for the classic group is sent back to join again', () => {
    const c = withTopic(2);
    const first = c.d.enter('g');
    const second = c.d.enter('g');
    expect(second.reply).toBeUndefined();
    c.join('g', 'new');
    expect([first, second].map(({ reply }) => reply?.errorCode)).toEqual([E.REBALANCE_IN_PROGRESS, E.REBALANCE_IN_PROGRESS]);
    for (const { memberId } of [first, second]) expect(rejoin(c, memberId)).toMatchObject({ epoch: 1 });
    const d = withTopic(2);
    const [, follower] = [d.d.enter('g'), d.d.enter('g')] as const;
    d.d.advance(10_000);
    const waiting = d.d.sync('g', follower.memberId, follower.reply!.generationId!);
    d.join('g', 'new');
    expect(waiting.reply).toMatchObject({ errorCode: E.REBALANCE_IN_PROGRESS });
  });

  it('a client that takes REBALANCE_IN_PROGRESS of a join for the end is told to look for the coordinator', () => {
    const c = withTopic(2);
    const [old, young] = [c.d.enter('g', { version: 7 }), c.d.enter('g', { version: 8 })];
    c.join('g', 'new');
    expect([old, young].map(({ reply }) => reply?.errorCode)).toEqual([E.NOT_COORDINATOR, E.REBALANCE_IN_PROGRESS]);
  });

  it('a member that says the same again, however much it is, writes nothing; other protocols are written', () => {
    const c = withTopic(2);
    const [a] = classic(c, [[0, 1]]) as [string];
    c.join('g', 'new');
    rejoin(c, a);
    const { has } = rejoin(c, a) as { has: number[] };
    rejoin(c, a, has);
    const before = c.d.log.length;
    rejoin(c, a, has);
    expect(c.d.log.length).toBe(before);
    rejoin(c, a, has, { protocols: ['range', 'sticky'] });
    expect(c.d.log.length).toBe(before + 1);
  });

  it('in the middle of a rebalance members have what they say they hold', () => {
    const c = withTopic(2);
    const [a] = classic(c, [[0, 1]]) as [string];
    c.d.join('g', { memberId: a, owned: { t: [0, 1] }, topics: ['t', 'u'] });
    expect(c.d.state('g')).toBe('CompletingRebalance');
    expect(c.assigned(c.join('g', 'new'))).toEqual([]);
    expect(c.describe('g').members[0]!.assignment).toMatchObject({ topicPartitions: [{ partitions: [0, 1] }] });
  });

  it('who says to hold what was assigned to another does not get it by that', () => {
    const c = withTopic(2);
    const [a] = classic(c, [[0, 1]]) as [string];
    const { memberId: b } = c.d.join('g').reply!;
    c.d.join('g', { memberId: b!, owned: { t: [1] } });
    c.join('g', 'new');
    const held = c.describe('g').members.map(({ memberId, assignment }) => [memberId, assignment.topicPartitions.flatMap(({ partitions }) => [...partitions])]);
    expect(held).toEqual([
      [a, [0, 1]],
      [b, []],
      ['new', []],
    ]);
  });

  it.each<[MigrationPolicy, boolean]>([
    ['disabled', false],
    ['downgrade', false],
    ['upgrade', true],
    ['bidirectional', true],
  ])('with %s: %s', (migration, isAllowed) => {
    const c = withTopic(1, { migration });
    const [a] = classic(c, [[0]]) as [string];
    expect(c.join('g', 'new').errorCode).toBe(isAllowed ? 0 : E.GROUP_ID_NOT_FOUND);
    expect(list(c)).toEqual([isAllowed ? 'g consumer Reconciling' : 'g classic Stable']);
    expect(c.d.heartbeat('g', a, 1)).toBe(isAllowed ? E.REBALANCE_IN_PROGRESS : 0);
  });

  it('not of groups whose members it could not serve, in Kafka’s words', () => {
    const refusal = (c: ConsumerDriver) => {
      const { errorCode, errorMessage } = c.join('g', 'new');
      expect([errorCode, list(c)]).toEqual([E.GROUP_ID_NOT_FOUND, ['g classic Stable']]);
      return errorMessage;
    };
    const other = withTopic(1);
    classic(other, [[0]], { protocolType: 'connect' });
    expect(refusal(other)).toBe('Group g is not a consumer group.');
    const full = withTopic(1, { maxSize: 1 });
    classic(full, [[0], []]);
    expect(refusal(full)).toBe('Group g is not a consumer group.');
    const odd = withTopic(1);
    odd.d.stable('g', 1);
    expect(refusal(odd)).toBe('Cannot upgrade classic group g to consumer group because the embedded consumer protocol is malformed.');
    const custom = withTopic(1);
    classic(custom, [[0]], {}, Buffer.from('x'));
    expect(refusal(custom)).toMatch(/because an unsupported custom assignor is in use\. Please/);
  });

  it('a static member comes back with the new protocol and takes its own place', () => {
    const c = withTopic(2, {}, { initialDelayMs: 0 });
    const { memberId: a, generationId } = c.d.join('g', { instanceId: 'i' }).reply!;
    c.d.sync('g', a!, generationId!, { [a!]: blob('t', [0, 1]) }, 'i');
    const joined = c.join('g', 'new', { instanceId: 'i' });
    expect(c.assigned(joined)).toEqual(['t-0', 't-1']);
    expect(c.d.heartbeat('g', a!, 1, 'i')).toBe(E.FENCED_INSTANCE_ID);
    expect(c.describe('g').members).toHaveLength(1);
  });
});

describe('a classic member in a consumer group', () => {
  it('is refused as Kafka does', () => {
    const c = withTopic(2, { maxSize: 3 });
    c.join('g', 'new');
    const code = (options: JoinOptions) => c.d.join('g', options).reply!.errorCode;
    expect(code({ protocolType: 'connect' })).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    expect(code({ protocols: [] })).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    const { memberId, errorCode } = c.d.join('g').reply!;
    expect(errorCode).toBe(E.MEMBER_ID_REQUIRED);
    expect(rejoin(c, memberId!)).toMatchObject({ epoch: 2 });
    expect(code({ version: 3, protocols: ['sticky'] })).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    expect(code({ version: 3, protocols: ['sticky', 'range'] })).toBe(0);
    expect(code({ version: 3 })).toBe(E.GROUP_MAX_SIZE_REACHED);
    expect(c.d.heartbeat('g', 'new', 1)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(c.d.heartbeat('g', memberId!, 9)).toBe(E.ILLEGAL_GENERATION);
    expect(c.d.sync('g', memberId!, 9).reply!.errorCode).toBe(E.ILLEGAL_GENERATION);
    expect(c.d.sync('g', memberId!, 2).reply!.errorCode).toBe(E.REBALANCE_IN_PROGRESS);
    expect(c.d.leave('g', 'new')).toBe(E.UNKNOWN_MEMBER_ID);
    expect(c.d.groups.refuseFetch('g', memberId!, 1)).toBe(E.ILLEGAL_GENERATION);
    expect(c.d.groups.refuseFetch('g', memberId!, 2)).toBe(0);
  });

  it('has its own session, and time to join again and to ask for its assignment', () => {
    for (const [sync, beatUntilGone] of [
      [true, false],
      [true, true],
      [false, false],
    ]) {
      const c = withTopic(1, { sessionMs: 1_000_000 });
      c.join('g', 'new');
      const options = { sessionMs: beatUntilGone ? 100_000 : 10_000, rebalanceMs: sync ? 60_000 : 5000 };
      const { memberId, generationId } = c.d.join('g', { version: 3, ...options }).reply!;
      if (sync) c.d.sync('g', memberId!, generationId!);
      if (beatUntilGone) {
        c.join('g', 'newer');
        expect(c.d.heartbeat('g', memberId!, 2)).toBe(E.REBALANCE_IN_PROGRESS);
        c.d.advance(30_000);
        expect(c.d.heartbeat('g', memberId!, 2)).toBe(E.REBALANCE_IN_PROGRESS);
        c.d.advance(29_999);
      } else c.d.advance(sync ? 9999 : 4999);
      expect(c.describe('g').members.some((one) => one.memberId === memberId)).toBe(true);
      c.d.advance(1);
      expect(c.describe('g').members.some((one) => one.memberId === memberId)).toBe(false);
    }
  });

  it('that is static comes back under a new id and has what it had, without a rebalance', () => {
    const c = withTopic(2);
    c.join('g', 'new');
    const before = rejoin(c, '', [], { instanceId: 'i' });
    const { memberId } = c.describe('g').members.find(({ instanceId }) => instanceId === 'i')!;
    c.beat('g', 'new', 1, { owned: ['t-0'] });
    expect(rejoin(c, memberId, [], { instanceId: 'i' })).toEqual({ epoch: 2, has: [1] });
    expect([before, c.state('g')]).toEqual([{ epoch: 2, has: [] }, 'Stable 2/2']);
    for (const isRestarted of [false, true]) {
      if (isRestarted) c.d.restart();
      expect(rejoin(c, '', [], { instanceId: 'i' })).toEqual({ epoch: 2, has: [1] });
      expect(c.d.heartbeat('g', memberId, 2, 'i')).toBe(E.FENCED_INSTANCE_ID);
      expect(c.d.join('g', { memberId, instanceId: 'i' }).reply!.errorCode).toBe(E.FENCED_INSTANCE_ID);
      expect(c.state('g')).toBe('Stable 2/2');
    }
    expect(c.d.join('g', { memberId: 'x', instanceId: 'j' }).reply!.errorCode).toBe(E.UNKNOWN_MEMBER_ID);
  });

  it('leaves, also several at once and static ones by their instance', () => {
    const c = withTopic(3);
    c.join('g', 'new');
    const { memberId: a } = c.d.join('g', { version: 3 }).reply!;
    c.d.join('g', { instanceId: 'i' });
    const members = [
      { memberId: a!, groupInstanceId: null, reason: null },
      { memberId: '', groupInstanceId: 'i', reason: null },
      { memberId: 'ghost', groupInstanceId: null, reason: null },
    ];
    const { members: left } = c.d.run<'leave'>({ kind: 'leave', version: 5, request: { groupId: 'g', memberId: '', members } });
    expect(left!.map(({ errorCode }) => errorCode)).toEqual([0, 0, E.UNKNOWN_MEMBER_ID]);
    expect(c.describe('g').members.map(({ memberId }) => memberId)).toEqual(['new']);
    expect(list(c)).toEqual(['g consumer Assigning']);
  });
});

describe('downgrade', () => {
  /** A consumer group of one member of the new protocol and two classic ones, all at rest in epoch 2. */
  function mixed(migration: MigrationPolicy = 'bidirectional'): { c: ConsumerDriver; a: string; b: string } {
    const c = withTopic(3, { migration: migration === 'disabled' || migration === 'downgrade' ? 'bidirectional' : migration, sessionMs: 45_000 });
    const [a, b] = classic(c, [[0], [1, 2]], { sessionMs: 60_000 }) as [string, string];
    c.join('g', 'new');
    for (const id of [a, b]) rejoin(c, id, [], { sessionMs: 60_000 });
    c.beat('g', 'new', 2);
    expect(c.state('g')).toBe('Stable 2/2');
    return { c, a, b };
  }

  /** The classic group rebalances: everybody joins, the leader assigns. */
  function settle(c: ConsumerDriver, ids: readonly string[]): void {
    const joins = ids.map((memberId) => c.d.join('g', { memberId }));
    const { generationId, leader } = joins[0]!.reply!;
    for (const id of ids) c.d.sync('g', id, generationId!, id === leader ? Object.fromEntries(ids.map((one, i) => [one, blob('t', [i])])) : {});
    expect(list(c)).toEqual(['g classic Stable']);
    for (const id of ids) expect(c.d.heartbeat('g', id, generationId!)).toBe(0);
  }

  it('when the last member of the new protocol leaves, the others go on as a classic group', () => {
    const { c, a, b } = mixed();
    expect(c.d.commit('g', 5, { memberId: a, generation: 2 })).toBe(0);
    c.send('g', 'new', { memberEpoch: -1 });
    expect(list(c)).toEqual(['g classic PreparingRebalance']);
    expect(c.describe('g')).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND });
    expect([a, b].map((id) => c.d.heartbeat('g', id, 2))).toEqual([E.REBALANCE_IN_PROGRESS, E.REBALANCE_IN_PROGRESS]);
    expect(c.beat('g', 'new', 2)).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND });
    expect(c.d.commit('g', 6, { memberId: a, generation: 2 })).toBe(0);
    settle(c, [a, b]);
    expect(c.d.fetch('g').committedOffset).toBe(6);
  });

  it('also when it falls silent', () => {
    const { c, a, b } = mixed();
    c.d.advance(45_000);
    expect(list(c)).toEqual(['g classic PreparingRebalance']);
    settle(c, [a, b]);
  });

  it('not without the policy: then the classic members stay in the consumer group', () => {
    const { c, a, b } = mixed('upgrade');
    c.send('g', 'new', { memberEpoch: -1 });
    expect(list(c)).toEqual(['g consumer Assigning']);
    for (const id of [a, b]) expect(c.d.heartbeat('g', id, 2)).toBe(E.REBALANCE_IN_PROGRESS);
    const has = [a, b].map((id) => rejoin(c, id));
    expect(has.flatMap((one) => (typeof one === 'number' ? [] : one.has)).sort()).toEqual([0, 1, 2]);
  });

  it('a restart before the rebalance is complete begins it again; after it the group is at rest', () => {
    const { c, a, b } = mixed();
    c.send('g', 'new', { memberEpoch: -1 });
    c.d.restart();
    expect(list(c)).toEqual(['g classic PreparingRebalance']);
    expect(c.d.heartbeat('g', a, 2)).toBe(E.REBALANCE_IN_PROGRESS);
    settle(c, [a, b]);
    c.d.restart();
    expect(list(c)).toEqual(['g classic Stable']);
  });

  it('members that do not come back are not waited for longer than their rebalance timeout', () => {
    const { c, a, b } = mixed();
    c.send('g', 'new', { memberEpoch: -1 });
    const waiting = c.d.join('g', { memberId: a });
    c.d.advance(59_999);
    expect(waiting.reply).toBeUndefined();
    c.d.advance(1);
    expect(waiting.reply).toMatchObject({ errorCode: 0, members: [{ memberId: a }] });
    expect(c.d.heartbeat('g', b, 2)).toBe(E.UNKNOWN_MEMBER_ID);
  });

  it('a static member comes back with the classic protocol in place of the last one of the new', () => {
    const c = withTopic(2);
    c.join('g', 'new', { instanceId: 'i' });
    const { memberId: other } = c.d.join('g').reply!;
    rejoin(c, other!);
    const back = c.d.join('g', { instanceId: 'i' });
    expect(list(c)).toEqual(['g classic PreparingRebalance']);
    expect(c.d.heartbeat('g', other!, 2)).toBe(E.REBALANCE_IN_PROGRESS);
    c.d.join('g', { memberId: other! });
    expect(back.reply).toMatchObject({ errorCode: 0, generationId: 3 });
    expect(c.d.groups.describe('g').members).toHaveLength(2);
    expect(c.beat('g', 'new', 1, { instanceId: 'i' })).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND });
  });
});

describe('records', () => {
  const kinds = (c: ConsumerDriver, from: number): string[] =>
    c.d.log.slice(from).map(({ record }) => {
      const key = decodeConsumerGroupKey(record.key);
      const name = key ? [key.kind, key.memberId].filter((word) => word !== '').join(' ') : decodeOffsetsKey(record.key).kind;
      return record.value === null ? `-${name}` : name;
    });

  it('of both ways are one batch, in Kafka’s order', () => {
    const c = withTopic(2);
    const [a] = classic(c, [[0, 1]]) as [string];
    let from = c.d.log.length;
    c.join('g', 'new');
    expect(kinds(c, from)).toEqual(
      ['-group', `member ${a}`, 'epoch', `target ${a}`, 'target-epoch', `current ${a}`].concat([
        'member new',
        'topics',
        'epoch',
        `target ${a}`,
        'target new',
        'target-epoch',
        'current new',
      ]),
    );
    from = c.d.log.length;
    c.send('g', 'new', { memberEpoch: -1 });
    const gone = [a, 'new'].flatMap((id) => [`-current ${id}`, `-target ${id}`, `-member ${id}`]);
    expect(kinds(c, from)).toEqual([...gone, '-target-epoch', '-topics', '-epoch', 'group']);
  });

  it('bring a mixed group back, at every step of the way', () => {
    const c = withTopic(4);
    const [a, b] = classic(c, [
      [0, 1],
      [2, 3],
    ]) as [string, string];
    const restart = (): void => {
      const before = c.describe('g');
      c.d.restart();
      expect(c.describe('g')).toEqual(before);
    };
    c.d.commit('g', 3, { memberId: a, generation: 1 });
    c.join('g', 'new');
    restart();
    expect(c.d.fetch('g').committedOffset).toBe(3);
    expect(c.d.heartbeat('g', b, 1)).toBe(E.REBALANCE_IN_PROGRESS);
    expect(rejoin(c, b, [2, 3])).toEqual({ epoch: 1, has: [2] });
    restart();
    expect(rejoin(c, b, [2])).toEqual({ epoch: 2, has: [2] });
    restart();
    expect(c.assigned(c.beat('g', 'new', 2))).toEqual(['t-3']);
    expect(rejoin(c, a, [0, 1])).toEqual({ epoch: 2, has: [0, 1] });
    restart();
    expect(c.state('g')).toBe('Stable 2/2');
    c.d.advance(9999);
    expect(c.describe('g').members).toHaveLength(3);
    c.d.advance(1);
    expect(c.describe('g').members.map(({ memberId }) => memberId)).toEqual(['new']);
  });

  it('that cannot be stored change nothing, whichever way', () => {
    const c = withTopic(2);
    const [a, b] = classic(c, [[0], [1]], { sessionMs: 60_000 }) as [string, string];
    const join = { memberEpoch: 0, instanceId: null, rackId: null, rebalanceTimeoutMs: 1000, subscribedTopicRegex: null, serverAssignor: null };
    const request = { ...join, groupId: 'g', memberId: 'new', subscribedTopicNames: ['t'], topicPartitions: [] };
    const refuse = (call: Parameters<typeof c.d.groups.decide>[0]): void => void c.d.groups.abandon(c.d.groups.decide(call, c.d.now), c.d.now);
    const beat = { kind: 'consumer-heartbeat', version: 1, clientId: 'c', clientHost: '/127.0.0.1', mayDescribe: () => true } as const;
    refuse({ ...beat, request });
    // A classic group of which anything could not be stored assigns anew.
    expect(list(c)).toEqual(['g classic PreparingRebalance']);
    expect(c.d.heartbeat('g', a, 1)).toBe(E.REBALANCE_IN_PROGRESS);
    c.join('g', 'new');
    for (const id of [a, b]) rejoin(c, id, [], { sessionMs: 60_000 });
    const before = c.describe('g');
    refuse({ ...beat, request: { ...request, memberEpoch: -1 } });
    expect(c.describe('g')).toEqual(before);
    expect(c.d.heartbeat('g', a, 2)).toBe(0);
    c.send('g', 'new', { memberEpoch: -1 });
    expect(list(c)).toEqual(['g classic PreparingRebalance']);
    expect(c.d.groups.describe('g').members).toHaveLength(2);
  });
});
