/**
 * TLS of a listener: key store, trust store and client certificates out of `ssl.*` (PKCS12, PEM and JKS files, or PEM text in
 * the settings: KIP-651), and the principal that a client certificate stands for (KIP-371).
 */
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContextOptions, type SecureVersion, type TLSSocket, type TlsOptions } from 'node:tls';
import { ConfigError, errorText } from '../lib/errors.ts';
import { readStore } from '../lib/pkcs12.ts';

/** A setting of one listener: its own, else the broker's. */
export type Setting = (key: string) => string | undefined;

/** How clients prove who they are: `none`, `requested` or `required`. */
export type ClientAuth = 'none' | 'requested' | 'required';

export interface ListenerTls {
  readonly options: TlsOptions;
  readonly clientAuth: ClientAuth;
  /** The principal of the client at the other end of a socket. */
  readonly principalOf: (socket: Socket) => string;
}

/**
 * @param name of the listener, for messages
 * @throws ConfigError a store that cannot be used, or a rule that cannot be read
 */
export function listenerTls(name: string, setting: Setting, clientAuth: ClientAuth): ListenerTls {
  const versions = words(setting('ssl.enabled.protocols') ?? 'TLSv1.2,TLSv1.3')
    .filter((version): version is SecureVersion => /^TLSv1(\.[123])?$/.test(version))
    .sort();
  if (versions.length === 0) throw new ConfigError(`ssl.enabled.protocols of listener ${name} names no TLS version`, { fix: 'write TLSv1.2,TLSv1.3' });
  const suites = words(setting('ssl.cipher.suites') ?? '');
  const options: TlsOptions = {
    ...(suites.length > 0 && { ciphers: suites.map(opensslName).join(':') }),
    ...keyMaterial(name, setting),
    ...trustMaterial(name, setting),
    requestCert: clientAuth !== 'none',
    rejectUnauthorized: clientAuth === 'required',
    minVersion: versions[0] as SecureVersion,
    maxVersion: versions.at(-1) as SecureVersion,
  };
  try {
    createSecureContext(options as SecureContextOptions);
  } catch (cause) {
    throw new ConfigError(`the TLS settings of listener ${name} cannot be used: ${errorText(cause)}`, {
      fix: 'check that key and certificate belong together, and the names in ssl.cipher.suites',
      cause,
    });
  }
  const principal = principalRules(setting('ssl.principal.mapping.rules') ?? 'DEFAULT');
  return { options, clientAuth, principalOf: (socket) => principalOf(socket as TLSSocket, principal) };
}

/** `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` is `ECDHE-RSA-AES128-GCM-SHA256` to OpenSSL; suites of TLS 1.3 have one name. */
function opensslName(suite: string): string {
  if (!suite.includes('_WITH_')) return suite;
  return suite
    .replace(/^(?:TLS|SSL)_(?:RSA_WITH_)?/, '')
    .replace('_WITH_', '-')
    .replace(/AES_(128|256)/, 'AES$1')
    .replace('_CBC', '')
    .replace('CHACHA20_POLY1305_SHA256', 'CHACHA20-POLY1305')
    .replaceAll('_', '-');
}

function words(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function keyMaterial(name: string, setting: Setting): SecureContextOptions {
  const key = setting('ssl.keystore.key');
  const chain = setting('ssl.keystore.certificate.chain');
  const keyPassword = setting('ssl.key.password');
  if (key && chain) return { key: plainKey(pemText(key), keyPassword, name), cert: pemText(chain) };
  const file = setting('ssl.keystore.location');
  if (!file) {
    throw new ConfigError(`listener ${name} speaks TLS and has no key store`, {
      fix: 'set ssl.keystore.location (PKCS12, PEM or JKS), or ssl.keystore.key and ssl.keystore.certificate.chain',
    });
  }
  const { certificates, keys } = readStore(file, setting('ssl.keystore.password') ?? keyPassword);
  if (keys[0] === undefined || certificates.length === 0) {
    throw new ConfigError(`the key store ${file} of listener ${name} has no private key with a certificate`, {
      fix: 'put both into it; a trust store belongs into ssl.truststore.location',
    });
  }
  return { key: keys[0], cert: certificates.join('') };
}

function plainKey(pem: string, passphrase: string | undefined, name: string): string {
  try {
    const key: KeyObject = createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) });
    return key.export({ type: 'pkcs8', format: 'pem' }) as string;
  } catch (cause) {
    throw new ConfigError(`ssl.keystore.key of listener ${name} cannot be read: ${errorText(cause)}`, { fix: 'check ssl.key.password', cause });
  }
}

function trustMaterial(name: string, setting: Setting): SecureContextOptions {
  const inline = setting('ssl.truststore.certificates');
  if (inline) return trusting([pemText(inline)]);
  const file = setting('ssl.truststore.location');
  if (!file) return {};
  const { certificates } = readStore(file, setting('ssl.truststore.password'));
  if (certificates.length === 0) {
    throw new ConfigError(`the trust store ${file} of listener ${name} holds no certificate`, { fix: 'import the authority that signs client certificates' });
  }
  return trusting(certificates);
}

/** As in Java, whatever lies in a trust store is trusted, a client's own certificate too. Node before 20.18 ignores the switch. */
function trusting(certificates: readonly string[]): SecureContextOptions {
  return { ca: [...certificates], allowPartialTrustChain: true } as SecureContextOptions;
}

/** PEM text from a properties file may carry its line ends as blanks. */
function pemText(text: string): string {
  return text.replace(
    /(-----BEGIN [^-]+-----)\s*([^-]+?)\s*(-----END [^-]+-----)/g,
    (_, head, body, tail) => `${head}\n${body.replace(/\s+/g, '\n')}\n${tail}\n`,
  );
}

// ---- who a client is ----

/** Why a client is turned away after its handshake: it showed a certificate that nobody here trusts. Null: it may stay. */
export function untrusted(socket: Socket): string | null {
  const { authorized, authorizationError } = socket as TLSSocket;
  if (authorized !== false || !(socket as TLSSocket).getPeerX509Certificate?.()) return null;
  return authorizationError instanceof Error ? authorizationError.message : String(authorizationError);
}

function principalOf(socket: TLSSocket, map: (name: string) => string): string {
  const certificate = socket.getPeerX509Certificate?.();
  return certificate && socket.authorized ? `User:${map(distinguishedName(certificate))}` : 'User:ANONYMOUS';
}

const EMAIL = 'emailAddress=';

/** The subject as Java prints it (RFC 2253): most specific part first, e.g. `CN=alice,OU=dev,O=Acme,C=DE`. */
export function distinguishedName(certificate: X509Certificate): string {
  return (certificate.subject ?? '')
    .split('\n')
    .reverse()
    .map((part) => (part.startsWith(EMAIL) ? emailAsJava(part.slice(EMAIL.length)) : part.replaceAll(' + ', '+')))
    .join(',');
}

/** RFC 2253 has no short name for it, so Java prints number and DER bytes (IA5String). */
function emailAsJava(address: string): string {
  const bytes = Buffer.from(address, 'latin1');
  return bytes.length < 128 ? `1.2.840.113549.1.9.1=#16${bytes.length.toString(16).padStart(2, '0')}${bytes.toString('hex')}` : `${EMAIL}${address}`;
}

/**
 * `ssl.principal.mapping.rules`: `RULE:pattern/replacement/[L|U]` and DEFAULT, separated by commas; the first that fits
 * the whole name counts, without any the name itself.
 * @throws ConfigError
 */
export function principalRules(text: string): (name: string) => string {
  const rules: ((name: string) => string | null)[] = [];
  const rule = /\s*(?:(DEFAULT)|RULE:((?:\\.|[^\\/])*)\/((?:\\.|[^\\/])*)\/([LU]?))\s*(?:,|$)/y;
  while (rule.lastIndex < text.length) {
    const at = rule.lastIndex;
    const match = rule.exec(text);
    if (!match) {
      throw new ConfigError(`ssl.principal.mapping.rules cannot be read from "${text.slice(at, at + 40)}" on`, {
        fix: 'write RULE:pattern/replacement/ with an L or U behind it if you like, or DEFAULT, separated by commas',
      });
    }
    rules.push(match[1] ? (name) => name : mapping(match[2] as string, match[3] as string, match[4] as string));
  }
  return (name) => {
    for (const apply of rules) {
      const mapped = apply(name);
      if (mapped !== null) return mapped;
    }
    return name;
  };
}

function mapping(pattern: string, replacement: string, letters: string): (name: string) => string | null {
  let whole: RegExp;
  try {
    whole = new RegExp(`^(?:${pattern})$`, 'u');
  } catch (cause) {
    throw new ConfigError(`ssl.principal.mapping.rules has a pattern that cannot be read: ${errorText(cause)}`, { fix: `correct ${pattern}`, cause });
  }
  return (name) => {
    if (!whole.test(name)) return null;
    const mapped = name.replace(whole, replacement);
    if (letters === 'L') return mapped.toLowerCase();
    return letters === 'U' ? mapped.toUpperCase() : mapped;
  };
}
