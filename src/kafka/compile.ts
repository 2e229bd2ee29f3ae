/**
 * Turns the declaration of a message and a version into straight-line functions, on first use: about 30 µs each, and
 * then as fast as code written by hand. The only `new Function` of the house; its source is made of our own field names
 * and numbers alone, never of input. The oracle is the interpreter in test/interpreter.ts.
 *
 * Decoding trusts nothing: every read is bounded, counts are checked against the bytes that are left before anything is
 * allocated, null where the version forbids it is a ProtocolError, unknown tagged fields are skipped (KIP-482).
 * Encoding refuses what the version cannot carry: a value other than the default in a field that it lacks, unless the
 * field is ignorable.
 */
import { ByteReader, ByteWriter } from '../lib/bytes.ts';
import { ProtocolError } from '../lib/errors.ts';
import type { AnyApi, AnyField, Decoded, Draft, Fields, Message, RequestDraft, RequestOf, ResponseDraft, ResponseOf } from './schema.ts';
import { mayBeNull, rangeText, within } from './schema.ts';
import { wire } from './wire.ts';

type Decode<T> = (reader: ByteReader) => T;
type Encode<T> = (writer: ByteWriter, value: T) => void;

/** The four functions of one version of an API; each is compiled when it is first asked for. */
export class Codec<A extends AnyApi> {
  readonly api: A;
  readonly version: number;
  readonly flexible: boolean;
  readonly #compiled: { [name: string]: unknown } = {};

  constructor(api: A, version: number) {
    this.api = api;
    this.version = version;
    this.flexible = version >= api.flexible;
  }

  get decodeRequest(): Decode<RequestOf<A>> {
    return this.#once('decodeRequest', compileDecoder, this.api.request);
  }
  get encodeRequest(): Encode<RequestDraft<A>> {
    return this.#once('encodeRequest', compileEncoder, this.api.request);
  }
  get decodeResponse(): Decode<ResponseOf<A>> {
    return this.#once('decodeResponse', compileDecoder, this.api.response);
  }
  get encodeResponse(): Encode<ResponseDraft<A>> {
    return this.#once('encodeResponse', compileEncoder, this.api.response);
  }

  #once<F>(name: string, compile: (layout: Layout) => unknown, fields: Fields): F {
    this.#compiled[name] ??= compile({ fields, version: this.version, flexible: this.flexible, name: `${this.api.name}.${name.slice(6).toLowerCase()}` });
    return this.#compiled[name] as F;
  }
}

/** One message in one version. */
interface Layout {
  readonly fields: Fields;
  readonly version: number;
  readonly flexible: boolean;
  /** For error texts. */
  readonly name: string;
}

const codecs = new WeakMap<AnyApi, (Codec<AnyApi> | undefined)[]>();

/** @throws ProtocolError if the table does not hold this version */
export function codec<A extends AnyApi>(api: A, version: number): Codec<A> {
  const known = codecs.get(api) ?? [];
  const found = known[version];
  if (found !== undefined) return found as unknown as Codec<A>;
  if (!within(api.versions, version)) throw new ProtocolError(`${api.name} version ${version} is outside of ${rangeText(api.versions)}`, { wireCode: 35 });
  const made = new Codec(api, version);
  known[version] = made as unknown as Codec<AnyApi>;
  codecs.set(api, known);
  return made;
}

interface MessageCodec {
  readonly decode: Decode<unknown>;
  readonly encode: Encode<unknown>;
}
const messageCodecs = new WeakMap<object, (MessageCodec | undefined)[]>();

function messageCodec(message: Message, version: number): MessageCodec {
  const known = messageCodecs.get(message) ?? [];
  const found = known[version];
  if (found !== undefined) return found;
  const layout: Layout = { fields: message.fields, version, flexible: version >= message.flexible, name: message.name };
  const made: MessageCodec = { decode: compileDecoder(layout), encode: compileEncoder(layout) };
  known[version] = made;
  messageCodecs.set(message, known);
  return made;
}

/** The bytes of a stored or embedded message, its int16 version first. */
export function encodeMessage<F extends Fields>(message: Message<F>, version: number, value: Draft<F>): Buffer {
  if (!within(message.versions, version)) throw new ProtocolError(`${message.name} version ${version} is outside of ${rangeText(message.versions)}`);
  const writer = new ByteWriter(128);
  writer.i16(version);
  messageCodec(message as unknown as Message, version).encode(writer, value);
  return writer.finish();
}

/** Reads what {@link encodeMessage} wrote. @throws ProtocolError if the bytes are cut short or of an unknown version */
export function decodeMessage<F extends Fields>(message: Message<F>, data: Buffer): Decoded<F> & { readonly version: number } {
  const reader = new ByteReader(data);
  const version = reader.i16();
  const readable = message.newerIsReadable ? Math.min(version, message.versions[1]) : version;
  if (!within(message.versions, readable)) throw new ProtocolError(`${message.name} version ${version} is outside of ${rangeText(message.versions)}`);
  return Object.assign(messageCodec(message as unknown as Message, readable).decode(reader) as Decoded<F>, { version });
}

/** Source text under construction; names of locals are made unique by number. */
class Source {
  readonly lines: string[] = [];
  readonly version: number;
  readonly flexible: boolean;
  #locals = 0;

  constructor({ version, flexible }: Layout) {
    this.version = version;
    this.flexible = flexible;
  }

  line(text: string): void {
    this.lines.push(text);
  }

  local(): string {
    return `v${this.#locals++}`;
  }

  function(parameters: string): unknown {
    return new Function('wire', `'use strict'; return function (${parameters}) {\n${this.lines.join('\n')}\n};`)(wire);
  }

  /** Where a value is, for error texts: a quoted string. */
  at(path: string): string {
    return JSON.stringify(`${path} v${this.version}`);
  }
}

function compileDecoder<T>(layout: Layout): Decode<T> {
  const source = new Source(layout);
  const result = readFields(source, layout.fields, layout.name);
  source.line(`return ${result};`);
  return source.function('r') as Decode<T>;
}

function compileEncoder<T>(layout: Layout): Encode<T> {
  const source = new Source(layout);
  writeFields(source, layout.fields, { from: 'o', writer: 'w', path: layout.name });
  return source.function('w, o') as Encode<T>;
}

const FIXED: Readonly<Record<string, readonly [method: string, size: number]>> = {
  bool: ['bool', 1],
  int8: ['i8', 1],
  int16: ['i16', 2],
  int32: ['i32', 4],
  int64: ['i64', 8],
  float64: ['f64', 8],
  uuid: ['uuid', 16],
};

/** The fewest bytes that a value can take: what makes a count of elements believable. */
function minSize(source: Source, field: AnyField): number {
  const { kind, fields } = field.spec;
  const fixed = FIXED[kind];
  if (fixed) return fixed[1];
  if (kind === 'struct') {
    if (mayBeNull(field, source.version)) return 1;
    let sum = source.flexible ? 1 : 0;
    for (const one of Object.values(fields!)) if (one.spec.tag < 0 && within(one.spec.versions, source.version)) sum += minSize(source, one);
    return sum;
  }
  if (source.flexible) return 1;
  return kind === 'string' ? 2 : 4;
}

/** An expression for what an absent field reads as; a fresh object each time it is evaluated. */
function preset(field: AnyField): string {
  const { kind, fields, preset: value } = field.spec;
  if (kind === 'struct' && value !== null) return `{ ${Object.entries(fields!).map(([key, one]) => `${key}: ${preset(one)}`)} }`;
  if (value === null) return 'null';
  if (kind === 'array') return '[]';
  if (kind === 'bytes' || kind === 'records') return 'wire.noBytes';
  return JSON.stringify(value);
}

/** Emits the reading of a struct's fields and returns the object literal that holds them, in declared order for every version. */
function readFields(source: Source, fields: Fields, path: string): string {
  const entries: string[] = [];
  const tagged: [name: string, local: string, field: AnyField][] = [];
  for (const [name, field] of Object.entries(fields)) {
    if (!within(field.spec.versions, source.version)) {
      entries.push(`${name}: ${preset(field)}`);
      continue;
    }
    const local = source.local();
    entries.push(`${name}: ${local}`);
    if (field.spec.tag < 0) readField(source, field, local, `${path}.${name}`);
    else {
      source.line(`let ${local} = ${preset(field)};`);
      tagged.push([name, local, field]);
    }
  }
  if (source.flexible) readTags(source, tagged, path);
  return `{ ${entries.join(', ')} }`;
}

function readTags(source: Source, tagged: readonly (readonly [string, string, AnyField])[], path: string): void {
  if (tagged.length === 0) {
    source.line('wire.skipTags(r);');
    return;
  }
  const [left, last, tag, size, end] = [source.local(), source.local(), source.local(), source.local(), source.local()];
  source.line(`for (let ${left} = r.uvarint(), ${last} = -1; ${left} > 0; ${left}--) {`);
  source.line(`const ${tag} = r.uvarint(), ${size} = r.uvarint(), ${end} = r.pos + ${size};`);
  source.line(`if (${tag} <= ${last} || ${size} > r.remaining) wire.badTag(${tag}, ${size}, ${source.at(path)}); ${last} = ${tag};`);
  source.line(`switch (${tag}) {`);
  for (const [name, local, field] of tagged) {
    const value = source.local();
    source.line(`case ${field.spec.tag}: {`);
    readField(source, field, value, `${path}.${name}`);
    source.line(`if (r.pos !== ${end}) wire.badTag(${tag}, ${size}, ${source.at(path)}); ${local} = ${value}; break; }`);
  }
  source.line(`default: r.skip(${size}); } }`);
}

function readField(source: Source, field: AnyField, local: string, path: string): void {
  const { kind } = field.spec;
  const fixed = FIXED[kind];
  if (fixed) source.line(`const ${local} = r.${fixed[0]}();`);
  else if (kind === 'array') readArray(source, field, local, path);
  else if (kind === 'struct') readStruct(source, field, local, path);
  else {
    const read = `wire.${source.flexible ? 'compact' : 'plain'}${kind === 'string' ? 'String' : 'Bytes'}(r)`;
    source.line(`const ${local} = ${read}${mayBeNull(field, source.version) ? '' : ` ?? wire.illegalNull(${source.at(path)})`};`);
  }
}

/** Null is -1 in front of a struct, but 0 when the struct is in a tag; anything else is 1. */
function readStruct(source: Source, field: AnyField, local: string, path: string): void {
  const orNull = mayBeNull(field, source.version);
  source.line(`let ${local} = null;`);
  source.line(orNull ? `if (r.i8() ${field.spec.tag < 0 ? '>=' : '>'} 0) {` : '{');
  source.line(`${local} = ${readFields(source, field.spec.fields!, path)}; }`);
}

function readArray(source: Source, field: AnyField, local: string, path: string): void {
  const element = field.spec.element!;
  const [count, index, item] = [source.local(), source.local(), source.local()];
  source.line(`const ${count} = ${source.flexible ? 'r.uvarint() - 1' : 'r.i32()'}; let ${local} = null;`);
  source.line(`if (${count} >= 0) { wire.checkCount(r, ${count}, ${minSize(source, element)}, ${source.at(path)}); ${local} = [];`);
  source.line(`for (let ${index} = 0; ${index} < ${count}; ${index}++) {`);
  if (element.spec.kind === 'struct' && !mayBeNull(element, source.version)) source.line(`${local}.push(${readFields(source, element.spec.fields!, path)});`);
  else {
    readField(source, element, item, path);
    source.line(`${local}.push(${item});`);
  }
  const legal = mayBeNull(field, source.version) ? `if (${count} !== -1) ` : '';
  source.line(`} } else ${legal}wire.illegalNull(${source.at(path)});`);
}

/** Where the value to write comes from, where it goes, and what it is called. */
interface Target {
  readonly from: string;
  readonly writer: string;
  readonly path: string;
}

function writeFields(source: Source, fields: Fields, { from, writer, path }: Target): void {
  const tagged: [name: string, local: string, field: AnyField][] = [];
  for (const [name, field] of Object.entries(fields)) {
    const here = `${path}.${name}`;
    if (!within(field.spec.versions, source.version)) {
      if (field.spec.ignorable) continue;
      const local = source.local();
      source.line(`const ${local} = ${from}.${name}; if (${local} !== undefined && !(${isPreset(field, local)})) wire.notInVersion(${source.at(here)});`);
      continue;
    }
    const local = source.local();
    source.line(`let ${local} = ${from}.${name}; if (${local} === undefined) ${local} = ${preset(field)};`);
    if (field.spec.tag < 0) writeField(source, field, { from: local, writer, path: here });
    else tagged.push([name, local, field]);
  }
  if (!source.flexible) return;
  tagged.sort((a, b) => a[2].spec.tag - b[2].spec.tag);
  source.line(`${writer}.uvarint(0${tagged.map(([, local, field]) => ` + (${isPreset(field, local)} ? 0 : 1)`).join('')});`);
  for (const [name, local, field] of tagged) {
    const inner = source.local();
    source.line(`if (!(${isPreset(field, local)})) { const ${inner} = wire.newWriter();`);
    writeField(source, field, { from: local, writer: inner, path: `${path}.${name}` });
    source.line(`${writer}.uvarint(${field.spec.tag}); ${writer}.uvarint(${inner}.length); ${writer}.bytes(${inner}.finish()); }`);
  }
}

/** A condition that is true when the value equals the field's default (and so needs no tag, or may be dropped). */
function isPreset(field: AnyField, value: string): string {
  const { kind, fields, preset: expected } = field.spec;
  if (expected === null) return `${value} === null`;
  if (kind === 'struct') {
    const same = Object.entries(fields!).map(([key, one]) => `(${value}.${key} === undefined || ${isPreset(one, `${value}.${key}`)})`);
    return `(${value} !== null && ${same.join(' && ')})`;
  }
  if (kind === 'array' || kind === 'bytes' || kind === 'records') return `(${value} !== null && ${value}.length === 0)`;
  return `${value} === ${JSON.stringify(expected)}`;
}

function writeField(source: Source, field: AnyField, target: Target): void {
  const { kind, noLimit } = field.spec;
  const { from, writer, path } = target;
  const fixed = FIXED[kind];
  if (kind === 'int64') source.line(`if (!Number.isSafeInteger(${from})) wire.checkInt64(${from}, ${noLimit}, ${source.at(path)});`);
  if (fixed) source.line(`${writer}.${fixed[0]}(${from});`);
  else if (kind === 'array') writeArray(source, field, target);
  else if (kind === 'struct') writeStruct(source, field, target);
  else {
    if (!mayBeNull(field, source.version)) source.line(`if (${from} === null) wire.illegalNull(${source.at(path)});`);
    const method = `${source.flexible ? 'writeCompact' : 'writePlain'}${kind[0]!.toUpperCase()}${kind.slice(1)}`;
    source.line(`wire.${method}(${writer}, ${from});`);
  }
}

function writeStruct(source: Source, field: AnyField, target: Target): void {
  const { from, writer, path } = target;
  if (mayBeNull(field, source.version)) source.line(`if (${from} === null) ${writer}.i8(${field.spec.tag < 0 ? -1 : 0}); else { ${writer}.i8(1);`);
  else source.line(`if (${from} === null) wire.illegalNull(${source.at(path)}); else {`);
  writeFields(source, field.spec.fields!, target);
  source.line('}');
}

function writeArray(source: Source, field: AnyField, { from, writer, path }: Target): void {
  const element = field.spec.element!;
  const [index, item] = [source.local(), source.local()];
  const count = (n: string) => (source.flexible ? `${writer}.uvarint(${n} + 1);` : `${writer}.i32(${n});`);
  source.line(`if (${from} === null) { ${mayBeNull(field, source.version) ? count('-1') : `wire.illegalNull(${source.at(path)});`} }`);
  source.line(`else { ${count(`${from}.length`)} for (let ${index} = 0; ${index} < ${from}.length; ${index}++) { const ${item} = ${from}[${index}];`);
  writeField(source, element, { from: item, writer, path });
  source.line('} }');
}
