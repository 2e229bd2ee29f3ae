/**
 * How a Kafka message is declared: a record of fields whose key order is wire order and whose types follow. The rules
 * (versions, nullable versions, tags, defaults, ignorable) are those of Kafka's own message definitions
 * (`clients/src/main/resources/common/message/README.md`, KIP-482 for tags). Nothing here reads or writes bytes:
 * {@link file://./compile.ts} turns a declaration into code.
 *
 * In JavaScript: int64 is a number, exact to 2^53. A field that may also carry 2^63-1 ("no limit") or -2^63 says
 * `.noLimit()`; any other int64 beyond 2^53 is refused when it is encoded, so that a rounded value never leaves the house.
 * A uuid is Kafka's 22-character text; bytes and records are Buffers, views of the frame when they were decoded.
 */
import { INT64_MAX } from '../lib/bytes.ts';

/** First and last version, both included; open ranges end with Infinity. */
export type Range = readonly [first: number, last: number];

/** Reads "3+", "0-7" or "5". */
export function range(text: string): Range {
  const match = /^(\d+)(\+|-(\d+))?$/.exec(text);
  if (!match) throw new Error(`"${text}" is no version range`);
  const first = Number(match[1]);
  if (match[2] === '+') return [first, Number.POSITIVE_INFINITY];
  return [first, match[3] === undefined ? first : Number(match[3])];
}

/** "0-9", or "3" when there is only one version. */
export function rangeText([first, last]: Range): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

export function within([first, last]: Range, version: number): boolean {
  return version >= first && version <= last;
}

export type Kind = 'bool' | 'int8' | 'int16' | 'int32' | 'int64' | 'float64' | 'string' | 'uuid' | 'bytes' | 'records' | 'array' | 'struct';

/** What is known about a field; plain data, read by the compiler, the oracle of the tests and the drift digest. */
export interface FieldSpec {
  readonly kind: Kind;
  /** Arrays only. */
  readonly element?: AnyField;
  /** Structs only. */
  readonly fields?: Fields;
  readonly versions: Range;
  /** Versions in which null is legal. */
  readonly nullable: Range | undefined;
  /** Number in the tagged section, or -1 for a positional field. */
  readonly tag: number;
  /** Value of an absent field; undefined for a struct whose fields give their own. */
  readonly preset: unknown;
  /** A sender may drop the value in versions that lack the field. */
  readonly ignorable: boolean;
  readonly noLimit: boolean;
}

const NEVER: Range = [1, 0];
const ALWAYS: Range = [0, Number.POSITIVE_INFINITY];
/** The id of nothing; Kafka's Uuid.ZERO_UUID. */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA';
export const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * One field. `T` is what decoding gives, `D` what encoding takes, `Optional` whether encoding may leave it out.
 * Every method returns a new field.
 */
export class Field<T, D = T, Optional extends boolean = false> {
  /** Types only; not there at run time. */
  declare readonly decoded: T;
  declare readonly draft: D;
  declare readonly optional: Optional;
  readonly spec: FieldSpec;

  constructor(spec: FieldSpec) {
    this.spec = spec;
  }

  /** Present from this version on. */
  since(version: number): Field<T, D, true> {
    return new Field({ ...this.spec, versions: [version, this.spec.versions[1]] });
  }

  /** Present up to and including this version. */
  until(version: number): Field<T, D, true> {
    return new Field({ ...this.spec, versions: [this.spec.versions[0], version] });
  }

  /** Null is legal in these versions (of those that have the field). */
  nullable(versions = '0+'): Field<T | null, D | null, Optional> {
    return new Field({ ...this.spec, nullable: range(versions) });
  }

  /** In the tagged section, under this number, in these versions; absent elsewhere. */
  tag(number: number, versions: string): Field<T, D, true> {
    return new Field({ ...this.spec, tag: number, versions: range(versions) });
  }

  /** What an absent field reads as, and what may be left out when encoding. Without it: 0, false, '', [], no bytes. */
  default(value: T): Field<T, D, true> {
    return new Field({ ...this.spec, preset: value });
  }

  ignorable(): Field<T, D, Optional> {
    return new Field({ ...this.spec, ignorable: true });
  }

  /** int64 only: 2^63-1 and -2^63 are legal values, kept bit for bit. */
  noLimit(): Field<T, D, Optional> {
    return new Field({ ...this.spec, noLimit: true });
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the value types differ per field
export type AnyField = Field<any, any, boolean>;
export type Fields = { readonly [name: string]: AnyField };

/** What decoding gives: every field, absent ones with their default. */
export type Decoded<F extends Fields> = { [K in keyof F]: F[K]['decoded'] };
type OptionalKeys<F extends Fields> = { [K in keyof F]: F[K]['optional'] extends true ? K : never }[keyof F];
/** What encoding takes: fields with a default, a tag or a limited range of versions may be left out. */
export type Draft<F extends Fields> = { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: F[K]['draft'] } & {
  readonly [K in OptionalKeys<F>]?: F[K]['draft'] | undefined;
};

function scalar<T>(kind: Kind, preset: T): Field<T> {
  return new Field({ kind, preset, versions: ALWAYS, nullable: undefined, tag: -1, ignorable: false, noLimit: false });
}

export const bool = () => scalar('bool', false);
export const int8 = () => scalar('int8', 0);
export const int16 = () => scalar('int16', 0);
export const int32 = () => scalar('int32', 0);
export const int64 = () => scalar('int64', 0);
export const float64 = () => scalar('float64', 0);
export const string = () => scalar('string', '');
export const uuid = () => scalar('uuid', ZERO_UUID);
export const bytes = () => scalar('bytes', NO_BYTES);
/** Record batches, opaque here. Encoding also takes several buffers in a row; large ones are sent without being copied. */
export const records = (): Field<Buffer, Buffer | readonly Buffer[]> => new Field(scalar('records', NO_BYTES).spec);

export function struct<F extends Fields>(fields: F): Field<Decoded<F>, Draft<F>> {
  return new Field({ ...scalar('struct', undefined).spec, fields });
}

/** An array of a field, or of structs with these fields. */
export function array<F extends Fields>(of: F): Field<Decoded<F>[], readonly Draft<F>[]>;
export function array<T, D>(of: Field<T, D>): Field<T[], readonly D[]>;
export function array(of: AnyField | Fields): AnyField {
  return new Field({ ...scalar('array', []).spec, element: of instanceof Field ? of : struct(of) });
}

/** A request and its response. */
export interface Api<Q extends Fields = Fields, S extends Fields = Fields> {
  readonly key: number;
  readonly name: string;
  /** Versions that can be encoded and decoded. */
  readonly versions: Range;
  /** Versions to advertise; narrower where Kafka defines versions that a single broker must not offer. */
  readonly offered: Range;
  /** First version with compact encodings and tagged fields; Infinity if there is none. */
  readonly flexible: number;
  readonly request: Q;
  readonly response: S;
}

// biome-ignore lint/suspicious/noExplicitAny: stands for every API
export type AnyApi = Api<any, any>;
export type RequestOf<A extends AnyApi> = Decoded<A['request']>;
export type ResponseOf<A extends AnyApi> = Decoded<A['response']>;
export type RequestDraft<A extends AnyApi> = Draft<A['request']>;
export type ResponseDraft<A extends AnyApi> = Draft<A['response']>;

export interface ApiOptions {
  readonly name: string;
  readonly versions: string;
  readonly offered?: string;
  readonly flexible?: string;
}

export function api<Q extends Fields, S extends Fields>(key: number, options: ApiOptions, request: Q, response: S): Api<Q, S> {
  const versions = range(options.versions);
  return {
    key,
    name: options.name,
    versions,
    offered: options.offered ? range(options.offered) : versions,
    flexible: firstFlexible(options),
    request,
    response,
  };
}

function firstFlexible(options: { readonly flexible?: string }): number {
  return (options.flexible === undefined ? NEVER_FLEXIBLE : range(options.flexible))[0];
}
const NEVER_FLEXIBLE: Range = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];

/** A message that travels inside bytes or a record, after its own int16 version. */
export interface Message<F extends Fields = Fields> {
  readonly name: string;
  readonly versions: Range;
  readonly flexible: number;
  /** A newer version than ours is read as ours: its layout only grew at the end. Otherwise it is an error. */
  readonly newerIsReadable: boolean;
  readonly fields: F;
}

export interface MessageOptions {
  readonly versions: string;
  readonly flexible?: string;
  readonly newerIsReadable?: boolean;
}

export function message<F extends Fields>(name: string, options: MessageOptions, fields: F): Message<F> {
  return { name, versions: range(options.versions), flexible: firstFlexible(options), newerIsReadable: options.newerIsReadable ?? false, fields };
}

/** True if null may stand for the field in this version. */
export function mayBeNull(field: AnyField, version: number): boolean {
  return within(field.spec.nullable ?? NEVER, version);
}

/** True for int64 values that survive a round trip: whole and within 2^53, or one of the two ends if those are allowed. */
export function isExact(value: number, noLimit: boolean): boolean {
  return Number.isSafeInteger(value) || (noLimit && (value === INT64_MAX || value === -INT64_MAX));
}
