/** The netcat source through the real command: what a client sees, and what arrives, when things go wrong. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { endsWithTest } from '../ends-with-test.ts';
import { AgentProcess, freePort, LineClient, netcatFlow, until } from './agent-process.ts';

interface Flow {
  readonly port: number;
  readonly source?: string;
  readonly channel?: string;
  readonly sink?: string;
}

function flow({ port, source = '', channel = '', sink = 'sinks.k1.type = null' }: Flow): AgentProcess {
  return endsWithTest(new AgentProcess(netcatFlow(port, `${source}\n${channel}\n${sink}`)));
}

/** The lines of all files of a directory, in the order of the files' names. */
function linesBelow(dir: string): string[] {
  if (!fs.existsSync(dir)) return [];
  const names = fs.readdirSync(dir).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return names.flatMap((name) => fs.readFileSync(path.join(dir, name), 'utf8').split('\n').slice(0, -1));
}

async function metrics(port: number): Promise<Record<string, Record<string, string>>> {
  const reply = await fetch(`http://127.0.0.1:${port}/metrics`);
  return (await reply.json()) as Record<string, Record<string, string>>;
}

describe('netcat through the command', () => {
  it('answers OK, OK, FAILED, FAILED when a channel of two has no working sink', async () => {
    const port = await freePort();
    const a1 = flow({
      port,
      channel: 'channels.c1.capacity = 2\nchannels.c1.transactionCapacity = 2\nchannels.c1.keep-alive = 1',
      sink: 'sinks.k1.type = file_roll\nsinks.k1.sink.directory = not-there',
    }).start();
    await a1.says(`listening on 127.0.0.1:${port}`);
    const client = await LineClient.connect(port);
    const answers = await client.ask('1', '2', '3', '4');
    expect(answers.slice(0, 2)).toEqual(['OK', 'OK']);
    expect(answers[2]).toMatch(/^FAILED: ./);
    expect(answers[3]).toBe(answers[2]);
    expect(client.closed).toBe(false);
    client.close();
  });

  it('answers FAILED to 512 characters and closes', async () => {
    const port = await freePort();
    const a1 = flow({ port }).start();
    await a1.says(`listening on 127.0.0.1:${port}`);
    const client = await LineClient.connect(port);
    expect(await client.ask('x'.repeat(511), 'x'.repeat(512))).toEqual(['OK', 'FAILED: Event exceeds the maximum length (512 chars, including newline)']);
    await until(
      () => client.closed,
      () => 'the connection to close',
    );
  });

  it('without answers, slows its client down while the channel is full, and loses nothing', async () => {
    const [port, monitoring] = [await freePort(), await freePort()];
    const a1 = flow({
      port,
      source: 'sources.r1.ack-every-event = false',
      channel: 'channels.c1.capacity = 100\nchannels.c1.transactionCapacity = 100\nchannels.c1.keep-alive = 1',
      sink: 'sinks.k1.type = file_roll\nsinks.k1.sink.directory = out\nsinks.k1.sink.rollInterval = 0',
    });
    a1.start('-Dflume.monitoring.type=http', `-Dflume.monitoring.port=${monitoring}`);
    await a1.says(`listening on 127.0.0.1:${port}`);
    const count = 300_000;
    const socket = net.connect(port, '127.0.0.1');
    const data = Buffer.from(Array.from({ length: count }, (_, i) => `line ${i} ${'.'.repeat(60)}\n`).join(''));
    let sent = false;
    socket.end(data, () => {
      sent = true;
    });
    await a1.says('connections are not read');
    const early = await metrics(monitoring);
    expect(early['CHANNEL.c1']?.ChannelSize).toBe('100');
    expect(early['SOURCE.r1']?.EventAcceptedCount).toBe('100');
    expect(sent).toBe(false);
    const out = path.join(a1.dir, 'out');
    fs.mkdirSync(out);
    await until(
      () => linesBelow(out).length >= count,
      () => `all lines, got ${linesBelow(out).length}`,
    );
    expect(linesBelow(out).map((line) => Number(line.split(' ')[1]))).toEqual(Array.from({ length: count }, (_, i) => i));
    const late = await metrics(monitoring);
    expect(late['SOURCE.r1']).toMatchObject({ EventReceivedCount: String(count), EventAcceptedCount: String(count) });
    expect(late['CHANNEL.c1']?.EventTakeSuccessCount).toBe(String(count));
    expect(await a1.stop()).toBe(143);
  });

  it('has delivered every line it answered OK when it is stopped under load', async () => {
    const port = await freePort();
    const a1 = flow({
      port,
      channel: 'channels.c1.capacity = 100000\nchannels.c1.transactionCapacity = 1000',
      sink: 'sinks.k1.type = file_roll\nsinks.k1.sink.directory = out\nsinks.k1.sink.rollInterval = 0',
    });
    const out = path.join(a1.dir, 'out');
    fs.mkdirSync(out);
    a1.start();
    await a1.says(`listening on 127.0.0.1:${port}`);
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    let answered = 0;
    socket.on('data', (data: Buffer) => {
      answered += data.length / 3;
    });
    let next = 0;
    const pump = (): void => {
      if (socket.destroyed) return;
      const block = Array.from({ length: 200 }, () => `${next++}\n`).join('');
      if (socket.write(block)) setImmediate(pump);
      else socket.once('drain', pump);
    };
    pump();
    await until(
      () => answered > 20_000,
      () => '20000 answers',
    );
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    expect(await a1.stop()).toBe(143);
    await closed;
    const lines = linesBelow(out).map(Number);
    expect(lines.length).toBeGreaterThanOrEqual(Math.floor(answered));
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => i));
  });
});
