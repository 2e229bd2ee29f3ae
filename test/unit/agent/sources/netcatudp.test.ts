import { createSocket } from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';
import netcatudp, { type NetcatUdpSource } from '../../../../src/agent/sources/netcatudp.ts';
import { type Rig, rig, TestOutput, until } from './source-harness.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(written: Record<string, string> = { bind: '127.0.0.1' }, output = new TestOutput()): Promise<Rig<NetcatUdpSource>> {
  const built = rig<NetcatUdpSource>(netcatudp, { port: '0', ...written }, { output });
  await built.source.start();
  cleanups.push(() => built.source.stop());
  return built;
}

async function sender(address = '127.0.0.1'): Promise<{ port: number; send: (data: string | Buffer, to: number) => Promise<void> }> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  cleanups.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return {
    port: socket.address().port,
    send: (data, to) => new Promise((resolve, reject) => socket.send(data, to, address, (error) => (error ? reject(error) : resolve()))),
  };
}

describe('netcatudp', () => {
  it('makes one event of a datagram, up to its first line feed, without a header', async () => {
    const { source, output } = await started();
    const { send } = await sender();
    for (const data of ['hello', 'one\ntwo\n', '\n', Buffer.of(0xff, 0x00, 0x0d)]) {
      const before = output.count;
      await send(data, source.port);
      await until(() => output.count === before + 1, 'the event');
    }
    expect(output.events.map((event) => event.body.toString('latin1'))).toEqual(['hello', 'one', '', '\xff\0\r']);
    expect(output.events[0]?.headers).toEqual({});
  });

  it.each(['remoteAddress', 'remoteAddressHeader'])('tells the sender in the header named by %s', async (property) => {
    const { source, output } = await started({ bind: '127.0.0.1', [property]: 'from' });
    const client = await sender();
    await client.send('x', source.port);
    await until(() => output.count === 1, 'the event');
    expect(output.events[0]?.headers).toEqual({ from: `/127.0.0.1:${client.port}` });
  });

  it('listens on all addresses without bind, and shows IPv4 senders as such', async () => {
    const { source, output } = await started({ remoteAddress: 'from' });
    const client = await sender();
    await client.send('x', source.port);
    await until(() => output.count === 1, 'the event');
    expect(output.events[0]?.headers).toEqual({ from: `/127.0.0.1:${client.port}` });
  });

  it('does not cut large datagrams', async () => {
    const { source, output } = await started();
    const { send } = await sender();
    await send(Buffer.alloc(60_000, 0x61), source.port);
    await until(() => output.count === 1, 'the event');
    expect(output.events[0]?.body.length).toBe(60_000);
  });

  it('keeps datagrams while the channel is full, drops what exceeds the ring, and counts it', async () => {
    const output = new TestOutput();
    output.room = 0;
    output.counting = true;
    const { source, ctx, degraded, isHealthy } = await started({ bind: '127.0.0.1' }, output);
    const { send } = await sender();
    const big = Buffer.alloc(60_000, 0x61);
    let sent = 0;
    await until(() => {
      for (let i = 0; i < 4; i++, sent++) void send(big, source.port);
      return (ctx.extra.DatagramDropCount ?? 0) > 0;
    }, 'a drop');
    expect(degraded.some((error) => error.message.startsWith('datagrams are dropped'))).toBe(true);
    output.room = Number.POSITIVE_INFINITY;
    await until(() => isHealthy() && output.count >= 279, 'what was kept');
    expect(output.count + (ctx.extra.DatagramDropCount ?? 0)).toBeLessThanOrEqual(sent);
    expect(output.mostInFlight).toBe(1);
  });

  it('says which port is in use', async () => {
    const { source } = await started();
    const second = rig<NetcatUdpSource>(netcatudp, { bind: '127.0.0.1', port: String(source.port) });
    await expect(second.source.start()).rejects.toMatchObject({
      code: 'LISTEN',
      retriable: true,
      message: `cannot listen on udp 127.0.0.1:${source.port}: the port is in use`,
    });
    await second.source.stop();
  });

  it('says that a host name is not known', async () => {
    const { source } = rig<NetcatUdpSource>(netcatudp, { bind: 'no-such-host.invalid', port: '0' });
    await expect(source.start()).rejects.toMatchObject({ code: 'LISTEN', retriable: true });
  });

  it('stores what it has when it stops, twice, and without start', async () => {
    const idle = rig<NetcatUdpSource>(netcatudp, { port: '0' });
    await idle.source.stop();
    const output = new TestOutput();
    output.room = 0;
    const { source, logged } = await started({ bind: '127.0.0.1' }, output);
    const { send } = await sender();
    await send('x', source.port);
    await until(() => output.attempts >= 1, 'an attempt');
    await source.stop();
    await source.stop();
    expect(logged.join('\n')).toContain('1 datagrams received and not stored');
  });
});
