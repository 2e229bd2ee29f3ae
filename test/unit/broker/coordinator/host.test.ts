/** The host of a state machine: durable before answered, one step at a time, one timer; and the agenda behind it. */
import { describe, expect, it } from 'vitest';
import { Agenda } from '../../../../src/broker/coordinator/agenda.ts';
import { Host, type StateLog } from '../../../../src/broker/coordinator/host.ts';
import type { Decision, Machine, Ticket } from '../../../../src/broker/coordinator/machine.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';

type Command =
  | { readonly kind: 'put'; readonly value: string }
  | { readonly kind: 'wait'; readonly ticket: Ticket }
  | { readonly kind: 'leave'; readonly ticket: Ticket }
  | { readonly kind: 'tick' };

/** Keeps texts; a tick wakes whoever waits. */
class Texts implements Machine<Command, string, string, string> {
  readonly values: string[] = [];
  deadline = Number.POSITIVE_INFINITY;
  ticks = 0;
  waiting: Ticket[] = [];
  decide(command: Command): Decision<string, string, string> {
    if (command.kind === 'put') return { records: [command.value], reply: `stored ${command.value}`, effects: [command.value] };
    if (command.kind === 'wait') this.waiting.push(command.ticket);
    if (command.kind === 'leave') this.waiting = this.waiting.filter((ticket) => ticket !== command.ticket);
    if (command.kind !== 'tick') return { records: [] };
    this.ticks++;
    this.deadline = Number.POSITIVE_INFINITY;
    const wake = this.waiting.map((ticket) => [ticket, 'woken'] as const);
    this.waiting = [];
    return { records: ['tick'], wake };
  }
  apply(value: string): void {
    this.values.push(value);
  }
  nextDeadline(): number {
    return this.deadline;
  }
}

function setUp() {
  const machine = new Texts();
  const clock = new ManualClock(1000);
  const gates: (() => void)[] = [];
  const events: string[] = [];
  const errors: unknown[] = [];
  const state = { full: false };
  const log: StateLog<string> = {
    append(records) {
      if (state.full) throw new Error('disk full');
      events.push(`append ${records}`);
      return records.map((_, i) => i);
    },
    durable: () => new Promise((resolve) => gates.push(resolve)),
  };
  const host = new Host<Exclude<Command, { kind: 'tick' }>, string, string, string>(machine, {
    log,
    clock,
    perform: async (effect) => void events.push(`perform ${effect}`),
    onError: (error) => errors.push(error),
  });
  const sync = async (): Promise<void> => {
    for (const open of gates.splice(0)) open();
    await clock.advance(0);
  };
  return { machine, clock, host, events, errors, state, sync };
}

describe('host', () => {
  it('applies at once, answers when durable, performs effects in between', async () => {
    const { machine, host, events, sync, clock } = setUp();
    let answer: string | undefined;
    const running = host.run({ kind: 'put', value: 'a' }).then((reply) => {
      answer = reply;
      events.push('answer');
    });
    expect(machine.values).toEqual(['a']);
    await clock.advance(5);
    expect(answer).toBeUndefined();
    await sync();
    await running;
    expect(answer).toBe('stored a');
    expect(events).toEqual(['append a', 'perform a', 'answer']);
  });

  it('keeps one timer, also when the deadline moves', async () => {
    const { machine, host, clock, sync } = setUp();
    machine.deadline = 1500;
    const waiting = host.wait((ticket) => ({ kind: 'wait', ticket }));
    await clock.advance(499);
    expect(machine.ticks).toBe(0);
    await clock.advance(1);
    expect(machine.ticks).toBe(1);
    await sync();
    expect(await waiting).toBe('woken');
  });

  it('looks at the wall clock once a minute, so that a clock that was set is noticed', async () => {
    const { machine, host, clock, sync } = setUp();
    machine.deadline = 1000 + 3_600_000;
    const waiting = host.wait((ticket) => ({ kind: 'wait', ticket }));
    clock.setWall(1000 + 3_600_000);
    await clock.advance(60_000);
    expect(machine.ticks).toBe(1);
    await sync();
    expect(await waiting).toBe('woken');
  });

  it('a caller that is gone is taken out of the machine', async () => {
    const { machine, host } = setUp();
    const gone = new AbortController();
    const waiting = host.wait((ticket) => ({ kind: 'wait', ticket }), { signal: gone.signal, leave: (ticket) => ({ kind: 'leave', ticket }) });
    expect(machine.waiting).toHaveLength(1);
    gone.abort(new Error('connection closed'));
    await expect(waiting).rejects.toThrow('connection closed');
    expect(machine.waiting).toEqual([]);
  });

  it('a full disk refuses the caller and changes nothing; a tick reports it', async () => {
    const { machine, host, state, clock, errors } = setUp();
    state.full = true;
    await expect(host.run({ kind: 'put', value: 'a' })).rejects.toThrow('disk full');
    expect(machine.values).toEqual([]);
    machine.deadline = 1100;
    const waiting = host.wait((ticket) => ({ kind: 'wait', ticket }));
    const refused = expect(waiting).rejects.toThrow('disk full');
    await clock.advance(100);
    await refused;
    expect(errors).toHaveLength(1);
  });

  it('stops: those who wait are refused, no timer stays', async () => {
    const { machine, host, clock } = setUp();
    machine.deadline = 2000;
    const waiting = host.wait((ticket) => ({ kind: 'wait', ticket }));
    host.stop(new Error('shutting down'));
    await expect(waiting).rejects.toThrow('shutting down');
    await clock.advance(10_000);
    expect(machine.ticks).toBe(0);
  });
});

describe('agenda', () => {
  it('is early rather than late, and names each id once', () => {
    const agenda = new Agenda();
    for (const [id, at] of [
      ['a', 50],
      ['b', 20],
      ['a', 30],
      ['c', 40],
      ['a', 90],
      ['d', Number.POSITIVE_INFINITY],
    ] as const)
      agenda.arm(id, at);
    expect(agenda.next).toBe(20);
    expect([...agenda.due(30)]).toEqual(['b', 'a']);
    expect(agenda.next).toBe(40);
    expect([...agenda.due(1000)]).toEqual(['c']);
    expect(agenda.next).toBe(Number.POSITIVE_INFINITY);
  });

  it('gives out a thousand entries in order', () => {
    const agenda = new Agenda();
    const times = Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1000);
    for (const at of times) agenda.arm(`id${at}`, at);
    let last = -1;
    while (agenda.next !== Number.POSITIVE_INFINITY) {
      expect(agenda.next).toBeGreaterThan(last);
      last = agenda.next;
      expect([...agenda.due(last)]).toEqual([`id${last}`]);
    }
    expect(last).toBe(999);
  });
});
