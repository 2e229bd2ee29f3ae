/**
 * Flows of an agent: every way from a source through a channel to a sink, and what each kind of trouble does on it,
 * worked out from what its parts declare (`spec.delivery`). Pure; explain.ts prints it.
 */
import type { AgentModel, ChannelModel, SinkGroupModel, SinkModel, SourceModel } from '../agent/config/model.ts';
import type { Delivery, Loss } from '../agent/core/define.ts';

/** One way through the agent; a channel may lack a source or a sink. */
export interface Flow {
  readonly source: SourceModel | undefined;
  readonly channel: ChannelModel;
  readonly sink: SinkModel | undefined;
  readonly group: SinkGroupModel | undefined;
}

export type Trouble = 'crash' | 'stop' | 'full' | 'dead';
export type Effect = Loss['effect'];

/** What a part contributes to a trouble. */
export interface Contribution {
  /** Name of the part. */
  readonly part: string;
  readonly loss: Loss;
}

export interface Grade {
  /** The worst of the parts, by trouble. */
  readonly effects: Readonly<Record<Trouble, Effect>>;
  readonly contributions: Readonly<Record<Trouble, readonly Contribution[]>>;
  /** One line: what this flow promises. */
  readonly promise: string;
  /** What to change, worst first; empty when there is nothing. */
  readonly improve: readonly string[];
  /** Further things its author should know. */
  readonly notes: readonly string[];
}

/** From harmless to bad. */
const SCALE: readonly Effect[] = ['nothing', 'waits', 'doubles', 'loses'];

/** All flows, by source, then channel, then sink, in the order written. */
export function flowsOf(model: AgentModel): Flow[] {
  const flows: Flow[] = [];
  const sinksOf = (channel: ChannelModel): (SinkModel | undefined)[] => {
    const sinks = model.sinks.filter((sink) => sink.channel === channel.name);
    return sinks.length === 0 ? [undefined] : sinks;
  };
  const add = (source: SourceModel | undefined, channel: ChannelModel) => {
    for (const sink of sinksOf(channel)) flows.push({ source, channel, sink, group: sink && model.groups.find((group) => group.sinks.includes(sink.name)) });
  };
  for (const source of model.sources) {
    for (const name of source.channels) add(source, model.channels.find((channel) => channel.name === name)!);
  }
  for (const channel of model.channels) {
    if (!model.sources.some((source) => source.channels.includes(channel.name))) add(undefined, channel);
  }
  return flows;
}

/** Works the grade of a flow out. */
export function gradeOf(flow: Flow): Grade {
  const { source, channel, sink } = flow;
  const from = source && { part: source.name, delivery: deliveryOf(source) };
  const via = { part: channel.name, delivery: throughDelivery(channel, from?.delivery) };
  const to = sink && { part: sink.name, delivery: deliveryOf(sink) };
  const parts = [from, via, to].filter((part) => part !== undefined);
  const contributions = {
    crash: parts.flatMap(({ part, delivery }) => contribution(part, delivery?.crash)),
    stop: parts.flatMap(({ part, delivery }) => contribution(part, delivery?.stop)),
    full: [...(from === undefined ? [] : contribution(from.part, from.delivery?.full)), ...otherChannels(flow)],
    dead: to === undefined ? [] : deadSink(flow, to.part, to.delivery?.dead),
  };
  const effects = {
    crash: worst(contributions.crash),
    stop: worst(contributions.stop),
    full: worst(contributions.full),
    dead: worst(contributions.dead),
  };
  const unknown = parts.filter(({ delivery }) => delivery === undefined).map(({ part }) => part);
  return { effects, contributions, promise: promiseOf(effects, flow), improve: improvements(contributions), notes: notesOf(flow, unknown) };
}

function deliveryOf({ spec, config }: SourceModel | ChannelModel | SinkModel): Delivery | undefined {
  return spec.delivery?.(config as never);
}

/** What acknowledges through a channel in memory keeps only what its source can send again. */
function throughDelivery(channel: ChannelModel, from: Delivery | undefined): Delivery | undefined {
  const own = deliveryOf(channel);
  if (own === undefined || channel.facts.ackThrough !== true || from?.replays === true) return own;
  const lost: Loss = {
    effect: 'loses',
    note: 'ackThrough does not help a source that cannot send again: what waits in memory is lost',
    improve: 'use a channel of type = file',
  };
  return { ...own, crash: lost, stop: lost };
}

function contribution(part: string, loss: Loss | undefined): Contribution[] {
  return loss === undefined ? [] : [{ part, loss }];
}

/** With several required channels a put that the second refuses is repeated, and the first has the batch twice. */
function otherChannels({ source, channel }: Flow): Contribution[] {
  if (source === undefined || source.channels.length < 2) return [];
  if (isOptional(source, channel.name)) {
    const loss: Loss = {
      effect: 'loses',
      note: 'it is an optional channel: a copy it has no room for is dropped and counted',
      improve: `take ${channel.name} out of the optional channels of ${source.name}`,
    };
    return [{ part: channel.name, loss }];
  }
  const others = source.channels.filter((name) => name !== channel.name && !isOptional(source, name));
  if (others.length === 0 || source.selector.spec.type !== 'replicating') return [];
  return [
    { part: channel.name, loss: { effect: 'doubles', note: `when ${others.join(' or ')} is full the put is repeated, and what is here already comes twice` } },
  ];
}

function isOptional(source: SourceModel, channel: string): boolean {
  return Object.entries(source.selector.raw).some(([key, { value }]) => /^optional(\.|$)/.test(key) && value.split(/\s+/).includes(channel));
}

function deadSink({ group, sink }: Flow, part: string, loss: Loss | undefined): Contribution[] {
  if (group === undefined || group.sinks.length < 2) return contribution(part, loss);
  const others = group.sinks.filter((name) => name !== sink?.name).join(' or ');
  return [{ part: group.name, loss: { effect: 'doubles', note: `${others} takes over; what the dead sink had delivered of its last batch comes twice` } }];
}

function worst(contributions: readonly Contribution[]): Effect {
  return contributions.reduce<Effect>((soFar, { loss }) => (SCALE.indexOf(loss.effect) > SCALE.indexOf(soFar) ? loss.effect : soFar), 'nothing');
}

function promiseOf(effects: Readonly<Record<Trouble, Effect>>, flow: Flow): string {
  if (flow.sink === undefined) return 'goes nowhere: no sink takes from the channel';
  if (flow.source === undefined) return 'brings nothing: no source puts into the channel';
  const names: Readonly<Record<Trouble, string>> = { crash: 'a crash', stop: 'a stop', full: 'a full channel', dead: 'a dead sink' };
  const losing = (Object.keys(names) as Trouble[]).filter((trouble) => effects[trouble] === 'loses').map((trouble) => names[trouble]);
  if (losing.length > 0) return `can lose events, by ${losing.join(' or ')}`;
  if (Object.values(effects).includes('doubles')) return 'at least once: loses nothing, some events may come twice';
  return 'loses nothing and doubles nothing';
}

function improvements(contributions: Readonly<Record<Trouble, readonly Contribution[]>>): string[] {
  const all = Object.values(contributions).flat();
  const byWeight = [...all].sort((a, b) => SCALE.indexOf(b.loss.effect) - SCALE.indexOf(a.loss.effect));
  return [...new Set(byWeight.flatMap(({ part, loss }) => (loss.improve === undefined ? [] : [`${part}: ${loss.improve}`])))];
}

function notesOf({ source, channel, sink }: Flow, unknown: readonly string[]): string[] {
  const notes: string[] = [];
  for (const name of unknown) notes.push(`${name} does not say what it does when things go wrong; the grade leaves it out`);
  const filters = source?.interceptors.filter(({ spec }) => spec.type === 'regex_filter') ?? [];
  for (const { name } of filters) notes.push(`interceptor ${name} drops events on purpose`);
  if (source?.selector.spec.type === 'multiplexing' && !('default' in source.selector.raw)) {
    notes.push(`events whose header is not mapped go to no channel and count as delivered; set selector.default`);
  }
  const { capacity } = channel.facts;
  if (capacity !== undefined && capacity > 0 && sink !== undefined && sink.spec.delivery?.(sink.config as never).dead?.effect !== 'nothing')
    notes.push(`while ${sink.name} is dead, ${channel.name} takes ${capacity.toLocaleString('en-US')} events before it is full`);
  return notes;
}
