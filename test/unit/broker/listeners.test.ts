/** Listeners and addresses out of settings, and what is refused before anything is opened. */
import { describe, expect, test } from 'vitest';
import { principalRules } from '../../../src/broker/listener-tls.ts';
import { listenersOf } from '../../../src/broker/listeners.ts';

const addresses = (raw: Readonly<Record<string, string>>) => listenersOf(raw).map(({ name, host, port }) => `${name} ${host}:${port}`);

describe('addresses', () => {
  test('the default, several, IPv6, names of their own', () => {
    expect(addresses({})).toEqual(['PLAINTEXT :9092']);
    expect(
      addresses({ listeners: 'PLAINTEXT://10.0.0.1:9092, inside://[::1]:9093', 'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT' }),
    ).toEqual(['PLAINTEXT 10.0.0.1:9092', 'INSIDE ::1:9093']);
  });

  test('host.name and port of Kafka before 3.0, only without listeners', () => {
    expect(addresses({ 'host.name': '10.1.1.1', port: '9999' })).toEqual(['PLAINTEXT 10.1.1.1:9999']);
    expect(addresses({ 'host.name': '10.1.1.1', listeners: 'PLAINTEXT://:9092' })).toEqual(['PLAINTEXT :9092']);
    const [legacy] = listenersOf({ 'host.name': '10.1.1.1', 'advertised.host.name': 'broker.example', 'advertised.port': '19092' });
    expect(legacy?.advertised).toEqual({ host: 'broker.example', port: 19092 });
  });

  test('what clients are told: nothing of its own unless advertised', () => {
    const [plain, tls] = listenersOf({
      listeners: 'PLAINTEXT://0.0.0.0:9092,OUT://0.0.0.0:9093',
      'advertised.listeners': 'OUT://out.example:443',
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,OUT:PLAINTEXT',
    });
    expect(plain?.advertised).toBeUndefined();
    expect(tls?.advertised).toEqual({ host: 'out.example', port: 443 });
  });

  test('a controller’s listener is not for clients', () => {
    expect(addresses({ listeners: 'PLAINTEXT://:9092,CONTROLLER://:9093', 'controller.listener.names': 'CONTROLLER' })).toEqual(['PLAINTEXT :9092']);
  });

  test.each([
    [{ listeners: 'PLAINTEXT:9092' }, /no listener/],
    [{ listeners: 'PLAINTEXT://:99999' }, /no listener/],
    [{ listeners: 'PLAINTEXT://:1,PLAINTEXT://:2' }, /PLAINTEXT twice/],
    [{ listeners: 'INSIDE://:1' }, /INSIDE has no protocol/],
    [{ listeners: 'CONTROLLER://:1', 'controller.listener.names': 'CONTROLLER' }, /no address for clients/],
    [{ 'advertised.listeners': 'PLAINTEXT://0.0.0.0:9092' }, /may not say 0\.0\.0\.0/],
    [{ 'advertised.listeners': 'SSL://a:1' }, /not among listeners/],
    [{ 'listener.security.protocol.map': 'A:B' }, /listener.security.protocol.map has "A:B"/],
    [{ listeners: 'SSL://:1' }, /speaks TLS and has no key store/],
    [{ listeners: 'SSL://:1', 'ssl.client.auth': 'maybe' }, /ssl.client.auth of listener SSL is "maybe"/],
    [{ listeners: 'SASL_PLAINTEXT://:1', 'sasl.enabled.mechanisms': 'GSSAPI' }, /no SASL mechanism that is supported/],
  ])('%j is refused', (raw, message) => {
    expect(() => listenersOf(raw as Record<string, string>)).toThrow(message);
  });
});

describe('logins of a listener', () => {
  test('users of its own lines, by mechanism', () => {
    const [one, two] = listenersOf({
      listeners: 'SASL_PLAINTEXT://:1,OTHER://:2',
      'listener.security.protocol.map': 'SASL_PLAINTEXT:SASL_PLAINTEXT,OTHER:SASL_PLAINTEXT',
      'sasl.enabled.mechanisms': 'PLAIN,GSSAPI',
      'listener.name.other.sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.sasl_plaintext.plain.sasl.jaas.config': 'x required user_a="1";',
      'listener.name.other.scram-sha-256.sasl.jaas.config': 'x required username="admin" password="p" user_b="2";',
    });
    expect([one?.mechanisms, [...(one?.plainUsers ?? [])]]).toEqual([['PLAIN'], [['a', '1']]]);
    expect([two?.mechanisms, [...(two?.scramUsers.keys() ?? [])]]).toEqual([
      ['SCRAM-SHA-256', 'SCRAM-SHA-512'],
      ['SCRAM-SHA-256 admin', 'SCRAM-SHA-256 b'],
    ]);
  });
});

describe('ssl.principal.mapping.rules', () => {
  const rules = 'RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, RULE:^CN=(.*?),OU=(.*?),O=(.*?)$/$1@$2/L,RULE:^cn=(.*)$/$1/U, DEFAULT';
  test.each([
    ['CN=kafka,OU=ServiceUsers,O=x', 'kafka'],
    ['CN=Adm,OU=Admin,O=Y', 'adm@admin'],
    ['cn=bob', 'BOB'],
    ['O=z', 'O=z'],
  ])('%s is %s', (name, principal) => {
    expect(principalRules(rules)(name)).toBe(principal);
  });

  test('the first rule that fits the whole name counts; without one the name', () => {
    expect(principalRules('RULE:CN=a/x/')('CN=a,O=b')).toBe('CN=a,O=b');
    expect(principalRules('DEFAULT')('CN=a')).toBe('CN=a');
    expect(principalRules('RULE:^CN=([^,\\/]*).*$/u\\/$1/')('CN=a,O=b')).toContain('a');
  });

  test.each(['RULE:abc', 'NONSENSE', 'RULE:(/x/'])('%s is refused', (text) => {
    expect(() => principalRules(text)).toThrow(/ssl.principal.mapping.rules/);
  });
});
