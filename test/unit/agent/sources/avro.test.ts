import { afterEach, describe, expect, test } from 'vitest';
import spec from '../../../../src/agent/sources/avro.ts';
import { AvroEventWriter } from '../../../../src/agent/wire/avro-event-codec.ts';
import { callHead, frameOf, handshakeRequest, PROTOCOL_HASH, PROTOCOL_TEXT } from '../../../../src/agent/wire/avro-protocol.ts';
import type { RpcServer } from '../../../../src/agent/wire/rpc-server.ts';
import { ChannelError } from '../../../../src/lib/errors.ts';
import { RawClient } from '../wire/raw-client.ts';
import { latch, type Rig, rig, until } from './source-harness.ts';

const open: { rig?: Rig<RpcServer>; clients: RawClient[] } = { clients: [] };
afterEach(async () => {
  for (const client of open.clients.splice(0)) client.socket.destroy();
  await open.rig?.source.stop();
});

async function started(written: Record<string, string> = {}): Promise<Rig<RpcServer>> {
  open.rig = rig<RpcServer>(spec, { bind: '127.0.0.1', port: '0', ...written });
  await open.rig.source.start();
  return open.rig;
}
async function client(source: RpcServer): Promise<RawClient> {
  const made = await RawClient.connect(source.port);
  open.clients.push(made);
  return made;
}

const FIRST =
  '00000001 00000002 0000002b 86aadae2c45474c0fe93ffd0f2350a65 00 86aadae2c45474c0fe93ffd0f2350a65 0200 00 0c617070656e64 00000009 02026b027600 046869';
const FIRST_OK = '00000001000000030000000400000000000000010000000002' + '0000';
const SECOND = '00000002 00000002 0000000d 00 16617070656e644261746368 0000000d 04 02026b027600 0241 00 0242 00';
const SECOND_OK = '000000020000000300000000000000010000000002' + '0000';
const FAILED = '0002';

function batchFrame(serial: number, bodies: readonly string[], handshake?: Buffer): Buffer {
  const writer = new AvroEventWriter();
  writer.reset(0);
  writer.events(bodies.map((body) => ({ headers: {}, body: Buffer.from(body) })));
  return frameOf(serial, [...(handshake ? [handshake] : []), callHead('appendBatch'), Buffer.from(writer.slab.subarray(0, writer.length))]);
}

describe('avro source, byte for byte', () => {
  test('append and appendBatch as Java sends them', async () => {
    const { source, output, ctx } = await started();
    const a = await client(source);
    a.say(FIRST);
    expect(await a.hears(FIRST_OK.length / 2)).toBe(FIRST_OK);
    a.say(SECOND);
    expect(await a.hears((FIRST_OK.length + SECOND_OK.length) / 2)).toBe(FIRST_OK + SECOND_OK);
    expect(output.events).toEqual([
      { headers: { k: 'v' }, body: Buffer.from('hi') },
      { headers: { k: 'v' }, body: Buffer.from('A') },
      { headers: {}, body: Buffer.from('B') },
    ]);
    const { AppendReceivedCount, AppendAcceptedCount, AppendBatchReceivedCount, AppendBatchAcceptedCount, OpenConnectionCount } = ctx.counters;
    expect([AppendReceivedCount, AppendAcceptedCount, AppendBatchReceivedCount, AppendBatchAcceptedCount, OpenConnectionCount]).toEqual([1, 1, 1, 1, 1]);
  });

  test('cut at every byte', async () => {
    const { source, output } = await started();
    const a = await client(source);
    a.socket.setNoDelay(true);
    for (const byte of Buffer.from((FIRST + SECOND).replaceAll(' ', ''), 'hex')) {
      a.say(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await a.hears((FIRST_OK.length + SECOND_OK.length) / 2)).toBe(FIRST_OK + SECOND_OK);
    expect(output.bodies).toEqual(['hi', 'A', 'B']);
  });

  test('pipelined calls: one put at a time, answers in order; the answer comes after the channel has it', async () => {
    const { source, output } = await started();
    const gate = latch();
    output.gate = gate.promise;
    const a = await client(source);
    a.say(FIRST);
    for (let serial = 2; serial <= 20; serial++) a.say(batchFrame(serial, [`${serial}`]));
    await until(() => output.attempts === 1, 'the first put');
    expect(a.received.length).toBe(0);
    gate.open();
    const all = await a.hears((FIRST_OK.length + 19 * SECOND_OK.length) / 2);
    const serials = Array.from({ length: 19 }, (_, i) => all.slice(FIRST_OK.length + i * SECOND_OK.length).slice(0, 8));
    expect(serials).toEqual(Array.from({ length: 19 }, (_, i) => (i + 2).toString(16).padStart(8, '0')));
    expect(output.mostInFlight).toBe(1);
    expect(output.bodies).toEqual(['hi', ...Array.from({ length: 19 }, (_, i) => `${i + 2}`)]);
  });

  test('a full channel is FAILED, and the connection lives on', async () => {
    const { source, output, ctx } = await started();
    output.room = 1;
    const a = await client(source);
    a.say(FIRST);
    a.say(SECOND);
    expect((await a.hears((FIRST_OK.length + SECOND_OK.length) / 2)).endsWith(FAILED)).toBe(true);
    expect(ctx.counters.AppendBatchReceivedCount).toBe(1);
    expect(ctx.counters.AppendBatchAcceptedCount).toBe(0);
    output.room = 10;
    a.say(batchFrame(3, ['again']));
    expect((await a.hears((FIRST_OK.length + 2 * SECOND_OK.length) / 2)).endsWith('0000')).toBe(true);
    expect(output.bodies).toEqual(['hi', 'again']);
  });

  test('an error that is not the channel’s: append gets its text, a batch FAILED', async () => {
    const { source, output } = await started();
    output.error = new Error('interceptor broke');
    const a = await client(source);
    a.say(FIRST);
    await until(() => a.received.includes('java.lang.RuntimeException: interceptor broke'), 'the error');
    const before = a.received.length;
    a.say(SECOND);
    expect((await a.hears(before + SECOND_OK.length / 2)).endsWith(FAILED)).toBe(true);
    output.error = new ChannelError('too big');
    a.say(batchFrame(3, ['x']));
    expect((await a.hears(before + SECOND_OK.length)).endsWith(FAILED)).toBe(true);
  });

  test('a batch larger than the channel takes is stored in parts; an empty one is OK', async () => {
    const { source, output } = await started();
    output.maxBatch = 3;
    const a = await client(source);
    a.say(batchFrame(1, ['a', 'b', 'c', 'd', 'e', 'f', 'g'], handshakeRequest(false)));
    await a.hears(FIRST_OK.length / 2);
    expect(output.batches).toEqual([3, 3, 1]);
    a.say(batchFrame(2, []));
    expect((await a.hears((FIRST_OK.length + SECOND_OK.length) / 2)).endsWith('0000')).toBe(true);
  });

  test('a ping is answered with the handshake and no more; unknown messages and cut-off events with an error', async () => {
    const { source, output } = await started();
    const a = await client(source);
    a.say(frameOf(1, [handshakeRequest(false), callHead('')]));
    expect(await a.hears(16)).toBe('00000001' + '00000001' + '00000004' + '00000000');
    a.say(frameOf(2, [callHead('nope')]));
    await until(() => a.received.includes('org.apache.avro.AvroRuntimeException: No such remote message: nope'), 'the error');
    a.say(frameOf(3, [callHead('append'), Buffer.from('02', 'hex')]));
    await until(() => a.received.includes('it ends in a number'), 'the second error');
    a.say(batchFrame(4, ['fine']));
    await until(() => output.bodies.length === 1, 'the event');
  });
});

describe('avro source, handshakes', () => {
  const hash = Buffer.alloc(16, 7);
  const unknown = (protocol: string | null): Buffer => {
    const text = protocol === null ? Buffer.from([0]) : Buffer.concat([Buffer.from([2]), varint(Buffer.byteLength(protocol)), Buffer.from(protocol)]);
    return Buffer.concat([hash, text, hash, Buffer.from([0])]);
  };
  const varint = (length: number): Buffer => {
    const bytes: number[] = [];
    let rest = length * 2;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
    return Buffer.from([...bytes, rest]);
  };

  test('an unknown hash: NONE with our protocol, then the client’s text, then CLIENT; the next connection need not repeat it', async () => {
    const { source, output } = await started();
    const doc = JSON.stringify({ ...(JSON.parse(PROTOCOL_TEXT) as object), doc: undefined });
    const a = await client(source);
    a.say(batchFrame(1, ['lost'], unknown(null)));
    await until(() => a.received.includes(PROTOCOL_HASH), 'our protocol');
    expect(a.received[12]).toBe(4);
    expect(a.received.includes(PROTOCOL_TEXT)).toBe(true);
    expect(output.attempts).toBe(0);
    const before = a.received.length;
    a.say(batchFrame(2, ['told'], unknown(doc)));
    await until(() => a.received.length > before + 12, 'the answer');
    expect(a.received[before + 12]).toBe(2);
    a.say(batchFrame(3, ['later']));
    await until(() => output.bodies.length === 2, 'both');
    const b = await client(source);
    b.say(batchFrame(1, ['known'], unknown(null)));
    await until(() => output.bodies.length === 3, 'the third');
    expect(output.bodies).toEqual(['told', 'later', 'known']);
  });

  test('a protocol whose event has other fields is read by its own schema', async () => {
    const { source, output } = await started();
    const protocol = JSON.stringify({
      protocol: 'Other',
      types: [
        { type: 'record', name: 'Ev', aliases: ['AvroFlumeEvent'], fields: [] },
        {
          type: 'record',
          name: 'AvroFlumeEvent',
          fields: [
            { name: 'extra', type: 'long' },
            { name: 'body', type: 'bytes' },
            { name: 'headers', type: { type: 'map', values: 'string' } },
          ],
        },
      ],
      messages: { append: { request: [{ name: 'event', type: 'AvroFlumeEvent' }], response: 'int' } },
    });
    const a = await client(source);
    a.say(frameOf(1, [unknown(protocol), callHead('append'), Buffer.from('54 046869 02026b027600'.replaceAll(' ', ''), 'hex')]));
    await until(() => output.events.length === 1, 'the event');
    expect(output.events[0]?.headers).toEqual({ k: 'v' });
    expect(output.events[0]?.body.toString()).toBe('hi');
  });

  test('a protocol that cannot be understood closes the connection, with a line', async () => {
    const { source, logged } = await started();
    const a = await client(source);
    a.say(frameOf(1, [unknown('{"protocol":"X","messages":{"append":{"request":[{"name":"e","type":"int"}]}}}'), callHead('append')]));
    await until(() => a.closed || a.socket.readableEnded, 'the end');
    expect(logged.join('\n')).toMatch(/the Avro schemas do not fit/);
  });
});

describe('avro source, faults', () => {
  test('garbage and impossible lengths close that connection only, each with one line', async () => {
    const { source, output, logged, ctx } = await started();
    const good = await client(source);
    good.say(FIRST);
    await good.hears(FIRST_OK.length / 2);
    for (const bytes of ['00000001 00000001 7fffffff 0000', '00000001 00000001 ffffffff', 'deadbeef ffffffff', '16030102 00010001 fc0303ab']) {
      const bad = await client(source);
      bad.say(bytes);
      await until(() => bad.closed || bad.socket.readableEnded, `the end of ${bytes}`);
    }
    expect(ctx.counters.EventReadFail).toBe(4);
    const warned = logged.filter((line) => line.startsWith('warn'));
    expect(warned.length).toBe(4);
    expect(warned.join('\n')).toMatch(/2147483647 bytes is not Avro/);
    expect(warned.join('\n')).toMatch(/looks like TLS/);
    good.say(SECOND);
    await good.hears((FIRST_OK.length + SECOND_OK.length) / 2);
    expect(output.bodies).toEqual(['hi', 'A', 'B']);
  });

  test('the same fault from the same place is a warning once', async () => {
    const { source, logged } = await started();
    for (let i = 0; i < 3; i++) {
      const bad = await client(source);
      bad.say('deadbeef ffffffff');
      await until(() => bad.closed || bad.socket.readableEnded, 'the end');
    }
    expect(logged.filter((line) => line.startsWith('warn')).length).toBe(1);
  });

  test('a client that dies in the middle of a frame leaves nothing behind', async () => {
    const { source, output, ctx, logged } = await started();
    const a = await client(source);
    a.say(FIRST.slice(0, 60));
    await until(() => ctx.counters.OpenConnectionCount === 1, 'the connection');
    a.socket.destroy();
    await until(() => ctx.counters.OpenConnectionCount === 0, 'its end');
    expect(output.attempts).toBe(0);
    expect(logged.filter((line) => /^(warn|error)/.test(line))).toEqual([]);
  });

  test('half open: a client that ends its side after a request still gets its answer', async () => {
    const { source, ctx } = await started();
    const a = await client(source);
    a.say(FIRST);
    a.socket.end();
    expect(await a.hears(FIRST_OK.length / 2)).toBe(FIRST_OK);
    await until(() => ctx.counters.OpenConnectionCount === 0, 'its end');
  });

  test('ipFilter denies without a word', async () => {
    const { source, ctx } = await started({ ipFilter: 'true', ipFilterRules: 'deny:ip:127.*' });
    const a = await client(source);
    await until(() => a.closed || a.socket.readableEnded, 'the end');
    expect(a.received.length).toBe(0);
    await until(() => ctx.counters.OpenConnectionCount === 0, 'its end');
  });

  test('200 connections at once', async () => {
    const { source, output, ctx } = await started();
    const all = await Promise.all(Array.from({ length: 200 }, () => client(source)));
    for (const one of all) one.say(FIRST);
    await Promise.all(all.map((one) => one.hears(FIRST_OK.length / 2)));
    expect(output.count).toBe(200);
    expect(ctx.counters.OpenConnectionCount).toBe(200);
    for (const one of all) one.socket.destroy();
    await until(() => ctx.counters.OpenConnectionCount === 0, 'their end');
  });

  test('a stop finishes and answers what is in work, drops what is not begun, and closes', async () => {
    const { source, output } = await started();
    const gate = latch();
    output.gate = gate.promise;
    const a = await client(source);
    const idle = await client(source);
    a.say(FIRST);
    a.say(SECOND);
    await until(() => output.attempts === 1, 'the put');
    const stopped = source.stop();
    gate.open();
    expect(await a.hears(FIRST_OK.length / 2)).toBe(FIRST_OK);
    await stopped;
    expect(output.bodies).toEqual(['hi']);
    await until(() => idle.socket.readableEnded && a.socket.readableEnded, 'both ends');
    expect(a.received.length).toBe(FIRST_OK.length / 2);
    await source.start();
    expect(source.port).toBeGreaterThan(0);
  });

  test('a client that does not read its answers is not read for ever', async () => {
    const { source, output } = await started();
    output.counting = true;
    output.maxBatch = 1000;
    const a = await client(source);
    a.socket.pause();
    const ping = frameOf(1, [callHead('nope')]);
    a.say(frameOf(1, [handshakeRequest(false), callHead('')]));
    const many = Buffer.concat(Array.from({ length: 50_000 }, () => ping));
    let written = 0;
    for (let i = 0; i < 20; i++) if (a.socket.write(many)) written++;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(a.socket.writableLength).toBeGreaterThan(0);
    expect(written).toBeLessThan(20);
  });
});

describe('avro source, properties', () => {
  test('rules between them', () => {
    const bad = (written: Record<string, string>): string => {
      try {
        rig(spec, { bind: '127.0.0.1', port: '0', ...written });
      } catch (error) {
        return (error as Error).message;
      }
      return 'taken';
    };
    expect(bad({ ssl: 'true' })).toMatch(/"keystore" is required/);
    expect(bad({ ipFilter: 'true' })).toMatch(/"ipFilterRules" is required/);
    expect(bad({ ipFilter: 'true', ipFilterRules: 'allow:all' })).toMatch(/"allow:all" is no rule/);
    expect(bad({ 'compression-type': 'lzo' })).toMatch(/one of none, deflate/);
    expect(bad({ ssl: 'true', keystore: 'x', 'include-protocols': 'TLSv1.2', 'exclude-protocols': 'TLSv1.2' })).toMatch(/leave no version/);
    expect(bad({ ssl: 'true', keystore: 'x', 'include-cipher-suites': 'TLS_NONE' })).toMatch(/leave no cipher suite/);
    expect(bad({ threads: '8' })).toBe('taken');
  });
});
