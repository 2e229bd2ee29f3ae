/** The broker's own assignors: each partition once, as even as can be, and few of them moved. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AssignableMember, assignorNamed, assignorsOf, SERVER_ASSIGNORS } from '../../../../src/broker/coordinator/server-assignors.ts';

const { uniform, range } = SERVER_ASSIGNORS;

function member(id: string, topics: readonly string[], owned: Record<string, number[]> = {}, instanceId: string | null = null): AssignableMember {
  return { id, instanceId, topics: new Set(topics), owned: new Map(Object.entries(owned)) };
}

type Given = ReturnType<typeof uniform>;
const shown = (given: Given): Record<string, string> =>
  Object.fromEntries([...given].map(([id, topics]) => [id, [...topics].map(([topic, partitions]) => `${topic}:${partitions}`).join(' ')]));

describe('range', () => {
  it('gives neighbours, the first members one more, static ones first', () => {
    const members = [member('b', ['t', 'u']), member('a', ['t', 'u']), member('z', ['t'], {}, 's')];
    expect(
      shown(
        range(
          members,
          new Map([
            ['t', 7],
            ['u', 3],
          ]),
        ),
      ),
    ).toEqual({ z: 't:0,1,2', a: 't:3,4 u:0,1', b: 't:5,6 u:2' });
  });
});

describe('uniform', () => {
  it('lets members keep what they have when one comes or goes', () => {
    const before = [member('a', ['t'], { t: [0, 1, 2] }), member('b', ['t'], { t: [3, 4] })];
    expect(shown(uniform([...before, member('c', ['t'])], new Map([['t', 5]])))).toEqual({ a: 't:0,1', b: 't:3,4', c: 't:2' });
    expect(shown(uniform(before.slice(1), new Map([['t', 5]])))).toEqual({ b: 't:0,1,2,3,4' });
  });

  it('evens out over topics that not everybody reads', () => {
    const members = [member('a', ['t', 'u'], { t: [0, 1, 2, 3] }), member('b', ['u'])];
    const counts = new Map([
      ['t', 4],
      ['u', 4],
    ]);
    expect(shown(uniform(members, counts))).toEqual({ a: 't:0,1,2,3', b: 'u:0,1,2,3' });
  });

  it('gives up what is no longer read or no longer there', () => {
    const members = [member('a', ['t'], { t: [0, 9], gone: [0], u: [1] }), member('b', ['t'])];
    expect(shown(uniform(members, new Map([['t', 2]])))).toEqual({ a: 't:0', b: 't:1' });
  });
});

describe('names', () => {
  it('are those of Kafka, or its classes', () => {
    expect(assignorNamed('org.apache.kafka.coordinator.group.assignor.RangeAssignor')).toBe('range');
    expect(assignorNamed('toString')).toBeUndefined();
    expect(assignorsOf(['range', 'uniform', 'org.apache.kafka.coordinator.group.assignor.RangeAssignor'])).toEqual(['range', 'uniform']);
  });
});

const TOPICS = ['t', 'u', 'v'];
const world = fc.record({
  counts: fc.tuple(fc.nat(12), fc.nat(12), fc.nat(12)),
  first: fc.array(fc.subarray(TOPICS), { minLength: 1, maxLength: 7 }),
  second: fc.array(fc.subarray(TOPICS), { minLength: 1, maxLength: 7 }),
  isSame: fc.boolean(),
});

describe.each(Object.entries(SERVER_ASSIGNORS))('%s, whatever comes', (name, assign) => {
  it('gives each partition to one reader, and nothing moves without reason', () => {
    fc.assert(
      fc.property(world, ({ counts: sizes, first, second, isSame }) => {
        const counts = new Map(TOPICS.map((topic, i) => [topic, sizes[i]!]));
        const members = (lists: string[][], given: Given): AssignableMember[] =>
          lists.map((topics, i) => ({ id: `m${i}`, instanceId: null, topics: new Set(isSame ? TOPICS : topics), owned: given.get(`m${i}`) ?? new Map() }));
        let given: Given = new Map();
        for (const lists of [first, second]) {
          const all = members(lists, given);
          given = assign(all, counts);
          check(all, counts, given);
          if (name === 'uniform' && isSame) {
            const loads = all.map(({ id }) => size(given, id));
            expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
          }
          expect(shown(assign(members(lists, given), counts)), 'the same again').toEqual(shown(given));
        }
      }),
      { numRuns: 300 },
    );
  });
});

function size(given: Given, id: string): number {
  return [...given.get(id)!.values()].reduce((sum, { length }) => sum + length, 0);
}

function check(members: readonly AssignableMember[], counts: ReadonlyMap<string, number>, given: Given): void {
  expect([...given.keys()].sort()).toEqual(members.map(({ id }) => id).sort());
  for (const [topic, count] of counts) {
    const readers = members.filter(({ topics }) => topics.has(topic)).map(({ id }) => id);
    const taken = [...given].flatMap(([id, topics]) => (topics.get(topic) ?? []).map((partition) => ({ id, partition })));
    expect(taken.map(({ partition }) => partition).sort((a, b) => a - b)).toEqual(readers.length === 0 ? [] : Array.from({ length: count }, (_, i) => i));
    for (const { id } of taken) expect(readers).toContain(id);
  }
}
