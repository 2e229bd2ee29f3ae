/**
 * Which TLS versions and cipher suites are allowed, from include and exclude lists in Java's names (Flume:
 * SslContextAwareAbstractSource, SSLContextAwareAbstractRpcClient). As in Flume an empty include list means all that are on
 * by default, exclusion wins, and SSLv3 is always out. TLS 1.0 and 1.1 are off by default, as in every Java of today, and
 * come on when an include list names them.
 */
import { constants } from 'node:crypto';
import { DEFAULT_CIPHERS, getCiphers, type SecureContextOptions, type SecureVersion } from 'node:tls';

/** The four lists, already merged with the global ones. */
export interface TlsLists {
  readonly includeProtocols: readonly string[];
  readonly excludeProtocols: readonly string[];
  readonly includeCiphers: readonly string[];
  readonly excludeCiphers: readonly string[];
}

const VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const BY_DEFAULT: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];
const SWITCHES: Readonly<Record<SecureVersion, number>> = {
  TLSv1: constants.SSL_OP_NO_TLSv1,
  'TLSv1.1': constants.SSL_OP_NO_TLSv1_1,
  'TLSv1.2': constants.SSL_OP_NO_TLSv1_2,
  'TLSv1.3': constants.SSL_OP_NO_TLSv1_3,
};

/** The versions that remain; empty when the lists leave none. */
export function allowedVersions(lists: TlsLists): readonly SecureVersion[] {
  const { includeProtocols: include, excludeProtocols: exclude } = lists;
  return VERSIONS.filter((version) => (include.length === 0 ? BY_DEFAULT : include).includes(version) && !exclude.includes(version));
}

/** The cipher suites that remain, as OpenSSL spells them; undefined = no list says anything. */
export function allowedCiphers(lists: TlsLists): readonly string[] | undefined {
  const include = lists.includeCiphers.map(openSslName);
  const exclude = lists.excludeCiphers.map(openSslName);
  if (include.length === 0 && exclude.length === 0) return undefined;
  const known = new Set(getCiphers().map((name) => name.toUpperCase()));
  const base = include.length > 0 ? include : DEFAULT_CIPHERS.split(':').filter((name) => !name.startsWith('!'));
  return base.filter((name) => known.has(name.toUpperCase()) && !exclude.includes(name));
}

/** What `tls` is told. The lists must leave something: see {@link allowedVersions} and {@link allowedCiphers}. */
export function filterOptions(lists: TlsLists): SecureContextOptions {
  const versions = allowedVersions(lists);
  const low = versions[0] as SecureVersion;
  const high = versions[versions.length - 1] as SecureVersion;
  const ciphers = allowedCiphers(lists);
  const old = low === 'TLSv1' || low === 'TLSv1.1';
  const between = VERSIONS.filter((version) => version > low && version < high && !versions.includes(version));
  return {
    minVersion: low,
    maxVersion: high,
    secureOptions: between.reduce((bits, version) => bits | SWITCHES[version], 0),
    // OpenSSL 3 speaks the old versions only at security level 0.
    ...((ciphers !== undefined || old) && { ciphers: `${(ciphers ?? [DEFAULT_CIPHERS]).join(':')}${old ? ':@SECLEVEL=0' : ''}` }),
  };
}

/** `TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256` → `ECDHE-RSA-AES128-SHA256`; names of TLS 1.3 and OpenSSL's own stay. */
function openSslName(name: string): string {
  const parts = /^(?:TLS|SSL)_(.+)_WITH_(.+)$/.exec(name);
  if (parts === null) return name;
  const [, exchange = '', suite = ''] = parts;
  const cipher = suite
    .replace(/^3DES_EDE_CBC/, 'DES-CBC3')
    .replace(/^CHACHA20_POLY1305_SHA256$/, 'CHACHA20-POLY1305')
    .replace(/^(AES|CAMELLIA|ARIA)_(\d+)_/, '$1$2_')
    .replace(/_CBC/, '')
    .replaceAll('_', '-');
  return exchange === 'RSA' ? cipher : `${exchange.replaceAll('_', '-')}-${cipher}`;
}
