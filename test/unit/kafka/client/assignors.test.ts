import { describe, expect, it } from 'vitest';
import { assignorNames, type Member, range, roundRobin } from '../../../../src/kafka/client/assignors.ts';

const member = (memberId: string, ...topics: string[]): Member => ({ memberId, instanceId: null, topics });
const counts = (table: Readonly<Record<string, number>>) => (topic: string) => table[topic];
const shown = (plan: ReturnType<typeof range>) => Object.fromEntries(Array.from(plan, ([id, topics]) => [id, Object.fromEntries(topics)]));

// Expected are the examples in the documentation of Java's RangeAssignor and RoundRobinAssignor.
describe('range', () => {
  it('cuts each topic into runs', () => {
    expect(shown(range([member('C1', 't0', 't1'), member('C0', 't0', 't1')], counts({ t0: 3, t1: 3 })))).toEqual({
      C0: { t0: [0, 1], t1: [0, 1] },
      C1: { t0: [2], t1: [2] },
    });
  });
  it('gives nothing of topics that are not there, and tells members that get nothing', () => {
    expect(shown(range([member('a', 'x'), member('b', 't')], counts({ t: 1 })))).toEqual({ a: {}, b: { t: [0] } });
  });
  it('sorts members with fixed names first, by those', () => {
    const plan = range([member('a', 't'), { memberId: 'z', instanceId: 'i1', topics: ['t'] }], counts({ t: 2 }));
    expect(shown(plan)).toEqual({ a: { t: [1] }, z: { t: [0] } });
  });
});

describe('roundRobin', () => {
  it('deals all partitions in turn', () => {
    expect(shown(roundRobin([member('C0', 't0', 't1'), member('C1', 't0', 't1')], counts({ t0: 3, t1: 3 })))).toEqual({
      C0: { t0: [0, 2], t1: [1] },
      C1: { t0: [1], t1: [0, 2] },
    });
  });
  it('passes over members that do not read a topic', () => {
    const members = [member('C0', 't0'), member('C1', 't0', 't1'), member('C2', 't0', 't1', 't2')];
    expect(shown(roundRobin(members, counts({ t0: 1, t1: 2, t2: 3 })))).toEqual({ C0: { t0: [0] }, C1: { t1: [0] }, C2: { t1: [1], t2: [0, 1, 2] } });
  });
});

it('every partition of every topic has one reader who asked for it, whatever the numbers', () => {
  for (const assign of [range, roundRobin]) {
    for (let members = 1; members <= 5; members++) {
      for (let partitions = 0; partitions <= 7; partitions++) {
        const list = Array.from({ length: members }, (_, i) => member(`m${i}`, 'a', ...(i % 2 === 0 ? ['b'] : [])));
        const given = [...assign(list, () => partitions)].flatMap(([id, topics]) =>
          [...topics].flatMap(([topic, all]) => all.map((p) => ({ id, at: `${topic}${p}`, topic }))),
        );
        expect(new Set(given.map(({ at }) => at)).size).toBe(partitions * 2);
        expect(given).toHaveLength(partitions * 2);
        for (const { id, topic } of given) expect(list.find((one) => one.memberId === id)?.topics).toContain(topic);
      }
    }
  }
});

it('takes Java class names for assignors, and range for what it does not have', () => {
  const name = (text: string) => `org.apache.kafka.clients.consumer.${text}`;
  expect(assignorNames([name('RoundRobinAssignor'), name('RangeAssignor')])).toEqual(['roundrobin', 'range']);
  expect(assignorNames(['constructor'])).toEqual(['range']);
  expect(assignorNames([name('CooperativeStickyAssignor'), name('StickyAssignor'), 'com.acme.StickyRackAssignor'])).toEqual([
    'cooperative-sticky',
    'sticky',
    'range',
  ]);
  expect(assignorNames(['range', 'round_robin', 'sticky', 'cooperative-sticky'])).toEqual(['range', 'roundrobin', 'sticky', 'cooperative-sticky']);
});
