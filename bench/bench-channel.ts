/** A channel as an agent would make it, without an agent: for benchmarks of channels alone. */
import type { Channel } from '../src/agent/core/channel.ts';
import type { AnySpec, ChannelSpec } from '../src/agent/core/define.ts';
import { loneChannelContext } from '../src/agent/core/lone-channel.ts';
import { parseProperties } from '../src/lib/props/spec.ts';

/** `raw` are its properties as a definition would have them; `home` is where its default directories are. */
export function benchChannel(spec: ChannelSpec, raw: Readonly<Record<string, string>>, home: string): Channel {
  const { config } = parseProperties((spec as AnySpec).properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
  const log = { trace() {}, debug() {}, info() {}, warn: console.error, error: console.error, isLevelEnabled: () => false };
  return spec.create(config as never, loneChannelContext({ name: 'c1', agent: 'bench', home, log }));
}
