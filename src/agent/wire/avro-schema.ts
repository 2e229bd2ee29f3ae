/**
 * What Flume needs of Avro schemas: the parsing canonical form (Avro 1.11 specification, "Transforming into Parsing
 * Canonical Form"), its CRC-64-AVRO fingerprint as Flume prints it, and cutting packed datums apart. The only file that
 * imports avsc, and only when datums have to be cut. avsc gets the canonical form, in which defaults, aliases and
 * logical types are gone: Java does not check those either when it reads a file.
 */
import { createRequire } from 'node:module';
import type { Type } from 'avsc';
import { ProtocolError } from '../../lib/errors.ts';

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

interface SchemaObject {
  readonly type?: unknown;
  readonly name?: string;
  readonly namespace?: string;
  readonly fields?: readonly SchemaObject[];
  readonly symbols?: readonly string[];
  readonly items?: unknown;
  readonly values?: unknown;
  readonly size?: number;
}

/** The parsing canonical form of a schema text. @throws ProtocolError not a schema */
export function canonicalForm(schema: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(schema);
  } catch (cause) {
    // A bare word such as `string` is a schema too.
    if (PRIMITIVES.has(schema.trim())) return JSON.stringify(schema.trim());
    throw new ProtocolError(`the Avro schema is not JSON: ${(cause as Error).message}`, { cause });
  }
  return canonical(parsed, '');
}

function canonical(node: unknown, namespace: string): string {
  if (typeof node === 'string') return JSON.stringify(PRIMITIVES.has(node) ? node : fullName(node, namespace));
  if (Array.isArray(node)) return `[${node.map((branch) => canonical(branch, namespace)).join(',')}]`;
  if (node === null || typeof node !== 'object') throw new ProtocolError(`${JSON.stringify(node)} is not an Avro schema`);
  const schema = node as SchemaObject;
  const { type } = schema;
  if (typeof type !== 'string') return canonical(type, namespace);
  if (type === 'array') return `{"type":"array","items":${canonical(schema.items, namespace)}}`;
  if (type === 'map') return `{"type":"map","values":${canonical(schema.values, namespace)}}`;
  if (type === 'record' || type === 'error' || type === 'enum' || type === 'fixed') return named(schema, type, namespace);
  return canonical(type, namespace);
}

function named(schema: SchemaObject, type: string, outer: string): string {
  if (typeof schema.name !== 'string') throw new ProtocolError(`an Avro ${type} has no name`);
  const name = fullName(schema.name, schema.namespace ?? outer);
  const head = `{"name":${JSON.stringify(name)},"type":"${type}"`;
  if (type === 'enum') return `${head},"symbols":${JSON.stringify(schema.symbols ?? [])}}`;
  if (type === 'fixed') return `${head},"size":${Number(schema.size)}}`;
  const inner = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
  const fields = (schema.fields ?? []).map((field) => `{"name":${JSON.stringify(field.name)},"type":${canonical(field.type, inner)}}`);
  return `${head},"fields":[${fields.join(',')}]}`;
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
}

/** Polynomial and value of the empty text, as in the Avro specification. */
const EMPTY = 0xc15d213aa4d7a795n;

/** CRC-64-AVRO of the canonical form, as hex of its bytes in little-endian order: Flume's header `flume.avro.schema.hash`. */
export function schemaFingerprint(schema: string): string {
  let crc = EMPTY;
  for (const byte of Buffer.from(canonicalForm(schema))) {
    let bits = (crc ^ BigInt(byte)) & 0xffn;
    for (let i = 0; i < 8; i++) bits = bits & 1n ? (bits >> 1n) ^ EMPTY : bits >> 1n;
    crc = (crc >> 8n) ^ bits;
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(crc);
  return bytes.toString('hex');
}

const require = createRequire(import.meta.url);

/** Cuts the datums of a block apart: views of `block`, one per datum. */
export type DatumCutter = (block: Buffer, count: number) => Buffer[];

/** @throws ProtocolError at once for a schema that cannot be read; the cutter throws it for datums that do not fit */
export function datumCutter(schema: string): DatumCutter {
  const type = avscType(canonicalForm(schema));
  return (block, count) => {
    const datums: Buffer[] = [];
    let at = 0;
    for (let i = 0; i < count; i++) {
      const { offset } = type.decode(block, at);
      // avsc answers -1 when the datum goes on behind the end.
      if (offset < 0) throw new ProtocolError(`datum ${i + 1} of ${count} ends behind its block`);
      datums.push(block.subarray(at, offset));
      at = offset;
    }
    if (at !== block.length) throw new ProtocolError(`${block.length - at} bytes follow the ${count} datums of a block`);
    return datums;
  };
}

/**
 * Reads datums written by one schema as another sees them (Avro's schema resolution): strings, numbers, plain objects for
 * records and maps. @throws ProtocolError at once when the schemas do not fit; the reader throws it for datums that do not
 */
export function resolvingReader(writerSchema: string, readerSchema: string): (bytes: Buffer, at: number) => unknown {
  const avsc = require('avsc') as typeof import('avsc');
  try {
    const reader = avsc.Type.forSchema(JSON.parse(readerSchema));
    const writer = avsc.Type.forSchema(JSON.parse(writerSchema));
    const resolver = reader.createResolver(writer);
    return (bytes, at) => {
      const { value, offset } = reader.decode(bytes, at, resolver);
      if (offset < 0) throw new ProtocolError('the data ends within a value');
      return value;
    };
  } catch (cause) {
    throw new ProtocolError(`the Avro schemas do not fit: ${(cause as Error).message}`, { cause });
  }
}

function avscType(canonicalSchema: string): Type {
  const avsc = require('avsc') as typeof import('avsc');
  // Values are thrown away, but plain avsc refuses longs beyond 2^53; as bytes every long will do.
  const long = avsc.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => bytes,
    toBuffer: (bytes: Buffer) => bytes,
    fromJSON: () => null,
    toJSON: () => null,
    isValid: () => true,
    compare: () => 0,
  });
  try {
    return avsc.Type.forSchema(JSON.parse(canonicalSchema), { registry: { long }, wrapUnions: true });
  } catch (cause) {
    throw new ProtocolError(`the Avro schema cannot be read: ${(cause as Error).message}`, { cause });
  }
}
