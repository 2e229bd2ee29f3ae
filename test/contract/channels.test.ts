// The channels on disk against the kit that every channel must pass. jdbc needs better-sqlite3 with its native part.
import { describe } from 'vitest';
import file from '../../src/agent/channels/file.ts';
import jdbc from '../../src/agent/channels/jdbc.ts';
import spillable from '../../src/agent/channels/spillable.ts';
import { compiled } from '../sqlite.ts';
import { channelContract } from './channel-kit.ts';
import { configOf } from './config-of.ts';
import { channelContext } from './contexts.ts';

const storage = (place: string) => ({ checkpointDir: `${place}/checkpoint`, dataDirs: `${place}/data`, minimumRequiredSpace: 0 });

channelContract({
  name: 'file',
  durable: true,
  bounded: true,
  make: ({ capacity, transactionCapacity, keepAlive }, place) =>
    file.create(configOf(file, { capacity, transactionCapacity, 'keep-alive': keepAlive, ...storage(place) }), channelContext()),
});

channelContract({
  name: 'file over three directories, synced in the background',
  durable: true,
  bounded: true,
  make: ({ capacity, transactionCapacity, keepAlive }, place) =>
    file.create(
      configOf(file, {
        capacity,
        transactionCapacity,
        'keep-alive': keepAlive,
        ...storage(place),
        dataDirs: `${place}/a,${place}/b,${place}/c`,
        fsyncPerTransaction: false,
        maxFileSize: 20_000,
      }),
      channelContext(),
    ),
});

channelContract({
  name: 'SPILLABLEMEMORY with little memory',
  durable: true,
  // A batch goes to one part whole, so that both are full at once is not to be had.
  bounded: false,
  make: ({ capacity, transactionCapacity, keepAlive }, place) => {
    const memoryCapacity = Math.min(50, capacity - 1);
    return spillable.create(
      configOf(spillable, { memoryCapacity, overflowCapacity: capacity - memoryCapacity, transactionCapacity, overflowTimeout: keepAlive, ...storage(place) }),
      channelContext(),
    );
  },
});

channelContract({
  name: 'SPILLABLEMEMORY that does not spill',
  durable: true,
  bounded: true,
  make: ({ capacity, transactionCapacity, keepAlive }, place) =>
    spillable.create(
      configOf(spillable, { memoryCapacity: capacity, overflowCapacity: 0, transactionCapacity, overflowTimeout: keepAlive, ...storage(place) }),
      channelContext(),
    ),
});

describe.runIf(compiled)('with SQLite', () => {
  channelContract({
    name: 'jdbc',
    durable: true,
    bounded: false,
    make: (_settings, place) => jdbc.create(configOf(jdbc, { 'driver.url': `jdbc:sqlite:${place}/events.sqlite` }), channelContext()),
  });
});
