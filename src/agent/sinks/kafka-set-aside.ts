/**
 * What becomes of events that the Kafka sink does not write: counted, said at most once a minute, and, if a directory is
 * named, kept there: `<sink>-<time>-<n>.body` holds the body byte by byte, `.json` beside it the headers and the reason.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Refusal } from '../../kafka/client/records.ts';
import { DeliveryError, errorText } from '../../lib/errors.ts';
import type { SinkContext } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';

const REPEAT_MS = 60_000;

export class SetAside {
  readonly #directory: string | undefined;
  readonly #ctx: SinkContext;
  #number = 0;
  #refusedSaidAt = Number.NEGATIVE_INFINITY;
  #loopSaidAt = Number.NEGATIVE_INFINITY;
  /** 0: nothing goes round. */
  #loopedAt = 0;
  #unsaid = 0;

  constructor(directory: string | undefined, ctx: SinkContext) {
    this.#directory = directory === undefined ? undefined : resolve(directory);
    this.#ctx = ctx;
  }

  /** @throws DeliveryError the directory cannot be written: the batch comes again */
  keep(batch: readonly Sealed[], refusals: readonly Refusal[]): void {
    const { extra, log, clock } = this.#ctx;
    const [first] = refusals;
    if (first === undefined) return;
    if (this.#directory !== undefined) for (const refusal of refusals) this.#write(batch[refusal.index] as Sealed, refusal);
    extra.EventsSetAsideCount = (extra.EventsSetAsideCount ?? 0) + refusals.length;
    this.#unsaid += refusals.length;
    if (clock.monotonic() - this.#refusedSaidAt < REPEAT_MS) return;
    this.#refusedSaidAt = clock.monotonic();
    const count = this.#unsaid === 1 ? 'an event is' : `${this.#unsaid} events are`;
    const kept = this.#directory === undefined ? 'name a setAsideDirectory to keep such events' : `kept in ${this.#directory}`;
    log.error(
      { topic: first.topic, setAside: extra.EventsSetAsideCount },
      `${count} set aside, topic ${first.topic} will not take it: ${first.reason}; ${kept}`,
    );
    this.#unsaid = 0;
  }

  /** Says that events go in a circle. They are not lost: the copy they were read from is in the topic. */
  stopLoop(batch: readonly Sealed[], looped: ReadonlySet<number>, config: { readonly topicHeader: string; readonly 'kafka.maxHops': number }): void {
    const { extra, log, clock, name } = this.#ctx;
    extra.LoopedEventCount = (extra.LoopedEventCount ?? 0) + looped.size;
    const [index] = looped;
    const topic = batch[index as number]?.headers[config.topicHeader];
    const error = new DeliveryError(`topic loop: events went round through topic ${topic} ${config['kafka.maxHops']} times and are not written again`, {
      retriable: false,
      fix: `set allowTopicOverride = false for sink ${name}, or let a static interceptor with preserveExisting = false set the header ${config.topicHeader}`,
    });
    this.#ctx.degraded(error);
    this.#loopedAt = clock.monotonic() + 1;
    if (clock.monotonic() - this.#loopSaidAt < REPEAT_MS) return;
    this.#loopSaidAt = clock.monotonic();
    log.error({ topic, looped: extra.LoopedEventCount }, `${error.message}; ${error.fix}`);
  }

  /** Takes back what was said about a loop when nothing went round for a minute. */
  noLoop(): void {
    if (this.#loopedAt === 0 || this.#ctx.clock.monotonic() - this.#loopedAt < REPEAT_MS) return;
    this.#loopedAt = 0;
    this.#ctx.healthy();
  }

  #write({ headers, body }: Sealed, { topic, reason }: Refusal): void {
    const directory = this.#directory as string;
    const name = join(directory, `${this.#ctx.name}-${this.#ctx.clock.now()}-${++this.#number}`);
    try {
      mkdirSync(directory, { recursive: true });
      put(`${name}.body`, body);
      put(`${name}.json`, Buffer.from(`${JSON.stringify({ topic, reason, headers })}\n`));
    } catch (cause) {
      throw new DeliveryError(`an event cannot be kept in ${directory}: ${errorText(cause)}`, { cause, fix: 'make room there, or correct its permissions' });
    }
  }
}

/** A new file that is on disk when it returns. */
function put(file: string, bytes: Buffer): void {
  const fd = openSync(file, 'wx');
  try {
    writeSync(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
