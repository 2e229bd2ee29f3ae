/**
 * By which of the host names in settings and quotas an address is known. Names are looked up once, when they are first seen;
 * until an answer is there they count for no address, and one that has none is said and left.
 */
import { lookup } from 'node:dns/promises';
import { plainAddress } from '../lib/addresses.ts';
import { errorText } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';

export class HostNames {
  readonly #log: Logger;
  readonly #asked = new Set<string>();
  readonly #byAddress = new Map<string, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Looks up those that are new; resolves when their answers are there. */
  async learn(names: Iterable<string>): Promise<void> {
    const asked: Promise<void>[] = [];
    for (const name of names) {
      if (this.#asked.has(name)) continue;
      this.#asked.add(name);
      asked.push(this.#ask(name));
    }
    if (asked.length > 0) await Promise.all(asked);
  }

  /** A name that was learned and has this address. */
  of(address: string): string | undefined {
    return this.#byAddress.get(address);
  }

  async #ask(name: string): Promise<void> {
    try {
      for (const { address } of await lookup(name, { all: true })) this.#byAddress.set(plainAddress(address), name);
    } catch (error) {
      this.#log.warn({ host: name }, `limits of connections from ${name} are not in force: ${errorText(error)}`);
    }
  }
}
