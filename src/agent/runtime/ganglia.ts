/**
 * Reports to Ganglia by UDP, as Flume's instrumentation/GangliaServer does: XDR strings and ints, one packet per
 * attribute in format 3.0, metadata (128) and value (133) packets in 3.1. Attribute names are `flume.<KIND.name>.<attribute>`.
 */
import { createSocket, type Socket } from 'node:dgram';
import { hostname } from 'node:os';
import { ByteWriter } from '../../lib/bytes.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Lifecycle } from '../core/lifecycle.ts';
import { flumeMetrics } from './metrics.ts';
import type { SnapshotSource } from './snapshot.ts';

const UNITS = '';
const SLOPE_BOTH = 3;
const TMAX_SECONDS = 60;
const DMAX_SECONDS = 0;

export interface GangliaOptions {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly pollMs: number;
  /** Format 3.0 instead of 3.1. */
  readonly format30: boolean;
  readonly snapshot: SnapshotSource;
  readonly log: Logger;
  readonly clock: Clock;
}

function xdrText(out: ByteWriter, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  out.i32(bytes.length);
  out.bytes(bytes);
  out.bytes(Buffer.alloc((4 - (bytes.length % 4)) % 4));
}

/** Flume sends what reads as a number as float, everything else as string. */
function typeOf(value: string): string {
  return value.trim() !== '' && !Number.isNaN(Number(value)) ? 'float' : 'string';
}

function limits(out: ByteWriter): void {
  out.i32(SLOPE_BOTH);
  out.i32(TMAX_SECONDS);
  out.i32(DMAX_SECONDS);
}

/** The packets of one attribute; `host` is the reporting machine. */
export function gangliaPackets(host: string, name: string, value: string, format30: boolean): Buffer[] {
  const first = new ByteWriter(128);
  if (format30) {
    first.i32(0);
    for (const text of [typeOf(value), `${host}.${name}`, value, UNITS]) xdrText(first, text);
    limits(first);
    return [first.finish()];
  }
  first.i32(128);
  xdrText(first, host);
  xdrText(first, name);
  first.i32(0); // not spoofed
  for (const text of [typeOf(value), name, UNITS]) xdrText(first, text);
  limits(first);
  first.i32(1);
  xdrText(first, 'GROUP');
  xdrText(first, 'flume');
  const second = new ByteWriter(128);
  second.i32(133);
  xdrText(second, host);
  xdrText(second, name);
  second.i32(0);
  xdrText(second, '%s');
  xdrText(second, value);
  return [first.finish(), second.finish()];
}

/** Sends all attributes at once and then every `pollMs`. What cannot be sent is said once until it works again. */
export class GangliaReporter implements Lifecycle {
  readonly #options: GangliaOptions;
  #socket: Socket | undefined;
  #timer: Timer | undefined;
  #saidWhy = false;

  constructor(options: GangliaOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#socket) return;
    const socket = createSocket('udp4');
    socket.on('error', (error) => this.#complain(error));
    socket.unref();
    this.#socket = socket;
    this.#report();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  #report(): void {
    const socket = this.#socket;
    if (!socket) return;
    const { hosts, format30, snapshot, clock, pollMs } = this.#options;
    for (const [component, attributes] of Object.entries(flumeMetrics(snapshot()))) {
      for (const [name, value] of Object.entries(attributes)) {
        for (const packet of gangliaPackets(hostname(), `flume.${component}.${name}`, value, format30)) {
          for (const { host, port } of hosts) socket.send(packet, port, host, (error) => error && this.#complain(error));
        }
      }
    }
    this.#timer = clock.after(pollMs, () => this.#report());
  }

  #complain(error: Error): void {
    if (this.#saidWhy) return;
    this.#saidWhy = true;
    this.#options.log.warn({ err: error }, 'cannot report to Ganglia; said once');
  }
}
