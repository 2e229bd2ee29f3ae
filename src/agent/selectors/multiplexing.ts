/**
 * The multiplexing selector (Flume's MultiplexingChannelSelector): the value of one header decides. An event without a
 * mapping goes to the default channels; without those it goes nowhere, and the runtime counts it (empty route).
 */
import { ConfigError } from '../../lib/errors.ts';
import { list, rest, text } from '../../lib/props/spec.ts';
import { defineSelector } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Route, Selector } from '../core/selector.ts';

type Indexes = readonly number[];
const NONE: Indexes = [];

/** Indexes of the channels named in a value. @throws ConfigError one is not a channel of the source */
function resolve(key: string, names: readonly string[], channels: readonly string[]): Indexes {
  return names.map((name) => {
    const index = channels.indexOf(name);
    if (index >= 0) return index;
    throw new ConfigError(`selector.${key} names the channel "${name}", which is not a channel of this source`, { fix: `name some of: ${channels.join(' ')}` });
  });
}

function words(value: string): string[] {
  return value.trim().split(/\s+/);
}

function resolveAll(prefix: string, values: Readonly<Record<string, string>>, channels: readonly string[]): Map<string, Indexes> {
  return new Map(Object.entries(values).map(([value, names]) => [value, resolve(`${prefix}.${value}`, words(names), channels)]));
}

class MultiplexingSelector implements Selector {
  readonly #header: string;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #fallback: Route;

  constructor(header: string, routes: ReadonlyMap<string, Route>, fallback: Route) {
    this.#header = header;
    this.#routes = routes;
    this.#fallback = fallback;
  }

  route(event: Event): Route {
    const value = event.headers[this.#header];
    return value === undefined ? this.#fallback : (this.#routes.get(value) ?? this.#fallback);
  }
}

export default defineSelector({
  type: 'multiplexing',
  aliases: ['org.apache.flume.channel.MultiplexingChannelSelector'],
  summary: 'Sends an event to the channels that the value of one header is mapped to.',
  properties: {
    header: text({ default: 'flume.selector.header', doc: 'The header whose value decides.' }),
    'mapping.*': rest({ doc: 'mapping.VALUE = channels, separated by blanks: where events go whose header has exactly this value, which may contain dots.' }),
    default: list({
      default: [],
      doc: 'Channels of events without the header or with a value that is not mapped. Left out: such events are dropped and counted.',
    }),
    'optional.*': rest({ doc: 'optional.VALUE = channels that also get events of this value, if they can.' }),
  },
  check: (config) => {
    const named: [string, readonly string[]][] = [['default', config.default]];
    for (const [value, names] of Object.entries(config['mapping.*'])) named.push([`mapping.${value}`, words(names)]);
    return named
      .filter(([, names]) => new Set(names).size < names.length)
      .map(([key]) => ({
        code: 'channel-twice',
        severity: 'warning',
        message: `${key} names a channel twice, so that channel gets each event twice`,
        fix: 'name each channel once',
        key,
      }));
  },
  create: (config, channels) => {
    const fallback = resolve('default', config.default, channels);
    const required = resolveAll('mapping', config['mapping.*'], channels);
    const optional = resolveAll('optional', config['optional.*'], channels);
    const routes = new Map<string, Route>();
    for (const value of new Set([...required.keys(), ...optional.keys()])) {
      // Flume treats a blank value as a missing one.
      const must = value.trim() === '' ? fallback : (required.get(value) ?? fallback);
      routes.set(value, { required: must, optional: (optional.get(value) ?? NONE).filter((index) => !must.includes(index)) });
    }
    return new MultiplexingSelector(config.header, routes, { required: fallback, optional: NONE });
  },
});
