/** Requests as the network cuts them: a stream of frames in any pieces gives the same frames, and real sockets the same answers. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FrameCutter } from '../../src/broker/frames.ts';
import { type RawClient, TestBroker } from '../integration/broker-harness.ts';

const LIMIT = 1_000_000;

function framed(payload: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(payload.length);
  return Buffer.concat([size, payload]);
}

/** All frames that come of some chunks, as hex; asked after each chunk or at the end only. */
function cut(chunks: readonly Buffer[], eager: boolean): string[] {
  const cutter = new FrameCutter(LIMIT);
  const out: string[] = [];
  const take = (): void => {
    for (let frame = cutter.next(); Buffer.isBuffer(frame); frame = cutter.next()) out.push(frame.toString('hex'));
  };
  for (const chunk of chunks) {
    cutter.push(chunk);
    if (eager) take();
  }
  take();
  expect(cutter.held).toBe(0);
  return out;
}

describe('the cutter', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 6 });

  it('split at every byte, and at every pair of bytes', () => {
    const stream = Buffer.concat(['', 'a', 'four', 'a longer one'].map((text) => framed(Buffer.from(text))));
    const whole = cut([stream], true);
    expect(whole).toHaveLength(4);
    for (let i = 0; i <= stream.length; i++)
      for (let j = i; j <= stream.length; j++) {
        const chunks = [stream.subarray(0, i), stream.subarray(i, j), stream.subarray(j)].filter(({ length }) => length > 0);
        expect(cut(chunks, true)).toEqual(whole);
        expect(cut(chunks, false)).toEqual(whole);
      }
  });

  it('in any pieces, down to single bytes', () => {
    fc.assert(
      fc.property(payloads, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 }), fc.boolean(), (list, sizes, eager) => {
        const stream = Buffer.concat(list.map((bytes) => framed(Buffer.from(bytes))));
        const chunks: Buffer[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = sizes[i % sizes.length] as number;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        expect(cut(chunks, eager)).toEqual(list.map((bytes) => Buffer.from(bytes).toString('hex')));
      }),
      { numRuns: 500 },
    );
  });

  it('sees the API key as soon as it is there, and refuses sizes without waiting for the bytes', () => {
    const bytes = framed(Buffer.from('0003000900000001', 'hex'));
    const cutter = new FrameCutter(LIMIT);
    for (let i = 0; i < bytes.length; i++) {
      expect(cutter.peekApiKey()).toBe(i < 6 ? -1 : 3);
      expect(cutter.next()).toBeNull();
      cutter.push(bytes.subarray(i, i + 1));
    }
    expect(cutter.next()).toHaveLength(8);
    for (const size of [LIMIT + 1, 2 ** 31 - 1, -1, -(2 ** 31)]) {
      const refusing = new FrameCutter(LIMIT);
      const head = Buffer.alloc(4);
      head.writeInt32BE(size);
      for (const byte of head) refusing.push(Buffer.of(byte));
      expect(refusing.next()).toBe(size);
    }
  });
});

describe('a broker', () => {
  let broker: TestBroker;
  beforeAll(async () => {
    broker = await TestBroker.start();
    await broker.topic('t');
  });
  afterAll(() => broker.end());

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  /** Two requests in one stream: ApiVersions 3 as librdkafka sends it, Metadata 1 for all topics. */
  const stream = Buffer.concat(
    ['0012000300000001000772646b61666b61000b6c696272646b61666b6106322e302e3200', '000300010000000200017 8ffffffff'].map((text) =>
      framed(Buffer.from(text.replaceAll(' ', ''), 'hex')),
    ),
  );
  const answers = async (raw: RawClient): Promise<string[]> => [(await raw.frame())!.toString('hex'), (await raw.frame())!.toString('hex')];

  it('answers the same, wherever two requests are split', async () => {
    const raw = await broker.raw();
    raw.send(stream);
    const whole = await answers(raw);
    for (let at = 1; at < stream.length; at++) {
      raw.send(stream.subarray(0, at));
      await turn();
      raw.send(stream.subarray(at));
      expect(await answers(raw), `split at ${at}`).toEqual(whole);
    }
    for (const byte of stream) raw.send(Buffer.of(byte));
    expect(await answers(raw)).toEqual(whole);
  });
});
