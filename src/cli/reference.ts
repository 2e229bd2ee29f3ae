/**
 * What there is to say about a component, from its spec alone: once as data (`describe --json`), once as text for a
 * terminal (`describe`), once as Markdown (docs/reference). One source for all three.
 */
import type { AnySpec, Kind } from '../agent/core/define.ts';
import type { Properties, Property } from '../lib/props/spec.ts';

/** Kinds in the order of the reference, with their headings. */
export const KINDS: readonly { readonly kind: Kind; readonly title: string; readonly page: string; readonly about: string }[] = [
  { kind: 'source', title: 'Sources', page: 'sources', about: 'bring events in' },
  { kind: 'channel', title: 'Channels', page: 'channels', about: 'keep events until they are delivered' },
  { kind: 'sink', title: 'Sinks', page: 'sinks', about: 'deliver events' },
  { kind: 'interceptor', title: 'Interceptors', page: 'interceptors', about: 'change or drop events behind a source' },
  { kind: 'selector', title: 'Channel selectors', page: 'selectors', about: "choose among a source's channels" },
  { kind: 'processor', title: 'Sink processors', page: 'processors', about: 'choose among the sinks of a group' },
  { kind: 'serializer', title: 'Event serializers', page: 'serializers', about: 'turn events into bytes of a file' },
  { kind: 'deserializer', title: 'Event deserializers', page: 'deserializers', about: 'turn files into events' },
  { kind: 'configfilter', title: 'Config filters', page: 'config-filters', about: 'fetch values from outside the definition' },
];

/** A property as data; absent fields do not apply. */
export interface PropertyRecord {
  readonly key: string;
  readonly type: string;
  readonly required: boolean;
  readonly default?: unknown;
  readonly unit?: string;
  readonly min?: number;
  readonly max?: number;
  readonly values?: readonly string[];
  /** Retired spellings that still work. */
  readonly retired?: readonly string[];
  readonly secret?: true;
  readonly ignored?: string;
  readonly refused?: string;
  readonly doc: string;
}

export interface ComponentRecord {
  readonly kind: Kind;
  readonly type: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  readonly properties: readonly PropertyRecord[];
  /** Counters beyond those of the kind: name → meaning. */
  readonly counters: Readonly<Record<string, string>>;
}

const COMMON: Readonly<Partial<Record<Kind, readonly PropertyRecord[]>>> = {
  source: [
    { key: 'type', type: 'text', required: true, doc: 'The component: an alias in any case, or a class name.' },
    { key: 'channels', type: 'list', required: true, doc: 'Names of channels, separated by blanks.' },
    { key: 'selector.type', type: 'text', required: false, default: 'replicating', doc: 'The channel selector; its properties follow as selector.*.' },
    { key: 'interceptors', type: 'list', required: false, doc: 'Names of interceptors in the order they run; each has interceptors.NAME.type and properties.' },
  ],
  channel: [{ key: 'type', type: 'text', required: true, doc: 'The component: an alias in any case, or a class name.' }],
  sink: [
    { key: 'type', type: 'text', required: true, doc: 'The component: an alias in any case, or a class name.' },
    { key: 'channel', type: 'text', required: true, doc: 'The one channel it takes from.' },
  ],
};

/** Properties that every component of a kind has, handled outside its spec. */
export function commonProperties(kind: Kind): readonly PropertyRecord[] {
  return COMMON[kind] ?? [];
}

export function componentRecord(spec: AnySpec): ComponentRecord {
  const properties = Object.entries(spec.properties as Properties).map(([key, property]) => propertyRecord(key, property));
  return { kind: spec.kind, type: spec.type, aliases: spec.aliases ?? [], summary: spec.summary, properties, counters: spec.counters ?? {} };
}

function propertyRecord(key: string, { kind, options }: Property<unknown>): PropertyRecord {
  const { required, default: preset, unit, min, max, values, aliases, secret, ignored, refused, doc } = options;
  return {
    key,
    type: TYPE_NAMES[kind] ?? kind,
    required: required === true,
    ...(preset === undefined ? {} : { default: preset }),
    ...(unit === undefined ? {} : { unit }),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(values === undefined ? {} : { values }),
    ...(aliases === undefined ? {} : { retired: aliases }),
    ...(secret ? { secret } : {}),
    ...(ignored === undefined ? {} : { ignored }),
    ...(refused === undefined ? {} : { refused }),
    doc,
  };
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: 'number',
  long: 'number',
  duration: 'number',
  size: 'number',
  float: 'decimal',
  oneOf: 'word',
  rest: 'prefix',
};

/** What a value may be, in a few words: `number, 1 to 65535`, `true or false`, `fast or safe`. */
export function valueText({ type, values, min, max, unit }: PropertyRecord): string {
  if (values !== undefined) return values.join(' or ');
  if (type === 'bool') return 'true or false';
  const range =
    min !== undefined && max !== undefined ? `${min} to ${max}` : min !== undefined ? `${min} or more` : max !== undefined ? `up to ${max}` : undefined;
  return [type, ...(range === undefined ? [] : [range]), ...(unit === undefined ? [] : [unit])].join(', ');
}

/** The default as one would write it; `required` where there must be a value. */
export function defaultText({ required, default: preset, type }: PropertyRecord): string {
  if (required) return 'required';
  if (preset === undefined) return '';
  if (Array.isArray(preset)) return preset.join(' ');
  return preset === '' && type !== 'prefix' ? '(empty)' : String(preset);
}

/** The doc with what else a user must know. */
export function docText({ doc, retired, secret, ignored, refused }: PropertyRecord): string {
  const more = [
    ...(refused === undefined ? [] : [`Not supported: ${refused}.`]),
    ...(ignored === undefined ? [] : [`Has no effect here: ${ignored}.`]),
    ...(retired === undefined || retired.length === 0 ? [] : [`Retired spelling: ${retired.join(', ')}.`]),
    ...(secret === true ? ['Never shown.'] : []),
  ];
  return [doc, ...more].join(' ');
}

/** The reference of one component for a terminal. */
export function componentText(record: ComponentRecord): string {
  const lines = [`${record.type} (${record.kind})`, `  ${record.summary}`];
  if (record.aliases.length > 0) lines.push(`  also written ${record.aliases.join(', ')}`);
  const all = [...commonProperties(record.kind), ...record.properties];
  if (all.length > 0) lines.push('', '  properties');
  const width = Math.max(...all.map(({ key }) => key.length), 0);
  for (const property of all) {
    const preset = defaultText(property);
    const head = [valueText(property), ...(preset === '' ? [] : [preset === 'required' ? preset : `default ${preset}`])].join('; ');
    lines.push(`    ${property.key.padEnd(width)}  ${head}`, `    ${' '.repeat(width)}    ${docText(property)}`);
  }
  const counters = Object.entries(record.counters);
  if (counters.length > 0) lines.push('', '  counters of its own', ...counters.map(([name, doc]) => `    ${name}: ${doc}`));
  return `${lines.join('\n')}\n`;
}

/** The reference of one component as a section of a Markdown page. */
export function componentMarkdown(record: ComponentRecord): string {
  const lines = [`## ${record.type}`, '', record.summary, ''];
  if (record.aliases.length > 0) lines.push(`Also written ${record.aliases.map((alias) => `\`${alias}\``).join(', ')}.`, '');
  if (record.properties.length === 0) lines.push('It has no properties of its own.', '');
  else lines.push(...table(record.properties), '');
  const counters = Object.entries(record.counters);
  if (counters.length > 0)
    lines.push('Counters of its own:', '', '| counter | meaning |', '|---|---|', ...counters.map(([name, doc]) => `| \`${name}\` | ${cell(doc)} |`), '');
  return lines.join('\n');
}

/** A Markdown table of properties. */
export function table(properties: readonly PropertyRecord[]): string[] {
  return [
    '| property | value | default | meaning |',
    '|---|---|---|---|',
    ...properties.map((property) => {
      const preset = defaultText(property);
      const shown = preset === '' || preset === 'required' || preset === '(empty)' ? preset : `\`${cell(preset)}\``;
      return `| \`${property.key}\` | ${cell(valueText(property))} | ${shown} | ${cell(docText(property))} |`;
    }),
  ];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
