/** Child of file-roll-full-disk.test.ts: delivers batches into files that may not grow beyond the limit of this process. */

import { SinkCounters } from '../../src/agent/core/counters.ts';
import type { SinkContext } from '../../src/agent/core/define.ts';
import type { Sealed } from '../../src/agent/core/event.ts';
import type { Sink } from '../../src/agent/core/sink.ts';
import textSerializer from '../../src/agent/serializers/text.ts';
import fileRoll from '../../src/agent/sinks/file-roll.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { AppError } from '../../src/lib/errors.ts';
import { parseProperties } from '../../src/lib/props/spec.ts';

const { config } = parseProperties(fileRoll.properties, { 'sink.directory': { value: process.argv[2] as string }, 'sink.rollInterval': { value: '0' } });
const log = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };
const ctx = {
  name: 'k1',
  log,
  clock: systemClock,
  counters: new SinkCounters(),
  healthy() {},
  degraded() {},
  serializer: () => () => textSerializer.create({ appendNewline: true }),
};
const sink = fileRoll.create(config as never, ctx as unknown as SinkContext) as Sink;
const batch = (length: number): Sealed[] => Array.from({ length }, (_, i) => ({ headers: {}, body: Buffer.from(`event ${i} ${'x'.repeat(50)}`) }));

await sink.start();
const outcomes: unknown[] = [];
for (const size of [5, 40, 3]) {
  try {
    await sink.deliver(batch(size));
    outcomes.push('delivered');
  } catch (error) {
    outcomes.push(
      error instanceof AppError ? { message: error.message, retriable: error.retriable, code: (error.cause as NodeJS.ErrnoException).code } : String(error),
    );
  }
}
await sink.stop();
process.stdout.write(JSON.stringify(outcomes));
