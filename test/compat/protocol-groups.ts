/** Requests about consumer groups (classic protocol): membership, offsets, administration. */
import { DeleteGroups } from '../../src/kafka/apis/delete-groups.ts';
import { DescribeGroups } from '../../src/kafka/apis/describe-groups.ts';
import { FindCoordinator } from '../../src/kafka/apis/find-coordinator.ts';
import { Heartbeat } from '../../src/kafka/apis/heartbeat.ts';
import { JoinGroup } from '../../src/kafka/apis/join-group.ts';
import { LeaveGroup } from '../../src/kafka/apis/leave-group.ts';
import { ListGroups } from '../../src/kafka/apis/list-groups.ts';
import { OffsetCommit } from '../../src/kafka/apis/offset-commit.ts';
import { OffsetDelete } from '../../src/kafka/apis/offset-delete.ts';
import { OffsetFetch } from '../../src/kafka/apis/offset-fetch.ts';
import { SyncGroup } from '../../src/kafka/apis/sync-group.ts';
import type { Pair } from './protocol-pair.ts';
import { creation, make } from './protocol-topics.ts';

/** Version 0, topics ['g-topic'], no user data. */
const SUBSCRIPTION = Buffer.from('0000000000010007672d746f706963ffffffff', 'hex');
/** Version 0, g-topic: [0], no user data. */
const ASSIGNMENT = Buffer.from('0000000000010007672d746f7069630000000100000000ffffffff', 'hex');

const joining = (groupId: string, more: object = {}): object => ({
  groupId,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 10_000,
  memberId: '',
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: SUBSCRIPTION }],
  ...more,
});

type Ids = readonly [ours: string, real: string];

/** Two joins where the first only gives the id (KIP-394), as clients do. */
async function join(pair: Pair, groupId: string, more: object = {}): Promise<Ids> {
  const high = pair.range(JoinGroup)[1];
  const [ours, real] = await pair.ask(`${groupId} id`, JoinGroup, high, joining(groupId, more));
  const ids: Ids = [ours.memberId, real.memberId];
  await pair.ask(`${groupId} join`, JoinGroup, high, (side) => joining(groupId, { ...more, memberId: ids[side] }));
  return ids;
}

async function stable(pair: Pair, groupId: string, more: object = {}): Promise<Ids> {
  const ids = await join(pair, groupId, more);
  await pair.last(`${groupId} sync`, SyncGroup, (side) => syncing(groupId, 1, ids[side], [{ memberId: ids[side], assignment: ASSIGNMENT }]));
  return ids;
}

const syncing = (groupId: string, generationId: number, memberId: string, assignments: readonly object[] = [], more: object = {}): object => ({
  groupId,
  generationId,
  memberId,
  protocolType: 'consumer',
  protocolName: 'range',
  assignments,
  ...more,
});

async function finding(pair: Pair): Promise<void> {
  const ready = { coordinatorKeys: ['g'], keyType: 0 };
  await pair.until('coordinator', FindCoordinator, ready, ({ coordinators }) => coordinators[0]?.errorCode === 0);
  await pair.until('coordinator', FindCoordinator, { coordinatorKeys: ['t'], keyType: 1 }, ({ coordinators }) => coordinators[0]?.errorCode === 0);
  for (let version = 0; version <= pair.range(FindCoordinator)[1]; version++) {
    await pair.ask('group', FindCoordinator, version, { key: 'g', coordinatorKeys: ['g'], keyType: 0 });
    await pair.ask('empty key', FindCoordinator, version, { key: '', coordinatorKeys: [''], keyType: 0 });
    if (version === 0) continue;
    await pair.ask('transaction', FindCoordinator, version, { key: 't', coordinatorKeys: ['t'], keyType: 1 });
    await pair.ask('empty transaction', FindCoordinator, version, { key: '', coordinatorKeys: [''], keyType: 1 });
    for (const keyType of [2, 3, -1]) await pair.ask(`type ${keyType}`, FindCoordinator, version, { key: 'a:b:c', coordinatorKeys: ['a:b:c'], keyType });
  }
  await pair.last('several', FindCoordinator, { coordinatorKeys: ['a', 'b', 'a', ''], keyType: 0 });
  await pair.last('none', FindCoordinator, { coordinatorKeys: [], keyType: 0 });
}

async function joiningOddly(pair: Pair): Promise<void> {
  const ask = (what: string, more: object, group = 'odd-group') => pair.each(what, JoinGroup, joining(group, more));
  await ask('session too short', { sessionTimeoutMs: 100 });
  await ask('session too long', { sessionTimeoutMs: 100_000_000 });
  await ask('session 0', { sessionTimeoutMs: 0 });
  await ask('session negative', { sessionTimeoutMs: -1 });
  await ask('empty group', {}, '');
  await ask('no protocols', { protocols: [] });
  await ask('no protocol type', { protocolType: '' });
  await ask('neither', { protocolType: '', protocols: [] });
  await ask('unknown member', { memberId: 'me' });
  await ask('unknown member of a static', { memberId: 'me', groupInstanceId: 'i' });
  for (const groupInstanceId of ['', '.', 'i'.repeat(250)])
    await pair.last(`instance "${groupInstanceId.slice(0, 3)}"`, JoinGroup, joining('odd-group', { groupInstanceId }));
  await pair.last('admin', DescribeGroups, { groups: ['odd-group'] });
  for (const version of [0, 3]) {
    const [ours, real] = await pair.ask('at once', JoinGroup, version, joining(`at-once-${version}`));
    await pair.ask('leave', LeaveGroup, 2, (side) => ({ groupId: `at-once-${version}`, memberId: [ours, real][side]!.memberId }));
  }
}

async function members(pair: Pair): Promise<void> {
  const id = await stable(pair, 'm');
  await pair.last('stable', DescribeGroups, { groups: ['m'], includeAuthorizedOperations: true });
  await pair.each('stable', DescribeGroups, { groups: ['m', 'nobody', ''] });
  await pair.last('other type', JoinGroup, joining('m', { protocolType: 'connect' }));
  await pair.last('other protocols', JoinGroup, joining('m', { protocols: [{ name: 'sticky', metadata: SUBSCRIPTION }] }));
  await pair.last('unknown', JoinGroup, joining('m', { memberId: 'me' }));
  await pair.each('beat', Heartbeat, (_, side) => ({ groupId: 'm', generationId: 1, memberId: id[side] }));
  await pair.each('beat, wrong generation', Heartbeat, (_, side) => ({ groupId: 'm', generationId: 7, memberId: id[side] }));
  await pair.each('beat, old generation', Heartbeat, (_, side) => ({ groupId: 'm', generationId: -1, memberId: id[side] }));
  await pair.each('beat, unknown', Heartbeat, { groupId: 'm', generationId: 1, memberId: 'me' });
  await pair.each('beat, no member', Heartbeat, { groupId: 'm', generationId: 1, memberId: '' });
  await pair.each('beat, nobody', Heartbeat, { groupId: 'nobody', generationId: 1, memberId: 'me' });
  await pair.each('beat, empty', Heartbeat, { groupId: '', generationId: 1, memberId: 'me' });
  await pair.last('beat, unknown instance', Heartbeat, (side) => ({ groupId: 'm', generationId: 1, memberId: id[side], groupInstanceId: 'i' }));
  await pair.each('again', SyncGroup, (_, side) => syncing('m', 1, id[side]));
  await pair.each('wrong generation', SyncGroup, (_, side) => syncing('m', 4, id[side]));
  await pair.each('unknown', SyncGroup, syncing('m', 1, 'me'));
  await pair.each('nobody', SyncGroup, syncing('nobody', 1, 'me'));
  await pair.each('empty', SyncGroup, syncing('', 1, 'me'));
  await pair.last('other type', SyncGroup, (side) => syncing('m', 1, id[side], [], { protocolType: 'connect' }));
  await pair.last('other protocol', SyncGroup, (side) => syncing('m', 1, id[side], [], { protocolName: 'sticky' }));
  await pair.last('no names', SyncGroup, (side) => syncing('m', 1, id[side], [], { protocolType: null, protocolName: null }));
  await pair.last('while stable', DeleteGroups, { groupsNames: ['m', 'nobody', ''] });
  await committing(pair, 'm', 1, id);
  await leaving(pair, id);
}

async function leaving(pair: Pair, id: Ids): Promise<void> {
  await pair.ask('unknown', LeaveGroup, 0, { groupId: 'm', memberId: 'me' });
  await pair.ask('nobody', LeaveGroup, 2, { groupId: 'nobody', memberId: 'me' });
  await pair.ask('empty', LeaveGroup, 2, { groupId: '', memberId: 'me' });
  for (const version of [3, 5]) {
    await pair.ask('unknown', LeaveGroup, version, { groupId: 'm', members: [{ memberId: 'me', groupInstanceId: null }] });
    await pair.ask('unknown instance', LeaveGroup, version, { groupId: 'm', members: [{ memberId: '', groupInstanceId: 'i' }] });
    await pair.ask('nobody', LeaveGroup, version, { groupId: 'nobody', members: [{ memberId: 'me', groupInstanceId: null }] });
    await pair.ask('no members', LeaveGroup, version, { groupId: 'm', members: [] });
  }
  await pair.last('leave', LeaveGroup, (side) => ({
    groupId: 'm',
    members: [{ memberId: id[side], groupInstanceId: null, reason: 'done' }, { memberId: 'me' }],
  }));
  await pair.last('again', LeaveGroup, (side) => ({ groupId: 'm', members: [{ memberId: id[side], groupInstanceId: null }] }));
  await pair.last('empty', DescribeGroups, { groups: ['m'] });
  await pair.last('beat after', Heartbeat, (side) => ({ groupId: 'm', generationId: 1, memberId: id[side] }));
}

async function statics(pair: Pair): Promise<void> {
  const high = pair.range(JoinGroup)[1];
  const more = { groupInstanceId: 'one' };
  const [ours, real] = await pair.ask('static', JoinGroup, high, joining('s', more));
  const first: Ids = [ours.memberId, real.memberId];
  await pair.last('static', SyncGroup, (side) => syncing('s', 1, first[side], [{ memberId: first[side], assignment: ASSIGNMENT }], more));
  await pair.last('other id', Heartbeat, { groupId: 's', generationId: 1, memberId: 'me', ...more });
  await pair.last('other id', SyncGroup, syncing('s', 1, 'me', [], more));
  await pair.last('other id', JoinGroup, joining('s', { ...more, memberId: 'me' }));
  const [ours2, real2] = await pair.ask('comes back', JoinGroup, high, joining('s', more));
  const second: Ids = [ours2.memberId, real2.memberId];
  await pair.last('old id', Heartbeat, (side) => ({ groupId: 's', generationId: 1, memberId: first[side], ...more }));
  await pair.last('old id', SyncGroup, (side) => syncing('s', 1, first[side], [], more));
  await pair.last('old id', OffsetCommit, (side) => ({ ...commit('s', 1, first[side]), ...more }));
  await pair.last('new id', Heartbeat, (side) => ({ groupId: 's', generationId: 1, memberId: second[side], ...more }));
  await pair.last('static', DescribeGroups, { groups: ['s'] });
  await pair.last('leave, old id', LeaveGroup, (side) => ({ groupId: 's', members: [{ memberId: first[side], ...more }] }));
  await pair.last('leave by instance', LeaveGroup, { groupId: 's', members: [{ memberId: '', ...more }] });
}

const commit = (groupId: string, generationIdOrMemberEpoch = -1, memberId = '', partition: object = {}, name = 'g-topic') => ({
  groupId,
  generationIdOrMemberEpoch,
  memberId,
  topics: [{ name, partitions: [{ partitionIndex: 0, committedOffset: 5, committedLeaderEpoch: 0, committedMetadata: 'm', ...partition }] }],
});

async function committing(pair: Pair, group: string, generation: number, id: Ids): Promise<void> {
  await pair.each('member', OffsetCommit, (_, side) => commit(group, generation, id[side]));
  await pair.each('wrong generation', OffsetCommit, (_, side) => commit(group, generation + 1, id[side]));
  await pair.each('no generation', OffsetCommit, (_, side) => commit(group, -1, id[side]));
  await pair.each('unknown member', OffsetCommit, commit(group, generation, 'me'));
  await pair.each('simple', OffsetCommit, commit(group));
}

async function offsetsOf(pair: Pair): Promise<void> {
  await make(pair, creation('g-topic', { numPartitions: 2 }));
  await pair.each('good', OffsetCommit, commit('o'));
  await pair.each('generation of a simple group', OffsetCommit, commit('o', 3, ''));
  await pair.each('member of a simple group', OffsetCommit, commit('o', 3, 'me'));
  await pair.each('empty group', OffsetCommit, commit(''));
  await pair.each('unknown partition', OffsetCommit, commit('o', -1, '', { partitionIndex: 9 }));
  await pair.each('negative partition', OffsetCommit, commit('o', -1, '', { partitionIndex: -1 }));
  await pair.each('nowhere', OffsetCommit, commit('o', -1, '', {}, 'nowhere'));
  await pair.each('bad name', OffsetCommit, commit('o', -1, '', {}, 'a b'));
  await pair.each('negative offset', OffsetCommit, commit('o', -1, '', { partitionIndex: 1, committedOffset: -1 }));
  await pair.each('null metadata', OffsetCommit, commit('o', -1, '', { committedMetadata: null }));
  await pair.each('large metadata', OffsetCommit, commit('o', -1, '', { committedMetadata: 'x'.repeat(5000) }));
  await pair.each('no topics', OffsetCommit, { groupId: 'o', generationIdOrMemberEpoch: -1, topics: [] });
  await pair.each('no partitions', OffsetCommit, { groupId: 'o', generationIdOrMemberEpoch: -1, topics: [{ name: 'g-topic', partitions: [] }] });
  await pair.last('both', OffsetCommit, { ...commit('o'), topics: [...commit('o').topics, ...commit('o', -1, '', {}, 'nowhere').topics] });
  const some = [
    { name: 'g-topic', partitionIndexes: [0, 1, 9] },
    { name: 'nowhere', partitionIndexes: [0] },
  ];
  const ask = (what: string, groupId: string, topics: readonly object[] | null, more: object = {}) =>
    pair.each(what, OffsetFetch, (version) => ({ groupId, topics: topics === null && version < 2 ? [] : topics, groups: [{ groupId, topics }], ...more }));
  await ask('some', 'o', some);
  await ask('all', 'o', null);
  await ask('no topics', 'o', []);
  await ask('no partitions', 'o', [{ name: 'g-topic', partitionIndexes: [] }]);
  await ask('nobody', 'nobody', some);
  await ask('all of nobody', 'nobody', null);
  await ask('empty group', '', some);
  await pair.last('stable', OffsetFetch, { groups: [{ groupId: 'o', topics: some }], requireStable: true });
  await pair.last('several', OffsetFetch, { groups: ['o', 'nobody', 'm'].map((groupId) => ({ groupId, topics: null })) });
  await pair.last('no groups', OffsetFetch, { groups: [] });
  await pair.last('member', OffsetFetch, { groups: [{ groupId: 'o', memberId: 'me', memberEpoch: 3, topics: some }] });
  const forget = (what: string, groupId: string, topics: readonly object[]) => pair.last(what, OffsetDelete, { groupId, topics });
  const first = { name: 'g-topic', partitions: [{ partitionIndex: 0 }] };
  await forget('nobody', 'nobody', [first]);
  await forget('empty group', '', [first]);
  await forget('nowhere', 'o', [{ name: 'nowhere', partitions: [{ partitionIndex: 0 }] }]);
  await forget('unknown partition', 'o', [{ name: 'g-topic', partitions: [{ partitionIndex: 9 }] }]);
  await forget('no topics', 'o', []);
  await forget('good', 'o', [first]);
  await forget('again', 'o', [first]);
  await ask('after', 'o', some);
}

async function administering(pair: Pair): Promise<void> {
  await pair.last('make', OffsetCommit, commit('adm'));
  const id = await join(pair, 'adm2');
  await pair.last('completing', DescribeGroups, { groups: ['adm2'] });
  await pair.last('beat, completing', Heartbeat, (side) => ({ groupId: 'adm2', generationId: 1, memberId: id[side] }));
  await pair.last('completing', OffsetCommit, (side) => commit('adm2', 1, id[side]));
  await pair.last('simple, completing', OffsetCommit, commit('adm2'));
  await pair.last('completing', DeleteGroups, { groupsNames: ['adm2'] });
  await pair.last('sync', SyncGroup, (side) => syncing('adm2', 1, id[side], [{ memberId: id[side], assignment: ASSIGNMENT }]));
  await pair.last('subscribed', OffsetDelete, { groupId: 'adm2', topics: [{ name: 'g-topic', partitions: [{ partitionIndex: 0 }] }] });
  await pair.last('empty', DescribeGroups, { groups: ['adm'], includeAuthorizedOperations: true });
  await pair.each('describe none', DescribeGroups, { groups: [] });
  await pair.each('all', ListGroups, {});
  for (const statesFilter of [['Stable'], ['stable'], ['Empty', 'Dead'], ['NoSuch'], ['PreparingRebalance'], ['']])
    await pair.last(`state ${statesFilter}`, ListGroups, { statesFilter });
  for (const typesFilter of [['classic'], ['Classic'], ['consumer'], ['share'], ['nosuch'], ['']])
    await pair.last(`type ${typesFilter}`, ListGroups, { typesFilter });
  await pair.each('delete', DeleteGroups, { groupsNames: ['adm', 'adm', 'nobody', ''] });
  await pair.last('delete none', DeleteGroups, { groupsNames: [] });
  await pair.last('after', DescribeGroups, { groups: ['adm'] });
  await pair.last('leave', LeaveGroup, (side) => ({ groupId: 'adm2', members: [{ memberId: id[side], groupInstanceId: null }] }));
}

/** First of all: it also makes the internal topics. */
export const firstCases = { finding };
export const groupCases = { offsetsOf, joiningOddly, members, statics, administering };
