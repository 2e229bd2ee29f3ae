import { describe, expect, it } from 'vitest';
import { SourceCounters } from '../../../../src/agent/core/counters.ts';
import type { SourceContext } from '../../../../src/agent/core/define.ts';
import { type Event, eventOf } from '../../../../src/agent/core/event.ts';
import { PatientOutput } from '../../../../src/agent/core/patient-output.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ChannelError, ChannelFullError } from '../../../../src/lib/errors.ts';

function scene(errors: unknown[], retry?: (error: unknown) => boolean) {
  const clock = new ManualClock();
  const counters = new SourceCounters();
  const seen = new WeakSet<Event[]>();
  const said: string[] = [];
  const status: string[] = [];
  const ctx = {
    clock,
    counters,
    log: { error: (_: unknown, text: string) => said.push(text), info: (text: string) => said.push(text) },
    degraded: (error: Error) => status.push(error.message),
    healthy: () => status.push('healthy'),
    output: {
      maxBatch: 100,
      async put(batch: Event[]) {
        // As the runner does: a batch that comes again is not received again.
        if (!seen.has(batch)) counters.EventReceivedCount += batch.length;
        seen.add(batch);
        const error = errors.shift();
        if (error !== undefined) throw error;
        counters.EventAcceptedCount += batch.length;
      },
    },
  } as unknown as SourceContext;
  return { clock, counters, said, status, patient: new PatientOutput(ctx, 'input waits', retry) };
}

const batch = () => [eventOf(Buffer.from('a')), eventOf(Buffer.from('b'))];
const never = new AbortController().signal;

describe('PatientOutput', () => {
  it('tries again until there is room, says so once, and counts the batch once', async () => {
    const { clock, counters, said, status, patient } = scene([new ChannelFullError('full'), new ChannelFullError('full'), new ChannelFullError('full')]);
    const put = patient.put(batch(), never);
    for (let i = 0; i < 4; i++) await clock.advance(50);
    expect(await put).toBe(true);
    expect(counters).toMatchObject({ EventReceivedCount: 2, EventAcceptedCount: 2 });
    expect(said).toEqual(['full; input waits, 2 events are kept and tried again', 'the channel takes events again']);
    expect(status).toEqual(['full', 'healthy']);
  });

  it('comes back more and more seldom when the channel is broken, and says it once a minute', async () => {
    const { clock, counters, said, patient } = scene(Array.from({ length: 1_000 }, () => new ChannelError('disk')));
    const stop = new AbortController();
    const put = patient.put(batch(), stop.signal);
    await clock.advance(0);
    await clock.advance(130_000);
    expect(said.length).toBe(3);
    stop.abort();
    expect(await put).toBe(false);
    expect(counters).toMatchObject({ EventReceivedCount: 2, EventAcceptedCount: 0 });
  });

  it('throws on what its owner does not want tried again', async () => {
    const { patient } = scene([new TypeError('bug')], (error) => error instanceof ChannelFullError);
    await expect(patient.put(batch(), never)).rejects.toThrow('bug');
  });

  it('tries once when the stop came first', async () => {
    const { patient, counters } = scene([new ChannelFullError('full')]);
    expect(await patient.put(batch(), AbortSignal.abort())).toBe(false);
    expect(await patient.put(batch(), AbortSignal.abort())).toBe(true);
    expect(counters.EventAcceptedCount).toBe(2);
  });
});
