/**
 * What a new definition changes in a running agent, by name and kind. A part is changed when its own fingerprint, its
 * wiring, or something it is wired to differs; everything else is in neither list and never notices.
 */
import type { AgentModel, ChannelModel, SinkModel, SourceModel } from '../config/model.ts';
import { type DrainModel, drainsOf } from './topology.ts';

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

/** All names of a model. */
export function everything(model: AgentModel): Names {
  const names = (parts: readonly { readonly name: string }[]): readonly string[] => parts.map((part) => part.name);
  return { channels: names(model.channels), sinks: names(model.sinks), drains: names(drainsOf(model)), sources: names(model.sources) };
}

export function isEmpty(changes: Changes): boolean {
  const count = (names: Names): number => names.channels.length + names.sinks.length + names.drains.length + names.sources.length;
  return count(changes.stop) + count(changes.start) + changes.adopted.length === 0;
}

/** Compares; `adopt` is asked for each channel that differs and tells whether it took the new configuration over. */
export function changesOf(from: AgentModel, to: AgentModel, adopt: (name: string, model: ChannelModel) => boolean): Changes {
  const adopted: string[] = [];
  const channels = kept(from.channels, to.channels, (old, now) => {
    if (old.fingerprint === now.fingerprint) return true;
    if (!adopt(now.name, now)) return false;
    adopted.push(now.name);
    return true;
  });
  const sinks = kept(from.sinks, to.sinks, (old, now) => sameSink(old, now) && channels.has(now.channel));
  const sources = kept(from.sources, to.sources, (old, now) => sameSource(old, now) && now.channels.every((name) => channels.has(name)));
  const drains = kept(drainsOf(from), drainsOf(to), (old, now) => sameDrain(old, now) && now.sinks.every((name) => sinks.has(name)));
  const all = { from: everything(from), to: everything(to) };
  const without = (names: Names): Names => ({
    channels: names.channels.filter((name) => !channels.has(name)),
    sinks: names.sinks.filter((name) => !sinks.has(name)),
    drains: names.drains.filter((name) => !drains.has(name)),
    sources: names.sources.filter((name) => !sources.has(name)),
  });
  return { stop: without(all.from), start: without(all.to), adopted };
}

function kept<T extends { readonly name: string }>(from: readonly T[], to: readonly T[], same: (old: T, now: T) => boolean): ReadonlySet<string> {
  const before = new Map(from.map((part) => [part.name, part]));
  const names = to.filter((now) => {
    const old = before.get(now.name);
    return old !== undefined && same(old, now);
  });
  return new Set(names.map((part) => part.name));
}

function sameSink(old: SinkModel, now: SinkModel): boolean {
  return old.fingerprint === now.fingerprint && old.channel === now.channel;
}

function sameSource(old: SourceModel, now: SourceModel): boolean {
  const wiring = (source: SourceModel): string =>
    JSON.stringify([source.fingerprint, source.channels, source.selector.fingerprint, source.interceptors.map((part) => [part.name, part.fingerprint])]);
  return wiring(old) === wiring(now);
}

function sameDrain(old: DrainModel, now: DrainModel): boolean {
  const wiring = (drain: DrainModel): string => JSON.stringify([drain.channel, drain.sinks, drain.group?.fingerprint]);
  return wiring(old) === wiring(now);
}
