import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/agent/core/event.ts';
import sinkSpec from '../../../../src/agent/sinks/thrift.ts';
import spec from '../../../../src/agent/sources/thrift.ts';
import type { RpcServer } from '../../../../src/agent/wire/rpc-server.ts';
import { batchCall } from '../../../../src/agent/wire/thrift-messages.ts';
import { MESSAGE, thriftWriter } from '../../../../src/agent/wire/thrift-protocol.ts';
import { ByteWriter } from '../../../../src/lib/bytes.ts';
import { type SinkRig, sinkRig } from '../sinks/sink-harness.ts';
import { RawClient } from '../wire/raw-client.ts';
import { makeTlsMaterial, PASSWORD, type TlsMaterial } from '../wire/tls-material.ts';
import { type Rig, rig, until } from './source-harness.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
async function source(written: Record<string, string> = {}): Promise<Rig<RpcServer>> {
  const made = rig<RpcServer>(spec, { bind: '127.0.0.1', port: '0', ...written });
  made.output.maxBatch = 10_000;
  await made.source.start();
  stops.push(() => made.source.stop());
  return made;
}
async function sink(port: number, written: Record<string, string> = {}): Promise<SinkRig> {
  const made = sinkRig(sinkSpec, { hostname: '127.0.0.1', port: String(port), ...written });
  await made.sink.start();
  stops.push(() => made.sink.stop());
  return made;
}
async function raw(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  stops.push(() => client.socket.destroy());
  return client;
}
function batch(count: number): Event[] {
  return Array.from({ length: count }, (_, i) => ({ headers: { n: `${i}`, 名: '值' }, body: Buffer.from(`event ${i}`) }));
}

describe('thrift sink to thrift source', () => {
  for (const protocol of ['compact', 'binary']) {
    test(protocol, async () => {
      const { source: server, output, ctx } = await source({ protocol });
      const { sink: client } = await sink(server.port, { protocol });
      const sent = batch(3_000);
      await client.deliver(sent);
      await client.deliver(batch(1));
      expect(output.events.slice(0, 3_000)).toEqual(sent);
      expect([ctx.counters.AppendBatchReceivedCount, ctx.counters.AppendBatchAcceptedCount]).toEqual([2, 2]);
    });
  }

  test('the ends differ in protocol: both say which', async () => {
    const { source: server, logged } = await source();
    const { sink: client } = await sink(server.port, { protocol: 'binary' });
    await expect(client.deliver(batch(1))).rejects.toThrow(/closed the connection before it answered/);
    await until(() => logged.some((line) => line.includes('set protocol = binary here')), 'the line');
  });

  test('FAILED, errors of interceptors, and a full recovery', async () => {
    const { source: server, output } = await source();
    const { sink: client } = await sink(server.port);
    output.room = 0;
    await expect(client.deliver(batch(2))).rejects.toThrow(/answered FAILED/);
    output.room = 100;
    output.error = new Error('interceptor broke');
    await expect(client.deliver(batch(2))).rejects.toThrow(/Internal error processing appendBatch: interceptor broke/);
    output.error = undefined;
    await client.deliver(batch(2));
    expect(output.count).toBe(2);
  });
});

describe('thrift source', () => {
  test('unknown methods are answered, calls without answers are not, and the connection lives on', async () => {
    const { source: server, output } = await source();
    const client = await raw(server.port);
    const bytes = new ByteWriter();
    const at = bytes.reserve(4);
    thriftWriter('compact', bytes).message({ name: 'nope', kind: MESSAGE.call, id: 3 });
    bytes.u8(0);
    bytes.patchI32(at, bytes.length - 4);
    client.say(bytes.finish());
    await until(() => client.received.includes("Invalid method name: 'nope'"), 'the error');
    const before = client.received.length;
    const oneway = batchCall('compact', 4, batch(1));
    oneway[5] = (MESSAGE.oneway << 5) | 1;
    client.say(oneway);
    await until(() => output.count === 1, 'the event');
    client.say(batchCall('compact', 5, batch(1)));
    await until(() => output.count === 2 && client.received.length > before, 'the answer');
    expect(client.received.length).toBeLessThan(before + 25);
  });

  test('garbage, 2 GB, no frame, TLS: one line each and the connection is closed', async () => {
    const { source: server, logged, ctx } = await source();
    const expected: readonly (readonly [string, RegExp])[] = [
      ['7fffffff 00', /a frame of 2147483647 bytes is not Thrift/],
      ['ffffffff', /a frame of -1 bytes/],
      ['82210106 617070656e64', /not Thrift in the framed transport/],
      ['80010001 00000006', /not Thrift in the framed transport/],
      ['16030102 00010001', /looks like TLS/],
      ['00000004 01020304', /a message of another protocol than compact/],
    ];
    for (const [bytes, line] of expected) {
      const client = await raw(server.port);
      client.say(bytes);
      await until(() => client.closed || client.socket.readableEnded, `the end of ${bytes}`);
      expect(logged.filter((one) => one.startsWith('warn')).pop()).toMatch(line);
    }
    expect(ctx.counters.EventReadFail).toBe(expected.length);
  });

  test('a call cut at every byte', async () => {
    const { source: server, output } = await source();
    const client = await raw(server.port);
    client.socket.setNoDelay(true);
    for (const byte of batchCall('compact', 1, batch(3))) {
      client.say(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => output.count === 3, 'the events');
  });

  test('kerberos is refused', () => {
    expect(() => rig(spec, { bind: '127.0.0.1', port: '0', kerberos: 'true', 'agent-principal': 'x' })).toThrow(/"kerberos" is not supported/);
    expect(() => sinkRig(sinkSpec, { hostname: 'h', port: '1', kerberos: 'true' })).toThrow(/"kerberos" is not supported/);
    expect(() => rig(spec, { bind: '127.0.0.1', port: '0', kerberos: 'false' })).not.toThrow();
  });

  describe('TLS', () => {
    let tls: TlsMaterial;
    beforeAll(() => {
      tls = makeTlsMaterial();
    });
    afterAll(() => tls.remove());

    test('carries events', async () => {
      const { source: server, output } = await source({ ssl: 'true', keystore: tls.keyStore, 'keystore-password': PASSWORD });
      const { sink: client } = await sink(server.port, { ssl: 'true', truststore: tls.trustStore, 'truststore-password': PASSWORD });
      await client.deliver(batch(100));
      expect(output.count).toBe(100);
    });
  });
});
