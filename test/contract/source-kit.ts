/**
 * What every source must hold: what it got arrives, in order, in batches that fit; what a full channel refused is not
 * lost where the source can keep it; and an end. A source's test calls `sourceContract` with a way to make and feed one.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Event } from '../../src/agent/core/event.ts';
import type { Lifecycle } from '../../src/agent/core/lifecycle.ts';
import type { Output, PollableSource, Source } from '../../src/agent/core/source.ts';
import { ChannelFullError } from '../../src/lib/errors.ts';
import { bodies, freshPlace, until } from './contexts.ts';

export interface SourceUnderTest {
  readonly source: Source | PollableSource;
  /** Makes these bodies come in, in order; resolves when they are on their way. */
  readonly feed: (lines: readonly string[]) => void | Promise<void>;
  /** Ends what the test opened besides the source. */
  readonly close?: () => void | Promise<void>;
}

export interface SourceKit {
  readonly name: string;
  /** Makes a source, not started, that puts into `output`; `place` is an empty directory. */
  readonly make: (output: Output, place: string) => SourceUnderTest | Promise<SourceUnderTest>;
  /** Tries again by itself what a full channel refused (files, commands, Kafka), rather than telling its client. */
  readonly retries: boolean;
  /** Feeding is possible before the start, and comes in then (files). */
  readonly early?: boolean;
  /** Lines come in once only and in order; false for sources over UDP. Default true. */
  readonly reliable?: boolean;
}

/** An output that keeps what it gets, refuses when told to, and looks at what a source may not do. */
export class Basin implements Output {
  readonly got: string[] = [];
  readonly faults: string[] = [];
  full = false;
  refusals = 0;
  /** Puts wait for it. */
  gate: Promise<void> = Promise.resolve();
  underway = 0;
  readonly maxBatch: number;

  constructor(maxBatch = 100) {
    this.maxBatch = maxBatch;
  }

  async put(batch: Event[]): Promise<void> {
    if (batch.length === 0) this.faults.push('an empty batch was put');
    if (batch.length > this.maxBatch) this.faults.push(`a batch of ${batch.length} was put, but ${this.maxBatch} fit`);
    this.underway++;
    try {
      await this.gate;
      if (this.full) {
        this.refusals++;
        throw new ChannelFullError('the channel is full');
      }
      this.got.push(...bodies(batch));
    } finally {
      this.underway--;
    }
  }
}

export function sourceContract(kit: SourceKit): void {
  describe(`${kit.name}, as any source,`, () => {
    const open: { one: SourceUnderTest; life: Lifecycle }[] = [];
    afterEach(async () => {
      for (const { one, life } of open.splice(0)) {
        await life.stop();
        await one.close?.();
      }
    });
    const made = async (output: Output): Promise<SourceUnderTest & { life: Lifecycle }> => {
      const one = await kit.make(output, freshPlace());
      const life = lively(one.source);
      open.push({ one, life });
      return { ...one, life };
    };
    brings(kit, made);
    if (kit.retries) insists(made);
    ends(kit, made);
  });
}

type Made = (output: Output) => Promise<SourceUnderTest & { life: Lifecycle }>;

/** A pollable source with a loop like the runner's, without its waits. */
function lively(source: Source | PollableSource): Lifecycle {
  const poll = (source as Partial<PollableSource>).poll?.bind(source);
  if (poll === undefined) return source;
  let abort = new AbortController();
  let loop: Promise<void> = Promise.resolve();
  return {
    async start() {
      await source.start();
      abort = new AbortController();
      const { signal } = abort;
      loop = (async () => {
        while (!signal.aborted) {
          const outcome = await poll(signal).catch(() => 'backoff' as const);
          await new Promise((resolve) => (outcome === 'ready' ? setImmediate(resolve) : setTimeout(resolve, 5)));
        }
      })();
    },
    async stop() {
      abort.abort();
      await loop;
      await source.stop();
    },
  };
}

function lines(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `line ${from + i}`);
}

function brings(kit: SourceKit, made: Made): void {
  it('brings in everything, in order, in batches that fit', async () => {
    const basin = new Basin(10);
    const one = await made(basin);
    await one.life.start();
    for (let round = 0; round < 5; round++) await one.feed(lines(round * 30, 30));
    await until(() => basin.got.length >= 150, '150 events are in');
    if (kit.reliable !== false) expect(basin.got).toEqual(lines(0, 150));
    expect(basin.faults).toEqual([]);
  });

  if (kit.early) {
    it('brings in what was there before it started', async () => {
      const basin = new Basin();
      const one = await made(basin);
      await one.feed(lines(0, 20));
      await one.life.start();
      await until(() => basin.got.length >= 20, '20 events are in');
      expect(basin.got).toEqual(lines(0, 20));
    });
  }
}

function insists(made: Made): void {
  it('loses nothing while the channel is full', async () => {
    const basin = new Basin(10);
    basin.full = true;
    const one = await made(basin);
    await one.life.start();
    await one.feed(lines(0, 40));
    await until(() => basin.refusals >= 2, 'it was refused twice');
    expect(basin.got).toEqual([]);
    basin.full = false;
    await until(() => basin.got.length >= 40, '40 events are in');
    expect(basin.got).toEqual(lines(0, 40));
  });
}

function ends(kit: SourceKit, made: Made): void {
  it('stops without a start, and twice', async () => {
    const one = await made(new Basin());
    await one.life.stop();
    await one.life.stop();
    const other = await made(new Basin());
    await other.life.start();
    await other.life.stop();
    await other.life.stop();
  });

  it('stops only when a put under way has ended', async () => {
    const basin = new Basin();
    let release: () => void = () => undefined;
    basin.gate = new Promise((resolve) => {
      release = resolve;
    });
    const one = await made(basin);
    await one.life.start();
    await one.feed(lines(0, 5));
    await until(() => basin.underway > 0, 'a put is under way');
    const stopped = one.life.stop();
    setTimeout(release, 50);
    await stopped;
    expect(basin.underway).toBe(0);
  });

  it('puts nothing after it has stopped', async () => {
    const basin = new Basin();
    const one = await made(basin);
    await one.life.start();
    await one.feed(lines(0, 5));
    await until(() => basin.got.length >= 5, '5 events are in');
    await one.life.stop();
    const before = basin.got.length;
    try {
      await one.feed(lines(5, 5));
    } catch {
      // A closed port refuses the feeding, which is as good.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(basin.got).toHaveLength(before);
  });

  it('starts again after a stop', async () => {
    const basin = new Basin();
    const one = await made(basin);
    await one.life.start();
    await one.feed(lines(0, 5));
    await until(() => basin.got.length >= 5, '5 events are in');
    await one.life.stop();
    await one.life.start();
    await one.feed(lines(5, 5));
    await until(() => basin.got.length >= 10, '10 events are in');
    if (kit.reliable !== false) expect(basin.got).toEqual(lines(0, 10));
  });
}
