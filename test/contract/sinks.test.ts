import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import webhook from '../../plugins/webhook.ts';
import type { Sealed } from '../../src/agent/core/event.ts';
import fileRoll from '../../src/agent/sinks/file-roll.ts';
import { configOf } from './config-of.ts';
import { sinkContext } from './contexts.ts';
import { sinkContract } from './sink-kit.ts';

const asLines = () => () => ({
  write: (batch: readonly Sealed[], out: Buffer[]) => {
    for (const { body } of batch) out.push(body, Buffer.from('\n'));
  },
  supportsReopen: true,
});

sinkContract({
  name: 'file_roll',
  make: (place) => {
    const dir = path.join(place, 'out');
    fs.mkdirSync(dir);
    const config = configOf(fileRoll, { 'sink.directory': dir, 'sink.rollInterval': 0 });
    return {
      sink: fileRoll.create(config, sinkContext(undefined, asLines)),
      arrived: () => {
        const files = fs.readdirSync(dir).map((name) => path.join(dir, name));
        files.sort((a, b) => fs.statSync(a).ctimeMs - fs.statSync(b).ctimeMs || (a < b ? -1 : 1));
        return files.flatMap((file) => fs.readFileSync(file, 'utf8').split('\n').slice(0, -1));
      },
    };
  },
});

// The example that users copy.
sinkContract({
  name: 'webhook',
  make: async () => {
    const arrived: string[] = [];
    let broken = false;
    const server = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      request
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('end', () => {
          if (!broken) arrived.push(...Buffer.concat(chunks).toString().split('\n').slice(0, -1));
          response.writeHead(broken ? 503 : 204).end();
        });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    return {
      sink: webhook.create(configOf(webhook, { url }), sinkContext()),
      arrived: () => arrived,
      breakEnd: () => {
        broken = true;
      },
      mendEnd: () => {
        broken = false;
      },
      close: async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  },
});
