/**
 * The running parts of one definition by name, and how each is built from its model. Building touches nothing outside
 * the process; agent.ts starts and stops.
 */
import type { AgentModel, SinkGroupModel, SinkModel, SourceModel } from '../config/model.ts';
import { ChannelGuard } from './channel-guard.ts';
import type { ContextBase } from './context.ts';
import type { PartShop } from './part-shop.ts';
import { SinkRunner } from './sink-runner.ts';
import { SinkUnit } from './sink-unit.ts';
import { SourceRunner } from './source-runner.ts';

/** What one SinkRunner serves: the sinks of a group that read one channel, or a single sink. */
export interface DrainModel {
  readonly name: string;
  readonly channel: string;
  readonly sinks: readonly string[];
  readonly group: SinkGroupModel | undefined;
}

/**
 * A group's sinks may read different channels; Flume then drains only the channel of the sink that happens to be chosen.
 * Here each channel gets a runner of its own with the group's sinks on it, so no channel starves.
 */
export function drainsOf(model: AgentModel): readonly DrainModel[] {
  const grouped = new Set(model.groups.flatMap((group) => group.sinks));
  const drains: DrainModel[] = model.sinks
    .filter((sink) => !grouped.has(sink.name))
    .map((sink) => ({ name: sink.name, channel: sink.channel, sinks: [sink.name], group: undefined }));
  for (const group of model.groups) {
    const byChannel = new Map<string, string[]>();
    for (const name of group.sinks) {
      const { channel } = model.sinks.find((sink) => sink.name === name) as SinkModel;
      byChannel.set(channel, [...(byChannel.get(channel) ?? []), name]);
    }
    for (const [channel, sinks] of byChannel) drains.push({ name: `${group.name}/${channel}`, channel, sinks, group });
  }
  return drains;
}

export class Topology {
  readonly channels = new Map<string, ChannelGuard>();
  readonly sinks = new Map<string, SinkUnit>();
  readonly drains = new Map<string, SinkRunner>();
  readonly sources = new Map<string, SourceRunner>();
  readonly #base: ContextBase;
  readonly #shop: PartShop;

  constructor(base: ContextBase, shop: PartShop) {
    this.#base = base;
    this.#shop = shop;
  }

  /** Builds every part of the model that is not there yet. */
  complete(model: AgentModel): void {
    for (const channel of model.channels) if (!this.channels.has(channel.name)) this.channels.set(channel.name, new ChannelGuard(channel, this.#base));
    for (const sink of model.sinks) if (!this.sinks.has(sink.name)) this.sinks.set(sink.name, new SinkUnit(sink, this.#base, this.#shop));
    for (const drain of drainsOf(model)) if (!this.drains.has(drain.name)) this.#addDrain(drain);
    for (const source of model.sources) if (!this.sources.has(source.name)) this.#addSource(source);
  }

  #addDrain(drain: DrainModel): void {
    const { clock, logFor } = this.#base;
    const sinks = drain.sinks.map((name) => this.sinks.get(name) as SinkUnit);
    const channel = this.channels.get(drain.channel) as ChannelGuard;
    const [first] = sinks as [SinkUnit];
    if (drain.group === undefined) {
      this.drains.set(drain.name, new SinkRunner({ name: drain.name, channel, sinks, clock, log: first.log }));
      return;
    }
    const { processor, name } = drain.group;
    const log = logFor(`sink group ${name}`, `processor.${processor.type}`);
    try {
      const build = (members: Parameters<typeof processor.spec.create>[1]) => processor.spec.create(processor.config, members, { log, clock });
      this.drains.set(drain.name, new SinkRunner({ name: drain.name, channel, sinks, clock, log, processor: build }));
    } catch (error) {
      for (const sink of sinks) sink.refuse(error);
    }
  }

  #addSource(model: SourceModel): void {
    const channels = model.channels.map((name) => this.channels.get(name) as ChannelGuard);
    this.sources.set(model.name, new SourceRunner({ model, base: this.#base, channels, shop: this.#shop }));
  }
}
