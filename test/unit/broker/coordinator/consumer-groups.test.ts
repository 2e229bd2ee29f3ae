/** The new consumer protocol (KIP-848), heartbeat by heartbeat, with numbers for time. */
import { describe, expect, it } from 'vitest';
import { partitionFor } from '../../../../src/broker/coordinator/machine.ts';
import { ErrorCode as E } from '../../../../src/kafka/errors.ts';
import { decodeConsumerGroupKey } from '../../../../src/kafka/stored/consumer-group.ts';
import { decodeOffsetsKey } from '../../../../src/kafka/stored/consumer-offsets.ts';
import { ConsumerDriver } from '../../../consumer-driver.ts';

/** A driver with topic t of so many partitions. */
function withTopic(partitions: number, ...rest: ConstructorParameters<typeof ConsumerDriver>): ConsumerDriver {
  const c = new ConsumerDriver(...rest);
  c.topic('t', partitions);
  return c;
}

describe('joining', () => {
  it('gives the first member everything at once, at epoch 1', () => {
    const c = withTopic(3);
    const reply = c.join('g', 'a');
    expect(reply).toMatchObject({ errorCode: 0, memberId: 'a', memberEpoch: 1, heartbeatIntervalMs: 5000 });
    expect(c.assigned(reply)).toEqual(['t-0', 't-1', 't-2']);
    expect(c.state('g')).toBe('Stable 1/1');
    expect(c.beat('g', 'a', 1)).toMatchObject({ errorCode: 0, memberEpoch: 1, assignment: null });
  });

  it('makes up an id for members of version 0 only', () => {
    const c = withTopic(1);
    expect(c.join('g', '', { version: 0 })).toMatchObject({ errorCode: 0, memberId: 'm1' });
    expect(c.join('g', '', { version: 1 })).toMatchObject({ errorCode: E.INVALID_REQUEST, errorMessage: "MemberId can't be empty." });
  });

  it('takes partitions from their holder first, and gives them to the newcomer when they are free', () => {
    const c = withTopic(4);
    c.join('g', 'a');
    const b = c.join('g', 'b');
    expect(b).toMatchObject({ memberEpoch: 2, assignment: { topicPartitions: [] } });
    expect(c.state('g')).toBe('Reconciling 2/2');
    const told = c.beat('g', 'a', 1, { owned: ['t-0', 't-1', 't-2', 't-3'] });
    expect(told.memberEpoch).toBe(1);
    expect(c.assigned(told)).toEqual(['t-0', 't-1']);
    expect(c.beat('g', 'b', 2).assignment).toBeNull();
    expect(c.beat('g', 'a', 1, { owned: ['t-0', 't-1', 't-2'] })).toMatchObject({ memberEpoch: 1, assignment: null });
    expect(c.beat('g', 'a', 1, { owned: ['t-0', 't-1'] }).memberEpoch).toBe(2);
    expect(c.assigned(c.beat('g', 'b', 2))).toEqual(['t-2', 't-3']);
    expect(c.state('g')).toBe('Stable 2/2');
  });

  it('refuses in Kafka’s words', () => {
    const c = withTopic(1, { maxSize: 1 });
    const bad = (request: Parameters<ConsumerDriver['send']>[2], memberId = 'a') => c.send('g', memberId, request);
    expect(c.send('', 'a', {})).toMatchObject({ errorCode: E.INVALID_REQUEST, errorMessage: "GroupId can't be empty." });
    expect(bad({ instanceId: ' ' }).errorMessage).toBe("InstanceId can't be empty.");
    expect(bad({ rackId: '' }).errorMessage).toBe("RackId can't be empty.");
    expect(bad({ memberEpoch: 3 }, '').errorMessage).toBe("MemberId can't be empty.");
    expect(bad({ memberEpoch: -3 }).errorMessage).toBe('MemberEpoch is invalid.');
    expect(bad({ memberEpoch: -2 }).errorMessage).toBe("InstanceId can't be null.");
    expect(bad({}).errorMessage).toBe('RebalanceTimeoutMs must be provided in first request.');
    expect(bad({ rebalanceTimeoutMs: 1 }).errorMessage).toBe('TopicPartitions must be empty when (re-)joining.');
    expect(bad({ rebalanceTimeoutMs: 1, topicPartitions: [] }).errorMessage).toMatch(/^Either SubscribedTopicNames or/);
    expect(c.join('g', 'a', { assignor: 'sticky' })).toMatchObject({
      errorCode: E.UNSUPPORTED_ASSIGNOR,
      errorMessage: 'ServerAssignor sticky is not supported. Supported assignors: uniform, range.',
    });
    expect(c.join('g', 'a', { topics: [], regex: 'a(' })).toMatchObject({
      errorCode: E.INVALID_REGULAR_EXPRESSION,
      errorMessage: 'SubscribedTopicRegex `a(` is not a valid regular expression: missing closing ).',
    });
    expect(c.beat('g', 'a', 1)).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND });
    expect(c.d.log).toEqual([]);
    c.join('g', 'a');
    expect(c.join('g', 'b')).toMatchObject({ errorCode: E.GROUP_MAX_SIZE_REACHED });
    expect(c.beat('g', 'ghost', 1)).toMatchObject({ errorCode: E.GROUP_MAX_SIZE_REACHED });
    expect(withMember('g').beat('g', 'ghost', 1)).toMatchObject({ errorCode: E.UNKNOWN_MEMBER_ID });
  });

  function withMember(groupId: string): ConsumerDriver {
    const c = withTopic(1);
    c.join(groupId, 'a');
    return c;
  }

  it('takes a topic that does not exist yet, and assigns it when it comes', () => {
    const c = new ConsumerDriver();
    expect(c.assigned(c.join('g', 'a'))).toEqual([]);
    expect(c.state('g')).toBe('Stable 1/1');
    c.topic('other', 1);
    expect(c.beat('g', 'a', 1)).toMatchObject({ memberEpoch: 1, assignment: null });
    c.topic('t', 2);
    const reply = c.beat('g', 'a', 1);
    expect([reply.memberEpoch, c.assigned(reply)]).toEqual([2, ['t-0', 't-1']]);
  });
});

describe('epochs', () => {
  it('fences members that are ahead, and those behind unless an answer was lost', () => {
    const c = withTopic(4);
    c.join('g', 'a');
    expect(c.beat('g', 'a', 2)).toMatchObject({ errorCode: E.FENCED_MEMBER_EPOCH });
    c.topic('t', 5);
    expect(c.beat('g', 'a', 1)).toMatchObject({ errorCode: 0, memberEpoch: 2 });
    expect(c.beat('g', 'a', 1)).toMatchObject({ errorCode: E.FENCED_MEMBER_EPOCH });
    expect(c.beat('g', 'a', 1, { owned: ['t-0'] })).toMatchObject({ errorCode: 0, memberEpoch: 2 });
    c.topic('t', 6);
    expect(c.beat('g', 'a', 2)).toMatchObject({ memberEpoch: 3 });
    expect(c.beat('g', 'a', 1, { owned: [] })).toMatchObject({ errorCode: E.FENCED_MEMBER_EPOCH });
  });

  it('a fenced member starts over at epoch 0 and gets its partitions again', () => {
    const c = withTopic(2);
    c.join('g', 'a');
    expect(c.beat('g', 'a', 7)).toMatchObject({ errorCode: E.FENCED_MEMBER_EPOCH });
    const again = c.join('g', 'a');
    expect([again.memberEpoch, c.assigned(again)]).toEqual([1, ['t-0', 't-1']]);
    expect(c.state('g')).toBe('Stable 1/1');
  });

  it('a long list of what a member holds is looked through once', () => {
    const c = withTopic(2);
    c.join('g', 'a');
    c.join('g', 'b');
    const one = c.list(['t-0'])[0]!;
    const topicPartitions = Array.from({ length: 10_000 }, (_, i) => ({ topicId: one.topicId, partitions: [i] }));
    expect(c.send('g', 'a', { memberEpoch: 1, topicPartitions })).toMatchObject({ errorCode: 0, memberEpoch: 1 });
    expect(c.send('g', 'a', { memberEpoch: 1, topicPartitions: topicPartitions.slice(2) })).toMatchObject({ errorCode: 0, memberEpoch: 2 });
  });

  it('a full request is told everything again', () => {
    const c = withTopic(1);
    c.join('g', 'a');
    const full = { memberEpoch: 1, rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: c.list(['t-0']) };
    expect(c.assigned(c.send('g', 'a', full))).toEqual(['t-0']);
    expect(c.d.log.length).toBe(6);
  });

  it('new partitions and deleted topics are a new epoch, at the next heartbeat', () => {
    const c = withTopic(2);
    c.topic('u', 1);
    c.join('g', 'a', { topics: ['t', 'u'] });
    c.topic('t', 3);
    const more = c.beat('g', 'a', 1, { owned: ['t-0', 't-1', 'u-0'] });
    expect([more.memberEpoch, c.assigned(more)]).toEqual([2, ['t-0', 't-1', 't-2', 'u-0']]);
    const gone = c.list(['u-0']);
    c.topic('u', 0);
    const less = c.send('g', 'a', { memberEpoch: 2, topicPartitions: [...c.list(['t-0', 't-1', 't-2']), ...gone] });
    expect(c.assigned(less)).toEqual(['t-0', 't-1', 't-2']);
    expect(c.beat('g', 'a', 2, { owned: ['t-0', 't-1', 't-2'] }).memberEpoch).toBe(3);
    expect(c.state('g')).toBe('Stable 3/3');
  });

  it('a changed subscription is a new epoch', () => {
    const c = withTopic(1);
    c.topic('u', 1);
    c.join('g', 'a');
    expect(c.beat('g', 'a', 1, { topics: ['t'], owned: ['t-0'] })).toMatchObject({ memberEpoch: 1 });
    const told = c.beat('g', 'a', 1, { topics: ['u'], owned: ['t-0'] });
    expect([told.memberEpoch, c.assigned(told)]).toEqual([1, []]);
    const given = c.beat('g', 'a', 1, { owned: [] });
    expect([given.memberEpoch, c.assigned(given)]).toEqual([2, ['u-0']]);
  });
});

describe('regular expressions', () => {
  it('stand for the topics that they match as a whole, also later ones', () => {
    const c = new ConsumerDriver();
    for (const name of ['log-a', 'log-b', 'xlog-c', '__consumer_offsets']) c.topic(name, 1);
    const reply = c.join('g', 'a', { topics: null, regex: '(log-|__c).*' });
    expect(c.assigned(reply)).toEqual(['log-a-0', 'log-b-0']);
    c.topic('log-d', 1);
    expect(c.assigned(c.beat('g', 'a', 1))).toEqual(['log-a-0', 'log-b-0', 'log-d-0']);
    expect(c.describe('g').members[0]).toMatchObject({ subscribedTopicRegex: '(log-|__c).*', subscribedTopicNames: [] });
    c.d.restart();
    expect(c.beat('g', 'a', 2)).toMatchObject({ errorCode: 0, memberEpoch: 2, assignment: null });
  });

  it('find only what the caller may know of, and may be given up', () => {
    const c = new ConsumerDriver();
    for (const name of ['open', 'secret']) c.topic(name, 1);
    const mayDescribe = (topic: string): boolean => topic !== 'secret';
    expect(c.assigned(c.join('g', 'a', { topics: null, regex: '.*', mayDescribe }))).toEqual(['open-0']);
    const told = c.beat('g', 'a', 1, { regex: '', topics: [], owned: ['open-0'] });
    expect(c.assigned(told)).toEqual([]);
  });
});

describe('leaving', () => {
  it('hands the partitions to those who stay', () => {
    const c = withTopic(2);
    c.join('g', 'a');
    c.join('g', 'b');
    c.beat('g', 'a', 1, { owned: [] });
    c.beat('g', 'b', 2);
    expect(c.send('g', 'b', { memberEpoch: -1 })).toMatchObject({ errorCode: 0, memberEpoch: -1, memberId: 'b' });
    expect(c.state('g')).toBe('Assigning 3/2');
    const reply = c.beat('g', 'a', 2);
    expect([reply.memberEpoch, c.assigned(reply)]).toEqual([3, ['t-0', 't-1']]);
    expect(c.send('g', 'b', { memberEpoch: -1 })).toMatchObject({ errorCode: E.UNKNOWN_MEMBER_ID });
    c.send('g', 'a', { memberEpoch: -1 });
    expect(c.state('g')).toBe('Empty 4/3');
    expect(c.send('nowhere', 'a', { memberEpoch: -1 })).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND });
  });

  it('happens by itself when the session is over', () => {
    const c = withTopic(2);
    c.join('g', 'a');
    c.join('g', 'b');
    c.d.advance(30_000);
    c.beat('g', 'a', 1, { owned: [] });
    c.d.advance(15_000);
    expect(c.describe('g').members.map(({ memberId }) => memberId)).toEqual(['a']);
    expect(c.beat('g', 'b', 2)).toMatchObject({ errorCode: E.UNKNOWN_MEMBER_ID });
    c.d.advance(30_000);
    expect(c.state('g')).toBe('Empty 4/2');
  });

  it('also when partitions are not given up within the rebalance timeout', () => {
    const c = withTopic(2);
    c.join('g', 'a', { rebalanceMs: 10_000 });
    c.join('g', 'b');
    const holding = { owned: ['t-0', 't-1'] };
    for (let i = 0; i < 3; i++) {
      expect(c.beat('g', 'a', 1, holding)).toMatchObject({ errorCode: 0, memberEpoch: 1 });
      c.d.advance(i < 2 ? 4000 : 2000);
    }
    expect(c.beat('g', 'a', 1, holding)).toMatchObject({ errorCode: E.UNKNOWN_MEMBER_ID });
    expect(c.assigned(c.beat('g', 'b', 2))).toEqual(['t-0', 't-1']);
  });
});

describe('static members', () => {
  it('keep their partitions while they are away, and take them up again under a new id', () => {
    const c = withTopic(2);
    c.join('g', 'a1', { instanceId: 'a' });
    c.join('g', 'b1', { instanceId: 'b' });
    c.beat('g', 'a1', 1, { instanceId: 'a', owned: [] });
    c.beat('g', 'b1', 2, { instanceId: 'b' });
    const [before] = c.describe('g').members;
    expect(c.send('g', 'a1', { memberEpoch: -2, instanceId: 'a' })).toMatchObject({ errorCode: 0, memberEpoch: -2 });
    expect(c.beat('g', 'b1', 2, { instanceId: 'b' })).toMatchObject({ memberEpoch: 2, assignment: null });
    const back = c.join('g', 'a2', { instanceId: 'a' });
    expect(back).toMatchObject({ errorCode: 0, memberId: 'a2', memberEpoch: 2 });
    expect(c.assigned(back)).toEqual(before!.assignment.topicPartitions.flatMap(({ partitions }) => partitions.map((p) => `t-${p}`)));
    expect(c.state('g')).toBe('Stable 2/2');
    expect(
      c
        .describe('g')
        .members.map(({ memberId }) => memberId)
        .sort(),
    ).toEqual(['a2', 'b1']);
    expect(c.beat('g', 'a1', 2, { instanceId: 'a' })).toMatchObject({ errorCode: E.FENCED_INSTANCE_ID });
  });

  it('are not replaced while they live, and lose their place when they stay away', () => {
    const c = withTopic(2);
    c.join('g', 'a1', { instanceId: 'a' });
    expect(c.join('g', 'a2', { instanceId: 'a' })).toMatchObject({ errorCode: E.UNRELEASED_INSTANCE_ID });
    expect(c.beat('g', 'x', 1, { instanceId: 'x' })).toMatchObject({ errorCode: E.UNKNOWN_MEMBER_ID });
    c.send('g', 'a1', { memberEpoch: -2, instanceId: 'a' });
    c.d.advance(45_000);
    expect(c.state('g')).toBe('Empty 2/1');
    expect(c.join('g', 'a2', { instanceId: 'a' })).toMatchObject({ errorCode: 0, memberEpoch: 3 });
    expect(c.send('g', 'a2', { memberEpoch: -1, instanceId: 'a' })).toMatchObject({ errorCode: 0, memberEpoch: -1 });
  });

  it('may change their instance id, which is free then', () => {
    const c = withTopic(2);
    c.join('g', 'a', { instanceId: 'one' });
    c.join('g', 'a', { instanceId: 'two' });
    expect(c.join('g', 'b', { instanceId: 'one' })).toMatchObject({ errorCode: 0 });
    expect(c.join('g', 'c', { instanceId: 'two' })).toMatchObject({ errorCode: E.UNRELEASED_INSTANCE_ID });
  });
});

describe('assignors', () => {
  it('the one that most members ask for is used; the first of the setting otherwise', () => {
    const c = withTopic(3);
    c.topic('u', 3);
    const both = { topics: ['t', 'u'] };
    c.join('g', 'a', both);
    expect(c.describe('g').assignorName).toBe('uniform');
    c.join('g', 'b', { ...both, assignor: 'range' });
    expect(c.describe('g').assignorName).toBe('range');
    const target = c.describe('g').members.map(({ targetAssignment }) => targetAssignment.topicPartitions.map(({ partitions }) => partitions));
    expect(target).toEqual([
      [
        [0, 1],
        [0, 1],
      ],
      [[2], [2]],
    ]);
  });
});

describe('offsets', () => {
  it('belong to members in their present epoch', () => {
    const c = withTopic(1);
    c.join('g', 'a');
    const by = (memberId: string, generation: number, version = 9) => c.d.commit('g', 5, { memberId, generation, version });
    expect(by('a', 1)).toBe(0);
    expect(c.d.fetch('g').committedOffset).toBe(5);
    expect(by('a', 0)).toBe(E.STALE_MEMBER_EPOCH);
    expect(by('a', 1, 8)).toBe(E.UNSUPPORTED_VERSION);
    expect(by('ghost', 1)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(by('', -1)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(c.d.txnCommit('g', 9, 1, { memberId: 'a', generation: 4 })).toBe(E.ILLEGAL_GENERATION);
    expect(c.d.txnCommit('g', 9, 1, { memberId: 'a', generation: 1 })).toBe(0);
    expect(c.d.txnCommit('g', 9, 1)).toBe(0);
    const { groups } = c.d;
    expect([groups.refuseFetch('g', null, -1), groups.refuseFetch('g', 'a', 1), groups.refuseFetch('g', 'a', 2), groups.refuseFetch('g', 'x', 1)]).toEqual([
      0,
      0,
      E.STALE_MEMBER_EPOCH,
      E.UNKNOWN_MEMBER_ID,
    ]);
    c.send('g', 'a', { memberEpoch: -1 });
    expect(c.d.commit('g', 7)).toBe(0);
    expect(c.d.commit('unknown', 7, { memberId: 'a', generation: 3, version: 9 })).toBe(E.GROUP_ID_NOT_FOUND);
    expect(c.d.commit('unknown', 7, { memberId: 'a', generation: 3, version: 8 })).toBe(E.ILLEGAL_GENERATION);
  });

  it('of topics that are read are not deleted, and the group goes with its last offset', () => {
    const c = withTopic(1, {}, { retentionMs: 3_600_000 });
    c.join('g', 'a');
    c.d.commit('g', 5, { memberId: 'a', generation: 1, version: 9 });
    c.d.commit('g', 5, { memberId: 'a', generation: 1, version: 9, topic: 'unread' });
    const remove = () =>
      c.d.run<'delete-offsets'>({
        kind: 'delete-offsets',
        request: { groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] },
        exists: () => true,
      });
    expect(remove().topics[0]!.partitions[0]!.errorCode).toBe(E.GROUP_SUBSCRIBED_TO_TOPIC);
    const erase = () => c.d.run<'delete-groups'>({ kind: 'delete-groups', groups: ['g'] }).results[0]!.errorCode;
    expect(erase()).toBe(E.NON_EMPTY_GROUP);
    for (let i = 0; i < 150; i++) {
      c.d.advance(30_000);
      c.beat('g', 'a', 1);
    }
    expect(c.d.groups.fetchOffsets('g', { topics: null, requireStable: false }).map(({ name }) => name)).toEqual(['t']);
    c.send('g', 'a', { memberEpoch: -1 });
    c.d.advance(1_200_000);
    expect(c.describe('g').errorCode).toBe(E.GROUP_ID_NOT_FOUND);
    expect(c.d.groups.all.size).toBe(0);
    c.d.restart();
    expect(c.d.groups.all.size).toBe(0);
  });

  it('DeleteGroups takes group and offsets away', () => {
    const c = withTopic(1);
    c.join('g', 'a');
    c.d.commit('g', 5, { memberId: 'a', generation: 1, version: 9 });
    c.send('g', 'a', { memberEpoch: -1 });
    expect(c.d.run<'delete-groups'>({ kind: 'delete-groups', groups: ['g'] }).results[0]!.errorCode).toBe(0);
    expect(c.d.groups.all.size).toBe(0);
    c.d.restart();
    expect([c.d.groups.all.size, c.d.fetch('g').committedOffset]).toEqual([0, -1]);
  });
});

describe('both protocols', () => {
  const list = (c: ConsumerDriver, typesFilter: string[] = [], statesFilter: string[] = []) =>
    c.d.groups.list({ typesFilter, statesFilter }).map(({ groupId, groupType, groupState }) => `${groupId} ${groupType} ${groupState}`);

  it('are listed by type and state; DescribeGroups knows only classic ones', () => {
    const c = withTopic(1, {}, { initialDelayMs: 0 });
    c.join('new', 'a');
    c.d.stable('old', 1);
    expect(list(c)).toEqual(['new consumer Stable', 'old classic Stable']);
    expect(list(c, ['Consumer'])).toEqual(['new consumer Stable']);
    expect(list(c, ['classic'])).toEqual(['old classic Stable']);
    expect(list(c, ['share'])).toEqual([]);
    expect(list(c, [], ['assigning'])).toEqual([]);
    expect(c.d.groups.describe('new')).toMatchObject({ errorCode: 0, groupState: 'Dead', members: [] });
    expect(c.describe('old')).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND, errorMessage: 'Group old is not a consumer group.' });
  });

  it('a group with members that may not migrate stays what it is', () => {
    const c = withTopic(1, { migration: 'disabled' }, { initialDelayMs: 0 });
    c.join('new', 'a');
    const [old] = c.d.stable('old', 1);
    expect(c.d.heartbeat('new', 'a', 1)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(c.d.leave('new', 'a')).toBe(E.UNKNOWN_MEMBER_ID);
    expect(c.d.sync('new', 'a', 1).reply).toMatchObject({ errorCode: E.UNKNOWN_MEMBER_ID });
    expect(c.join('old', 'b')).toMatchObject({ errorCode: E.GROUP_ID_NOT_FOUND, errorMessage: 'Group old is not a consumer group.' });
    expect(c.d.heartbeat('old', old!, 1)).toBe(0);
  });

  it('an empty classic group becomes a consumer group and back; offsets stay', () => {
    const c = withTopic(1, {}, { initialDelayMs: 0 });
    const [old] = c.d.stable('g', 1);
    c.d.commit('g', 42, { memberId: old!, generation: 1 });
    c.d.leave('g', old!);
    expect(c.join('g', 'a')).toMatchObject({ errorCode: 0, memberEpoch: 1 });
    for (const isRestarted of [false, true]) {
      if (isRestarted) c.d.restart();
      expect(list(c)).toEqual(['g consumer Stable']);
      expect(c.d.fetch('g').committedOffset).toBe(42);
    }
    c.d.commit('g', 43, { memberId: 'a', generation: 1, version: 9 });
    c.send('g', 'a', { memberEpoch: -1 });
    c.d.stable('g', 1);
    for (const isRestarted of [false, true]) {
      if (isRestarted) c.d.restart();
      expect(list(c)).toEqual(['g classic Stable']);
      expect(c.describe('g').errorCode).toBe(E.GROUP_ID_NOT_FOUND);
      expect(c.d.fetch('g').committedOffset).toBe(43);
    }
  });

  it('a refused classic member does not end the consumer group', () => {
    const c = withTopic(1);
    c.join('g', 'a');
    c.send('g', 'a', { memberEpoch: -1 });
    expect(c.d.join('g', { protocols: [] }).reply).toMatchObject({ errorCode: E.INCONSISTENT_GROUP_PROTOCOL });
    expect(list(c)).toEqual(['g consumer Empty']);
  });
});

describe('records', () => {
  const kinds = (c: ConsumerDriver, from = 0): string[] =>
    c.d.log.slice(from).map(({ record }) => {
      const key = decodeConsumerGroupKey(record.key);
      const name = key ? [key.kind, key.memberId].filter((word) => word !== '').join(' ') : decodeOffsetsKey(record.key).kind;
      return record.value === null ? `-${name}` : name;
    });

  it('are those that Kafka writes, in its order; a heartbeat that changes nothing writes none', () => {
    const c = withTopic(1);
    c.join('g', 'a');
    expect(kinds(c)).toEqual(['member a', 'topics', 'epoch', 'target a', 'target-epoch', 'current a']);
    c.beat('g', 'a', 1);
    expect(kinds(c, 6)).toEqual([]);
    c.send('g', 'a', { memberEpoch: -1 });
    expect(kinds(c, 6)).toEqual(['-current a', '-target a', '-member a', 'topics', 'epoch']);
    c.d.run<'delete-groups'>({ kind: 'delete-groups', groups: ['g'] });
    expect(kinds(c, 11)).toEqual(['-target-epoch', '-topics', '-epoch']);
  });

  it('end the group of the other protocol before anything is said of the new one, also where there are only offsets', () => {
    const c = withTopic(1, {}, { initialDelayMs: 0 });
    c.d.commit('g', 42);
    c.join('g', 'a');
    expect(kinds(c).slice(0, 3)).toEqual(['offset', '-group', 'member a']);
    c.send('g', 'a', { memberEpoch: -1 });
    const from = c.d.log.length;
    c.d.stable('g', 1);
    expect(kinds(c, from)).toEqual(['-target-epoch', '-topics', '-epoch', 'group']);
  });

  it('keep offsets of open transactions, where others are and where none are, and when compaction has taken the others', () => {
    for (const [first, compacted] of [
      [false, false],
      [true, false],
      [true, true],
    ]) {
      const c = withTopic(1);
      if (first) c.d.commit('g', 5);
      c.d.txnCommit('g', 9, 1);
      expect(c.join('g', 'a')).toMatchObject({ errorCode: 0 });
      if (compacted) c.d.log.shift();
      if (compacted) c.d.restart();
      c.d.marker(1, true, partitionFor('g', 50));
      expect(c.d.fetch('g').committedOffset).toBe(9);
      c.d.restart();
      expect(c.d.fetch('g').committedOffset).toBe(9);
    }
  });

  it('that are deleted take offsets of open transactions with them', () => {
    const c = withTopic(2);
    c.d.commit('g', 5);
    c.d.txnCommit('g', 9, 1);
    c.d.txnCommit('g', 9, 1, { partition: 1 });
    expect(c.d.run<'delete-groups'>({ kind: 'delete-groups', groups: ['g'] }).results[0]!.errorCode).toBe(0);
    c.d.marker(1, true, partitionFor('g', 50));
    for (const again of [false, true]) {
      if (again) c.d.restart();
      expect([c.d.fetch('g').committedOffset, c.d.fetch('g', 1).committedOffset, [...c.d.groups.all.keys()]]).toEqual([-1, -1, []]);
    }
  });

  it('bring everything back, with fresh sessions', () => {
    const c = withTopic(4);
    c.topic('u', 2);
    c.join('g', 'a');
    c.join('g', 'b', { topics: ['t', 'u'], instanceId: 'b', assignor: 'range' });
    c.beat('g', 'a', 1, { owned: ['t-0', 't-1', 't-2', 't-3'] });
    const before = c.describe('g');
    c.d.advance(40_000);
    c.d.restart();
    expect(c.describe('g')).toEqual(before);
    c.d.advance(44_000);
    expect(c.beat('g', 'b', 2, { instanceId: 'b' })).toMatchObject({ errorCode: 0 });
    expect(c.beat('g', 'a', 1, { owned: ['t-2', 't-3'] })).toMatchObject({ errorCode: 0, memberEpoch: 2 });
    c.d.advance(44_999);
    expect(c.describe('g').members).toHaveLength(2);
    c.d.advance(1);
    expect(c.describe('g').members).toHaveLength(0);
  });

  it('about topics that cannot be stored are made again', () => {
    const c = withTopic(1);
    c.join('g', 'a');
    c.join('g', 'b');
    c.topic('t', 4);
    const nothing = { instanceId: null, rackId: null, rebalanceTimeoutMs: -1, subscribedTopicNames: null, subscribedTopicRegex: null, serverAssignor: null };
    const request = { groupId: 'g', memberId: 'a', memberEpoch: 1, topicPartitions: null, ...nothing };
    const beat = { kind: 'consumer-heartbeat', version: 1, clientId: 'c', clientHost: '/127.0.0.1', mayDescribe: () => true, request } as const;
    const refused = c.d.groups.decide(beat, c.d.now);
    expect(refused.records.length).toBeGreaterThan(0);
    c.d.groups.abandon(refused, c.d.now);
    c.send('g', 'b', { memberEpoch: -1 });
    expect(c.assigned(c.join('g', 'a'))).toEqual(['t-0', 't-1', 't-2', 't-3']);
  });

  it('that cannot be stored change nothing', () => {
    const c = withTopic(1);
    const { groups } = c.d;
    const refused = groups.decide(
      {
        kind: 'consumer-heartbeat',
        version: 1,
        clientId: 'c',
        clientHost: '/h',
        mayDescribe: () => true,
        request: {
          groupId: 'g',
          memberId: 'a',
          memberEpoch: 0,
          instanceId: null,
          rackId: null,
          rebalanceTimeoutMs: 1,
          subscribedTopicNames: ['t'],
          subscribedTopicRegex: null,
          serverAssignor: null,
          topicPartitions: [],
        },
      },
      c.d.now,
    );
    groups.abandon(refused, c.d.now);
    expect(groups.all.size).toBe(0);
    c.join('g', 'a');
    c.d.now += 45_000;
    const expiry = groups.decide({ kind: 'tick' }, c.d.now);
    expect(expiry.records).toHaveLength(5);
    groups.abandon(expiry, c.d.now);
    expect(c.beat('g', 'a', 1)).toMatchObject({ errorCode: 0 });
    c.d.advance(45_000);
    expect(c.state('g')).toBe('Empty 2/1');
  });
});
