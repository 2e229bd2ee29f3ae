import { afterEach, describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/agent/core/event.ts';
import avroSource from '../../../../src/agent/sources/avro.ts';
import { type RpcClient, rpcClient } from '../../../../src/agent/wire/rpc-clients.ts';
import type { RpcServer } from '../../../../src/agent/wire/rpc-server.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import type { Logger } from '../../../../src/lib/log.ts';
import { type Rig, rig } from '../sources/source-harness.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
async function source(port = 0): Promise<Rig<RpcServer>> {
  const made = rig<RpcServer>(avroSource, { bind: '127.0.0.1', port: `${port}` });
  made.output.maxBatch = 1_000;
  await made.source.start();
  stops.push(() => made.source.stop());
  return made;
}
const warned: string[] = [];
const quiet = (): undefined => undefined;
const log = {
  trace: quiet,
  debug: quiet,
  info: quiet,
  error: quiet,
  isLevelEnabled: () => false,
  warn: (line: string) => warned.push(line),
} as unknown as Logger;
function client(type: string, ports: readonly number[], more: Record<string, string> = {}): RpcClient {
  const hosts = Object.fromEntries(ports.map((port, i) => [`hosts.h${i}`, `127.0.0.1:${port}`]));
  const made = rpcClient({ 'client.type': type, hosts: ports.map((_, i) => `h${i}`).join(' '), ...hosts, ...more }, { clock: systemClock, log });
  stops.push(() => made.close());
  return made;
}
function batch(count: number): Event[] {
  return Array.from({ length: count }, (_, i) => ({ headers: {}, body: Buffer.from(`${i}`) }));
}

describe('RPC clients', () => {
  test('default: the first host, batches cut to batch-size', async () => {
    const [a, b] = [await source(), await source()];
    const made = client('default', [a.source.port, b.source.port], { 'batch-size': '30' });
    await made.send(batch(100));
    expect(a.output.batches).toEqual([30, 30, 30, 10]);
    expect(b.output.count).toBe(0);
    expect(warned.join()).toMatch(/uses only the first of 2 hosts/);
  });

  test('failover: the next host after a failure, and it stays with that', async () => {
    const [a, b] = [await source(), await source()];
    const made = client('DEFAULT_FAILOVER', [a.source.port, b.source.port]);
    await made.send(batch(10));
    await a.source.stop();
    await made.send(batch(10));
    await made.send(batch(10));
    expect([a.output.count, b.output.count]).toEqual([10, 20]);
    b.output.room = 0;
    await expect(made.send(batch(1))).rejects.toThrow(/nobody listens there/);
    const twice = client('default_failover', [a.source.port || 1, b.source.port], { 'max-attempts': '1' });
    await expect(twice.send(batch(1))).rejects.toThrow(/cannot connect/);
  });

  test('load balancing: in turn, a failed one is left out while backoff lasts', async () => {
    const [a, b] = [await source(), await source()];
    const made = client('default_loadbalance', [a.source.port, b.source.port], { backoff: 'true', 'batch-size': '10' });
    await made.send(batch(100));
    expect([a.output.count, b.output.count]).toEqual([50, 50]);
    b.output.room = 0;
    await made.send(batch(100));
    expect(a.output.count).toBe(150);
    expect(b.output.attempts).toBe(6);
    a.output.room = 0;
    await expect(made.send(batch(1))).rejects.toThrow('unable to send events to any host');
  });

  test('load balancing by chance reaches everybody', async () => {
    const [a, b] = [await source(), await source()];
    const made = client('org.apache.flume.api.LoadBalancingRpcClient', [a.source.port, b.source.port], { 'host-selector': 'random', 'batch-size': '1' });
    await made.send(batch(60));
    expect(a.output.count + b.output.count).toBe(60);
    expect(Math.min(a.output.count, b.output.count)).toBeGreaterThan(5);
  });

  test('a default client comes back after its host did', async () => {
    const a = await source();
    const { port } = a.source;
    const made = client('default', [port]);
    await made.send(batch(1));
    await a.source.stop();
    await expect(made.send(batch(1))).rejects.toThrow();
    const again = await source(port);
    await made.send(batch(2));
    expect(again.output.count).toBe(2);
  });

  test('what cannot be is refused with a reason', () => {
    expect(() => rpcClient({}, { clock: systemClock, log })).toThrow(/"hosts" is required/);
    expect(() => rpcClient({ hosts: 'a b', 'hosts.a': 'x:1', 'client.type': 'default_failover' }, { clock: systemClock, log })).toThrow(/no hosts\.b/);
    expect(() => rpcClient({ hosts: 'a', 'hosts.a': 'x' }, { clock: systemClock, log })).toThrow(/is no address/);
    expect(() => client('default_loadbalance', [1])).toThrow(/needs two hosts/);
    expect(() => client('com.acme.Client', [1])).toThrow(/no RPC client "com.acme.Client"/);
    expect(() => client('thrift', [1], { kerberos: 'true' })).toThrow(/"kerberos" is not supported/);
    client('default', [1], { nonsense: '1' });
    expect(warned.join()).toMatch(/no property "nonsense"/);
  });
});
