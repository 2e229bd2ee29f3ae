/**
 * The table cut into agents: `<agent>.<list>` and `<agent>.<list>.<component>.<key…>` with list one of sources, sinks,
 * channels, sinkgroups, configfilters. What fits nowhere is reported. Flume: FlumeConfiguration.addRawProperty.
 */

import type { Finding, Where } from '../../lib/props/finding.ts';
import { nearest } from '../../lib/suggest.ts';
import type { Table, TableValue } from './table.ts';

export const LIST_KEYS = ['sources', 'channels', 'sinks', 'sinkgroups', 'configfilters'] as const;
export type ListKey = (typeof LIST_KEYS)[number];

/** Properties of one component by key below its prefix. */
export type Entries = ReadonlyMap<string, TableValue>;

export interface AgentSection {
  readonly name: string;
  /** Where it is first spoken of. */
  readonly where: Where;
  /** The lists as written. */
  readonly lists: Partial<Record<ListKey, TableValue>>;
  /** Everything written for components, listed or not, by component name. */
  readonly components: Readonly<Record<ListKey, ReadonlyMap<string, Entries>>>;
}

/** One item of a list, once each, in the order written. */
export interface Listed {
  readonly names: readonly string[];
  readonly findings: readonly Finding[];
}

type MutableSection = {
  name: string;
  where: Where;
  lists: Partial<Record<ListKey, TableValue>>;
  components: Record<ListKey, Map<string, Map<string, TableValue>>>;
};

/** `referenced`: keys used as variables; they need not fit anywhere. */
export function cutAgents(table: Table, referenced: ReadonlySet<string>): { agents: Map<string, AgentSection>; findings: Finding[] } {
  const agents = new Map<string, MutableSection>();
  const findings: Finding[] = [];
  const misplaced: { key: string; entry: TableValue }[] = [];
  for (const [key, entry] of table) {
    const place = placeOf(key);
    if (place === undefined) {
      if (!referenced.has(key)) misplaced.push({ key, entry });
      continue;
    }
    const agent = agents.get(place.agent) ?? newSection(place.agent, entry.where);
    agents.set(place.agent, agent);
    if (place.component === undefined) {
      agent.lists[place.list] = entry;
    } else {
      const component = agent.components[place.list].get(place.component) ?? new Map<string, TableValue>();
      component.set(place.key, entry);
      agent.components[place.list].set(place.component, component);
    }
  }
  for (const { key, entry } of misplaced) findings.push(misplacedFinding(key, entry, [...agents.keys()]));
  return { agents, findings };
}

type Place = { agent: string; list: ListKey; component?: undefined; key?: undefined } | { agent: string; list: ListKey; component: string; key: string };

function placeOf(fullKey: string): Place | undefined {
  const [agent = '', list = '', component, ...rest] = fullKey.split('.');
  if (agent === '' || !isListKey(list)) return undefined;
  if (component === undefined) return { agent, list };
  const key = rest.join('.');
  return component === '' || key === '' ? undefined : { agent, list, component, key };
}

function isListKey(word: string): word is ListKey {
  return (LIST_KEYS as readonly string[]).includes(word);
}

function newSection(name: string, where: Where): MutableSection {
  return { name, where, lists: {}, components: { sources: new Map(), channels: new Map(), sinks: new Map(), sinkgroups: new Map(), configfilters: new Map() } };
}

function misplacedFinding(key: string, { where }: TableValue, agents: readonly string[]): Finding {
  const [agent = '', list, component, ...rest] = key.split('.');
  if (list === undefined || agent === '') {
    const fix = `write agent.sources, agent.channels or agent.sinks, or refer to it as \${name}`;
    return { code: 'malformed-key', severity: 'warning', message: `"${key}" belongs to no agent and is ignored`, fix, where };
  }
  if (isListKey(list)) {
    const fix = `write ${agent}.${list}.${component || 'name'}.key = value`;
    return { code: 'malformed-key', severity: 'warning', message: `"${key}" names no property of a component and is ignored`, fix, where };
  }
  const similar = nearest(list, LIST_KEYS);
  const meant = similar === undefined ? undefined : [agent, similar, ...(component === undefined ? [] : [component]), ...rest].join('.');
  const known = agents.includes(agent) || agents.length === 0 ? '' : ` (and no agent is named "${agent}")`;
  return {
    code: 'unknown-section',
    severity: 'warning',
    message: `"${key}" is ignored: after the agent's name comes one of ${LIST_KEYS.join(', ')}, not "${list}"${known}`,
    fix: meant === undefined ? 'correct the key, or delete the line' : `did you mean ${meant}?`,
    where,
  };
}

/**
 * Splits a list at white space, as Flume does. A comma separates nothing there: it becomes part of the name. That is
 * kept (a definition that runs with one channel must not suddenly run with two) and reported.
 */
export function splitList(key: string, entry: TableValue | undefined): Listed {
  if (entry === undefined) return { names: [], findings: [] };
  const words = entry.value.split(/[ \t\n\v\f\r]+/).filter((word) => word !== '');
  const findings: Finding[] = [];
  if (words.some((word) => word.includes(','))) {
    findings.push({
      code: 'comma-in-list',
      severity: 'warning',
      message: `"${key}" is separated by commas, but only blanks separate names: this reads as ${words.map((word) => `"${word}"`).join(' and ')}`,
      fix: `write ${key} = ${entry.value
        .split(/[\s,]+/)
        .filter((word) => word !== '')
        .join(' ')}`,
      where: entry.where,
    });
  }
  const names = [...new Set(words)];
  if (names.length < words.length) {
    const twice = words.find((word, index) => words.indexOf(word) !== index);
    findings.push({ code: 'listed-twice', severity: 'warning', message: `"${key}" names ${twice} twice`, fix: 'name it once', where: entry.where });
  }
  return { names, findings };
}
