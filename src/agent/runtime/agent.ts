/**
 * One agent: its channels, sinks and sources, started, stopped and changed in an order that loses nothing. Everything
 * below runs supervised, so a method here never waits for something to become well, only for first attempts.
 */

import { AppError, errorText } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { AgentModel, ChannelModel } from '../config/model.ts';
import type { Catalog } from '../core/catalog.ts';
import type { Sealed } from '../core/event.ts';
import { censusOf, componentsOf, missesParts, someFlowRuns, someStarts, statusOf } from './census.ts';
import { type Changes, changesOf } from './changes.ts';
import type { ChannelGuard } from './channel-guard.ts';
import type { ContextBase } from './context.ts';
import { PartShop } from './part-shop.ts';
import type { SinkRunner } from './sink-runner.ts';
import type { SinkUnit } from './sink-unit.ts';
import type { AgentSnapshot } from './snapshot.ts';
import type { SourceRunner } from './source-runner.ts';
import { Topology } from './topology.ts';

export interface AgentOptions {
  readonly model: AgentModel;
  readonly catalog: Catalog;
  readonly base: ContextBase;
  /** How long a stop may take altogether, ms; what a channel would lose is drained meanwhile. */
  readonly stopTimeoutMs: number;
  /** Ended after everything else: an embedded broker that sinks of this agent may still write to. */
  readonly afterStop?: () => Promise<void>;
}

/** Events that a stop left in a channel that cannot keep them. */
export interface Leftover {
  readonly channel: string;
  readonly events: number;
}

const DRAIN_POLL_MS = 10;
/** A sink or source that takes longer for its first attempt is not waited for: sources must not wait for a sink that hangs. */
const START_PATIENCE_MS = 5_000;
/** Part of a stop's time that is kept for ending sinks and channels after the drain. */
const CLOSING_SHARE = 0.15;
/** Part of a stop's time that sources may take to finish puts in flight. */
const INPUT_SHARE = 0.4;

export class Agent {
  readonly #options: AgentOptions;
  readonly #log: Logger;
  readonly #shop: PartShop;
  readonly #topology: Topology;
  #model: AgentModel;
  readonly #startedAt: number;
  #configuredAt: number;
  #phase: 'starting' | 'up' | 'stopping' | 'stopped' = 'starting';
  #applied = 0;
  #refused = 0;
  #reloadError: string | undefined;

  constructor(options: AgentOptions) {
    const { base, catalog, model } = options;
    this.#options = options;
    this.#model = model;
    this.#log = base.logFor('agent', 'agent');
    this.#shop = new PartShop(catalog);
    this.#topology = new Topology(base, this.#shop);
    this.#startedAt = base.clock.now();
    this.#configuredAt = this.#startedAt;
  }

  get model(): AgentModel {
    return this.#model;
  }
  get #ending(): boolean {
    return this.#phase === 'stopping' || this.#phase === 'stopped';
  }
  /** See census.ts. */
  get someFlowRuns(): boolean {
    return someFlowRuns(this.#topology);
  }
  /** Whether everything the definition has runs, nothing left out. */
  get allRuns(): boolean {
    return !missesParts(this.#model) && componentsOf(this.#topology).every(({ supervised }) => supervised.working);
  }
  /** Whether a first attempt to start something is still under way. */
  get someStarts(): boolean {
    return this.#phase === 'starting' || someStarts(this.#topology);
  }
  /** Whether all channels, or all sources, wait for a new definition, so that time will change nothing. */
  get hopeless(): boolean {
    const { channels, sources } = this.#topology;
    const failed = (parts: readonly (ChannelGuard | SinkUnit | SourceRunner)[]): boolean =>
      parts.length > 0 && parts.every(({ supervised }) => supervised.status === 'failed');
    return !this.someFlowRuns && (failed([...channels.values()]) || failed(sources.size > 0 ? [...sources.values()] : componentsOf(this.#topology)));
  }

  /** Starts everything; resolves when each component has been tried once. Errors are logged and tried again. */
  async start(): Promise<void> {
    await this.#shop.prepare(this.#model);
    this.#topology.complete(this.#model);
    const { sources, channels, sinks, drains } = this.#topology;
    await this.#startChannels([...channels.keys()]);
    if (this.#ending) return;
    await this.#startSinks({ sinks: [...sinks.keys()], drains: [...drains.keys()] });
    if (this.#ending) return;
    await this.#startSources([...sources.keys()]);
    if (this.#phase === 'starting') this.#phase = 'up';
  }

  /** Stops everything within `stopTimeoutMs`; answers what was lost, if anything. Safe twice. */
  async stop(): Promise<readonly Leftover[]> {
    if (this.#ending) return [];
    this.#phase = 'stopping';
    const { stopTimeoutMs, afterStop } = this.#options;
    const began = this.#now();
    const until = (share: number): number => began + stopTimeoutMs * share;
    const { sources, channels, sinks, drains } = this.#topology;
    await this.#stopSources([...sources.keys()], until(INPUT_SHARE));
    await this.#drain([...channels.keys()], until(1 - CLOSING_SHARE));
    await this.#stopSinks({ drains: [...drains.keys()], sinks: [...sinks.keys()] }, until(1 - CLOSING_SHARE / 2));
    const leftovers = this.leftovers();
    for (const { channel, events } of leftovers) this.#log.warn(`channel ${channel} still held ${events} events, which are lost now`);
    await this.#stopChannels([...channels.keys()], until(1));
    await afterStop?.();
    this.#phase = 'stopped';
    return leftovers;
  }

  /** What would be lost if the process ended now. */
  leftovers(): readonly Leftover[] {
    const channels = [...this.#topology.channels.values()].filter((channel) => channel.losesOnStop && channel.held > 0);
    return channels.map((channel) => ({ channel: channel.name, events: channel.held }));
  }

  /**
   * Changes the running agent to another definition: stops what left or changed, starts what came or changed, and
   * touches nothing else. @throws AppError when something of it could not start; the old definition runs again then
   */
  async apply(next: AgentModel): Promise<Changes> {
    const previous = this.#model;
    await this.#shop.prepare(next);
    const adopt = (channel: ChannelModel): boolean => this.#topology.channels.get(channel.name)?.adopt(channel) ?? false;
    const changes = changesOf(previous, next, adopt);
    const carried = new Map<string, Sealed[]>();
    const error = await this.#change(changes, next, carried);
    if (error === undefined || this.#ending) {
      this.#applied++;
      this.#reloadError = undefined;
      this.#configuredAt = this.#options.base.clock.now();
      return changes;
    }
    const second = await this.#change(changesOf(next, previous, adopt), previous, carried);
    this.#giveUp(carried);
    const outcome = second === undefined ? 'the previous definition runs again' : `and the previous one did not start at once either: ${errorText(second)}`;
    const failure = new AppError('RELOAD', `the new definition was taken back: ${errorText(error)}; ${outcome}`, {
      cause: error,
      ...(error instanceof AppError && error.fix !== undefined ? { fix: error.fix } : {}),
    });
    this.refuseReload(failure.message);
    throw failure;
  }

  /** Notes a new definition that was not taken over, for the snapshot. */
  refuseReload(reason: string): void {
    this.#refused++;
    this.#reloadError = reason;
  }

  snapshot(): AgentSnapshot {
    const phase = this.#phase;
    return {
      agent: this.#model.name,
      status: phase === 'up' ? statusOf(this.#topology, this.#model) : phase,
      startedAt: this.#startedAt,
      configuredAt: this.#configuredAt,
      reloads: { applied: this.#applied, refused: this.#refused, lastError: this.#reloadError },
      ...censusOf(this.#topology, this.#model),
    };
  }

  /** Says once what does not run; the caller decides how often. Answers false when all is well. */
  logTroubles(): boolean {
    const troubled = componentsOf(this.#topology).filter(({ supervised }) => !supervised.working);
    if (troubled.length === 0) return false;
    const list = troubled.map(({ name, supervised }) => `${name} (${supervised.status}: ${supervised.error?.message ?? 'no error'})`);
    this.#log.warn(`not running: ${list.join(', ')}`);
    return true;
  }

  /** Answers the first error of what was started anew; undefined = all of it runs. */
  async #change(changes: Changes, next: AgentModel, carried: Map<string, Sealed[]>): Promise<unknown> {
    const { stop, start } = changes;
    const { stopTimeoutMs } = this.#options;
    const until = (share: number): number => this.#now() + stopTimeoutMs * share;
    await this.#stopSources(stop.sources, until(INPUT_SHARE));
    await this.#drain(stop.channels, until(1 - CLOSING_SHARE));
    await this.#stopSinks(stop, until(1));
    await this.#unload(
      stop.channels.filter((name) => start.channels.includes(name)),
      carried,
    );
    const gone = this.leftovers().filter(({ channel }) => stop.channels.includes(channel) && !start.channels.includes(channel));
    for (const { channel, events } of gone)
      this.#log.warn(`channel ${channel} leaves the definition with ${events} events that could not be delivered and are lost`);
    await this.#stopChannels(stop.channels, until(1));
    if (this.#ending) return undefined;
    this.#model = next;
    this.#topology.complete(next);
    const errors = [await this.#startChannels(start.channels)];
    // Sinks run before the events of a predecessor come back, so that a smaller channel can take them all.
    // A stop that came meanwhile has taken the parts out of the topology: nothing is there to start then.
    errors.push(await this.#startSinks(start), await this.#reload(carried), await this.#startSources(start.sources));
    return errors.find((error) => error !== undefined);
  }

  async #patiently(starting: Promise<unknown>): Promise<unknown> {
    const over = new AbortController();
    const error = await Promise.race([starting, this.#options.base.clock.sleep(START_PATIENCE_MS, over.signal)]);
    over.abort();
    return error;
  }

  /** Channels first: a sink or source that starts must find where events are. Waits for replays, however long. */
  async #startChannels(names: readonly string[]): Promise<unknown> {
    return firstError(names.map((name) => this.#topology.channels.get(name)?.start()));
  }

  /** Sinks second: what a durable channel brought along leaves before new events come in. */
  async #startSinks({ sinks, drains }: Pick<Changes['start'], 'sinks' | 'drains'>): Promise<unknown> {
    const error = await this.#patiently(firstError(sinks.map((name) => this.#topology.sinks.get(name)?.start())));
    for (const name of drains) this.#topology.drains.get(name)?.start();
    return error;
  }

  /** Sources last: a client that connects finds its events taken care of. */
  async #startSources(names: readonly string[]): Promise<unknown> {
    return this.#patiently(firstError(names.map((name) => this.#topology.sources.get(name)?.start())));
  }

  /** Sources first: no new input; puts in flight finish, so that clients learn what became of their events. */
  async #stopSources(names: readonly string[], deadline: number): Promise<void> {
    const parts = present(names, this.#topology.sources);
    await this.#by(deadline, 'source', parts, (source: SourceRunner) => source.stop(Math.max(0, deadline - this.#now()) / 2));
    for (const name of names) this.#topology.sources.delete(name);
  }

  /** Then what a channel could not keep is delivered, as far as sinks manage until the deadline. Durable channels keep theirs. */
  async #drain(names: readonly string[], deadline: number): Promise<void> {
    const channels = present(names, this.#topology.channels).filter((channel) => channel.losesOnStop);
    const runners = [...this.#topology.drains.values()].filter((runner) => channels.includes(runner.channel));
    for (const runner of runners) runner.hurry();
    const waiting = (): boolean => runners.some(({ channel, hopeless }) => channel.supervised.working && channel.held > 0 && !hopeless);
    while (waiting() && this.#now() < deadline) await this.#options.base.clock.sleep(DRAIN_POLL_MS);
  }

  /** Sinks after the drain: the batch under way is delivered or goes back. */
  async #stopSinks({ sinks, drains }: Pick<Changes['stop'], 'sinks' | 'drains'>, deadline: number): Promise<void> {
    await this.#by(deadline, 'sink', present(drains, this.#topology.drains), (runner: SinkRunner) => runner.stop());
    await this.#by(deadline, 'sink', present(sinks, this.#topology.sinks), (sink: SinkUnit) => sink.stop());
    for (const name of drains) this.#topology.drains.delete(name);
    for (const name of sinks) this.#topology.sinks.delete(name);
  }

  /** Channels last: nobody reads or writes any more, so they can sync and close. */
  async #stopChannels(names: readonly string[], deadline: number): Promise<void> {
    await this.#by(deadline, 'channel', present(names, this.#topology.channels), (channel: ChannelGuard) => channel.stop());
    for (const name of names) this.#topology.channels.delete(name);
  }

  /** Takes out what is left in channels that will be built anew and could not keep it. */
  async #unload(names: readonly string[], into: Map<string, Sealed[]>): Promise<void> {
    for (const channel of present(names, this.#topology.channels)) {
      const events: Sealed[] = [];
      while (channel.losesOnStop && channel.supervised.working && (channel.gauges()?.size ?? 0) > 0) {
        const lease = await channel.take(channel.maxBatch, AbortSignal.timeout(1_000));
        if (lease === null) break;
        events.push(...lease.events);
        await lease.commit();
      }
      // Events of an earlier attempt to move them are behind those that found room.
      if (events.length > 0) into.set(channel.name, [...events, ...(into.get(channel.name) ?? [])]);
    }
  }

  /** Puts what was taken out into the channel of the same name. Answers an error when some found no room; they stay in `carried`. */
  async #reload(carried: Map<string, Sealed[]>): Promise<unknown> {
    let failure: unknown;
    for (const [name, events] of carried) {
      const channel = this.#topology.channels.get(name) as ChannelGuard;
      const size = Math.min(channel.maxBatch, Math.max(1, channel.gauges()?.capacity || events.length));
      try {
        while (events.length > 0) {
          const part = events.slice(0, size).map((event) => ({ headers: { ...event.headers }, body: event.body }));
          await channel.put(part, AbortSignal.timeout(5_000));
          events.splice(0, part.length);
        }
        carried.delete(name);
      } catch (error) {
        failure = new AppError('RELOAD', `channel ${name} has no room for ${events.length} events of its predecessor: ${errorText(error)}`, { cause: error });
      }
    }
    return failure;
  }

  /** Books events that neither definition has room for. */
  #giveUp(carried: ReadonlyMap<string, readonly Sealed[]>): void {
    for (const [name, events] of carried) {
      this.#topology.channels.get(name)?.drop('definition-changed', events.length);
      this.#log.warn(`channel ${name} could not keep ${events.length} events while the definition changed; they are lost`);
    }
  }

  /** Ends all parts side by side, waiting no longer than the deadline; says which did not end. */
  async #by<T extends { readonly name: string }>(deadline: number, kind: string, parts: readonly T[], end: (part: T) => Promise<void>): Promise<void> {
    const { clock } = this.#options.base;
    const pending = new Set(parts.map((part) => part.name));
    const over = new AbortController();
    const all = Promise.all(
      parts.map(async (part) => {
        await end(part);
        pending.delete(part.name);
      }),
    );
    await Promise.race([all, clock.sleep(Math.max(0, deadline - this.#now()), over.signal)]);
    over.abort();
    for (const name of pending) this.#log.warn(`${kind} ${name} did not stop in time and is left behind`);
  }

  #now(): number {
    return this.#options.base.clock.monotonic();
  }
}

function present<T>(names: readonly string[], parts: ReadonlyMap<string, T>): readonly T[] {
  return names.map((name) => parts.get(name)).filter((part) => part !== undefined);
}

async function firstError(attempts: readonly (Promise<unknown> | undefined)[]): Promise<unknown> {
  const errors = await Promise.all(attempts);
  return errors.find((error) => error !== undefined);
}
