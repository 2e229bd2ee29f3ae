/**
 * TLS and compression between a socket and the frames, on both ends (Flume: AvroSource and NettyAvroRpcClient).
 *
 * With both, Flume up to 1.9 puts TLS around the compressed stream, and since 1.10 compresses the TLS stream, which saves
 * nothing and does not understand the older one. A server here tells them apart by the first byte: a TLS record of a
 * handshake starts with 0x16, a zlib stream with 0x78.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, createSecureContext, type SecureContextOptions, TLSSocket, connect as tlsConnect } from 'node:tls';
import { DeflatedStream } from './deflated-stream.ts';

/** The level of all servers, as in Flume. */
const SERVER_LEVEL = 6;
const TLS_HANDSHAKE = 0x16;

/** How clients are met. */
export interface ServerLayers {
  readonly tls: SecureContextOptions | undefined;
  readonly deflate: boolean;
}

/**
 * The stream of frames on an accepted socket, once its TLS handshake is done. The caller limits the time by destroying
 * the socket. Rejects when the handshake fails or the client goes away before it is done.
 */
export async function serveLayers(socket: Socket, layers: ServerLayers): Promise<Duplex> {
  return guarded(await serve(socket, layers));
}

async function serve(socket: Socket, { tls, deflate }: ServerLayers): Promise<Duplex> {
  if (tls === undefined) return deflate ? new DeflatedStream(socket, SERVER_LEVEL) : socket;
  if (!deflate) return serveTls(socket, tls);
  const first = await firstByte(socket);
  if (first === TLS_HANDSHAKE) return new DeflatedStream(await serveTls(socket, tls), SERVER_LEVEL);
  return serveTls(new DeflatedStream(socket, SERVER_LEVEL), tls);
}

function serveTls(under: Duplex, options: SecureContextOptions): Promise<TLSSocket> {
  const stream = new TLSSocket(under as Socket, { isServer: true, secureContext: createSecureContext(options) });
  return whenOpen(stream, 'secure');
}

/** Looks at what comes first and leaves it to be read. */
async function firstByte(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error): void => {
      socket.off('readable', look);
      socket.off('error', end);
      socket.off('end', gone);
      socket.off('close', gone);
      if (error) reject(error);
    };
    const gone = (): void => end(new Error('closed before anything was said'));
    const look = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      end();
      socket.unshift(chunk);
      resolve(chunk[0] as number);
    };
    socket.on('readable', look);
    socket.once('error', end);
    socket.once('end', gone);
    socket.once('close', gone);
  });
}

/** How a server is met. */
export interface ClientLayers {
  readonly tls: ConnectionOptions | undefined;
  /** Level 0 … 9; undefined = no compression. */
  readonly deflateLevel: number | undefined;
  /** Both: compress the TLS stream (Flume 1.10+) instead of speaking TLS around the compressed one (up to 1.9). */
  readonly deflateOutside: boolean;
}

/** The stream of frames on a connected socket, once its TLS handshake is done. Rejects when that fails. */
export async function connectLayers(socket: Socket, layers: ClientLayers): Promise<Duplex> {
  return guarded(await open(socket, layers));
}

async function open(socket: Socket, layers: ClientLayers): Promise<Duplex> {
  const { tls, deflateLevel, deflateOutside } = layers;
  if (deflateLevel === undefined) return tls === undefined ? socket : openTls(socket, tls);
  if (tls === undefined) return new DeflatedStream(socket, deflateLevel);
  if (deflateOutside) return openTls(new DeflatedStream(socket, deflateLevel), tls);
  return new DeflatedStream(await openTls(socket, tls), deflateLevel);
}

function openTls(under: Duplex, options: ConnectionOptions): Promise<TLSSocket> {
  return whenOpen(tlsConnect({ ...options, socket: under }), 'secureConnect');
}

/** An error between the handshake and the first listener of the owner must not end the process; the owner sees a destroyed stream. */
function guarded(stream: Duplex): Duplex {
  return stream.on('error', () => undefined);
}

function whenOpen(stream: TLSSocket, event: 'secure' | 'secureConnect'): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(new Error('the connection was closed during the TLS handshake'));
    stream.once('error', reject);
    stream.once('close', closed);
    // A socket that stays half open must not wait for the rest of a handshake; Node's client looks after that itself.
    if (event === 'secure') stream.once('end', closed);
    stream.once(event, () => {
      guarded(stream);
      stream.off('error', reject);
      stream.off('end', closed);
      stream.off('close', closed);
      resolve(stream);
    });
  });
}
