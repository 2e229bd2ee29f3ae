/**
 * Power cuts under load: a broker on a memory disk that keeps only what was synced, or with `tear` any part of the rest.
 * acks=all, offset commits and transactions are answered after fdatasync, so nothing that was acknowledged is lost.
 * 25 cuts in `npm test`, 400 in `npm run proof`; MILLRACE_SEED picks the moments.
 */
import { expect, test } from 'vitest';
import { MemoryDisk, PowerLoss, seededRandom } from '../../src/lib/memory-disk.ts';
import { PROOF, TestBroker } from '../integration/broker-harness.ts';
import { LOAD_TOPICS, Promises } from './broker-promises.ts';

const CUTS = PROOF ? 400 : 25;
const SEED = Number(process.env.MILLRACE_SEED ?? 4);

test(`${CUTS} power cuts under load (seed ${SEED}): nothing acknowledged is lost or doubled`, { timeout: CUTS * 5_000 }, async () => {
  const random = seededRandom(SEED);
  const disk = new MemoryDisk(SEED);
  const broker = await TestBroker.start({}, { disk });
  for (const [name, partitions] of Object.entries(LOAD_TOPICS)) await broker.topic(name, partitions, { 'segment.bytes': '20000' });
  const promises = new Promises(() => disk.isOff);
  const open = () => broker.client();
  for (let cut = 0; cut < CUTS; cut++) {
    const producer = await promises.resume(open);
    disk.powerOffAt = disk.changes + 1 + Math.floor(random() * 400);
    await promises.work(open, producer);
    await broker.stop().catch((error) => {
      if (!(error instanceof PowerLoss)) throw error;
    });
    disk.crash({ tear: random() < 0.5 });
    // Every third time the power goes off again while the broker repairs what the last cut left.
    if (cut % 3 === 0) disk.powerOffAt = disk.changes + 1 + Math.floor(random() * 40);
    await broker.up().catch(async (error) => {
      if (!(error instanceof PowerLoss)) throw error;
      disk.crash({ tear: random() < 0.5 });
      await broker.up();
    });
  }
  await promises.resume(open);
  expect(promises.sent).toBeGreaterThan(CUTS * 5);
  expect(promises.committed.size).toBeGreaterThan(0);
  await broker.end();
});
