/**
 * TLS and login of a client out of its settings (`ssl.*`, `sasl.*`): PEM and PKCS12 stores, JAAS lines. What `ssl.*`
 * does not say is taken from `-Djavax.net.ssl.…`, then from FLUME_SSL_… in the environment, as Flume's SSLUtil does.
 */
import type { SecureVersion, ConnectionOptions as TlsOptions } from 'node:tls';
import { ConfigError } from '../../lib/errors.ts';
import { readStore } from '../../lib/pkcs12.ts';
import { systemProperty } from '../../lib/system-properties.ts';
import type { SaslOptions } from './sasl.ts';
import type { CommonConfig } from './settings.ts';

/** What a JAAS login line holds, e.g. username and password. @throws ConfigError not of that form */
export function parseJaas(line: string): Readonly<Record<string, string>> {
  const found = /^\s*([\w.$]+)\s+(required|requisite|sufficient|optional)\b([\s\S]*?);?\s*$/i.exec(line);
  if (!found) {
    throw new ConfigError('sasl.jaas.config is not a login line', {
      fix: 'write e.g. org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";',
    });
  }
  const values: Record<string, string> = {};
  for (const [, name, quoted, single, bare] of (found[3] as string).matchAll(/([\w.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;"']+))/g)) {
    values[name as string] = (quoted ?? single ?? bare ?? '').replace(/\\(.)/g, '$1');
  }
  return values;
}

/** The login, or undefined without SASL. @throws ConfigError */
export function saslOf(config: CommonConfig): SaslOptions | undefined {
  if (!config['security.protocol'].startsWith('SASL')) return undefined;
  const mechanism = config['sasl.mechanism'];
  const values = parseJaas(config['sasl.jaas.config'] ?? '');
  const need = (name: string): string => {
    const value = values[name];
    if (value === undefined) throw new ConfigError(`sasl.jaas.config has no ${name}`, { fix: `add ${name}="…" to the login line` });
    return value;
  };
  if (mechanism === 'PLAIN' || mechanism === 'SCRAM-SHA-256' || mechanism === 'SCRAM-SHA-512') {
    return { mechanism, username: need('username'), password: need('password') };
  }
  if (mechanism !== 'OAUTHBEARER')
    throw new ConfigError(`SASL mechanism ${mechanism} is not available here`, { fix: 'use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512' });
  const url = config['sasl.oauthbearer.token.endpoint.url'];
  if (url === undefined) return { mechanism, token: async () => unsecuredToken(need('unsecuredLoginStringClaim_sub')) };
  const id = need('clientId');
  const key = need('clientSecret');
  return { mechanism, token: () => fetchToken(url, { id, key, scope: values.scope }) };
}

/** A token without signature, as Java's OAuthBearerUnsecuredLoginModule makes it: for tests, not for production. */
function unsecuredToken(subject: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Date.now() / 1000;
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: now, exp: now + 3600 })}.`;
}

async function fetchToken(url: string, client: { readonly id: string; readonly key: string; readonly scope: string | undefined }): Promise<string> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', ...(client.scope !== undefined && { scope: client.scope }) });
  const authorization = `Basic ${Buffer.from(`${client.id}:${client.key}`).toString('base64')}`;
  const reply = await fetch(url, { method: 'POST', body, headers: { authorization }, signal: AbortSignal.timeout(10_000) });
  const answer = reply.ok ? ((await reply.json()) as { access_token?: string }) : {};
  if (answer.access_token === undefined) {
    throw new ConfigError(`${url} gave no token: it answered ${reply.status}`, { fix: 'check clientId and clientSecret in sasl.jaas.config' });
  }
  return answer.access_token;
}

/** TLS options, or undefined without TLS. Reads the stores. @throws ConfigError unreadable, wrong password, or Java's own format */
export function tlsOf(config: CommonConfig): TlsOptions | undefined {
  if (config['security.protocol'] !== 'SSL' && config['security.protocol'] !== 'SASL_SSL') return undefined;
  const lax = config['ssl.disableTLSHostnameVerification'] || ['', 'none'].includes(config['ssl.endpoint.identification.algorithm'].toLowerCase());
  const versions = (config['ssl.enabled.protocols'] ?? []).filter((version): version is SecureVersion => /^TLSv1(\.[123])?$/.test(version)).sort();
  const newest = versions.at(-1) ?? (/^TLSv1(\.[123])?$/.test(config['ssl.protocol'] ?? '') ? (config['ssl.protocol'] as SecureVersion) : undefined);
  return {
    ...trusted(config),
    ...own(config),
    ...(versions[0] !== undefined && { minVersion: versions[0] }),
    ...(newest !== undefined && { maxVersion: newest }),
    ...(config['ssl.cipher.suites'] !== undefined && { ciphers: config['ssl.cipher.suites'].join(':') }),
    ...(lax && { checkServerIdentity: () => undefined }),
  };
}

function fallback(property: string, variable: string): string | undefined {
  return systemProperty(property) ?? (process.env[variable] || undefined);
}

function trusted(config: CommonConfig): TlsOptions {
  const inline = config['ssl.truststore.certificates'];
  if (inline !== undefined) return { ca: inline };
  const file = config['ssl.truststore.location'] ?? fallback('javax.net.ssl.trustStore', 'FLUME_SSL_TRUSTSTORE_PATH');
  if (file === undefined) return {};
  const { certificates } = readStore(file, config['ssl.truststore.password'] ?? fallback('javax.net.ssl.trustStorePassword', 'FLUME_SSL_TRUSTSTORE_PASSWORD'));
  if (certificates.length === 0)
    throw new ConfigError(`the trust store ${file} holds no certificate`, { fix: 'import the authority that signed the broker’s' });
  // As in Java, whatever lies in the trust store is trusted, a broker's own certificate too. Node before 20.18 ignores the switch.
  return { ca: [...certificates], allowPartialTrustChain: true } as TlsOptions;
}

function own(config: CommonConfig): TlsOptions {
  const key = config['ssl.keystore.key'];
  const chain = config['ssl.keystore.certificate.chain'];
  const keyPassword = config['ssl.key.password'];
  if (key !== undefined && chain !== undefined) return { key, cert: chain, ...(keyPassword !== undefined && { passphrase: keyPassword }) };
  const file = config['ssl.keystore.location'] ?? fallback('javax.net.ssl.keyStore', 'FLUME_SSL_KEYSTORE_PATH');
  if (file === undefined) return {};
  const password = config['ssl.keystore.password'] ?? keyPassword ?? fallback('javax.net.ssl.keyStorePassword', 'FLUME_SSL_KEYSTORE_PASSWORD');
  const { certificates, keys } = readStore(file, password);
  if (keys[0] === undefined || certificates.length === 0) {
    throw new ConfigError(`the key store ${file} has no private key with a certificate`, { fix: 'put both into it, or leave ssl.keystore.location out' });
  }
  return { key: keys[0], cert: certificates.join('') };
}
