import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import netcat, { type NetcatSource } from '../../../../src/agent/sources/netcat.ts';
import { lookupCharset } from '../../../../src/lib/charset.ts';
import { AppError, ChannelError } from '../../../../src/lib/errors.ts';
import { FULL, latch, type Rig, rig, TestOutput, until } from './source-harness.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(written: Record<string, string> = {}, output = new TestOutput()): Promise<Rig<NetcatSource>> {
  const built = rig<NetcatSource>(netcat, { bind: '127.0.0.1', port: '0', ...written }, { output });
  await built.source.start();
  cleanups.push(() => built.source.stop());
  return built;
}

class Client {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  ended = false;
  closed = false;

  constructor(port: number, reading = true) {
    this.socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('end', () => {
      this.ended = true;
      this.socket.end();
    });
    if (reading) {
      this.socket.on('data', (data: Buffer) => {
        this.received = Buffer.concat([this.received, data]);
      });
    }
    cleanups.push(() => this.socket.destroy());
  }

  get text(): string {
    return this.received.toString();
  }

  send(data: string | Buffer): void {
    this.socket.write(data);
  }

  async gets(text: string): Promise<void> {
    await until(() => this.text.length >= text.length, `a reply of ${text.length} characters, got ${JSON.stringify(this.text)}`);
    expect(this.text).toBe(text);
  }
}

describe('lines and answers', () => {
  it('answers each line OK, keeps CR and empty lines, and sends events without headers', async () => {
    const { source, output } = await started();
    const client = new Client(source.port);
    client.send('hello\r\n\nworld\n');
    await client.gets('OK\nOK\nOK\n');
    expect(output.bodies).toEqual(['hello\r', '', 'world']);
    expect(output.events[0]?.headers).toEqual({});
  });

  it('takes all lines of a chunk as one transaction, cut to maxBatch', async () => {
    const output = new TestOutput();
    output.maxBatch = 4;
    const { source } = await started({}, output);
    const client = new Client(source.port);
    client.send('0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n');
    await client.gets('OK\n'.repeat(10));
    expect(output.batches).toEqual([4, 4, 2]);
  });

  it('puts together a line and a character that come in pieces', async () => {
    const { source, output } = await started();
    const client = new Client(source.port);
    client.socket.setNoDelay(true);
    for (const byte of Buffer.from('中文🎉\n')) {
      client.send(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.gets('OK\n');
    expect(output.bodies).toEqual(['中文🎉']);
  });

  it('discards a line without its end, but answers what came before it, also to a client that has closed its side', async () => {
    const { source, output } = await started();
    const client = new Client(source.port);
    client.socket.end('one\ntwo\npart');
    await until(() => client.closed, 'the connection to close');
    expect(client.text).toBe('OK\nOK\n');
    expect(output.bodies).toEqual(['one', 'two']);
  });

  it('sends no OK with ack-every-event=false', async () => {
    const { source, output } = await started({ 'ack-every-event': 'false' });
    const client = new Client(source.port);
    client.socket.end('one\ntwo\n');
    await until(() => client.closed, 'the connection to close');
    expect(client.text).toBe('');
    expect(output.bodies).toEqual(['one', 'two']);
  });

  it('reads input in its encoding, stores UTF-8, and answers in the encoding', async () => {
    for (const encoding of ['GBK', 'UTF-16', 'ISO-8859-1']) {
      const { source, output } = await started({ encoding });
      const set = lookupCharset(encoding);
      const client = new Client(source.port);
      const text = encoding === 'ISO-8859-1' ? 'é' : '中文';
      client.send(set?.encode(`${text}\nb\n`) ?? '');
      await until(() => client.received.length >= (encoding === 'UTF-16' ? 12 : 6), `answers in ${encoding}`);
      expect(output.bodies).toEqual([text, 'b']);
      expect(set?.decode(client.received, 'FAIL')).toBe('OK\nOK\n');
    }
  });

  it('counts open connections', async () => {
    const { source, ctx } = await started();
    const clients = [new Client(source.port), new Client(source.port)];
    await until(() => ctx.counters.OpenConnectionCount === 2, 'two connections');
    clients[0]?.socket.destroy();
    await until(() => ctx.counters.OpenConnectionCount === 1, 'one connection');
  });
});

describe('lines that are too long', () => {
  const text = (n: number) => `FAILED: Event exceeds the maximum length (${n} chars, including newline)\n`;

  it('lets 19 characters pass with a limit of 20, answers FAILED to 20, and closes', async () => {
    const { source, output } = await started({ 'max-line-length': '20' });
    const good = new Client(source.port);
    good.send(`${'中'.repeat(19)}\n`);
    await good.gets('OK\n');
    const bad = new Client(source.port);
    bad.send(`fine\n${'x'.repeat(20)}\nlater\n`);
    await until(() => bad.ended, 'the connection to end');
    expect(bad.text).toBe(`OK\n${text(20)}`);
    expect(output.bodies).toEqual(['中'.repeat(19), 'fine']);
  });

  it('closes on 100 MB without a line feed, without keeping any of it', async () => {
    const { source, output, ctx } = await started();
    const client = new Client(source.port);
    const megabyte = Buffer.alloc(1_048_576, 0x61);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100 && !client.ended && !client.closed; i++) {
      if (!client.socket.write(megabyte)) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => client.text !== '', 'the answer');
    expect(client.text).toBe(text(512));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(120 * 1_048_576);
    expect(output.count).toBe(0);
    expect(ctx.counters.EventReadFail).toBe(1);
    const next = new Client(source.port);
    next.send('still there\n');
    await next.gets('OK\n');
  });
});

describe('malformed input', () => {
  it('takes the lines before the bad byte, then closes without a reply to the rest', async () => {
    const { source, output, logged } = await started();
    const client = new Client(source.port);
    client.send(Buffer.concat([Buffer.from('good\n'), Buffer.of(0xff, 0xfe), Buffer.from('bad\nafter\n')]));
    await until(() => client.ended, 'the connection to end');
    expect(client.text).toBe('OK\n');
    expect(output.bodies).toEqual(['good']);
    expect(logged.join('\n')).toContain('not UTF-8');
  });

  it('survives garbage', async () => {
    const { source } = await started();
    const garbage = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * 7_919) % 256));
    const client = new Client(source.port);
    client.send(garbage);
    await until(() => client.ended || client.closed, 'the connection to end');
    const next = new Client(source.port);
    next.send('ok\n');
    await next.gets('OK\n');
  });
});

describe('refusals', () => {
  it('answers FAILED for each line without room and keeps the connection', async () => {
    const output = new TestOutput();
    output.room = 2;
    output.maxBatch = 2;
    const { source } = await started({}, output);
    const client = new Client(source.port);
    client.send('1\n2\n3\n4\n');
    await client.gets(`OK\nOK\nFAILED: ${FULL}\nFAILED: ${FULL}\n`);
    output.room = 1;
    client.send('5\n');
    await client.gets(`OK\nOK\nFAILED: ${FULL}\nFAILED: ${FULL}\nOK\n`);
    expect(output.bodies).toEqual(['1', '2', '5']);
  });

  it('does not hold an OK back while a later batch of the same chunk waits for room', async () => {
    const output = new TestOutput();
    output.maxBatch = 1;
    const { source } = await started({}, output);
    const gate = latch();
    const put = output.put.bind(output);
    output.put = async (batch) => {
      if (output.count === 1) await gate.promise;
      return put(batch);
    };
    const client = new Client(source.port);
    client.send('1\n2\n');
    await client.gets('OK\n');
    gate.open();
    await client.gets('OK\nOK\n');
  });

  it('answers what an interceptor or a broken channel throws', async () => {
    const { source, output } = await started();
    output.error = new Error('interceptor i1: no such header');
    const client = new Client(source.port);
    client.send('a\n');
    await client.gets('FAILED: interceptor i1: no such header\n');
    output.error = undefined;
    client.send('b\n');
    await client.gets('FAILED: interceptor i1: no such header\nOK\n');
  });

  it('without answers, keeps lines until there is room, and reads nothing meanwhile', async () => {
    const output = new TestOutput();
    output.room = 0;
    output.counting = true;
    const { source, degraded, isHealthy } = await started({ 'ack-every-event': 'false' }, output);
    const client = new Client(source.port);
    const lines = 400_000;
    const line = `${'x'.repeat(99)}\n`;
    const data = Buffer.alloc(lines * line.length, line);
    let sent = false;
    client.socket.write(data, () => {
      sent = true;
    });
    await until(() => output.attempts >= 3, 'three attempts');
    expect(sent).toBe(false);
    expect(degraded[0]?.message).toBe(FULL);
    output.room = Number.POSITIVE_INFINITY;
    await until(() => output.count === lines, 'all lines');
    expect(output.mostInFlight).toBe(1);
    expect(isHealthy()).toBe(true);
  });

  it('without answers, waits for a broken channel, but answers an interceptor that throws', async () => {
    const { source, output } = await started({ 'ack-every-event': 'false' });
    const client = new Client(source.port);
    output.error = new ChannelError('disk is gone');
    client.send('a\n');
    await until(() => output.attempts >= 2, 'two attempts');
    output.error = undefined;
    await until(() => output.count === 1, 'the line');
    output.error = new TypeError('interceptor bug');
    client.send('b\n');
    await client.gets('FAILED: interceptor bug\n');
  });
});

describe('many and rude clients', () => {
  it('serves 500 connections at once', async () => {
    const { source, output, ctx } = await started();
    const clients = Array.from({ length: 500 }, () => new Client(source.port));
    for (const [i, client] of clients.entries()) client.send(`a${i}\nb${i}\n`);
    await until(() => clients.every((client) => client.text === 'OK\nOK\n'), 'all answers', 15_000);
    expect(output.count).toBe(1_000);
    expect(ctx.counters.OpenConnectionCount).toBe(500);
  });

  it('stops reading a client that never reads its OKs', async () => {
    const output = new TestOutput();
    output.counting = true;
    const { source } = await started({}, output);
    const client = new Client(source.port, false);
    client.socket.pause();
    const block = Buffer.alloc(1_048_576, '\n');
    let sentBytes = 0;
    const pump = (): void => {
      if (client.socket.destroyed) return;
      client.socket.write(block, () => {
        sentBytes += block.length;
        if (sentBytes < 64 * block.length) pump();
      });
    };
    pump();
    let last = -1;
    let standing = 0;
    await until(
      () => {
        standing = output.count > 0 && output.count === last ? standing + 1 : 0;
        last = output.count;
        return standing > 40 && client.socket.writableLength > 0;
      },
      'the source to stop reading',
      9_000,
    );
    expect(sentBytes).toBeLessThan(64 * block.length);
    const other = new Client(source.port);
    other.send('hello\n');
    await other.gets('OK\n');
    // When it reads at last, it gets one answer per line and goes on.
    client.socket.on('data', (data: Buffer) => {
      client.received = Buffer.from([client.received.length > 0 ? 1 : data.length]);
    });
    client.socket.resume();
    const stuckAt = output.count;
    await until(() => output.count > stuckAt + 100_000, 'the source to read on');
  });

  it('survives clients that reset while lines wait', async () => {
    const output = new TestOutput();
    const gate = latch();
    output.gate = gate.promise;
    const { source, ctx } = await started({}, output);
    const client = new Client(source.port);
    client.send('a\nb\n');
    await until(() => output.attempts === 1, 'the put');
    client.socket.resetAndDestroy();
    await until(() => ctx.counters.OpenConnectionCount === 0, 'the reset');
    gate.open();
    await until(() => output.count === 2, 'the lines');
  });
});

describe('start and stop', () => {
  it('says which port is in use and what to do, and starts once it is free', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as { port: number };
    const { source } = rig<NetcatSource>(netcat, { bind: '127.0.0.1', port: String(port) });
    const error = await source.start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'LISTEN', retriable: true, message: `cannot listen on tcp 127.0.0.1:${port}: the port is in use` });
    expect((error as AppError).fix).toContain(`sport = :${port}`);
    await new Promise((resolve) => blocker.close(resolve));
    await source.start();
    await source.stop();
  });

  it('finishes the put under way, answers it, and closes', async () => {
    const output = new TestOutput();
    const gate = latch();
    output.gate = gate.promise;
    const { source } = await started({}, output);
    const client = new Client(source.port);
    client.send('a\nb\n');
    await until(() => output.attempts === 1, 'the put');
    const stopped = source.stop();
    gate.open();
    await stopped;
    await until(() => client.closed, 'the close');
    expect(client.text).toBe('OK\nOK\n');
    expect(output.count).toBe(2);
  });

  it('stops while a channel is full, saying what was not stored', async () => {
    const output = new TestOutput();
    output.room = 0;
    const { source, logged } = await started({ 'ack-every-event': 'false' }, output);
    const client = new Client(source.port);
    client.send('a\nb\n');
    await until(() => output.attempts >= 1, 'an attempt');
    await source.stop();
    expect(logged.join('\n')).toContain('2 lines received and not stored');
  });

  it('stops twice, without start, during start, and with a client that reads nothing', async () => {
    const idle = rig<NetcatSource>(netcat, { bind: '127.0.0.1', port: '0' });
    await idle.source.stop();
    const { source } = await started();
    const client = new Client(source.port, false);
    client.socket.pause();
    client.send(Buffer.alloc(4_000_000, '\n'));
    await source.stop();
    await source.stop();
    const hasty = rig<NetcatSource>(netcat, { bind: '127.0.0.1', port: '0' });
    const starting = hasty.source.start();
    await hasty.source.stop();
    await starting;
    expect(hasty.source.port).toBe(0);
  });
});

describe('declaration', () => {
  it('refuses a charset nobody knows and reports what it listens on', () => {
    expect(() => rig(netcat, { bind: 'x', port: '1', encoding: 'UTF-9' })).toThrow('no character set "UTF-9"');
    const config = { bind: '0.0.0.0', port: 44_444, 'ack-every-event': true, 'max-line-length': 512, encoding: 'utf-8' };
    expect(netcat.facts?.(config)).toEqual({ listens: [{ protocol: 'tcp', host: '0.0.0.0', port: 44_444 }] });
    expect(netcat.delivery?.(config).replays).toBe(true);
    expect(netcat.delivery?.({ ...config, 'ack-every-event': false }).crash.effect).toBe('loses');
  });
});
