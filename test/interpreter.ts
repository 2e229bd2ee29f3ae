/**
 * The protocol table read word by word, slowly and obviously: the oracle for src/kafka/compile.ts. It shares only the
 * declarations with it, neither the reader nor the writer.
 */
import type { AnyField, Fields } from '../src/kafka/schema.ts';

export type Value = null | boolean | number | string | Buffer | Value[] | { [name: string]: Value };

const inRange = (r: readonly [number, number] | undefined, v: number): boolean => r !== undefined && v >= r[0] && v <= r[1];
const big = (n: number): bigint => (n === 2 ** 63 ? 2n ** 63n - 1n : BigInt(n));
const numberBytes: Record<string, (n: number) => Buffer> = {
  int8: (n) => Buffer.from(Int8Array.of(n).buffer),
  int16: (n) => Buffer.from(Int16Array.of(n).buffer).swap16(),
  uint16: (n) => Buffer.from(Uint16Array.of(n).buffer).swap16(),
  int32: (n) => Buffer.from(Int32Array.of(n).buffer).swap32(),
  uint32: (n) => Buffer.from(Uint32Array.of(n).buffer).swap32(),
  int64: (n) => Buffer.from(BigInt64Array.of(big(n)).buffer).swap64(),
  float64: (n) => Buffer.from(Float64Array.of(n).buffer).swap64(),
};

function uvarint(n: number): Buffer {
  return n < 128 ? Buffer.from([n]) : Buffer.concat([Buffer.from([(n % 128) + 128]), uvarint(Math.floor(n / 128))]);
}

/** How a length or count is written; -1 is null. */
function length(n: number, flexible: boolean, width: 'int16' | 'int32'): Buffer {
  return flexible ? uvarint(n + 1) : numberBytes[width]!(n);
}

export function interpretField(field: AnyField, value: Value, version: number, flexible: boolean): Buffer {
  const { kind, element, fields, nullable } = field.spec;
  if (kind === 'bool') return Buffer.from([value ? 1 : 0]);
  if (kind in numberBytes) return numberBytes[kind]!(value as number);
  if (kind === 'uuid') return Buffer.from(value as string, 'base64url');
  if (kind === 'struct') {
    const body = value === null ? Buffer.alloc(0) : interpret(fields!, value as { [name: string]: Value }, version, flexible);
    return inRange(nullable, version) ? Buffer.concat([Buffer.from([value === null ? 255 : 1]), body]) : body;
  }
  if (value === null) return length(-1, flexible, kind === 'string' ? 'int16' : 'int32');
  if (kind === 'array') {
    const items = (value as Value[]).map((item) => interpretField(element!, item, version, flexible));
    return Buffer.concat([length(items.length, flexible, 'int32'), ...items]);
  }
  const data = kind === 'string' ? Buffer.from(value as string) : (value as Buffer);
  return Buffer.concat([length(data.length, flexible, kind === 'string' ? 'int16' : 'int32'), data]);
}

/** The bytes of a struct; fields in a tag are written when they are present in `value`. */
export function interpret(fields: Fields, value: { [name: string]: Value }, version: number, flexible: boolean): Buffer {
  const present = Object.entries(fields).filter(([name, field]) => inRange(field.spec.versions, version) && value[name] !== undefined);
  const bytesOf = ([name, field]: [string, AnyField]): Buffer => interpretField(field, value[name]!, version, flexible);
  const parts = present.filter(([, field]) => field.spec.tag < 0).map(bytesOf);
  if (!flexible) return Buffer.concat(parts);
  const tagged = present.filter(([, field]) => field.spec.tag >= 0).sort((a, b) => a[1].spec.tag - b[1].spec.tag);
  const tags = tagged.flatMap((entry) => [uvarint(entry[1].spec.tag), uvarint(bytesOf(entry).length), bytesOf(entry)]);
  return Buffer.concat([...parts, uvarint(tagged.length), ...tags]);
}
