/**
 * A Kafka that takes less than the source gives: the agent's memory stays flat, and pressure goes back to the clients.
 * In the long proof it is so for ten minutes.
 */
import net from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { AgentProcess, freePort, netcatFlow } from './agent-process.ts';
import { brokerWith, eventually } from './broker-harness.ts';
import { expectFlat, hasProc, WATCH_TEXT } from './flat-memory.ts';

const ANSWER_DELAY_MS = 50;
const LINE = Buffer.from(`${'x'.repeat(999)}\n`);
const CLIENTS = 4;

/** What the broker sends comes late. */
async function slowWay(to: () => number): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(to(), '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.on('data', (chunk) => setTimeout(() => near.write(chunk), ANSWER_DELAY_MS));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

it.skipIf(!hasProc)(`a sink slower than its source for ${WATCH_TEXT}: memory is flat (needs /proc)`, async () => {
  let brokerPort = 0;
  const slow = await slowWay(() => brokerPort);
  const broker = await brokerWith({ 'advertised.listeners': `PLAINTEXT://127.0.0.1:${slow}`, 'log.retention.check.interval.ms': '5000' });
  brokerPort = broker.port;
  await broker.topic('t', 1, { 'segment.bytes': '10000000', 'retention.bytes': '50000000' });
  const port = await freePort();
  const agent = new AgentProcess(
    netcatFlow(
      port,
      `sources.r1.max-line-length = 2000
      sources.r1.ack-every-event = false
      channels.c1.capacity = 1000
      channels.c1.transactionCapacity = 100
      sinks.k1.type = kafka
      sinks.k1.kafka.bootstrap.servers = 127.0.0.1:${slow}
      sinks.k1.kafka.topic = t`,
    ),
  ).start();
  onTestFinished(() => agent.end());
  await agent.says('listening on');

  let handedOver = 0;
  for (let i = 0; i < CLIENTS; i++) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    const push = (): void => {
      while (socket.write(LINE, () => (handedOver += LINE.length)));
    };
    socket.on('drain', push);
    push();
  }
  const delivered = (): number => broker.running.broker.topics.partition('t', 0)?.highWatermark ?? 0;
  await eventually(() => delivered() > 2_000, 'the sink to be at work');
  const before = delivered();
  await expectFlat(agent.pid, async () => {
    const at = delivered();
    await eventually(() => delivered() > at, 'the next lines');
    await new Promise((resolve) => setTimeout(resolve, 500));
  });
  // The source gave what the sink took; the rest waits at the clients, but for the channel and what sockets hold.
  expect(delivered()).toBeGreaterThan(before);
  expect(handedOver).toBeLessThan(delivered() * LINE.length + 40_000_000);
});
