/**
 * One part of a definition: its `type` looked up in the catalog, its properties parsed by its spec, and everything
 * said about it: unknown properties with a suggestion, odd booleans, bad patterns and character sets, parts of its own
 * (serializers). Used for sources, channels, sinks, selectors, interceptors, processors and config filters alike.
 */
import { errorText } from '../../lib/errors.ts';
import type { Finding, FindingDraft, RawValue, Where } from '../../lib/props/finding.ts';
import { type Properties, parseProperties } from '../../lib/props/spec.ts';
import { nearest } from '../../lib/suggest.ts';
import type { Catalog } from '../core/catalog.ts';
import type { AnySpec, Facts, Kind } from '../core/define.ts';
import type { DraftPart } from './draft.ts';
import type { Entries } from './sections.ts';

/** What is to be resolved. */
export interface PartRequest {
  readonly kind: Kind;
  readonly name: string;
  /** What comes before the type in its label, e.g. `interceptor i1 of source r1`. */
  readonly title: string;
  readonly prefix: string;
  /** Its own properties and its `type`. */
  readonly entries: Entries;
  readonly defaultType?: string;
  /** Used when nothing of it has a place. */
  readonly where: Where | undefined;
  /** Keys that are handled elsewhere, for suggestions. */
  readonly commonKeys?: readonly string[];
}

/** Never rejects for anything written in a definition. */
export async function resolvePart(request: PartRequest, catalog: Catalog): Promise<DraftPart> {
  const { kind, name, title, prefix, entries } = request;
  const written = entries.get('type');
  const type = written?.value ?? request.defaultType;
  const where = written?.where ?? entries.values().next().value?.where ?? request.where;
  const raw: Record<string, RawValue> = {};
  for (const [key, entry] of entries) if (key !== 'type') raw[key] = entry;
  const findings: Finding[] = [];
  const spec = type === undefined ? undefined : await catalog.find(kind, type);
  const label = type === undefined ? title : `${title} (${spec?.type ?? type})`;
  const report = (draft: FindingDraft) => findings.push(completed(draft, label, placeOf(draft, entries) ?? where));
  let config: unknown = null;
  let facts: Facts = {};
  if (type === undefined) report(noType(kind, prefix, await catalog.types(kind)));
  else if (spec === undefined) report(await unknownType(kind, type, catalog));
  else {
    const outcome = await readBySpec(spec, raw, request, catalog);
    for (const draft of outcome.drafts) report(draft);
    if (!outcome.drafts.some((draft) => draft.severity === 'error')) ({ config, facts } = outcome);
  }
  for (const [key, { lost }] of entries) for (const draft of lostBackslashes(prefix, key, lost)) report(draft);
  return { name, type: type ?? '', label, prefix, spec, config, raw, facts, where, findings };
}

function completed(draft: FindingDraft, component: string, where: Where | undefined): Finding {
  const { code, severity, message } = draft;
  const fix = draft.fix ?? (draft.key === undefined ? undefined : severity === 'error' ? `correct ${draft.key}, or delete the line` : 'delete the line');
  return { code, severity, message, component, where, ...(fix === undefined ? {} : { fix }) };
}

function placeOf(draft: FindingDraft, entries: Entries): Where | undefined {
  return draft.key === undefined ? undefined : entries.get(draft.key)?.where;
}

interface Outcome {
  readonly drafts: FindingDraft[];
  readonly config: unknown;
  readonly facts: Facts;
}

async function readBySpec(spec: AnySpec, raw: Record<string, RawValue>, request: PartRequest, catalog: Catalog): Promise<Outcome> {
  const properties: Properties = spec.properties;
  const { config, findings, unknown } = parseProperties(properties, raw);
  const drafts = [...findings];
  for (const key of unknown) drafts.push(unknownProperty(key, spec, request.commonKeys ?? []));
  const general = await valueRemarks(properties, raw);
  drafts.push(...(await subPartRemarks(properties, raw, catalog)));
  if (config === null) return { drafts: [...drafts, ...general], config: null, facts: {} };
  try {
    const own = spec.check?.(config, raw) ?? [];
    // What a component says itself about a value it says better.
    drafts.push(...general.filter(({ key }) => !own.some((draft) => draft.key === key)), ...own);
    return { drafts, config, facts: spec.facts?.(config) ?? {} };
  } catch (error) {
    drafts.push({
      code: 'check-failed',
      severity: 'error',
      message: `its rules could not be checked: ${errorText(error)}`,
      fix: `report it to the author of ${spec.type}`,
    });
    return { drafts, config: null, facts: {} };
  }
}

/** Looks at written values whose kind allows more to be said than parsing does. */
async function valueRemarks(properties: Properties, raw: Readonly<Record<string, RawValue>>): Promise<FindingDraft[]> {
  const drafts: FindingDraft[] = [];
  for (const [key, property] of Object.entries(properties)) {
    const used = [key, ...(property.options.aliases ?? [])].find((name) => name in raw);
    if (used === undefined || property.options.refused !== undefined || property.options.ignored !== undefined) continue;
    const { value } = raw[used]!;
    if (property.kind === 'bool' && !/^(true|false)$/i.test(value)) drafts.push(oddBoolean(used, value));
    if (property.kind === 'regex') drafts.push(...(await badPattern(used, value)));
    if (property.kind === 'path' && /^~(\/|$)/.test(value)) drafts.push(tilde(used, value));
    if (property.kind === 'charset') drafts.push(...(await badCharset(used, value)));
  }
  return drafts;
}

function oddBoolean(key: string, value: string): FindingDraft {
  const meant = /^(yes|y|1|on|t|enabled?)$/i.test(value) ? 'true' : 'false';
  return {
    code: 'odd-boolean',
    severity: 'warning',
    message: `property "${key}" is "${value}", which reads as false: only "true" is true`,
    fix: `write ${key} = ${meant}`,
    key,
  };
}

function tilde(key: string, value: string): FindingDraft {
  const fix = `write ${key} = \${sys:user.home}${value.slice(1)}`;
  return { code: 'tilde-path', severity: 'warning', message: `"~" in "${key}" is not the home directory: this names a directory called ~`, fix, key };
}

async function badPattern(key: string, value: string): Promise<FindingDraft[]> {
  const { javaRegex } = await import('../../lib/java-regex.ts');
  try {
    javaRegex(value, 'find');
    return [];
  } catch (error) {
    return [
      { code: 'bad-value', severity: 'error', message: `property "${key}" is no valid pattern: ${errorText(error)}`, fix: `correct the value of ${key}`, key },
    ];
  }
}

async function badCharset(key: string, value: string): Promise<FindingDraft[]> {
  const { lookupCharset } = await import('../../lib/charset.ts');
  if (lookupCharset(value) !== undefined) return [];
  return [
    {
      code: 'bad-value',
      severity: 'error',
      message: `property "${key}" is "${value}", which is no known character set`,
      fix: 'use a name such as UTF-8, GBK, GB18030 or ISO-8859-1',
      key,
    },
  ];
}

/** Serializers and deserializers: a property `…serializer` beside `…serializer.*` names a part of its own. */
async function subPartRemarks(properties: Properties, raw: Readonly<Record<string, RawValue>>, catalog: Catalog): Promise<FindingDraft[]> {
  const drafts: FindingDraft[] = [];
  for (const [key, property] of Object.entries(properties)) {
    const kind = /deserializer$/i.test(key) ? 'deserializer' : /serializer$/i.test(key) ? 'serializer' : undefined;
    if (kind === undefined || !(`${key}.*` in properties)) continue;
    const written = raw[key];
    const type = written?.value ?? property.options.default;
    if (typeof type !== 'string') continue;
    const spec = await catalog.find(kind, type);
    if (spec === undefined) {
      if (written !== undefined) drafts.push({ ...(await unknownType(kind, type, catalog)), key });
      continue;
    }
    const own: Record<string, RawValue> = {};
    for (const [name, value] of Object.entries(raw)) if (name.startsWith(`${key}.`) && !(name in properties)) own[name.slice(key.length + 1)] = value;
    const outcome = parseProperties(spec.properties as Properties, own);
    const checked = outcome.config === null ? [] : (spec.check?.(outcome.config, own) ?? []);
    const remarks = [...outcome.findings, ...(await valueRemarks(spec.properties as Properties, own)), ...checked];
    for (const draft of remarks) drafts.push({ ...draft, message: `${kind} ${spec.type}: ${draft.message}`, key: `${key}.${draft.key ?? ''}` });
    for (const name of outcome.unknown) {
      const draft = unknownProperty(name, spec, []);
      drafts.push({ ...draft, message: `${kind} ${spec.type} has no property "${name}"`, key: `${key}.${name}` });
    }
  }
  return drafts;
}

function lostBackslashes(prefix: string, key: string, lost: readonly string[]): FindingDraft[] {
  if (lost.length === 0) return [];
  const shown = [...new Set(lost)];
  return [
    {
      code: 'lost-backslash',
      severity: 'warning',
      message: `the backslash of ${shown.join(' and ')} in "${prefix}${key}" vanishes when a properties file is read`,
      fix: `write ${shown.map((one) => `\\${one}`).join(' and ')}`,
      key,
    },
  ];
}

function unknownProperty(key: string, spec: AnySpec, commonKeys: readonly string[]): FindingDraft {
  const meant = nearestProperty(key, spec.properties as Properties, commonKeys);
  const fix =
    meant === undefined
      ? `it is ignored; "flume-ng describe ${spec.type}" lists what there is`
      : `did you mean "${meant}"? Until then it is ignored${defaultNote(meant, spec)}`;
  return { code: 'unknown-property', severity: 'warning', message: `no property "${key}"`, fix, key };
}

function defaultNote(key: string, spec: AnySpec): string {
  const property = (spec.properties as Properties)[key];
  return property === undefined || property.options.required ? '' : ' and the default is used';
}

function nearestProperty(key: string, properties: Properties, commonKeys: readonly string[]): string | undefined {
  const candidates: string[] = [...commonKeys];
  for (const [name, property] of Object.entries(properties)) {
    if (name.endsWith('*')) {
      const candidate = withPrefixCorrected(key, name.slice(0, -1));
      if (candidate !== undefined) candidates.push(candidate);
    } else {
      candidates.push(name, ...(property.options.aliases ?? []));
    }
  }
  return nearest(key, candidates);
}

/** `kafka.produser.acks` for the prefix `kafka.producer.`: the same with the prefix spelled right. */
function withPrefixCorrected(key: string, prefix: string): string | undefined {
  const length = prefix.split('.').length - 1;
  const words = key.split('.');
  if (words.length <= length) return undefined;
  const meant = nearest(`${words.slice(0, length).join('.')}.`, [prefix]);
  return meant === undefined ? undefined : meant + words.slice(length).join('.');
}

const SELF: Readonly<Record<string, string>> = { configfilter: 'config filter' };

function kindName(kind: Kind): string {
  return SELF[kind] ?? kind;
}

function noType(kind: Kind, prefix: string, types: readonly string[]): FindingDraft {
  return { code: 'missing-type', severity: 'error', message: `${kindName(kind)} without a type`, fix: `add ${prefix}type, one of ${types.join(', ')}` };
}

async function unknownType(kind: Kind, type: string, catalog: Catalog): Promise<FindingDraft> {
  const reason = catalog.unavailable(kind, type);
  if (reason !== undefined) {
    const cut = reason.indexOf('; ');
    const [why, way] = cut < 0 ? [reason, 'use another type'] : [reason.slice(0, cut), reason.slice(cut + 2)];
    return { code: 'unavailable-type', severity: 'error', message: `type "${type}" is not available here: ${why}`, fix: way, key: 'type' };
  }
  const types = await catalog.types(kind);
  const meant = nearest(type, types) ?? nearest(simpleName(type), types) ?? types.find((one) => one.toLowerCase() === simpleName(type));
  const otherKind = meant === undefined ? await kindThatHas(type, kind, catalog) : undefined;
  const list = `types are ${types.join(', ')}; a class of your own goes into plugins/`;
  const fix = meant !== undefined ? `did you mean ${meant}?` : otherKind !== undefined ? `${type} is a ${kindName(otherKind)}; ${list}` : list;
  return { code: 'unknown-type', severity: 'error', message: `no ${kindName(kind)} type "${type}"`, fix, key: 'type' };
}

/** `org.acme.NetcatSource` → `netcat`. */
function simpleName(type: string): string {
  const last =
    type
      .replace(/\$Builder$/, '')
      .split('.')
      .at(-1) ?? type;
  return last
    .replace(/(Source|Sink|Channel|ChannelSelector|Selector|SinkProcessor|Processor|Interceptor|EventSerializer|Serializer|Deserializer)$/, '')
    .toLowerCase();
}

async function kindThatHas(type: string, but: Kind, catalog: Catalog): Promise<Kind | undefined> {
  const kinds: readonly Kind[] = ['source', 'channel', 'sink', 'interceptor', 'selector', 'processor'];
  for (const kind of kinds) {
    if (kind !== but && (await catalog.types(kind)).some((one) => one.toLowerCase() === type.toLowerCase())) return kind;
  }
  return undefined;
}
