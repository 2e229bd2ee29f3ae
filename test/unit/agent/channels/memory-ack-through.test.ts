import { expect, test } from 'vitest';
import memory from '../../../../src/agent/channels/memory.ts';
import type { Lease } from '../../../../src/agent/core/channel.ts';
import { configOf, contextOf, never, numbered } from '../../../channel-model.ts';

async function open() {
  const channel = memory.create(configOf(memory, { ackThrough: 'true' }), contextOf(undefined).ctx);
  await channel.start();
  const state = { done: [] as string[] };
  const put = (name: string, ...ids: number[]) => {
    channel.put(ids.map(numbered), never).then(
      () => state.done.push(name),
      () => state.done.push(`${name} failed`),
    );
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const take = async (max: number): Promise<Lease> => (await channel.take(max, never)) as Lease;
  return { channel, state, put, settle, take };
}

test('a put returns when all its events are committed, in whatever parts', async () => {
  const { state, put, settle, take } = await open();
  put('a', 1, 2, 3);
  put('b', 4, 5);
  const first = await take(2);
  const second = await take(2);
  await second.commit();
  await settle();
  expect(state.done).toEqual([]);
  await first.commit(1);
  (await take(1)).rollback();
  await settle();
  expect(state.done).toEqual([]);
  await (await take(1)).commit();
  await settle();
  expect(state.done).toEqual(['a']);
  await (await take(9)).commit();
  await settle();
  expect(state.done).toEqual(['a', 'b']);
});

test('a source that stops, or a channel that stops, is no success', async () => {
  const { channel, state, put, settle } = await open();
  const abort = new AbortController();
  const given = channel.put([numbered(1)], abort.signal);
  abort.abort();
  await expect(given).rejects.toThrow('its source stops');
  put('b', 2);
  await channel.stop();
  await settle();
  expect(state.done).toEqual(['b failed']);
});
