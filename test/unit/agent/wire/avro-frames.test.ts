import { describe, expect, test } from 'vitest';
import { AvroFrames } from '../../../../src/agent/wire/avro-frames.ts';
import { frameOf } from '../../../../src/agent/wire/avro-protocol.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('frames', () => {
  const stream = Buffer.concat([
    frameOf(1, [Buffer.from('ab'), Buffer.from('cdef')]),
    frameOf(-7, [Buffer.alloc(0)]),
    frameOf(3, [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(0)]),
  ]);

  test('come out the same however they are cut', () => {
    for (let size = 1; size <= stream.length; size++) {
      const frames = new AvroFrames();
      const got: [number, string][] = [];
      for (let at = 0; at < stream.length; at += size) {
        frames.push(stream.subarray(at, at + size));
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) got.push([frame.serial, frame.payload.toString()]);
      }
      expect(got).toEqual([
        [1, 'abcdef'],
        [-7, ''],
        [3, 'x'],
      ]);
      expect(frames.partial).toBe(false);
    }
  });

  test('a half frame is partial', () => {
    const frames = new AvroFrames();
    frames.push(stream.subarray(0, 13));
    expect(frames.next()).toBeUndefined();
    expect(frames.partial).toBe(true);
  });

  test('lengths that cannot be are refused, and it says what it looks like', () => {
    const refused = (bytes: Buffer): string => {
      const frames = new AvroFrames();
      frames.push(bytes);
      try {
        frames.next();
      } catch (error) {
        return (error as Error).message;
      }
      return 'taken';
    };
    expect(refused(hex('00000001 00000001 7fffffff'))).toMatch(/a frame of 2147483647 bytes is not Avro$/);
    expect(refused(hex('00000001 00000002 00000000 80000000'))).toMatch(/a frame of -2147483648 bytes/);
    expect(refused(hex('00000001 00000000'))).toMatch(/a frame of 0 buffers/);
    expect(refused(hex('00000001 7fffffff'))).toMatch(/2147483647 buffers/);
    expect(refused(hex('16030102 00010001 fc0303ab'))).toMatch(/looks like TLS/);
    expect(refused(Buffer.from('GET /metrics HTTP/1.1\r\n\r\n'))).toMatch(/looks like HTTP/);
    expect(refused(hex('789c62606060 6260 6060 ffff'))).toMatch(/compress/);
  });
});
