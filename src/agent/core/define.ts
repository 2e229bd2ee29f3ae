/**
 * How a component is declared: one object per file, from which derive parsing, findings, `describe`, the reference
 * pages, `explain`, and the running thing itself. `define…` only pins types; it does nothing at run time but stamp the kind.
 */

import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { FindingDraft, RawValue } from '../../lib/props/finding.ts';
import type { Config, Properties } from '../../lib/props/spec.ts';
import type { Channel } from './channel.ts';
import type { ChannelCounters, SinkCounters, SourceCounters } from './counters.ts';
import type { Interceptor } from './interceptor.ts';
import type { GroupMember, SinkProcessor } from './processor.ts';
import type { Selector } from './selector.ts';
import type { ByteSource, Deserializer, Serializer } from './serializer.ts';
import type { Sink } from './sink.ts';
import type { Output, PollableSource, Source } from './source.ts';

export type Kind = 'source' | 'channel' | 'sink' | 'selector' | 'processor' | 'interceptor' | 'serializer' | 'deserializer' | 'configfilter';

/** What one kind of trouble does to events, in words for `explain`. */
export interface Loss {
  readonly effect: 'nothing' | 'waits' | 'loses' | 'doubles';
  /** One clause, e.g. "events in memory are lost". */
  readonly note: string;
  /** What to change to do better, if anything. */
  readonly improve?: string;
}

/** What a component does to events when things go wrong; `explain` works a flow's delivery grade out of its parts. */
export interface Delivery {
  /** kill -9 or power loss. */
  readonly crash: Loss;
  /** SIGTERM. */
  readonly stop: Loss;
  /** Sources: the channel is full for long. */
  readonly full?: Loss;
  /** Sinks: the other end is dead for long. */
  readonly dead?: Loss;
  /** Sources: after a crash the same input can be read again (files, Kafka offsets, clients that wait for an answer). */
  readonly replays?: boolean;
}

/** Facts that rules between components need; computed from the configuration. */
export interface Facts {
  readonly batchSize?: number;
  readonly capacity?: number;
  readonly transactionCapacity?: number;
  /** Channels: a put returns only when sinks have committed; sources that cannot send again gain nothing by it. */
  readonly ackThrough?: boolean;
  readonly listens?: readonly { readonly protocol: 'tcp' | 'udp'; readonly host: string; readonly port: number }[];
  /** Directories or files that nobody else may use. */
  readonly owns?: readonly string[];
  /** Directories or files that are read and moved, e.g. a spool directory; two users of one are a finding. */
  readonly reads?: readonly string[];
}

/** What every component gets besides its configuration. */
export interface ComponentContext {
  /** As in the definition, e.g. `r1`. */
  readonly name: string;
  readonly agent: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** The user's home (`-Duser.home` or the account's), for Flume's default directories. */
  readonly home: string;
  /** Running, but not well; shown in status, /health and metrics until `healthy()`. */
  degraded(error: Error): void;
  healthy(): void;
  /** It stopped working and must be started again (with backoff) by the supervisor: a listener died, a child is gone. */
  failed(error: Error): void;
  /** Counters declared in the spec's `counters`, by name. */
  readonly extra: Record<string, number>;
}

export interface SourceContext extends ComponentContext {
  readonly output: Output;
  readonly counters: SourceCounters;
  /** Builds a deserializer by alias or class name. @throws ConfigError unknown type or bad properties */
  deserializer(type: string, properties: Readonly<Record<string, string>>, input: DeserializerInput): Deserializer;
}

export interface ChannelContext extends ComponentContext {
  readonly counters: ChannelCounters;
}

export interface SinkContext extends ComponentContext {
  readonly counters: SinkCounters;
  /** A factory of serializers by alias or class name; call it once per file. @throws ConfigError unknown type or bad properties */
  serializer(type: string, properties: Readonly<Record<string, string>>): () => Serializer;
}

export interface InterceptorContext {
  readonly name: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Builds a part by class name, e.g. the regex extractor's value serializers. */
  readonly source: string;
}

/** What a deserializer reads and how. */
export interface DeserializerInput {
  readonly source: ByteSource;
  readonly inputCharset: string;
  readonly decodeErrorPolicy: 'FAIL' | 'REPLACE' | 'IGNORE';
  /** Byte position to start at. */
  readonly position: number;
  readonly log: Logger;
}

/** The common part of all specs. */
export interface Spec<P extends Properties> {
  /** Short alias, matched in any case. */
  readonly type: string;
  /** Other accepted spellings, Flume class names among them (matched exactly). */
  readonly aliases?: readonly string[];
  /** One sentence for the reference. */
  readonly summary: string;
  readonly properties: P;
  /** Counters beyond those of the kind: Flume attribute name → one sentence. */
  readonly counters?: Readonly<Record<string, string>>;
  /** Rules between properties. `raw` tells what was written. */
  readonly check?: (config: Config<P>, raw: Readonly<Record<string, RawValue>>) => readonly FindingDraft[];
  readonly facts?: (config: Config<P>) => Facts;
  readonly delivery?: (config: Config<P>) => Delivery;
}

export interface SourceSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'source';
  readonly create: (config: Config<P>, ctx: SourceContext) => Source | PollableSource;
}
export interface ChannelSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'channel';
  readonly create: (config: Config<P>, ctx: ChannelContext) => Channel;
  /** Takes a changed configuration over into the running channel, events kept; false = it must be built anew. */
  readonly adopt?: (channel: Channel, config: Config<P>) => boolean;
}
export interface SinkSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'sink';
  /** `start` and `stop` may be left out. */
  readonly create: (config: Config<P>, ctx: SinkContext) => Pick<Sink, 'deliver'> & Partial<Sink>;
}
export interface InterceptorSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'interceptor';
  readonly create: (config: Config<P>, ctx: InterceptorContext) => Interceptor;
}
export interface SelectorSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'selector';
  /** `channels`: names of the source's channels, in the order of the indexes to answer. @throws ConfigError unknown channel named */
  readonly create: (config: Config<P>, channels: readonly string[]) => Selector;
}
export interface ProcessorSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'processor';
  readonly create: (config: Config<P>, members: readonly GroupMember[], ctx: { readonly log: Logger; readonly clock: Clock }) => SinkProcessor;
}
export interface SerializerSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'serializer';
  readonly create: (config: Config<P>) => Serializer;
}
export interface DeserializerSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'deserializer';
  readonly create: (config: Config<P>, input: DeserializerInput) => Deserializer;
}
export interface ConfigFilterSpec<P extends Properties = Properties> extends Spec<P> {
  readonly kind: 'configfilter';
  /** Answers the value for a key, or null. Synchronous: it runs while the definition is read. */
  readonly create: (config: Config<P>) => (key: string) => string | null;
}

// biome-ignore lint/suspicious/noExplicitAny: a catalog holds specs of all property sets
type OfAnyProperties = any;
/** Any component declaration. */
export type AnySpec =
  | SourceSpec<OfAnyProperties>
  | ChannelSpec<OfAnyProperties>
  | SinkSpec<OfAnyProperties>
  | InterceptorSpec<OfAnyProperties>
  | SelectorSpec<OfAnyProperties>
  | ProcessorSpec<OfAnyProperties>
  | SerializerSpec<OfAnyProperties>
  | DeserializerSpec<OfAnyProperties>
  | ConfigFilterSpec<OfAnyProperties>;

type Draft<S> = Omit<S, 'kind'>;

export function defineSource<const P extends Properties>(spec: Draft<SourceSpec<P>>): SourceSpec<P> {
  return { ...spec, kind: 'source' };
}
export function defineChannel<const P extends Properties>(spec: Draft<ChannelSpec<P>>): ChannelSpec<P> {
  return { ...spec, kind: 'channel' };
}
export function defineSink<const P extends Properties>(spec: Draft<SinkSpec<P>>): SinkSpec<P> {
  return { ...spec, kind: 'sink' };
}
export function defineInterceptor<const P extends Properties>(spec: Draft<InterceptorSpec<P>>): InterceptorSpec<P> {
  return { ...spec, kind: 'interceptor' };
}
export function defineSelector<const P extends Properties>(spec: Draft<SelectorSpec<P>>): SelectorSpec<P> {
  return { ...spec, kind: 'selector' };
}
export function defineProcessor<const P extends Properties>(spec: Draft<ProcessorSpec<P>>): ProcessorSpec<P> {
  return { ...spec, kind: 'processor' };
}
export function defineSerializer<const P extends Properties>(spec: Draft<SerializerSpec<P>>): SerializerSpec<P> {
  return { ...spec, kind: 'serializer' };
}
export function defineDeserializer<const P extends Properties>(spec: Draft<DeserializerSpec<P>>): DeserializerSpec<P> {
  return { ...spec, kind: 'deserializer' };
}
export function defineConfigFilter<const P extends Properties>(spec: Draft<ConfigFilterSpec<P>>): ConfigFilterSpec<P> {
  return { ...spec, kind: 'configfilter' };
}
