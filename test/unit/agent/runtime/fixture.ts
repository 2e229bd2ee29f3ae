/**
 * Small components whose behaviour a test steers, and models made of them without a properties file. The channel is the
 * real memory channel.
 */
import memory from '../../../../src/agent/channels/memory.ts';
import type { AgentModel, ChannelModel, Part, SinkGroupModel, SinkModel, SourceModel } from '../../../../src/agent/config/model.ts';
import type { Catalog } from '../../../../src/agent/core/catalog.ts';
import {
  type AnySpec,
  defineInterceptor,
  defineProcessor,
  defineSelector,
  defineSink,
  defineSource,
  type SourceContext,
} from '../../../../src/agent/core/define.ts';
import type { Event, Sealed } from '../../../../src/agent/core/event.ts';
import type { Selector } from '../../../../src/agent/core/selector.ts';
import type { ContextBase } from '../../../../src/agent/runtime/context.ts';
import { type Clock, systemClock } from '../../../../src/lib/clock.ts';
import { AppError } from '../../../../src/lib/errors.ts';
import type { Logger } from '../../../../src/lib/log.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';

/** A source that puts what the test hands it. */
export class HandSource {
  readonly starts: number[] = [];
  stops = 0;
  startError: unknown;
  ctx: SourceContext | undefined;

  readonly spec = defineSource({
    type: 'hand',
    summary: 'Puts what a test hands it.',
    properties: {},
    create: (_config, ctx) => {
      this.ctx = ctx;
      return {
        start: async () => {
          this.starts.push(ctx.clock.monotonic());
          if (this.startError !== undefined) throw this.startError;
        },
        stop: async () => {
          this.stops++;
        },
      };
    },
  });

  put(...texts: string[]): Promise<void> {
    return (this.ctx as SourceContext).output.put(texts.map((text) => ({ headers: {}, body: Buffer.from(text) })));
  }
}

/** A sink that keeps what it gets. */
export class HandSink {
  readonly got: string[] = [];
  readonly batches: number[] = [];
  starts = 0;
  stops = 0;
  startError: unknown;
  deliverError: unknown;
  /** Partial deliveries: how many of each batch to take. */
  most: number | undefined;
  /** Awaited before each delivery. */
  before: () => Promise<void> = async () => undefined;

  readonly spec = defineSink({
    type: 'hand',
    summary: 'Keeps what it gets.',
    properties: {},
    create: () => ({
      start: async () => {
        this.starts++;
        if (this.startError !== undefined) throw this.startError;
      },
      stop: async () => {
        this.stops++;
      },
      deliver: async (batch: readonly Sealed[]) => {
        await this.before();
        if (this.deliverError !== undefined) throw this.deliverError;
        const done = this.most === undefined ? batch.length : Math.min(this.most, batch.length);
        this.batches.push(batch.length);
        for (const event of batch.slice(0, done)) this.got.push(event.body.toString());
        return done;
      },
    }),
  });
}

const toAll = defineSelector({
  type: 'replicating',
  summary: 'All.',
  properties: {},
  create: (_config, channels) => {
    const constant = { required: channels.map((_name, index) => index), optional: [] };
    return { constant, route: () => constant };
  },
});

/** A selector made of a function. */
export function selectorOf(make: (channels: readonly string[]) => Selector): Part<never> {
  return part('selector', defineSelector({ type: 'made', summary: 'Made.', properties: {}, create: (_config, channels) => make(channels) })) as never;
}

/** An interceptor made of a function. */
export function interceptorOf(name: string, apply: (batch: Event[]) => Event[]): Part<never> {
  return part(name, defineInterceptor({ type: 'made', summary: 'Made.', properties: {}, create: () => ({ apply }) })) as never;
}

const firstThatCan = defineProcessor({
  type: 'first',
  summary: 'First member that can.',
  properties: {},
  create: (_config, members) => ({
    deliver: async (batch) => {
      let error: unknown;
      for (const member of members) {
        try {
          return await member.deliver(batch);
        } catch (failure) {
          error = failure;
        }
      }
      throw error;
    },
  }),
});

let serial = 0;

function part(name: string, spec: AnySpec, raw: Readonly<Record<string, string>> = {}, fingerprint?: string): Part {
  const values = Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }]));
  const { config } = parseProperties(spec.properties, values);
  const facts = spec.facts?.(config as never) ?? {};
  return { name, type: spec.type, spec, config, raw: values, facts, fingerprint: fingerprint ?? JSON.stringify([spec.type, raw]), where: undefined };
}

/** A fingerprint nothing else has. */
export function fresh(): string {
  return `fresh ${serial++}`;
}

export function channel(name: string, raw: Readonly<Record<string, string>> = { capacity: '1000' }, spec: AnySpec = memory): ChannelModel {
  return part(name, spec, raw) as ChannelModel;
}
export function source(name: string, spec: AnySpec, channels: readonly string[], more: Partial<SourceModel> = {}): SourceModel {
  return { ...(part(name, spec) as Part<never>), channels, selector: part(name, toAll) as Part<never>, interceptors: [], ...more };
}
export function sink(name: string, spec: AnySpec, to: string, more: Partial<SinkModel> = {}): SinkModel {
  return { ...(part(name, spec) as Part<never>), channel: to, ...more };
}
export function group(name: string, sinks: readonly string[]): SinkGroupModel {
  return { name, sinks, processor: part(name, firstThatCan) as Part<never>, fingerprint: `first ${sinks.join(' ')}`, where: undefined };
}

export function model(parts: Partial<AgentModel>): AgentModel {
  return { name: 'a1', sources: [], channels: [], sinks: [], groups: [], leftOut: [], ...parts };
}

/** A catalog that knows nothing. */
export const noCatalog: Catalog = { find: async () => undefined, unavailable: () => undefined, types: async () => [] };

/** Log lines as `level message`. */
export class Lines {
  readonly all: string[] = [];

  logger(): Logger {
    const say =
      (level: string) =>
      (first: unknown, second?: string): void => {
        this.all.push(`${level} ${typeof first === 'string' ? first : (second ?? '')}`);
      };
    const logger = { trace: say('trace'), debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error'), isLevelEnabled: () => true };
    return logger as unknown as Logger;
  }
}

export function baseOf(lines: Lines = new Lines(), clock: Clock = systemClock): ContextBase {
  return { agent: 'a1', clock, home: '/home/nobody', logFor: () => lines.logger() };
}

/** An error that another attempt may not meet. */
export function passing(message: string): AppError {
  return new AppError('TEST', message, { retriable: true });
}

/** Polls until `check` is true; fails after five seconds. */
export async function eventually(check: () => boolean, what = 'the condition'): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come true within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
