/** What clients do to a netcat source, and who else has its port. */
import net from 'node:net';
import { expect } from 'vitest';
import { LineClient, until } from './agent-process.ts';
import { NETCAT, type Rig, testFaults } from './fault-rig.ts';

const MEGABYTE = Buffer.alloc(1_048_576, 'x');

/** A client that writes whatever is given, for as long as the other side takes it. */
async function flood(rig: Rig, bytes: Buffer, most = Number.POSITIVE_INFINITY): Promise<{ socket: net.Socket; written: () => number; closed: () => boolean }> {
  const socket = net.connect(rig.port, '127.0.0.1');
  rig.open.push({ close: () => socket.destroy() });
  let [written, closed] = [0, false];
  socket.on('error', () => undefined);
  socket.resume();
  socket.on('close', () => {
    closed = true;
  });
  const pump = (): void => {
    while (!closed && written < most && socket.writable) {
      written += bytes.length;
      if (!socket.write(bytes)) return void socket.once('drain', pump);
    }
  };
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  pump();
  return { socket, written: () => written, closed: () => closed };
}

/** A well-behaved client still gets its answers. */
async function servesOthers(rig: Rig): Promise<void> {
  const client = await LineClient.connect(rig.port);
  rig.open.push(client);
  expect(await client.ask('hello', 'again')).toEqual(['OK', 'OK']);
  rig.accepted += 2;
}

let taken: net.Server;
let stuck: Awaited<ReturnType<typeof flood>>;
let crowd: LineClient[] = [];

testFaults([
  {
    name: 'port in use',
    where: 'by another program, while another source runs',
    lines: `${NETCAT}
      sources = r1 r2
      sources.r2.type = netcat
      sources.r2.bind = 127.0.0.1
      sources.r2.port = $OTHER
      sources.r2.channels = c1`,
    before: async (rig) => {
      taken = net.createServer();
      await new Promise<void>((resolve) => taken.listen(rig.port, '127.0.0.1', resolve));
      rig.open.push(taken);
    },
    bring: async (rig) => {
      await rig.agent.says(`cannot listen on tcp 127.0.0.1:${rig.port}: the port is in use`);
      const other = await LineClient.connect(rig.otherPort);
      rig.open.push(other);
      expect((await rig.component('r1')).status).toBe('retrying');
      expect(await rig.health()).toBe(503);
      expect(await other.ask('through the other')).toEqual(['OK']);
      rig.accepted++;
    },
    survive: async (rig) => {
      await new Promise((resolve) => taken.close(resolve));
      await rig.becomes('r1', 'running');
      await servesOthers(rig);
      await rig.delivers(3);
    },
  },
  {
    name: 'a 100 MB line without newline',
    lines: NETCAT,
    bring: async (rig) => {
      const client = await flood(rig, MEGABYTE, 100 * MEGABYTE.length);
      await rig.agent.says('client sent a line of 512 characters or more');
      await until(client.closed, () => 'the connection to be closed');
    },
    survive: async (rig) => {
      expect(rig.peakMegabytes).toBeLessThan(200);
      await servesOthers(rig);
      await rig.delivers(2);
      expect(rig.delivered).toEqual(['hello', 'again']);
    },
  },
  {
    name: 'a 100 MB line without newline',
    where: 'allowed by max-line-length, still coming',
    lines: `${NETCAT}\n sources.r1.max-line-length = 200000000`,
    bring: async (rig) => {
      stuck = await flood(rig, MEGABYTE, 100 * MEGABYTE.length);
      await until(
        () => stuck.written() === 100 * MEGABYTE.length,
        () => '100 MB to be read',
      );
      await servesOthers(rig);
    },
    survive: async (rig) => {
      stuck.socket.write('end\n');
      await rig.delivers(3);
      expect(rig.delivered.at(-1)?.length).toBe(100 * MEGABYTE.length + 3);
      expect(rig.peakMegabytes).toBeLessThan(1_000);
    },
  },
  {
    name: '500 connections',
    lines: NETCAT,
    bring: async (rig) => {
      crowd = await Promise.all(Array.from({ length: 500 }, () => LineClient.connect(rig.port)));
      rig.open.push(...crowd);
      const answers = await Promise.all(crowd.map((client, i) => client.ask(`first ${i}`, `second ${i}`)));
      expect(answers.flat().every((answer) => answer === 'OK')).toBe(true);
      rig.accepted += 1_000;
      // The connections stay; half of them go on talking.
      for (const client of crowd.slice(250)) client.send('on and on');
    },
    survive: async (rig) => {
      expect((await rig.component('r1')).counters.OpenConnectionCount).toBe(500);
      await rig.delivers(1_250);
      for (const client of crowd) client.close();
      await expect.poll(async () => (await rig.component('r1')).counters.OpenConnectionCount).toBe(0);
      await servesOthers(rig);
    },
  },
  {
    name: 'a client that never reads its OKs',
    lines: NETCAT,
    bring: async (rig) => {
      stuck = await flood(rig, Buffer.from('y\n'.repeat(10_000)));
      stuck.socket.pause();
      // It is stuck when it cannot write any more.
      let before = -1;
      await expect
        .poll(
          () => {
            const still = stuck.written() === before;
            before = stuck.written();
            return still;
          },
          { interval: 500, timeout: 30_000 },
        )
        .toBe(true);
      await servesOthers(rig);
    },
    survive: async (rig) => {
      expect(rig.peakMegabytes).toBeLessThan(300);
      expect(stuck.closed()).toBe(false);
      let answers = 0;
      stuck.socket.on('data', (data: Buffer) => {
        answers += data.length / 3;
      });
      stuck.socket.resume();
      const enough = answers + 100_000;
      await until(
        () => answers > enough,
        () => `further answers, got ${answers}`,
      );
      stuck.socket.destroy();
    },
  },
  {
    name: 'non-UTF-8 bytes',
    lines: NETCAT,
    bring: async (rig) => {
      const socket = net.connect(rig.port, '127.0.0.1');
      rig.open.push({ close: () => socket.destroy() });
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      let answers = '';
      socket.on('data', (data) => (answers += data));
      socket.write(Buffer.concat([Buffer.from('good\n'), Buffer.from([0xff, 0xfe, 0xc3, 0x0a])]));
      await closed;
      expect(answers).toBe('OK\n');
      rig.accepted++;
      await rig.agent.says('its input is not UTF-8');
    },
    survive: async (rig) => {
      await servesOthers(rig);
      await rig.delivers(3);
      expect(rig.delivered).toEqual(['good', 'hello', 'again']);
    },
  },
  {
    name: 'non-UTF-8 bytes',
    where: 'in an encoding that has them',
    lines: `${NETCAT}\n sources.r1.encoding = ISO-8859-1`,
    bring: async (rig) => {
      const socket = net.connect(rig.port, '127.0.0.1');
      rig.open.push({ close: () => socket.destroy() });
      const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
      socket.write(Buffer.from([0x66, 0xfc, 0x72, 0x0a]));
      expect(await answered).toBe('OK\n');
      rig.accepted++;
    },
    survive: async (rig) => {
      await rig.delivers(1);
      expect(rig.delivered).toEqual(['für']);
    },
  },
]);
