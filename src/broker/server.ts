/**
 * Starts and stops a broker: opens what it listens on once everything is loaded, and on stop lets started requests finish
 * before the logs are closed. `startBroker` is the whole of it, in process or as a program (cli/kafka-server-start.ts).
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { AppError, errorText } from '../lib/errors.ts';
import { Broker, type BrokerOptions } from './broker.ts';
import { Connection } from './connection.ts';
import { HostNames } from './host-names.ts';
import { ListenerGate } from './listener-gate.ts';
import type { Listener } from './listeners.ts';
import type { MetricsPort } from './metrics-port.ts';

/** Time that requests under way get to finish on stop. */
const DRAIN_MS = 2000;

/** A running broker. */
export interface RunningBroker {
  readonly broker: Broker;
  /** Port of each listener by name; where the settings said 0, the one the system chose. */
  readonly ports: ReadonlyMap<string, number>;
  /** Of millrace.metrics.port, when that is set. */
  readonly metricsPort: number | undefined;
  /** Clean stop; safe twice. */
  stop(): Promise<void>;
}

/**
 * Loads and opens a broker; ready for clients when it resolves.
 * @throws ConfigError settings that cannot be used; AppError a port in use; StorageError
 */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const broker = new Broker(options);
  const door = new FrontDoor(broker);
  let metrics: MetricsPort | undefined;
  try {
    await broker.load();
    metrics = await openMetrics(broker);
    await door.open();
  } catch (error) {
    await metrics?.close();
    await door.close();
    broker.release();
    throw error;
  }
  let stopping: Promise<void> | undefined;
  return {
    broker,
    ports: broker.ports,
    metricsPort: metrics?.port,
    stop: () =>
      (stopping ??= door
        .close()
        .then(() => metrics?.close())
        .then(() => broker.unload())),
  };
}

/** The port with figures, if one is asked for; its code is loaded only then. */
async function openMetrics(broker: Broker): Promise<MetricsPort | undefined> {
  const { 'millrace.metrics.port': port, 'millrace.metrics.host': host } = broker.config.own;
  if (port === undefined) return undefined;
  const { MetricsPort } = await import('./metrics-port.ts');
  return MetricsPort.open(broker, { port, host });
}

/** The listening sockets and the connections that came through them. */
class FrontDoor {
  readonly #broker: Broker;
  readonly #servers: Server[] = [];
  readonly #connections = new Map<Connection, Socket>();
  /** By listener. */
  readonly #gates = new Map<string, ListenerGate>();
  readonly #hosts: HostNames;
  /** TCP sockets under TLS. */
  readonly #handshakes = new Set<Socket>();
  #lastId = 0;

  constructor(broker: Broker) {
    this.#broker = broker;
    this.#hosts = new HostNames(broker.log);
  }

  async open(): Promise<void> {
    await this.#learnHosts();
    for (const listener of this.#broker.listeners) {
      // Clients may take localhost for either address, and old ones try the first alone.
      const isLocal = listener.host === 'localhost';
      const port = await this.#listen(listener, { host: isLocal ? '127.0.0.1' : listener.host, port: listener.port });
      if (isLocal) await this.#listenAlso(listener, { host: '::1', port });
      this.#broker.ports.set(listener.name, port);
      this.#broker.log.info({ listener: listener.name, port }, `listening on ${listener.name}://${listener.host || '*'}:${port}`);
    }
  }

  /** Listens on one more address, if this machine has it. */
  async #listenAlso(listener: Listener, address: { readonly host: string; readonly port: number }): Promise<void> {
    try {
      await this.#listen(listener, address);
    } catch (error) {
      const { code } = ((error as AppError).cause ?? {}) as NodeJS.ErrnoException;
      if (code !== 'EADDRNOTAVAIL' && code !== 'EAFNOSUPPORT' && listener.port !== 0) throw error;
    }
  }

  /** @returns the port */
  #listen(listener: Listener, { host, port }: { readonly host: string; readonly port: number }): Promise<number> {
    const gate = this.#gateOf(listener);
    // Half-open: a client that has said all it wants to say still gets its answers.
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      void this.#learnHosts();
      gate.arrive(socket);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      // Later ones (no descriptors left to accept with) are no reason to end: the next client may get through.
      server.on('error', (error: NodeJS.ErrnoException) => {
        if (server.listening) this.#broker.log.warn({ err: error }, `cannot accept a connection on ${listener.label}: ${errorText(error)}`);
        reject(listenError(listener, error));
      });
      server.listen({ port, ...(host !== '' && { host }), backlog: 1024 }, () => resolve((server.address() as { port: number }).port));
    });
  }

  /** Host names in limits may be new with every change of a setting or quota. */
  async #learnHosts(): Promise<void> {
    const { connectionLimits, metadata } = this.#broker;
    if (connectionLimits.hosts.size > 0) await this.#hosts.learn(connectionLimits.hosts);
    if (metadata.quotaLimits.hosts.size > 0) await this.#hosts.learn(metadata.quotaLimits.hosts);
  }

  #gateOf(listener: Listener): ListenerGate {
    const { connectionLimits: limits, quotas, figures, clock, log } = this.#broker;
    let gate = this.#gates.get(listener.name);
    if (gate) return gate;
    const admit = this.#entrance(listener);
    gate = new ListenerGate({ listener: listener.name, limits, quotas, hosts: this.#hosts, figures, clock, log, admit });
    this.#gates.set(listener.name, gate);
    return gate;
  }

  /** What becomes of those who may come in: on a listener with TLS a handshake first. */
  #entrance(listener: Listener): (socket: Socket) => void {
    const begin = (socket: Socket): void => this.#begin(socket, listener);
    if (!listener.tls) return begin;
    // It listens nowhere itself: it is handed its connections.
    const server = createTlsServer({ ...listener.tls, allowHalfOpen: true }, begin);
    server.on('tlsClientError', (error: Error, socket: Socket) => {
      this.#broker.figures.badFrames++;
      this.#broker.log.warn(
        { host: socket.remoteAddress },
        `TLS handshake with ${socket.remoteAddress ?? 'a client'} on ${listener.label} failed: ${errorText(error)}`,
      );
      socket.destroy();
    });
    return (raw) => {
      // Those whose handshake fails or never ends would keep the port open.
      this.#handshakes.add(raw);
      raw.once('close', () => this.#handshakes.delete(raw));
      server.emit('connection', raw);
    };
  }

  #begin(socket: Socket, listener: Listener): void {
    const refusal = listener.refuse(socket);
    if (refusal !== null) {
      const host = socket.remoteAddress ?? '';
      this.#broker.figures.badFrames++;
      this.#broker.log.warn({ host }, `the certificate of ${host} on ${listener.label} is not trusted: ${refusal}`);
      socket.destroy();
      return;
    }
    this.#broker.figures.connections++;
    this.#broker.figures.connectionsTotal++;
    const connection = new Connection(++this.#lastId, socket, listener, this.#broker);
    this.#connections.set(connection, socket);
    socket.on('close', () => {
      this.#connections.delete(connection);
      this.#broker.figures.connections--;
    });
  }

  /** Stops listening; connections end as soon as their started requests are answered, at the latest after a while. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => (server.listening ? server.close(() => resolve()) : resolve())));
    this.#broker.purgatory.close();
    for (const gate of this.#gates.values()) gate.close();
    for (const connection of this.#connections.keys()) connection.finish();
    const timer = this.#broker.clock.after(DRAIN_MS, () => {
      for (const socket of [...this.#connections.values(), ...this.#handshakes]) socket.destroy();
    });
    await Promise.all(closed);
    timer.cancel();
  }
}

function listenError(listener: Listener, error: NodeJS.ErrnoException): AppError {
  if (error.code === 'EADDRINUSE') {
    return new AppError('LISTEN', `${listener.label}: the port is in use`, {
      fix: 'stop the program that has it, or change listeners',
      cause: error,
      retriable: true,
    });
  }
  return new AppError('LISTEN', `cannot listen on ${listener.label}: ${error.message}`, { fix: 'check host and port in listeners', cause: error });
}
