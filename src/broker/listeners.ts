/**
 * Where the broker listens and what it calls itself: `listeners`, `advertised.listeners`, the legacy `host.name`/`port`,
 * security protocols, and the SASL users of each listener (KIP-103). TLS is in listener-tls.ts.
 */
import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { ConfigError } from '../lib/errors.ts';
import { loginOfJaas, usersOfJaas } from './auth/plain.ts';
import { credentialFromPassword, type ScramCredential, type ScramMechanism } from './auth/scram.ts';
import { type ClientAuth, listenerTls, type Setting, untrusted } from './listener-tls.ts';

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
  /** The principal of a TLS client certificate; undefined where SASL says who it is, or nobody does. */
  readonly principalOf: ((socket: Socket) => string) | undefined;
  /** Why a client is turned away after its handshake, or null. */
  readonly refuse: (socket: Socket) => string | null;
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
  const twice = own.find(({ name }, i) => own.findIndex((other) => other.name === name) !== i);
  if (twice) throw new ConfigError(`listeners names ${twice.name} twice`, { fix: 'give each listener a name of its own, see listener.security.protocol.map' });
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
  const sasl = protocol.startsWith('SASL_');
  const tls = protocol.endsWith('SSL') ? listenerTls(address.name, setting, clientAuth(address.name, raw, sasl)) : null;
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
    tls: tls?.options ?? null,
    sasl,
    mechanisms,
    plainUsers: usersOfJaas(jaas(setting, 'plain')),
    scramUsers: scramUsers(setting),
    advertised: advertised && { host: advertised.host, port: advertised.port },
    principalOf: sasl ? undefined : tls?.principalOf,
    refuse: tls?.clientAuth === 'requested' ? untrusted : () => null,
  };
}

/** On a listener with SASL, certificates are asked for only where its own setting says so (KIP-684). @throws ConfigError */
function clientAuth(name: string, raw: Raw, sasl: boolean): ClientAuth {
  const value = raw[`listener.name.${name.toLowerCase()}.ssl.client.auth`] ?? (sasl ? undefined : raw['ssl.client.auth']) ?? 'none';
  const known = (['none', 'requested', 'required'] as const).find((word) => word === value.toLowerCase());
  if (!known) throw new ConfigError(`ssl.client.auth of listener ${name} is "${value}"`, { fix: 'write none, requested or required' });
  return known;
}

function jaas(setting: Setting, mechanism: string): string {
  return setting(`${mechanism}.sasl.jaas.config`) ?? setting('sasl.jaas.config') ?? '';
}

function scramUsers(setting: Setting): Map<string, ScramCredential> {
  const out = new Map<string, ScramCredential>();
  for (const mechanism of SCRAM) {
    const line = jaas(setting, mechanism.toLowerCase());
    for (const [user, password] of [...loginOfJaas(line), ...usersOfJaas(line)]) out.set(`${mechanism} ${user}`, credentialFromPassword(mechanism, password));
  }
  return out;
}
