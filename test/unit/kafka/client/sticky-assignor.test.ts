import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Member, Plan } from '../../../../src/kafka/client/assignors.ts';
import {
  cooperativeSticky,
  decodeGeneration,
  decodeStickyData,
  encodeGeneration,
  encodeStickyData,
  sticky,
} from '../../../../src/kafka/client/sticky-assignor.ts';

const shown = (plan: Plan) => Object.fromEntries(Array.from(plan, ([id, topics]) => [id, Object.fromEntries(topics)]));
const member = (memberId: string, generation: number, owned: Readonly<Record<string, readonly number[]>>, topics = ['t']): Member => ({
  memberId,
  instanceId: null,
  topics,
  generation,
  owned: Object.entries(owned).map(([topic, partitions]) => ({ topic, partitions })),
});
const six = (): number => 6;

describe('sticky', () => {
  it('deals out evenly, and moves no more than a new member needs', () => {
    expect(shown(sticky([member('a', -1, {}), member('b', -1, {})], six))).toEqual({ a: { t: [0, 2, 4] }, b: { t: [1, 3, 5] } });
    const three = sticky([member('a', 1, { t: [0, 2, 4] }), member('b', 1, { t: [1, 3, 5] }), member('c', -1, {})], six);
    expect(shown(three)).toEqual({ a: { t: [2, 4] }, b: { t: [3, 5] }, c: { t: [0, 1] } });
  });
  it('leaves the others what they had when a member goes', () => {
    expect(shown(sticky([member('a', 2, { t: [2, 4] }), member('c', 2, { t: [0, 1] })], six))).toEqual({ a: { t: [2, 3, 4] }, c: { t: [0, 1, 5] } });
  });
  it('believes the newest generation, and nobody of two who claim the same', () => {
    expect(shown(sticky([member('a', 3, { t: [0] }), member('b', 4, { t: [0] })], () => 1))).toEqual({ a: {}, b: { t: [0] } });
    expect(shown(sticky([member('b', 4, { t: [0] }), member('a', 4, { t: [0] })], () => 1))).toEqual({ a: { t: [0] }, b: {} });
  });
  it('forgets claims on what is gone or no longer read', () => {
    expect(shown(sticky([member('a', 1, { t: [7], gone: [0] }), member('b', 1, { t: [0] }, ['u'])], () => 1))).toEqual({ a: { t: [0] }, b: { u: [0] } });
  });
});

describe('cooperative-sticky', () => {
  it('gives a partition that moves to nobody until its reader has let it go', () => {
    const first = cooperativeSticky([member('a', 1, { t: [0, 1, 2, 3, 4, 5] }), member('b', -1, {})], six);
    expect(shown(first)).toEqual({ a: { t: [3, 4, 5] }, b: {} });
    const second = cooperativeSticky([member('a', 2, { t: [3, 4, 5] }), member('b', 2, {})], six);
    expect(shown(second)).toEqual({ a: { t: [3, 4, 5] }, b: { t: [0, 1, 2] } });
  });
});

// Members come, go and change their topics at random; round after round the promises hold.
it('is whole, fair and steady, whatever happens', () => {
  const round = fc.array(fc.subarray(['x', 'y', 'z'], { minLength: 1 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(round, { minLength: 1, maxLength: 6 }), fc.integer({ min: 0, max: 9 }), (rounds, partitions) => {
      let before: Plan = new Map();
      for (const [generation, topicsOf] of rounds.entries()) {
        const members = topicsOf.map((topics, i): Member => {
          const had = before.get(`m${i}`);
          return member(`m${i}`, had === undefined ? -1 : generation, had === undefined ? {} : Object.fromEntries(had), topics);
        });
        const plan = sticky(members, () => partitions);
        const places = [...plan].flatMap(([id, topics]) => [...topics].flatMap(([topic, list]) => list.map((p) => ({ id, topic, at: `${topic}-${p}` }))));
        const wanted = new Set(topicsOf.flat());
        expect(new Set(places.map(({ at }) => at)).size).toBe(places.length);
        expect(places).toHaveLength(wanted.size * partitions);
        const load = (id: string): number => places.filter((one) => one.id === id).length;
        for (const { id, topic } of places) {
          expect(members.find(({ memberId }) => memberId === id)?.topics).toContain(topic);
          for (const other of members) if (other.topics.includes(topic)) expect(load(id) - load(other.memberId)).toBeLessThan(2);
        }
        expect(
          shown(
            sticky(
              members.map((one) => ({ ...one, generation: 99, owned: ownedOf(plan, one.memberId) })),
              () => partitions,
            ),
          ),
        ).toEqual(shown(plan));
        before = plan;
      }
    }),
    { numRuns: 200 },
  );
});

function ownedOf(plan: Plan, id: string) {
  return Array.from(plan.get(id) ?? [], ([topic, partitions]) => ({ topic, partitions }));
}

it('writes user data as Java does', () => {
  const data = encodeStickyData([{ topic: 't1', partitions: [0, 3] }], 5);
  expect(data.toString('hex')).toBe('00000001' + '00027431' + '00000002' + '00000000' + '00000003' + '00000005');
  expect(decodeStickyData(data)).toEqual({ owned: [{ topic: 't1', partitions: [0, 3] }], generation: 5 });
  expect(decodeStickyData(data.subarray(0, -4)).generation).toBe(-1);
  expect(decodeStickyData(null)).toEqual({ owned: [], generation: -1 });
  expect(() => decodeStickyData(data.subarray(0, 9))).toThrow();
  expect(encodeGeneration(7).toString('hex')).toBe('00000007');
  expect([decodeGeneration(encodeGeneration(7)), decodeGeneration(null)]).toEqual([7, -1]);
});
