/**
 * How many connections there may be, and how fast new ones may come (KIP-402, KIP-612): max.connections and
 * max.connection.creation.rate of the broker and of each listener, max.connections.per.ip with its overrides. Settings may
 * change while the broker runs; those that are open already stay. Counts only: who is made to wait is up to listener-gate.ts.
 */
import { isIP } from 'node:net';
import { plainAddress } from '../lib/addresses.ts';
import type { Clock } from '../lib/clock.ts';
import { ConfigError } from '../lib/errors.ts';
import { Rate, WINDOW_MS } from './rate.ts';
import type { BrokerSettings } from './settings.ts';

/** Limits of the broker or of a listener. */
interface Bounds {
  readonly most: number;
  readonly perSecond: number;
}
interface Limits extends Bounds {
  readonly perAddress: number;
  /** By address or host name. */
  readonly overrides: ReadonlyMap<string, number>;
  /** Host names among them. */
  readonly hosts: ReadonlySet<string>;
  readonly listeners: ReadonlyMap<string, Bounds>;
}

/** Connections counted together. */
class Tally {
  open = 0;
  readonly rate = new Rate();
}

export class ConnectionLimits {
  readonly #settings: BrokerSettings;
  readonly #clock: Clock;
  readonly #all = new Tally();
  readonly #listeners = new Map<string, Tally>();
  readonly #addresses = new Map<string, number>();
  readonly #waiting: (() => void)[] = [];
  #read: { readonly from: BrokerSettings['server']; readonly limits: Limits };

  /** @throws ConfigError limits that cannot be used */
  constructor(settings: BrokerSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#read = { from: settings.server, limits: limitsOf(settings.server) };
  }

  get #limits(): Limits {
    const { server } = this.#settings;
    if (this.#read.from !== server) this.#read = { from: server, limits: limitsOf(server) };
    return this.#read.limits;
  }

  /** Host names among the overrides. */
  get hosts(): ReadonlySet<string> {
    return this.#limits.hosts;
  }

  /** Calls `look` whenever there may be room that was not there before. */
  whenRoom(look: () => void): void {
    this.#waiting.push(look);
  }

  /** Settings have changed, or somebody has left. */
  changed(): void {
    for (const look of this.#waiting) look();
  }

  /** Counts one that wants to come in; answers how long it must wait, in ms, because too many came before it. */
  arrive(listener: string): number {
    const { perSecond, listeners } = this.#limits;
    const now = this.#clock.monotonic();
    const ofListener = this.#tally(listener).rate.add(now, 1, listeners.get(listener)?.perSecond ?? Number.POSITIVE_INFINITY);
    return Math.min(WINDOW_MS, Math.max(ofListener, this.#all.rate.add(now, 1, perSecond)));
  }

  /** Whether one more may be open. */
  hasRoom(listener: string): boolean {
    const { most, listeners } = this.#limits;
    return this.#all.open < most && this.#tally(listener).open < (listeners.get(listener)?.most ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Counts an open connection, until it leaves.
   * @param host a name of the address that overrides know it by
   * @returns null, or the limit of its address when that is reached and the connection is not counted
   */
  enter(listener: string, address: string, host: string | undefined): number | null {
    const { perAddress, overrides } = this.#limits;
    const most = overrides.get(address) ?? (host === undefined ? undefined : overrides.get(host)) ?? perAddress;
    const open = this.#addresses.get(address) ?? 0;
    if (open >= most) return most;
    this.#addresses.set(address, open + 1);
    this.#all.open++;
    this.#tally(listener).open++;
    return null;
  }

  leave(listener: string, address: string): void {
    const left = (this.#addresses.get(address) ?? 1) - 1;
    if (left > 0) this.#addresses.set(address, left);
    else this.#addresses.delete(address);
    this.#all.open--;
    this.#tally(listener).open--;
    this.changed();
  }

  #tally(listener: string): Tally {
    const tally = this.#listeners.get(listener) ?? new Tally();
    this.#listeners.set(listener, tally);
    return tally;
  }
}

const LISTENER_KEY = /^listener\.name\.([^.]+)\.max\.connections?(?:\.creation\.rate)?$/;

function limitsOf(server: Readonly<Record<string, string>>): Limits {
  const number = (key: string): number => {
    const text = server[key]?.trim();
    if (text === undefined) return Number.POSITIVE_INFINITY;
    // Signs as Java reads them, because the type of the setting lets them pass.
    if (!/^[+-]?\d+$/.test(text)) throw new ConfigError(`${key}=${text} is no number of connections`, { fix: 'write a whole number' });
    return Math.max(0, Number(text));
  };
  const bounds = (prefix: string): Bounds => ({ most: number(`${prefix}max.connections`), perSecond: number(`${prefix}max.connection.creation.rate`) });
  const names = new Set(Object.keys(server).flatMap((key) => LISTENER_KEY.exec(key)?.[1] ?? []));
  const overrides = overridesOf(server['max.connections.per.ip.overrides'] ?? '');
  return {
    ...bounds(''),
    perAddress: number('max.connections.per.ip'),
    overrides,
    hosts: new Set([...overrides.keys()].filter((name) => isIP(name) === 0)),
    listeners: new Map([...names].map((name) => [name.toUpperCase(), bounds(`listener.name.${name}.`)])),
  };
}

/** @throws ConfigError limits that cannot be used, so that none are stored that would keep the broker from starting */
export function checkLimits(server: BrokerSettings['server']): void {
  limitsOf(server);
}

/** Reads `host:100,127.0.0.1:200`. @throws ConfigError */
export function overridesOf(text: string): Map<string, number> {
  const overrides = new Map<string, number>();
  for (const entry of text.split(',').map((word) => word.trim())) {
    if (entry === '') continue;
    const [, name, most] = /^(.+?)\s*:\s*(\d+)$/.exec(entry) ?? [];
    if (name === undefined)
      throw new ConfigError(`max.connections.per.ip.overrides has "${entry}"`, { fix: 'write ADDRESS:NUMBER, several separated by commas' });
    overrides.set(plainAddress(name), Number(most));
  }
  return overrides;
}
