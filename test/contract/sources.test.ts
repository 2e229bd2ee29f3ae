import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import exec from '../../src/agent/sources/exec.ts';
import netcat from '../../src/agent/sources/netcat.ts';
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
  retries: false,
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
