/**
 * The calling end of an RPC, as sinks and avro-client see it, and what the Avro and Thrift clients do alike: connect
 * within a time limit through TLS and compression, then send batches until the first error, after which the connection is
 * dead and a new one must be made (Flume: RpcClient).
 */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';
import { DeliveryError } from '../../lib/errors.ts';
import type { Sealed } from '../core/event.ts';
import { type ClientLayers, connectLayers } from './connection-layers.ts';
import { connectionError } from './rpc-faults.ts';

export interface RpcTarget {
  readonly host: string;
  readonly port: number;
}

export interface RpcOptions extends RpcTarget {
  readonly clock: Clock;
  /** For the connection and its handshakes. */
  readonly connectTimeoutMs: number;
  /** For each call, until it is answered. */
  readonly requestTimeoutMs: number;
  readonly layers: ClientLayers;
}

/** A connection that carries batches. */
export interface RpcConnection {
  /** True after an error, a close, or when the other end closed. */
  readonly dead: boolean;
  /**
   * Resolves when the other end has stored all events: one call, to be waited for before the next. @throws DeliveryError refused, no answer in time, or
   * broken; the events may have been stored all the same, and the connection is dead
   */
  send(events: readonly Sealed[]): Promise<void>;
  /** Resolves when the socket is gone. Safe twice. */
  close(): Promise<void>;
}

/** `host:port` for messages. */
export function placeOf({ host, port }: RpcTarget): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** A connected socket with its layers. @throws DeliveryError what and why, one line */
export async function openStream(options: RpcOptions): Promise<{ readonly socket: Socket; readonly stream: Duplex }> {
  const { host, port, clock, connectTimeoutMs, layers } = options;
  const place = placeOf(options);
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  let late = false;
  const timer = clock.after(connectTimeoutMs, () => {
    late = true;
    socket.destroy(new Error('late'));
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve();
      });
    });
    // Errors of the layers end their promise; what comes after that is the connection's to handle.
    socket.on('error', () => undefined);
    return { socket, stream: await connectLayers(socket, layers) };
  } catch (error) {
    socket.destroy();
    if (late)
      throw new DeliveryError(`cannot connect to ${place}: no answer within ${connectTimeoutMs} ms`, {
        fix: 'check the other end, or set a longer connect-timeout',
        cause: error,
      });
    throw connectionError(place, error);
  } finally {
    timer.cancel();
  }
}
