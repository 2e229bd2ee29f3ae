/** A whole agent and a broker process that dies: killed in the middle of batches, gone for a while, back without its data. */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AgentProcess, definition, freePort, LineClient, netcatFlow } from './agent-process.ts';
import { BrokerProcess, batchOf, eventually, PROOF, produceTo, readAll, tempDir } from './broker-harness.ts';

let broker: BrokerProcess;
let agent: AgentProcess | undefined;
let place: string;
beforeEach(async () => {
  place = tempDir('faults');
  broker = new BrokerProcess(await freePort());
  await broker.start();
});
afterEach(async () => {
  await agent?.end();
  await broker.end();
  fs.rmSync(place, { recursive: true, force: true });
});

const flow = (port: number, sink: string): string =>
  netcatFlow(
    port,
    `channels.c1.capacity = 100000
    channels.c1.transactionCapacity = 1000
    sinks.k1.type = org.apache.flume.sink.kafka.KafkaSink
    sinks.k1.kafka.bootstrap.servers = 127.0.0.1:${broker.port}
    sinks.k1.kafka.topic = t
    ${sink}`,
  );

async function stored(): Promise<string[]> {
  const client = await broker.client();
  try {
    return (await readAll(client, 't', 0)).map(({ value }) => String(value));
  } finally {
    client.close();
  }
}

it.each([
  ['acks = all', 'sinks.k1.kafka.producer.acks = all'],
  ['enable.idempotence', 'sinks.k1.kafka.producer.enable.idempotence = true'],
])('loses nothing when the broker is killed again and again (%s)', async (_, setting) => {
  const port = await freePort();
  agent = new AgentProcess(flow(port, setting)).start();
  const client = await eventually(() => LineClient.connect(port), 'the netcat port');
  let sent = 0;
  const rounds = PROOF ? 8 : 2;
  for (let round = 0; round < rounds; round++) {
    const feeding = (async () => {
      for (let i = 0; i < 20; i++) {
        await client.ask(...Array.from({ length: 100 }, () => `line ${sent++}`));
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 30));
    await broker.kill();
    await feeding;
    await broker.start();
  }
  client.close();
  await eventually(async () => new Set(await stored()).size === sent, `all ${sent} lines`, 60_000);
});

const AWAY_MS = PROOF ? 125_000 : 6_000;

it(`gets over a broker that is killed and away for ${PROOF ? 'two minutes' : 'seconds'}: says so once a minute, keeps the events, goes on by itself`, async () => {
  const port = await freePort();
  const reading = definition(`
  sources = r1 r2
  channels = c1 c2
  sinks = k1 k2
  sources.r2.type = kafka
  sources.r2.kafka.bootstrap.servers = 127.0.0.1:${broker.port}
  sources.r2.kafka.topics = t
  sources.r2.kafka.consumer.auto.offset.reset = earliest
  sources.r2.channels = c2
  channels.c2.type = memory
  channels.c2.capacity = 10000
  channels.c2.transactionCapacity = 1000
  sinks.k2.type = file_roll
  sinks.k2.sink.rollInterval = 0
  sinks.k2.sink.directory = ${place}
  sinks.k2.channel = c2`);
  agent = new AgentProcess(`${flow(port, 'sinks.k1.kafka.producer.acks = all')}${reading}`).start();
  const client = await eventually(() => LineClient.connect(port), 'the netcat port');
  const sent: string[] = [];
  const send = async (name: string): Promise<void> => {
    const some = Array.from({ length: 500 }, (_, i) => `${name} ${i}`);
    sent.push(...some);
    expect(new Set(await client.ask(...some))).toEqual(new Set(['OK']));
  };
  const arrived = (): Set<string> => new Set(fs.readdirSync(place).flatMap((name) => fs.readFileSync(path.join(place, name), 'utf8').split('\n')));
  const everything = (): boolean => {
    const there = arrived();
    return sent.every((line) => there.has(line));
  };
  await send('before');
  await eventually(everything, 'the first lines');
  await broker.kill();
  const from = agent.output.length;
  const until = performance.now() + AWAY_MS;
  await send('while it is away');
  await agent.says(/\(sink k1\).* cannot connect to .*ECONNREFUSED/, from);
  await new Promise((resolve) => setTimeout(resolve, until - performance.now()));
  // Many attempts were made; sink and source said it once, and again every minute.
  const times = 1 + Math.floor(AWAY_MS / 60_000);
  for (const part of ['sink k1', 'source r2']) {
    const said = agent.output
      .slice(from)
      .split('\n')
      .filter((line) => line.includes(`(${part})`) && line.includes('ECONNREFUSED'));
    expect(said.length, said.join('\n')).toBeGreaterThanOrEqual(times - 1);
    expect(said.length, said.join('\n')).toBeLessThanOrEqual(times);
  }
  await broker.start();
  await send('after');
  await eventually(everything, 'everything, by itself', 60_000);
  await agent.says(/works again/, from);
  await agent.says(/the brokers answer again/, from);
  client.close();
});

it('starts without a broker, and delivers when it comes', async () => {
  const port = await freePort();
  await broker.kill();
  agent = new AgentProcess(flow(port, 'sinks.k1.flumeBatchSize = 100')).start();
  const client = await eventually(() => LineClient.connect(port), 'the netcat port');
  expect(await client.ask('a', 'b')).toEqual(['OK', 'OK']);
  await agent.says(/cannot connect to .*ECONNREFUSED/);
  await broker.start();
  await eventually(async () => (await stored()).length === 2, 'both events');
  await agent.says(/works again/);
  client.close();
});

it('reads on as auto.offset.reset says when the broker comes back with another data directory', async () => {
  const text = definition(`
  sources = r1
  channels = c1
  sinks = k1
  sources.r1.type = kafka
  sources.r1.kafka.bootstrap.servers = 127.0.0.1:${broker.port}
  sources.r1.kafka.topics = t
  sources.r1.kafka.consumer.auto.offset.reset = earliest
  sources.r1.kafka.consumer.heartbeat.interval.ms = 200
  sources.r1.channels = c1
  channels.c1.type = memory
  channels.c1.transactionCapacity = 1000
  channels.c1.capacity = 1000
  sinks.k1.type = logger
  sinks.k1.channel = c1`);
  const produce = async (value: string): Promise<void> => {
    const client = await broker.client();
    await eventually(async () => (await produceTo(client, 't', 0, batchOf([value]))).errorCode === 0, 'the topic');
    client.close();
  };
  agent = new AgentProcess(text).start();
  await agent.says(/reads t-0/);
  for (let i = 0; i < 5; i++) await produce(`old ${i}`);
  await agent.says(/6F 6C 64 20 34/);
  await broker.kill();
  await broker.start({ 'log.dirs': `${broker.dir}/other-data` });
  await produce('new one');
  await agent.says(/6E 65 77 20 6F 6E 65/);
});

it('keeps its place in the group through a reload that does not concern the source', async () => {
  const text = (maxBytes: number): string =>
    definition(`
  sources = r1
  channels = c1
  sinks = k1
  sources.r1.type = kafka
  sources.r1.kafka.bootstrap.servers = 127.0.0.1:${broker.port}
  sources.r1.kafka.topics = t
  sources.r1.kafka.consumer.auto.offset.reset = earliest
  sources.r1.channels = c1
  channels.c1.type = memory
  channels.c1.transactionCapacity = 1000
  channels.c1.capacity = 1000
  sinks.k1.type = logger
  sinks.k1.maxBytesToLog = ${maxBytes}
  sinks.k1.channel = c1`);
  agent = new AgentProcess(text(16)).start();
  await agent.says(/reads t-0/);
  agent.rewrite(text(32));
  agent.signal('SIGHUP');
  const client = await broker.client();
  await eventually(async () => {
    await produceTo(client, 't', 0, batchOf(['a line that is longer than sixteen']));
    return /onger than sixte/.test(agent?.output ?? '');
  }, 'the reload');
  client.close();
  expect(agent.output.match(/reads t-0/g)).toHaveLength(1);
});

it('stops soon while the broker is away', async () => {
  const port = await freePort();
  const text = `${flow(port, '')}${definition(`
  sources = r1 r2
  sources.r2.type = kafka
  sources.r2.kafka.bootstrap.servers = 127.0.0.1:${broker.port}
  sources.r2.kafka.topics = other
  sources.r2.batchSize = 100
  sources.r2.channels = c1`)}`;
  agent = new AgentProcess(text).start();
  await agent.says(/reads other-0/);
  await broker.kill();
  const client = await eventually(() => LineClient.connect(port), 'the netcat port');
  await client.ask('a');
  client.close();
  const began = performance.now();
  await agent.stop();
  expect(performance.now() - began).toBeLessThan(20_000);
});
