/**
 * TLS settings of sources that listen and of clients that connect to them, one set for all (Flume:
 * SslContextAwareAbstractSource, SSLContextAwareAbstractRpcClient, SSLUtil). What a component does not say is taken from
 * `-Djavax.net.ssl.…` and `-Dflume.ssl.…`, then from FLUME_SSL_… in the environment.
 *
 * As in Flume a server asks for no client certificate, and a client checks who signed the server's certificate and that
 * it is valid, but not the host name in it.
 */
import { X509Certificate } from 'node:crypto';
import type { ConnectionOptions, SecureContextOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import { ConfigError, errorText } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { readStore, type StoreContents } from '../../lib/pkcs12.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool, type Config, list, path, secret, text } from '../../lib/props/spec.ts';
import { systemProperty } from '../../lib/system-properties.ts';
import { allowedCiphers, allowedVersions, filterOptions, type TlsLists } from './tls-filters.ts';

const SEEN = 'The three are told apart by their content.';

const filterProperties = {
  'include-protocols': list({ doc: 'TLS versions to allow, separated by blanks, in Java’s names (TLSv1.2 TLSv1.3); default: those two.' }),
  'exclude-protocols': list({ doc: 'TLS versions not to allow; SSLv3 never is.' }),
  'include-cipher-suites': list({ doc: 'Cipher suites to allow, separated by blanks, in Java’s names; default: Node’s.' }),
  'exclude-cipher-suites': list({ doc: 'Cipher suites not to allow.' }),
};

/** For sources that listen. */
export const serverTlsProperties = {
  ssl: bool({ default: false, doc: 'Speak TLS.' }),
  keystore: path({
    doc: 'File with the private key and its certificates; required with ssl, unless -Djavax.net.ssl.keyStore or FLUME_SSL_KEYSTORE_PATH names one.',
  }),
  'keystore-password': secret({ doc: 'Password of the key store.' }),
  'keystore-type': text({ default: 'JKS', doc: `JKS, PKCS12 or PEM. ${SEEN}` }),
  ...filterProperties,
} as const;

/** For sinks and RPC clients. */
export const clientTlsProperties = {
  ssl: bool({ default: false, doc: 'Speak TLS.' }),
  'trust-all-certs': bool({ default: false, doc: 'Take every certificate: for tests only.' }),
  truststore: path({ doc: 'File with the certificates that sign the server’s; default: the public authorities that Node knows.' }),
  'truststore-password': secret({ doc: 'Password of the trust store.' }),
  'truststore-type': text({ default: 'JKS', doc: `JKS, PKCS12 or PEM. ${SEEN}` }),
  ...filterProperties,
} as const;

type FilterConfig = Config<typeof filterProperties>;
export type ServerTlsConfig = Config<typeof serverTlsProperties>;
export type ClientTlsConfig = Config<typeof clientTlsProperties>;

/** A global setting: the system property, else the environment. */
function globally(property: string, variable: string): string | undefined {
  return systemProperty(property) ?? (process.env[variable] || undefined);
}

function globalList(property: string, variable: string): readonly string[] {
  return (globally(property, variable) ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function listsOf(config: FilterConfig): TlsLists {
  return {
    includeProtocols: config['include-protocols'] ?? globalList('flume.ssl.include.protocols', 'FLUME_SSL_INCLUDE_PROTOCOLS'),
    excludeProtocols: config['exclude-protocols'] ?? globalList('flume.ssl.exclude.protocols', 'FLUME_SSL_EXCLUDE_PROTOCOLS'),
    includeCiphers: config['include-cipher-suites'] ?? globalList('flume.ssl.include.cipherSuites', 'FLUME_SSL_INCLUDE_CIPHERSUITES'),
    excludeCiphers: config['exclude-cipher-suites'] ?? globalList('flume.ssl.exclude.cipherSuites', 'FLUME_SSL_EXCLUDE_CIPHERSUITES'),
  };
}

function keyStoreOf(config: ServerTlsConfig): string | undefined {
  return config.keystore ?? globally('javax.net.ssl.keyStore', 'FLUME_SSL_KEYSTORE_PATH');
}

/** Rules between the properties, for `check` of a source. */
export function serverTlsFindings(config: ServerTlsConfig): FindingDraft[] {
  if (!config.ssl) return [];
  const missing: FindingDraft[] =
    keyStoreOf(config) === undefined
      ? [
          {
            code: 'missing-property',
            severity: 'error',
            message: 'property "keystore" is required with ssl = true',
            fix: 'name a PKCS12 or PEM file with the private key and its certificate, or give -Djavax.net.ssl.keyStore',
            key: 'ssl',
          },
        ]
      : [];
  return [...missing, ...filterFindings(config)];
}

/** Rules between the properties, for `check` of a sink. */
export function clientTlsFindings(config: ClientTlsConfig): FindingDraft[] {
  return config.ssl ? filterFindings(config) : [];
}

function filterFindings(config: FilterConfig): FindingDraft[] {
  const lists = listsOf(config);
  const findings: FindingDraft[] = [];
  const nothing = (what: string, key: string, fix: string): void => {
    findings.push({ code: 'bad-value', severity: 'error', message: `the include and exclude lists leave no ${what} to speak TLS with`, fix, key });
  };
  const keyOf = (include: string, exclude: string): string => (include in config && config[include as keyof FilterConfig] !== undefined ? include : exclude);
  if (allowedVersions(lists).length === 0) nothing('version', keyOf('include-protocols', 'exclude-protocols'), 'allow TLSv1.2 or TLSv1.3');
  if (allowedCiphers(lists)?.length === 0) {
    nothing('cipher suite', keyOf('include-cipher-suites', 'exclude-cipher-suites'), 'name suites that this Node knows, e.g. TLS_AES_256_GCM_SHA384');
  }
  return findings;
}

/**
 * Key, certificates and limits of a server; undefined = plain. Reads the key store. `silent`: versions not to allow where no
 * list says anything about versions.
 * @throws ConfigError it cannot be read, its password is wrong, or there is no key in it
 */
export function serverTls(config: ServerTlsConfig, log: Logger, silent: readonly string[] = []): SecureContextOptions | undefined {
  if (!config.ssl) return undefined;
  const lists = listsOf(config);
  const said = lists.includeProtocols.length > 0 || lists.excludeProtocols.length > 0;
  const file = keyStoreOf(config) as string;
  const password = config['keystore-password'] ?? globally('javax.net.ssl.keyStorePassword', 'FLUME_SSL_KEYSTORE_PASSWORD');
  const { certificates, keys } = readStore(file, password);
  const [key] = keys;
  if (key === undefined || certificates.length === 0) {
    throw new ConfigError(`the key store ${file} has no private key with a certificate`, { fix: 'put both into it; a trust store is not what a server needs' });
  }
  warnOfAge(certificates[0] as string, file, log);
  const options: SecureContextOptions = { ...filterOptions(said ? lists : { ...lists, excludeProtocols: silent }), key, cert: certificates.join('') };
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new ConfigError(`the key store ${file} cannot be used: ${errorText(cause)}`, { fix: 'check that key and certificate belong together', cause });
  }
  return options;
}

function warnOfAge(certificate: string, file: string, log: Logger): void {
  const { validTo, validFrom } = new X509Certificate(certificate);
  if (Date.parse(validTo) < Date.now()) log.warn(`the certificate in ${file} expired on ${validTo}; clients will refuse it`);
  else if (Date.parse(validFrom) > Date.now()) log.warn(`the certificate in ${file} is valid only from ${validFrom} on; clients will refuse it`);
}

/**
 * What `tls.connect` is told besides the way to the server; undefined = plain. Reads the trust store.
 * @throws ConfigError it cannot be read, its password is wrong, or there is no certificate in it
 */
export function clientTls(config: ClientTlsConfig): ConnectionOptions | undefined {
  if (!config.ssl) return undefined;
  // Not checked by Flume either: certificates of agents rarely bear the names they are reached by.
  const options = { ...filterOptions(listsOf(config)), checkServerIdentity: () => undefined };
  if (config['trust-all-certs']) return { ...options, rejectUnauthorized: false };
  const file = config.truststore ?? globally('javax.net.ssl.trustStore', 'FLUME_SSL_TRUSTSTORE_PATH');
  if (file === undefined) return options;
  const contents: StoreContents = readStore(
    file,
    config['truststore-password'] ?? globally('javax.net.ssl.trustStorePassword', 'FLUME_SSL_TRUSTSTORE_PASSWORD'),
  );
  if (contents.certificates.length === 0)
    throw new ConfigError(`the trust store ${file} holds no certificate`, { fix: 'import the one that signs the server’s' });
  // As in Java, whatever lies in the trust store is trusted, a server's own certificate too. Node before 20.18 ignores the switch.
  return { ...options, ca: [...contents.certificates], allowPartialTrustChain: true } as ConnectionOptions;
}
