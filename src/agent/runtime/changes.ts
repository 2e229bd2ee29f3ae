/**
 * What a new definition changes in a running agent, by name: config/diff.ts in the terms of the runtime, where sinks and
 * sink runners stop and start apart. What is in neither list never notices.
 */
import { diffModels, type KindDiff } from '../config/diff.ts';
import type { AgentModel, ChannelModel } from '../config/model.ts';
import { drainsOf } from './topology.ts';

/** Names by kind; `drains` are sink runners, see topology.ts. */
export interface Names {
  readonly channels: readonly string[];
  readonly sinks: readonly string[];
  readonly drains: readonly string[];
  readonly sources: readonly string[];
}

/** A name in both lists is built anew. */
export interface Changes {
  readonly stop: Names;
  readonly start: Names;
  /** Channels that took their new configuration over while running. */
  readonly adopted: readonly string[];
}

export function isEmpty(changes: Changes): boolean {
  const count = (names: Names): number => names.channels.length + names.sinks.length + names.drains.length + names.sources.length;
  return count(changes.stop) + count(changes.start) + changes.adopted.length === 0;
}

/** Compares; `adopt` is asked for each channel that differs and tells whether it took the new configuration over. */
export function changesOf(from: AgentModel, to: AgentModel, adopt: (channel: ChannelModel) => boolean): Changes {
  const differing = diffModels(from, to).channel.changed;
  const adopted = to.channels.filter((channel) => differing.includes(channel.name) && adopt(channel)).map((channel) => channel.name);
  const diff = diffModels(from, to, new Set(adopted));
  const rebuilt = { ...diff.channel, changed: diff.channel.changed.filter((name) => !adopted.includes(name)) };
  const before = drainsOf(from);
  const after = drainsOf(to);
  // A runner stays when its sinks do and its group is what it was; being in a group or not is part of its name.
  const lasting = after.filter(
    ({ name, sinks, group }) =>
      before.some((drain) => drain.name === name) &&
      sinks.every((sink) => diff.sink.unchanged.includes(sink)) &&
      (group === undefined || diff.sinkgroup.unchanged.includes(group.name)),
  );
  const others = (names: readonly { readonly name: string }[]): readonly string[] =>
    names.map(({ name }) => name).filter((name) => !lasting.some((drain) => drain.name === name));
  return {
    stop: { channels: leaving(rebuilt), sinks: leaving(diff.sink), sources: leaving(diff.source), drains: others(before) },
    start: { channels: coming(rebuilt), sinks: coming(diff.sink), sources: coming(diff.source), drains: others(after) },
    adopted,
  };
}

function leaving({ left, changed }: KindDiff): readonly string[] {
  return [...left, ...changed];
}

function coming({ came, changed }: KindDiff): readonly string[] {
  return [...came, ...changed];
}
