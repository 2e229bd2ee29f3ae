/**
 * The quotas that are set, found by who asks in a fixed number of steps however many there are. The most specific counts
 * (KIP-55): the user with the client id, with any client id, alone; then the same of the default user; then the client id,
 * and any client id. For addresses (KIP-612): the address, else the default of all.
 */
import { isIP } from 'node:net';
import { plainAddress } from '../../lib/addresses.ts';

/** A part of who a quota is for; a null name is the default entity of the type. */
export interface QuotaEntity {
  readonly type: string;
  readonly name: string | null;
}

/** Limits by quota key. */
export type Limits = Readonly<Record<string, number>>;

/** What counts for somebody. */
export interface Limit {
  readonly limit: number;
  /** Names those who share it. */
  readonly scope: string;
}

/** Limits of one user: whatever the client id, and by client id; null = any. */
interface UserLimits {
  own: Limits | undefined;
  readonly clients: Map<string | null, Limits>;
}

export class QuotaLimits {
  /** By user; null = the default user, undefined = nobody in particular. */
  readonly #users = new Map<string | null | undefined, UserLimits>();
  /** By address, or host name; null = every address. */
  readonly #ips = new Map<string | null, Limits>();
  readonly #hosts = new Set<string>();

  /** Names in quotas of addresses that are no addresses. */
  get hosts(): ReadonlySet<string> {
    return this.#hosts;
  }

  /** Sets all limits of an entity; undefined = it has none any more. */
  set(entity: readonly QuotaEntity[], values: Limits | undefined): void {
    const ip = nameOf(entity, 'ip');
    if (ip !== undefined) return this.#setIp(ip, values);
    const [user, client] = [nameOf(entity, 'user'), nameOf(entity, 'client-id')];
    const limits = this.#users.get(user) ?? { own: undefined, clients: new Map<string | null, Limits>() };
    if (client === undefined) limits.own = values;
    else if (values === undefined) limits.clients.delete(client);
    else limits.clients.set(client, values);
    if (limits.own === undefined && limits.clients.size === 0) this.#users.delete(user);
    else this.#users.set(user, limits);
  }

  #setIp(name: string | null, values: Limits | undefined): void {
    const key = name === null ? null : plainAddress(name);
    if (values === undefined) this.#ips.delete(key);
    else this.#ips.set(key, values);
    if (key === null || isIP(key) !== 0) return;
    if (values === undefined) this.#hosts.delete(key);
    else this.#hosts.add(key);
  }

  /** The limit `key` of a client. */
  find(key: string, user: string, clientId: string): Limit | undefined {
    if (this.#users.size === 0) return undefined;
    return (
      limitIn(this.#users.get(user), key, user, clientId) ??
      limitIn(this.#users.get(null), key, user, clientId) ??
      limitIn(this.#users.get(undefined), key, '', clientId)
    );
  }

  /** The limit `key` of an address, which may go by a name too. */
  ofAddress(key: string, address: string, host?: string): Limit | undefined {
    if (this.#ips.size === 0) return undefined;
    const limit = this.#ips.get(address)?.[key] ?? (host === undefined ? undefined : this.#ips.get(host)?.[key]) ?? this.#ips.get(null)?.[key];
    return limit === undefined ? undefined : { limit, scope: address };
  }
}

function limitIn(limits: UserLimits | undefined, key: string, user: string, clientId: string): Limit | undefined {
  if (!limits) return undefined;
  const ofClient = limits.clients.get(clientId)?.[key] ?? limits.clients.get(null)?.[key];
  if (ofClient !== undefined) return { limit: ofClient, scope: `${user}\0${clientId}` };
  const own = limits.own?.[key];
  return own === undefined ? undefined : { limit: own, scope: user };
}

function nameOf(entity: readonly QuotaEntity[], type: string): string | null | undefined {
  return entity.find((part) => part.type === type)?.name;
}
