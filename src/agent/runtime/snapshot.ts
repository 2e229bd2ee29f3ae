/**
 * What the running agent says about itself at one moment: the only thing monitoring, the console and the shutdown log
 * read. Taken synchronously, so figures of one snapshot belong together. Counter names are Flume's (counters.ts).
 */
import type { ChannelGauges } from '../core/channel.ts';
import type { Status } from '../core/status.ts';

/** The last error of a component, as its author words it. */
export interface ErrorSnapshot {
  /** AppError code, e.g. `CHANNEL_FULL`; `INTERNAL` for anything else. */
  readonly code: string;
  readonly message: string;
  readonly fix?: string | undefined;
  /** Epoch ms of the latest occurrence. */
  readonly at: number;
  /** How often it was seen in a row without progress between. */
  readonly times: number;
}

export interface ComponentSnapshot {
  readonly kind: 'source' | 'channel' | 'sink';
  readonly name: string;
  /** `type` as the definition has it. */
  readonly type: string;
  readonly status: Status;
  /** Epoch ms since when it has this status. */
  readonly since: number;
  /** Present while the component is not well; stays until the next healthy moment. */
  readonly error?: ErrorSnapshot | undefined;
  /** How often the supervisor started it again. */
  readonly restarts: number;
  /** The counters of its kind, Flume's names (without ChannelSize, ChannelCapacity, ChannelFillPercentage: see gauges). */
  readonly counters: Readonly<Record<string, number>>;
  /** Counters declared in the component's spec, and a channel's further gauges. */
  readonly extra: Readonly<Record<string, number | string>>;
  /** Channels only. */
  readonly gauges?: ChannelGauges | undefined;
  /** Channels a source writes to or a sink reads from. */
  readonly channels: readonly string[];
  /** The sink group a sink belongs to. */
  readonly group?: string | undefined;
  /** Epoch ms of the last batch stored (source), stored or lent (channel) or delivered (sink); 0 = none yet. */
  readonly progressAt: number;
  /** Epoch ms since when every attempt failed; 0 = the last attempt succeeded or there was none. */
  readonly failingSince: number;
  /** Sinks: epoch ms since when the delivery under way lasts; 0 = none is. */
  readonly busySince?: number;
}

/** Why events ended without being delivered. */
export type DropReason = 'interceptor' | 'optional-channel-refused' | 'definition-changed';

/**
 * Conservation of one channel's flow: received = delivered + inChannel + dropped (all reasons) + gap.
 * `received` counts events from the sources (before interceptors, where all of a source's events go here), plus those
 * the channel held when it started.
 */
export interface FlowSnapshot {
  readonly channel: string;
  readonly sources: readonly string[];
  readonly sinks: readonly string[];
  readonly received: number;
  /** Events a sink committed. */
  readonly delivered: number;
  /** Waiting plus lent. */
  readonly inChannel: number;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  /** 0 unless something was lost or doubled inside; null where others use the channel too (Kafka channel). */
  readonly gap: number | null;
}

export type AgentStatus = 'starting' | 'running' | 'degraded' | 'failed' | 'stopping' | 'stopped';

export interface AgentSnapshot {
  readonly agent: string;
  /** `running` = every component runs; `degraded` = some flow runs; `failed` = none does. */
  readonly status: AgentStatus;
  /** Epoch ms of the process's agent start. */
  readonly startedAt: number;
  /** Epoch ms when the definition now running was applied. */
  readonly configuredAt: number;
  readonly reloads: { readonly applied: number; readonly refused: number; readonly lastError?: string | undefined };
  /** In the order channels, sinks, sources; each as in the definition. */
  readonly components: readonly ComponentSnapshot[];
  readonly flows: readonly FlowSnapshot[];
  /** Components of the definition that do not run because it is wrong about them. */
  readonly leftOut?: readonly { readonly kind: string; readonly name: string; readonly why: string }[];
  /** Events sources received of which nobody wanted a copy (multiplexing without default), by source. */
  readonly unrouted: Readonly<Record<string, number>>;
  /** Events interceptors took out before the selector could name their channels, by source; otherwise they are in the flows. */
  readonly filtered?: Readonly<Record<string, number>>;
}

/** Answers the state of now. Cheap enough to be asked every second. */
export type SnapshotSource = () => AgentSnapshot;
