import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/agent/core/event.ts';
import { AvroEventReader, AvroEventWriter, encodeAvroEvent } from '../../../../src/agent/wire/avro-event-codec.ts';
import { EVENT_SCHEMA } from '../../../../src/agent/wire/avro-protocol.ts';
import { resolvingReader } from '../../../../src/agent/wire/avro-schema.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

function encode(batch: readonly Event[]): Buffer {
  const writer = new AvroEventWriter(4);
  writer.reset(0);
  writer.events(batch);
  return Buffer.from(writer.slab.subarray(0, writer.length));
}

describe('AvroFlumeEvent', () => {
  test('is the bytes Java writes', () => {
    expect(encodeAvroEvent({ headers: { k: 'v' }, body: Buffer.from('hi') })).toEqual(hex('02 02 6b 02 76 00 04 68 69'));
    const batch = [
      { headers: { k: 'v' }, body: Buffer.from('A') },
      { headers: {}, body: Buffer.from('B') },
    ];
    expect(encode(batch)).toEqual(hex('04 02026b027600 0241 00 0242 00'));
  });

  test('blocks with a size, and several blocks, are read too', () => {
    const reader = new AvroEventReader();
    const twoBlocks = reader.open(hex('02 00 0241 01 06 00 0242 00')).events();
    expect(twoBlocks.map((event) => event.body.toString())).toEqual(['A', 'B']);
    const sizedMap = reader.open(hex('01 08 026b0276 00 0468 69')).event();
    expect(sizedMap).toEqual({ headers: { k: 'v' }, body: Buffer.from('hi') });
  });

  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), fc.constantFrom('topic', 'host', '__proto__', 'ключ', '\ud800'));
  const event = fc.record({
    headers: fc.dictionary(text, text, { maxKeys: 5 }),
    body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  });
  const wellFormed = (value: string): string => Buffer.from(value).toString();

  test('what is written is read back, and avsc reads the same', () => {
    const reader = new AvroEventReader();
    const oracle = resolvingReader(JSON.stringify({ type: 'array', items: EVENT_SCHEMA }), JSON.stringify({ type: 'array', items: EVENT_SCHEMA }));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 20 }), (batch) => {
        const bytes = encode(batch);
        const back = reader.open(bytes).events();
        expect(reader.position).toBe(bytes.length);
        const told = batch.map(({ headers, body }) => [Object.entries(headers).map(([key, value]) => [wellFormed(key), wellFormed(value)]), body]);
        expect(back.map(({ headers, body }) => [Object.entries(headers), body])).toEqual(told);
        const theirs = oracle(bytes, 0) as Event[];
        expect(theirs.map(({ body }) => Buffer.from(body))).toEqual(batch.map(({ body }) => body));
      }),
    );
  });

  test('headers that repeat, and then change, are told apart', () => {
    const batch = Array.from({ length: 100 }, (_, i) => ({
      headers: { host: i < 50 ? 'a' : 'b', n: String(i), long: 'x'.repeat(100 + (i % 2)) },
      body: Buffer.from(String(i)),
    }));
    expect(new AvroEventReader().open(encode(batch)).events()).toEqual(batch);
  });

  test('whatever comes, it is an error and not a crash, and no memory is set aside for it', () => {
    const reader = new AvroEventReader();
    expect(() => reader.open(hex('fe ff ff ff 0f 00')).events()).toThrow(/cannot be in/);
    expect(() => reader.open(hex('02 00 fe ff ff ff 0f')).events()).toThrow(/announced/);
    expect(() => reader.open(hex('02 00 01')).events()).toThrow(/announced/);
    expect(() => reader.open(hex('ff ff ff ff ff ff ff ff ff ff ff 01')).events()).toThrow(/ten bytes/);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          reader.open(Buffer.from(bytes)).events();
        } catch (error) {
          expect((error as Error).name).toBe('ProtocolError');
        }
      }),
    );
  });
});
