/**
 * An agent's section to drafts: which components its lists name, which properties belong to each and to its sub-parts
 * (selector, interceptors, processor), all resolved through the catalog. Config filters run first.
 */
import { errorText } from '../../lib/errors.ts';
import type { Finding, RawValue, Where } from '../../lib/props/finding.ts';
import { nearest } from '../../lib/suggest.ts';
import type { Catalog } from '../core/catalog.ts';
import type { ConfigFilterSpec, Kind } from '../core/define.ts';
import { type DraftAgent, type DraftGroup, type DraftPart, type DraftSink, type DraftSource, remark, runs } from './draft.ts';
import { applyFilters, type Filter } from './filters.ts';
import { resolvePart } from './part.ts';
import { type AgentSection, type Entries, type ListKey, splitList } from './sections.ts';
import type { TableValue } from './table.ts';

const KIND_OF: Readonly<Record<ListKey, string>> = {
  sources: 'source',
  channels: 'channel',
  sinks: 'sink',
  sinkgroups: 'sink group',
  configfilters: 'config filter',
};
const NOTHING: Entries = new Map();

/** How an agent is to be resolved. */
export interface ResolveOptions {
  readonly catalog: Catalog;
  /** Put before component names in findings, e.g. `a1 ` when the files hold several agents. */
  readonly labelPrefix: string;
  /** False leaves `${f1['key']}` as it is and starts no commands. */
  readonly runFilters: boolean;
}

/** Resolves all components of one agent. Never rejects for anything written in a definition. */
export async function resolveAgent(section: AgentSection, options: ResolveOptions): Promise<DraftAgent> {
  const builder = new AgentBuilder(section, options);
  await builder.build();
  return builder.agent;
}

class AgentBuilder {
  readonly agent: DraftAgent;
  readonly #section: AgentSection;
  readonly #options: ResolveOptions;
  #filters: readonly Filter[] = [];

  constructor(section: AgentSection, options: ResolveOptions) {
    this.#section = section;
    this.#options = options;
    const { name, where } = section;
    this.agent = { name, where, sources: new Map(), channels: new Map(), sinks: new Map(), groups: new Map(), findings: [], labelPrefix: options.labelPrefix };
  }

  async build(): Promise<void> {
    await this.#readFilters();
    const { agent } = this;
    for (const name of this.#listed('channels')) agent.channels.set(name, await this.#component('channels', name, this.#entries('channels', name)));
    for (const name of this.#listed('sources')) agent.sources.set(name, await this.#source(name, this.#entries('sources', name)));
    for (const name of this.#listed('sinks')) agent.sinks.set(name, await this.#sink(name, this.#entries('sinks', name)));
    for (const name of this.#listed('sinkgroups')) agent.groups.set(name, await this.#group(name, this.#entries('sinkgroups', name)));
  }

  /** Names of a list; components that are written but not listed are reported here. */
  #listed(list: ListKey): readonly string[] {
    const key = `${this.agent.name}.${list}`;
    const { names, findings } = splitList(key, this.#section.lists[list]);
    const component = this.#agentLabel();
    this.agent.findings.push(...findings.map((finding) => ({ ...finding, component })));
    for (const [name, entries] of this.#section.components[list]) {
      if (names.includes(name) || names.includes(`${name},`)) continue;
      const meant = nearest(
        name,
        names.filter((one) => !this.#section.components[list].has(one)),
      );
      const message = `its properties are never used: ${name} is not in the list ${key}`;
      const fix = meant === undefined ? `write ${key} = ${[...names, name].join(' ')}, or delete the properties` : `did you mean ${KIND_OF[list]} ${meant}?`;
      const where = entries.values().next().value?.where;
      this.agent.findings.push({
        code: 'unlisted-component',
        severity: 'warning',
        message,
        fix,
        where,
        component: `${this.agent.labelPrefix}${KIND_OF[list]} ${name}`,
      });
    }
    return names;
  }

  #agentLabel(): string {
    return `agent ${this.agent.name}`;
  }

  #entries(list: ListKey, name: string): Entries {
    const entries = this.#section.components[list].get(name);
    if (entries === undefined) return NOTHING;
    if (this.#filters.length === 0) return entries;
    const out = new Map<string, TableValue>();
    const findings: Finding[] = [];
    for (const [key, entry] of entries) out.set(key, applyFilters(entry, this.#filters, findings));
    this.agent.findings.push(...findings.map((finding) => ({ ...finding, component: `${this.agent.labelPrefix}${KIND_OF[list]} ${name}` })));
    return out;
  }

  async #readFilters(): Promise<void> {
    const filters: Filter[] = [];
    for (const name of this.#listed('configfilters')) {
      const part = await this.#component('configfilters', name, this.#entries('configfilters', name));
      if (runs(part) && this.#options.runFilters) {
        try {
          filters.push({ name, lookup: (part.spec as ConfigFilterSpec).create(part.config as never) });
        } catch (error) {
          remark(part, { code: 'config-filter-failed', severity: 'error', message: errorText(error), fix: 'correct the properties of the filter' });
        }
      }
      this.agent.findings.push(...part.findings);
    }
    this.#filters = filters;
  }

  /** `all`: everything written for it, wiring included: a component of which only the wiring is written lacks its type. */
  async #component(
    list: Exclude<ListKey, 'sinkgroups'>,
    name: string,
    entries: Entries,
    wiring: { all: Entries; keys: readonly string[] } = { all: entries, keys: [] },
  ): Promise<DraftPart> {
    const title = `${this.agent.labelPrefix}${KIND_OF[list]} ${name}`;
    const where = wiring.all.values().next().value?.where ?? this.#section.lists[list]?.where;
    const prefix = `${this.agent.name}.${list}.${name}.`;
    const commonKeys = ['type', ...wiring.keys];
    // A list is named after what it lists.
    const kind = list.slice(0, -1) as Kind;
    if (wiring.all.size > 0) return resolvePart({ kind, name, title, prefix, entries, where, commonKeys }, this.#options.catalog);
    const part: DraftPart = { name, type: '', label: title, prefix, spec: undefined, config: null, raw: {}, facts: {}, where, findings: [] };
    // A name with a comma is the list's fault and reported there.
    if (name.includes(','))
      remark(part, { code: 'empty-component', severity: 'error', message: `no component can be named "${name}"`, fix: 'separate names by blanks' });
    else this.#emptyComponent(part, list, name);
    return part;
  }

  #emptyComponent(part: DraftPart, list: ListKey, name: string): void {
    const listed = splitList('', this.#section.lists[list]).names;
    const written = [...this.#section.components[list].keys()].filter((one) => !listed.includes(one));
    const meant = nearest(name, written) ?? (written.length === 1 ? written[0] : undefined);
    const fix = meant === undefined ? `add ${part.prefix}type, or take ${name} out of the list` : `did you mean ${meant}, whose properties are written?`;
    remark(part, { code: 'empty-component', severity: 'error', message: `is listed, but no property of it is written`, fix });
  }

  async #source(name: string, all: Entries): Promise<DraftSource> {
    const [own, selector, interceptors] = cut(all, 'selector.', 'interceptors.');
    const channels = own.get('channels');
    const chain = own.get('interceptors');
    own.delete('channels');
    own.delete('interceptors');
    const part = await this.#component('sources', name, own, { all, keys: ['channels', 'interceptors', 'selector.type'] });
    const listed = splitList(`${part.prefix}channels`, channels);
    const findings = [...part.findings, ...listed.findings.map((finding) => ({ ...finding, component: part.label }))];
    const draft: DraftSource = {
      ...part,
      findings,
      channels: [...listed.names],
      channelsWhere: channels?.where,
      selector: await this.#selector(part, selector!),
      interceptors: await this.#interceptors({ ...part, findings }, chain, interceptors!),
    };
    return draft;
  }

  #selector(source: DraftPart, entries: Entries): Promise<DraftPart> {
    const title = `selector of ${this.agent.labelPrefix}source ${source.name}`;
    const request = {
      kind: 'selector',
      name: source.name,
      title,
      prefix: `${source.prefix}selector.`,
      entries,
      defaultType: 'replicating',
      where: source.where,
    } as const;
    return resolvePart(request, this.#options.catalog);
  }

  async #interceptors(source: DraftPart, chain: TableValue | undefined, entries: Entries): Promise<DraftPart[]> {
    const { names, findings } = splitList(`${source.prefix}interceptors`, chain);
    for (const finding of findings) source.findings.push({ ...finding, component: source.label });
    const byName = new Map<string, Map<string, TableValue>>();
    for (const [key, entry] of entries) {
      const dot = key.indexOf('.');
      const [name, rest] = dot < 0 ? [key, 'type'] : [key.slice(0, dot), key.slice(dot + 1)];
      byName.set(name, (byName.get(name) ?? new Map<string, TableValue>()).set(rest, entry));
    }
    for (const [name, own] of byName) {
      if (names.includes(name) || names.includes(`${name},`)) continue;
      const message = `interceptor ${name} is never used: it is not in ${source.prefix}interceptors`;
      const fix = `write ${source.prefix}interceptors = ${[...names, name].join(' ')}, or delete its properties`;
      remark(source, { code: 'unlisted-component', severity: 'warning', message, fix, where: own.values().next().value?.where });
    }
    const parts: DraftPart[] = [];
    for (const name of names) {
      const title = `interceptor ${name} of ${this.agent.labelPrefix}source ${source.name}`;
      const prefix = `${source.prefix}interceptors.${name}.`;
      parts.push(
        await resolvePart({ kind: 'interceptor', name, title, prefix, entries: byName.get(name) ?? NOTHING, where: chain?.where }, this.#options.catalog),
      );
    }
    return parts;
  }

  async #sink(name: string, all: Entries): Promise<DraftSink> {
    const own = new Map(all);
    own.delete('channel');
    const channels = own.get('channels');
    own.delete('channels');
    const part = await this.#component('sinks', name, own, { all, keys: ['channel'] });
    const channel: RawValue | undefined = all.get('channel');
    if (channels !== undefined) this.#channelsOfSink(part, channels, channel !== undefined);
    return { ...part, channel: undefined, channelWritten: channel };
  }

  #channelsOfSink(part: DraftPart, channels: TableValue, harmless: boolean): void {
    remark(part, {
      code: 'sink-channels-key',
      severity: harmless ? 'warning' : 'error',
      message: 'a sink has one channel, and its key is "channel"; "channels" is ignored',
      fix: harmless ? 'delete the line' : `write ${part.prefix}channel = ${channels.value.split(/\s+/)[0]}`,
      where: channels.where,
    });
  }

  async #group(name: string, all: Entries): Promise<DraftGroup> {
    const [own, processor] = cut(all, 'processor.');
    const prefix = `${this.agent.name}.sinkgroups.${name}.`;
    const title = `${this.agent.labelPrefix}sink group ${name}`;
    const sinks = own.get('sinks');
    const where: Where | undefined = sinks?.where ?? all.values().next().value?.where ?? this.#section.lists.sinkgroups?.where;
    const { names, findings } = splitList(`${prefix}sinks`, sinks);
    const draft: DraftGroup = {
      name,
      label: title,
      prefix,
      sinks: [...names],
      sinksWhere: sinks?.where,
      hasSinks: sinks !== undefined,
      processor: await resolvePart(
        { kind: 'processor', name, title: `processor of ${title}`, prefix: `${prefix}processor.`, entries: processor!, defaultType: 'default', where },
        this.#options.catalog,
      ),
      processorWritten: processor!.has('type'),
      where,
      findings: findings.map((finding) => ({ ...finding, component: title })),
    };
    for (const [key, entry] of own) {
      if (key === 'sinks') continue;
      const meant = nearest(key, ['sinks', 'processor.type', 'processor.selector', 'processor.backoff', 'processor.maxpenalty']);
      const fix = meant === undefined ? 'it is ignored; delete the line' : `did you mean "${meant}"?`;
      remark(draft, { code: 'unknown-property', severity: 'warning', message: `no property "${key}"`, fix, where: entry.where });
    }
    return draft;
  }
}

/** Takes the keys below each prefix out, prefix stripped: [what is left, below prefix 1, below prefix 2, …]. */
function cut(all: Entries, ...prefixes: readonly string[]): [Map<string, TableValue>, ...Map<string, TableValue>[]] {
  const left = new Map<string, TableValue>();
  const parts = prefixes.map(() => new Map<string, TableValue>());
  for (const [key, entry] of all) {
    const index = prefixes.findIndex((prefix) => key.startsWith(prefix) && key.length > prefix.length);
    if (index < 0) left.set(key, entry);
    else parts[index]!.set(key.slice(prefixes[index]!.length), entry);
  }
  return [left, ...parts];
}
