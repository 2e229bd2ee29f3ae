/** Contexts to run one component without an agent, and events to feed it. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach } from 'vitest';
import { ChannelCounters, SinkCounters, SourceCounters } from '../../src/agent/core/counters.ts';
import type { ChannelContext, ComponentContext, SinkContext, SourceContext } from '../../src/agent/core/define.ts';
import type { Event, Sealed } from '../../src/agent/core/event.ts';
import type { Output } from '../../src/agent/core/source.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/log.ts';

const silent: Logger = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, isLevelEnabled: () => false };

/** What a component told its supervisor. */
export interface Reports {
  degraded: Error[];
  failed: Error[];
  healthy: number;
}

export function componentContext(reports: Reports = { degraded: [], failed: [], healthy: 0 }): ComponentContext {
  return {
    name: 'x1',
    agent: 'a1',
    log: silent,
    clock: systemClock,
    home: os.tmpdir(),
    extra: new Proxy<Record<string, number>>({}, { get: (target, key) => target[key as string] ?? 0 }),
    degraded: (error) => reports.degraded.push(error),
    failed: (error) => reports.failed.push(error),
    healthy: () => {
      reports.healthy++;
    },
  };
}

export function channelContext(reports?: Reports): ChannelContext {
  return { ...componentContext(reports), counters: new ChannelCounters() };
}

/** Serializers must be handed in by a test that needs them. */
export function sinkContext(reports?: Reports, serializer: SinkContext['serializer'] = unexpected): SinkContext {
  return { ...componentContext(reports), counters: new SinkCounters(), serializer };
}

export function sourceContext(output: Output, reports?: Reports, deserializer: SourceContext['deserializer'] = unexpected): SourceContext {
  return { ...componentContext(reports), counters: new SourceCounters(), output, deserializer };
}

function unexpected(type: string): never {
  throw new Error(`this test hands out no part "${type}"`);
}

const places: string[] = [];
afterEach(() => {
  for (const place of places.splice(0)) fs.rmSync(place, { recursive: true, force: true });
});

/** A directory that is removed after the test. */
export function freshPlace(): string {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-contract-'));
  places.push(place);
  return place;
}

export function events(...bodies: string[]): Event[] {
  return bodies.map((body) => ({ headers: {}, body: Buffer.from(body) }));
}

/** `from`, `from + 1`, …: `count` of them. */
export function numbered(from: number, count: number): Event[] {
  return Array.from({ length: count }, (_, i) => ({ headers: { n: `${from + i}` }, body: Buffer.from(`${from + i}`) }));
}

export function bodies(batch: readonly Sealed[]): string[] {
  return batch.map((event) => event.body.toString());
}

/** A signal for calls that are not meant to be aborted; ends them when the test hangs. */
export function patience(ms = 20_000): AbortSignal {
  return AbortSignal.timeout(ms);
}

/** Whether a promise is still open after the loop went round a few times. */
export async function stillOpen(promise: Promise<unknown>, ms = 30): Promise<boolean> {
  const open = Symbol('open');
  const first = await Promise.race([promise.catch(() => undefined), new Promise((resolve) => setTimeout(() => resolve(open), ms))]);
  return first === open;
}

/** Polls until true, at most 20 s. */
export async function until(check: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
