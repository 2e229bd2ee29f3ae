/** Requests about topics: names, partitions, configs, placement, deletion, metadata. */

import { AlterPartitionReassignments } from '../../src/kafka/apis/alter-partition-reassignments.ts';
import { AlterReplicaLogDirs } from '../../src/kafka/apis/alter-replica-log-dirs.ts';
import { ApiVersions } from '../../src/kafka/apis/api-versions.ts';
import { CreatePartitions } from '../../src/kafka/apis/create-partitions.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { DeleteTopics } from '../../src/kafka/apis/delete-topics.ts';
import { DescribeCluster } from '../../src/kafka/apis/describe-cluster.ts';
import { DescribeLogDirs } from '../../src/kafka/apis/describe-log-dirs.ts';
import { DescribeTopicPartitions } from '../../src/kafka/apis/describe-topic-partitions.ts';
import { ElectLeaders } from '../../src/kafka/apis/elect-leaders.ts';
import { ListOffsets } from '../../src/kafka/apis/list-offsets.ts';
import { ListPartitionReassignments } from '../../src/kafka/apis/list-partition-reassignments.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import type { Pair } from './protocol-pair.ts';

/** A creation of one partition unless `more` says otherwise. */
export function creation(name: string, more: object = {}): object {
  return { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...more };
}

/** Makes topics on both and waits until both serve them. */
export async function make(pair: Pair, ...topics: readonly object[]): Promise<void> {
  await pair.last('make', CreateTopics, { topics, timeoutMs: 30_000 });
  const names = topics.map((topic) => ({ name: (topic as { name: string }).name }));
  await pair.until('topics', Metadata, { topics: names, allowAutoTopicCreation: false }, (answer) =>
    answer.topics.every(({ errorCode, partitions }) => errorCode === 0 && partitions.every((one) => one.errorCode === 0)),
  );
  // Kafka tells of a topic before its broker has taken the lead.
  const asked = topics.map((topic) => {
    const { name, numPartitions } = topic as { name: string; numPartitions: number };
    return { name, partitions: Array.from({ length: Math.max(1, numPartitions) }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1 })) };
  });
  await pair.until('leaders', ListOffsets, { replicaId: -1, topics: asked }, (answer) =>
    answer.topics.every(({ partitions }) => partitions.every(({ errorCode }) => errorCode === 0)),
  );
}

const assigned = (...replicas: readonly (readonly number[])[]) => replicas.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds }));
const manual = (assignments: readonly object[], more: object = {}) => ({ numPartitions: -1, replicationFactor: -1, assignments, ...more });
const config = (name: string, value: string | null) => ({ configs: [{ name, value }] });

const ODD_TOPICS: readonly (readonly [what: string, topic: object])[] = [
  ['empty name', creation('')],
  ['dot', creation('.')],
  ['two dots', creation('..')],
  ['space', creation('a b')],
  ['slash', creation('a/b')],
  ['not ascii', creation('tópico')],
  ['249 characters', creation('n'.repeat(249))],
  ['250 characters', creation('n'.repeat(250))],
  ['collides', creation('there_is')],
  ['exists', creation('there.is')],
  ['no partitions', creation('p0', { numPartitions: 0 })],
  ['-1 partitions', creation('pm1', { numPartitions: -1 })],
  ['-2 partitions', creation('pm2', { numPartitions: -2 })],
  ['replicas 0', creation('r0', { replicationFactor: 0 })],
  ['replicas -1', creation('rm1', { replicationFactor: -1 })],
  ['replicas -2', creation('rm2', { replicationFactor: -2 })],
  ['replicas 2', creation('r2', { replicationFactor: 2 })],
  ['placed', creation('placed', manual(assigned([1], [1])))],
  ['placed with counts', creation('placed2', { numPartitions: 2, replicationFactor: 1, assignments: assigned([1], [1]) })],
  ['placed with a count', creation('placed3', { numPartitions: 1, replicationFactor: -1, assignments: assigned([1]) })],
  [
    'hole',
    creation(
      'hole',
      manual([
        { partitionIndex: 0, brokerIds: [1] },
        { partitionIndex: 2, brokerIds: [1] },
      ]),
    ),
  ],
  ['from 1', creation('from1', manual([{ partitionIndex: 1, brokerIds: [1] }]))],
  [
    'a partition twice',
    creation(
      'twice',
      manual([
        { partitionIndex: 0, brokerIds: [1] },
        { partitionIndex: 0, brokerIds: [1] },
      ]),
    ),
  ],
  ['negative partition', creation('negative', manual([{ partitionIndex: -1, brokerIds: [1] }]))],
  ['unknown broker', creation('unknown', manual(assigned([9])))],
  ['negative broker', creation('negativeb', manual(assigned([-1])))],
  ['duplicate brokers', creation('duplicate', manual(assigned([1, 1])))],
  ['one unknown broker', creation('unknown2', manual(assigned([1, 9])))],
  ['no brokers', creation('nobrokers', manual(assigned([])))],
  ['different counts', creation('counts', manual(assigned([1], [1, 9])))],
  ['unknown config', creation('cu', config('no.such.key', '1'))],
  ['empty config name', creation('ce', config('', '1'))],
  ['null value', creation('cn', config('retention.ms', null))],
  ['not a number', creation('cnan', config('retention.ms', 'soon'))],
  ['empty number', creation('cemp', config('retention.ms', ''))],
  ['spaces around', creation('csp', config('retention.ms', ' 1000 '))],
  ['below the least', creation('cmin', config('segment.bytes', '1'))],
  ['retention -1', creation('cr1', config('retention.ms', '-1'))],
  ['retention -2', creation('cr2', config('retention.ms', '-2'))],
  ['int too large', creation('cbig', config('max.message.bytes', '2147483648'))],
  ['not a boolean', creation('cbool', config('preallocate', 'yes'))],
  ['boolean in capitals', creation('cbool2', config('unclean.leader.election.enable', 'TRUE'))],
  ['not an enum', creation('cenum', config('compression.type', 'zip'))],
  ['enum in capitals', creation('cenum2', config('compression.type', 'GZIP'))],
  ['not in the list', creation('clist', config('cleanup.policy', 'delete,keep'))],
  ['both policies', creation('clist2', config('cleanup.policy', 'compact,delete'))],
  ['policies with space', creation('clist3', config('cleanup.policy', 'compact, delete'))],
  ['empty list', creation('clist4', config('cleanup.policy', ''))],
  ['ratio above 1', creation('cd', config('min.cleanable.dirty.ratio', '1.5'))],
  ['not a ratio', creation('cd2', config('min.cleanable.dirty.ratio', 'half'))],
  ['bad timestamps type', creation('cts', config('message.timestamp.type', 'Now'))],
  ['min.insync 0', creation('cisr', config('min.insync.replicas', '0'))],
  ['throttled replicas', creation('cthr', config('leader.replication.throttled.replicas', '0:1,1:1'))],
  ['bad throttled replicas', creation('cthr2', config('leader.replication.throttled.replicas', 'abc'))],
  ['gzip level', creation('cgz', config('compression.gzip.level', '10'))],
  ['lz4 level 0', creation('clz', config('compression.lz4.level', '0'))],
  ['zstd level', creation('czs', config('compression.zstd.level', '99'))],
  ['segment above retention', creation('clocal', config('local.retention.ms', '5'))],
  [
    'compaction lags',
    creation('clag', {
      configs: [
        { name: 'min.compaction.lag.ms', value: '10' },
        { name: 'max.compaction.lag.ms', value: '5' },
      ],
    }),
  ],
  [
    'key twice',
    creation('ckk', {
      configs: [
        { name: 'retention.ms', value: '1' },
        { name: 'retention.ms', value: '2' },
      ],
    }),
  ],
  [
    'several good',
    creation('cgood', {
      configs: [
        { name: 'retention.ms', value: '1000' },
        { name: 'cleanup.policy', value: 'compact' },
      ],
    }),
  ],
  ['old format', creation('cfmt', config('message.format.version', '0.9.0'))],
];

async function creating(pair: Pair): Promise<void> {
  await pair.each('no topics', CreateTopics, { topics: [], timeoutMs: 1000 });
  await pair.each('good', CreateTopics, (v) => ({ topics: [creation(`good${v}`, { numPartitions: 2 })], timeoutMs: 10_000 }));
  await make(pair, creation('there.is'));
  for (const [what, topic] of ODD_TOPICS) await pair.last(what, CreateTopics, { topics: [topic], timeoutMs: 10_000 });
  await pair.each('validate only', CreateTopics, (v) => ({ topics: [creation(`only${v}`)], timeoutMs: 10_000, validateOnly: true }));
  await pair.each('several', CreateTopics, (v) => ({
    topics: [creation(`one${v}`), creation('a b'), creation('there.is'), creation(`two${v}`, { replicationFactor: 3 })],
    timeoutMs: 10_000,
  }));
  await pair.each('twice', CreateTopics, (v) => ({ topics: [creation(`dup${v}`), creation(`other${v}`), creation(`dup${v}`)], timeoutMs: 10_000 }));
  await pair.last('twice and validate', CreateTopics, { topics: [creation('dv'), creation('dv')], timeoutMs: 10_000, validateOnly: true });
  await pair.last('collide in one request', CreateTopics, { topics: [creation('col.x'), creation('col_x')], timeoutMs: 10_000 });
  await pair.last('timeout 0', CreateTopics, { topics: [creation('nowait0')], timeoutMs: 0 });
}

const more = (name: string, count: number, assignments: readonly (readonly number[])[] | null = null) => ({
  name,
  count,
  assignments: assignments?.map((brokerIds) => ({ brokerIds })) ?? null,
});

async function growing(pair: Pair): Promise<void> {
  await make(pair, creation('grow', { numPartitions: 2 }), creation('grow2', { numPartitions: 2 }));
  const ask = (what: string, topics: readonly object[], validateOnly = false) => pair.last(what, CreatePartitions, { topics, timeoutMs: 10_000, validateOnly });
  await pair.each('none', CreatePartitions, { topics: [], timeoutMs: 1000, validateOnly: false });
  await pair.each('unknown topic', CreatePartitions, { topics: [more('nowhere', 3)], timeoutMs: 10_000, validateOnly: false });
  await pair.each('one more', CreatePartitions, (v) => ({ topics: [more('grow', 3 + v)], timeoutMs: 10_000, validateOnly: false }));
  for (const count of [0, -1, 1, 2]) await ask(`to ${count}`, [more('grow2', count)]);
  await ask('validate only', [more('grow2', 3)], true);
  await ask('validate equal', [more('grow2', 2)], true);
  await ask('assigned', [more('grow2', 3, [[1]])]);
  await ask('assigned too few', [more('grow2', 5, [[1]])]);
  await ask('assigned too many', [more('grow2', 4, [[1], [1]])]);
  await ask('assigned none', [more('grow2', 4, [])]);
  await ask('no brokers', [more('grow2', 4, [[]])]);
  await ask('unknown broker', [more('grow2', 4, [[9]])]);
  await ask('duplicate brokers', [more('grow2', 4, [[1, 1]])]);
  await ask('two brokers', [more('grow2', 4, [[1, 2]])]);
  await ask('topic twice', [more('grow2', 4), more('grow2', 5)]);
  await ask('bad name', [more('a b', 4)]);
  await ask('empty name', [more('', 4)]);
  await pair.last('after', Metadata, { topics: [{ name: 'grow' }, { name: 'grow2' }] });
}

async function metadata(pair: Pair): Promise<void> {
  const named = (...names: string[]) => names.map((name) => ({ name }));
  await make(pair, creation('seen', { numPartitions: 2 }));
  const quiet = { allowAutoTopicCreation: false };
  await pair.each('one', Metadata, { topics: named('seen'), ...quiet });
  await pair.each('unknown', Metadata, { topics: named('seen', 'unseen-by-any'), allowAutoTopicCreation: false });
  await pair.each('operations', Metadata, {
    topics: named('seen'),
    ...quiet,
    includeTopicAuthorizedOperations: true,
    includeClusterAuthorizedOperations: true,
  });
  for (const version of [1, 4, 6, 9, 10, 12]) await pair.ask('no topics', Metadata, version, { topics: [], ...quiet });
  for (const name of ['', '.', 'a b', 'x'.repeat(250)]) await pair.each(`name "${name.slice(0, 5)}"`, Metadata, { topics: named(name) });
  await pair.last('twice', Metadata, { topics: named('seen', 'seen'), ...quiet });
  await pair.last('many', Metadata, { topics: named('zz', 'seen', 'aa', 'there.is'), ...quiet });
  await pair.last('unknown id', Metadata, { topics: [{ name: null, topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }], ...quiet });
  await pair.last('zero id and null', Metadata, { topics: [{ name: null }], ...quiet });
  const [ours, real] = await pair.last('id', Metadata, { topics: named('seen'), ...quiet });
  const id = (side: 0 | 1) => [ours, real][side]!.topics[0]!.topicId;
  await pair.last('by id', Metadata, (side) => ({ topics: [{ name: null, topicId: id(side) }], ...quiet }));
  await pair.ask('by id in 10', Metadata, 10, (side) => ({ topics: [{ name: 'seen', topicId: id(side) }], ...quiet }));
  await pair.ask('null name in 10', Metadata, 10, (side) => ({ topics: [{ name: null, topicId: id(side) }], ...quiet }));
  await pair.last('id and wrong name', Metadata, (side) => ({ topics: [{ name: 'there.is', topicId: id(side) }], ...quiet }));
  await pair.last('id and name', Metadata, (side) => ({ topics: [{ name: 'seen', topicId: id(side) }], ...quiet }));
  await pair.last('names and ids', Metadata, (side) => ({ topics: [{ name: 'seen' }, { name: null, topicId: id(side) }], ...quiet }));
  await pair.last('colliding creation', Metadata, { topics: named('there_is') });
  await pair.last('creation', Metadata, { topics: named('by-metadata') });
  await pair.until('creation', Metadata, { topics: named('by-metadata') }, ({ topics }) => topics[0]?.errorCode === 0);
  await pair.last('created', Metadata, { topics: named('by-metadata') });
}

async function partitions(pair: Pair): Promise<void> {
  await make(pair, creation('cursor-a', { numPartitions: 3 }), creation('cursor-b', { numPartitions: 3 }));
  const ask = (what: string, topics: string[], extra: object = {}) =>
    pair.last(what, DescribeTopicPartitions, { topics: topics.map((name) => ({ name })), ...extra });
  await ask('good', ['cursor-a', 'cursor-b']);
  await ask('out of order', ['cursor-b', 'cursor-a']);
  await ask('twice', ['cursor-a', 'cursor-a']);
  await ask('unknown', ['cursor-a', 'cursor-none']);
  await ask('bad name', ['cursor-a', 'a b']);
  for (const limit of [0, -1, 1, 3, 4, 5]) await ask(`limit ${limit}`, ['cursor-a', 'cursor-b'], { responsePartitionLimit: limit });
  for (const [topicName, partitionIndex] of [
    ['cursor-a', 1],
    ['cursor-b', 0],
    ['cursor-b', 2],
    ['cursor-a', 7],
    ['cursor-a', -1],
    ['zzz', 0],
    ['cursor-aa', 0],
    ['', 0],
  ] as const)
    await ask(`cursor ${topicName} ${partitionIndex}`, ['cursor-a', 'cursor-b'], { cursor: { topicName, partitionIndex }, responsePartitionLimit: 2 });
}

async function logDirs(pair: Pair): Promise<void> {
  const topics = [{ topic: 'cursor-a', partitions: [0, 2] }];
  await pair.each('some', DescribeLogDirs, { topics });
  await pair.each('none', DescribeLogDirs, { topics: [] });
  await pair.each('unknown', DescribeLogDirs, {
    topics: [
      { topic: 'nowhere', partitions: [0] },
      { topic: 'cursor-a', partitions: [99, -1] },
    ],
  });
  await pair.each('no partitions', DescribeLogDirs, { topics: [{ topic: 'cursor-a', partitions: [] }] });
  await pair.each('move to nowhere', AlterReplicaLogDirs, {
    dirs: [
      {
        path: '/no/such/dir',
        topics: [
          { name: 'cursor-a', partitions: [0, 77] },
          { name: 'nowhere', partitions: [0] },
        ],
      },
    ],
  });
  await pair.each('no moves', AlterReplicaLogDirs, { dirs: [] });
  await pair.each('relative', AlterReplicaLogDirs, { dirs: [{ path: 'here', topics: [{ name: 'cursor-a', partitions: [0] }] }] });
}

async function replicas(pair: Pair): Promise<void> {
  for (const electionType of [0, 1, 2]) {
    const ask = (what: string, topicPartitions: readonly object[] | null) =>
      pair.each(`type ${electionType} ${what}`, ElectLeaders, { electionType, topicPartitions, timeoutMs: 5000 });
    if (electionType < 2) await ask('all', null);
    if (electionType < 2) await ask('none', []);
    await ask('one', [{ topic: 'cursor-a', partitions: [0] }]);
    await ask('unknown', [
      { topic: 'cursor-a', partitions: [9] },
      { topic: 'nowhere', partitions: [0] },
    ]);
    await ask('no partitions', [{ topic: 'cursor-a', partitions: [] }]);
  }
  const move = (what: string, name: string, partitionIndex: number, to: number[] | null) =>
    pair.last(what, AlterPartitionReassignments, { timeoutMs: 5000, topics: [{ name, partitions: [{ partitionIndex, replicas: to }] }] });
  await pair.last('none', AlterPartitionReassignments, { timeoutMs: 5000, topics: [] });
  await move('to itself', 'cursor-a', 0, [1]);
  await move('to another', 'cursor-a', 0, [2]);
  await move('to two', 'cursor-a', 0, [1, 2]);
  await move('to nobody', 'cursor-a', 0, []);
  await move('duplicate', 'cursor-a', 0, [1, 1]);
  await move('cancel', 'cursor-a', 0, null);
  await move('unknown partition', 'cursor-a', 9, [1]);
  await move('unknown topic', 'nowhere', 0, [1]);
  await pair.last('all', ListPartitionReassignments, { timeoutMs: 5000, topics: null });
  await pair.last('some', ListPartitionReassignments, {
    timeoutMs: 5000,
    topics: [
      { name: 'cursor-a', partitionIndexes: [0, 9] },
      { name: 'nowhere', partitionIndexes: [0] },
    ],
  });
  await pair.last('none', ListPartitionReassignments, { timeoutMs: 5000, topics: [] });
}

async function deleting(pair: Pair): Promise<void> {
  const remove = (what: string, topics: readonly object[], timeoutMs = 10_000) => pair.last(what, DeleteTopics, { topics, timeoutMs });
  await make(pair, creation('gone'), creation('gone2'), creation('gone3'), creation('gone4'), ...[0, 3, 6].map((v) => creation(`going${v}`)));
  const [ours, real] = await pair.last('ids', Metadata, { topics: ['gone', 'gone2'].map((name) => ({ name })) });
  const id = (side: 0 | 1, name: string) => [ours, real][side]!.topics.find((topic) => topic.name === name)!.topicId;
  await pair.ask('by name', DeleteTopics, 0, { topicNames: ['going0', 'nowhere', ''], timeoutMs: 10_000 });
  await pair.ask('by name', DeleteTopics, 3, { topicNames: ['going3', 'nowhere'], timeoutMs: 10_000 });
  await pair.ask('by name', DeleteTopics, 5, { topicNames: ['going6', 'nowhere'], timeoutMs: 10_000 });
  await pair.ask('twice', DeleteTopics, 5, { topicNames: ['gone4', 'gone4'], timeoutMs: 10_000 });
  for (const version of [0, 3, 5]) await pair.ask('none', DeleteTopics, version, { topicNames: [], timeoutMs: 10_000 });
  await remove('none', []);
  await remove('unknown name', [{ name: 'nowhere' }]);
  await remove('bad name', [{ name: 'a b' }]);
  await remove('unknown id', [{ name: null, topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }]);
  await remove('neither', [{ name: null }]);
  await pair.last('both', DeleteTopics, (side) => ({ topics: [{ name: 'gone', topicId: id(side, 'gone') }], timeoutMs: 10_000 }));
  await remove('name twice', [{ name: 'gone3' }, { name: 'gone3' }]);
  await pair.last('name and id', DeleteTopics, (side) => ({ topics: [{ name: 'gone2' }, { name: null, topicId: id(side, 'gone2') }], timeoutMs: 10_000 }));
  await pair.last('id twice', DeleteTopics, (side) => ({ topics: [0, 1].map(() => ({ name: null, topicId: id(side, 'gone2') })), timeoutMs: 10_000 }));
  await pair.last('by id', DeleteTopics, (side) => ({ topics: [{ name: null, topicId: id(side, 'gone') }], timeoutMs: 10_000 }));
  await remove('left', [{ name: 'gone2' }, { name: 'gone3' }, { name: 'gone4' }]);
  await pair.last('again by id', DeleteTopics, (side) => ({ topics: [{ name: null, topicId: id(side, 'gone') }], timeoutMs: 10_000 }));
}

async function cluster(pair: Pair): Promise<void> {
  await pair.each('plain', DescribeCluster, { includeClusterAuthorizedOperations: false });
  await pair.each('operations', DescribeCluster, { includeClusterAuthorizedOperations: true });
  for (const endpointType of [0, 2, 3])
    await pair.ask(`endpoint type ${endpointType}`, DescribeCluster, 1, { includeClusterAuthorizedOperations: false, endpointType });
  await pair.each('good', ApiVersions, { clientSoftwareName: 'pair', clientSoftwareVersion: '1.0' });
  for (const [name, version] of [
    ['', '1'],
    ['a b', '1'],
    ['ok', ''],
    ['ok', 'ä'],
    ['-x', '1'],
    ['x-', '1'],
  ] as const)
    await pair.ask(`software ${name} ${version}`, ApiVersions, 3, { clientSoftwareName: name, clientSoftwareVersion: version });
}

export const topicCases = { creating, growing, metadata, partitions, logDirs, replicas, deleting, cluster };
