/** What the runtime hands to every component besides its configuration; the same for all of one agent. */

import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { ComponentContext } from '../core/define.ts';
import type { Lifecycle } from '../core/lifecycle.ts';
import type { Supervised } from './supervisor.ts';

export interface ContextBase {
  readonly agent: string;
  readonly clock: Clock;
  /** The user's home directory. */
  readonly home: string;
  /** A logger whose lines name the component (`source r1`) and its type (`source.netcat`). */
  readonly logFor: (component: string, where: string) => Logger;
  /** Events may be logged with their content, at DEBUG (Flume's org.apache.flume.log.rawdata). */
  readonly rawData?: boolean;
}

/** The common part of a component's context, its reports wired to its supervisor. */
export function contextFor(base: ContextBase, own: Pick<ComponentContext, 'name' | 'log' | 'extra'>, supervised: Supervised<Lifecycle>): ComponentContext {
  return {
    ...own,
    agent: base.agent,
    clock: base.clock,
    home: base.home,
    degraded: (error) => supervised.degrade('component', error),
    healthy: () => supervised.heal('component'),
    failed: (error) => supervised.fail(error),
  };
}

/** A record of declared counters, all 0. */
export function zeroed(declared: Readonly<Record<string, string>> | undefined): Record<string, number> {
  return Object.fromEntries(Object.keys(declared ?? {}).map((name) => [name, 0]));
}

/**
 * The place that log lines of a component name: its Flume class where it has one (`org.apache.flume.sink.LoggerSink`), as
 * the greps and log parsers of ten years expect, else kind and type.
 */
export function placeOf({ kind, type, aliases }: { readonly kind: string; readonly type: string; readonly aliases?: readonly string[] }): string {
  return aliases?.find((alias) => alias.startsWith('org.apache.flume.')) ?? `${kind}.${type}`;
}
