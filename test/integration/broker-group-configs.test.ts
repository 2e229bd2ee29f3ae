/** Settings of single groups (resource type GROUP): set, refused, shown, in force at the next heartbeat, and kept. */
import { expect, test } from 'vitest';
import { AlterConfigs } from '../../src/kafka/apis/alter-configs.ts';
import { ConsumerGroupHeartbeat } from '../../src/kafka/apis/consumer-group-heartbeat.ts';
import { DescribeConfigs } from '../../src/kafka/apis/describe-configs.ts';
import { IncrementalAlterConfigs } from '../../src/kafka/apis/incremental-alter-configs.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { ErrorCode as E } from '../../src/kafka/errors.ts';
import { brokerWith, eventually, type TestBroker } from './broker-harness.ts';
import { runTool } from './kafka-tool.ts';

const GROUP = 32;
const [SESSION, HEARTBEAT] = ['consumer.session.timeout.ms', 'consumer.heartbeat.interval.ms'];
const SET = 0;
const DELETE = 1;

async function alter(client: KafkaConnection, name: string, values: Readonly<Record<string, string | null>>, validateOnly = false) {
  const configs = Object.entries(values).map(([key, value]) => ({ name: key, value, configOperation: value === null ? DELETE : SET }));
  const { responses } = await client.call(IncrementalAlterConfigs, { resources: [{ resourceType: GROUP, resourceName: name, configs }], validateOnly });
  return [responses[0]!.errorCode, responses[0]!.errorMessage];
}

async function shown(client: KafkaConnection, resourceName: string, configurationKeys: string[] | null = null) {
  const resources = [{ resourceType: GROUP, resourceName, configurationKeys }];
  const { results } = await client.call(DescribeConfigs, { resources, includeSynonyms: true, includeDocumentation: true });
  const [{ errorCode, errorMessage, configs }] = results as [(typeof results)[number]];
  if (errorCode !== E.NONE) return [errorCode, errorMessage];
  return configs.map(
    ({ name, value, configSource, synonyms }) => `${name}=${value} ${configSource} ${synonyms.map((one) => `${one.source}:${one.value}`).join(' ')}`,
  );
}

async function beat(broker: TestBroker, memberId: string, memberEpoch: number) {
  const more = memberEpoch === 0 ? { rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [] } : {};
  return (await broker.client()).call(ConsumerGroupHeartbeat, { groupId: 'G', memberId, memberEpoch, ...more });
}

test('they are shown with their sources, survive a restart, and go one by one', async () => {
  const broker = await brokerWith({ 'group.consumer.heartbeat.interval.ms': '7000' });
  let client = await broker.client();
  const defaults = [`${HEARTBEAT}=7000 4 4:7000 5:5000`, `${SESSION}=45000 5 5:45000`];
  expect(await shown(client, 'G')).toEqual(defaults);
  expect(await alter(client, 'G', { [SESSION!]: '50000', [HEARTBEAT!]: '6000' }, true)).toEqual([E.NONE, null]);
  expect(await shown(client, 'G')).toEqual(defaults);
  expect(await alter(client, 'G', { [SESSION!]: '50000', [HEARTBEAT!]: '6000' })).toEqual([E.NONE, null]);
  const own = [`${HEARTBEAT}=6000 8 8:6000 4:7000 5:5000`, `${SESSION}=50000 8 8:50000 5:45000`];
  expect(await shown(client, 'G')).toEqual(own);
  expect(await shown(client, 'G', [SESSION!])).toEqual([own[1]]);
  expect(await shown(client, 'other')).toEqual(defaults);
  await broker.restart();
  client = await broker.client();
  expect(await shown(client, 'G')).toEqual(own);
  expect(await alter(client, 'G', { [HEARTBEAT!]: null })).toEqual([E.NONE, null]);
  expect(await shown(client, 'G')).toEqual([defaults[0], own[1]]);
  // The older call replaces all.
  const configs = [{ name: HEARTBEAT!, value: '8000' }];
  await client.call(AlterConfigs, { resources: [{ resourceType: GROUP, resourceName: 'G', configs }], validateOnly: false });
  expect(await shown(client, 'G')).toEqual([`${HEARTBEAT}=8000 8 8:8000 4:7000 5:5000`, defaults[1]]);
});

test('what cannot be is refused with Kafka’s words', async () => {
  const broker = await brokerWith();
  const client = await broker.client();
  const low = (key: string) => [E.INVALID_CONFIG, `${key} must be greater than or equal to group.${key.replace('consumer.', 'consumer.min.')}`];
  const high = (key: string) => [E.INVALID_CONFIG, `${key} must be less than or equal to group.${key.replace('consumer.', 'consumer.max.')}`];
  expect(await alter(client, 'G', { bogus: '1' })).toEqual([E.INVALID_CONFIG, 'Unknown group config name: bogus']);
  expect(await alter(client, 'G', { [SESSION!]: 'abc' })).toEqual([
    E.INVALID_CONFIG,
    `Invalid value abc for configuration ${SESSION}: Not a number of type INT`,
  ]);
  expect(await alter(client, 'G', { [SESSION!]: '0' })).toEqual([E.INVALID_CONFIG, `Invalid value 0 for configuration ${SESSION}: Value must be at least 1`]);
  expect(await alter(client, 'G', { [SESSION!]: '44999' })).toEqual(low(SESSION!));
  expect(await alter(client, 'G', { [SESSION!]: '60001' })).toEqual(high(SESSION!));
  expect(await alter(client, 'G', { [HEARTBEAT!]: '4999' })).toEqual(low(HEARTBEAT!));
  expect(await alter(client, 'G', { [HEARTBEAT!]: '15001' })).toEqual(high(HEARTBEAT!));
  expect(await alter(client, '', { [SESSION!]: '50000' })).toEqual([E.INVALID_REQUEST, 'Default group resources are not allowed.']);
  expect(await shown(client, '')).toEqual([E.INVALID_REQUEST, 'Group name must not be empty']);
  const wide = await brokerWith({ 'group.consumer.min.session.timeout.ms': '1', 'group.consumer.min.heartbeat.interval.ms': '1' });
  const words = 'consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms';
  expect(await alter(await wide.client(), 'G', { [SESSION!]: '5000' })).toEqual([E.INVALID_CONFIG, words]);
});

test('members are told the interval with their next heartbeat, and removed after their group’s own timeout', async () => {
  const broker = await brokerWith({ 'group.consumer.min.session.timeout.ms': '1', 'group.consumer.min.heartbeat.interval.ms': '1' });
  await broker.topic('t');
  const first = await beat(broker, 'AAAAAAAAAAAAAAAAAAAAAA', 0);
  expect([first.errorCode, first.heartbeatIntervalMs]).toEqual([E.NONE, 5000]);
  expect(await alter(await broker.client(), 'G', { [SESSION!]: '300', [HEARTBEAT!]: '100' })).toEqual([E.NONE, null]);
  expect((await beat(broker, first.memberId!, first.memberEpoch)).heartbeatIntervalMs).toBe(100);
  // The broker's own timeout is 45 seconds.
  const members = () => broker.running.broker.groupState.all.get('G')?.consumer?.members.size ?? 0;
  await eventually(() => members() === 0, 'the silent member to be removed', 15_000);
});

test('only who may do so with the group sees and changes them', async () => {
  const broker = await brokerWith({ 'authorizer.class.name': 'kafka.security.authorizer.AclAuthorizer' });
  const client = await broker.client();
  expect((await alter(client, 'G', { [SESSION!]: '50000' }))[0]).toBe(E.GROUP_AUTHORIZATION_FAILED);
  expect((await shown(client, 'G'))[0]).toBe(E.GROUP_AUTHORIZATION_FAILED);
});

test('kafka-configs sets, shows and removes them', async () => {
  const broker = await brokerWith();
  await broker.topic('t');
  await beat(broker, 'AAAAAAAAAAAAAAAAAAAAAA', 0);
  const tool = (...words: string[]) => runTool('kafka-configs.sh', ['--bootstrap-server', broker.address, '--entity-type', 'groups', ...words]);
  const G = ['--entity-name', 'G'];
  expect(await tool(...G, '--alter', '--add-config', `${SESSION}=50000,${HEARTBEAT}=6000`)).toMatchObject({
    code: 0,
    out: 'Completed updating config for group G.\n',
  });
  const line = (key: string, value: string, broker: string): string =>
    `  ${key}=${value} sensitive=false synonyms={DYNAMIC_GROUP_CONFIG:${key}=${value}, DEFAULT_CONFIG:group.${key}=${broker}}\n`;
  const both = `Dynamic configs for group G are:\n${line(HEARTBEAT!, '6000', '5000')}${line(SESSION!, '50000', '45000')}`;
  expect(await tool(...G, '--describe')).toMatchObject({ code: 0, out: both });
  expect(await tool('--describe')).toMatchObject({ code: 0, out: both });
  expect(await tool(...G, '--alter', '--delete-config', SESSION!)).toMatchObject({ code: 0 });
  expect(await tool(...G, '--describe')).toMatchObject({ code: 0, out: `Dynamic configs for group G are:\n${line(HEARTBEAT!, '6000', '5000')}` });
  const refused = await tool(...G, '--alter', '--add-config', `${SESSION}=1`);
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining(`InvalidConfigurationException: ${SESSION} must be greater than or equal to`) });
});
