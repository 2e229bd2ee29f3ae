import memory from '../../src/agent/channels/memory.ts';
import { channelContract } from './channel-kit.ts';
import { configOf } from './config-of.ts';
import { channelContext } from './contexts.ts';

channelContract({
  name: 'memory',
  durable: false,
  bounded: true,
  make: ({ capacity, transactionCapacity, keepAlive }) =>
    memory.create(configOf(memory, { capacity, transactionCapacity, 'keep-alive': keepAlive, byteCapacity: 100_000_000 }), channelContext()),
});
