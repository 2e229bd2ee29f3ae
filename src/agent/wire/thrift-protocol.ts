/**
 * Thrift's binary and compact protocols (thrift 0.14 specification), as far as Flume's service needs them: messages,
 * structs, strings, lists, maps and small numbers, and reading over whatever else a newer client may send. Field and
 * element types are the binary protocol's codes in both.
 */
import { ByteReader, type ByteWriter } from '../../lib/bytes.ts';
import { ProtocolError } from '../../lib/errors.ts';

/** Codes of types, as the binary protocol writes them. */
export const TYPE = { stop: 0, bool: 2, byte: 3, double: 4, i16: 6, i32: 8, i64: 10, string: 11, struct: 12, map: 13, set: 14, list: 15 } as const;
/** Kinds of messages. */
export const MESSAGE = { call: 1, reply: 2, exception: 3, oneway: 4 } as const;

export interface MessageHead {
  readonly name: string;
  readonly kind: number;
  readonly id: number;
}

/** Structs within structs that are followed when they are read over; deeper is an attack. */
const MOST_DEPTH = 64;

/** Reads one message. Everything throws ProtocolError when the bytes are not what they should be. */
export interface ThriftReader {
  message(): MessageHead;
  structBegin(): void;
  structEnd(): void;
  /** The type of the next field, {@link TYPE}.stop at the end; its number is then in `field`. */
  nextField(): number;
  readonly field: number;
  i32(): number;
  /** A view. */
  bytes(): Buffer;
  text(): string;
  /** The number of elements, whose type is then in `element`. */
  list(): number;
  /** The number of entries, whose types are then in `key` and `element`. */
  map(): number;
  readonly element: number;
  readonly key: number;
  /** Reads over a number or boolean; false = it is something else. */
  skipScalar(type: number): boolean;
}

/** Writes one message. */
export interface ThriftWriter {
  message(head: MessageHead): void;
  structBegin(): void;
  structEnd(): void;
  fieldBegin(type: number, field: number): void;
  i32(value: number): void;
  bytes(value: Buffer): void;
  text(value: string): void;
  list(type: number, count: number): void;
  map(key: number, value: number, count: number): void;
}

/** Every element has a byte at least: a count beyond that is garbage, not a reason to set memory aside. */
function checkCount(count: number, input: ByteReader): number {
  if (count < 0 || count > input.remaining) throw new ProtocolError(`a collection of ${count} elements in ${input.remaining} bytes`);
  return count;
}

/** Reads over a value. @throws ProtocolError an unknown type, or nested too deep */
export function skip(reader: ThriftReader, type: number, depth = 0): void {
  if (reader.skipScalar(type)) return;
  if (depth > MOST_DEPTH) throw new ProtocolError('structs are nested too deep');
  if (type === TYPE.string) reader.bytes();
  else if (type === TYPE.struct) {
    reader.structBegin();
    for (let inner = reader.nextField(); inner !== TYPE.stop; inner = reader.nextField()) skip(reader, inner, depth + 1);
    reader.structEnd();
  } else if (type === TYPE.list || type === TYPE.set) {
    const count = reader.list();
    const { element } = reader;
    for (let i = 0; i < count; i++) skip(reader, element, depth + 1);
  } else if (type === TYPE.map) {
    const count = reader.map();
    const { key, element } = reader;
    for (let i = 0; i < count; i++) {
      skip(reader, key, depth + 1);
      skip(reader, element, depth + 1);
    }
  } else throw new ProtocolError(`a value of unknown type ${type}`);
}

const VERSION_1 = 0x80010000;

/** TBinaryProtocol; messages with and without its version are read, as Java does. */
export class BinaryReader implements ThriftReader {
  readonly #input: ByteReader;
  field = 0;
  element = 0;
  key = 0;

  constructor(payload: Buffer) {
    this.#input = new ByteReader(payload);
  }

  message(): MessageHead {
    const first = this.#input.i32();
    if (first < 0) {
      if ((first & 0xffff0000) >>> 0 !== VERSION_1) throw new ProtocolError('a message of another version than 1');
      return { name: this.text(), kind: first & 0xff, id: this.#input.i32() };
    }
    return { name: this.#input.utf8(first), kind: this.#input.i8(), id: this.#input.i32() };
  }

  structBegin(): void {}
  structEnd(): void {}

  nextField(): number {
    const type = this.#input.u8();
    if (type !== TYPE.stop) this.field = this.#input.i16();
    return type;
  }

  i32(): number {
    return this.#input.i32();
  }
  bytes(): Buffer {
    return this.#input.bytes(this.#input.i32());
  }
  text(): string {
    return this.#input.utf8(this.#input.i32());
  }

  list(): number {
    this.element = this.#input.u8();
    return checkCount(this.#input.i32(), this.#input);
  }

  map(): number {
    this.key = this.#input.u8();
    this.element = this.#input.u8();
    return checkCount(this.#input.i32(), this.#input);
  }

  skipScalar(type: number): boolean {
    const size = FIXED_BYTES[type];
    if (size !== undefined) this.#input.skip(size);
    return size !== undefined;
  }
}

const FIXED_BYTES: Readonly<Record<number, number>> = { [TYPE.bool]: 1, [TYPE.byte]: 1, [TYPE.double]: 8, [TYPE.i16]: 2, [TYPE.i32]: 4, [TYPE.i64]: 8 };

export class BinaryWriter implements ThriftWriter {
  readonly #out: ByteWriter;

  constructor(out: ByteWriter) {
    this.#out = out;
  }

  message({ name, kind, id }: MessageHead): void {
    this.#out.i32(VERSION_1 | kind);
    this.text(name);
    this.#out.i32(id);
  }

  structBegin(): void {}
  structEnd(): void {
    this.#out.u8(TYPE.stop);
  }
  fieldBegin(type: number, field: number): void {
    this.#out.u8(type);
    this.#out.i16(field);
  }
  i32(value: number): void {
    this.#out.i32(value);
  }
  bytes(value: Buffer): void {
    this.#out.i32(value.length);
    this.#out.bytes(value);
  }
  text(value: string): void {
    this.#out.i32(Buffer.byteLength(value));
    this.#out.utf8(value);
  }
  list(type: number, count: number): void {
    this.#out.u8(type);
    this.#out.i32(count);
  }
  map(key: number, value: number, count: number): void {
    this.#out.u8(key);
    this.#out.u8(value);
    this.#out.i32(count);
  }
}

const COMPACT_ID = 0x82;
const COMPACT_VERSION = 1;
/** The compact protocol's codes in order; 1 is true, 2 is false. */
const FROM_COMPACT: readonly number[] = [
  TYPE.stop,
  TYPE.bool,
  TYPE.bool,
  TYPE.byte,
  TYPE.i16,
  TYPE.i32,
  TYPE.i64,
  TYPE.double,
  TYPE.string,
  TYPE.list,
  TYPE.set,
  TYPE.map,
  TYPE.struct,
];
const TO_COMPACT = (type: number): number => FROM_COMPACT.lastIndexOf(type);

function fromCompact(code: number): number {
  const type = FROM_COMPACT[code];
  if (type === undefined) throw new ProtocolError(`a value of unknown type ${code}`);
  return type;
}

/** TCompactProtocol. */
export class CompactReader implements ThriftReader {
  readonly #input: ByteReader;
  /** Field numbers of the structs around the one being read. */
  readonly #outer: number[] = [];
  /** The last field was a boolean, whose value is in its header. */
  #boolInHeader = false;
  field = 0;
  element = 0;
  key = 0;

  constructor(payload: Buffer) {
    this.#input = new ByteReader(payload);
  }

  message(): MessageHead {
    const input = this.#input;
    if (input.u8() !== COMPACT_ID) throw new ProtocolError('a message of another protocol than compact');
    const byte = input.u8();
    if ((byte & 0x1f) !== COMPACT_VERSION) throw new ProtocolError(`a message of compact version ${byte & 0x1f}`);
    const id = input.uvarint() | 0;
    return { kind: byte >> 5, id, name: this.text() };
  }

  structBegin(): void {
    if (this.#outer.length > MOST_DEPTH) throw new ProtocolError('structs are nested too deep');
    this.#outer.push(this.field);
    this.field = 0;
  }
  structEnd(): void {
    this.field = this.#outer.pop() as number;
  }

  nextField(): number {
    const byte = this.#input.u8();
    const code = byte & 0x0f;
    if (code === 0) return TYPE.stop;
    const delta = byte >> 4;
    this.field = delta === 0 ? this.#input.varint() : this.field + delta;
    const type = fromCompact(code);
    this.#boolInHeader = type === TYPE.bool;
    return type;
  }

  i32(): number {
    return this.#input.varint();
  }
  bytes(): Buffer {
    return this.#input.bytes(this.#input.uvarint());
  }
  text(): string {
    return this.#input.utf8(this.#input.uvarint());
  }

  list(): number {
    const byte = this.#input.u8();
    this.#boolInHeader = false;
    this.element = fromCompact(byte & 0x0f);
    const short = byte >> 4;
    return checkCount(short === 15 ? this.#input.uvarint() : short, this.#input);
  }

  map(): number {
    const count = checkCount(this.#input.uvarint(), this.#input);
    this.#boolInHeader = false;
    const types = count === 0 ? 0 : this.#input.u8();
    this.key = fromCompact(types >> 4);
    this.element = fromCompact(types & 0x0f);
    return count;
  }

  skipScalar(type: number): boolean {
    if (type === TYPE.bool) {
      if (!this.#boolInHeader) this.#input.skip(1);
      this.#boolInHeader = false;
    } else if (type === TYPE.byte) this.#input.skip(1);
    else if (type === TYPE.double) this.#input.skip(8);
    else if (type === TYPE.i16 || type === TYPE.i32 || type === TYPE.i64) this.#input.varlong();
    else return false;
    return true;
  }
}

export class CompactWriter implements ThriftWriter {
  readonly #out: ByteWriter;
  readonly #outer: number[] = [];
  #field = 0;

  constructor(out: ByteWriter) {
    this.#out = out;
  }

  message({ name, kind, id }: MessageHead): void {
    this.#out.u8(COMPACT_ID);
    this.#out.u8((kind << 5) | COMPACT_VERSION);
    this.#out.uvarint(id);
    this.text(name);
  }

  structBegin(): void {
    this.#outer.push(this.#field);
    this.#field = 0;
  }
  structEnd(): void {
    this.#out.u8(TYPE.stop);
    this.#field = this.#outer.pop() as number;
  }
  fieldBegin(type: number, field: number): void {
    const delta = field - this.#field;
    const code = TO_COMPACT(type);
    if (delta > 0 && delta <= 15) this.#out.u8((delta << 4) | code);
    else {
      this.#out.u8(code);
      this.#out.varint(field);
    }
    this.#field = field;
  }
  i32(value: number): void {
    this.#out.varint(value);
  }
  bytes(value: Buffer): void {
    this.#out.uvarint(value.length);
    this.#out.bytes(value);
  }
  text(value: string): void {
    this.#out.uvarint(Buffer.byteLength(value));
    this.#out.utf8(value);
  }
  list(type: number, count: number): void {
    const code = TO_COMPACT(type);
    if (count < 15) this.#out.u8((count << 4) | code);
    else {
      this.#out.u8(0xf0 | code);
      this.#out.uvarint(count);
    }
  }
  map(key: number, value: number, count: number): void {
    this.#out.uvarint(count);
    if (count > 0) this.#out.u8((TO_COMPACT(key) << 4) | TO_COMPACT(value));
  }
}

/** The value of a thrift component's property `protocol`. */
export type ThriftProtocolName = 'compact' | 'binary';

/** A reader of one message. @throws ProtocolError the message is of the other protocol */
export function thriftReader(protocol: ThriftProtocolName, payload: Buffer): ThriftReader {
  const other = protocol === 'compact' ? payload[0] === 0x80 && payload[1] === 1 : payload[0] === COMPACT_ID && ((payload[1] ?? 0) & 0x1f) === COMPACT_VERSION;
  if (other) {
    const theirs = protocol === 'compact' ? 'binary' : 'compact';
    throw new ProtocolError(`the other end speaks Thrift’s ${theirs} protocol; set protocol = ${theirs} here, or ${protocol} there`);
  }
  return protocol === 'compact' ? new CompactReader(payload) : new BinaryReader(payload);
}

export function thriftWriter(protocol: ThriftProtocolName, out: ByteWriter): ThriftWriter {
  return protocol === 'compact' ? new CompactWriter(out) : new BinaryWriter(out);
}
