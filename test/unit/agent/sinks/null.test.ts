import { expect, test } from 'vitest';
import type { SinkContext } from '../../../../src/agent/core/define.ts';
import { eventOf } from '../../../../src/agent/core/event.ts';
import nullSink from '../../../../src/agent/sinks/null.ts';

test('says how far it is each time logEveryNEvents are gone', async () => {
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line) };
  const sink = nullSink.create({ batchSize: 100, logEveryNEvents: 10 }, { name: 'k1', log } as unknown as SinkContext);
  const batch = (count: number) => Array.from({ length: count }, () => eventOf(Buffer.alloc(0)));
  for (const count of [9, 1, 5, 25]) expect(await sink.deliver(batch(count))).toBeUndefined();
  expect(lines).toEqual([10, 20, 30, 40].map((n) => `Null sink k1 successful processed ${n} events.`));
  expect(nullSink.facts?.({ batchSize: 7, logEveryNEvents: 1 })).toEqual({ batchSize: 7 });
});
