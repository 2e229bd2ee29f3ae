/**
 * Drafts: an agent's components while they are being judged. Each collects its findings; one error makes it `broken`,
 * and what is broken at the end stays out of the model. The rules (check.ts, conflicts.ts, groups.ts) work on drafts.
 */
import type { Finding, RawValue, Where } from '../../lib/props/finding.ts';
import type { AnySpec, Facts } from '../core/define.ts';

/** A part with its type looked up and its properties parsed. */
export interface DraftPart {
  readonly name: string;
  /** `type` as written, or the default. */
  readonly type: string;
  /** How findings name it, e.g. `channel c1 (file)`. */
  readonly label: string;
  /** Full key up to its own properties, e.g. `a1.sources.r1.` or `a1.sources.r1.selector.`. */
  readonly prefix: string;
  readonly spec: AnySpec | undefined;
  /** Null when it could not be parsed. */
  readonly config: unknown;
  readonly raw: Readonly<Record<string, RawValue>>;
  readonly facts: Facts;
  readonly where: Where | undefined;
  readonly findings: Finding[];
}

export interface DraftSource extends DraftPart {
  /** As written; the rules take out those that are not to be had. */
  channels: string[];
  readonly channelsWhere: Where | undefined;
  readonly selector: DraftPart;
  readonly interceptors: readonly DraftPart[];
}

export interface DraftSink extends DraftPart {
  /** Undefined until the rules have found exactly one that runs. */
  channel: string | undefined;
  readonly channelWritten: RawValue | undefined;
}

export interface DraftGroup {
  readonly name: string;
  readonly label: string;
  readonly prefix: string;
  sinks: string[];
  readonly sinksWhere: Where | undefined;
  /** Whether `sinks` is written at all. */
  readonly hasSinks: boolean;
  readonly processor: DraftPart;
  readonly processorWritten: boolean;
  readonly where: Where | undefined;
  readonly findings: Finding[];
}

export interface DraftAgent {
  readonly name: string;
  readonly where: Where;
  readonly sources: Map<string, DraftSource>;
  readonly channels: Map<string, DraftPart>;
  readonly sinks: Map<string, DraftSink>;
  readonly groups: Map<string, DraftGroup>;
  /** What concerns no single component. */
  readonly findings: Finding[];
  /** The agent's name before labels when the files have several agents, else empty. */
  readonly labelPrefix: string;
}

/** A component that is not broken. */
export function runs(part: { readonly findings: readonly Finding[] } | undefined): boolean {
  return part !== undefined && !part.findings.some((finding) => finding.severity === 'error');
}

/** What a rule says; the component and, unless given, the place are filled in. */
export interface Remark {
  readonly code: string;
  readonly severity: Finding['severity'];
  readonly message: string;
  readonly fix: string;
  readonly where?: Where | undefined;
}

/** Adds a finding to a component. */
export function remark(part: { readonly label: string; readonly where: Where | undefined; readonly findings: Finding[] }, said: Remark): void {
  part.findings.push({ ...said, where: said.where ?? part.where, component: part.label });
}
