/**
 * From files to agent models: read, merge, substitute, cut into agents, resolve, check, build. `validate`, `explain`
 * and the start all come through here, so that they cannot disagree. What is wrong with a definition is a finding,
 * never an exception.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir, tmpdir, userInfo } from 'node:os';
import { resolve } from 'node:path';
import { errorText } from '../../lib/errors.ts';
import type { Finding, RawValue, Where } from '../../lib/props/finding.ts';
import { nearest } from '../../lib/suggest.ts';
import type { Catalog } from '../core/catalog.ts';
import type { ChannelSpec, InterceptorSpec, ProcessorSpec, SelectorSpec, SinkSpec, SourceSpec } from '../core/define.ts';
import { checkAgent } from './check.ts';
import { conflictsBetween } from './conflicts.ts';
import { type DraftAgent, type DraftGroup, type DraftPart, runs } from './draft.ts';
import { filterNameOf } from './filters.ts';
import type { AgentModel, LeftOut, ListedKind, LoadedAgent, Part, SinkGroupModel } from './model.ts';
import { resolveAgent } from './resolve.ts';
import { type AgentSection, cutAgents, splitList } from './sections.ts';
import { type Surroundings, standardSystemProperties, substitute, unresolvedFinding } from './substitute.ts';
import { type DefinitionText, mergeFiles, type Table } from './table.ts';
import { topicLoops } from './topic-loop.ts';

/** What a definition is read from and with. */
export interface LoadOptions {
  /** Paths (relative ones below `cwd`) or texts already read; later ones override earlier ones key by key. */
  readonly files: readonly (string | DefinitionText)[];
  readonly catalog: Catalog;
  /** Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `-Dname=value`. */
  readonly systemProperties?: Readonly<Record<string, string>>;
  /** Default: this process's. */
  readonly cwd?: string;
}

/** All agents of some files. */
export interface LoadedDefinition {
  /** By name; null when nothing of an agent can run. */
  readonly models: ReadonlyMap<string, AgentModel | null>;
  /** Of the files, not of one agent. */
  readonly fileFindings: readonly Finding[];
  /** By agent, those that concern two agents under both. */
  readonly agentFindings: ReadonlyMap<string, readonly Finding[]>;
  readonly effective: ReadonlyMap<string, RawValue>;
}

/** Loads one agent for running, validating or explaining. Never rejects for what a definition says or for a missing file. */
export async function loadAgent(options: LoadOptions & { readonly name: string }): Promise<LoadedAgent> {
  const definition = await loadDefinition(options, options.name);
  const { models, fileFindings, agentFindings, effective } = definition;
  const agents = [...models.keys()];
  const findings = [...fileFindings, ...(agentFindings.get(options.name) ?? [])];
  if (agents.length > 0 && !models.has(options.name)) findings.push(unknownAgent(options, agents));
  return { model: models.get(options.name) ?? null, findings: sorted(findings), agents, effective };
}

/** Loads all agents. `only` runs config filters for that agent alone. */
export async function loadDefinition(options: LoadOptions, only?: string): Promise<LoadedDefinition> {
  const { texts, findings } = await readTexts(options);
  const merged = mergeFiles(texts);
  const around = await surroundings(options, merged.table);
  const substituted = substitute(merged.table, around);
  if (options.systemProperties?.lookups !== undefined) findings.push(CUSTOM_LOOKUPS);
  const { agents: sections, findings: cutFindings } = cutAgents(substituted.table, substituted.referenced);
  findings.push(...merged.findings, ...substituted.findings, ...cutFindings);
  for (const one of substituted.unresolved) if (!isFilterUse(one, sections)) findings.push(unresolvedFinding(one, around, merged.table));
  if (sections.size === 0 && !findings.some((finding) => finding.code === 'unreadable-file')) findings.push(noAgent(options));
  const drafts: DraftAgent[] = [];
  for (const section of sections.values()) {
    const labelPrefix = sections.size > 1 ? `${section.name} ` : '';
    const draft = await resolveAgent(section, { catalog: options.catalog, labelPrefix, runFilters: only === undefined || only === section.name });
    checkAgent(draft);
    drafts.push(draft);
  }
  const agentFindings = new Map(drafts.map((draft) => [draft.name, findingsOf(draft)]));
  const fileFindings = findings.filter((finding) => {
    const own = agentFindings.get(agentAt(finding.where, merged.table) ?? '');
    own?.push(finding);
    return own === undefined;
  });
  for (const { finding, agents } of [...topicLoops(drafts), ...conflictsBetween(drafts)]) {
    for (const name of agents) agentFindings.get(name)?.push(finding);
  }
  const models = new Map(drafts.map((draft) => [draft.name, modelOf(draft)]));
  for (const [name, model] of models) if (model === null) agentFindings.get(name)!.push(nothingRuns(name, sections, models));
  return { models, fileFindings: sorted(fileFindings), agentFindings, effective: substituted.table };
}

const CUSTOM_LOOKUPS: Finding = {
  code: 'custom-lookups',
  severity: 'warning',
  message: '-Dlookups names Java classes, which cannot be loaded; ${env:…}, ${sys:…}, ${java:…} and ${date:…} are resolved as usual',
  fix: 'use an external config filter for values from elsewhere',
};

async function readTexts(options: LoadOptions): Promise<{ texts: DefinitionText[]; findings: Finding[] }> {
  const texts: DefinitionText[] = [];
  const findings: Finding[] = [];
  for (const file of options.files) {
    if (typeof file !== 'string') {
      texts.push(file);
      continue;
    }
    try {
      texts.push({ file, bytes: await readFile(resolve(options.cwd ?? process.cwd(), file)) });
    } catch (error) {
      findings.push({
        code: 'unreadable-file',
        severity: 'error',
        message: `the file cannot be read: ${reasonText(error)}`,
        fix: 'check the path and its rights',
        where: { file, line: 1 },
      });
    }
  }
  return { texts, findings };
}

function reasonText(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const known: Readonly<Record<string, string>> = { ENOENT: 'there is no such file', EISDIR: 'it is a directory', EACCES: 'no right to read it' };
  return (typeof code === 'string' && known[code]) || errorText(error);
}

async function surroundings(options: LoadOptions, table: Table): Promise<Surroundings> {
  const needsDate = [...table.values()].some(({ value }) => value.includes('date:'));
  const formatter = needsDate ? (await import('../../lib/java-date-format.ts')).javaDateFormatter : undefined;
  const now = Date.now();
  const env = options.env ?? process.env;
  return {
    env,
    systemProperties: {
      ...standardSystemProperties({ home: homedir(), user: env.USER ?? userInfo().username, cwd: options.cwd ?? process.cwd(), temp: tmpdir() }),
      ...options.systemProperties,
    },
    date: (pattern) => formatter!(pattern)(now),
  };
}

/** `${f1['key']}` where some agent lists the filter f1: not a variable, the filter speaks for itself. */
function isFilterUse(one: { key: string; name: string }, sections: ReadonlyMap<string, AgentSection>): boolean {
  const filter = filterNameOf(one.name);
  const agent = sections.get(one.key.split('.')[0] ?? '');
  return filter !== undefined && splitList('', agent?.lists.configfilters).names.includes(filter);
}

/** The agent whose property is written at a place: what is wrong there is no concern of the others in the file. */
function agentAt(where: Where | undefined, table: Table): string | undefined {
  if (where === undefined) return undefined;
  for (const [key, entry] of table) if (entry.where.line === where.line && entry.where.file === where.file) return key.split('.', 1)[0];
  return undefined;
}

/** Where it is said that something is missing: nowhere in particular. */
function topOf(options: LoadOptions): Where | undefined {
  const file = options.files.at(-1);
  return file === undefined ? undefined : { file: typeof file === 'string' ? file : file.file, line: 1 };
}

function noAgent(options: LoadOptions): Finding {
  const fix = 'a definition has lines such as a1.sources = r1, a1.channels = c1, a1.sinks = k1';
  return { code: 'no-agent', severity: 'error', message: 'no agent is defined', fix, where: topOf(options) };
}

function unknownAgent(options: LoadOptions & { readonly name: string }, agents: readonly string[]): Finding {
  const { name } = options;
  const meant = nearest(name, agents);
  return {
    code: 'unknown-agent',
    severity: 'error',
    message: `no agent is named "${name}"; agents here: ${agents.join(', ')}`,
    fix: meant !== undefined ? `did you mean --name ${meant}?` : agents.length === 1 ? `write --name ${agents[0]}` : 'give --name one of them',
    where: topOf(options),
  };
}

function nothingRuns(name: string, sections: ReadonlyMap<string, AgentSection>, models: ReadonlyMap<string, AgentModel | null>): Finding {
  const section = sections.get(name)!;
  const others = [...models].filter(([, model]) => model !== null).map(([other]) => other);
  const meant =
    Object.keys(section.lists).length === 0 ? (nearest(name, others) ?? others.find((other) => other.startsWith(name) || name.startsWith(other))) : undefined;
  const fix = meant === undefined ? 'correct its errors; at least one source or sink with its channel must be able to run' : `did you mean agent ${meant}?`;
  return { code: 'nothing-runs', severity: 'error', message: 'nothing of it can run', fix, where: section.where, component: `agent ${name}` };
}

function findingsOf(draft: DraftAgent): Finding[] {
  const parts = [...draft.channels.values(), ...draft.sources.values(), ...draft.sinks.values(), ...draft.groups.values()];
  return [...draft.findings, ...parts.flatMap((part) => part.findings)];
}

const SEVERITIES = ['error', 'warning', 'info'];

/** By file, line and weight; those without a place last. */
export function sorted(findings: readonly Finding[]): Finding[] {
  const files = [...new Set(findings.map((finding) => finding.where?.file))];
  const rank = (finding: Finding) => (finding.where === undefined ? files.length : files.indexOf(finding.where.file));
  return [...findings].sort(
    (a, b) => rank(a) - rank(b) || (a.where?.line ?? 0) - (b.where?.line ?? 0) || SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
  );
}

function modelOf(draft: DraftAgent): AgentModel | null {
  const sources = [...draft.sources.values()].filter(runs);
  const sinks = [...draft.sinks.values()].filter(runs);
  if (sources.length === 0 && sinks.length === 0) return null;
  const channels = [...draft.channels.values()].filter((channel) => runs(channel) && !channel.findings.some((finding) => finding.code === 'unused-channel'));
  return {
    name: draft.name,
    sources: sources.map((source) => ({
      ...partOf<SourceSpec>(source),
      channels: source.channels,
      selector: partOf<SelectorSpec>(source.selector),
      interceptors: source.interceptors.map(partOf<InterceptorSpec>),
    })),
    channels: channels.map(partOf<ChannelSpec>),
    sinks: sinks.map((sink) => ({ ...partOf<SinkSpec>(sink), channel: sink.channel! })),
    groups: [...draft.groups.values()].filter(runs).map(groupOf),
    leftOut: leftOutOf(draft, channels),
  };
}

function partOf<S extends Part['spec']>(draft: DraftPart): Part<S> {
  const { name, type, spec, config, raw, facts, where } = draft;
  return { name, type, spec: spec as S, config, raw, facts, where, fingerprint: fingerprintOf(draft) };
}

function groupOf(group: DraftGroup): SinkGroupModel {
  const processor = partOf<ProcessorSpec>(group.processor);
  return { name: group.name, sinks: group.sinks, processor, fingerprint: hashOf([processor.fingerprint, ...group.sinks]), where: group.where };
}

function fingerprintOf({ spec, type, raw }: DraftPart): string {
  const pairs = Object.entries(raw).map(([key, { value }]) => [key, value]);
  pairs.sort(([a], [b]) => (a! < b! ? -1 : 1));
  return hashOf([spec?.kind ?? '', spec?.type ?? type, ...pairs.flat()] as string[]);
}

function hashOf(words: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(words)).digest('hex').slice(0, 32);
}

function leftOutOf(draft: DraftAgent, channels: readonly DraftPart[]): LeftOut[] {
  const out: LeftOut[] = [];
  const add = (kind: ListedKind, parts: Iterable<{ name: string; findings: Finding[] }>, kept: (part: { name: string; findings: Finding[] }) => boolean) => {
    for (const part of parts) if (!kept(part)) out.push({ kind, name: part.name, findings: part.findings });
  };
  add('channel', draft.channels.values(), (part) => channels.some((channel) => channel.name === part.name));
  add('source', draft.sources.values(), runs);
  add('sink', draft.sinks.values(), runs);
  add('sinkgroup', draft.groups.values(), runs);
  return out;
}
