/** A rebalance that fails half way: a member that cannot learn what it gets, or where to begin, joins again, and reads all it is given then. */
import net from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { LeaveGroup } from '../../src/kafka/apis/leave-group.ts';
import { GroupConsumer } from '../../src/kafka/client/consumer.ts';
import { type ConsumerConfig, readConsumerConfig } from '../../src/kafka/client/settings.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { batchOf, eventually, produceTo, TestBroker } from './broker-harness.ts';

const OFFSET_FETCH = 9;
const SYNC_GROUP = 14;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A way to the broker on which requests can be cut off. */
async function way(to: () => number, isCut: (apiKey: number, request: Buffer) => boolean): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(to(), '127.0.0.1');
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined));
    near.on('data', (chunk) => {
      if (chunk.length >= 6 && isCut(chunk.readInt16BE(4), chunk)) near.destroy();
      else far.write(chunk);
    });
    far.on('data', (chunk) => near.write(chunk));
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

/** Range goes by fixed names, so it is known who gets what: runs of partitions to a, b, c in turn. Nothing is safe while `holds.safe` is false. */
const membersVia = (port: number) => (name: string) => {
  const settings = { 'group.id': 'g', 'group.instance.id': name, 'auto.offset.reset': 'earliest', 'heartbeat.interval.ms': '50' };
  const got: string[] = [];
  const holds = { safe: true };
  const consumer = new GroupConsumer({
    bootstrap: [`127.0.0.1:${port}`],
    config: readConsumerConfig(settings).config as ConsumerConfig,
    clientId: `client-${name}`,
    clock: systemClock,
    topics: ['t'],
    onTrouble: () => {},
  });
  const abort = new AbortController();
  consumer.start();
  const loop = (async () => {
    while (!abort.signal.aborted) {
      await consumer.wait(50, abort.signal);
      consumer.drain(100, (_, cursor) => void got.push(String(cursor.value())));
      if (holds.safe) consumer.allSafe();
      void consumer.commit();
    }
  })();
  const stop = async (): Promise<void> => {
    abort.abort();
    await loop;
    await consumer.stop();
  };
  ends.push(stop);
  const has = (...partitions: number[]) =>
    eventually(() => `${consumer.partitions.map(({ partition }) => partition).sort()}` === `${partitions}`, `${name} to have ${partitions}`);
  return { got, has, stop, holds };
};

it('reads partitions that it lost and got back while it could not ask for offsets', async () => {
  let brokerPort = 0;
  let cuts = 0;
  let isArmed = false;
  const port = await way(
    () => brokerPort,
    (apiKey, request) => isArmed && apiKey === OFFSET_FETCH && request.includes('client-b') && ++cuts > 0,
  );
  const broker = await TestBroker.start({ 'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}` });
  ends.push(() => broker.end());
  brokerPort = broker.port;
  await broker.topic('t', 6);

  const member = membersVia(port);
  const b = member('b');
  await b.has(0, 1, 2, 3, 4, 5);
  const a = member('a');
  await Promise.all([a.has(0, 1, 2), b.has(3, 4, 5)]);
  // With c, b loses 4 and 5 and gains 2, of which it cannot learn the offset.
  isArmed = true;
  const c = member('c');
  await c.has(4, 5);
  await eventually(() => cuts > 1, 'cut requests');
  await c.stop(); // which leaves its fixed name in the group
  const admin = await broker.client();
  await admin.call(LeaveGroup, { groupId: 'g', members: [{ memberId: '', groupInstanceId: 'c' }] }, { version: 4 });
  await eventually(async () => {
    await produceTo(admin, 't', 4, batchOf(['to four']));
    isArmed = false;
    return b.got.includes('to four');
  }, 'b to read partition 4 again');
});

it('begins where another has come to, who had a partition in a generation of which it heard only the number', async () => {
  let brokerPort = 0;
  let cuts = 0;
  let isArmed = false;
  const port = await way(
    () => brokerPort,
    (apiKey, request) => isArmed && apiKey === SYNC_GROUP && request.includes('client-b') && ++cuts > 0,
  );
  const broker = await TestBroker.start({ 'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}` });
  ends.push(() => broker.end());
  brokerPort = broker.port;
  await broker.topic('t', 6);
  const admin = await broker.client();
  const produce = (value: string) => produceTo(admin, 't', 4, batchOf([value]));

  const member = membersVia(port);
  const a = member('a');
  await a.has(0, 1, 2, 3, 4, 5);
  const b = member('b');
  await Promise.all([a.has(0, 1, 2), b.has(3, 4, 5)]);
  b.holds.safe = false;
  await produce('both');
  await eventually(() => b.got.includes('both'), 'b to read');
  // c gets 4 and 5; b joins, but does not hear what it gets.
  isArmed = true;
  const c = member('c');
  await c.has(4, 5);
  await produce('only c');
  await eventually(() => c.got.includes('only c'), 'c to read');
  await eventually(() => cuts > 1, 'cut requests');
  await c.stop();
  b.holds.safe = true;
  const cutBefore = cuts;
  await eventually(() => cuts > cutBefore + 1, 'what b has read to be safe');
  await admin.call(LeaveGroup, { groupId: 'g', members: [{ memberId: '', groupInstanceId: 'c' }] }, { version: 4 });
  isArmed = false;
  await produce('after');
  await eventually(() => b.got.includes('after'), 'b to read partition 4 again');
  expect(b.got).not.toContain('only c');
});
