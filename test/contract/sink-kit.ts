/**
 * What every sink must hold: a delivery that resolved has arrived, one that rejected may come again and loses nothing,
 * order, and an end. A sink's test calls `sinkContract` with a way to make one and to read what arrived.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Sealed } from '../../src/agent/core/event.ts';
import type { Sink } from '../../src/agent/core/sink.ts';
import { bodies, events, freshPlace, numbered, until } from './contexts.ts';

export interface SinkUnderTest {
  readonly sink: Pick<Sink, 'deliver'> & Partial<Sink>;
  /** Bodies that arrived so far, in order. */
  readonly arrived: () => string[] | Promise<string[]>;
  /** Makes the other end fail from now on, and work again; both absent when it cannot fail. */
  readonly breakEnd?: () => void | Promise<void>;
  readonly mendEnd?: () => void | Promise<void>;
  /** Ends what the test opened besides the sink. */
  readonly close?: () => void | Promise<void>;
}

export interface SinkKit {
  readonly name: string;
  /** Makes a sink, not started, with an end of its own; `place` is an empty directory. */
  readonly make: (place: string) => SinkUnderTest | Promise<SinkUnderTest>;
  /** Bodies with line ends, zero bytes or bytes that are not UTF-8 arrive as they are. Default true. */
  readonly binary?: boolean;
  /** Largest batch it is asked to deliver. Default 100. */
  readonly batchSize?: number;
}

export function sinkContract(kit: SinkKit): void {
  const batchSize = kit.batchSize ?? 100;
  describe(`${kit.name}, as any sink,`, () => {
    const open: SinkUnderTest[] = [];
    afterEach(async () => {
      for (const one of open.splice(0)) {
        await one.mendEnd?.();
        await one.sink.stop?.();
        await one.close?.();
      }
    });
    const made = async (): Promise<SinkUnderTest> => {
      const one = await kit.make(freshPlace());
      open.push(one);
      return one;
    };
    const started = async (): Promise<SinkUnderTest> => {
      const one = await made();
      await one.sink.start?.();
      return one;
    };
    arrives(started, batchSize);
    if (kit.binary !== false) bytesStay(started);
    fails(started);
    ends(made, started);
  });
}

type Started = () => Promise<SinkUnderTest>;

/** Delivers as the runner does: what is not delivered comes again. */
async function deliverAll(sink: Pick<Sink, 'deliver'>, batch: readonly Sealed[]): Promise<void> {
  let rest = batch;
  while (rest.length > 0) {
    const done = (await sink.deliver(rest)) ?? rest.length;
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThanOrEqual(rest.length);
    rest = rest.slice(done);
  }
}

async function arrivedCount(one: SinkUnderTest, count: number): Promise<string[]> {
  await until(async () => (await one.arrived()).length >= count, `${count} events have arrived`);
  return one.arrived();
}

function arrives(started: Started, batchSize: number): void {
  it('delivers everything once and in order, in batches of one and of many', async () => {
    const one = await started();
    let sent = 0;
    for (const size of [1, 1, batchSize, 2, batchSize, 1]) {
      const batch = numbered(sent, Math.min(size, batchSize));
      await deliverAll(one.sink, batch);
      sent += batch.length;
    }
    expect(await arrivedCount(one, sent)).toEqual(Array.from({ length: sent }, (_, i) => `${i}`));
  });

  it('does not change the events it was lent', async () => {
    const one = await started();
    const batch = numbered(0, 5);
    const before = batch.map(({ headers, body }) => ({ headers: { ...headers }, body: Buffer.from(body) }));
    await deliverAll(one.sink, batch);
    expect(batch).toEqual(before);
  });

  it('takes frozen events, as several channels may hold the same', async () => {
    const one = await started();
    const batch = numbered(0, 3).map((event) => Object.freeze({ headers: Object.freeze(event.headers), body: event.body }));
    await deliverAll(one.sink, Object.freeze(batch));
    expect(await arrivedCount(one, 3)).toEqual(['0', '1', '2']);
  });
}

function bytesStay(started: Started): void {
  it('delivers bodies byte by byte: empty, not UTF-8, large', async () => {
    const one = await started();
    const batch: Sealed[] = [Buffer.alloc(0), Buffer.from('ünï 键'), Buffer.alloc(200_000, 'x')].map((body) => ({ headers: {}, body }));
    await deliverAll(one.sink, batch);
    expect(await arrivedCount(one, 3)).toEqual(bodies(batch));
  });
}

function fails(started: Started): void {
  it('rejects while its end is broken, and delivers all of it when it is mended', async () => {
    const one = await started();
    if (one.breakEnd === undefined || one.mendEnd === undefined) return;
    await deliverAll(one.sink, events('before'));
    await arrivedCount(one, 1);
    await one.breakEnd();
    await expect(one.sink.deliver(events('during'))).rejects.toThrow();
    await one.mendEnd();
    await until(async () => {
      try {
        await deliverAll(one.sink, events('during'));
        return true;
      } catch {
        return false;
      }
    }, 'it delivers again');
    await deliverAll(one.sink, events('after'));
    await until(async () => (await one.arrived()).includes('after'), 'the last event has arrived');
    const got = await one.arrived();
    expect([...new Set(got)]).toEqual(['before', 'during', 'after']);
  });
}

function ends(made: Started, started: Started): void {
  it('stops without a start, and twice', async () => {
    const one = await made();
    await one.sink.stop?.();
    await one.sink.stop?.();
    const other = await started();
    await other.sink.stop?.();
    await other.sink.stop?.();
  });

  it('loses nothing of what was delivered when it stops right after', async () => {
    const one = await started();
    await deliverAll(one.sink, numbered(0, 20));
    await one.sink.stop?.();
    expect(await arrivedCount(one, 20)).toHaveLength(20);
  });

  it('starts again after a stop', async () => {
    const one = await started();
    await deliverAll(one.sink, events('1'));
    await one.sink.stop?.();
    await one.sink.start?.();
    await deliverAll(one.sink, events('2'));
    expect(await arrivedCount(one, 2)).toEqual(['1', '2']);
  });
}
