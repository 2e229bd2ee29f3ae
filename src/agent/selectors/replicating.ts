/** The replicating selector (Flume's default): every channel gets every event; those named optional may refuse. */
import { ConfigError } from '../../lib/errors.ts';
import { list } from '../../lib/props/spec.ts';
import { defineSelector } from '../core/define.ts';
import type { Route } from '../core/selector.ts';

export default defineSelector({
  type: 'replicating',
  aliases: ['org.apache.flume.channel.ReplicatingChannelSelector'],
  summary: 'Sends every event to every channel of the source.',
  properties: {
    optional: list({ default: [], doc: 'Channels that get the event only if they can; a refusal is counted and nothing more.' }),
  },
  create: (config, channels) => {
    const unknown = config.optional.find((name) => !channels.includes(name));
    if (unknown !== undefined) {
      throw new ConfigError(`selector.optional names the channel "${unknown}", which is not a channel of this source`, {
        fix: `name some of: ${channels.join(' ')}`,
      });
    }
    const indexes = channels.map((_, index) => index);
    const isOptional = (index: number): boolean => config.optional.includes(channels[index] as string);
    const route: Route = { required: indexes.filter((index) => !isOptional(index)), optional: indexes.filter(isOptional) };
    return { constant: route, route: () => route };
  },
});
