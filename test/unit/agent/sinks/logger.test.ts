import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { SinkContext } from '../../../../src/agent/core/define.ts';
import type { Event } from '../../../../src/agent/core/event.ts';
import logger from '../../../../src/agent/sinks/logger.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

/** Headers (names and values in turn), body, maxBytesToLog, and what EventHelper.dumpEvent of Flume 1.11 made of them. */
const cases: [headers: string[], body: string, maxBytes: number, dump: string][] = JSON.parse(
  readFileSync(new URL('logger-cases.json', import.meta.url), 'utf8'),
);

function sinkWith(raw: Record<string, string>, lines: string[], infoEnabled = true) {
  const { config } = parseProperties(logger.properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
  const log = { info: (line: string) => lines.push(line), isLevelEnabled: () => infoEnabled };
  return logger.create(config as NonNullable<typeof config>, { name: 'k1', log } as unknown as SinkContext);
}

test.each(cases)('line of Flume for headers %j, body %j, limit %d', async (pairs, body, maxBytes, dump) => {
  const headers: Record<string, string> = {};
  for (let i = 0; i < pairs.length; i += 2) headers[pairs[i] as string] = pairs[i + 1] as string;
  const lines: string[] = [];
  await sinkWith({ maxBytesToLog: String(maxBytes) }, lines).deliver([{ headers, body: Buffer.from(body) }]);
  expect(lines).toEqual([`Event: ${dump}`]);
});

test('header order is worked out anew when the names change', async () => {
  const lines: string[] = [];
  const event = (headers: Record<string, string>): Event => ({ headers, body: Buffer.alloc(0) });
  await sinkWith({}, lines).deliver([event({ timestamp: '1', host: 'h' }), event({ timestamp: '2', topic: 't' }), event({ timestamp: '3', host: 'i' })]);
  expect(lines).toEqual([
    'Event: { headers:{host=h, timestamp=1} body: }',
    'Event: { headers:{topic=t, timestamp=2} body: }',
    'Event: { headers:{host=i, timestamp=3} body: }',
  ]);
});

test('below level INFO events are taken silently', async () => {
  const lines: string[] = [];
  await sinkWith({}, lines, false).deliver([{ headers: {}, body: Buffer.from('x') }]);
  expect(lines).toEqual([]);
});

test('a bad maxBytesToLog is 16', async () => {
  const lines: string[] = [];
  await sinkWith({ maxBytesToLog: 'all' }, lines).deliver([{ headers: {}, body: Buffer.alloc(20, 65) }]);
  expect(lines[0]).toContain('41 41 AAAAAAAAAAAAAAAA }');
});
