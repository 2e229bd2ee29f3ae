/**
 * Listeners, TLS, logins, ACLs and quotas of a running broker, with kafkajs and, where installed, kcat and keytool:
 * right ones work, wrong ones are refused as Kafka refuses them and cost one line of log.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHmac, pbkdf2Sync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, type Admin, Kafka, type KafkaConfig, logLevel, ResourcePatternTypes } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { AlterClientQuotas } from '../../src/kafka/apis/alter-client-quotas.ts';
import { AlterUserScramCredentials } from '../../src/kafka/apis/alter-user-scram-credentials.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { DescribeClientQuotas } from '../../src/kafka/apis/describe-client-quotas.ts';
import { DescribeUserScramCredentials } from '../../src/kafka/apis/describe-user-scram-credentials.ts';
import { Fetch } from '../../src/kafka/apis/fetch.ts';
import { Metadata } from '../../src/kafka/apis/metadata.ts';
import { Produce } from '../../src/kafka/apis/produce.ts';
import { SaslAuthenticate } from '../../src/kafka/apis/sasl-authenticate.ts';
import { SaslHandshake } from '../../src/kafka/apis/sasl-handshake.ts';
import { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { endsWithTest } from '../ends-with-test.ts';
import { BrokerProcess, batchOf, brokerWith, eventually, TestBroker, tempDir } from './broker-harness.ts';

const PASSWORD = 'changeit';
let place: string;
const file = (name: string): string => path.join(place, name);
const openssl = (...words: string[]): void => void execFileSync('openssl', words, { cwd: place, stdio: 'pipe' });
const has = (command: string, ...args: string[]): boolean => spawnSync(command, args, { stdio: 'ignore' }).error === undefined;
const HAS_KEYTOOL = has('keytool', '-help');
const HAS_KCAT = has('kcat', '-V');

/** Key and certificate of `name`, signed by `authority`. */
function certificate(name: string, subject: string, authority = 'ca'): void {
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${authority}.crt`,
    '-CAkey',
    `${authority}.key`,
    '-CAcreateserial',
    '-out',
    `${name}.crt`,
    '-days',
    '30',
    '-extfile',
    'ext',
  );
  fs.writeFileSync(file(`${name}.pem`), fs.readFileSync(file(`${name}.key`), 'utf8') + fs.readFileSync(file(`${name}.crt`), 'utf8'));
}

beforeAll(() => {
  place = tempDir('broker-tls');
  fs.writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  for (const authority of ['ca', 'stranger'])
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${authority}.key`,
      '-out',
      `${authority}.crt`,
      '-subj',
      `/CN=${authority}`,
      '-days',
      '30',
    );
  certificate('broker', '/CN=broker');
  certificate('alice', '/C=DE/O=Acme\\, Inc/OU=dev/CN=alice');
  certificate('mallory', '/CN=alice', 'stranger');
  openssl('pkcs12', '-export', '-in', 'broker.crt', '-inkey', 'broker.key', '-out', 'broker.p12', '-passout', `pass:${PASSWORD}`);
  openssl('pkcs12', '-export', '-nokeys', '-in', 'ca.crt', '-out', 'trust.p12', '-passout', `pass:${PASSWORD}`);
  openssl('pkcs8', '-topk8', '-in', 'broker.key', '-out', 'broker.enc.key', '-v2', 'aes256', '-passout', `pass:${PASSWORD}`);
  if (!HAS_KEYTOOL) return;
  const keytool = (...words: string[]): void => void execFileSync('keytool', words, { cwd: place, stdio: 'pipe' });
  for (const type of ['PKCS12', 'JKS']) {
    keytool(
      '-importkeystore',
      '-srckeystore',
      'broker.p12',
      '-srcstorepass',
      PASSWORD,
      '-destkeystore',
      `java.${type}`,
      '-deststoretype',
      type,
      '-deststorepass',
      PASSWORD,
      '-noprompt',
    );
    keytool('-importcert', '-noprompt', '-alias', 'ca', '-file', 'ca.crt', '-keystore', `java-trust.${type}`, '-storetype', type, '-storepass', PASSWORD);
  }
}, 60_000);
afterAll(() => fs.rmSync(place, { recursive: true, force: true }));

type Values = Readonly<Record<string, string>>;

const portOf = (broker: TestBroker, listener: string): number => broker.running.ports.get(listener) as number;
const ca = (): string => fs.readFileSync(file('ca.crt'), 'utf8');
const identity = (name: string) => ({ ca: [ca()], key: fs.readFileSync(file(`${name}.key`), 'utf8'), cert: fs.readFileSync(file(`${name}.crt`), 'utf8') });

function kafka(broker: TestBroker, listener: string, config: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({
    clientId: 'c',
    brokers: [`127.0.0.1:${portOf(broker, listener)}`],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    connectionTimeout: 5000,
    ...config,
  });
}

/** Error 29, whichever way kafkajs says it. */
const DENIED = 'denied';

/** Produces one record; its answer, or what the client says of its refusal. */
async function send(client: Kafka, topic: string): Promise<string> {
  const producer = client.producer({ retry: { retries: 0 }, allowAutoTopicCreation: false });
  try {
    await producer.connect();
    await producer.send({ topic, messages: [{ value: 'x' }] });
    return 'sent';
  } catch (error) {
    const said = (error as Error & { type?: string }).type ?? (error as Error).message;
    return /topic.authorization.failed/i.test(said) ? DENIED : said;
  } finally {
    await producer.disconnect();
  }
}

/** Runs a client while the broker in this process goes on; stdout. */
function client(command: string, words: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('timeout', ['40', command, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk));
    child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${command} ended with ${code}: ${err}`))));
    child.stdin.end(input);
  });
}

/** What a broker says within a moment; it must be one line. */
async function oneLine(broker: TestBroker): Promise<string> {
  await eventually(() => broker.said.length > 0, 'a line of log');
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(broker.said).toHaveLength(1);
  return broker.said[0] as string;
}

describe('TLS', () => {
  const stores: [string, () => Values][] = [
    ['a PEM file', () => ({ 'ssl.keystore.location': file('broker.pem'), 'ssl.keystore.type': 'PEM' })],
    ['a PKCS12 file of OpenSSL', () => ({ 'ssl.keystore.location': file('broker.p12'), 'ssl.keystore.type': 'PKCS12', 'ssl.keystore.password': PASSWORD })],
    [
      'PEM text in the settings, its lines joined, its key locked',
      () => ({
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.key': fs.readFileSync(file('broker.enc.key'), 'utf8').replaceAll('\n', ' '),
        'ssl.keystore.certificate.chain': fs.readFileSync(file('broker.crt'), 'utf8').replaceAll('\n', ' '),
        'ssl.key.password': PASSWORD,
      }),
    ],
    ...(HAS_KEYTOOL ? ['PKCS12', 'JKS'] : []).map((type): [string, () => Values] => [
      `a ${type} file of keytool`,
      () => ({ 'ssl.keystore.location': file(`java.${type}`), 'ssl.keystore.type': type, 'ssl.keystore.password': PASSWORD, 'ssl.key.password': PASSWORD }),
    ]),
  ];
  test.each(stores)('serves with %s', async (_name, settings) => {
    const broker = await brokerWith({ listeners: 'SSL://127.0.0.1:0', ...settings() });
    await broker.topic('t');
    expect(await send(kafka(broker, 'SSL', { ssl: { ca: [ca()] } }), 't')).toBe('sent');
    expect(broker.said).toEqual([]);
  });

  test.runIf(HAS_KCAT)('serves kcat, with the suite that the settings name', async () => {
    const broker = await brokerWith({
      listeners: 'SSL://127.0.0.1:0',
      'ssl.keystore.location': file('broker.pem'),
      'ssl.enabled.protocols': 'TLSv1.2',
      'ssl.cipher.suites': 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
    });
    await broker.topic('t');
    const words = ['-b', `127.0.0.1:${portOf(broker, 'SSL')}`, '-X', 'security.protocol=ssl', '-X', `ssl.ca.location=${file('ca.crt')}`, '-t', 't'];
    await client('kcat', [...words, '-P'], 'from kcat\n');
    expect(await client('kcat', [...words, '-C', '-e', '-q'])).toBe('from kcat\n');
    const other = ['-connect', `127.0.0.1:${portOf(broker, 'SSL')}`, '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256', '-tls1_2'];
    await expect(client('openssl', ['s_client', ...other])).rejects.toThrow(/handshake failure/);
  });

  test.each([
    ['no such file', { 'ssl.keystore.location': '/nowhere.p12' }, /cannot read the key store \/nowhere\.p12/],
    ['a wrong password', () => ({ 'ssl.keystore.location': file('broker.p12'), 'ssl.keystore.password': 'wrong' }), /password of .*broker\.p12 is wrong/],
    ['a trust store as key store', () => ({ 'ssl.keystore.location': file('trust.p12'), 'ssl.keystore.password': PASSWORD }), /has no private key/],
    ['an empty trust store', () => ({ 'ssl.keystore.location': file('broker.pem'), 'ssl.truststore.location': file('broker.key') }), /holds no certificate/],
  ] as [string, Values | (() => Values), RegExp][])('does not start with %s', async (_name, settings, message) => {
    await expect(TestBroker.start({ listeners: 'SSL://127.0.0.1:0', ...(typeof settings === 'function' ? settings() : settings) })).rejects.toThrow(message);
  });

  test('says one line of a client that speaks plain text, and serves the next', async () => {
    const broker = await brokerWith({ listeners: 'SSL://127.0.0.1:0', 'ssl.keystore.location': file('broker.pem') });
    await broker.topic('t');
    const raw = await broker.raw();
    raw.sendHex('0012 0000 00000001 ffff');
    await eventually(() => raw.closed, 'the end of the connection');
    expect(await oneLine(broker)).toMatch(/^TLS handshake with .*127\.0\.0\.1 on SSL:\/\/127\.0\.0\.1:0 failed: /);
    expect(await send(kafka(broker, 'SSL', { ssl: { ca: [ca()] } }), 't')).toBe('sent');
  });
});

describe('client certificates', () => {
  const ALICE = 'User:CN=alice,OU=dev,O=Acme\\, Inc,C=DE';
  const settings = (auth: string, more: Values = {}): Values => ({
    listeners: 'SSL://127.0.0.1:0,PLAINTEXT://127.0.0.1:0',
    'ssl.keystore.location': file('broker.pem'),
    'ssl.truststore.location': file('trust.p12'),
    'ssl.truststore.password': PASSWORD,
    'ssl.client.auth': auth,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': ALICE,
    ...more,
  });

  test.each(['trust.p12', 'ca.crt', ...(HAS_KEYTOOL ? ['java-trust.PKCS12', 'java-trust.JKS'] : [])])(
    'required: trusted by %s the subject is the principal',
    async (store) => {
      const broker = await brokerWith(settings('required', { 'ssl.truststore.location': file(store) }));
      await broker.topic('t');
      expect(await send(kafka(broker, 'SSL', { ssl: identity('alice') }), 't')).toBe('sent');
      expect(await send(kafka(broker, 'PLAINTEXT'), 't')).toBe(DENIED);
      expect(broker.said).toEqual([]);
    },
  );

  test.each(['none', 'mallory'])('required: with %s there is no connection and one line', async (name) => {
    const broker = await brokerWith(settings('required'));
    const ssl = name === 'none' ? { ca: [ca()] } : identity(name);
    expect(await send(kafka(broker, 'SSL', { ssl }), 't')).not.toBe('sent');
    expect(await oneLine(broker)).toMatch(/^TLS handshake with .* failed: /);
  });

  test('requested: without one a client is nobody, with a wrong one it is turned away', async () => {
    const broker = await brokerWith(settings('requested'));
    await broker.topic('t');
    expect(await send(kafka(broker, 'SSL', { ssl: identity('alice') }), 't')).toBe('sent');
    expect(await send(kafka(broker, 'SSL', { ssl: { ca: [ca()] } }), 't')).toBe(DENIED);
    expect(broker.said).toEqual([]);
    expect(await send(kafka(broker, 'SSL', { ssl: identity('mallory') }), 't')).not.toBe('sent');
    expect(await oneLine(broker)).toMatch(/^the certificate of 127\.0\.0\.1 on SSL:\S+ is not trusted: /);
  });

  test('ssl.principal.mapping.rules gives it another name', async () => {
    const broker = await brokerWith(settings('required', { 'super.users': 'User:ALICE', 'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+),.*$/$1/U,DEFAULT' }));
    await broker.topic('t');
    expect(await send(kafka(broker, 'SSL', { ssl: identity('alice') }), 't')).toBe('sent');
  });
});

const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
const SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule required';
const LOGINS: Values = {
  'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
  'sasl.jaas.config': `${PLAIN} user_alice="wonder" user_admin="root";`,
  'scram-sha-256.sasl.jaas.config': `${SCRAM} user_alice="wonder256";`,
  'scram-sha-512.sasl.jaas.config': `${SCRAM} user_alice="wonder512";`,
};
const login = (mechanism: string, username: string, password: string): Partial<KafkaConfig> => ({ sasl: { mechanism, username, password } as never });

describe('several listeners at once', () => {
  test('each serves, and tells its clients of itself alone', async () => {
    const broker = await brokerWith({
      listeners: 'PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0,SASL_SSL://127.0.0.1:0',
      'ssl.keystore.location': file('broker.pem'),
      ...LOGINS,
    });
    await broker.topic('t');
    const clients: [string, Partial<KafkaConfig>][] = [
      ['PLAINTEXT', {}],
      ['SSL', { ssl: { ca: [ca()] } }],
      ['SASL_PLAINTEXT', login('plain', 'alice', 'wonder')],
      ['SASL_SSL', { ssl: { ca: [ca()] }, ...login('scram-sha-512', 'alice', 'wonder512') }],
    ];
    for (const [listener, config] of clients) {
      const client = kafka(broker, listener, config);
      expect(await send(client, 't')).toBe('sent');
      const admin = client.admin();
      await admin.connect();
      const { brokers } = await admin.describeCluster();
      await admin.disconnect();
      expect(brokers).toEqual([{ nodeId: 0, host: '127.0.0.1', port: portOf(broker, listener) }]);
    }
    expect(broker.said).toEqual([]);
  });
});

describe('logins', () => {
  const SASL: Values = { listeners: 'SASL_PLAINTEXT://127.0.0.1:0', ...LOGINS };
  const connect = (broker: TestBroker): Promise<KafkaConnection> => KafkaConnection.open({ host: '127.0.0.1', port: broker.port, clientId: 't' });

  test.each([
    ['plain', 'wonder'],
    ['scram-sha-256', 'wonder256'],
    ['scram-sha-512', 'wonder512'],
  ])('kafkajs by %s; a wrong password is error 58 and one line', async (mechanism, password) => {
    const broker = await brokerWith(SASL);
    await broker.topic('t');
    expect(await send(kafka(broker, 'SASL_PLAINTEXT', login(mechanism, 'alice', password)), 't')).toBe('sent');
    expect(broker.said).toEqual([]);
    expect(await send(kafka(broker, 'SASL_PLAINTEXT', login(mechanism, 'alice', 'guessed')), 't')).not.toBe('sent');
    const said = await oneLine(broker);
    expect(said).toMatch(/^login from 127\.0\.0\.1 on SASL_PLAINTEXT:\S+ failed: Authentication failed/);
    expect(said).not.toContain('guessed');
  });

  test.runIf(HAS_KCAT).each([
    ['PLAIN', 'wonder'],
    ['SCRAM-SHA-256', 'wonder256'],
    ['SCRAM-SHA-512', 'wonder512'],
  ])('kcat by %s', async (mechanism, password) => {
    const broker = await brokerWith(SASL);
    await broker.topic('t');
    const words = [
      '-X',
      'security.protocol=sasl_plaintext',
      '-X',
      `sasl.mechanisms=${mechanism}`,
      '-X',
      'sasl.username=alice',
      '-X',
      `sasl.password=${password}`,
    ];
    await client('kcat', ['-b', broker.address, ...words, '-t', 't', '-P'], 'x\n');
    expect(await client('kcat', ['-b', broker.address, ...words, '-t', 't', '-C', '-e', '-q'])).toBe('x\n');
  });

  test('the codes of the wire: unknown mechanism 33, wrong order 34, wrong password 58 after the delay', async () => {
    const broker = await brokerWith({ ...SASL, 'connection.failed.authentication.delay.ms': '300' });
    const client = await connect(broker);
    expect(await client.call(SaslHandshake, { mechanism: 'GSSAPI' }, { version: 1 })).toMatchObject({
      errorCode: 33,
      mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    });
    client.close();
    const early = await connect(broker);
    expect(await early.call(SaslAuthenticate, { authBytes: Buffer.from('\0alice\0wonder') })).toMatchObject({ errorCode: 34 });
    early.close();
    const wrong = await connect(broker);
    expect(await wrong.call(SaslHandshake, { mechanism: 'PLAIN' }, { version: 1 })).toMatchObject({ errorCode: 0 });
    const began = performance.now();
    const answer = await wrong.call(SaslAuthenticate, { authBytes: Buffer.from('\0alice\0guess') });
    expect(answer).toMatchObject({ errorCode: 58, errorMessage: 'Authentication failed: Invalid username or password' });
    expect(performance.now() - began).toBeGreaterThan(290);
    wrong.close();
  });

  test('nothing is served before the login', async () => {
    const broker = await brokerWith(SASL);
    const client = await connect(broker);
    await expect(client.call(Metadata, { topics: null })).rejects.toThrow();
    expect(await oneLine(broker)).toMatch(/Metadata before authentication/);
  });

  test('users made by AlterUserScramCredentials log in, outlive a restart, and can be removed', async () => {
    const broker = await brokerWith({ ...SASL, listeners: 'SASL_PLAINTEXT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0' });
    await broker.topic('t');
    const admin = async (): Promise<KafkaConnection> => {
      const client = await KafkaConnection.open({ host: '127.0.0.1', port: portOf(broker, 'PLAINTEXT'), clientId: 'admin' });
      onTestFinished(() => client.close());
      return client;
    };
    const salt = Buffer.from('a grain of salt');
    const saltedPassword = pbkdf2Sync('new', salt, 8192, 64, 'sha512');
    const made = await (await admin()).call(AlterUserScramCredentials, {
      deletions: [],
      upsertions: [{ name: 'bob', mechanism: 2, iterations: 8192, salt, saltedPassword }],
    });
    expect(made.results).toEqual([expect.objectContaining({ user: 'bob', errorCode: 0 })]);
    const bob = () => send(kafka(broker, 'SASL_PLAINTEXT', login('scram-sha-512', 'bob', 'new')), 't');
    expect(await bob()).toBe('sent');
    await broker.restart();
    expect(await bob()).toBe('sent');
    const described = await (await admin()).call(DescribeUserScramCredentials, { users: null });
    expect(described.results).toEqual([expect.objectContaining({ user: 'bob', credentialInfos: [{ mechanism: 2, iterations: 8192 }] })]);
    await (await admin()).call(AlterUserScramCredentials, { deletions: [{ name: 'bob', mechanism: 2 }], upsertions: [] });
    expect(await bob()).not.toBe('sent');
    // What is kept would not tell the password: it is not even the salted one.
    const kept = fs
      .readdirSync(path.join(broker.dir, 'millrace.metadata'))
      .map((name) => fs.readFileSync(path.join(broker.dir, 'millrace.metadata', name), 'latin1'));
    expect(kept.join('')).not.toContain(saltedPassword.toString('base64'));
    expect(kept.join('')).toContain(createHmac('sha512', saltedPassword).update('Server Key').digest('base64'));
  });

  test('a login that expires must be renewed: kafkajs does, who does not is cut off', async () => {
    const broker = await brokerWith({ ...SASL, 'connections.max.reauth.ms': '1000' });
    await broker.topic('t');
    const logIn = async (client: KafkaConnection, user: string) => {
      await client.call(SaslHandshake, { mechanism: 'PLAIN' }, { version: 1 });
      return client.call(SaslAuthenticate, { authBytes: Buffer.from(user) });
    };
    const faithful = await connect(broker);
    const lazy = await connect(broker);
    const changing = await connect(broker);
    for (const client of [faithful, lazy, changing]) onTestFinished(() => client.close());
    for (const client of [faithful, lazy, changing]) expect(await logIn(client, '\0alice\0wonder')).toMatchObject({ errorCode: 0, sessionLifetimeMs: 1000 });
    expect(await logIn(changing, '\0admin\0root')).toMatchObject({ errorCode: 58, errorMessage: 'Cannot change principals during re-authentication' });
    const producer = kafka(broker, 'SASL_PLAINTEXT', { ...login('plain', 'alice', 'wonder'), reauthenticationThreshold: 500 }).producer({
      retry: { retries: 0 },
    });
    await producer.connect();
    onTestFinished(() => producer.disconnect());
    const until = performance.now() + 2500;
    while (performance.now() < until) {
      await producer.send({ topic: 't', messages: [{ value: 'x' }] });
      await logIn(faithful, '\0alice\0wonder');
      expect((await faithful.call(Metadata, { topics: [] })).controllerId).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await expect(lazy.call(Metadata, { topics: [] })).rejects.toThrow();
  });
});

describe('ACLs', () => {
  const SECURED: Values = {
    listeners: 'SASL_PLAINTEXT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0',
    ...LOGINS,
    'authorizer.class.name': 'kafka.security.authorizer.AclAuthorizer',
    'super.users': 'User:admin;User:somebody',
  };

  async function adminOf(broker: TestBroker): Promise<Admin> {
    const admin = kafka(broker, 'SASL_PLAINTEXT', login('plain', 'admin', 'root')).admin();
    await admin.connect();
    onTestFinished(() => admin.disconnect());
    return admin;
  }
  const rule = (over: object) => ({
    resourceType: AclResourceTypes.TOPIC,
    resourceName: 'orders-eu',
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:alice',
    host: '*',
    operation: AclOperationTypes.WRITE,
    permissionType: AclPermissionTypes.ALLOW,
    ...over,
  });

  test('nothing without a rule; prefixed allow; deny beats it; super users; kept over a restart', async () => {
    const broker = await brokerWith(SECURED);
    for (const topic of ['orders-eu', 'orders-us', 'other']) await broker.topic(topic);
    const alice = (topic: string) => send(kafka(broker, 'SASL_PLAINTEXT', login('plain', 'alice', 'wonder')), topic);
    expect(await alice('orders-eu')).toBe(DENIED);
    expect(await send(kafka(broker, 'SASL_PLAINTEXT', login('plain', 'admin', 'root')), 'orders-eu')).toBe('sent');
    const admin = await adminOf(broker);
    await admin.createAcls({ acl: [rule({ resourceName: 'orders-', resourcePatternType: ResourcePatternTypes.PREFIXED })] });
    expect([await alice('orders-eu'), await alice('orders-us'), await alice('other')]).toEqual(['sent', 'sent', DENIED]);
    await admin.createAcls({ acl: [rule({ permissionType: AclPermissionTypes.DENY })] });
    expect([await alice('orders-eu'), await alice('orders-us')]).toEqual([DENIED, 'sent']);
    await broker.restart();
    expect([await alice('orders-eu'), await alice('orders-us')]).toEqual([DENIED, 'sent']);
    const again = await adminOf(broker);
    const { resources } = await again.describeAcls({
      resourceType: AclResourceTypes.TOPIC,
      resourceName: 'orders-eu',
      resourcePatternType: ResourcePatternTypes.MATCH,
      operation: AclOperationTypes.ANY,
      permissionType: AclPermissionTypes.ANY,
    } as never);
    expect(resources.map(({ resourceName, acls }) => [resourceName, acls.map(({ permissionType }) => permissionType)]).sort()).toEqual([
      ['orders-', [AclPermissionTypes.ALLOW]],
      ['orders-eu', [AclPermissionTypes.DENY]],
    ]);
    // What may not be described is not listed (a denial to write is none to look); a group needs its own rule.
    const mine = kafka(broker, 'SASL_PLAINTEXT', login('plain', 'alice', 'wonder')).admin();
    await mine.connect();
    onTestFinished(() => mine.disconnect());
    expect((await mine.listTopics()).sort()).toEqual(['orders-eu', 'orders-us']);
    await expect(mine.fetchOffsets({ groupId: 'g', topics: ['orders-us'] })).rejects.toThrow(/group/);
    await expect(mine.createTopics({ topics: [{ topic: 'mine' }] })).rejects.toThrow();
  });

  test('allow.everyone.if.no.acl.found opens what has no rule', async () => {
    const broker = await brokerWith({ ...SECURED, 'allow.everyone.if.no.acl.found': 'true' });
    for (const topic of ['orders-eu', 'other']) await broker.topic(topic);
    expect(await send(kafka(broker, 'PLAINTEXT'), 'orders-eu')).toBe('sent');
    await (await adminOf(broker)).createAcls({ acl: [rule({})] });
    expect([await send(kafka(broker, 'PLAINTEXT'), 'orders-eu'), await send(kafka(broker, 'PLAINTEXT'), 'other')]).toEqual([DENIED, 'sent']);
    expect(await send(kafka(broker, 'SASL_PLAINTEXT', login('plain', 'alice', 'wonder')), 'orders-eu')).toBe('sent');
  });

  test('without an authorizer the ACL calls say so', async () => {
    const broker = await brokerWith({});
    const admin = kafka(broker, 'PLAINTEXT').admin();
    await admin.connect();
    onTestFinished(() => admin.disconnect());
    await expect(admin.createAcls({ acl: [rule({})] })).rejects.toThrow(/[Ss]ecurity features are disabled|SECURITY_DISABLED/);
  });
});

describe('quotas', () => {
  const limit = async (broker: TestBroker, key: string, value: number): Promise<void> => {
    const client = await broker.client('admin');
    const { entries } = await client.call(AlterClientQuotas, {
      entries: [{ entity: [{ entityType: 'client-id', entityName: 'greedy' }], ops: [{ key, value, remove: false }] }],
      validateOnly: false,
    });
    expect(entries).toEqual([expect.objectContaining({ errorCode: 0 })]);
  };
  const produce = async (client: KafkaConnection, bytes: number) => {
    const body = { acks: 1, timeoutMs: 1000, topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf(['x'.repeat(bytes)]) }] }] };
    return client.call(Produce, body);
  };

  test('a producer over its rate is answered, told to wait, and not read from meanwhile; kept over a restart', async () => {
    const broker = await brokerWith({});
    await broker.topic('t');
    await limit(broker, 'producer_byte_rate', 10_000);
    await broker.restart();
    const described = await (await broker.client()).call(DescribeClientQuotas, {
      components: [{ entityType: 'client-id', matchType: 0, match: 'greedy' }],
      strict: true,
    });
    expect(described.entries).toEqual([
      { entity: [{ entityType: 'client-id', entityName: 'greedy' }], values: [{ key: 'producer_byte_rate', value: 10_000 }] },
    ]);
    const greedy = await broker.client('greedy');
    expect((await produce(greedy, 50_000)).throttleTimeMs).toBe(0);
    const { throttleTimeMs } = await produce(greedy, 60_000);
    expect(throttleTimeMs).toBeGreaterThan(300);
    const began = performance.now();
    await produce(greedy, 1);
    expect(performance.now() - began).toBeGreaterThan(throttleTimeMs - 50);
    const others = performance.now();
    expect((await produce(await broker.client('modest'), 500_000)).throttleTimeMs).toBe(0);
    expect(performance.now() - others).toBeLessThan(500);
  });

  test('a client that goes away while it has to wait leaves nothing behind', async () => {
    const waiting = new Map<object, number>();
    const after: Clock['after'] = (delayMs, fn) => {
      const timer = systemClock.after(delayMs, () => {
        waiting.delete(timer);
        fn();
      });
      waiting.set(timer, delayMs);
      return { cancel: () => void (waiting.delete(timer) && timer.cancel()) };
    };
    const broker = await brokerWith({}, { clock: { ...systemClock, after } });
    await broker.topic('t');
    await limit(broker, 'producer_byte_rate', 5000);
    const greedy = await broker.client('greedy');
    const { throttleTimeMs } = await produce(greedy, 120_000);
    expect(throttleTimeMs).toBeGreaterThan(10_000);
    const held = (): number => [...waiting.values()].filter((ms) => ms === throttleTimeMs).length;
    expect(held()).toBe(1);
    greedy.close();
    await eventually(() => held() === 0, 'the wait to end', 5000);
  });

  test('a consumer over its rate as well', async () => {
    const broker = await brokerWith({});
    await broker.topic('t');
    await limit(broker, 'consumer_byte_rate', 10_000);
    await produce(await broker.client('modest'), 110_000);
    const greedy = await broker.client('greedy');
    const fetched = await greedy.call(
      Fetch,
      { maxWaitMs: 0, minBytes: 1, topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }] }] },
      { version: 12 },
    );
    expect(fetched.throttleTimeMs).toBeGreaterThan(300);
  });
});

describe('quotas of work', () => {
  const limit = async (broker: TestBroker, key: string, value: number): Promise<void> => {
    const { entries } = await (await broker.client('admin')).call(AlterClientQuotas, {
      entries: [{ entity: [{ entityType: 'client-id', entityName: 'greedy' }], ops: [{ key, value, remove: false }] }],
      validateOnly: false,
    });
    expect(entries).toEqual([expect.objectContaining({ errorCode: 0 })]);
  };

  test('request_percentage: a client whose requests keep the broker busy is told to wait, others are not', async () => {
    const broker = await brokerWith({});
    await broker.topic('t');
    await limit(broker, 'request_percentage', 0.0001);
    const [greedy, modest] = [await broker.client('greedy'), await broker.client('modest')];
    const waits = [];
    for (let i = 0; i < 3; i++) waits.push((await greedy.call(Metadata, { topics: null })).throttleTimeMs);
    expect(Math.max(...waits)).toBeGreaterThan(0);
    expect(Math.max(...waits)).toBeLessThanOrEqual(1000);
    expect((await modest.call(Metadata, { topics: null })).throttleTimeMs).toBe(0);
  });

  test('controller_mutation_rate: partitions above it are refused with 89 for those that know it; older clients wait', async () => {
    const broker = await brokerWith({});
    await limit(broker, 'controller_mutation_rate', 1);
    const greedy = await broker.client('greedy');
    const create = (name: string, numPartitions: number, version: number) =>
      greedy.call(
        CreateTopics,
        { topics: [{ name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 1000, validateOnly: false },
        { version },
      );
    expect((await create('a', 12, 7)).topics[0]).toMatchObject({ errorCode: 0 });
    const refused = await create('b', 1, 7);
    expect(refused.topics[0]).toMatchObject({ errorCode: 89, errorMessage: 'The throttling quota has been exceeded.' });
    expect(refused.throttleTimeMs).toBeGreaterThan(0);
    expect(broker.running.broker.topics.get('b')).toBeUndefined();
    const late = await create('c', 3, 5);
    expect(late.topics[0]).toMatchObject({ errorCode: 0 });
    expect(late.throttleTimeMs).toBeGreaterThan(1000);
  });
});

describe('addresses', () => {
  const told = async (host: string, port: number): Promise<string[]> => {
    const client = await KafkaConnection.open({ host, port, clientId: 't' });
    const { brokers } = await client.call(Metadata, { topics: [] });
    client.close();
    return brokers.map((one) => `${one.host}:${one.port}`);
  };

  test('without advertised.listeners a client is told the address it reached', async () => {
    const broker = await brokerWith({ listeners: 'PLAINTEXT://:0' });
    expect(await told('127.0.0.1', broker.port)).toEqual([`127.0.0.1:${broker.port}`]);
    expect(await told('127.0.0.2', broker.port)).toEqual([`127.0.0.2:${broker.port}`]);
  });

  test('with it, that', async () => {
    const broker = await brokerWith({ listeners: 'PLAINTEXT://127.0.0.1:0', 'advertised.listeners': 'PLAINTEXT://broker.example:19092' });
    expect(await told('127.0.0.1', broker.port)).toEqual(['broker.example:19092']);
  });

  test('localhost is 127.0.0.1 at least', async () => {
    const broker = await brokerWith({ listeners: 'PLAINTEXT://localhost:0' });
    expect(await told('127.0.0.1', broker.port)).toEqual([`127.0.0.1:${broker.port}`]);
  });

  test('host.name and port of old files', async () => {
    const process = endsWithTest(new BrokerProcess(0));
    await process.start({ listeners: '', 'host.name': '127.0.0.1', port: '0' });
    const port = Number(/listening on PLAINTEXT:\/\/127\.0\.0\.1:(\d+)/.exec(process.output)?.[1]);
    expect(await told('127.0.0.1', port)).toEqual([`127.0.0.1:${port}`]);
  });
});

test('a second broker on the same directory names the first and leaves it alone', async () => {
  const first = endsWithTest(new BrokerProcess(0));
  await first.start();
  const second = new BrokerProcess(0, first.dir);
  await second.launch();
  expect(await second.exited()).toBe(1);
  expect(second.output).toMatch(new RegExp(`ERROR .*It is used by a broker, process ${first.pid}; stop the other one`));
  expect(await first.stop()).toBe(143);
});
