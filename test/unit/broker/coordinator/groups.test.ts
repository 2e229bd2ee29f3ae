/** The classic group protocol, call by call, with numbers for time. */
import { describe, expect, it } from 'vitest';
import type { GroupCommand } from '../../../../src/broker/coordinator/groups.ts';
import { partitionFor } from '../../../../src/broker/coordinator/machine.ts';
import { ErrorCode as E } from '../../../../src/kafka/errors.ts';
import { decodeOffsetsKey } from '../../../../src/kafka/stored/consumer-offsets.ts';
import { GroupDriver } from '../../../group-driver.ts';

const text = (assignment: Buffer | undefined): string => assignment!.toString();

describe('joining', () => {
  it('gives a new dynamic member an id first (KIP-394), then waits for the initial delay', () => {
    const d = new GroupDriver();
    const first = d.join('g', { clientId: 'app' });
    expect(first.reply).toMatchObject({ errorCode: E.MEMBER_ID_REQUIRED, memberId: 'app-m1', generationId: -1, protocolName: null, members: [] });
    const joined = d.join('g', { memberId: 'app-m1' });
    expect(joined.reply).toBeUndefined();
    expect(d.state('g')).toBe('PreparingRebalance');
    d.advance(2999);
    expect(joined.reply).toBeUndefined();
    d.advance(1);
    expect(joined.reply).toMatchObject({
      errorCode: 0,
      generationId: 1,
      protocolName: 'range',
      leader: 'app-m1',
      memberId: 'app-m1',
      protocolType: 'consumer',
    });
    expect(joined.reply!.members).toHaveLength(1);
    expect(d.state('g')).toBe('CompletingRebalance');
  });

  it('lets clients before version 4 in directly', () => {
    const d = new GroupDriver({ initialDelayMs: 0 });
    expect(d.join('g', { version: 1 }).reply).toMatchObject({ errorCode: 0, generationId: 1, memberId: 'c-m1' });
  });

  it('extends the initial delay with each newcomer, up to the rebalance timeout', () => {
    const d = new GroupDriver();
    const a = d.enter('g', { rebalanceMs: 7000 });
    d.advance(2000);
    const b = d.enter('g', { rebalanceMs: 7000 });
    d.advance(1000);
    expect(a.reply).toBeUndefined();
    d.advance(2000);
    d.enter('g', { rebalanceMs: 7000 });
    d.advance(1999);
    expect(a.reply).toBeUndefined();
    d.advance(1);
    expect([a.reply!.generationId, b.reply!.generationId]).toEqual([1, 1]);
    expect(a.reply!.members).toHaveLength(3);
    expect(b.reply!.members).toHaveLength(0);
  });

  it('refuses in Kafka’s order', () => {
    const d = new GroupDriver({ maxSize: 1 });
    expect(d.join('').reply!.errorCode).toBe(E.INVALID_GROUP_ID);
    expect(d.join('g', { sessionMs: 5999 }).reply!.errorCode).toBe(E.INVALID_SESSION_TIMEOUT);
    expect(d.join('g', { memberId: 'ghost' }).reply!.errorCode).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.join('g', { protocols: [] }).reply!.errorCode).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    expect(d.join('g', { protocolType: '' }).reply!.errorCode).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    const [id] = d.stable('g', 1);
    expect(d.join('g', { version: 6 }).reply).toMatchObject({ errorCode: E.GROUP_MAX_SIZE_REACHED, protocolName: '' });
    expect(d.join('g', { memberId: id!, protocolType: 'connect' }).reply!.errorCode).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
  });

  it('picks the protocol that all support and most prefer', () => {
    const d = new GroupDriver();
    const a = d.enter('g', { protocols: ['sticky', 'range', 'robin'] });
    d.enter('g', { protocols: ['robin', 'range'] });
    d.enter('g', { protocols: ['range', 'robin'] });
    d.enter('g', { protocols: ['range', 'robin'] });
    expect(d.join('g', { protocols: ['other'] }).reply!.errorCode).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    d.advance(20_000);
    expect(a.reply!.protocolName).toBe('range');
  });
});

describe('syncing', () => {
  it('trap 16: holds followers until the leader brought the assignments', () => {
    const d = new GroupDriver();
    const [a, b] = [d.enter('g'), d.enter('g')];
    d.advance(9000);
    const early = d.sync('g', b.memberId, 1);
    expect(early.reply).toBeUndefined();
    const leader = d.sync('g', a.memberId, 1, { [a.memberId]: 'x', [b.memberId]: 'y' });
    expect(text(leader.reply!.assignment)).toBe('x');
    expect(text(early.reply!.assignment)).toBe('y');
    expect(early.reply).toMatchObject({ errorCode: 0, protocolName: 'range', protocolType: 'consumer' });
    expect(text(d.sync('g', b.memberId, 1).reply!.assignment)).toBe('y');
    expect(d.state('g')).toBe('Stable');
  });

  it('gives a member that the leader forgot empty bytes', () => {
    const d = new GroupDriver();
    const [a, b] = [d.enter('g'), d.enter('g')];
    d.advance(9000);
    d.sync('g', a.memberId, 1, { [a.memberId]: 'x' });
    expect(d.sync('g', b.memberId, 1).reply!.assignment).toHaveLength(0);
  });

  it('refuses wrong members, generations and protocols', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 1);
    expect(d.sync('nobody', 'x', 1).reply!.errorCode).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.sync('g', 'x', 1).reply!.errorCode).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.sync('g', a!, 2).reply!.errorCode).toBe(E.ILLEGAL_GENERATION);
    const { ticket, answered } = d.ticket();
    const request = { groupId: 'g', memberId: a!, generationId: 1, groupInstanceId: null, protocolType: 'connect', protocolName: null, assignments: [] };
    d.tell({ kind: 'sync', ticket, version: 5, request });
    expect(answered.reply).toMatchObject({ errorCode: E.INCONSISTENT_GROUP_PROTOCOL });
    const unnamed = d.ticket();
    d.tell({ kind: 'sync', ticket: unnamed.ticket, version: 5, request: { ...request, protocolType: null } });
    expect(unnamed.answered.reply, 'version 5 must name both').toMatchObject({ errorCode: E.INCONSISTENT_GROUP_PROTOCOL });
    d.enter('g');
    expect(d.sync('g', a!, 1).reply!.errorCode).toBe(E.REBALANCE_IN_PROGRESS);
  });

  it('removes members that never sync within the rebalance timeout', () => {
    const d = new GroupDriver();
    const [a, b] = [d.enter('g', { rebalanceMs: 20_000, sessionMs: 60_000 }), d.enter('g', { rebalanceMs: 20_000, sessionMs: 60_000 })];
    d.advance(9000);
    const waiting = d.sync('g', a.memberId, 1, {});
    expect(text(waiting.reply!.assignment)).toBe('');
    d.advance(20_000);
    expect(d.state('g')).toBe('PreparingRebalance');
    expect(d.heartbeat('g', b.memberId, 1)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.heartbeat('g', a.memberId, 1)).toBe(E.REBALANCE_IN_PROGRESS);
  });
});

describe('rebalances', () => {
  it('a member that synced before must sync again in each generation', () => {
    const d = new GroupDriver();
    const [a, b] = d.stable('g', 2, { rebalanceMs: 20_000, sessionMs: 60_000 });
    d.join('g', { memberId: a!, rebalanceMs: 20_000, sessionMs: 60_000 });
    d.join('g', { memberId: b!, rebalanceMs: 20_000, sessionMs: 60_000 });
    expect(d.state('g')).toBe('CompletingRebalance');
    d.sync('g', a!, 2);
    d.advance(19_999);
    expect(d.heartbeat('g', b!, 2)).toBe(0);
    d.advance(1);
    expect(d.heartbeat('g', b!, 2)).toBe(E.UNKNOWN_MEMBER_ID);
  });

  it('trap 14: heartbeats tell of a rebalance, and everybody comes back into the next generation', () => {
    const d = new GroupDriver();
    const [a, b] = d.stable('g', 2);
    expect(d.heartbeat('g', a!, 1)).toBe(0);
    const c = d.enter('g');
    expect(d.heartbeat('g', a!, 1)).toBe(E.REBALANCE_IN_PROGRESS);
    const rejoinA = d.join('g', { memberId: a! });
    expect(c.reply).toBeUndefined();
    const rejoinB = d.join('g', { memberId: b! });
    for (const { reply } of [rejoinA, rejoinB, c]) expect(reply).toMatchObject({ errorCode: 0, generationId: 2, leader: a });
    expect(rejoinA.reply!.members.map(({ memberId }) => memberId)).toEqual([a, b, c.memberId]);
  });

  it('a follower that joins again unchanged disturbs nobody; the leader or a changed member does', () => {
    const d = new GroupDriver();
    const [a, b] = d.stable('g', 2);
    expect(d.join('g', { memberId: b! }).reply).toMatchObject({ errorCode: 0, generationId: 1, members: [] });
    expect(d.state('g')).toBe('Stable');
    d.join('g', { memberId: b!, topics: ['other'] });
    expect(d.state('g')).toBe('PreparingRebalance');
    d.join('g', { memberId: a! });
    d.sync('g', a!, 2);
    d.sync('g', b!, 2);
    expect(d.state('g')).toBe('Stable');
    d.join('g', { memberId: a! });
    expect(d.state('g')).toBe('PreparingRebalance');
  });

  it('waiting syncs are sent back when a rebalance begins', () => {
    const d = new GroupDriver();
    const [a, b] = [d.enter('g'), d.enter('g')];
    d.advance(9000);
    const waiting = d.sync('g', b.memberId, 1);
    d.enter('g');
    expect(waiting.reply!.errorCode).toBe(E.REBALANCE_IN_PROGRESS);
    expect(d.heartbeat('g', a.memberId, 1)).toBe(E.REBALANCE_IN_PROGRESS);
  });

  it('goes on without members that do not return within the rebalance timeout', () => {
    const d = new GroupDriver();
    const [a, b] = d.stable('g', 2, { rebalanceMs: 15_000, sessionMs: 30_000 });
    const back = d.join('g', { memberId: a!, rebalanceMs: 15_000, sessionMs: 30_000 });
    d.advance(14_999);
    expect(back.reply).toBeUndefined();
    d.advance(1);
    expect(back.reply).toMatchObject({ generationId: 2, leader: a });
    expect(d.heartbeat('g', b!, 2)).toBe(E.UNKNOWN_MEMBER_ID);
  });

  it('hands leadership on when the leader is gone', () => {
    const d = new GroupDriver();
    const [a, b] = d.stable('g', 2);
    expect(d.leave('g', a!)).toBe(0);
    expect(d.join('g', { memberId: b! }).reply).toMatchObject({ generationId: 2, leader: b });
  });

  it('trap 15: a member that waits in JoinGroup does not expire, one that vanished does', () => {
    const d = new GroupDriver();
    const [a, b] = d.stable('g', 2, { sessionMs: 6000 });
    const waiting = d.join('g', { memberId: a!, sessionMs: 6000 });
    for (let i = 0; i < 10; i++) {
      d.advance(5000);
      expect(d.heartbeat('g', b!, 1), `after ${i}`).toBe(E.REBALANCE_IN_PROGRESS);
    }
    expect(waiting.reply).toBeUndefined();
    d.advance(6000);
    expect(waiting.reply).toMatchObject({ generationId: 2, members: [{ memberId: a }] });
  });

  it('a member whose connection broke while it waited is missed after its session', () => {
    const d = new GroupDriver();
    const [a, b] = d.stable('g', 2, { sessionMs: 6000 });
    const gone = d.join('g', { memberId: a!, sessionMs: 6000 });
    d.tell({ kind: 'gone', groupId: 'g', ticket: gone.ticket });
    const other = d.join('g', { memberId: b!, sessionMs: 6000 });
    expect(other.reply).toBeUndefined();
    d.advance(6000);
    expect(other.reply).toMatchObject({ generationId: 2, leader: b });
    expect(gone.reply).toBeUndefined();
  });

  it('a second join of the same member answers the first', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 2);
    const first = d.join('g', { memberId: a! });
    d.join('g', { memberId: a! });
    expect(first.reply!.errorCode).toBe(E.REBALANCE_IN_PROGRESS);
  });

  it('ids that were given out and never used hold up nobody for longer than a session', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 1, { sessionMs: 60_000 });
    const unused = d.join('g', { sessionMs: 8000 }).reply!.memberId;
    const back = d.join('g', { memberId: a!, sessionMs: 60_000 });
    expect(back.reply).toBeUndefined();
    d.advance(8000);
    expect(back.reply!.generationId).toBe(2);
    expect(d.join('g', { memberId: unused }).reply!.errorCode).toBe(E.UNKNOWN_MEMBER_ID);
  });

  it('fifty members: one rebalance in, one when ten leave, one when ten vanish', () => {
    const d = new GroupDriver();
    const members = d.stable('g', 50);
    expect(d.groups.describe('g')).toMatchObject({ groupState: 'Stable', protocolData: 'range' });
    expect(d.groups.describe('g').members.map(({ memberAssignment }) => text(memberAssignment))).toEqual(members.map((_, i) => `a${i}`));
    const rejoin = (ids: readonly string[], generation: number): void => {
      const joins = ids.map((memberId) => d.join('g', { memberId }));
      if (joins.some(({ reply }) => reply === undefined)) d.advance(60_000);
      expect(new Set(joins.map(({ reply }) => reply!.generationId))).toEqual(new Set([generation]));
      const { leader } = joins[0]!.reply!;
      const leading = joins.find(({ reply }) => reply!.memberId === leader)!;
      expect(leading.reply!.members).toHaveLength(ids.length);
      for (const memberId of ids) d.sync('g', memberId, generation, memberId === leader ? Object.fromEntries(ids.map((id) => [id, `b-${id}`])) : {});
      for (const memberId of ids) expect(text(d.sync('g', memberId, generation).reply!.assignment)).toBe(`b-${memberId}`);
      expect(d.state('g')).toBe('Stable');
    };
    for (const id of members.slice(0, 10)) expect(d.leave('g', id)).toBe(0);
    rejoin(members.slice(10), 2);
    const alive = members.slice(20);
    for (let i = 0; i < 4; i++) {
      d.advance(3000);
      for (const id of alive) d.heartbeat('g', id, 2);
    }
    expect(d.state('g')).toBe('PreparingRebalance');
    rejoin(alive, 3);
  });
});

describe('leaving', () => {
  it('the last one leaves an Empty group of the next generation', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 1);
    expect(d.leave('g', a!)).toBe(0);
    expect(d.groups.describe('g')).toMatchObject({ groupState: 'Empty', protocolType: 'consumer', members: [] });
    expect(d.groups.all.get('g')).toMatchObject({ generation: 2, protocol: null, leader: null });
    expect(d.heartbeat('g', a!, 1)).toBe(E.UNKNOWN_MEMBER_ID);
  });

  it('answers at the top before version 3 and per member from then on', () => {
    const d = new GroupDriver();
    d.stable('g', 1);
    const old = { kind: 'leave' as const, version: 2, request: { groupId: 'g', memberId: 'ghost', members: [] } } satisfies GroupCommand;
    expect(d.run<'leave'>(old)).toEqual({ errorCode: E.UNKNOWN_MEMBER_ID });
    const members = [{ memberId: 'ghost', groupInstanceId: null, reason: null }];
    expect(d.run<'leave'>({ kind: 'leave', version: 3, request: { groupId: 'g', memberId: '', members } })).toEqual({
      errorCode: 0,
      members: [{ memberId: 'ghost', groupInstanceId: null, errorCode: E.UNKNOWN_MEMBER_ID }],
    });
  });

  it('answers the JoinGroup of a member that is removed meanwhile', () => {
    const d = new GroupDriver();
    const waiting = d.enter('g');
    expect(d.leave('g', waiting.memberId)).toBe(0);
    expect(waiting.reply!.errorCode).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.state('g')).toBe('Empty');
  });
});

describe('static members (KIP-345)', () => {
  const twoStatic = (d: GroupDriver): [string, string] => {
    const [a, b] = [d.join('g', { instanceId: 'i1' }), d.join('g', { instanceId: 'i2' })];
    d.advance(20_000 - 11_000);
    const ids: [string, string] = [a.reply!.memberId, b.reply!.memberId];
    d.sync('g', ids[0], 1, { [ids[0]]: 'x', [ids[1]]: 'y' }, 'i1');
    d.sync('g', ids[1], 1, {}, 'i2');
    expect(d.state('g')).toBe('Stable');
    return ids;
  };

  it('come back after a restart without a rebalance, and fence their former selves', () => {
    const d = new GroupDriver();
    const [, b] = twoStatic(d);
    const back = d.join('g', { instanceId: 'i2' });
    expect(back.reply).toMatchObject({ errorCode: 0, generationId: 1, skipAssignment: false, members: [] });
    const id = back.reply!.memberId;
    expect(id).not.toBe(b);
    expect(text(d.sync('g', id, 1, {}, 'i2').reply!.assignment)).toBe('y');
    expect(d.heartbeat('g', b, 1, 'i2')).toBe(E.FENCED_INSTANCE_ID);
    expect(d.join('g', { memberId: b, instanceId: 'i2' }).reply!.errorCode).toBe(E.FENCED_INSTANCE_ID);
    expect(d.heartbeat('g', 'x', 1, 'unknown')).toBe(E.UNKNOWN_MEMBER_ID);
  });

  it('a returning leader is told to skip the assignment from version 9 on, and names its former self before', () => {
    const d = new GroupDriver();
    const [a] = twoStatic(d);
    const old = d.join('g', { instanceId: 'i1', version: 8 });
    expect(old.reply).toMatchObject({ leader: a, members: [], skipAssignment: false });
    const back = d.join('g', { instanceId: 'i1' });
    expect(back.reply).toMatchObject({ leader: back.reply!.memberId, skipAssignment: true });
    expect(back.reply!.members).toHaveLength(2);
  });

  it('are kept through a rebalance they miss, and go when their session ends', () => {
    const d = new GroupDriver();
    const [a, b] = twoStatic(d);
    const back = d.join('g', { memberId: a, instanceId: 'i1', topics: ['new'], rebalanceMs: 8000 });
    for (let i = 0; i < 20; i++) {
      d.advance(3000);
      d.heartbeat('g', b, 1, 'i2');
    }
    expect(back.reply!.members).toHaveLength(2);
    d.advance(10_000);
    expect(d.groups.describe('g').members.map(({ groupInstanceId }) => groupInstanceId)).not.toContain('i2');
  });

  it('are removed by an administrator who names the instance alone', () => {
    const d = new GroupDriver();
    twoStatic(d);
    expect(d.leave('g', '', 'i2')).toBe(0);
    expect(d.leave('g', '', 'nobody')).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.state('g')).toBe('PreparingRebalance');
  });
});

describe('offsets', () => {
  it('are committed by members of the generation, or by anybody while the group is empty', () => {
    const d = new GroupDriver();
    expect(d.commit('simple', 5)).toBe(0);
    expect(d.fetch('simple')).toMatchObject({ committedOffset: 5, errorCode: 0 });
    expect(d.groups.list({ statesFilter: ['empty'], typesFilter: ['Classic'] })).toEqual([
      { groupId: 'simple', protocolType: '', groupState: 'Empty', groupType: 'classic' },
    ]);
    const [a] = d.stable('g', 1);
    expect(d.commit('g', 7, { memberId: a!, generation: 1 })).toBe(0);
    expect(d.commit('g', 8)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.commit('g', 8, { memberId: a!, generation: 0 })).toBe(E.ILLEGAL_GENERATION);
    expect(d.commit('g', 8, { memberId: 'x', generation: 1 })).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.commit('none', 8, { memberId: 'x', generation: 1 })).toBe(E.ILLEGAL_GENERATION);
    expect(d.commit('', 8), 'real brokers take commits of the empty group').toBe(0);
    expect(d.commit('member-only', 8, { memberId: 'x' })).toBe(0);
    expect(d.commit('member-only', 8, { memberId: 'x' })).toBe(0);
    expect(d.commit('g', 8, { memberId: a!, generation: 1, metadata: 'x'.repeat(4097) })).toBe(E.OFFSET_METADATA_TOO_LARGE);
    expect(d.commit('g', 8, { memberId: a!, generation: 1, topic: 'missing' })).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    expect(d.commit('g', -5, { memberId: a!, generation: 1, partition: 1 })).toBe(0);
    expect([d.fetch('g').committedOffset, d.fetch('g', 1).committedOffset, d.fetch('g', 2).committedOffset]).toEqual([7, -5, -1]);
    d.enter('g');
    expect(d.commit('g', 9, { memberId: a!, generation: 1 })).toBe(0);
    d.join('g', { memberId: a! });
    expect(d.commit('g', 10, { memberId: a!, generation: 2 })).toBe(E.REBALANCE_IN_PROGRESS);
  });

  it('survive a restart with the group, which goes on in its generation', () => {
    const d = new GroupDriver();
    const [a, b] = d.stable('g', 2);
    d.commit('g', 7, { memberId: a!, generation: 1, metadata: 'note' });
    const before = d.groups.describe('g');
    d.restart();
    expect(d.groups.describe('g')).toEqual(before);
    expect(d.fetch('g').committedOffset).toBe(7);
    d.advance(5000);
    expect(d.heartbeat('g', b!, 1)).toBe(0);
    d.advance(4999);
    expect(d.state('g')).toBe('Stable');
    d.advance(1);
    expect(d.groups.describe('g').members.map(({ memberId }) => memberId)).toEqual([b]);
  });

  it('of a transaction count after the commit marker, and never after an abort', () => {
    const d = new GroupDriver();
    d.commit('g', 1);
    expect(d.txnCommit('g', 5, 77)).toBe(0);
    expect(d.fetch('g')).toMatchObject({ committedOffset: 1, errorCode: 0 });
    expect(d.fetch('g', 0, true)).toMatchObject({ committedOffset: -1, errorCode: E.UNSTABLE_OFFSET_COMMIT });
    d.restart();
    expect(d.fetch('g', 0, true).errorCode).toBe(E.UNSTABLE_OFFSET_COMMIT);
    const partition = partitionFor('g', 50);
    d.marker(77, true, partition + 1);
    expect(d.fetch('g').committedOffset).toBe(1);
    d.marker(77, true, partition);
    expect(d.fetch('g', 0, true)).toMatchObject({ committedOffset: 5, errorCode: 0 });
    d.txnCommit('g', 9, 78);
    d.marker(78, false, partition);
    expect(d.fetch('g', 0, true)).toMatchObject({ committedOffset: 5, errorCode: 0 });
  });

  it('of a transaction do not overtake a later plain commit', () => {
    const d = new GroupDriver();
    d.txnCommit('g', 5, 77);
    d.commit('g', 6);
    d.marker(77, true, partitionFor('g', 50));
    expect(d.fetch('g').committedOffset).toBe(6);
  });

  it('of a transaction are fenced by member and generation (KIP-447)', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 1);
    expect(d.txnCommit('g', 1, 7, { memberId: a!, generation: 1 })).toBe(0);
    expect(d.txnCommit('g', 1, 7, { memberId: a!, generation: 2 })).toBe(E.ILLEGAL_GENERATION);
    expect(d.txnCommit('g', 1, 7, { memberId: 'x', generation: 1 })).toBe(E.UNKNOWN_MEMBER_ID);
    expect(d.txnCommit('g', 1, 7)).toBe(0);
  });

  it('expire a week after the group became empty, and the group with them', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 1, { sessionMs: 1_800_000 });
    d.commit('g', 7, { memberId: a!, generation: 1 });
    const week = 7 * 86_400_000;
    for (let i = 0; i < 8 * 24 * 4; i++) {
      d.advance(900_000);
      d.heartbeat('g', a!, 1);
    }
    expect(d.fetch('g').committedOffset).toBe(7);
    d.leave('g', a!);
    d.restart();
    d.advance(week - 1);
    expect(d.fetch('g').committedOffset).toBe(7);
    d.advance(600_001);
    expect(d.fetch('g').committedOffset).toBe(-1);
    expect(d.state('g')).toBe('Dead');
    d.restart();
    expect(d.state('g')).toBe('Dead');
  });

  it('of a live group expire only for topics that nobody reads any more', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 1, { sessionMs: 1_800_000 });
    d.commit('g', 1, { memberId: a!, generation: 1, topic: 't' });
    d.commit('g', 2, { memberId: a!, generation: 1, topic: 'former' });
    for (let i = 0; i < 8 * 24 * 4; i++) {
      d.advance(900_000);
      d.heartbeat('g', a!, 1);
    }
    expect(d.groups.fetchOffsets('g', { topics: null, requireStable: false }).map(({ name }) => name)).toEqual(['t']);
  });

  it('can be deleted where no live member reads', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 1);
    d.commit('g', 1, { memberId: a!, generation: 1 });
    d.commit('g', 2, { memberId: a!, generation: 1, topic: 'u' });
    const ask = (groupId: string, name: string, partitionIndex = 0) =>
      d.run<'delete-offsets'>({
        kind: 'delete-offsets',
        request: { groupId, topics: [{ name, partitions: [{ partitionIndex }] }] },
        exists: (topic) => topic !== 'missing',
      });
    expect(ask('none', 't')).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND });
    expect(ask('g', 't').topics[0]!.partitions[0]!.errorCode).toBe(E.GROUP_SUBSCRIBED_TO_TOPIC);
    expect(ask('g', 'missing').topics[0]!.partitions[0]!.errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    expect(ask('g', 'u').topics[0]!.partitions[0]!.errorCode).toBe(0);
    expect(d.groups.fetchOffsets('g', { topics: null, requireStable: false })).toHaveLength(1);
    d.leave('g', a!);
    expect(ask('g', 't')).toMatchObject({ errorCode: 0 });
    expect(d.state('g')).toBe('Dead');
  });

  it('go with their topic', () => {
    const d = new GroupDriver();
    d.commit('a', 1);
    d.commit('b', 1, { topic: 'u' });
    d.tell({ kind: 'forget-topics', topics: ['t'] });
    d.restart();
    expect([d.fetch('a').committedOffset, d.groups.fetchOffsets('b', { topics: null, requireStable: false }).length]).toEqual([-1, 1]);
  });
});

describe('administration', () => {
  it('deletes empty groups only', () => {
    const d = new GroupDriver();
    d.stable('live', 1);
    d.commit('idle', 1);
    const { results } = d.run<'delete-groups'>({ kind: 'delete-groups', groups: ['live', 'idle', 'none', ''] });
    expect(results.map(({ errorCode }) => errorCode)).toEqual([E.NON_EMPTY_GROUP, 0, E.GROUP_ID_NOT_FOUND, E.GROUP_ID_NOT_FOUND]);
    d.restart();
    expect([d.state('idle'), d.state('live')]).toEqual(['Dead', 'Stable']);
  });

  it('describes an unknown group as Dead and hides metadata while a group rebalances', () => {
    const d = new GroupDriver();
    expect(d.groups.describe('none')).toEqual({ errorCode: 0, groupId: 'none', groupState: 'Dead', protocolType: '', protocolData: '', members: [] });
    d.stable('g', 1);
    expect(d.groups.describe('g').members[0]).toMatchObject({ clientHost: '/127.0.0.1', clientId: 'c' });
    d.enter('g');
    expect(d.groups.describe('g')).toMatchObject({ groupState: 'PreparingRebalance', protocolData: '', protocolType: 'consumer' });
    expect(d.groups.describe('g').members[0]!.memberMetadata).toHaveLength(0);
    expect(d.groups.list({ statesFilter: ['STABLE'], typesFilter: [] })).toEqual([]);
    expect(d.groups.list({ statesFilter: [], typesFilter: ['consumer'] })).toEqual([]);
  });

  it('writes to the log when the leader synced and when the group became empty, not otherwise', () => {
    const d = new GroupDriver();
    const [a] = d.stable('g', 2);
    expect(d.log.map(({ record }) => decodeOffsetsKey(record.key).kind)).toEqual(['group']);
    d.enter('g');
    expect(d.log).toHaveLength(1);
    expect(d.log[0]!.record.owner).toBe('g');
    expect(d.leave('g', a!)).toBe(0);
    d.advance(300_000);
    expect(d.log).toHaveLength(2);
    expect(d.state('g')).toBe('Empty');
  });

  it('assignments that could not be stored lead to another rebalance', () => {
    const d = new GroupDriver();
    const a = d.enter('g');
    d.advance(6000);
    const { ticket, answered } = d.ticket();
    const request = { groupId: 'g', memberId: a.memberId, generationId: 1, groupInstanceId: null, protocolType: null, protocolName: null, assignments: [] };
    const decision = d.groups.decide({ kind: 'sync', ticket, version: 4, request }, d.now);
    expect(decision.records).toHaveLength(1);
    d.groups.abandon(decision, d.now);
    expect(answered.reply).toBeUndefined();
    expect(d.heartbeat('g', a.memberId, 1)).toBe(E.REBALANCE_IN_PROGRESS);
  });
});

describe('partitionFor', () => {
  it('is Java’s hash', () => {
    expect(['console-consumer-3975', 'g39', 'ggk220'].map((id) => partitionFor(id, 3))).toEqual([0, 1, 2]);
    expect(partitionFor('polygenelubricants', 50)).toBe(0);
  });
});
