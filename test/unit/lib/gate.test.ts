import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/lib/clock.ts';
import { Gate } from '../../../src/lib/gate.ts';

describe('Gate', () => {
  it('counts events and bytes and refuses what is over either limit', () => {
    const gate = new Gate(10, 100);
    expect(gate.tryEnter(4, 90)).toBe(true);
    expect(gate.tryEnter(7, 1)).toBe(false);
    expect(gate.tryEnter(1, 11)).toBe(false);
    expect(gate.tryEnter(6, 10)).toBe(true);
    gate.leave(10, 100);
    expect([gate.events, gate.bytes]).toEqual([0, 0]);
  });

  it('lets waiters in first come first served, a large one not overtaken', async () => {
    const clock = new ManualClock();
    const gate = new Gate(10);
    expect(gate.tryEnter(8, 0)).toBe(true);
    const order: string[] = [];
    const large = gate.enter(10, 0, { clock, timeoutMs: 1000 }).then((ok) => order.push(`large ${ok}`));
    const small = gate.enter(1, 0, { clock, timeoutMs: 1000 }).then((ok) => order.push(`small ${ok}`));
    expect(gate.tryEnter(1, 0)).toBe(false);
    gate.leave(8, 0);
    await large;
    gate.leave(10, 0);
    await small;
    expect(order).toEqual(['large true', 'small true']);
    expect(gate.events).toBe(1);
  });

  it('gives up after the timeout, holds nothing, and lets the next in', async () => {
    const clock = new ManualClock();
    const gate = new Gate(10);
    gate.tryEnter(5, 0);
    const large = gate.enter(6, 0, { clock, timeoutMs: 100 });
    const small = gate.enter(5, 0, { clock, timeoutMs: 1000 });
    await clock.advance(100);
    expect(await large).toBe(false);
    expect(await small).toBe(true);
    expect(gate.events).toBe(10);
    expect(gate.waiting).toBe(0);
  });

  it('gives up when aborted, before and during the wait', async () => {
    const clock = new ManualClock();
    const gate = new Gate(1);
    gate.tryEnter(1, 0);
    const abort = new AbortController();
    const wait = gate.enter(1, 0, { clock, timeoutMs: 1000, signal: abort.signal });
    abort.abort();
    expect(await wait).toBe(false);
    expect(await gate.enter(1, 0, { clock, timeoutMs: 1000, signal: abort.signal })).toBe(false);
  });

  it('admits waiters when it grows and keeps what is inside when it shrinks', async () => {
    const clock = new ManualClock();
    const gate = new Gate(1);
    gate.tryEnter(1, 0);
    const wait = gate.enter(2, 0, { clock, timeoutMs: 1000 });
    gate.resize(3);
    expect(await wait).toBe(true);
    gate.resize(1);
    expect(gate.events).toBe(3);
    expect(gate.tryEnter(1, 0)).toBe(false);
  });
});
