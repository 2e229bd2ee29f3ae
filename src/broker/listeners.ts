/**
 * Where the broker listens and what it calls itself: `listeners`, `advertised.listeners`, the legacy `host.name`/`port`,
 * security protocols, TLS material (PKCS12 or PEM) and the SASL users of each listener (KIP-103, KIP-651).
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContextOptions, type TLSSocket, type TlsOptions } from 'node:tls';
import { ConfigError, errorText } from '../lib/errors.ts';
import { usersOfJaas } from './auth/plain.ts';
import { credentialFromPassword, type ScramCredential, type ScramMechanism } from './auth/scram.ts';

/** One address the broker listens on. */
export interface Listener {
  /** e.g. `PLAINTEXT`, or a name of its own mapped by listener.security.protocol.map. */
  readonly name: string;
  /** e.g. `PLAINTEXT://0.0.0.0:9092`, for messages. */
  readonly label: string;
  readonly host: string;
  readonly port: number;
  readonly tls: TlsOptions | null;
  readonly sasl: boolean;
  readonly mechanisms: readonly string[];
  readonly plainUsers: ReadonlyMap<string, string>;
  /** SCRAM users given in the file, keyed `MECHANISM user`. */
  readonly scramUsers: ReadonlyMap<string, ScramCredential>;
  /** What clients are told; undefined = the address they reached us by. */
  readonly advertised: { readonly host: string; readonly port: number } | undefined;
  /** The principal of a TLS client certificate. */
  readonly principalOf: ((socket: Socket) => string) | undefined;
}

/** A raw settings lookup: file, then overrides, later wins. */
export type Raw = Readonly<Record<string, string>>;

const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'];
const SCRAM: readonly ScramMechanism[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512'];

/**
 * Reads all listeners of a definition.
 * @throws ConfigError an address, name, protocol or key store that cannot be used
 */
export function listenersOf(raw: Raw): Listener[] {
  const controllers = new Set(words(raw['controller.listener.names']));
  const written = words(raw.listeners ?? legacyListener(raw)).map(parseAddress);
  const advertised = new Map(
    words(raw['advertised.listeners'] ?? legacyAdvertised(raw))
      .map((entry) => parseAddress(entry))
      .map((a) => [a.name, a]),
  );
  const own = written.filter(({ name }) => !controllers.has(name));
  if (own.length === 0) throw new ConfigError('listeners names no address for clients', { fix: 'write e.g. listeners=PLAINTEXT://:9092' });
  for (const name of advertised.keys()) {
    if (!own.some((listener) => listener.name === name)) {
      throw new ConfigError(`advertised.listeners names ${name}, which is not among listeners`, { fix: 'use the same names in both' });
    }
  }
  const protocols = protocolMap(raw);
  return own.map((address) => listener(address, advertised.get(address.name), protocols, raw));
}

function legacyListener(raw: Raw): string {
  return `PLAINTEXT://${raw['host.name'] ?? ''}:${raw.port ?? '9092'}`;
}

function legacyAdvertised(raw: Raw): string {
  const host = raw['advertised.host.name'];
  return host === undefined ? '' : `PLAINTEXT://${host}:${raw['advertised.port'] ?? raw.port ?? '9092'}`;
}

function words(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

interface Address {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

function parseAddress(entry: string): Address {
  const match = /^([A-Za-z0-9_.-]+):\/\/(?:\[([0-9A-Fa-f:.]+)\]|([^:]*)):(\d{1,5})$/.exec(entry);
  const port = Number(match?.[4]);
  if (!match || port > 65535) throw new ConfigError(`"${entry}" is no listener`, { fix: 'write NAME://host:port, e.g. PLAINTEXT://0.0.0.0:9092' });
  return { name: (match[1] as string).toUpperCase(), host: match[2] ?? match[3] ?? '', port };
}

function protocolMap(raw: Raw): Map<string, string> {
  const map = new Map(PROTOCOLS.map((name) => [name, name]));
  for (const pair of words(raw['listener.security.protocol.map'])) {
    const [name, protocol] = pair.split(':').map((word) => word.trim().toUpperCase());
    if (!name || !protocol || !PROTOCOLS.includes(protocol)) {
      throw new ConfigError(`listener.security.protocol.map has "${pair}"`, { fix: `write NAME:PROTOCOL, PROTOCOL one of ${PROTOCOLS.join(', ')}` });
    }
    map.set(name, protocol);
  }
  return map;
}

function listener(address: Address, advertised: Address | undefined, protocols: ReadonlyMap<string, string>, raw: Raw): Listener {
  const protocol = protocols.get(address.name);
  if (!protocol) throw new ConfigError(`listener ${address.name} has no protocol`, { fix: 'add it to listener.security.protocol.map' });
  if (advertised && (advertised.host === '0.0.0.0' || advertised.host === '')) {
    throw new ConfigError(`advertised.listeners may not say ${advertised.host || '(no host)'}`, { fix: 'name a host or address that clients can reach' });
  }
  const setting = (key: string): string | undefined => raw[`listener.name.${address.name.toLowerCase()}.${key}`] ?? raw[key];
  const isTls = protocol === 'SSL' || protocol === 'SASL_SSL';
  const sasl = protocol.startsWith('SASL_');
  const mechanisms = sasl
    ? words(setting('sasl.enabled.mechanisms') ?? 'PLAIN').filter((word) => word === 'PLAIN' || SCRAM.includes(word as ScramMechanism))
    : [];
  if (sasl && mechanisms.length === 0) {
    throw new ConfigError(`listener ${address.name} enables no SASL mechanism that is supported`, {
      fix: 'sasl.enabled.mechanisms may hold PLAIN, SCRAM-SHA-256, SCRAM-SHA-512',
    });
  }
  return {
    ...address,
    host: address.host,
    label: `${address.name}://${address.host}:${address.port}`,
    tls: isTls ? tlsOptions(address.name, setting) : null,
    sasl,
    mechanisms,
    plainUsers: usersOfJaas(jaas(setting, 'plain')),
    scramUsers: scramUsers(setting),
    advertised: advertised && { host: advertised.host, port: advertised.port },
    principalOf: isTls && !sasl ? certificatePrincipal : undefined,
  };
}

type Setting = (key: string) => string | undefined;

function jaas(setting: Setting, mechanism: string): string {
  return setting(`${mechanism}.sasl.jaas.config`) ?? setting('sasl.jaas.config') ?? '';
}

function scramUsers(setting: Setting): Map<string, ScramCredential> {
  const out = new Map<string, ScramCredential>();
  for (const mechanism of SCRAM) {
    const line = setting(`${mechanism.toLowerCase()}.sasl.jaas.config`);
    for (const [user, password] of usersOfJaas(line ?? '')) out.set(`${mechanism} ${user}`, credentialFromPassword(mechanism, password));
  }
  return out;
}

function tlsOptions(name: string, setting: Setting): TlsOptions {
  const auth = setting('ssl.client.auth') ?? 'none';
  const versions = words(setting('ssl.enabled.protocols') ?? 'TLSv1.2,TLSv1.3')
    .filter((version) => /^TLSv1(\.[123])?$/.test(version))
    .sort() as ('TLSv1.2' | 'TLSv1.3')[];
  const options: TlsOptions = {
    ...keyMaterial(name, setting),
    ...trustMaterial(name, setting),
    requestCert: auth !== 'none',
    rejectUnauthorized: auth === 'required',
    ...(versions.length > 0 && { minVersion: versions[0], maxVersion: versions.at(-1) }),
  };
  try {
    createSecureContext(options as SecureContextOptions);
  } catch (error) {
    throw new ConfigError(`the TLS key or certificate of listener ${name} cannot be used: ${errorText(error)}`, {
      fix: 'check ssl.keystore.location, its type (PKCS12 or PEM) and its password',
      cause: error,
    });
  }
  return options;
}

function keyMaterial(name: string, setting: Setting): SecureContextOptions {
  const key = setting('ssl.keystore.key');
  const chain = setting('ssl.keystore.certificate.chain');
  const passphrase = setting('ssl.key.password') ?? setting('ssl.keystore.password');
  if (key && chain) return { key: pemText(key), cert: pemText(chain), ...(passphrase && { passphrase }) };
  const file = setting('ssl.keystore.location');
  if (!file) throw new ConfigError(`listener ${name} needs a key store`, { fix: 'set ssl.keystore.location (PKCS12 or PEM)' });
  const bytes = readStore(file, setting('ssl.keystore.type'));
  if (isPem(bytes)) return { key: bytes, cert: bytes, ...(passphrase && { passphrase }) };
  return { pfx: bytes, ...(passphrase && { passphrase }) };
}

function trustMaterial(name: string, setting: Setting): SecureContextOptions {
  const inline = setting('ssl.truststore.certificates');
  if (inline) return { ca: pemText(inline) };
  const file = setting('ssl.truststore.location');
  if (!file) return {};
  const bytes = readStore(file, setting('ssl.truststore.type'));
  if (isPem(bytes)) return { ca: bytes };
  throw new ConfigError(`the trust store ${file} of listener ${name} is no PEM file`, {
    fix: `export its certificates: openssl pkcs12 -in ${file} -nokeys -out ca.pem, and set ssl.truststore.location=ca.pem`,
  });
}

/** A store file as bytes. @throws ConfigError unreadable, or in Java's own format */
function readStore(file: string, type: string | undefined): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${errorText(error)}`, { fix: 'check the path and its permissions', cause: error });
  }
  // 0xFEEDFEED opens a JKS file, 0xCECECECE a JCEKS file, whatever the type setting says.
  const magic = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  if (magic === 0xfeedfeed || magic === 0xcececece || (type === 'JCEKS' && !isPem(bytes))) {
    throw new ConfigError(`${file} is a Java key store (${magic === 0xcececece ? 'JCEKS' : 'JKS'}), which only Java reads`, {
      fix: `convert it: keytool -importkeystore -srckeystore ${file} -destkeystore ${file}.p12 -deststoretype PKCS12`,
    });
  }
  return bytes;
}

function isPem(bytes: Buffer): boolean {
  return bytes.includes('-----BEGIN ');
}

/** PEM text from a properties file may carry its line ends as blanks. */
function pemText(text: string): string {
  return text.replace(
    /(-----BEGIN [^-]+-----)\s*([^-]+?)\s*(-----END [^-]+-----)/g,
    (_, head, body, tail) => `${head}\n${body.replace(/\s+/g, '\n')}\n${tail}\n`,
  );
}

/** `User:` and the certificate's distinguished name, most specific first, as Java prints it (RFC 2253). */
function certificatePrincipal(socket: Socket): string {
  const certificate = (socket as TLSSocket).getPeerCertificate?.();
  const subject = certificate?.subject as unknown as Record<string, string | string[]> | undefined;
  if (!subject || !(socket as TLSSocket).authorized) return 'User:ANONYMOUS';
  const parts = Object.entries(subject).flatMap(([key, value]) => [value].flat().map((one) => `${key}=${one}`));
  return `User:${parts.reverse().join(',')}`;
}
