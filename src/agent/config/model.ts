/**
 * The agent model: one agent's definition after substitution, resolving, parsing and checking. The runtime builds running
 * parts from it and reload compares two of them (diff.ts); neither ever looks at property text again.
 * Everything here is plain immutable data; a component that cannot run is not in it but in `leftOut`.
 */
import type { Finding, RawValue, Where } from '../../lib/props/finding.ts';
import type { AnySpec, ChannelSpec, Facts, InterceptorSpec, ProcessorSpec, SelectorSpec, SinkSpec, SourceSpec } from '../core/define.ts';

/** The kinds that are named in an agent's lists, with their list's key. */
export type ListedKind = 'source' | 'channel' | 'sink' | 'sinkgroup';

/** One declared part with its typed configuration: hand `config` to `spec.create`. */
export interface Part<S extends AnySpec = AnySpec> {
  /** As in the definition: `r1`; for a selector or processor the name of its source or group. */
  readonly name: string;
  /** `type` as the author wrote it (or the default, for a selector or processor without one). */
  readonly type: string;
  readonly spec: S;
  /** What `spec.create` receives; typed by the spec's properties. */
  // biome-ignore lint/suspicious/noExplicitAny: a model holds configurations of all property sets
  readonly config: any;
  /** The part's own properties after substitution, by key below the part's prefix (without `type`, wiring and sub-parts). */
  readonly raw: Readonly<Record<string, RawValue>>;
  readonly facts: Facts;
  /** Hash of type and raw values (not of places, nor of wiring). Equal = the same thing would be built. */
  readonly fingerprint: string;
  /** Where its type was written, else its first property. */
  readonly where: Where | undefined;
}

export interface SourceModel extends Part<SourceSpec> {
  /** Names of its channels in the order written; all exist in the model. Never empty. */
  readonly channels: readonly string[];
  readonly selector: Part<SelectorSpec>;
  /** In the order they run. */
  readonly interceptors: readonly Part<InterceptorSpec>[];
}

export interface ChannelModel extends Part<ChannelSpec> {}

export interface SinkModel extends Part<SinkSpec> {
  /** Name of its channel; exists in the model. */
  readonly channel: string;
}

export interface SinkGroupModel {
  readonly name: string;
  /** Members in the order written; all exist in the model, none is in two groups. Never empty. */
  readonly sinks: readonly string[];
  readonly processor: Part<ProcessorSpec>;
  /** Hash of the processor's fingerprint and the members. */
  readonly fingerprint: string;
  readonly where: Where | undefined;
}

/** A component of the lists that will not run, with the findings that say why. */
export interface LeftOut {
  readonly kind: ListedKind;
  readonly name: string;
  readonly findings: readonly Finding[];
}

/** What runs under one agent name. Sinks that no group names run alone (Flume's default processor). */
export interface AgentModel {
  readonly name: string;
  readonly sources: readonly SourceModel[];
  readonly channels: readonly ChannelModel[];
  readonly sinks: readonly SinkModel[];
  readonly groups: readonly SinkGroupModel[];
  readonly leftOut: readonly LeftOut[];
}

/** What `loadAgent` answers. */
export interface LoadedAgent {
  /** Null when the file has no agent of that name, or nothing of it can run. */
  readonly model: AgentModel | null;
  /** All findings about this agent and about the files themselves, sorted by place; those of other agents only where they concern this one too. */
  readonly findings: readonly Finding[];
  /** Every agent name in the files. */
  readonly agents: readonly string[];
  /** The effective configuration (all agents, merged and substituted) by full key, secrets included: never print it unmasked. */
  readonly effective: ReadonlyMap<string, RawValue>;
}
