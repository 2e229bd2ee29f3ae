/** Monitoring of a real agent: Flume's shape, health that follows progress, conservation, and a port that is taken. */
import http from 'node:http';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { endsWithTest } from '../ends-with-test.ts';
import { AgentProcess, definition, freePort, netcatFlow } from './agent-process.ts';

function netcatToNull(port: number, more = ''): AgentProcess {
  const lines = `
    sources.r1.interceptors = i1
    sources.r1.interceptors.i1.type = regex_filter
    sources.r1.interceptors.i1.regex = ^drop
    sources.r1.interceptors.i1.excludeEvents = true
    channels.c1.capacity = 200
    sinks.k1.type = null
    ${more}`;
  return endsWithTest(new AgentProcess(netcatFlow(port, lines)));
}

function get(port: number, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    http
      .get({ port, path, host: '127.0.0.1', agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk)).on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      })
      .on('error', reject);
  });
}

/** Sends lines and waits for as many answers. */
function send(port: number, lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let answers = 0;
    const socket = net.connect(port, '127.0.0.1', () => socket.write(lines.map((line) => `${line}\n`).join('')));
    socket.on('error', reject).on('data', (chunk) => {
      answers += chunk.toString().split('OK').length - 1;
      if (answers === lines.length) {
        socket.end();
        resolve();
      }
    });
  });
}

const withMonitoring = (port: number, type = 'http'): string[] => [`-Dflume.monitoring.type=${type}`, `-Dflume.monitoring.port=${port}`];

describe('monitoring of an agent', () => {
  it('has Flume’s counters as text, and every event in one place', async () => {
    const [input, port] = [await freePort(), await freePort()];
    const agent = netcatToNull(input).start(...withMonitoring(port));
    await agent.says('monitoring (http) on port');
    await send(input, ['one', 'drop me', 'two', 'three']);
    await expect.poll(async () => JSON.parse((await get(port, '/metrics')).body)['SINK.k1'].EventDrainSuccessCount).toBe('3');
    const metrics = JSON.parse((await get(port, '/metrics')).body);
    expect(metrics['SOURCE.r1']).toMatchObject({ Type: 'SOURCE', EventReceivedCount: '4', StopTime: '0' });
    expect(metrics['CHANNEL.c1']).toMatchObject({
      Type: 'CHANNEL',
      ChannelCapacity: '200',
      ChannelSize: '0',
      ChannelFillPercentage: '0.0',
      EventPutSuccessCount: '3',
      EventTakeSuccessCount: '3',
    });
    expect(metrics['FLOW.c1']).toEqual({ Type: 'FLOW', Received: '4', Delivered: '3', InChannel: '0', Dropped: '1', 'Dropped.interceptor': '1', Gap: '0' });
    for (const attributes of Object.values(metrics)) for (const value of Object.values(attributes as object)) expect(value).toBeTypeOf('string');

    const prometheus = (await get(port, '/metrics/prometheus')).body;
    expect(prometheus).toContain('millrace_flow_received_total{channel="c1"} 4\n');
    expect(prometheus).toContain('millrace_flow_delivered_total{channel="c1"} 3\n');
    expect(prometheus).toContain('millrace_flow_dropped_total{channel="c1",reason="interceptor"} 1\n');
    expect(prometheus).toContain('millrace_flow_gap{channel="c1"} 0\n');
    expect((await get(port, '/health')).status).toBe(200);
    expect((await get(port, '/ready')).status).toBe(200);
    await agent.stop();
  });

  it('is not healthy while a component cannot start, and says why', async () => {
    const [input, port] = [await freePort(), await freePort()];
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(input, '127.0.0.1', resolve));
    const second = `sources = r1 r2
      sources.r2.type = netcat
      sources.r2.bind = 127.0.0.1
      sources.r2.port = ${await freePort()}
      sources.r2.channels = c1`;
    const agent = netcatToNull(input, second).start(...withMonitoring(port));
    await agent.says('monitoring (http) on port');
    const sick = await get(port, '/health');
    expect(sick.status).toBe(503);
    expect(JSON.parse(sick.body).problems).toEqual([
      { component: 'source r1', problem: expect.stringContaining('the port is in use'), fix: expect.any(String) },
    ]);
    expect((await get(port, '/ready')).status).toBe(503);
    await new Promise((resolve) => taken.close(resolve));
    await expect.poll(async () => (await get(port, '/health')).status, { timeout: 30_000 }).toBe(200);
    await agent.stop();
  });

  it('is not healthy when events wait and nothing is delivered', async () => {
    const [input, port] = [await freePort(), await freePort()];
    const stuck = `sinks.k1.type = webhook
      sinks.k1.url = http://127.0.0.1:${await freePort()}/`;
    const agent = netcatToNull(input, stuck).start(...withMonitoring(port), '-Dflume.monitoring.stallSeconds=1');
    await agent.says('monitoring (http) on port');
    expect((await get(port, '/health')).status).toBe(200);
    await send(input, ['stays']);
    await expect.poll(async () => (await get(port, '/health')).status, { timeout: 30_000 }).toBe(503);
    const status = JSON.parse((await get(port, '/status')).body);
    expect(status.flows).toEqual([expect.objectContaining({ channel: 'c1', received: 1, delivered: 0, inChannel: 1, gap: 0 })]);
    await agent.stop();
  });

  it('answers under load', async () => {
    const port = await freePort();
    const text = definition(`
      sources = r1
      channels = c1
      sinks = k1
      sources.r1.type = seq
      sources.r1.channels = c1
      channels.c1.type = memory
      sinks.k1.type = null
      sinks.k1.channel = c1`);
    const agent = endsWithTest(new AgentProcess(text)).start(...withMonitoring(port, 'prometheus'));
    await agent.says('monitoring (prometheus) on port');
    for (let i = 0; i < 20; i++) {
      const text = (await get(port, '/metrics')).body;
      expect(text).toContain('Flume_EventAcceptedCount_total{component="r1",kind="source"}');
      expect(text).toContain('millrace_flow_gap{channel="c1"} 0\n');
    }
    await agent.stop();
  });

  it('whose port is taken does not hold up the agent', async () => {
    const [input, port] = [await freePort(), await freePort()];
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(port, resolve));
    const agent = netcatToNull(input).start(...withMonitoring(port));
    await agent.says(`monitoring cannot listen on port ${port}: the port is in use`);
    await send(input, ['works']);
    await new Promise((resolve) => taken.close(resolve));
    await agent.says('monitoring (http) on port');
    expect((await get(port, '/health')).status).toBe(200);
    expect(await agent.stop()).toBe(143);
  });
});
