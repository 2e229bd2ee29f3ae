import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/agent/core/event.ts';
import spec from '../../../../src/agent/sinks/avro.ts';
import sourceSpec from '../../../../src/agent/sources/avro.ts';
import { handshakeResponse, PROTOCOL_TEXT } from '../../../../src/agent/wire/avro-protocol.ts';
import type { RpcServer } from '../../../../src/agent/wire/rpc-server.ts';
import { timeLimit } from '../../../../src/agent/wire/rpc-sink.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';
import { setSystemProperties } from '../../../../src/lib/system-properties.ts';
import { type Rig, rig, until } from '../sources/source-harness.ts';
import { makeTlsMaterial, PASSWORD, type TlsMaterial } from '../wire/tls-material.ts';
import { type SinkRig, sinkRig } from './sink-harness.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function source(written: Record<string, string> = {}): Promise<Rig<RpcServer>> {
  const made = rig<RpcServer>(sourceSpec, { bind: '127.0.0.1', port: '0', ...written });
  made.output.maxBatch = 10_000;
  await made.source.start();
  stops.push(() => made.source.stop());
  return made;
}
async function sink(port: number, written: Record<string, string> = {}): Promise<SinkRig> {
  const made = sinkRig(spec, { hostname: '127.0.0.1', port: String(port), ...written });
  await made.sink.start();
  stops.push(() => made.sink.stop());
  return made;
}
function batch(count: number, size = 20): Event[] {
  return Array.from({ length: count }, (_, i) => ({ headers: { n: `${i}`, 名: '值' }, body: Buffer.alloc(size, `event ${i} `) }));
}
/** A server of raw sockets. */
async function stranger(serve: (socket: net.Socket, count: number) => void): Promise<number> {
  let count = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket, ++count);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(
    () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(resolve);
      }),
  );
  return (server.address() as net.AddressInfo).port;
}

describe('avro sink to avro source', () => {
  test('carries events whole and in order, and counts connections', async () => {
    const { source: server, output } = await source();
    const { sink: client, counters } = await sink(server.port);
    const sent = batch(1_000);
    await client.deliver(sent);
    await client.deliver(batch(1));
    expect(output.events.slice(0, 1_000)).toEqual(sent);
    expect(output.count).toBe(1_001);
    await client.stop();
    expect([counters.ConnectionCreatedCount, counters.ConnectionClosedCount, counters.ConnectionFailedCount]).toEqual([1, 1, 0]);
  });

  test('a large batch, and large events', async () => {
    const { source: server, output } = await source();
    const { sink: client } = await sink(server.port);
    const sent = [...batch(3, 3_000_000), ...batch(5_000, 1)];
    await client.deliver(sent);
    const same = output.events.every((event, i) => event.body.equals(sent[i]!.body) && event.headers.n === sent[i]!.headers.n);
    expect([output.count, same]).toEqual([sent.length, true]);
  });

  for (const level of ['0', '1', '6', '9']) {
    test(`compressed, level ${level}`, async () => {
      const { source: server, output } = await source({ 'compression-type': 'deflate' });
      const { sink: client } = await sink(server.port, { 'compression-type': 'deflate', 'compression-level': level });
      const sent = batch(2_000, 100);
      for (let i = 0; i < 3; i++) await client.deliver(sent);
      expect(output.count).toBe(6_000);
      expect(output.events.slice(4_000)).toEqual(sent);
    });
  }

  test('FAILED leaves the batch with us, and a new connection carries it', async () => {
    const { source: server, output } = await source();
    const { sink: client, counters } = await sink(server.port);
    output.room = 0;
    await expect(client.deliver(batch(2))).rejects.toMatchObject({ code: 'DELIVERY', retriable: true, message: expect.stringContaining('answered FAILED') });
    output.room = 10;
    await client.deliver(batch(2));
    expect(output.count).toBe(2);
    expect(counters.ConnectionCreatedCount).toBe(2);
  });

  test('the source restarts: the next batch finds it', async () => {
    const first = await source();
    const port = first.source.port;
    const { sink: client } = await sink(port);
    await client.deliver(batch(1));
    await first.source.stop();
    await expect(client.deliver(batch(1))).rejects.toThrow(/nobody listens there/);
    const again = rig<RpcServer>(sourceSpec, { bind: '127.0.0.1', port: `${port}` });
    await again.source.start();
    stops.push(() => again.source.stop());
    await client.deliver(batch(3));
    expect(again.output.count).toBe(3);
  });

  test('reset-connection-interval makes a new connection between batches', async () => {
    const { ManualClock } = await import('../../../../src/lib/clock.ts');
    const clock = new ManualClock();
    const { source: server, output } = await source();
    const made = sinkRig(spec, { hostname: '127.0.0.1', port: String(server.port), 'reset-connection-interval': '60' }, clock);
    await made.sink.start();
    stops.push(() => made.sink.stop());
    await made.sink.deliver(batch(1));
    await clock.advance(59_000);
    await made.sink.deliver(batch(1));
    expect(made.counters.ConnectionCreatedCount).toBe(1);
    await clock.advance(2_000);
    await made.sink.deliver(batch(1));
    expect(made.counters.ConnectionCreatedCount).toBe(2);
    expect(made.counters.ConnectionClosedCount).toBe(1);
    expect(output.count).toBe(3);
  });
});

describe('avro sink with several hosts, as its RPC client in Flume', () => {
  test('load balancing over two, and what fails goes to the other', async () => {
    const [a, b] = [await source(), await source()];
    const { sink: client } = await sink(a.source.port, {
      'client.type': 'default_loadbalance',
      hosts: 'h1 two',
      'hosts.two': `127.0.0.1:${b.source.port}`,
      backoff: 'true',
    });
    for (let i = 0; i < 10; i++) await client.deliver(batch(10));
    expect([a.output.count, b.output.count]).toEqual([50, 50]);
    b.output.room = 0;
    for (let i = 0; i < 4; i++) await client.deliver(batch(10));
    expect(a.output.count).toBe(90);
  });

  test('failover, and nobody left', async () => {
    const [a, b] = [await source(), await source()];
    const { sink: client } = await sink(a.source.port, { 'client.type': 'default_failover', hosts: 'h1 two', 'hosts.two': `127.0.0.1:${b.source.port}` });
    await client.deliver(batch(10));
    a.output.room = 0;
    await client.deliver(batch(10));
    expect([a.output.count, b.output.count]).toEqual([10, 10]);
    b.output.room = 0;
    await expect(client.deliver(batch(10))).rejects.toMatchObject({ code: 'DELIVERY', retriable: true });
    a.output.room = 10;
    await client.deliver(batch(10));
    expect(a.output.count).toBe(20);
  });

  test('what cannot be is said before anything starts', () => {
    const bad = (written: Record<string, string>) => () => sinkRig(spec, { hostname: 'h', port: '1', ...written });
    expect(bad({ 'client.type': 'default_loadbalance' })).toThrow(/needs two hosts/);
    expect(bad({ 'client.type': 'default_failover', hosts: 'h1 h2' })).toThrow(/no hosts\.h2/);
    expect(bad({ 'client.type': 'com.acme.Client' })).toThrow(/no RPC client/);
    expect(bad({})).not.toThrow();
  });
});

test('numbers that cannot be meant count as the default, as in Flume', () => {
  for (const [written, size] of [
    ['0', 100],
    ['-5', 100],
    ['many', 100],
    ['7', 7],
  ] as const) {
    const { config } = parseProperties(spec.properties, { hostname: { value: 'h' }, port: { value: '1' }, 'batch-size': { value: written } });
    expect(spec.facts?.(config as NonNullable<typeof config>).batchSize, written).toBe(size);
  }
  expect([timeLimit(0), timeLimit(999), timeLimit(1_000)]).toEqual([20_000, 20_000, 1_000]);
});

describe('avro sink, faults', () => {
  test('nobody there at start is a warning, not a failure', async () => {
    const port = await stranger(() => undefined);
    await stops.pop()?.();
    const { logged, counters } = await sink(port);
    await until(() => counters.ConnectionFailedCount === 1, 'the attempt');
    await until(() => logged.some((line) => line.startsWith('warn')), 'the line');
    expect(logged.join('\n')).toMatch(/^warn cannot connect to 127.0.0.1:\d+: nobody listens there; start the agent/m);
  });

  test('the peer dies in the middle of a frame', async () => {
    const port = await stranger((socket) => socket.once('data', () => socket.destroy()));
    const { sink: client } = await sink(port);
    await expect(client.deliver(batch(1000, 1000))).rejects.toThrow(/closed the connection/);
  });

  test('the peer answers half a frame and dies', async () => {
    const port = await stranger((socket) => socket.once('data', () => socket.end(Buffer.from('00000001000000030000', 'hex'))));
    const { sink: client } = await sink(port);
    await expect(client.deliver(batch(1))).rejects.toThrow(/closed the connection before it answered/);
  });

  test('garbage and a 2 GB length', async () => {
    for (const bytes of ['00000001000000017fffffff', 'ffffffffffffffff']) {
      const port = await stranger((socket) => socket.once('data', () => socket.write(Buffer.from(bytes, 'hex'))));
      const { sink: client } = await sink(port);
      await expect(client.deliver(batch(1))).rejects.toThrow(/is not Avro/);
    }
  });

  test('a server that does not know our hash is told our protocol', async () => {
    const heard: Buffer[] = [];
    const port = await stranger((socket) => {
      socket.on('data', (chunk) => {
        heard.push(chunk);
        const told = Buffer.concat(heard).includes(PROTOCOL_TEXT);
        const serial = told ? '00000002' : '00000001';
        const handshake = handshakeResponse(told ? 1 : 2);
        const rest = told ? Buffer.from('00' + '00' + '00', 'hex') : Buffer.alloc(0);
        const body = Buffer.concat([handshake, rest]);
        const head = Buffer.alloc(12);
        head.write(serial, 'hex');
        head.writeInt32BE(1, 4);
        head.writeInt32BE(body.length, 8);
        socket.write(Buffer.concat([head, body]));
      });
    });
    const { sink: client, counters } = await sink(port);
    await client.deliver(batch(2));
    expect(counters.ConnectionCreatedCount).toBe(1);
  });

  test('no answer in time, no handshake in time', async () => {
    const { ManualClock } = await import('../../../../src/lib/clock.ts');
    const clock = new ManualClock();
    let got = 0;
    const port = await stranger((socket) => socket.on('data', (chunk) => (got += chunk.length)));
    const made = sinkRig(spec, { hostname: '127.0.0.1', port: String(port), 'request-timeout': '1500' }, clock);
    await made.sink.start();
    stops.push(() => made.sink.stop());
    const delivery = made.sink.deliver(batch(1));
    delivery.catch(() => undefined);
    await until(() => got > 0, 'the request');
    await clock.advance(1_501);
    await expect(delivery).rejects.toThrow(/did not answer within 1500 ms/);
    const tls = sinkRig(spec, { hostname: '127.0.0.1', port: String(port), 'connect-timeout': '2000', ssl: 'true', 'trust-all-certs': 'true' }, clock);
    got = 0;
    await tls.sink.start();
    stops.push(() => tls.sink.stop());
    const second = tls.sink.deliver(batch(1));
    second.catch(() => undefined);
    await until(() => got > 0, 'the hello');
    await clock.advance(2_001);
    await expect(second).rejects.toThrow(/no answer within 2000 ms/);
  });
});

describe('TLS', () => {
  let tls: TlsMaterial;
  beforeAll(() => {
    tls = makeTlsMaterial();
  });
  afterAll(() => tls.remove());
  afterEach(() => setSystemProperties({}));
  const server = (more: Record<string, string> = {}) =>
    source({ ssl: 'true', keystore: tls.keyStore, 'keystore-password': PASSWORD, 'keystore-type': 'PKCS12', ...more });
  const trusting = (): Record<string, string> => ({ ssl: 'true', truststore: tls.trustStore, 'truststore-password': PASSWORD, 'truststore-type': 'PKCS12' });
  async function works(from: Rig<RpcServer>, written: Record<string, string>): Promise<void> {
    const before = from.output.count;
    const { sink: client } = await sink(from.source.port, written);
    await client.deliver(batch(500, 300));
    await client.deliver(batch(1));
    expect(from.output.count).toBe(before + 501);
  }
  async function fails(port: number, written: Record<string, string>): Promise<string> {
    const { sink: client } = await sink(port, written);
    const error = await client.deliver(batch(1)).then(
      () => new Error('delivered'),
      (one: Error) => one,
    );
    expect(error.message).not.toContain('\n');
    return error.message;
  }

  test('PKCS12 and PEM on both ends; trust-all-certs', async () => {
    for (const keystore of [tls.keyStore, tls.keyStorePem]) {
      const one = await server({ keystore });
      await works(one, trusting());
      await works(one, { ssl: 'true', truststore: tls.trustStorePem });
      await works(one, { ssl: 'true', 'trust-all-certs': 'true' });
    }
  });

  test('with compression in both orders, the server telling them apart', async () => {
    const one = await server({ 'compression-type': 'deflate' });
    await works(one, { ...trusting(), 'compression-type': 'deflate' });
    await works(one, { ...trusting(), 'compression-type': 'deflate', 'compress-outside-tls': 'false' });
    expect(one.logged.filter((line) => line.startsWith('warn'))).toEqual([]);
  });

  test('global settings stand in for what the components do not say', async () => {
    setSystemProperties({
      'javax.net.ssl.keyStore': tls.keyStore,
      'javax.net.ssl.keyStorePassword': PASSWORD,
      'javax.net.ssl.trustStore': tls.trustStore,
      'javax.net.ssl.trustStorePassword': PASSWORD,
      'flume.ssl.include.protocols': 'TLSv1.2',
    });
    const one = await source({ ssl: 'true' });
    await works(one, { ssl: 'true' });
    process.env.FLUME_SSL_KEYSTORE_PATH = '/nowhere';
    await works(await source({ ssl: 'true' }), { ssl: 'true' });
    delete process.env.FLUME_SSL_KEYSTORE_PATH;
    // The component's own list wins over the global one, and the ends have no version in common.
    expect(await fails(one.source.port, { ssl: 'true', 'include-protocols': 'TLSv1.3' })).toMatch(/TLS/);
  });

  test('the environment is the last resort', async () => {
    process.env.FLUME_SSL_KEYSTORE_PATH = tls.keyStore;
    process.env.FLUME_SSL_KEYSTORE_PASSWORD = PASSWORD;
    process.env.FLUME_SSL_TRUSTSTORE_PATH = tls.trustStorePem;
    try {
      await works(await source({ ssl: 'true' }), { ssl: 'true' });
    } finally {
      for (const name of ['KEYSTORE_PATH', 'KEYSTORE_PASSWORD', 'TRUSTSTORE_PATH']) delete process.env[`FLUME_SSL_${name}`];
    }
  });

  test('cipher lists in Java’s names', async () => {
    const one = await server({ 'include-protocols': 'TLSv1.2', 'include-cipher-suites': 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384' });
    await works(one, trusting());
    expect(await fails(one.source.port, { ...trusting(), 'exclude-cipher-suites': 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 TLS_AES_256_GCM_SHA384' })).toMatch(
      /handshake failed/,
    );
    const old = await server({ 'include-protocols': 'TLSv1 TLSv1.1' });
    await works(old, { ...trusting(), 'include-protocols': 'TLSv1' });
  });

  test('what goes wrong is one line', async () => {
    const one = await server();
    expect(await fails(one.source.port, { ssl: 'true', truststore: tls.stranger })).toMatch(/nobody in the trust store signed/);
    expect(await fails(one.source.port, { ssl: 'true' })).toMatch(/nobody in the trust store signed|signed by itself/);
    const expired = await server({ keystore: tls.expired });
    expect(await fails(expired.source.port, trusting())).toMatch(/the certificate of the other end has expired$/);
    expect(expired.logged.join('\n')).toMatch(/warn the certificate in .*expired.p12 expired on Jan {2}1 00:00:00 2021 GMT; clients will refuse it/);
  });

  test('TLS to a plain port, plain to a TLS port, and compression on one end only', async () => {
    const plain = await source();
    const secure = await server();
    const packed = await source({ 'compression-type': 'deflate' });
    expect(await fails(plain.source.port, trusting())).toMatch(/closed|TLS/);
    await until(() => plain.logged.some((line) => /it looks like TLS: one end has ssl = true/.test(line)), 'the line of the plain source');
    await fails(secure.source.port, {});
    await until(() => secure.logged.some((line) => /closed: .*does not speak TLS/.test(line)), 'the line of the TLS source');
    await fails(packed.source.port, {});
    await until(() => packed.logged.some((line) => /closed: what it sends is not compressed/.test(line)), 'the line of the compressed source');
    await fails(plain.source.port, { 'compression-type': 'deflate' });
    await until(() => plain.logged.some((line) => /it looks compressed/.test(line)), 'the line about compression');
    for (const one of [plain, secure, packed]) expect(one.logged.filter((line) => /^(warn|error)/.test(line)).every((line) => !line.includes('\n'))).toBe(true);
    await works(secure, trusting());
  });

  test('junk at every kind of port, and clients that go away at once, harm nobody', async () => {
    const junk = [
      Buffer.from('x'),
      Buffer.from('789c', 'hex'),
      Buffer.from('789cffffffffffffffffffffffff', 'hex'),
      Buffer.from('1603010200010001fc0303', 'hex'),
      Buffer.alloc(100_000, 0x16),
      Buffer.alloc(100_000, 0x78),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(0),
    ];
    const deflate = { 'compression-type': 'deflate' };
    for (const made of [await source(), await source(deflate), await server(), await server(deflate)]) {
      for (const bytes of junk) {
        for (const leave of ['end', 'destroy', 'reset'] as const) {
          const socket = net.connect(made.source.port, '127.0.0.1');
          socket.on('error', () => undefined);
          socket.resume();
          await new Promise<void>((resolve) => {
            socket.once('close', () => resolve());
            socket.write(bytes, () => {
              if (leave === 'end') socket.end();
              else if (leave === 'destroy') setTimeout(() => socket.destroy(), 5);
              else setTimeout(() => socket.resetAndDestroy(), 5);
            });
          });
        }
      }
      await until(() => made.ctx.counters.OpenConnectionCount === 0, 'all are gone');
      expect(made.logged.filter((line) => line.startsWith('error'))).toEqual([]);
      expect(made.failures).toEqual([]);
    }
  });

  test('servers that say junk, or hang up, at every moment', async () => {
    const junk = [
      Buffer.from('789cffffffffffff', 'hex'),
      Buffer.from('15030300020228', 'hex'),
      Buffer.alloc(50_000, 0x16),
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      null,
    ];
    const deflate = { 'compression-type': 'deflate' };
    for (const bytes of junk) {
      for (const atOnce of [true, false]) {
        const port = await stranger((socket) => {
          const answer = (): void => void (bytes === null ? socket.resetAndDestroy() : socket.end(bytes));
          if (atOnce) answer();
          else socket.once('data', answer);
        });
        for (const written of [{}, deflate, trusting(), { ...trusting(), ...deflate }, { ...trusting(), ...deflate, 'compress-outside-tls': 'false' }]) {
          expect(await fails(port, written as Record<string, string>)).toMatch(/^(cannot |127\.0\.0\.1:\d+)/);
        }
      }
    }
  });

  test('a wrong password, a missing file, Java’s own format, no key: one line at start', async () => {
    const start = async (written: Record<string, string>): Promise<string> => {
      const made = rig<RpcServer>(sourceSpec, { bind: '127.0.0.1', port: '0', ssl: 'true', ...written });
      return made.source.start().then(
        () => 'started',
        (error: Error & { code: string; retriable: boolean; fix: string }) => {
          expect(error).toMatchObject({ code: 'CONFIG', retriable: false });
          return `${error.message}; ${error.fix}`;
        },
      );
    };
    expect(await start({ keystore: tls.keyStore, 'keystore-password': 'wrong' })).toMatch(/^the password of the key store .*server.p12 is wrong/);
    expect(await start({ keystore: '/nowhere.p12' })).toMatch(/^cannot read the key store \/nowhere.p12/);
    expect(await start({ keystore: tls.trustStore, 'keystore-password': PASSWORD })).toMatch(/has no private key/);
    fs.writeFileSync(`${tls.dir}/old.jks`, Buffer.from('feedfeed0000000200000001', 'hex'));
    expect(await start({ keystore: `${tls.dir}/old.jks` })).toMatch(/cannot be read as a JKS key store/);
    fs.writeFileSync(`${tls.dir}/junk.p12`, 'junk');
    expect(await start({ keystore: `${tls.dir}/junk.p12` })).toMatch(/cannot be read as a PKCS12/);
    expect(new X509Certificate(fs.readFileSync(tls.trustStorePem)).subject).toBe('CN=ca');
  });
});
