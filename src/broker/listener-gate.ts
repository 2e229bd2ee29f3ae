/**
 * The way in at one listener. Kafka's acceptor thread takes connections off the socket's backlog one by one and stands
 * still while max.connections or max.connection.creation.rate does not let another one in; here the system has accepted
 * them already, so they wait in a line of the same order, unread. At the front of it (SocketServer.ConnectionQuotas):
 *
 *     rate of broker and listener → room → rate of the address (quota connection_creation_rate) → connections of the address
 *          wait for the excess     wait      closed after the delay, unread                        closed at once
 */
import type { Socket } from 'node:net';
import { plainAddress } from '../lib/addresses.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import type { Figures } from './figures.ts';
import type { HostNames } from './host-names.ts';
import type { Quotas } from './quotas.ts';

/**
 * Longest line, as long as Kafka's (socket.listen.backlog.size); whoever comes later is closed. Not longer, because clients
 * that gave up are only found out at the front, where each has cost the others a wait.
 */
const LONGEST_LINE = 50;

export interface GateOptions {
  readonly listener: string;
  readonly limits: ConnectionLimits;
  readonly quotas: Quotas;
  readonly hosts: HostNames;
  readonly figures: Figures;
  readonly clock: Clock;
  readonly log: Logger;
  /** Takes who may come in; it is counted until its socket closes. */
  readonly admit: (socket: Socket) => void;
}

export class ListenerGate {
  readonly #options: GateOptions;
  /** In the order in which they came; sets keep it. */
  readonly #line = new Set<Socket>();
  /** Refused ones, until they are closed. */
  readonly #refused = new Map<Socket, Timer>();
  #pause: Timer | undefined;
  /** The front one has been counted and has waited for the rate. */
  #counted = false;
  #closed = false;

  constructor(options: GateOptions) {
    this.#options = options;
    options.limits.whenRoom(() => this.#proceed());
  }

  /** A connection that the system has accepted. */
  arrive(socket: Socket): void {
    const { figures, log, listener } = this.#options;
    if (this.#closed) return void socket.destroy();
    if (this.#line.size === 0) {
      if (this.#mayEnter()) return this.#enter(socket);
    } else if (this.#line.size >= LONGEST_LINE) {
      figures.connectionsRefused++;
      log.info(`Rejected connection from ${addressOf(socket)}: ${LONGEST_LINE} are waiting at ${listener} already.`);
      return void socket.destroy();
    }
    figures.connectionsDelayed++;
    figures.connectionsWaiting++;
    this.#line.add(socket);
    const leave = (): void => this.#leaveLine(socket);
    socket.on('error', leave);
    socket.on('close', leave);
  }

  #proceed(): void {
    while (this.#line.size > 0 && this.#mayEnter()) {
      const [first] = this.#line;
      this.#leaveLine(first as Socket);
      this.#enter(first as Socket);
    }
  }

  /** Nobody comes in any more. */
  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
    for (const socket of [...this.#line, ...this.#refused.keys()]) socket.destroy();
  }

  /** Asked for the one in front; arms the timer if it has to wait for the rate. */
  #mayEnter(): boolean {
    const { limits, listener, clock } = this.#options;
    if (this.#pause) return false;
    if (!this.#counted) {
      this.#counted = true;
      const delayMs = limits.arrive(listener);
      if (delayMs > 0) {
        this.#pause = clock.after(delayMs, () => {
          this.#pause = undefined;
          this.#proceed();
        });
        return false;
      }
    }
    return limits.hasRoom(listener);
  }

  #leaveLine(socket: Socket): void {
    if (this.#line.delete(socket)) this.#options.figures.connectionsWaiting--;
  }

  #enter(socket: Socket): void {
    this.#counted = false;
    if (socket.destroyed) return;
    const { listener, limits, quotas, hosts, figures, log, admit } = this.#options;
    const address = addressOf(socket);
    const host = hosts.of(address);
    const delayMs = quotas.connected(address, host);
    if (delayMs > 0) return this.#closeAfter(socket, delayMs);
    const most = limits.enter(listener, address, host);
    if (most !== null) {
      figures.connectionsRefused++;
      log.info({ host: address }, `Rejected connection from ${address}, address already has the configured maximum of ${most} connections.`);
      return void socket.destroy();
    }
    socket.once('close', () => limits.leave(listener, address));
    admit(socket);
  }

  #closeAfter(socket: Socket, delayMs: number): void {
    const { figures, clock, log } = this.#options;
    figures.connectionsThrottled++;
    log.debug(`Delaying closing of connection from ${addressOf(socket)} for ${delayMs} ms`);
    const timer = clock.after(delayMs, () => socket.destroy());
    this.#refused.set(socket, timer);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      timer.cancel();
      this.#refused.delete(socket);
    });
  }
}

function addressOf(socket: Socket): string {
  return plainAddress(socket.remoteAddress ?? '');
}
