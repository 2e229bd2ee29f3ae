import { createSocket } from 'node:dgram';
import http from 'node:http';
import net from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { gangliaPackets } from '../../../../src/agent/runtime/ganglia.ts';
import { health, readiness } from '../../../../src/agent/runtime/health.ts';
import { flumeMetrics, javaDouble } from '../../../../src/agent/runtime/metrics.ts';
import { createMonitoring, type Monitoring, monitoringSettings } from '../../../../src/agent/runtime/monitoring.ts';
import type { AgentSnapshot, ComponentSnapshot, FlowSnapshot } from '../../../../src/agent/runtime/snapshot.ts';
import { ManualClock, systemClock } from '../../../../src/lib/clock.ts';

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;

function component(kind: ComponentSnapshot['kind'], name: string, more: Partial<ComponentSnapshot> = {}): ComponentSnapshot {
  return {
    kind,
    name,
    type: 'x',
    status: 'running',
    since: NOW - 10 * MINUTE,
    restarts: 0,
    counters: { StartTime: 1700000000000, StopTime: 0 },
    extra: {},
    channels: ['c1'],
    progressAt: NOW - 1000,
    failingSince: 0,
    ...more,
  };
}

function flow(more: Partial<FlowSnapshot> = {}): FlowSnapshot {
  return { channel: 'c1', sources: ['r1'], sinks: ['k1'], received: 10, delivered: 7, inChannel: 2, dropped: { interceptor: 1 }, gap: 0, ...more };
}

function agent(more: Partial<AgentSnapshot> = {}): AgentSnapshot {
  return {
    agent: 'a1',
    status: 'running',
    startedAt: NOW - MINUTE,
    configuredAt: NOW - MINUTE,
    reloads: { applied: 1, refused: 0 },
    components: [
      component('channel', 'c1', {
        gauges: { size: 60, capacity: 100, lent: 0 },
        counters: { StartTime: 5, StopTime: 0, EventPutSuccessCount: 3 },
        extra: { Open: 'true' },
      }),
      component('sink', 'k1', { counters: { EventDrainSuccessCount: 7 } }),
      component('source', 'r1', { counters: { EventReceivedCount: 10, OpenConnectionCount: 2 } }),
    ],
    flows: [flow()],
    unrouted: { r1: 4 },
    ...more,
  };
}

describe('Flume metrics', () => {
  it('are strings, with the fill percentage as a Java double', () => {
    expect(flumeMetrics(agent())).toEqual({
      'CHANNEL.c1': {
        Type: 'CHANNEL',
        StartTime: '5',
        StopTime: '0',
        EventPutSuccessCount: '3',
        Open: 'true',
        ChannelCapacity: '100',
        ChannelSize: '60',
        ChannelFillPercentage: '60.0',
      },
      'SINK.k1': { Type: 'SINK', EventDrainSuccessCount: '7' },
      'SOURCE.r1': { Type: 'SOURCE', EventReceivedCount: '10', OpenConnectionCount: '2' },
      'FLOW.c1': { Type: 'FLOW', Received: '10', Delivered: '7', InChannel: '2', Dropped: '1', 'Dropped.interceptor': '1', Gap: '0' },
    });
    expect(flumeMetrics(agent({ flows: [flow({ gap: null })] }))['FLOW.c1']).not.toHaveProperty('Gap');
  });
  it('print numbers as Java does', () => {
    expect([0, 0.5, 100, 1e-4, 1234567.5, 1e7, 33.33333333333333, Number.MAX_VALUE].map(javaDouble)).toEqual([
      '0.0',
      '0.5',
      '100.0',
      '1.0E-4',
      '1234567.5',
      '1.0E7',
      '33.33333333333333',
      '1.7976931348623157E308',
    ]);
  });
  it('have the largest double for a channel without bound', () => {
    const unbounded = agent({ components: [component('channel', 'c1', { gauges: { size: 1, capacity: 0, lent: 0 } })] });
    expect(flumeMetrics(unbounded)['CHANNEL.c1']?.ChannelFillPercentage).toBe('1.7976931348623157E308');
  });
});

describe('health', () => {
  it('is good when all run and move', () => {
    expect(health(agent(), NOW, MINUTE)).toEqual({ ok: true, problems: [] });
  });
  it('is bad when events wait and nothing was delivered for long, though every status says running', () => {
    const stuck = agent({ components: agent().components.map((c) => ({ ...c, progressAt: NOW - 5 * MINUTE })) });
    expect(health(stuck, NOW, MINUTE).problems).toEqual([{ component: 'channel c1', problem: '2 events wait and nothing was delivered for 300 s' }]);
    expect(health({ ...stuck, flows: [flow({ inChannel: 0 })] }, NOW, MINUTE).ok).toBe(true);
  });
  it('is bad when one delivery hangs, though another sink empties the same channel', () => {
    const hangs = agent({ components: [...agent().components, component('sink', 'k2', { busySince: NOW - 2 * MINUTE })] });
    expect(health(hangs, NOW, MINUTE).problems).toEqual([{ component: 'sink k2', problem: 'one delivery lasts for 120 s', fix: undefined }]);
  });
  it('is bad when a component is not well, with its remedy', () => {
    const bad = component('sink', 'k1', {
      status: 'retrying',
      since: NOW - 3000,
      error: { code: 'X', message: 'no broker', fix: 'Start it.', at: NOW, times: 2 },
    });
    expect(health(agent({ status: 'degraded', components: [bad] }), NOW, MINUTE).problems).toEqual([
      { component: 'sink k1', problem: 'is retrying for 3 s: no broker', fix: 'Start it.' },
    ]);
  });
  it('is bad when attempts fail for long, while starting, and with nothing to run', () => {
    expect(health(agent({ components: [component('sink', 'k1', { failingSince: NOW - 2 * MINUTE })] }), NOW, MINUTE).ok).toBe(false);
    expect(health(agent({ status: 'starting' }), NOW, MINUTE).ok).toBe(false);
    expect(health(agent({ components: [], flows: [] }), NOW, MINUTE).ok).toBe(false);
  });
  it('and ready are not the same: a failing sink does not stop input', () => {
    const sink = agent({ status: 'degraded', components: [component('source', 'r1'), component('sink', 'k1', { status: 'retrying' })] });
    expect(readiness(sink).ok).toBe(true);
    // Of an agent with one flow nothing runs to its end then.
    expect(readiness({ ...sink, status: 'failed' }).ok).toBe(true);
    expect(readiness({ ...sink, status: 'stopping' }).problems).toEqual([{ component: 'agent', problem: 'is stopping' }]);
    expect(readiness(agent({ status: 'failed', components: [component('channel', 'c1')] })).problems).toEqual([{ component: 'agent', problem: 'is failed' }]);
    const source = agent({ status: 'degraded', components: [component('source', 'r1', { status: 'retrying' })] });
    expect(readiness(source).problems).toEqual([{ component: 'source r1', problem: 'is retrying', fix: undefined }]);
  });
});

describe('settings', () => {
  it('know Flume’s names and defaults', () => {
    expect(monitoringSettings({})).toMatchObject({ type: 'none', complaints: [] });
    expect(monitoringSettings({ 'flume.monitoring.type': 'HTTP' })).toMatchObject({ type: 'http', port: 41414, complaints: [] });
    expect(
      monitoringSettings({ 'flume.monitoring.type': 'org.apache.flume.instrumentation.http.HTTPMetricsServer', 'flume.monitoring.port': '5' }),
    ).toMatchObject({ type: 'http', port: 5 });
  });
  it('complain and go on', () => {
    expect(monitoringSettings({ 'flume.monitoring.type': 'htttp' }).complaints).toHaveLength(1);
    expect(monitoringSettings({ 'flume.monitoring.type': 'http', 'flume.monitoring.port': 'x' })).toMatchObject({ type: 'http', port: 41414 });
    expect(monitoringSettings({ 'flume.monitoring.port': '34545' }).complaints[0]).toContain('type=http');
    expect(monitoringSettings({ 'flume.monitoring.type': 'ganglia' })).toMatchObject({ type: 'none' });
    expect(monitoringSettings({ 'flume.monitoring.type': 'ganglia', 'flume.monitoring.hosts': 'a:1, b:2,c' })).toMatchObject({
      hosts: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      complaints: ['flume.monitoring.hosts: "c" is not host:port'],
    });
  });
});

const running: Monitoring[] = [];
afterEach(async () => {
  for (const monitoring of running.splice(0)) await monitoring.stop();
});

const said: string[] = [];
const log = pino({ level: 'info' }, { write: (line: string) => void said.push(JSON.parse(line).msg) });

async function serve(more: Record<string, string> = {}, clock = systemClock, snapshot = agent()): Promise<Monitoring> {
  said.length = 0;
  const settings = monitoringSettings({ 'flume.monitoring.type': 'http', 'flume.monitoring.port': '0', 'flume.monitoring.bind': '127.0.0.1', ...more });
  const monitoring = createMonitoring({ settings, snapshot: () => snapshot, log, clock, version: '1' });
  running.push(monitoring);
  await monitoring.start();
  return monitoring;
}

function get(port: number, path: string, method = 'GET'): Promise<{ status: number; type: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, path, method, host: '127.0.0.1' }, (response) => {
      let body = '';
      response
        .on('data', (chunk) => (body += chunk))
        .on('end', () => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], body }));
    });
    request.on('error', reject).end();
  });
}

describe('the server', () => {
  it('answers as Flume does', async () => {
    const port = (await serve()).port!;
    for (const path of ['/metrics', '/METRICS', '/metrics?x=1']) {
      const reply = await get(port, path);
      expect([reply.status, reply.type]).toEqual([200, 'application/json;charset=utf-8']);
      expect(JSON.parse(reply.body)).toEqual(flumeMetrics(agent()));
    }
    expect((await get(port, '/metrics', 'POST')).status).toBe(200);
    expect(await get(port, '/')).toEqual({
      status: 200,
      type: 'text/html;charset=utf-8',
      body: 'For Flume metrics please click <a href = "./metrics"> here</a>.',
    });
    expect((await get(port, '/foo')).status).toBe(404);
    expect((await get(port, '/metrics/')).status).toBe(404);
    expect(await get(port, '/metrics', 'OPTIONS')).toEqual({ status: 403, type: undefined, body: '' });
  });

  it('speaks Prometheus, conservation included', async () => {
    const port = (await serve()).port!;
    const reply = await get(port, '/metrics/prometheus');
    expect(reply.type).toContain('text/plain; version=0.0.4');
    for (const line of [
      'Flume_EventReceivedCount_total{component="r1",kind="source"} 10',
      'Flume_OpenConnectionCount{component="r1",kind="source"} 2',
      'Flume_ChannelFillPercentage{component="c1",kind="channel"} 60',
      'Flume_Open{component="c1",kind="channel"} 1',
      'millrace_flow_received_total{channel="c1"} 10',
      'millrace_flow_dropped_total{channel="c1",reason="interceptor"} 1',
      'millrace_flow_gap{channel="c1"} 0',
      'millrace_unrouted_total{source="r1"} 4',
      'millrace_component_status{component="k1",kind="sink",status="running"} 1',
    ]) {
      expect(reply.body).toContain(`${line}\n`);
    }
    const trunk = (await serve({ 'flume.monitoring.type': 'prometheus' })).port!;
    expect((await get(trunk, '/metrics')).body).toContain('# TYPE Flume_EventReceivedCount_total counter');
    expect(JSON.parse((await get(trunk, '/metrics/json')).body)).toHaveProperty('CHANNEL.c1');
  });

  it('tells health by status code, and the whole state', async () => {
    const clock = new ManualClock(NOW);
    const good = (await serve({}, clock)).port!;
    expect(await get(good, '/health')).toMatchObject({ status: 200, body: '{"ok":true,"problems":[]}' });
    expect((await get(good, '/ready')).status).toBe(200);
    expect(JSON.parse((await get(good, '/status')).body)).toMatchObject({
      agent: 'a1',
      version: '1',
      health: { ok: true },
      flows: [{ channel: 'c1', gap: 0 }],
    });
    await clock.advance(10 * MINUTE);
    expect((await get(good, '/health')).status).toBe(503);
  });

  it('says when its port is taken, lets the agent run, and tries again', async () => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as net.AddressInfo;
    const clock = new ManualClock(NOW);
    const monitoring = await serve({ 'flume.monitoring.port': String(port) }, clock);
    expect(monitoring.port).toBeUndefined();
    expect(said.filter((line) => line.includes('in use'))).toHaveLength(1);
    await new Promise((resolve) => other.close(resolve));
    await clock.advance(1_000);
    await expect.poll(() => monitoring.port).toBe(port);
  });
});

describe('ganglia', () => {
  it('packets are XDR in both formats', () => {
    const text = (s: string): Buffer => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(s.length);
      return Buffer.concat([length, Buffer.from(s), Buffer.alloc((4 - (s.length % 4)) % 4)]);
    };
    const int = (n: number): Buffer => Buffer.from([0, 0, 0, n]);
    const name = 'flume.SINK.k1.StopTime';
    expect(gangliaPackets('host', name, '0', true)).toEqual([
      Buffer.concat([int(0), text('float'), text(`host.${name}`), text('0'), text(''), int(3), int(60), int(0)]),
    ]);
    expect(gangliaPackets('host', name, 'SINK', false)).toEqual([
      Buffer.concat([
        int(128),
        text('host'),
        text(name),
        int(0),
        text('string'),
        text(name),
        text(''),
        int(3),
        int(60),
        int(0),
        int(1),
        text('GROUP'),
        text('flume'),
      ]),
      Buffer.concat([int(133), text('host'), text(name), int(0), text('%s'), text('SINK')]),
    ]);
  });

  it('are sent to each host', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await new Promise((resolve) => socket.once('listening', resolve));
    const names: string[] = [];
    socket.on('message', (packet) => names.push(packet.toString('latin1')));
    await serve({ 'flume.monitoring.type': 'ganglia', 'flume.monitoring.hosts': `127.0.0.1:${socket.address().port}` });
    await expect.poll(() => names.some((packet) => packet.includes('flume.CHANNEL.c1.ChannelSize'))).toBe(true);
    socket.close();
  });
});
