/**
 * What compiled codecs call: strings, byte fields and the checks that are not worth repeating in generated code.
 * "Plain" is the form of non-flexible versions (int16 or int32 length, -1 = null), "compact" that of flexible ones
 * (unsigned varint of length + 1, 0 = null). Formats: Kafka protocol guide, "Protocol Primitive Types"; KIP-482.
 */
import { type ByteReader, ByteWriter } from '../lib/bytes.ts';
import { ProtocolError } from '../lib/errors.ts';
import { isExact, NO_BYTES } from './schema.ts';

/** The compact form could say more; Kafka refuses it there too. What is kept or worked at per character stays small by this. */
const MAX_STRING = 0x7fff;

function negativeLength(length: number): never {
  throw new ProtocolError(`a length of ${length} is neither a size nor null (-1)`);
}

type Bytes = Buffer | readonly Buffer[] | null;

function writeParts(writer: ByteWriter, value: Buffer | readonly Buffer[]): void {
  if (Buffer.isBuffer(value)) writer.attach(value);
  else for (const part of value as readonly Buffer[]) writer.attach(part);
}

function sizeOf(value: Buffer | readonly Buffer[]): number {
  if (Buffer.isBuffer(value)) return value.length;
  let total = 0;
  for (const part of value as readonly Buffer[]) total += part.length;
  return total;
}

export const wire = {
  noBytes: NO_BYTES,
  newWriter: (): ByteWriter => new ByteWriter(64, true),

  plainString(reader: ByteReader): string | null {
    const length = reader.i16();
    if (length >= 0) return reader.utf8(length);
    return length === -1 ? null : negativeLength(length);
  },
  compactString(reader: ByteReader): string | null {
    const length = reader.uvarint() - 1;
    if (length > MAX_STRING) throw new ProtocolError(`a string of ${length} bytes is longer than strings may be (${MAX_STRING})`);
    return length < 0 ? null : reader.utf8(length);
  },
  plainBytes(reader: ByteReader): Buffer | null {
    const length = reader.i32();
    if (length >= 0) return reader.bytes(length);
    return length === -1 ? null : negativeLength(length);
  },
  compactBytes(reader: ByteReader): Buffer | null {
    const length = reader.uvarint() - 1;
    return length < 0 ? null : reader.bytes(length);
  },

  writePlainString(writer: ByteWriter, value: string | null): void {
    const length = value === null ? -1 : Buffer.byteLength(value);
    if (length > MAX_STRING) throw new ProtocolError(`a string of ${length} bytes is longer than this version can carry (${MAX_STRING})`);
    writer.i16(length);
    if (value !== null) writer.utf8(value);
  },
  writeCompactString(writer: ByteWriter, value: string | null): void {
    writer.uvarint(value === null ? 0 : Buffer.byteLength(value) + 1);
    if (value !== null) writer.utf8(value);
  },
  writePlainBytes(writer: ByteWriter, value: Buffer | null): void {
    writer.i32(value === null ? -1 : value.length);
    if (value !== null) writer.bytes(value);
  },
  writeCompactBytes(writer: ByteWriter, value: Buffer | null): void {
    writer.uvarint(value === null ? 0 : value.length + 1);
    if (value !== null) writer.bytes(value);
  },
  writePlainRecords(writer: ByteWriter, value: Bytes): void {
    writer.i32(value === null ? -1 : sizeOf(value));
    if (value !== null) writeParts(writer, value);
  },
  writeCompactRecords(writer: ByteWriter, value: Bytes): void {
    writer.uvarint(value === null ? 0 : sizeOf(value) + 1);
    if (value !== null) writeParts(writer, value);
  },

  /** Skips a tagged section of which no tag is known. */
  skipTags(reader: ByteReader): void {
    for (let left = reader.uvarint(); left > 0; left--) {
      reader.uvarint();
      reader.skip(reader.uvarint());
    }
  },

  /** Refuses a count that the bytes left cannot hold, before anything is allocated for it. */
  checkCount(reader: ByteReader, count: number, minSize: number, at: string): void {
    if (count * minSize > reader.remaining) throw new ProtocolError(`${at}: ${count} elements do not fit into the ${reader.remaining} bytes that are left`);
  },
  illegalNull(at: string): never {
    throw new ProtocolError(`${at} is null`);
  },
  badTag(tag: number, size: number, at: string): never {
    throw new ProtocolError(`${at}: tagged field ${tag} of ${size} bytes is out of order or not of its size`);
  },
  notInVersion(at: string): never {
    throw new ProtocolError(`${at}: this version cannot carry the field, and its value must not be dropped`, { wireCode: 35 });
  },
  checkInt64(value: number, noLimit: boolean, at: string): void {
    if (!isExact(value, noLimit)) throw new ProtocolError(`${at}: ${value} is not a whole number within 2^53`);
  },
} as const;
