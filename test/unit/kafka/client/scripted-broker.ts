/** A broker on a real socket that answers what a script says: versions it does not have, silence, bytes of any kind. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { codec } from '../../../../src/kafka/compile.ts';
import { encodeResponse, readRequestHeader } from '../../../../src/kafka/headers.ts';
import type { AnyApi } from '../../../../src/kafka/schema.ts';
import { apiByKey } from '../../../../src/kafka/versions.ts';
import { ByteReader } from '../../../../src/lib/bytes.ts';

export interface Seen {
  readonly api: AnyApi;
  readonly version: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  readonly body: never;
}
/** Answers a request with a response body, with raw bytes, or not at all. */
export type Script = (seen: Seen, socket: Socket) => object | Buffer | null;

const open: { server: Server; sockets: Set<Socket> }[] = [];
afterEach(() => {
  for (const { server, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

/** Its port; it ends with the test. */
export async function scriptedBroker(script: Script): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let data = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      data = Buffer.concat([data, chunk]);
      while (data.length >= 4 && data.length >= data.readInt32BE(0) + 4) {
        const frame = data.subarray(4, data.readInt32BE(0) + 4);
        data = data.subarray(frame.length + 4);
        answer(frame, socket, script);
      }
    });
  });
  open.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function answer(frame: Buffer, socket: Socket, script: Script): void {
  const reader = new ByteReader(frame);
  const { api, apiVersion: version, correlationId, clientId } = readRequestHeader(reader, apiByKey);
  const seen = { api: api!, version, correlationId, clientId, body: codec(api!, version).decodeRequest(reader) as never };
  const reply = script(seen, socket);
  if (Buffer.isBuffer(reply)) socket.write(reply);
  else if (reply) for (const part of encodeResponse({ api: api!, version, correlationId }, reply as never)) socket.write(part);
}
