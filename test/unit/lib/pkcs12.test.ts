import { createPrivateKey, X509Certificate } from 'node:crypto';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readStore } from '../../../src/lib/pkcs12.ts';

// Made by keytool of Java 17; legacy*.p12 with -Dkeystore.pkcs12.legacy, as every keytool before 8u301 did (RC2, 3DES, SHA-1).
const fixture = (name: string): string => path.resolve(import.meta.dirname, '../../fixtures/tls', name);

describe('key stores', () => {
  for (const [name, subject] of [
    ['rsa.p12', 'CN=agent.example'],
    ['ec.p12', 'CN=agent.example'],
    ['legacy.p12', 'CN=old.example'],
    ['rsa.jks', 'CN=agent.example'],
  ] as const) {
    test(`${name}: key and certificate belong together`, () => {
      const { keys, certificates } = readStore(fixture(name), 'changeit');
      const certificate = new X509Certificate(certificates[0] as string);
      expect(certificate.subject).toBe(subject);
      expect(certificate.checkPrivateKey(createPrivateKey(keys[0] as string))).toBe(true);
    });
  }

  for (const name of ['trust.p12', 'legacy-trust.p12']) {
    test(`${name}: all certificates, RSA and EC`, () => {
      const { keys, certificates } = readStore(fixture(name), 'changeit');
      expect(keys).toEqual([]);
      expect(certificates.map((text) => new X509Certificate(text).publicKey.asymmetricKeyType).sort()).toEqual(['ec', 'rsa']);
    });
  }

  test('a wrong password is said', () => {
    for (const name of ['rsa.p12', 'trust.p12', 'legacy.p12', 'rsa.jks', 'trust.jks'])
      expect(() => readStore(fixture(name), 'wrong')).toThrow(/the password of the key store .* is wrong/);
    expect(() => readStore(fixture('rsa.p12'), undefined)).toThrow(/the password/);
  });

  test('a JKS trust store may be read without its password, as in Java', () => {
    expect(readStore(fixture('trust.jks'), undefined).certificates.map((text) => new X509Certificate(text).subject)).toEqual(['CN=agent.example']);
    expect(readStore(fixture('trust.jks'), 'changeit').certificates.length).toBe(1);
  });

  test('JCEKS is refused with the command that converts it', () => {
    expect(() => readStore(fixture('rsa.jceks'), 'changeit')).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('(JCEKS), which only Java reads'),
        fix: expect.stringContaining('keytool -importkeystore -srckeystore'),
      }),
    );
  });
});
