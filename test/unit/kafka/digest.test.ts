/**
 * Holds the protocol table to Kafka's: test/fixtures/schema-digest.json has a hash for each API, direction and version,
 * made from Kafka's own message definitions (lines 3.9 and 4.1). Names, types, order, null, tags and defaults count.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { AnyField, Fields } from '../../../src/kafka/schema.ts';
import { mayBeNull, within } from '../../../src/kafka/schema.ts';
import { apis } from '../../../src/kafka/versions.ts';

const digests = JSON.parse(readFileSync(new URL('../../fixtures/schema-digest.json', import.meta.url), 'utf8')) as {
  [api: string]: { key: number; request: string; response: string };
};

const IMPLICIT: readonly unknown[] = ['', 0, false, 'AAAAAAAAAAAAAAAAAAAAAA', undefined];

function canonical(fields: Fields, version: number): string {
  return Object.entries(fields)
    .filter(([, field]) => within(field.spec.versions, version))
    .map(([name, field]) => `${name}:${typeText(field, version)}${mayBeNull(field, version) ? '?' : ''}${tagText(field)}${defaultText(field)}`)
    .join(',');
}

function typeText({ spec }: AnyField, version: number): string {
  if (spec.kind === 'array') return `[]${typeText(spec.element!, version)}`;
  return spec.kind === 'struct' ? `(${canonical(spec.fields!, version)})` : spec.kind;
}

function tagText({ spec }: AnyField): string {
  return spec.tag < 0 ? '' : `#${spec.tag}`;
}

function defaultText({ spec }: AnyField): string {
  if (spec.preset === null) return '=null';
  return typeof spec.preset === 'object' || IMPLICIT.includes(spec.preset) ? '' : `=${spec.preset}`;
}

function digest(fields: Fields, versions: readonly [number, number], flexible: number): string {
  const hashes: string[] = [];
  for (let version = versions[0]; version <= versions[1]; version++) {
    const text = `${version >= flexible ? 'flexible ' : ''}${canonical(fields, version)}`;
    hashes.push(createHash('sha256').update(text).digest('hex').slice(0, 10));
  }
  return hashes.join(' ');
}

describe('protocol table', () => {
  it('holds the APIs of the digest and no others', () => {
    expect(Object.fromEntries(apis.map((api) => [api.name, api.key]))).toEqual(
      Object.fromEntries(Object.entries(digests).map(([name, { key }]) => [name, key])),
    );
  });

  it.each(apis.map((api) => [api.name, api] as const))('%s is as Kafka defines it', (name, api) => {
    expect(digest(api.request, api.versions, api.flexible), 'request').toBe(digests[name]!.request);
    expect(digest(api.response, api.versions, api.flexible), 'response').toBe(digests[name]!.response);
  });
});
