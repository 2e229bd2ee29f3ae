/** What a channel needs of an agent where there is none around it: in commands that open it by themselves, and in benchmarks. */
import { systemClock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { ChannelCounters } from './counters.ts';
import type { ChannelContext } from './define.ts';

/** Who opens the channel; states that an agent would show go nowhere. */
export function loneChannelContext(who: Pick<ChannelContext, 'name' | 'agent' | 'home'> & { readonly log: Logger }): ChannelContext {
  return { ...who, clock: systemClock, counters: new ChannelCounters(), extra: {}, degraded() {}, healthy() {}, failed() {} };
}
