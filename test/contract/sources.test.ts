import dgram from 'node:dgram';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import line from '../../src/agent/deserializers/line.ts';
import exec from '../../src/agent/sources/exec.ts';
import netcat from '../../src/agent/sources/netcat.ts';
import netcatudp from '../../src/agent/sources/netcatudp.ts';
import spooldir from '../../src/agent/sources/spooldir.ts';
import { configOf } from './config-of.ts';
import { sourceContext } from './contexts.ts';
import { sourceContract } from './source-kit.ts';

sourceContract({
  name: 'netcat',
  retries: false,
  make: async (output) => {
    const free = net.createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address() as net.AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const clients: net.Socket[] = [];
    return {
      source: netcat.create(configOf(netcat, { bind: '127.0.0.1', port }), sourceContext(output)),
      feed: (lines) =>
        new Promise((resolve, reject) => {
          let [client] = clients.filter((socket) => !socket.destroyed && socket.readyState === 'open');
          if (client === undefined) {
            client = net.connect(port, '127.0.0.1');
            clients.push(client);
          }
          client.on('error', reject);
          client.resume();
          client.write(lines.map((line) => `${line}\n`).join(''), () => resolve());
        }),
      close: () => {
        for (const client of clients) client.destroy();
      },
    };
  },
});

sourceContract({
  name: 'exec',
  retries: true,
  make: (output, place) => {
    const file = path.join(place, 'log');
    fs.writeFileSync(file, '');
    return {
      source: exec.create(configOf(exec, { command: `tail -n 0 -F ${file}`, batchSize: 10, batchTimeout: 20 }), sourceContext(output)),
      // tail has to be up before it sees what comes.
      feed: async (lines) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        fs.appendFileSync(file, lines.map((line) => `${line}\n`).join(''));
      },
    };
  },
});

sourceContract({
  name: 'spooldir',
  retries: true,
  early: true,
  make: (output, place) => {
    const spoolDir = path.join(place, 'in');
    fs.mkdirSync(spoolDir);
    let files = 0;
    return {
      source: spooldir.create(
        configOf(spooldir, { spoolDir, pollDelay: 5, maxBackoff: 20 }),
        sourceContext(output, undefined, (_type, properties, input) => line.create(configOf(line, properties), input)),
      ),
      // Of several files with one time the smaller name comes first.
      feed: (lines) => {
        const name = String(files++).padStart(4, '0');
        fs.writeFileSync(path.join(place, name), lines.map((one) => `${one}\n`).join(''));
        fs.renameSync(path.join(place, name), path.join(spoolDir, name));
      },
    };
  },
});

sourceContract({
  name: 'netcatudp',
  retries: true,
  reliable: false,
  make: async (output) => {
    const free = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => free.bind(0, '127.0.0.1', resolve));
    const { port } = free.address();
    await new Promise<void>((resolve) => free.close(resolve));
    const client = dgram.createSocket('udp4');
    return {
      source: netcatudp.create(configOf(netcatudp, { bind: '127.0.0.1', port }), sourceContext(output)),
      feed: async (lines) => {
        for (const one of lines) await new Promise((resolve) => client.send(`${one}\n`, port, '127.0.0.1', resolve));
      },
      close: () => new Promise((resolve) => client.close(resolve)),
    };
  },
});
