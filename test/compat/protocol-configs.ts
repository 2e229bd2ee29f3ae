/** Requests about settings: topics, brokers, loggers, quotas, SCRAM users. */
import { AlterClientQuotas } from '../../src/kafka/apis/alter-client-quotas.ts';
import { AlterConfigs } from '../../src/kafka/apis/alter-configs.ts';
import { AlterUserScramCredentials } from '../../src/kafka/apis/alter-user-scram-credentials.ts';
import { DescribeClientQuotas } from '../../src/kafka/apis/describe-client-quotas.ts';
import { DescribeConfigs } from '../../src/kafka/apis/describe-configs.ts';
import { DescribeUserScramCredentials } from '../../src/kafka/apis/describe-user-scram-credentials.ts';
import { IncrementalAlterConfigs } from '../../src/kafka/apis/incremental-alter-configs.ts';
import type { Pair } from './protocol-pair.ts';
import { creation, make } from './protocol-topics.ts';

const TOPIC = 2;
const BROKER = 4;
const LOGGER = 8;
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3];

type Resource = readonly [type: number, name: string];

async function describing(pair: Pair): Promise<void> {
  await make(pair, creation('described', { configs: [{ name: 'retention.ms', value: '5000' }] }));
  const ask = (what: string, [resourceType, resourceName]: Resource, keys: readonly string[] | null, flags: object = {}) =>
    pair.each(what, DescribeConfigs, { resources: [{ resourceType, resourceName, configurationKeys: keys }], ...flags });
  await pair.each('nothing', DescribeConfigs, { resources: [] });
  await ask('topic', [TOPIC, 'described'], null);
  await ask('topic, synonyms', [TOPIC, 'described'], null, { includeSynonyms: true });
  await ask('topic, keys', [TOPIC, 'described'], ['retention.ms', 'no.such.key', 'cleanup.policy', 'retention.ms'], { includeSynonyms: true });
  await ask('topic, no keys', [TOPIC, 'described'], []);
  await ask('documented', [TOPIC, 'described'], ['retention.ms', 'cleanup.policy', 'min.insync.replicas'], { includeDocumentation: true });
  await ask('unknown topic', [TOPIC, 'nowhere'], null);
  await ask('empty topic', [TOPIC, ''], null);
  await ask('bad topic name', [TOPIC, 'a b'], null);
  const known = [
    'log.retention.ms',
    'log.retention.hours',
    'num.partitions',
    'message.max.bytes',
    'broker.id',
    'node.id',
    'compression.type',
    'log.segment.bytes',
  ];
  await ask('broker', [BROKER, '1'], known, { includeSynonyms: true });
  await ask('default broker', [BROKER, ''], null, { includeSynonyms: true });
  await ask('unknown broker', [BROKER, '9'], known);
  await ask('not a broker', [BROKER, 'one'], known);
  await ask('unknown logger', [LOGGER, '9'], null);
  await ask('default logger', [LOGGER, ''], null);
  await ask('not a logger', [LOGGER, 'one'], null);
  for (const type of [0, 1, 3, 5, 16, 32, 99, -1]) await ask(`type ${type}`, [type, 'x'], null);
  await pair.each('twice', DescribeConfigs, {
    resources: [0, 1].map(() => ({ resourceType: TOPIC, resourceName: 'described', configurationKeys: ['retention.ms'] })),
  });
  await pair.each('mixed', DescribeConfigs, {
    resources: [
      { resourceType: TOPIC, resourceName: 'nowhere', configurationKeys: ['retention.ms'] },
      { resourceType: BROKER, resourceName: '1', configurationKeys: ['num.partitions'] },
      { resourceType: TOPIC, resourceName: 'described', configurationKeys: ['retention.ms'] },
    ],
  });
}

type Op = readonly [name: string, operation: number, value: string | null];

async function altering(pair: Pair): Promise<void> {
  const lists = [{ name: 'cleanup.policy', value: 'compact' }];
  await make(pair, creation('altered', { configs: [{ name: 'retention.ms', value: '5000' }] }), creation('listed', { configs: lists }));
  const ask = async (what: string, [resourceType, resourceName]: Resource, ops: readonly Op[], validateOnly = false) => {
    const configs = ops.map(([name, configOperation, value]) => ({ name, configOperation, value }));
    await pair.last(what, IncrementalAlterConfigs, { resources: [{ resourceType, resourceName, configs }], validateOnly });
    if (resourceType === TOPIC && resourceName !== '' && !resourceName.startsWith('no'))
      await pair.settled(`after ${what}`, DescribeConfigs, {
        resources: [{ resourceType, resourceName, configurationKeys: ['retention.ms', 'cleanup.policy', 'segment.bytes'] }],
      });
  };
  const topic: Resource = [TOPIC, 'altered'];
  const listed: Resource = [TOPIC, 'listed'];
  await pair.each('nothing', IncrementalAlterConfigs, { resources: [], validateOnly: false });
  await ask('no configs', topic, []);
  await ask('set', topic, [['retention.ms', SET, '6000']]);
  await ask('set to validate', topic, [['retention.ms', SET, '7000']], true);
  await ask('set null', topic, [['retention.ms', SET, null]]);
  await ask('set empty', topic, [['retention.ms', SET, '']]);
  await ask('set nonsense', topic, [['retention.ms', SET, 'soon']]);
  await ask('validate nonsense', topic, [['retention.ms', SET, 'soon']], true);
  await ask('set too small', topic, [['segment.bytes', SET, '1']]);
  await ask('unknown key', topic, [['no.such.key', SET, '1']]);
  await ask('delete unknown key', topic, [['no.such.key', DELETE, null]]);
  await ask('empty key', topic, [['', SET, '1']]);
  await ask('delete', topic, [['retention.ms', DELETE, null]]);
  await ask('delete again', topic, [['retention.ms', DELETE, null]]);
  await ask('delete with value', topic, [['retention.ms', DELETE, '5']]);
  await ask('append no list', topic, [['retention.ms', APPEND, '5']]);
  await ask('subtract no list', topic, [['retention.ms', SUBTRACT, '5']]);
  await ask('append unknown', topic, [['no.such.key', APPEND, '5']]);
  await ask('append', listed, [['cleanup.policy', APPEND, 'delete']]);
  await ask('append again', listed, [['cleanup.policy', APPEND, 'delete']]);
  await ask('subtract', listed, [['cleanup.policy', SUBTRACT, 'compact']]);
  await ask('subtract what is not there', listed, [['cleanup.policy', SUBTRACT, 'compact']]);
  await ask('append two', listed, [['cleanup.policy', APPEND, 'compact,delete']]);
  await ask('subtract all', listed, [['cleanup.policy', SUBTRACT, 'compact,delete']]);
  await ask('append nonsense', listed, [['cleanup.policy', APPEND, 'keep']]);
  await ask('append empty', listed, [['cleanup.policy', APPEND, '']]);
  await ask('append null', listed, [['cleanup.policy', APPEND, null]]);
  await ask('append to default', topic, [['cleanup.policy', APPEND, 'compact']]);
  await ask('unknown operation', topic, [['retention.ms', 4, '5']]);
  await ask('negative operation', topic, [['retention.ms', -1, '5']]);
  await ask('key twice', topic, [
    ['retention.ms', SET, '1'],
    ['retention.ms', SET, '2'],
  ]);
  await ask('key twice, set and delete', topic, [
    ['retention.ms', SET, '1'],
    ['retention.ms', DELETE, null],
  ]);
  await ask('one good, one bad', topic, [
    ['retention.ms', SET, '8000'],
    ['segment.bytes', SET, 'x'],
  ]);
  await ask('unknown topic', [TOPIC, 'nowhere'], [['retention.ms', SET, '1']]);
  await ask('empty topic', [TOPIC, ''], [['retention.ms', SET, '1']]);
  await ask('bad topic name', [TOPIC, 'not good'], [['retention.ms', SET, '1']]);
  for (const type of [0, 1, 3, 5, 16, 99]) await ask(`type ${type}`, [type, 'x'], [['retention.ms', SET, '1']]);
  await brokers(pair, ask);
  const resource = { resourceType: TOPIC, resourceName: 'altered', configs: [{ name: 'retention.ms', configOperation: SET, value: '1' }] };
  await pair.last('resource twice', IncrementalAlterConfigs, { resources: [resource, resource], validateOnly: false });
  await pair.last('two resources', IncrementalAlterConfigs, { resources: [{ ...resource, resourceName: 'nowhere' }, resource], validateOnly: false });
}

async function brokers(pair: Pair, ask: (what: string, resource: Resource, ops: readonly Op[], validateOnly?: boolean) => Promise<void>): Promise<void> {
  const resources = (keys: string[]) => ['1', ''].map((resourceName) => ({ resourceType: BROKER, resourceName, configurationKeys: keys }));
  const show = (what: string) =>
    pair.last(what, DescribeConfigs, { resources: resources(['log.retention.ms', 'message.max.bytes', 'log.cleaner.backoff.ms']), includeSynonyms: true });
  await ask('broker', [BROKER, '1'], [['message.max.bytes', SET, '2000000']]);
  await ask(
    'default broker',
    [BROKER, ''],
    [
      ['message.max.bytes', SET, '1500000'],
      ['log.retention.ms', SET, '90000'],
    ],
  );
  await pair.until(
    'dynamic configs',
    DescribeConfigs,
    { resources: resources(['message.max.bytes']), includeSynonyms: true },
    ({ results }) => results[0]!.configs[0]!.synonyms.length === 3,
  );
  await show('dynamic');
  await pair.last('inherited', DescribeConfigs, {
    resources: [{ resourceType: TOPIC, resourceName: 'altered', configurationKeys: ['max.message.bytes', 'retention.ms'] }],
    includeSynonyms: true,
  });
  await ask('broker delete', [BROKER, '1'], [['message.max.bytes', DELETE, null]]);
  await ask(
    'default broker delete',
    [BROKER, ''],
    [
      ['message.max.bytes', DELETE, null],
      ['log.retention.ms', DELETE, null],
    ],
  );
  await ask('broker nonsense', [BROKER, '1'], [['message.max.bytes', SET, 'x']]);
  await ask('broker read-only', [BROKER, '1'], [['num.partitions', SET, '3']]);
  await ask('default broker read-only', [BROKER, ''], [['auto.create.topics.enable', SET, 'false']]);
  await ask('broker unknown key', [BROKER, '1'], [['no.such.key', SET, '3']]);
  await ask('unknown broker', [BROKER, '9'], [['message.max.bytes', SET, '3000000']]);
  await ask('not a broker', [BROKER, 'one'], [['message.max.bytes', SET, '3000000']]);
  await ask('node id', [BROKER, '1'], [['node.id', SET, '3']]);
  await ask('logger', [LOGGER, '1'], [['kafka.no.such.Logger', SET, 'LOUD']]);
  await ask('unknown logger', [LOGGER, '9'], [['kafka.server', SET, 'INFO']]);
  await ask('default logger', [LOGGER, ''], [['kafka.server', SET, 'INFO']]);
}

async function replacing(pair: Pair): Promise<void> {
  await make(
    pair,
    creation('replaced', {
      configs: [
        { name: 'retention.ms', value: '5000' },
        { name: 'cleanup.policy', value: 'compact' },
      ],
    }),
  );
  const ask = async (what: string, [resourceType, resourceName]: Resource, configs: readonly object[], validateOnly = false) => {
    await pair.last(what, AlterConfigs, { resources: [{ resourceType, resourceName, configs }], validateOnly });
    await pair.settled(`after ${what}`, DescribeConfigs, {
      resources: [{ resourceType: TOPIC, resourceName: 'replaced', configurationKeys: ['retention.ms', 'cleanup.policy'] }],
    });
  };
  await pair.each('nothing', AlterConfigs, { resources: [], validateOnly: false });
  await pair.each('good', AlterConfigs, {
    resources: [{ resourceType: TOPIC, resourceName: 'replaced', configs: [{ name: 'retention.ms', value: '6000' }] }],
    validateOnly: false,
  });
  await ask('validate', [TOPIC, 'replaced'], [{ name: 'retention.ms', value: '1' }], true);
  await ask('null', [TOPIC, 'replaced'], [{ name: 'retention.ms', value: null }]);
  await ask('nonsense', [TOPIC, 'replaced'], [{ name: 'retention.ms', value: 'soon' }]);
  await ask('unknown key', [TOPIC, 'replaced'], [{ name: 'no.such', value: '1' }]);
  await ask(
    'twice',
    [TOPIC, 'replaced'],
    [
      { name: 'retention.ms', value: '1' },
      { name: 'retention.ms', value: '2' },
    ],
  );
  await ask('empty', [TOPIC, 'replaced'], []);
  await ask('unknown topic', [TOPIC, 'nowhere'], [{ name: 'retention.ms', value: '1' }]);
  await ask('logger', [LOGGER, '1'], [{ name: 'kafka.server', value: 'INFO' }]);
  await ask('type 0', [0, 'x'], []);
  await ask('unknown broker', [BROKER, '9'], [{ name: 'message.max.bytes', value: '3000000' }]);
}

const entity = (...parts: readonly (readonly [string, string | null])[]) => parts.map(([entityType, entityName]) => ({ entityType, entityName }));
type Quota = readonly [key: string, value: number, remove?: boolean];

async function quotas(pair: Pair): Promise<void> {
  const alter = (what: string, of: readonly object[], ops: readonly Quota[], validateOnly = false) =>
    pair.each(what, AlterClientQuotas, { entries: [{ entity: of, ops: ops.map(([key, value, remove = false]) => ({ key, value, remove })) }], validateOnly });
  const rate: Quota = ['producer_byte_rate', 1e9];
  await pair.each('nothing', AlterClientQuotas, { entries: [], validateOnly: false });
  await alter('user', entity(['user', 'q1']), [rate]);
  await alter('default user', entity(['user', null]), [['consumer_byte_rate', 2e9]]);
  await alter('user and client', entity(['user', 'q1'], ['client-id', 'c1']), [rate, ['request_percentage', 500]]);
  await alter('default client', entity(['client-id', null]), [['controller_mutation_rate', 1e6]]);
  await alter('ip', entity(['ip', '10.0.0.1']), [['connection_creation_rate', 100]]);
  await alter('ip that is a name', entity(['ip', 'no such host']), [['connection_creation_rate', 100]]);
  await alter('ip and user', entity(['ip', '10.0.0.1'], ['user', 'q1']), [['connection_creation_rate', 100]]);
  await alter('validate', entity(['user', 'q2']), [rate], true);
  await alter('no entity', [], [rate]);
  await alter('no ops', entity(['user', 'q3']), []);
  await alter('unknown type', entity(['group', 'g']), [rate]);
  await alter('type twice', entity(['user', 'a'], ['user', 'b']), [rate], true);
  await alter('empty name', entity(['user', '']), [rate]);
  await alter('unknown key', entity(['user', 'q3']), [['speed', 1]]);
  await alter('key of an ip', entity(['user', 'q3']), [['connection_creation_rate', 1]]);
  await alter('key of a user', entity(['ip', '10.0.0.1']), [rate]);
  await alter('zero', entity(['user', 'q3']), [['producer_byte_rate', 0]]);
  await alter('negative', entity(['user', 'q3']), [['producer_byte_rate', -1]]);
  await alter('fraction', entity(['user', 'q3']), [['producer_byte_rate', 1.5]]);
  await alter('fraction of percent', entity(['user', 'q3']), [['request_percentage', 12.5]]);
  await alter('fraction of connections', entity(['ip', '10.0.0.1']), [['connection_creation_rate', 1.5]]);
  await alter('key twice', entity(['user', 'q3']), [rate, ['producer_byte_rate', 5e8]], true);
  await alter('remove unset', entity(['user', 'q9']), [['producer_byte_rate', 0, true]]);
  const show = (what: string, components: readonly (readonly [string, number, string | null])[], strict = false) =>
    pair.each(what, DescribeClientQuotas, { components: components.map(([entityType, matchType, match]) => ({ entityType, matchType, match })), strict });
  await pair.until('quotas', DescribeClientQuotas, { components: [], strict: false }, ({ entries }) => (entries?.length ?? 0) >= 6);
  await show('all', []);
  await show('all, strict', [], true);
  await show('user', [['user', 0, 'q1']]);
  await show('user, strict', [['user', 0, 'q1']], true);
  await show('default user', [['user', 1, null]]);
  await show('any user', [['user', 2, null]]);
  await show('any user, strict', [['user', 2, null]], true);
  await show(
    'user and client',
    [
      ['user', 0, 'q1'],
      ['client-id', 2, null],
    ],
    true,
  );
  await show('ip', [['ip', 2, null]]);
  await show('ip and user', [
    ['ip', 2, null],
    ['user', 2, null],
  ]);
  await show('unknown user', [['user', 0, 'nobody']]);
  await show('unknown type', [['group', 2, null]]);
  await show('empty type', [['', 2, null]]);
  await show('type twice', [
    ['user', 0, 'q1'],
    ['user', 0, 'q2'],
  ]);
  await show('unknown match', [['user', 3, 'q1']]);
  await show('default with a name', [['user', 1, 'q1']]);
  await show('any with a name', [['user', 2, 'q1']]);
  await show('exact without a name', [['user', 0, null]]);
  for (const of of [entity(['user', 'q1']), entity(['user', 'q1'], ['client-id', 'c1'])])
    await alter('remove', of, [
      ['producer_byte_rate', 0, true],
      ['request_percentage', 0, true],
    ]);
  await alter('remove', entity(['user', null]), [['consumer_byte_rate', 0, true]]);
  await alter('remove', entity(['client-id', null]), [['controller_mutation_rate', 0, true]]);
  await alter('remove', entity(['user', 'q3']), [
    ['producer_byte_rate', 0, true],
    ['request_percentage', 0, true],
  ]);
  await alter('remove', entity(['ip', '10.0.0.1']), [['connection_creation_rate', 0, true]]);
}

async function scram(pair: Pair): Promise<void> {
  const upsert = (name: string, mechanism: number, iterations: number, bytes = 32) => ({
    name,
    mechanism,
    iterations,
    salt: Buffer.from('salt'),
    saltedPassword: Buffer.alloc(bytes, 7),
  });
  const alter = (what: string, upsertions: readonly object[], deletions: readonly object[] = []) =>
    pair.last(what, AlterUserScramCredentials, { deletions, upsertions });
  await alter('nothing', []);
  await alter('good', [upsert('s1', 1, 4096)]);
  await alter('two mechanisms', [upsert('s8', 1, 4096), upsert('s8', 2, 8192, 64)]);
  for (const mechanism of [1, 2]) await alter(`two mechanisms, taken back ${mechanism}`, [], [{ name: 's8', mechanism }]);
  await alter('one', [upsert('s2', 1, 4096)]);
  await alter('and another', [upsert('s2', 2, 8192, 64)]);
  await alter('twice', [upsert('s3', 1, 4096), upsert('s3', 1, 4096)]);
  await alter('few iterations', [upsert('s3', 1, 4095)]);
  await alter('many iterations', [upsert('s3', 1, 16385)]);
  await alter('negative iterations', [upsert('s3', 1, -1)]);
  await alter('unknown mechanism', [upsert('s3', 3, 4096)]);
  await alter('mechanism 0', [upsert('s3', 0, 4096)]);
  await alter('no name', [upsert('', 1, 4096)]);
  await alter('wrong size', [upsert('s4', 2, 4096, 10)]);
  await alter('delete unset', [], [{ name: 's9', mechanism: 1 }]);
  await alter('delete other mechanism', [], [{ name: 's1', mechanism: 2 }]);
  await alter('delete unknown mechanism', [], [{ name: 's1', mechanism: 7 }]);
  await alter('delete no name', [], [{ name: '', mechanism: 1 }]);
  await alter('delete and set', [upsert('s1', 1, 4096)], [{ name: 's1', mechanism: 1 }]);
  await alter('one good, one bad', [upsert('s5', 1, 4096), upsert('s6', 1, 5)]);
  await alter('a user twice, one bad', [upsert('s7', 1, 4096), upsert('s7', 2, 5)]);
  const show = (what: string, users: readonly string[] | null) =>
    pair.last(what, DescribeUserScramCredentials, { users: users?.map((name) => ({ name })) ?? null });
  await pair.until('users', DescribeUserScramCredentials, { users: null }, ({ results }) => results.length >= 3);
  await show('all', null);
  await show('empty list', []);
  await show('some', ['s2', 'nobody', 's1']);
  await show('twice', ['s1', 's1', 's2']);
  await show('no name', ['']);
  await alter(
    'delete',
    [],
    [
      { name: 's1', mechanism: 1 },
      { name: 's2', mechanism: 1 },
      { name: 's5', mechanism: 1 },
    ],
  );
}

export const configCases = { describing, altering, replacing, quotas, scram };
