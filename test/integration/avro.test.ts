/** Avro hops between real agents: a peer that is killed, one that starts later, one that is slow; and topologies by TLS. */
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AvroEventWriter } from '../../src/agent/wire/avro-event-codec.ts';
import { AvroFrames } from '../../src/agent/wire/avro-frames.ts';
import { answerPayload, callHead, frameOf, handshakeRequest, handshakeResponse, MATCH } from '../../src/agent/wire/avro-protocol.ts';
import { endsWithTest } from '../ends-with-test.ts';
import { makeTlsMaterial, PASSWORD, type TlsMaterial } from '../unit/agent/wire/tls-material.ts';
import { AgentProcess, definition, freePort, LineClient, netcatFlow, until } from './agent-process.ts';
import { expectFlat, hasProc, WATCH_TEXT } from './flat-memory.ts';

function agent(text: string): AgentProcess {
  return endsWithTest(new AgentProcess(text));
}
function linesIn(dir: string): string[] {
  return fs
    .readdirSync(dir)
    .flatMap((name) => fs.readFileSync(path.join(dir, name), 'utf8').split('\n'))
    .filter((line) => line !== '');
}

function sender(netcatPort: number, port: number, more = ''): string {
  const lines = `
    channels.c1.capacity = 10000
    channels.c1.transactionCapacity = 1000
    sinks.k1.type = avro
    sinks.k1.hostname = 127.0.0.1
    sinks.k1.port = ${port}
    ${more}`;
  return netcatFlow(netcatPort, lines);
}
function receiver(port: number, out: string, more = ''): string {
  return definition(`
    sources = r1
    channels = c1
    sinks = k1
    sources.r1.type = avro
    sources.r1.bind = 127.0.0.1
    sources.r1.port = ${port}
    sources.r1.channels = c1
    channels.c1.type = memory
    channels.c1.capacity = 10000
    channels.c1.transactionCapacity = 1000
    sinks.k1.type = file_roll
    sinks.k1.channel = c1
    sinks.k1.sink.directory = ${out}
    sinks.k1.sink.rollInterval = 0
    ${more}`);
}
function outDirectory(of: AgentProcess): string {
  const dir = path.join(of.dir, 'out');
  fs.mkdirSync(dir, { recursive: true });
  return dir;
}

describe('two agents', () => {
  test('the second starts later, is stopped and started again: everything arrives, and the first says what it waits for', async () => {
    const [netcatPort, port] = [await freePort(), await freePort()];
    const a = agent(sender(netcatPort, port)).start();
    await a.says('listening on');
    const client = await LineClient.connect(netcatPort);
    await client.ask(...Array.from({ length: 500 }, (_, i) => `early ${i}`));
    await a.says(/cannot connect to 127.0.0.1:\d+: nobody listens there/);
    const b = agent('');
    const out = outDirectory(b);
    b.rewrite(receiver(port, out));
    b.start();
    await until(
      () => linesIn(out).length >= 500,
      () => `the early lines; ${b.output}`,
    );
    expect(await b.stop()).toBe(143);
    await client.ask(...Array.from({ length: 500 }, (_, i) => `late ${i}`));
    b.start();
    await until(
      () => linesIn(out).length >= 1_000,
      () => `the late lines, ${linesIn(out).length} are there`,
    );
    expect(new Set(linesIn(out)).size).toBe(1_000);
    client.close();
  });

  test('the second is killed in the middle: nothing that was answered is lost', async () => {
    const [netcatPort, port] = [await freePort(), await freePort()];
    const b = agent('');
    const out = outDirectory(b);
    // What B's memory channel holds dies with B, so the proof needs what B has answered to be on disk.
    b.rewrite(
      receiver(port, out).replace(
        'channels.c1.type = memory',
        `channels.c1.type = file\na1.channels.c1.checkpointDir = ${b.dir}/cp\na1.channels.c1.dataDirs = ${b.dir}/data`,
      ),
    );
    b.start();
    await b.says('listening on');
    const a = agent(sender(netcatPort, port)).start();
    await a.says('listening on');
    const client = await LineClient.connect(netcatPort);
    let sent = 0;
    for (let kill = 0; kill < 2; kill++) {
      for (let i = 0; i < 20; i++) {
        await client.ask(...Array.from({ length: 100 }, () => `line ${sent++}`));
        if (i === 10) b.signal('SIGKILL');
      }
      await b.exited();
      b.start();
    }
    await until(
      () => new Set(linesIn(out)).size >= sent,
      () => `${sent} lines, ${new Set(linesIn(out)).size} are there;\n${a.output.slice(-2000)}\n${b.output.slice(-2000)}`,
    );
    client.close();
  });

  test('compressed and by TLS; settings of the keystore given globally', async () => {
    const tls: TlsMaterial = makeTlsMaterial();
    onTestFinished(() => tls.remove());
    const [netcatPort, port] = [await freePort(), await freePort()];
    const b = agent('');
    const out = outDirectory(b);
    b.rewrite(receiver(port, out, 'sources.r1.ssl = true\nsources.r1.compression-type = deflate'));
    b.start(`-Djavax.net.ssl.keyStore=${tls.keyStore}`, `-Djavax.net.ssl.keyStorePassword=${PASSWORD}`);
    await b.says(/listening on .*, TLS, compressed/);
    // Clients of Flume 1.7 to 1.9 would break in 1.3.
    const probe = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(probe, 'secureConnect');
    expect(probe.getProtocol()).toBe('TLSv1.2');
    probe.destroy();
    const a = agent(
      sender(
        netcatPort,
        port,
        `sinks.k1.ssl = true\nsinks.k1.compression-type = deflate\nsinks.k1.truststore = ${tls.trustStore}\nsinks.k1.truststore-password = ${PASSWORD}`,
      ),
    ).start();
    await a.says('listening on');
    const client = await LineClient.connect(netcatPort);
    await client.ask(...Array.from({ length: 300 }, (_, i) => `secret ${i}`));
    await until(
      () => linesIn(out).length === 300,
      () => `300 lines; ${a.output}`,
    );
    client.close();
  });

  test('a wrong password is one line, and the agent of which nothing runs ends with 1', async () => {
    const tls: TlsMaterial = makeTlsMaterial();
    onTestFinished(() => tls.remove());
    const b = agent('');
    b.rewrite(
      receiver(await freePort(), outDirectory(b), `sources.r1.ssl = true\nsources.r1.keystore = ${tls.keyStore}\nsources.r1.keystore-password = wrong`),
    );
    b.start();
    expect(await b.exited()).toBe(1);
    expect(b.output).toMatch(/the password of the key store .*server\.p12 is wrong/);
    expect(b.output).not.toMatch(/^\s+at /m);
  });
});

describe('a slow other end', () => {
  /** An Avro server that takes `delayMs` for each answer. */
  async function slowServer(delayMs: number): Promise<{ readonly port: number; calls(): number }> {
    let calls = 0;
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      const frames = new AvroFrames();
      let agreed = false;
      socket.on('data', (chunk) => {
        frames.push(chunk);
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
          calls++;
          const handshake = agreed ? Buffer.alloc(0) : handshakeResponse(MATCH.both);
          agreed = true;
          const answer = frameOf(frame.serial, [handshake, Buffer.from([0]), answerPayload(0)]);
          setTimeout(() => socket.write(answer), delayMs);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return { port: (server.address() as net.AddressInfo).port, calls: () => calls };
  }

  test.skipIf(!hasProc)(`pushes back to clients that do not wait for answers for ${WATCH_TEXT}: memory is flat (needs /proc)`, async () => {
    const slow = await slowServer(20);
    const port = await freePort();
    const b = agent(
      definition(`
        sources = r1
        channels = c1
        sinks = k1
        sources.r1.type = avro
        sources.r1.bind = 127.0.0.1
        sources.r1.port = ${port}
        sources.r1.channels = c1
        channels.c1.type = memory
        channels.c1.capacity = 1000
        channels.c1.transactionCapacity = 1000
        channels.c1.keep-alive = 30
        sinks.k1.type = avro
        sinks.k1.channel = c1
        sinks.k1.hostname = 127.0.0.1
        sinks.k1.port = ${slow.port}
        sinks.k1.batch-size = 100`),
    ).start();
    await b.says('listening on');
    // Four clients that send on and on without looking at answers: far more than the slow end takes.
    const writer = new AvroEventWriter();
    writer.reset(0);
    writer.events(Array.from({ length: 100 }, () => ({ headers: {}, body: Buffer.alloc(1_000, 'x') })));
    const parameters = Buffer.from(writer.slab.subarray(0, writer.length));
    const first = frameOf(1, [handshakeRequest(false), callHead('appendBatch'), parameters]);
    const later = frameOf(2, [callHead('appendBatch'), parameters]);
    let accepted = 0;
    for (let i = 0; i < 4; i++) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume();
      onTestFinished(() => void socket.destroy());
      const push = (): void => {
        while (socket.write(later, () => (accepted += later.length)));
      };
      socket.on('drain', push);
      socket.write(first);
      push();
    }
    const answered = (calls: number): Promise<void> =>
      until(
        () => slow.calls() >= calls,
        () => `${calls} slow answers, ${slow.calls()} came; ${b.output}`,
      );
    await answered(80);
    await expectFlat(b.pid, () => answered(slow.calls() + 40));
    // What was taken off the clients' hands is what was passed on, and what buffers hold: pressure went back.
    expect(accepted).toBeLessThan(slow.calls() * later.length + 60_000_000);
  });
});
