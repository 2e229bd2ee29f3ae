/**
 * What the avro and thrift sinks do alike (Flume: AbstractRpcSink): one connection, made when it is needed; each batch one
 * call; after any error the connection is given up, the batch stays in the channel, and the next attempt connects anew.
 * A batch of which no answer came may have been stored all the same, and comes twice then.
 */
import { DeliveryError, errorText } from '../../lib/errors.ts';
import { duration, int, text } from '../../lib/props/spec.ts';
import type { Delivery, SinkContext } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';
import type { Sink } from '../core/sink.ts';
import { placeOf, type RpcConnection, type RpcTarget } from './rpc-connection.ts';

/** Properties of both sinks besides TLS. */
export const rpcSinkProperties = {
  hostname: text({ required: true, doc: 'Host of the other end: an avro or thrift source.' }),
  port: int({ required: true, min: 1, max: 65_535, doc: 'Its port.' }),
  'batch-size': int({ default: 100, min: 1, lenient: true, unit: 'events', doc: 'Events sent in one call, at most.' }),
  'connect-timeout': duration({ default: 20_000, unit: 'ms', doc: 'For the connection and its handshakes; less than 1000 counts as the default.' }),
  'request-timeout': duration({ default: 20_000, unit: 'ms', doc: 'For each call until its answer; less than 1000 counts as the default.' }),
  'reset-connection-interval': duration({
    default: 0,
    unit: 's',
    doc: 'A connection older than this is made anew between two batches, so that a load balancer can choose again; 0: never.',
  }),
  maxIoWorkers: int({ doc: 'Threads of the client.', ignored: 'there are no such threads, as in Flume since 1.10' }),
  maxConnections: int({ doc: 'Connections of the client.', ignored: 'a sink uses one connection a host, as in Flume' }),
} as const;

/** What both sinks promise. */
export const RPC_SINK_DELIVERY: Delivery = {
  crash: { effect: 'doubles', note: 'a batch stored at the other end but not yet committed here comes again' },
  stop: { effect: 'nothing', note: 'the batch under way is answered or given back' },
  dead: { effect: 'waits', note: 'events stay in the channel until the other end answers again' },
};

/** Below a second a time limit is taken for a slip, as in Flume. */
export function timeLimit(ms: number): number {
  return ms < 1_000 ? 20_000 : ms;
}

export interface RpcSinkOptions {
  readonly target: RpcTarget;
  readonly resetSeconds: number;
  /** Made at every start, since it reads files. @throws ConfigError */
  readonly connector: () => () => Promise<RpcConnection>;
}

export class RpcSink implements Sink {
  readonly #options: RpcSinkOptions;
  readonly #ctx: SinkContext;
  #connect: (() => Promise<RpcConnection>) | undefined;
  #connection: RpcConnection | undefined;
  #connecting: Promise<RpcConnection> | undefined;
  #connectedAt = 0;

  constructor(options: RpcSinkOptions, ctx: SinkContext) {
    this.#options = options;
    this.#ctx = ctx;
  }

  /** Does not wait for the other end: it may well start later. */
  async start(): Promise<void> {
    this.#connect = this.#options.connector();
    this.#open().catch((error) => {
      const text = error instanceof DeliveryError && error.fix !== undefined ? `${error.message}; ${error.fix}` : errorText(error);
      this.#ctx.log.warn(`${text}. It is tried again when there are events`);
    });
  }

  async stop(): Promise<void> {
    this.#connect = undefined;
    await this.#connecting?.catch(() => undefined);
    await this.#drop();
  }

  async deliver(batch: readonly Sealed[]): Promise<void> {
    const connection = await this.#ready();
    try {
      await connection.send(batch);
    } catch (error) {
      await this.#drop();
      throw error;
    }
  }

  async #ready(): Promise<RpcConnection> {
    const { resetSeconds } = this.#options;
    const current = this.#connection;
    if (current !== undefined) {
      const old = resetSeconds > 0 && this.#ctx.clock.monotonic() - this.#connectedAt >= resetSeconds * 1_000;
      if (!current.dead && !old) return current;
      await this.#drop();
    }
    return this.#open();
  }

  /** One attempt at a time: whoever needs a connection while one is being made waits for that. */
  #open(): Promise<RpcConnection> {
    this.#connecting ??= this.#attempt().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #attempt(): Promise<RpcConnection> {
    const { counters, clock, log } = this.#ctx;
    if (this.#connect === undefined) throw new DeliveryError('the sink is stopped');
    try {
      const connection = await this.#connect();
      counters.ConnectionCreatedCount++;
      this.#connection = connection;
      this.#connectedAt = clock.monotonic();
      log.info(`connected to ${placeOf(this.#options.target)}`);
      return connection;
    } catch (error) {
      counters.ConnectionFailedCount++;
      throw error;
    }
  }

  async #drop(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#ctx.counters.ConnectionClosedCount++;
    await connection.close();
  }
}
