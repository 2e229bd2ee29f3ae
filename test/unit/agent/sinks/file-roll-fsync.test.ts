/** What file_roll brings to the device, and when: the calls themselves are noted on their way to the system. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import type { Sink } from '../../../../src/agent/core/sink.ts';
import textSerializer from '../../../../src/agent/serializers/text.ts';
import fileRoll from '../../../../src/agent/sinks/file-roll.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { configOf } from '../../../contract/config-of.ts';
import { sinkContext } from '../../../contract/contexts.ts';
import { placeFor } from '../../../ends-with-test.ts';

const synced = vi.hoisted((): string[] => []);
vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  type Sync = (fd: number, done: (error: Error | null) => void) => void;
  const noted =
    (word: string, call: Sync): Sync =>
    (fd, done) =>
      call(fd, (error) => {
        synced.push(`${word} ${real.readlinkSync(`/proc/self/fd/${fd}`)}`);
        done(error);
      });
  return { ...real, fdatasync: noted('data of', real.fdatasync), fsync: noted('names in', real.fsync) };
});

test.skipIf(!fs.existsSync('/proc/self/fd'))(
  'with sink.fsync: each batch, and once the name of each file, before the batch counts as delivered (needs /proc)',
  async () => {
    const dir = fs.realpathSync(placeFor('fsync'));
    const clock = new ManualClock();
    const config = configOf(fileRoll, { 'sink.directory': dir, 'sink.fsync': 'true' });
    const sink = fileRoll.create(config, { ...sinkContext(), clock, serializer: () => () => textSerializer.create({ appendNewline: true }) }) as Sink;
    await sink.start();
    const calls: string[][] = [];
    for (const body of ['a', 'b', 'c']) {
      await sink.deliver([{ headers: {}, body: Buffer.from(body) }]);
      calls.push(synced.splice(0).map((call) => call.replace(dir, 'DIR')));
      if (body === 'b') await clock.advance(30_000);
    }
    await sink.stop();
    const [first, second] = fs.readdirSync(dir).sort();
    expect(calls).toEqual([[`data of DIR/${first}`, 'names in DIR'], [`data of DIR/${first}`], [`data of DIR/${second}`, 'names in DIR']]);
    expect([first, second].map((name) => fs.readFileSync(path.join(dir, name as string), 'utf8'))).toEqual(['a\nb\n', 'c\n']);
  },
);
