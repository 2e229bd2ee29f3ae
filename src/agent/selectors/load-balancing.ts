/** The load balancing selector (Flume 1.10's LoadBalancingChannelSelector): each event goes to one channel. */
import { oneOf } from '../../lib/props/spec.ts';
import { defineSelector } from '../core/define.ts';
import type { Route, Selector } from '../core/selector.ts';

class LoadBalancingSelector implements Selector {
  readonly #routes: readonly Route[];
  readonly #random: boolean;
  #next = 0;

  constructor(channelCount: number, random: boolean) {
    this.#routes = Array.from({ length: channelCount }, (_, index) => ({ required: [index], optional: [] }));
    this.#random = random;
  }

  route(): Route {
    const count = this.#routes.length;
    if (this.#random) return this.#routes[Math.floor(Math.random() * count)] as Route;
    const at = this.#next;
    this.#next = at + 1 === count ? 0 : at + 1;
    return this.#routes[at] as Route;
  }
}

export default defineSelector({
  type: 'load_balancing',
  aliases: ['org.apache.flume.channel.LoadBalancingChannelSelector'],
  summary: 'Sends each event to one channel, in turn or by chance.',
  properties: {
    policy: oneOf(['round_robin', 'random'], { default: 'round_robin', doc: 'How the channel of an event is chosen.' }),
  },
  create: (config, channels) => new LoadBalancingSelector(channels.length, config.policy === 'random'),
});
