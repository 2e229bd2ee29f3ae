/**
 * Every API, every version, both directions: compiled code against the interpreter; frames cut at every byte; noise.
 * Whatever comes in, the answer is a value or a ProtocolError, soon.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codec } from '../../src/kafka/compile.ts';
import type { AnyApi, Fields } from '../../src/kafka/schema.ts';
import { apis } from '../../src/kafka/versions.ts';
import { ByteReader, ByteWriter } from '../../src/lib/bytes.ts';
import { ProtocolError } from '../../src/lib/errors.ts';
import { interpret } from '../interpreter.ts';
import { valuesOf } from '../kafka-values.ts';

interface Side {
  readonly name: string;
  readonly fields: Fields;
  readonly flexible: boolean;
  readonly version: number;
  encode(value: unknown): Buffer;
  decode(data: Buffer): { value: unknown; left: number };
}

function side(api: AnyApi, version: number, direction: 'request' | 'response'): Side {
  const compiled = codec(api, version);
  const [encode, decode] = direction === 'request' ? [compiled.encodeRequest, compiled.decodeRequest] : [compiled.encodeResponse, compiled.decodeResponse];
  return {
    name: `${api.name} ${direction} ${version}`,
    fields: api[direction],
    flexible: compiled.flexible,
    version,
    encode(value) {
      const writer = new ByteWriter(16);
      encode(writer, value as never);
      return Buffer.concat(writer.finishParts());
    },
    decode(data) {
      const reader = new ByteReader(data);
      return { value: decode(reader), left: reader.remaining };
    },
  };
}

function* sidesOf(api: AnyApi): Generator<Side> {
  for (let version = api.versions[0]; version <= api.versions[1]; version++) {
    yield side(api, version, 'request');
    yield side(api, version, 'response');
  }
}

/** Fails on anything but a value or a ProtocolError. */
function tolerates(one: Side, data: Buffer): void {
  try {
    one.decode(data);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw new Error(`${one.name} on ${data.toString('hex')}`, { cause: error });
  }
}

describe.each(apis.map((api) => [api.name, api] as const))('%s', (_name, api) => {
  it('encodes as the interpreter does and decodes to the same value', () => {
    for (const one of sidesOf(api)) {
      fc.assert(
        fc.property(valuesOf(one.fields, one.version), (value) => {
          const data = one.encode(value);
          expect(data.toString('hex'), one.name).toBe(interpret(one.fields, value, one.version, one.flexible).toString('hex'));
          const back = one.decode(data);
          expect(back.left, one.name).toBe(0);
          expect(back.value, one.name).toMatchObject(value);
          expect(one.encode(back.value).equals(data), one.name).toBe(true);
        }),
        { numRuns: 30 },
      );
    }
  });

  it('refuses a message that is cut anywhere', () => {
    for (const one of sidesOf(api)) {
      fc.assert(
        fc.property(valuesOf(one.fields, one.version), (value) => {
          const data = one.encode(value).subarray(0, 400);
          const whole = one.encode(value).length <= 400;
          for (let end = 0; end < data.length; end++) expect(() => one.decode(data.subarray(0, end)), `${one.name} at ${end}`).toThrow(ProtocolError);
          if (whole) expect(one.decode(data).left).toBe(0);
        }),
        { numRuns: 2 },
      );
    }
  });

  it('survives noise and flipped bytes', () => {
    for (const one of sidesOf(api)) {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 120 }), (noise) => tolerates(one, Buffer.from(noise))),
        { numRuns: 20 },
      );
      fc.assert(
        fc.property(valuesOf(one.fields, one.version), fc.nat(), fc.nat(255), (value, at, byte) => {
          const data = Buffer.from(one.encode(value));
          if (data.length > 0) data[at % data.length] = byte;
          tolerates(one, data);
        }),
        { numRuns: 20 },
      );
    }
  });
});
