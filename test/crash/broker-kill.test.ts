/**
 * kill -9 of the real broker under load, again and again: what it acknowledged is there after the restart. Producers with
 * acks=all, an idempotent one that sends again, offset commits and transactions; then damage done to its files by hand.
 * 5 kills in `npm test`, 100 in `npm run proof`. MILLRACE_SEED picks the moments.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { CreateTopics } from '../../src/kafka/apis/create-topics.ts';
import { seededRandom } from '../../src/lib/memory-disk.ts';
import { batches } from '../../src/records/batch.ts';
import { freePort } from '../integration/agent-process.ts';
import { BrokerProcess, batchOf, PROOF, produceTo, readAll } from '../integration/broker-harness.ts';
import { LOAD_TOPICS, Promises } from './broker-promises.ts';

const KILLS = PROOF ? 100 : 5;
const SEED = Number(process.env.MILLRACE_SEED ?? 4);

let broker: BrokerProcess;
afterEach(() => broker.end());

async function createTopics(names: Readonly<Record<string, number>>): Promise<void> {
  const client = await broker.client();
  const configs = [{ name: 'segment.bytes', value: '100000' }];
  const topics = Object.entries(names).map(([name, numPartitions]) => ({ name, numPartitions, replicationFactor: 1, assignments: [], configs }));
  const { topics: made } = await client.call(CreateTopics, { topics, timeoutMs: 1000 });
  expect(made.map(({ errorCode }) => errorCode)).toEqual(made.map(() => 0));
  client.close();
}

test(`${KILLS} kills under load (seed ${SEED}): nothing acknowledged is lost or doubled`, { timeout: KILLS * 20_000 }, async () => {
  const random = seededRandom(SEED);
  broker = await new BrokerProcess(await freePort()).start();
  await createTopics(LOAD_TOPICS);
  const open = () => broker.client();
  const promises = new Promises();
  for (let kill = 0; kill < KILLS; kill++) {
    const work = promises.work(open, await promises.resume(open));
    await new Promise((resolve) => setTimeout(resolve, 50 + random() * 450));
    await broker.kill();
    await work;
    await broker.start();
  }
  await promises.resume(open);
  expect(promises.sent).toBeGreaterThan(KILLS * 10);
  expect(promises.committed.size).toBeGreaterThan(0);
  expect(broker.output).not.toMatch(/ ERROR /);
});

describe('damaged files', () => {
  /** A killed broker with one batch of one record per offset in `hurt-0`; the file of its only segment. */
  async function killedWith(count: number): Promise<string> {
    broker = await new BrokerProcess(await freePort()).start();
    await createTopics({ hurt: 1 });
    const client = await broker.client();
    for (let n = 0; n < count; n++) expect((await produceTo(client, 'hurt', 0, batchOf([`value-${n}`]))).errorCode).toBe(0);
    client.close();
    await broker.kill();
    return path.join(broker.dataDir, 'hurt-0', '00000000000000000000.log');
  }
  const restarted = async (): Promise<(string | null)[]> => {
    await broker.start();
    const client = await broker.client();
    try {
      return (await readAll(client, 'hurt', 0)).map(({ value }) => value);
    } finally {
      client.close();
    }
  };

  test('a torn tail is cut and said; writing goes on behind it', async () => {
    const file = await killedWith(10);
    const whole = fs.readFileSync(file);
    const data = [...batches(whole)];
    const end = data.at(-1)!;
    fs.truncateSync(file, end.at + end.sizeBytes - 5);
    expect(await restarted()).toEqual(Array.from({ length: 9 }, (_, n) => `value-${n}`));
    expect(broker.output).toMatch(/WARN .*hurt-0.*unfinished write of \d+ bytes at position \d+ was cut off/);
    const client = await broker.client();
    expect(await produceTo(client, 'hurt', 0, batchOf(['again']))).toMatchObject({ errorCode: 0, baseOffset: 9 });
    client.close();
  });

  test('garbage behind the last batch is cut and said', async () => {
    const file = await killedWith(3);
    const end = [...batches(fs.readFileSync(file))].at(-1)!;
    const fd = fs.openSync(file, 'r+');
    fs.writeSync(fd, Buffer.alloc(50, 0xee), 0, 50, end.at + end.sizeBytes);
    fs.closeSync(fd);
    expect(await restarted()).toEqual(['value-0', 'value-1', 'value-2']);
    expect(broker.output).toMatch(/hurt-0.*(cut off|damaged)/);
  });

  test('a flipped bit in the middle: put aside, reported with file, position and offsets; the rest is served', async () => {
    const file = await killedWith(10);
    const bytes = fs.readFileSync(file);
    const victim = [...batches(bytes)][4]!;
    const at = victim.at + victim.sizeBytes - 3;
    const fd = fs.openSync(file, 'r+');
    fs.writeSync(fd, Buffer.from([bytes[at]! ^ 4]), 0, 1, at);
    fs.closeSync(fd);
    const values = await restarted();
    expect(values).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 9].map((n) => `value-${n}`));
    expect(broker.output).toMatch(new RegExp(`ERROR .*hurt-0.*damaged bytes at position ${victim.at}; lost are offsets 4 to 4`));
    const client = await broker.client();
    expect(await produceTo(client, 'hurt', 0, batchOf(['again']))).toMatchObject({ errorCode: 0, baseOffset: 10 });
    client.close();
  });

  test('a second start finds nothing more to repair', async () => {
    const file = await killedWith(5);
    fs.truncateSync(file, [...batches(fs.readFileSync(file))].at(-1)!.at + 20);
    await restarted();
    await broker.stop();
    const from = broker.output.length;
    expect(await restarted()).toHaveLength(4);
    expect(broker.output.slice(from)).not.toMatch(/cut off|damaged/);
  });
});
