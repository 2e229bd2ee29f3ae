import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseJaas, saslOf, tlsOf } from '../../../../src/kafka/client/security.ts';
import { type CommonConfig, parseBootstrap, readConsumerConfig, readProducerConfig } from '../../../../src/kafka/client/settings.ts';
import { setSystemProperties } from '../../../../src/lib/system-properties.ts';
import { freshPlace } from '../../../contract/contexts.ts';
import { makeTlsMaterial, PASSWORD } from '../../agent/wire/tls-material.ts';

const texts = ({ findings }: { findings: readonly { severity: string; message: string }[] }): string[] =>
  findings.map(({ severity, message }) => `${severity}: ${message}`);

describe('producer settings', () => {
  it('has the defaults of Java 2.7', () => {
    const { config, findings } = readProducerConfig({});
    expect(findings).toEqual([]);
    expect(config).toMatchObject({
      acks: 1,
      'compression.type': 'none',
      'enable.idempotence': false,
      'max.request.size': 1_048_576,
      'request.timeout.ms': 30_000,
    });
  });
  it.each([
    ['-1', -1],
    ['all', -1],
    ['ALL', -1],
    ['0', 0],
    ['1', 1],
  ])('takes acks = %s', (word, expected) => {
    expect(readProducerConfig({ acks: word }).config?.acks).toBe(expected);
  });
  it('refuses other acks with the full key', () => {
    expect(texts(readProducerConfig({ acks: '2' }))).toEqual(['error: property "kafka.producer.acks" is "2" but must be 0, 1, -1 or all']);
  });
  it('says what has no effect, and what nobody knows', () => {
    const read = readProducerConfig({ 'linger.ms': '5', 'compresion.type': 'gzip' });
    expect(texts(read)).toEqual([
      'info: property "kafka.producer.linger.ms" has no effect here: a Flume batch is sent as a whole at once',
      'info: "kafka.producer.compresion.type" is no setting of a Kafka client; it has no effect',
    ]);
    expect(read.findings[1]?.fix).toBe('did you mean kafka.producer.compression.type?');
  });
  it('says that idempotence raises acks', () => expect(texts(readProducerConfig({ 'enable.idempotence': 'true' })).join()).toContain('needs acks = all'));
  it('wants a login for SASL, and a mechanism it has', () => {
    expect(texts(readProducerConfig({ 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'PLAIN' })).join()).toContain(
      'kafka.producer.sasl.jaas.config" is required',
    );
    expect(texts(readProducerConfig({ 'security.protocol': 'SASL_SSL' })).join()).toContain('GSSAPI is not available here');
  });
});

describe('consumer settings', () => {
  it('puts a component’s own defaults under what is written', () => {
    expect(readConsumerConfig({}, 'kafka.consumer.', { 'auto.offset.reset': 'earliest' }).config?.['auto.offset.reset']).toBe('earliest');
    expect(readConsumerConfig({ 'auto.offset.reset': 'none' }, 'kafka.consumer.', { 'auto.offset.reset': 'earliest' }).config?.['auto.offset.reset']).toBe(
      'none',
    );
    expect(readConsumerConfig({}).config?.['auto.offset.reset']).toBe('latest');
  });
  it('never commits by time', () => expect(texts(readConsumerConfig({ 'enable.auto.commit': 'true' })).join()).toContain('never by time'));
});

describe('bootstrap addresses', () => {
  it('are host:port, IPv6 in brackets, a protocol before them passed over', () => {
    expect(parseBootstrap(['h:1', '[::1]:9092', 'PLAINTEXT://k.example:3'])).toEqual([
      { host: 'h', port: 1 },
      { host: '::1', port: 9092 },
      { host: 'k.example', port: 3 },
    ]);
  });
  it.each(['h', 'h:', 'h:0', 'h:70000', ':1', '[x]:1'])('%s is none', (word) => expect(() => parseBootstrap([word])).toThrow('host:port'));
});

describe('login lines', () => {
  it('are read with quotes of both kinds, escapes and blanks', () => {
    const line = `org.apache.kafka.common.security.plain.PlainLoginModule required\n username = "al\\"ice" password='p;w' serviceName=kafka;`;
    expect(parseJaas(line)).toEqual({ username: 'al"ice', password: 'p;w', serviceName: 'kafka' });
  });
  it('must have a module and a flag', () => expect(() => parseJaas('username="x"')).toThrow('not a login line'));

  const config = (values: Record<string, string>): CommonConfig => readProducerConfig(values).config as CommonConfig;
  const JAAS = 'x.ScramLoginModule required username="u" password="p";';
  it('give user and password', () => {
    expect(saslOf(config({ 'security.protocol': 'SASL_PLAINTEXT', 'sasl.mechanism': 'SCRAM-SHA-256', 'sasl.jaas.config': JAAS }))).toEqual({
      mechanism: 'SCRAM-SHA-256',
      username: 'u',
      password: 'p',
    });
    expect(saslOf(config({ 'security.protocol': 'SSL', 'sasl.jaas.config': JAAS }))).toBeUndefined();
  });
  it('give an unsecured token', async () => {
    const login = saslOf(
      config({
        'security.protocol': 'SASL_PLAINTEXT',
        'sasl.mechanism': 'OAUTHBEARER',
        'sasl.jaas.config': 'x.M required unsecuredLoginStringClaim_sub="bob";',
      }),
    );
    const token = login?.mechanism === 'OAUTHBEARER' ? await login.token() : '';
    expect(JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())).toMatchObject({ sub: 'bob' });
  });
});

describe('TLS', () => {
  const config = (values: Record<string, string>): CommonConfig => readProducerConfig({ 'security.protocol': 'SSL', ...values }).config as CommonConfig;
  it('is off for PLAINTEXT', () => expect(tlsOf(config({ 'security.protocol': 'PLAINTEXT' }))).toBeUndefined());
  it('checks the host name unless told not to', () => {
    expect(tlsOf(config({}))?.checkServerIdentity).toBeUndefined();
    expect(tlsOf(config({ 'ssl.disableTLSHostnameVerification': 'true' }))?.checkServerIdentity).toBeTypeOf('function');
    expect(tlsOf(config({ 'ssl.endpoint.identification.algorithm': 'none' }))?.checkServerIdentity).toBeTypeOf('function');
  });
  it('takes versions and ciphers', () => {
    expect(tlsOf(config({ 'ssl.enabled.protocols': 'TLSv1.3,TLSv1.2', 'ssl.cipher.suites': 'A,B' }))).toMatchObject({
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      ciphers: 'A:B',
    });
  });
  it('takes stores that are named globally where its own settings name none', () => {
    const stores = makeTlsMaterial();
    try {
      setSystemProperties({
        'javax.net.ssl.keyStore': stores.keyStore,
        'javax.net.ssl.keyStorePassword': PASSWORD,
        'javax.net.ssl.trustStore': stores.trustStore,
        'javax.net.ssl.trustStorePassword': PASSWORD,
      });
      expect(tlsOf(config({}))).toMatchObject({ key: expect.stringContaining('PRIVATE KEY'), ca: [expect.stringContaining('CERTIFICATE')] });
      expect(tlsOf(config({ 'ssl.truststore.location': stores.stranger }))?.ca).not.toEqual(tlsOf(config({}))?.ca);
      setSystemProperties({});
      expect(tlsOf(config({}))?.ca).toBeUndefined();
    } finally {
      setSystemProperties({});
      stores.remove();
    }
  });
  it('names a trust store that holds nothing, and one that is not there', () => {
    const file = path.join(freshPlace(), 'trust.pem');
    fs.writeFileSync(file, '-----BEGIN NOTHING-----\n-----END NOTHING-----\n');
    expect(() => tlsOf(config({ 'ssl.truststore.location': file }))).toThrow('holds no certificate');
    expect(() => tlsOf(config({ 'ssl.truststore.location': `${file}.gone` }))).toThrow(`${file}.gone`);
  });
});
