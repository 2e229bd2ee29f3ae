/** TLS and logins of the Kafka sink and source against our broker: right ones work, wrong ones are said in one line. */
import { execFileSync } from 'node:child_process';
import { pbkdf2Sync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Event } from '../../src/agent/core/event.ts';
import type { Sink } from '../../src/agent/core/sink.ts';
import type { PollableSource } from '../../src/agent/core/source.ts';
import sinkSpec from '../../src/agent/sinks/kafka.ts';
import sourceSpec from '../../src/agent/sources/kafka.ts';
import { AlterUserScramCredentials } from '../../src/kafka/apis/alter-user-scram-credentials.ts';
import { CreateAcls } from '../../src/kafka/apis/create-acls.ts';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { GroupConsumer } from '../../src/kafka/client/consumer.ts';
import { type ConsumerConfig, readConsumerConfig } from '../../src/kafka/client/settings.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { configOf } from '../contract/config-of.ts';
import { events, sinkContext, sourceContext } from '../contract/contexts.ts';
import { pollLoop } from '../poll-loop.ts';
import { brokerWith, eventually, type TestBroker, tempDir } from './broker-harness.ts';

let place: string;
const file = (name: string): string => path.join(place, name);
const openssl = (...words: string[]): void => void execFileSync('openssl', words, { cwd: place, stdio: 'pipe' });

/** A key and a certificate for 127.0.0.1, signed by the test's own authority, in one PEM file and a PKCS12 store. */
function certificate(name: string, ...validity: string[]): void {
  fs.writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-out', `${name}.crt`, '-extfile', 'ext', ...validity);
  fs.writeFileSync(file(`${name}.pem`), fs.readFileSync(file(`${name}.key`), 'utf8') + fs.readFileSync(file(`${name}.crt`), 'utf8'));
}

beforeAll(() => {
  place = tempDir('kafka-tls');
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=test authority', '-days', '30');
  certificate('broker', '-days', '30');
  certificate('expired', '-days', '-1');
  openssl('pkcs12', '-export', '-in', 'broker.crt', '-inkey', 'broker.key', '-out', 'client.p12', '-passout', 'pass:secret');
  openssl('pkcs12', '-export', '-nokeys', '-in', 'ca.crt', '-out', 'trust.p12', '-passout', 'pass:secret');
});
afterAll(() => fs.rmSync(place, { recursive: true, force: true }));

type Values = Readonly<Record<string, string>>;
const prefixed = (prefix: string, values: Values): Values => Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}${key}`, value]));

async function sinkFor(broker: TestBroker, values: Values): Promise<Sink> {
  const sink = sinkSpec.create(
    configOf(sinkSpec, { 'kafka.bootstrap.servers': broker.address, 'kafka.topic': 't', ...prefixed('kafka.producer.', values) }),
    sinkContext(),
  ) as Sink;
  onTestFinished(() => sink.stop());
  await sink.start();
  return sink;
}

/** Writes through the sink and reads through the source. */
async function roundTrip(broker: TestBroker, values: Values): Promise<void> {
  const sink = await sinkFor(broker, values);
  await sink.deliver(events('a', 'b'));
  const got: Event[] = [];
  const config = configOf(sourceSpec, {
    'kafka.bootstrap.servers': broker.address,
    'kafka.topics': 't',
    'kafka.consumer.auto.offset.reset': 'earliest',
    ...prefixed('kafka.consumer.', values),
  });
  const put = async (batch: Event[]): Promise<void> => void got.push(...batch);
  const source = sourceSpec.create(config, sourceContext({ put, maxBatch: 100 })) as PollableSource;
  await source.start();
  onTestFinished(() => source.stop());
  const endPolling = pollLoop(source);
  await eventually(() => got.length === 2, 'two events');
  await endPolling();
  expect(got.map(({ body }) => body.toString())).toEqual(['a', 'b']);
}

const refusal = async (sink: Sink): Promise<string> =>
  sink.deliver(events('x')).then(
    () => 'delivered',
    (error: Error) => error.message,
  );

const TLS = (key: string): Values => ({ listeners: 'SSL://127.0.0.1:0', 'ssl.keystore.location': file(key), 'ssl.keystore.type': 'PEM' });

describe('TLS', () => {
  it('works with a PEM trust store', async () => {
    await roundTrip(await brokerWith(TLS('broker.pem')), {
      'security.protocol': 'SSL',
      'ssl.truststore.location': file('ca.crt'),
      'ssl.truststore.type': 'PEM',
    });
  });

  it('works with PKCS12 stores and a certificate of the client’s own', async () => {
    const broker = await brokerWith({
      ...TLS('broker.pem'),
      'ssl.client.auth': 'required',
      'ssl.truststore.location': file('ca.crt'),
      'ssl.truststore.type': 'PEM',
    });
    await roundTrip(broker, {
      'security.protocol': 'SSL',
      'ssl.truststore.location': file('trust.p12'),
      'ssl.truststore.password': 'secret',
      'ssl.keystore.location': file('client.p12'),
      'ssl.keystore.password': 'secret',
    });
  });

  it('says in one line that a certificate has expired', async () => {
    const sink = await sinkFor(await brokerWith(TLS('expired.pem')), { 'security.protocol': 'SSL', 'ssl.truststore.location': file('ca.crt') });
    expect(await refusal(sink)).toMatch(/^cannot connect to 127\.0\.0\.1:\d+: certificate has expired$/);
  });

  it('says in one line that nobody it trusts signed the certificate', async () => {
    const sink = await sinkFor(await brokerWith(TLS('broker.pem')), { 'security.protocol': 'SSL' });
    expect(await refusal(sink)).toMatch(/^cannot connect to .*certificate[^\n]*$/);
  });

  it('ends with an error, not a hang, against a plain port, and the other way round', async () => {
    const plain = await brokerWith({});
    expect(
      await refusal(await sinkFor(plain, { 'security.protocol': 'SSL', 'request.timeout.ms': '1000', 'socket.connection.setup.timeout.ms': '1000' })),
    ).not.toBe('delivered');
    const tls = await brokerWith(TLS('broker.pem'));
    expect(await refusal(await sinkFor(tls, { 'request.timeout.ms': '1000', 'socket.connection.setup.timeout.ms': '1000' }))).not.toBe('delivered');
  });
});

const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
const SASL: Values = {
  listeners: 'SASL_PLAINTEXT://127.0.0.1:0',
  'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
  'listener.name.sasl_plaintext.plain.sasl.jaas.config': `${PLAIN} username="admin" password="a" user_alice="wonder" user_admin="a";`,
};
const login = (mechanism: string, password: string): Values => ({
  'security.protocol': 'SASL_PLAINTEXT',
  'sasl.mechanism': mechanism,
  'sasl.jaas.config': `x.${mechanism === 'PLAIN' ? 'Plain' : 'Scram'}LoginModule required username="alice" password="${password}";`,
});

describe('logins', () => {
  it('works with PLAIN', async () => roundTrip(await brokerWith(SASL), login('PLAIN', 'wonder')));

  it('says a wrong password in one line, with the broker, without the password', async () => {
    const broker = await brokerWith(SASL);
    const said = await refusal(await sinkFor(broker, login('PLAIN', 'guess-me')));
    expect(said).toMatch(/^127\.0\.0\.1:\d+: login as alice failed: [^\n]*$/);
    expect(said).not.toContain('guess-me');
  });

  it.each([
    ['SCRAM-SHA-256', 1, 'sha256', 32],
    ['SCRAM-SHA-512', 2, 'sha512', 64],
  ] as const)('works with %s, and says a wrong password', async (mechanism, number, hash, bytes) => {
    const broker = await brokerWith({ ...SASL, listeners: 'SASL_PLAINTEXT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0' });
    const admin = await KafkaConnection.open({ host: '127.0.0.1', port: broker.running.ports.get('PLAINTEXT') as number, clientId: 'admin' });
    const salt = Buffer.from('salt');
    const saltedPassword = pbkdf2Sync('wonder', salt, 4096, bytes, hash);
    const { results } = await admin.call(AlterUserScramCredentials, {
      deletions: [],
      upsertions: [{ name: 'alice', mechanism: number, iterations: 4096, salt, saltedPassword }],
    });
    admin.close();
    expect(results[0]?.errorCode).toBe(0);
    await roundTrip(broker, login(mechanism, 'wonder'));
    expect(await refusal(await sinkFor(broker, login(mechanism, 'wrong')))).toMatch(/login as alice failed: [^\n]*$/);
  });

  it('says that none of the topics may be read, and reads as soon as a rule allows it', async () => {
    const broker = await brokerWith({
      ...SASL,
      listeners: 'SASL_PLAINTEXT://127.0.0.1:0,PLAINTEXT://127.0.0.1:0',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
    });
    const admin = await KafkaConnection.open({ host: '127.0.0.1', port: broker.running.ports.get('PLAINTEXT') as number, clientId: 'admin' });
    onTestFinished(() => admin.close());
    await admin.call(CreateTopics, { topics: [{ name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 5000 });
    const allow = async (resourceType: number, resourceName: string): Promise<void> => {
      const rule = { resourceType, resourceName, resourcePatternType: 3, principal: 'User:alice', host: '*', operation: 3, permissionType: 3 };
      expect((await admin.call(CreateAcls, { creations: [rule] })).results[0]?.errorCode).toBe(0);
    };
    await allow(3, 'g');
    const troubles: string[] = [];
    const consumer = new GroupConsumer({
      bootstrap: [broker.address],
      config: readConsumerConfig({ ...login('PLAIN', 'wonder'), 'group.id': 'g' }).config as ConsumerConfig,
      clientId: 'c',
      clock: systemClock,
      topics: ['t'],
      onTrouble: (error) => void (error && troubles.push(error.message)),
    });
    onTestFinished(() => consumer.stop());
    consumer.start();
    await eventually(() => troubles.includes('Not authorized to access topics: [t]'), 'the refusal');
    await allow(2, 't');
    await eventually(() => consumer.partitions.length === 2, 'the partitions');
  });

  it('goes over TLS, on kafkajs too', async () => {
    const broker = await brokerWith({
      ...SASL,
      ...TLS('broker.pem'),
      listeners: 'SASL_SSL://127.0.0.1:0',
      'listener.name.sasl_ssl.plain.sasl.jaas.config': SASL['listener.name.sasl_plaintext.plain.sasl.jaas.config'] as string,
    });
    const values = { ...login('PLAIN', 'wonder'), 'security.protocol': 'SASL_SSL', 'ssl.truststore.location': file('ca.crt') };
    await roundTrip(broker, values);
    const sink = await sinkFor(broker, { ...values, 'transactional.id': 'tx' });
    expect(await refusal(sink)).toBe('delivered');
  });
});
