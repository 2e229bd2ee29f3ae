/** Figures and status of a running topology: read only, taken at one moment. */
import type { AgentModel } from '../config/model.ts';
import type { ChannelGuard } from './channel-guard.ts';
import type { SinkUnit } from './sink-unit.ts';
import type { AgentSnapshot, AgentStatus, ComponentSnapshot, DropReason, FlowSnapshot } from './snapshot.ts';
import type { SourceRunner } from './source-runner.ts';
import type { Topology } from './topology.ts';

/** Everything that can be supervised, in the order of the snapshot. */
export function componentsOf(topology: Topology): readonly (ChannelGuard | SinkUnit | SourceRunner)[] {
  return [...topology.channels.values(), ...topology.sinks.values(), ...topology.sources.values()];
}

/**
 * Whether events can pass somewhere: a working channel with a working source and a working sink. A channel of which the
 * definition has only one side needs only that.
 */
export function someFlowRuns(topology: Topology): boolean {
  const sources = [...topology.sources.values()];
  const sinks = [...topology.sinks.values()];
  for (const channel of topology.channels.values()) {
    if (!channel.supervised.working) continue;
    const feeding = sources.filter((source) => source.channels.includes(channel));
    const draining = sinks.filter((sink) => sink.model.channel === channel.name);
    if (feeding.length + draining.length === 0) continue;
    const fed = feeding.length === 0 || feeding.some((source) => source.supervised.working);
    const drained = draining.length === 0 || draining.some((sink) => sink.supervised.working);
    if (fed && drained) return true;
  }
  return false;
}

/** Whether some component is still in its first attempt to start, without an error so far. */
export function someStarts(topology: Topology): boolean {
  return componentsOf(topology).some(({ supervised }) => supervised.status === 'starting' && supervised.error === undefined);
}

/** Whether something of the definition was left out because it is wrong; an unused channel is not. */
export function missesParts(model: AgentModel): boolean {
  return model.leftOut.some(({ findings }) => findings.some((finding) => finding.severity === 'error'));
}

/** `running` = all work, `degraded` = some flow runs, `failed` = none. */
export function statusOf(topology: Topology, model: AgentModel): AgentStatus {
  const all = componentsOf(topology);
  if (!missesParts(model) && all.every(({ supervised }) => supervised.status === 'running')) return 'running';
  if (someFlowRuns(topology)) return 'degraded';
  return someStarts(topology) ? 'starting' : 'failed';
}

/** The parts of a snapshot that follow from the topology alone. */
export function censusOf(topology: Topology, model: AgentModel): Pick<AgentSnapshot, 'components' | 'flows' | 'leftOut' | 'unrouted' | 'filtered'> {
  const groups = new Map(model.groups.flatMap((group) => group.sinks.map((sink) => [sink, group.name] as const)));
  return {
    components: [
      ...[...topology.channels.values()].map(channelRow),
      ...[...topology.sinks.values()].map((sink) => sinkRow(sink, groups.get(sink.name))),
      ...[...topology.sources.values()].map(sourceRow),
    ],
    flows: [...topology.channels.values()].map((channel) => flowRow(topology, channel)),
    leftOut: model.leftOut.map(({ kind, name, findings }) => ({ kind, name, why: findings.map((finding) => finding.message).join('; ') })),
    unrouted: Object.fromEntries([...topology.sources.values()].map((source) => [source.name, source.unrouted])),
    filtered: Object.fromEntries([...topology.sources.values()].map((source) => [source.name, source.filtered])),
  };
}

function commonRow({ supervised }: ChannelGuard | SinkUnit | SourceRunner): Pick<ComponentSnapshot, 'status' | 'since' | 'error' | 'restarts'> {
  const { status, since, error, restarts } = supervised;
  return { status, since, error, restarts };
}

function channelRow(channel: ChannelGuard): ComponentSnapshot {
  return {
    kind: 'channel',
    name: channel.name,
    type: channel.model.type,
    ...commonRow(channel),
    counters: { ...channel.counters },
    extra: { ...channel.extra, ...channel.supervised.instance?.extraGauges?.() },
    gauges: channel.gauges(),
    channels: [],
    progressAt: channel.progressAt,
    failingSince: 0,
  };
}

function sinkRow(sink: SinkUnit, group: string | undefined): ComponentSnapshot {
  return {
    kind: 'sink',
    name: sink.name,
    type: sink.model.type,
    ...commonRow(sink),
    counters: { ...sink.counters },
    extra: { ...sink.extra },
    channels: [sink.model.channel],
    group,
    progressAt: sink.progressAt,
    failingSince: sink.failingSince,
    busySince: sink.busySince,
  };
}

function sourceRow(source: SourceRunner): ComponentSnapshot {
  return {
    kind: 'source',
    name: source.name,
    type: source.model.type,
    ...commonRow(source),
    counters: { ...source.counters },
    extra: { ...source.extra },
    channels: source.model.channels,
    progressAt: source.progressAt,
    failingSince: source.failingSince,
  };
}

function flowRow(topology: Topology, channel: ChannelGuard): FlowSnapshot {
  const { received, delivered, held: inChannel } = channel;
  const dropped: Partial<Record<DropReason, number>> = {};
  let lost = 0;
  for (const [reason, count] of Object.entries(channel.dropped)) {
    if (count > 0) dropped[reason as DropReason] = count;
    lost += count;
  }
  return {
    channel: channel.name,
    sources: [...topology.sources.values()].filter((source) => source.channels.includes(channel)).map((source) => source.name),
    sinks: [...topology.sinks.values()].filter((sink) => sink.model.channel === channel.name).map((sink) => sink.name),
    received,
    delivered,
    inChannel,
    dropped,
    gap: channel.gauges()?.shared ? null : gapOf(received - delivered - inChannel - lost, channel),
  };
}

/** What is missing (above 0) or too much (below), when puts and commits under way are given the benefit of the doubt. */
function gapOf(difference: number, { putting, committing }: ChannelGuard): number {
  if (difference < 0) return Math.min(0, difference + putting);
  return Math.max(0, difference - committing);
}
