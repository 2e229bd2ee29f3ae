/** Limits of connections: how many, from where, how fast; set in the file, and while the broker runs. */
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AlterClientQuotas } from '../../src/kafka/apis/alter-client-quotas.ts';
import { DescribeConfigs } from '../../src/kafka/apis/describe-configs.ts';
import { IncrementalAlterConfigs } from '../../src/kafka/apis/incremental-alter-configs.ts';
import type { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { brokerWith, eventually, HOUSE, RawClient, type TestBroker } from './broker-harness.ts';

/** ApiVersions v0. */
const HELLO = '0012 0000 00000001 0004 74657374';
const BROKER = 4;
const IP = 'ip';

/** A client that has asked; its answer may be late. */
async function asking(broker: TestBroker): Promise<RawClient> {
  const client = await broker.raw();
  client.sendHex(HELLO);
  return client;
}

/** Opens `count` connections that are all answered. */
async function welcome(broker: TestBroker, count: number): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => asking(broker)));
  for (const client of clients) expect(await client.frame()).not.toBeNull();
  return clients;
}

async function set(client: KafkaConnection, name: string, value: string | null, resourceName = '0'): Promise<readonly [number, string | null]> {
  const configs = [{ name, value, configOperation: value === null ? 1 : 0 }];
  const { responses } = await client.call(IncrementalAlterConfigs, { resources: [{ resourceType: BROKER, resourceName, configs }], validateOnly: false });
  return [responses[0]!.errorCode, responses[0]!.errorMessage];
}

async function limitAddress(client: KafkaConnection, name: string | null, rate: number | null): Promise<readonly [number, string | null]> {
  const ops = [{ key: 'connection_creation_rate', value: rate ?? 0, remove: rate === null }];
  const { entries } = await client.call(AlterClientQuotas, { entries: [{ entity: [{ entityType: IP, entityName: name }], ops }], validateOnly: false });
  return [entries[0]!.errorCode, entries[0]!.errorMessage];
}

describe('the quota connection_creation_rate', () => {
  test('closes connections of an address above its rate, unread and after a delay; also after a restart; until it is removed', async () => {
    const broker = await brokerWith();
    const admin = await broker.client();
    expect(await limitAddress(admin, '127.0.0.1', 1)).toEqual([0, null]);
    await welcome(broker, 10);
    const began = performance.now();
    const refused = await asking(broker);
    expect(await refused.frame()).toBeNull();
    expect(performance.now() - began).toBeGreaterThan(500);
    const { figures } = broker.running.broker;
    expect([figures.connectionsThrottled, figures.connections]).toEqual([1, 11]);
    await broker.restart();
    await welcome(broker, 10);
    expect(await (await asking(broker)).frame()).toBeNull();
    // Those that are open are left alone; one of them lifts the quota.
    await broker.running.broker.changeMetadata({ kind: 'alter-quota', entity: [{ type: IP, name: '127.0.0.1' }], values: { connection_creation_rate: null } });
    await welcome(broker, 5);
  });

  test('of a host name or of all addresses counts as well, the most specific first', async () => {
    const broker = await brokerWith();
    const admin = await broker.client();
    expect(await limitAddress(admin, null, 1)).toEqual([0, null]);
    expect(await limitAddress(admin, 'localhost', 2)).toEqual([0, null]);
    // The name is looked up when the first one comes.
    await welcome(broker, 1);
    await welcome(broker, 15);
    expect(await limitAddress(admin, '127.0.0.1', 3)).toEqual([0, null]);
    await welcome(broker, 10);
    await limitAddress(admin, '127.0.0.1', null);
    expect(await (await asking(broker)).frame()).toBeNull();
  });

  test('is refused in Kafka’s words where it makes no sense', async () => {
    const broker = await brokerWith();
    const admin = await broker.client();
    const INVALID = 42;
    expect(await limitAddress(admin, '10.0.0.1', 0)).toEqual([INVALID, 'Quota connection_creation_rate must be greater than 0']);
    expect(await limitAddress(admin, '10.0.0.1', 10.5)).toEqual([INVALID, 'connection_creation_rate cannot be a fractional value.']);
    expect(await limitAddress(admin, '10.0.0.1', 1e12)).toEqual([INVALID, 'Proposed value for connection_creation_rate is too large for an INT.']);
    expect(await limitAddress(admin, 'not an ip', 1)).toEqual([INVALID, 'not an ip is not a valid IP or resolvable host.']);
    expect(await limitAddress(admin, '', 1)).toEqual([INVALID, 'Empty ip not supported']);
    const of = async (entity: [string, string][], key: string) => {
      const entries = [{ entity: entity.map(([entityType, entityName]) => ({ entityType, entityName })), ops: [{ key, value: 1, remove: false }] }];
      return (await admin.call(AlterClientQuotas, { entries, validateOnly: true })).entries[0]!.errorMessage;
    };
    expect(await of([[IP, '10.0.0.1']], 'producer_byte_rate')).toBe('Invalid configuration key producer_byte_rate');
    expect(await of([['user', 'u']], 'connection_creation_rate')).toBe('Invalid configuration key connection_creation_rate');
    expect(
      await of(
        [
          ['user', 'u'],
          [IP, '10.0.0.1'],
        ],
        'connection_creation_rate',
      ),
    ).toMatch(/^Invalid quota entity combination/);
  });
});

describe('max.connections', () => {
  test('keeps further ones waiting, in order, until one ends or the limit is raised', async () => {
    const broker = await brokerWith({ 'max.connections': '2' });
    const { figures } = broker.running.broker;
    const admin = await broker.client();
    const [second] = await welcome(broker, 1);
    const third = await asking(broker);
    const fourth = await asking(broker);
    await eventually(() => figures.connectionsWaiting === 2, 'two in the line');
    expect(third.held).toBe(0);
    second!.close();
    expect(await third.frame()).not.toBeNull();
    expect([fourth.held, figures.connectionsWaiting]).toEqual([0, 1]);
    // With a sign, as Java reads numbers.
    expect(await set(admin, 'max.connections', '+3')).toEqual([0, null]);
    expect(await fourth.frame()).not.toBeNull();
    expect([figures.connectionsWaiting, figures.connectionsDelayed]).toEqual([0, 2]);
  });

  test('of a listener leaves the others alone; whoever gives up is forgotten; a stop closes those that wait', async () => {
    const broker = await brokerWith({
      listeners: 'PLAINTEXT://127.0.0.1:0,INSIDE://127.0.0.1:0',
      'listener.security.protocol.map': 'INSIDE:PLAINTEXT',
      'listener.name.plaintext.max.connections': '1',
    });
    const { figures } = broker.running.broker;
    await welcome(broker, 1);
    const waiting = await asking(broker);
    await eventually(() => figures.connectionsWaiting === 1, 'one in the line');
    const inside = await RawClient.open(broker.running.ports.get('INSIDE')!);
    inside.sendHex(HELLO);
    expect(await inside.frame()).not.toBeNull();
    const gone = await broker.raw();
    await eventually(() => figures.connectionsWaiting === 2, 'two in the line');
    gone.socket.resetAndDestroy();
    await eventually(() => figures.connectionsWaiting === 1, 'the one that gave up to be forgotten');
    inside.close();
    await broker.running.stop();
    expect(await waiting.frame()).toBeNull();
  });
});

test('on a listener with TLS those that wait do so before their handshake', async () => {
  const broker = await brokerWith({
    listeners: 'SSL://127.0.0.1:0',
    'ssl.keystore.location': path.join(HOUSE, 'test', 'fixtures', 'tls', 'rsa.p12'),
    'ssl.keystore.password': 'changeit',
    'max.connections': '1',
  });
  const { figures } = broker.running.broker;
  const secured = (): Promise<TLSSocket> => {
    const socket = connect({ port: broker.port, host: '127.0.0.1', rejectUnauthorized: false });
    onTestFinished(() => void socket.destroy());
    return new Promise((resolve, reject) => socket.once('error', reject).once('secureConnect', () => resolve(socket)));
  };
  const first = await secured();
  let isSecond = false;
  const second = secured().then((socket) => {
    isSecond = true;
    return socket;
  });
  await eventually(() => figures.connectionsWaiting === 1, 'the second in the line');
  expect(isSecond).toBe(false);
  first.destroy();
  const socket = await second;
  socket.write(Buffer.from(`0000000e${HELLO.replaceAll(' ', '')}`, 'hex'));
  await new Promise((resolve) => socket.once('data', resolve));
  expect([figures.connections, figures.connectionsWaiting]).toEqual([1, 0]);
});

test('the line of those that wait is no longer than Kafka’s', async () => {
  const broker = await brokerWith({ 'max.connections': '0' });
  const { figures } = broker.running.broker;
  for (let i = 0; i < 53; i++) await asking(broker);
  await eventually(() => figures.connectionsRefused === 3, 'three to be refused');
  expect(figures.connectionsWaiting).toBe(50);
});

test('max.connections.per.ip closes further ones at once; overrides are for single addresses and hosts, and can be changed', async () => {
  const broker = await brokerWith({ 'max.connections.per.ip': '1', 'max.connections.per.ip.overrides': '10.9.8.7:100, localhost:2' });
  const { figures } = broker.running.broker;
  const admin = await broker.client();
  await welcome(broker, 1);
  expect(await (await asking(broker)).frame()).toBeNull();
  expect(figures.connectionsRefused).toBe(1);
  expect(await set(admin, 'max.connections.per.ip.overrides', '127.0.0.1:4,localhost:2')).toEqual([0, null]);
  await welcome(broker, 2);
  expect(await (await asking(broker)).frame()).toBeNull();
  expect(figures.connectionsRefused).toBe(2);
});

test('max.connection.creation.rate keeps further ones waiting until the rate allows them, for the broker and for a listener', async () => {
  for (const key of ['max.connection.creation.rate', 'listener.name.plaintext.max.connection.creation.rate']) {
    const broker = await brokerWith({ [key]: '1' });
    await welcome(broker, 10);
    const began = performance.now();
    const client = await asking(broker);
    expect(await client.frame()).not.toBeNull();
    expect(performance.now() - began).toBeGreaterThan(500);
    expect(broker.running.broker.figures.connectionsDelayed).toBe(1);
  }
});

test('the limits can be changed while it runs, are shown with their sources, and refused when they make no sense', async () => {
  const broker = await brokerWith({ 'max.connections': '90' });
  const admin = await broker.client();
  expect(await set(admin, 'listener.name.plaintext.max.connections', '50')).toEqual([0, null]);
  expect(await set(admin, 'max.connections', '80')).toEqual([0, null]);
  expect(await set(admin, 'max.connections', '70', '')).toEqual([0, null]);
  expect(await set(admin, 'max.connections', '-1')).toEqual([42, 'Invalid value -1 for configuration max.connections: Value must be at least 0']);
  expect(await set(admin, 'max.connection.creation.rate', '0')).toEqual([42, 'Invalid max.connection.creation.rate 0']);
  expect((await set(admin, 'max.connections.per.ip.overrides', '127.0.0.1'))[1]).toMatch(
    /^Error parsing configuration property 'max\.connections\.per\.ip\.overrides': /,
  );
  const shown = async () => {
    const configurationKeys = ['max.connections', 'listener.name.plaintext.max.connections'];
    const resources = [{ resourceType: BROKER, resourceName: '0', configurationKeys }];
    const { results } = await admin.call(DescribeConfigs, { resources, includeSynonyms: true, includeDocumentation: false });
    return Object.fromEntries(
      results[0]!.configs.map(({ name, value, synonyms }) => [name, [value, synonyms.map((one) => `${one.source}:${one.value}`).join(' ')]]),
    );
  };
  const expected = { 'max.connections': ['80', '2:80 3:70 4:90 5:2147483647'], 'listener.name.plaintext.max.connections': ['50', '2:50 5:2147483647'] };
  expect(await shown()).toEqual(expected);
  await expect(brokerWith({ 'max.connections.per.ip.overrides': 'nonsense' })).rejects.toThrow(/overrides has "nonsense"/);
  await expect(brokerWith({ 'listener.name.plaintext.max.connections': 'x' })).rejects.toThrow(/no number of connections/);
});
