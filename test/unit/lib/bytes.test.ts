/** Numbers, varints and texts against Buffer's own methods and Kafka's vectors; attached buffers stay themselves. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter, INT64_MAX } from '../../../src/lib/bytes.ts';
import { ProtocolError } from '../../../src/lib/errors.ts';

const hex = (write: (writer: ByteWriter) => void): string => {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.finish().toString('hex');
};
const read = (text: string): ByteReader => new ByteReader(Buffer.from(text, 'hex'));

describe('fixed numbers', () => {
  it('are big endian and signed where they say so', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.maxSafeInteger(), fc.double(), (n, long, float) => {
        const writer = new ByteWriter(1);
        writer.i8(n);
        writer.i16(n);
        writer.i32(n);
        writer.u8(n);
        writer.u16(n);
        writer.u32(n >>> 0);
        writer.i64(long);
        writer.f64(float);
        const data = writer.finish();
        expect(data.readInt32BE(3)).toBe(n);
        expect(Number(data.readBigInt64BE(14))).toBe(long);
        const reader = new ByteReader(data);
        expect([reader.i8(), reader.i16(), reader.i32()]).toEqual([(n << 24) >> 24, (n << 16) >> 16, n]);
        expect([reader.u8(), reader.u16(), reader.u32()]).toEqual([n & 0xff, n & 0xffff, n >>> 0]);
        expect([reader.i64(), reader.f64()]).toEqual([long + 0, float]);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it('int64 keeps -1, the ends of 2^53 and 2^63-1', () => {
    expect(hex((w) => w.i64(-1))).toBe('ffffffffffffffff');
    expect(hex((w) => w.i64(INT64_MAX))).toBe('7fffffffffffffff');
    expect(hex((w) => w.i64(-INT64_MAX))).toBe('8000000000000000');
    expect(read('7fffffffffffffff').i64()).toBe(INT64_MAX);
    expect(read('ffe0000000000001').i64()).toBe(-(2 ** 53 - 1));
  });
});

describe('varints', () => {
  it('are Kafka’s', () => {
    const zigzag = ['00', '01', '02', '03', '7e', '7f', '8001', 'd804'];
    expect([0, -1, 1, -2, 63, -64, 64, 300].map((n) => hex((w) => w.varint(n)))).toEqual(zigzag);
    expect([0, -1, 1, -2, 63, -64, 64, 300].map((n) => hex((w) => w.varlong(n)))).toEqual(zigzag);
    expect([0, 127, 128, 300].map((n) => hex((w) => w.uvarint(n)))).toEqual(['00', '7f', '8001', 'ac02']);
  });

  it('come back', () => {
    fc.assert(
      fc.property(fc.integer(), fc.maxSafeInteger(), fc.nat(2 ** 32 - 1), (n, long, unsigned) => {
        const writer = new ByteWriter(1);
        writer.varint(n);
        writer.varlong(long);
        writer.uvarint(unsigned);
        const reader = new ByteReader(writer.finish());
        expect([reader.varint(), reader.varlong(), reader.uvarint()]).toEqual([n, long, unsigned]);
      }),
    );
  });

  it('that do not end are refused', () => {
    for (const data of ['ffffffffff', '8080808080', 'ffffffff1f', '80']) expect(() => read(data).uvarint(), data).toThrow(ProtocolError);
    expect(() => read('ff'.repeat(11)).varlong()).toThrow(ProtocolError);
  });
});

describe('uuid', () => {
  it('has Kafka’s text form', () => {
    const bytes = '6130be68419448eb909fe18e706cdd38';
    expect(read(bytes).uuid()).toBe('YTC-aEGUSOuQn-GOcGzdOA');
    expect(hex((w) => w.uuid('YTC-aEGUSOuQn-GOcGzdOA'))).toBe(bytes);
    expect(() => hex((w) => w.uuid('YTC'))).toThrow(ProtocolError);
  });
});

describe('reading', () => {
  it('refuses everything beyond the end and moves nothing', () => {
    const reader = new ByteReader(Buffer.from('0102030405', 'hex'), 1, 4);
    expect(reader.remaining).toBe(3);
    for (const wrong of [() => reader.i32(), () => reader.i64(), () => reader.bytes(4), () => reader.utf8(9), () => reader.skip(-1), () => reader.uuid()]) {
      expect(wrong).toThrow(ProtocolError);
    }
    expect(reader.bytes(3).toString('hex')).toBe('020304');
  });
});

describe('attached buffers', () => {
  it('large ones are parts, small ones copies, and the order is kept', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(100), fc.integer({ min: 2048, max: 5000 })), { maxLength: 8 }), (sizes) => {
        const writer = new ByteWriter(8);
        const expected: Buffer[] = [];
        writer.reserve(4);
        expected.push(Buffer.alloc(4));
        writer.patchI32(0, 0);
        const attached: Buffer[] = [];
        for (const [i, size] of sizes.entries()) {
          const data = Buffer.alloc(size, i + 1);
          writer.attach(data);
          writer.i8(i);
          expected.push(data, Buffer.of(i));
          if (size >= 2048) attached.push(data);
        }
        expect(writer.length).toBe(Buffer.concat(expected).length);
        const parts = writer.finishParts();
        expect(Buffer.concat(parts).equals(Buffer.concat(expected))).toBe(true);
        expect(parts.filter((part) => attached.includes(part))).toEqual(attached);
      }),
    );
  });
});
