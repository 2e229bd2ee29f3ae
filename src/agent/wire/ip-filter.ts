/**
 * The avro source's `ipFilterRules`: `<allow|deny>:<ip|name>:<pattern>`, separated by commas (Flume: AvroSource.generateRule
 * and netty.filter.PatternRule). `*` stands for any run of characters and `?` for one; the first rule that matches decides;
 * whoever matches none is allowed. `name:localhost` matches this machine's own addresses.
 */
import { lookupService } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { ConfigError } from '../../lib/errors.ts';

interface Rule {
  readonly allow: boolean;
  readonly by: 'ip' | 'name' | 'localhost';
  readonly pattern: RegExp;
}

export class IpFilter {
  readonly #rules: readonly Rule[];
  readonly #asksNames: boolean;

  /** @throws ConfigError a rule is malformed */
  constructor(rules: string) {
    this.#rules = rules
      .split(',')
      .map((rule) => rule.trim())
      .filter((rule) => rule !== '')
      .map(parse);
    this.#asksNames = this.#rules.some((rule) => rule.by === 'name');
  }

  /** Whether a client with this address may connect. Names are asked of the name service, once per call and only if a rule needs them. */
  async allows(address: string, port = 0): Promise<boolean> {
    const ip = address.startsWith('::ffff:') ? address.slice(7) : address;
    const name = this.#asksNames ? await nameOf(ip, port) : ip;
    for (const rule of this.#rules) {
      const hit = rule.by === 'localhost' ? isOwn(ip) : rule.pattern.test(rule.by === 'ip' ? ip : name);
      if (hit) return rule.allow;
    }
    return true;
  }
}

function parse(rule: string): Rule {
  const match = /^(allow|deny):(ip|name):(.+)$/.exec(rule);
  if (match === null) {
    throw new ConfigError(`"${rule}" is no rule`, { fix: 'write <allow|deny>:<ip|name>:<pattern>, e.g. allow:ip:127.*,deny:ip:*' });
  }
  const [, verb, by, pattern = ''] = match;
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return { allow: verb === 'allow', by: by === 'name' && pattern === 'localhost' ? 'localhost' : (by as 'ip' | 'name'), pattern: new RegExp(`^${source}$`) };
}

/** Without a name in the name service the address stands for it, as in Java. */
async function nameOf(ip: string, port: number): Promise<string> {
  try {
    return (await lookupService(ip, port)).hostname;
  } catch {
    return ip;
  }
}

function isOwn(ip: string): boolean {
  if (ip.startsWith('127.') || ip === '::1') return true;
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === ip));
}
