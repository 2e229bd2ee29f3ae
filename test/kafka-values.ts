/** Random values of protocol messages, drawn from their declarations (fast-check). */
import fc from 'fast-check';
import type { AnyField, Fields } from '../src/kafka/schema.ts';
import type { Value } from './interpreter.ts';

const inRange = (r: readonly [number, number] | undefined, v: number): boolean => r !== undefined && v >= r[0] && v <= r[1];

const numbers: Record<string, fc.Arbitrary<Value>> = {
  bool: fc.boolean(),
  int8: fc.integer({ min: -128, max: 127 }),
  int16: fc.integer({ min: -32768, max: 32767 }),
  uint16: fc.integer({ min: 0, max: 65535 }),
  int32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  uint32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  int64: fc.maxSafeInteger(),
  float64: fc.double({ noNaN: true }),
  string: fc.string({ unit: 'binary', maxLength: 6 }).map((text) => Buffer.from(text).toString()),
  uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((data) => Buffer.from(data).toString('base64url')),
  bytes: fc.uint8Array({ maxLength: 6 }).map((data) => Buffer.from(data)),
};

function fieldValue(field: AnyField, version: number): fc.Arbitrary<Value> {
  const { kind, element, fields, nullable, noLimit } = field.spec;
  let values: fc.Arbitrary<Value>;
  if (kind === 'struct') values = valuesOf(fields!, version);
  else if (kind === 'array') values = fc.array(fieldValue(element!, version), { maxLength: 3 });
  else if (kind === 'records') values = fc.oneof(numbers.bytes!, fc.constant(Buffer.alloc(5000, 7)));
  else values = noLimit ? fc.oneof(numbers[kind]!, fc.constantFrom(2 ** 63, -(2 ** 63))) : numbers[kind]!;
  return inRange(nullable, version) ? fc.oneof({ arbitrary: values, weight: 4 }, { arbitrary: fc.constant(null), weight: 1 }) : values;
}

/** Whole messages of one version: every positional field of it, and some of the tagged ones (always with a value other than the default). */
export function valuesOf(fields: Fields, version: number): fc.Arbitrary<{ [name: string]: Value }> {
  const entries = Object.entries(fields).filter(([, field]) => inRange(field.spec.versions, version));
  const required = entries.filter(([, field]) => field.spec.tag < 0).map(([name]) => name);
  const model = Object.fromEntries(
    entries.map(([name, field]) => {
      const values = fieldValue(field, version);
      return [name, field.spec.tag < 0 ? values : values.filter((value) => !isDefault(field, value))];
    }),
  );
  return fc.record(model, { requiredKeys: required, noNullPrototype: true }) as fc.Arbitrary<{ [name: string]: Value }>;
}

function isDefault(field: AnyField, value: Value | undefined): boolean {
  const { kind, fields, preset } = field.spec;
  if (value === undefined) return true;
  if (preset === null || value === null) return value === preset;
  if (kind === 'struct') return Object.entries(fields!).every(([name, one]) => isDefault(one, (value as { [name: string]: Value })[name]));
  if (kind === 'array' || kind === 'bytes' || kind === 'records') return (value as { length: number }).length === 0;
  return value === preset;
}
