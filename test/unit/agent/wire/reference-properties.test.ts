// Every property that Flume 1.11's components have (fixtures/reference-properties.json, from its manual and its code) works here,
// or is ignored or refused with a reason; and what a property means when it is not set is the same. Types the catalog does not
// have must be refused by name. In the fixture: "required", a default as text, or null where the default is none or not a constant.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { AnySpec, Kind } from '../../../../src/agent/core/define.ts';
import { BUILT_IN, builtInCatalog } from '../../../../src/agent/wire/catalog.ts';
import { type Properties, type Property, parseProperties } from '../../../../src/lib/props/spec.ts';

interface Row {
  readonly kind: Kind;
  readonly type: string;
  readonly section: string;
  readonly properties: Readonly<Record<string, string | null>>;
}

const ROWS = JSON.parse(readFileSync(new URL('../../../fixtures/reference-properties.json', import.meta.url), 'utf8')) as readonly Row[];

/** Where we differ from Flume's default on purpose, and why. */
const OTHER_DEFAULTS: Readonly<Record<string, string>> = {};

const known = (kind: Kind, type: string) => BUILT_IN.some((one) => one.kind === kind && (one.type === type || one.aliases.includes(type)));
const present = ROWS.filter(({ kind, type }) => known(kind, type));
const refused = ROWS.filter(({ kind, type }) => !known(kind, type) && builtInCatalog.unavailable(kind, type) !== undefined);

/** The property a written key is read by: itself, one whose retired spelling it is, or one that collects its prefix. */
function propertyFor(properties: Properties, key: string) {
  const own = properties[key] ?? Object.values(properties).find(({ options }) => options.aliases?.includes(key));
  const above = ([name, { kind, options }]: [string, Property<unknown>]): boolean =>
    kind === 'rest' ? key.startsWith(name.slice(0, -1)) : (options.refused ?? options.ignored) !== undefined && key.startsWith(`${name}.`);
  return own ?? Object.entries(properties).find(above)?.[1];
}

describe.each(present)('$kind $type', ({ kind, type, properties }) => {
  const load = async (): Promise<AnySpec> => (await builtInCatalog.find(kind, type)) as AnySpec;

  it('takes every property of the reference', async () => {
    const spec = await load();
    for (const key of Object.keys(properties)) {
      const { unknown, findings } = parseProperties(spec.properties, { [key]: { value: 'x' } });
      expect(unknown, `${key} is not declared`).toEqual([]);
      const { refused: why, ignored } = propertyFor(spec.properties, key)?.options ?? {};
      for (const reason of [why, ignored])
        if (reason !== undefined)
          expect(
            findings.some(({ message }) => message.includes(reason)),
            key,
          ).toBe(true);
    }
  });

  it('wants and assumes what the reference says', async () => {
    const spec = await load();
    for (const [key, stated] of Object.entries(properties)) {
      if (stated === null || `${type} ${key}` in OTHER_DEFAULTS) continue;
      const options = propertyFor(spec.properties, key)?.options;
      if (options?.ignored !== undefined || options?.refused !== undefined) continue;
      if (stated === 'required') expect(options?.required, `${key} is required`).toBe(true);
      else expect(String(options?.default), `default of ${key}`).toBe(stated);
    }
  });

  it('explains itself', async () => {
    const spec = await load();
    for (const [key, { options }] of Object.entries(spec.properties as Properties)) expect(options.doc, key).toMatch(/^\S.{5,}$/s);
  });
});

it.each(refused)('$kind $type is refused with a reason and a way out', ({ kind, type }) => {
  expect(builtInCatalog.unavailable(kind, type)).toMatch(/.{20}; .{10}/);
});

it('knows every type of the reference, to run or to refuse', () => {
  expect(ROWS.filter((row) => !present.includes(row) && !refused.includes(row)).map(({ kind, type }) => `${kind} ${type}`)).toEqual([]);
});

it('covers every built-in component', () => {
  const uncovered = BUILT_IN.filter(({ kind, type, aliases }) => !ROWS.some((row) => row.kind === kind && (row.type === type || aliases.includes(row.type))));
  expect(uncovered.map(({ kind, type }) => `${kind} ${type}`)).toEqual([]);
});
