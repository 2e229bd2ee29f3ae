/** Requests about groups of the consumer protocol (KIP-848). */
import { ConsumerGroupDescribe } from '../../src/kafka/apis/consumer-group-describe.ts';
import { ConsumerGroupHeartbeat } from '../../src/kafka/apis/consumer-group-heartbeat.ts';
import { DeleteGroups } from '../../src/kafka/apis/delete-groups.ts';
import { DescribeGroups } from '../../src/kafka/apis/describe-groups.ts';
import { JoinGroup } from '../../src/kafka/apis/join-group.ts';
import { ListGroups } from '../../src/kafka/apis/list-groups.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { OffsetDelete } from '../../src/kafka/apis/offset-delete.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import type { Pair } from './protocol-pair.ts';
import { creation, make } from './protocol-topics.ts';

const joining = (groupId: string, more: object = {}): object => ({
  groupId,
  memberId: 'member-1',
  memberEpoch: 0,
  rebalanceTimeoutMs: 10_000,
  subscribedTopicNames: ['kip848'],
  topicPartitions: [],
  ...more,
});

async function joiningByHeartbeat(pair: Pair): Promise<void> {
  await make(pair, creation('kip848', { numPartitions: 2 }));
  const ask = (what: string, more: object = {}, group = 'c-odd') => pair.last(what, ConsumerGroupHeartbeat, joining(group, more));
  await ask('empty group', {}, '');
  await ask('no subscription', { subscribedTopicNames: null });
  await ask('no timeout', { rebalanceTimeoutMs: -1 });
  await ask('no partitions', { topicPartitions: null });
  await ask('owns some', { topicPartitions: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions: [0] }] });
  await ask('epoch -3', { memberEpoch: -3 });
  await ask('static leave without instance', { memberEpoch: -2 });
  await ask('empty instance', { instanceId: '' });
  await ask('empty rack', { rackId: '' });
  await ask('unknown assignor', { serverAssignor: 'nobody' });
  await ask('empty member, later', { memberId: '', memberEpoch: 1 });
  await ask('unknown group', { memberEpoch: 3 }, 'c-never');
  await ask('leaves unknown group', { memberEpoch: -1 }, 'c-never');
}

async function membersByHeartbeat(pair: Pair): Promise<void> {
  const beat = (what: string, memberEpoch: number, more: object = {}) =>
    pair.last(what, ConsumerGroupHeartbeat, { groupId: 'c', memberId: 'member-1', memberEpoch, rebalanceTimeoutMs: -1, ...more });
  const ids = await pair.last('ids', Metadata, { topics: [{ name: 'kip848' }] });
  const owned = (side: 0 | 1) => [{ topicId: ids[side].topics[0]!.topicId, partitions: [0, 1] }];
  await pair.last('joins', ConsumerGroupHeartbeat, joining('c', { serverAssignor: 'range' }));
  await pair.last('owns', ConsumerGroupHeartbeat, (side) => ({
    groupId: 'c',
    memberId: 'member-1',
    memberEpoch: 1,
    rebalanceTimeoutMs: -1,
    topicPartitions: owned(side),
  }));
  await beat('goes on', 1);
  await beat('newer epoch', 5);
  await beat('older epoch', 0, { subscribedTopicNames: ['kip848'], topicPartitions: [], rebalanceTimeoutMs: 10_000 });
  await beat('goes on', 1);
  await beat('unknown member', 1, { memberId: 'nobody' });
  await beat('other instance', 1, { instanceId: 'i' });
  await pair.last('stable', ConsumerGroupDescribe, { groupIds: ['c'] });
  await pair.last('unknown', ConsumerGroupDescribe, { groupIds: ['c-never'] });
  await pair.last('with operations', ConsumerGroupDescribe, { groupIds: ['c'], includeAuthorizedOperations: true });
  await pair.last('no name', ConsumerGroupDescribe, { groupIds: [''] });
  await pair.last('none', ConsumerGroupDescribe, { groupIds: [] });
  await pair.last('by the classic request', DescribeGroups, { groups: ['c'] });
  for (const typesFilter of [['consumer'], ['Consumer'], ['classic']])
    await pair.last(`types ${typesFilter}`, ListGroups, { typesFilter, statesFilter: ['Stable'] });
  await pair.last('delete', DeleteGroups, { groupsNames: ['c'] });
  const commit = (what: string, memberId: string, generationIdOrMemberEpoch: number) =>
    pair.last(what, OffsetCommit, {
      groupId: 'c',
      memberId,
      generationIdOrMemberEpoch,
      topics: [{ name: 'kip848', partitions: [{ partitionIndex: 0, committedOffset: 0, committedMetadata: '' }] }],
    });
  await commit('good', 'member-1', 1);
  await commit('stale epoch', 'member-1', 0);
  await commit('newer epoch', 'member-1', 4);
  await commit('unknown member', 'nobody', 1);
  await commit('simple', '', -1);
  const fetch = (what: string, memberId: string | null, memberEpoch: number) =>
    pair.last(what, OffsetFetch, { groups: [{ groupId: 'c', memberId, memberEpoch, topics: [{ name: 'kip848', partitionIndexes: [0, 1] }] }] });
  await fetch('good', 'member-1', 1);
  await fetch('stale epoch', 'member-1', 0);
  await fetch('unknown member', 'nobody', 1);
  await fetch('simple', null, -1);
  await pair.last('subscribed', OffsetDelete, { groupId: 'c', topics: [{ name: 'kip848', partitions: [{ partitionIndex: 0 }] }] });
  const range = { name: 'range', metadata: Buffer.from('00000000000100066b697038343800000000', 'hex') };
  await pair.last('classic member with other protocol type', JoinGroup, {
    groupId: 'c',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'connect',
    protocols: [range],
  });
  await beat('leaves', -1);
  await beat('leaves again', -1);
  await pair.last('empty', ConsumerGroupDescribe, { groupIds: ['c'] });
  await pair.last('delete', DeleteGroups, { groupsNames: ['c'] });
  await pair.last('deleted', ConsumerGroupDescribe, { groupIds: ['c'] });
}

export const memberCases = { joiningByHeartbeat, membersByHeartbeat };
