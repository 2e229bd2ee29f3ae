/**
 * Two components on one port or one directory. Within an agent the later one cannot run; in different agents of the
 * given files it is only worth knowing, since they may run on different machines.
 */
import { resolve } from 'node:path';
import type { Finding } from '../../lib/props/finding.ts';
import { type DraftAgent, type DraftPart, remark, runs } from './draft.ts';

interface Clash {
  readonly part: DraftPart;
  readonly other: DraftPart;
  readonly code: 'port-conflict' | 'directory-conflict';
  readonly what: string;
  /** Both may run, though they get in each other's way. */
  readonly mild: boolean;
}

/** Marks the later of two clashing parts. May be called again with more parts: nothing is said twice. */
export function conflicts(parts: readonly DraftPart[]): void {
  const running = parts.filter(runs);
  for (const [index, part] of running.entries()) {
    for (const other of running.slice(0, index)) {
      if (!runs(part) || !runs(other)) continue;
      const clash = clashOf(part, other);
      if (clash === undefined || part.findings.some((finding) => finding.code === clash.code && finding.message.includes(other.label))) continue;
      const then = clash.mild ? 'each file goes to one of them, or to both' : clash.code === 'port-conflict' ? 'only one can listen' : 'only one can own it';
      const fix = clash.code === 'port-conflict' ? 'give one of them another port' : `give one of them another directory${hintOfDefault(clash)}`;
      remark(part, { code: clash.code, severity: clash.mild ? 'warning' : 'error', message: `${clash.what} is used by ${other.label} as well; ${then}`, fix });
    }
  }
}

/** Clashes between agents of one set of files, each with the two agents it concerns. */
export function conflictsBetween(agents: readonly DraftAgent[]): { finding: Finding; agents: readonly string[] }[] {
  const found: { finding: Finding; agents: readonly string[] }[] = [];
  for (const [index, agent] of agents.entries()) {
    for (const other of agents.slice(0, index)) {
      for (const part of partsOf(agent)) {
        for (const otherPart of partsOf(other)) {
          const clash = clashOf(part, otherPart);
          if (clash === undefined) continue;
          const finding: Finding = {
            code: clash.code,
            severity: 'info',
            message: `${clash.what} is used by ${otherPart.label} as well`,
            fix: 'fine on different machines; on one machine change one of them',
            where: part.where,
            component: part.label,
          };
          found.push({ finding, agents: [agent.name, other.name] });
        }
      }
    }
  }
  return found;
}

function partsOf(agent: DraftAgent): DraftPart[] {
  return [...agent.channels.values(), ...agent.sources.values(), ...agent.sinks.values()].filter(runs);
}

function hintOfDefault({ part }: Clash): string {
  return Object.keys(part.raw).some((key) => /dir/i.test(key)) ? '' : ' (both use the default)';
}

function clashOf(part: DraftPart, other: DraftPart): Clash | undefined {
  for (const one of part.facts.listens ?? []) {
    for (const two of other.facts.listens ?? []) {
      if (one.port !== 0 && one.port === two.port && one.protocol === two.protocol && sameHost(one.host, two.host)) {
        return { part, other, code: 'port-conflict', what: `${one.protocol.toUpperCase()} port ${one.port}`, mild: false };
      }
    }
  }
  const owned = paths(part.facts.owns);
  const read = paths(part.facts.reads);
  const otherOwned = paths(other.facts.owns);
  const otherRead = paths(other.facts.reads);
  const directory = owned.find((path) => otherOwned.includes(path));
  if (directory !== undefined) return { part, other, code: 'directory-conflict', what: `directory ${directory}`, mild: false };
  const shared = owned.find((path) => otherRead.includes(path)) ?? read.find((path) => otherOwned.includes(path) || otherRead.includes(path));
  return shared === undefined ? undefined : { part, other, code: 'directory-conflict', what: `directory ${shared}`, mild: true };
}

function paths(written: readonly string[] | undefined): string[] {
  // ~ is how a default says the home directory.
  return (written ?? []).map((path) => (path.startsWith('~/') ? path : resolve(path)));
}

function sameHost(a: string, b: string): boolean {
  const everywhere = (host: string) => host === '0.0.0.0' || host === '::' || host === '' || host === '*';
  const plain = (host: string) => (host === 'localhost' || host === '::1' ? '127.0.0.1' : host.toLowerCase());
  return everywhere(a) || everywhere(b) || plain(a) === plain(b);
}
