import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchCall, errorReply, readCall, readReply, statusReply } from '../../../../src/agent/wire/thrift-messages.ts';
import { MESSAGE, TYPE, thriftReader, thriftWriter } from '../../../../src/agent/wire/thrift-protocol.ts';
import { ByteWriter } from '../../../../src/lib/bytes.ts';

const PROTOCOLS = ['compact', 'binary'] as const;
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
/** Without the length of the frame. */
const inner = (frame: Buffer): Buffer => {
  expect(frame.readInt32BE(0)).toBe(frame.length - 4);
  return frame.subarray(4);
};

describe('Thrift messages', () => {
  test('are the bytes that libthrift 0.14 writes', () => {
    const events = [{ headers: { k: 'v' }, body: Buffer.from('hi') }];
    expect(inner(batchCall('compact', 1, events)).toString('hex')).toBe(
      hex('82 21 01 0b 617070656e644261746368 19 1c 1b 01 88 01 6b 01 76 18 02 6869 00 00').toString('hex'),
    );
    expect(inner(batchCall('binary', 1, events)).toString('hex')).toBe(
      hex(
        '80010001 0000000b 617070656e644261746368 00000001 0f 0001 0c 00000001 0d 0001 0b 0b 00000001 00000001 6b 00000001 76 0b 0002 00000002 6869 00 00',
      ).toString('hex'),
    );
    const head = { name: 'append', kind: MESSAGE.call, id: 1 };
    expect(inner(statusReply('compact', head, 1)).toString('hex')).toBe(hex('82 41 01 06 617070656e64 05 00 02 00').toString('hex'));
  });

  const event = fc.record({
    headers: fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.string({ unit: 'grapheme', maxLength: 200 }), { maxKeys: 20 }),
    body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  });
  for (const protocol of PROTOCOLS) {
    test(`${protocol}: what is written is read back`, () => {
      fc.assert(
        fc.property(fc.array(event, { maxLength: 40 }), fc.nat(), (batch, id) => {
          const call = readCall(protocol, inner(batchCall(protocol, id, batch)));
          expect(call.head).toEqual({ name: 'appendBatch', kind: MESSAGE.call, id });
          expect(call.events?.map(({ headers, body }) => [Object.entries(headers), body])).toEqual(
            batch.map(({ headers, body }) => [Object.entries(headers), body]),
          );
        }),
      );
      const head = { name: 'appendBatch', kind: MESSAGE.call, id: 77 };
      expect(readReply(protocol, inner(statusReply(protocol, head, 3)))).toEqual({ id: 77, answer: 3 });
      expect(readReply(protocol, inner(errorReply(protocol, head, 6, 'why')))).toEqual({ id: 77, answer: 'why' });
    });

    test(`${protocol}: fields of newer clients are read over`, () => {
      const bytes = new ByteWriter();
      const out = thriftWriter(protocol, bytes);
      out.message({ name: 'append', kind: MESSAGE.call, id: 5 });
      out.structBegin();
      out.fieldBegin(TYPE.struct, 1);
      out.structBegin();
      out.fieldBegin(TYPE.list, 3);
      out.list(TYPE.struct, 1);
      out.structBegin();
      out.fieldBegin(TYPE.map, 40);
      out.map(TYPE.string, TYPE.i32, 2);
      for (const key of ['a', 'b']) {
        out.text(key);
        out.i32(-5);
      }
      out.structEnd();
      out.fieldBegin(TYPE.map, 1);
      out.map(TYPE.string, TYPE.string, 0);
      out.fieldBegin(TYPE.string, 2);
      out.bytes(Buffer.from('x'));
      out.fieldBegin(TYPE.i32, 9);
      out.i32(123_456);
      out.structEnd();
      out.fieldBegin(TYPE.string, 2);
      out.text('more');
      out.structEnd();
      expect(readCall(protocol, bytes.finish()).events).toEqual([{ headers: {}, body: Buffer.from('x') }]);
    });

    test(`${protocol}: whatever comes, it is an error and not a crash`, () => {
      const whole = inner(batchCall(protocol, 1, [{ headers: { k: 'v' }, body: Buffer.from('hi') }]));
      for (let end = 0; end < whole.length; end++) expect(() => readCall(protocol, whole.subarray(0, end))).toThrow();
      fc.assert(
        fc.property(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
          const damaged = Buffer.from(whole);
          damaged[at] = byte;
          try {
            readCall(protocol, damaged);
          } catch (error) {
            expect((error as Error).name).toBe('ProtocolError');
          }
        }),
      );
      const deep = new ByteWriter();
      const out = thriftWriter(protocol, deep);
      out.message({ name: 'append', kind: MESSAGE.call, id: 5 });
      for (let i = 0; i < 2_000; i++) {
        out.structBegin();
        out.fieldBegin(TYPE.struct, 7);
      }
      expect(() => readCall(protocol, deep.finish())).toThrow(/too deep/);
    });
  }

  test('the other protocol is named', () => {
    const call = (protocol: 'compact' | 'binary'): Buffer => inner(batchCall(protocol, 1, []));
    expect(() => thriftReader('compact', call('binary'))).toThrow('speaks Thrift’s binary protocol; set protocol = binary here, or compact there');
    expect(() => thriftReader('binary', call('compact'))).toThrow('speaks Thrift’s compact protocol');
  });

  test('the binary protocol of old clients has no version', () => {
    const bytes = new ByteWriter();
    bytes.i32(6);
    bytes.utf8('append');
    bytes.i8(MESSAGE.call);
    bytes.i32(9);
    expect(thriftReader('binary', bytes.finish()).message()).toEqual({ name: 'append', kind: MESSAGE.call, id: 9 });
  });
});
