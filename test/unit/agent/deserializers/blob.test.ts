import { describe, expect, it } from 'vitest';
import blob from '../../../../src/agent/deserializers/blob.ts';
import { drain, open, warnings } from './reading.ts';

describe('BLOB', () => {
  const bytes = Buffer.from([0, 1, 2, 0x0a, 0xff, 5, 6]);

  it('makes one event of a whole file', () => {
    const { events, marks } = drain(open(blob, bytes));
    expect(events.map((event) => event.body)).toEqual([bytes]);
    expect(marks).toEqual([7]);
    expect(warnings).toEqual([]);
  });

  it('cuts a longer file and says so once', () => {
    const reading = { properties: { maxBlobLength: '3' } };
    const { events, marks } = drain(open(blob, bytes, reading));
    expect(events.map((event) => event.body.length)).toEqual([3, 3, 1]);
    expect(Buffer.concat(events.map((event) => event.body))).toEqual(bytes);
    expect(marks).toEqual([3, 6, 7]);
    expect(warnings).toHaveLength(1);
    expect(drain(open(blob, bytes, { ...reading, position: 6 })).events).toHaveLength(1);
  });

  it('has nothing of an empty file', () => {
    expect(open(blob, Buffer.alloc(0)).read(10)).toEqual([]);
  });
});
