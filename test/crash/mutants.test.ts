// The tests of the channels, tested: faults put into the disk or the channel on purpose must be caught by the model with power
// failures. docs/durability.md lists them.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import file from '../../src/agent/channels/file.ts';
import type { Channel, Lease } from '../../src/agent/core/channel.ts';
import { ManualClock } from '../../src/lib/clock.ts';
import type { FileSystem } from '../../src/lib/files.ts';
import { MemoryDisk } from '../../src/lib/memory-disk.ts';
import { configOf, contextOf, ModelledChannel } from '../channel-model.ts';

const RAW = {
  capacity: '400',
  transactionCapacity: '100',
  checkpointDir: '/c',
  dataDirs: '/d',
  maxFileSize: '1500',
  minimumRequiredSpace: '0',
  'keep-alive': '0',
};

interface Mutant {
  /** Between channel and disk. */
  readonly disk?: (disk: MemoryDisk) => Partial<FileSystem>;
  readonly channel?: (channel: Channel) => Partial<Channel>;
  readonly lease?: (lease: Lease, number: number) => Partial<Lease>;
}

/** An object with some methods replaced; the others stay bound to it. */
function altered<T extends object>(whole: T, parts: Partial<T>): T {
  return new Proxy(whole, {
    get(target, key) {
      if (key in parts) return parts[key as keyof T];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const MUTANTS: Readonly<Record<string, Mutant>> = {
  'fdatasync is skipped': { disk: () => ({ datasync: () => Promise.resolve() }) },
  'fsync of whole files is skipped': { disk: () => ({ sync: () => {}, datasync: () => Promise.resolve() }) },
  'directories are not synced': { disk: () => ({ syncDir: () => {} }) },
  'acknowledgements are not written': {
    disk: (disk) => {
      const names = new Map<number, string>();
      return {
        open: (path, mode) => {
          const fd = disk.open(path, mode);
          names.set(fd, path);
          return fd;
        },
        write: (fd, buf, position) => {
          if (!names.get(fd)?.includes('acks')) disk.write(fd, buf, position);
        },
      };
    },
  },
  'a put returns before it is durable': {
    channel: (channel) => ({
      put: async (batch, signal) => {
        channel.put(batch, signal).catch(() => {});
      },
    }),
  },
  'a commit is dropped': { lease: (_lease, number) => (number === 3 ? { commit: async () => {} } : {}) },
  'a commit of some takes all': { lease: (lease) => ({ commit: () => lease.commit() }) },
  'a rollback is forgotten': { lease: () => ({ rollback: () => {} }) },
  'a rollback commits': { lease: (lease) => ({ rollback: () => void lease.commit() }) },
  'two events change places': {
    lease: (lease) => ({ events: lease.events.length > 1 ? [lease.events[1]!, lease.events[0]!, ...lease.events.slice(2)] : lease.events }),
  },
  'the end of a batch is not stored': {
    channel: (channel) => ({ put: (batch, signal) => channel.put(batch.length > 4 ? batch.slice(0, -1) : batch, signal) }),
  },
  'a put is stored twice': {
    channel: (channel) => ({
      put: async (batch, signal) => {
        await channel.put(batch, signal);
        if (batch.length === 7) await channel.put(batch, signal);
      },
    }),
  },
  'headers are lost': {
    channel: (channel) => ({
      put: (batch, signal) =>
        channel.put(
          batch.map(({ body }) => ({ headers: {}, body })),
          signal,
        ),
    }),
  },
};

function modelled(memory: MemoryDisk, mutant: Mutant, clock: ManualClock): ModelledChannel {
  const disk = mutant.disk ? altered<FileSystem>(memory, mutant.disk(memory)) : memory;
  let leases = 0;
  return new ModelledChannel(() => {
    const { ctx, voice } = contextOf(disk, clock);
    const plain = file.create(configOf(file, RAW), ctx);
    const channel = mutant.channel ? altered(plain, mutant.channel(plain)) : plain;
    const { lease } = mutant;
    if (!lease) return { channel, voice };
    const take: Channel['take'] = async (max, signal) => {
      const lent = await plain.take(max, signal);
      // Looking at everything after a start gives all back; only the story's own leases are tampered with.
      return lent === null || max === 1_000 ? lent : altered(lent, lease(lent, leases++));
    };
    return { channel: altered(channel, { take }), voice };
  });
}

async function story(model: ModelledChannel): Promise<void> {
  await model.open();
  for (let round = 0; round < 5; round++) {
    await model.put(2 + round);
    await model.put(7);
    await model.take(6);
    await model.take(3);
    await model.end(0, round % 2 === 0 ? 6 : 4);
    await model.end(0, round % 3 === 0 ? 0 : 3);
    model.check();
  }
  await model.reopenAfterStop();
  await model.put(5);
  await model.take(4);
  await model.end(0, 2);
}

/** The story once to its end and a crash, then with a power failure at each change. Answers what was found wrong, or null. */
async function verdictOn(mutant: Mutant): Promise<Error | null> {
  let changes = Number.POSITIVE_INFINITY;
  try {
    for (let at = 0; at <= changes; at++) {
      const disk = new MemoryDisk(at);
      const model = modelled(disk, mutant, new ManualClock());
      if (at > 0) disk.powerOffAt = at;
      const outcome = await story(model).then(
        () => null,
        (error: Error) => error,
      );
      if (at === 0 && outcome) return outcome;
      if (at === 0) changes = disk.changes;
      if (outcome?.name === 'AssertionError') return outcome;
      disk.crash({ tear: at % 2 === 1 });
      await model.reopenAfterCrash();
      await model.channel.stop();
    }
  } catch (error) {
    return error as Error;
  }
  return null;
}

test('docs/durability.md lists exactly these', () => {
  const text = readFileSync(new URL('../../docs/durability.md', import.meta.url), 'utf8').replaceAll('\n', ' ');
  const listed = /\(`test\/crash\/mutants\.test\.ts`\): (.*?)\. {2}/.exec(text)?.[1]?.split(' · ');
  expect(listed).toEqual(Object.keys(MUTANTS));
});

test('nothing is found wrong with the channel as it is', async () => {
  expect(await verdictOn({})).toBeNull();
});

describe('caught:', () => {
  test.each(Object.entries(MUTANTS))('%s', async (_name, mutant) => {
    expect(await verdictOn(mutant)).toBeInstanceOf(Error);
  });
});
