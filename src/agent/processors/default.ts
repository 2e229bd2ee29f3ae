/** The default processor (Flume's DefaultSinkProcessor): one sink, nothing in between. */
import { ConfigError } from '../../lib/errors.ts';
import { defineProcessor } from '../core/define.ts';
import type { GroupMember } from '../core/processor.ts';

export default defineProcessor({
  type: 'default',
  aliases: ['org.apache.flume.sink.DefaultSinkProcessor'],
  summary: 'Hands every batch to the one sink of the group.',
  properties: {},
  create: (_config, members) => {
    if (members.length !== 1) {
      throw new ConfigError('DefaultSinkProcessor cannot handle multiple sinks, try using a policy that supports multiple sinks', {
        fix: 'set processor.type to failover or load_balance, or leave one sink in the group',
      });
    }
    return members[0] as GroupMember;
  },
});
