/** `flume-ng agent … --broker FILE`: one command runs an agent and the broker it names, and looks after both. */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KafkaConnection } from '../../src/kafka/client/connection.ts';
import { AgentProcess, freePort, LineClient, netcatFlow } from './agent-process.ts';
import { eventually, readAll } from './broker-harness.ts';

let agent: AgentProcess;
let port: number;
let brokerPort: number;
beforeEach(async () => {
  [port, brokerPort] = [await freePort(), await freePort()];
  agent = new AgentProcess(
    netcatFlow(
      port,
      `sinks.k1.type = org.apache.flume.sink.kafka.KafkaSink
      sinks.k1.kafka.bootstrap.servers = 127.0.0.1:${brokerPort}
      sinks.k1.kafka.topic = t`,
    ),
  );
  fs.writeFileSync(properties(), `listeners=PLAINTEXT://127.0.0.1:${brokerPort}\nlog.dirs=${agent.dir}/data\n`);
});
afterEach(() => agent.end());

const properties = (): string => path.join(agent.dir, 'server.properties');

async function send(...lines: string[]): Promise<void> {
  const client = await eventually(() => LineClient.connect(port), 'the netcat port');
  expect(await client.ask(...lines)).toEqual(lines.map(() => 'OK'));
  client.close();
}

/** What is in the topic, once `count` lines are. */
function stored(count: number): Promise<string[]> {
  return eventually(async () => {
    const client = await KafkaConnection.open({ host: '127.0.0.1', port: brokerPort, clientId: 'test' });
    try {
      const values = (await readAll(client, 't', 0)).map(({ value }) => String(value));
      return values.length >= count && values;
    } finally {
      client.close();
    }
  }, `${count} lines in the topic`);
}

function brokerPid(): number {
  const children = fs.readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8').trim().split(' ').map(Number);
  return children.find((pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('kafka-server-start')) as number;
}

it('runs both, stops the broker last, and finds everything again', async () => {
  agent.start('--broker', properties());
  await send('one', 'two');
  expect(await stored(2)).toEqual(['one', 'two']);
  // What the channel still holds at the stop finds the broker at work.
  const many = Array.from({ length: 90 }, (_, i) => `late ${i}`);
  await send(...many);
  expect(await agent.stop()).toBe(143);
  expect(agent.output).toMatch(/SIGTERM: stopping[\s\S]*shutting down[\s\S]*shut down completed[\s\S]* stopped/);
  agent.start('--broker', properties());
  await send('three');
  expect(await stored(93)).toEqual(['one', 'two', ...many, 'three']);
});

it.runIf(process.platform === 'linux')('starts a broker again that was killed; events wait meanwhile (needs /proc)', async () => {
  agent.start('--broker', properties());
  await send('one');
  await stored(1);
  process.kill(brokerPid(), 'SIGKILL');
  await agent.says(/the broker ended \(SIGKILL\); it is started again/);
  await send('two');
  await agent.says('the broker runs again');
  expect(new Set(await stored(2))).toEqual(new Set(['one', 'two']));
});

it.runIf(process.platform === 'linux')('leaves no broker behind when the agent is killed (needs /proc)', async () => {
  agent.start('--broker', properties());
  await send('one');
  const pid = brokerPid();
  agent.signal('SIGKILL');
  await agent.exited();
  await eventually(() => !fs.existsSync(`/proc/${pid}`), 'the end of the broker');
});

it('says why the broker cannot start, and ends', async () => {
  fs.writeFileSync(properties(), 'listeners=NONSENSE\n');
  agent.start('--broker', properties());
  expect(await agent.exited()).not.toBe(0);
  expect(agent.output).toContain('NONSENSE');
});
