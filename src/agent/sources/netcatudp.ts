/**
 * Turns each UDP datagram into an event: its bytes up to the first line feed (Flume's NetcatUdpSource; the rest of the
 * datagram is dropped, nothing is decoded, nobody is answered). Unlike Flume 1.10+, datagrams are not cut at 2048 bytes,
 * and without a header name there is no header (Flume adds one with a null key).
 *
 * When data is safe: never known to the sender. UDP cannot be paused, so what the channel has no room for waits in a ring
 * of 10,000 datagrams or 16 MiB; what arrives while that is full is dropped and counted. A crash loses the ring.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { AppError } from '../../lib/errors.ts';
import { listenError } from '../../lib/listen-error.ts';
import { type Config, int, text } from '../../lib/props/spec.ts';
import { Ring } from '../../lib/ring.ts';
import { defineSource, type SourceContext } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import { PatientOutput } from '../core/patient-output.ts';
import type { Source } from '../core/source.ts';

const RING_EVENTS = 10_000;
const RING_BYTES = 16 * 1_048_576;
/** Asked of the kernel for the time the event loop is busy; it grants at most net.core.rmem_max. */
const KERNEL_BUFFER_BYTES = 4 * 1_048_576;
const LF = 10;

const properties = {
  port: int({ required: true, min: 0, max: 65_535, doc: 'UDP port to listen on; 0 picks a free one.' }),
  bind: text({ doc: 'Address or host name to listen on; without it, all addresses of the machine.' }),
  remoteAddress: text({ doc: 'Name of a header that receives the sender as /address:port.' }),
  remoteAddressHeader: text({ doc: "The same, as Flume's manual spells it; remoteAddress wins." }),
};
type NetcatUdpConfig = Config<typeof properties>;

export default defineSource({
  type: 'netcatudp',
  aliases: ['org.apache.flume.source.NetcatUdpSource'],
  summary: 'Turns each UDP datagram, up to its first line feed, into an event.',
  properties,
  counters: { DatagramDropCount: 'Datagrams dropped since the channel had no room and the ring of 10,000 datagrams or 16 MiB was full.' },
  facts: (config) => ({ listens: [{ protocol: 'udp', host: config.bind ?? '0.0.0.0', port: config.port }] }),
  delivery: () => ({
    crash: {
      effect: 'loses',
      note: 'datagrams that were not stored yet are lost unnoticed',
      improve: 'use a source whose clients wait for an answer, e.g. netcat or avro',
    },
    stop: { effect: 'loses', note: 'datagrams sent while the source is stopped are lost' },
    full: { effect: 'loses', note: 'beyond 10,000 datagrams or 16 MiB further ones are dropped and counted', improve: 'give the channel more capacity' },
    replays: false,
  }),
  create: (config, ctx) => new NetcatUdpSource(config, ctx),
});

export class NetcatUdpSource implements Source {
  readonly #config: NetcatUdpConfig;
  readonly #ctx: SourceContext;
  readonly #header: string | undefined;
  readonly #patient: PatientOutput;
  readonly #ring = new Ring<Event>(RING_EVENTS);
  #ringBytes = 0;
  #socket: Socket | undefined;
  #starting: Promise<void> | undefined;
  #abort = new AbortController();
  #busy = false;
  #work: Promise<void> = Promise.resolve();
  #dropping = false;

  constructor(config: NetcatUdpConfig, ctx: SourceContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#header = config.remoteAddress ?? config.remoteAddressHeader;
    this.#patient = new PatientOutput(ctx, 'datagrams wait in a ring and are dropped when it is full');
  }

  /** The port that is open; 0 before start and after stop. */
  get port(): number {
    return this.#socket?.address().port ?? 0;
  }

  start(): Promise<void> {
    this.#abort = new AbortController();
    this.#starting = this.#listen();
    return this.#starting;
  }

  async #listen(): Promise<void> {
    const { bind, port } = this.#config;
    const host = bind ?? '::';
    try {
      const { address, family } = await lookup(host);
      this.#socket = await this.#bound(address, family === 6);
    } catch (error) {
      const noIpv6 = bind === undefined && ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (!noIpv6) throw listenError(error, bind ?? '0.0.0.0', port, 'udp');
      this.#socket = await this.#bound('0.0.0.0', false).catch((second: unknown) => {
        throw listenError(second, '0.0.0.0', port, 'udp');
      });
    }
    this.#ctx.log.info(`listening on udp ${bind ?? '*'}:${this.port}`);
  }

  async #bound(address: string, v6: boolean): Promise<Socket> {
    const socket = createSocket({ type: v6 ? 'udp6' : 'udp4' });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind({ address, port: this.#config.port, exclusive: true }, resolve);
      });
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.removeAllListeners('error');
    socket.on('error', (error) => this.#ctx.failed(listenError(error, address, this.#config.port, 'udp')));
    socket.on('message', (datagram, sender) => this.#receive(datagram, sender));
    try {
      socket.setRecvBufferSize(KERNEL_BUFFER_BYTES);
    } catch (error) {
      this.#ctx.log.debug(`the kernel's receive buffer stays as it is: ${(error as Error).message}`);
    }
    return socket;
  }

  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) await new Promise<void>((resolve) => socket.close(() => resolve()));
    this.#abort.abort();
    await this.#work;
    if (this.#ring.length > 0) this.#ctx.log.warn(`stopped with ${this.#ring.length} datagrams received and not stored; they are lost`);
  }

  #receive(datagram: Buffer, sender: RemoteInfo): void {
    const end = datagram.indexOf(LF);
    const body = end < 0 ? datagram : datagram.subarray(0, end);
    const headers: Record<string, string> = this.#header === undefined ? {} : { [this.#header]: javaAddress(sender) };
    if (this.#ringBytes + body.length > RING_BYTES || !this.#ring.push({ headers, body })) {
      this.#drop();
      return;
    }
    this.#ringBytes += body.length;
    if (this.#busy) return;
    this.#busy = true;
    // Behind the reads that are due now, so that datagrams which came together are one batch.
    this.#work = new Promise((resolve) => setImmediate(resolve)).then(() => this.#drain());
  }

  #drop(): void {
    const ctx = this.#ctx;
    ctx.extra.DatagramDropCount = (ctx.extra.DatagramDropCount ?? 0) + 1;
    if (this.#dropping) return;
    this.#dropping = true;
    const error = new AppError('INPUT_DROPPED', `datagrams are dropped: the channel has no room and ${this.#ring.length} wait already`, {
      fix: 'Give the channel more capacity, or its sinks more speed.',
    });
    ctx.log.error(error.message);
    ctx.degraded(error);
  }

  async #drain(): Promise<void> {
    const { output } = this.#ctx;
    const { signal } = this.#abort;
    try {
      while (this.#ring.length > 0) {
        const batch = this.#ring.drain(output.maxBatch);
        const bytes = batch.reduce((sum, event) => sum + event.body.length, 0);
        const count = batch.length;
        if (!(await this.#patient.put(batch, signal))) {
          this.#ctx.log.warn(`stopped with ${count} datagrams received and not stored; they are lost`);
          return;
        }
        this.#ringBytes -= bytes;
        if (this.#dropping) this.#recovered();
      }
    } finally {
      this.#busy = false;
    }
  }

  #recovered(): void {
    this.#dropping = false;
    this.#ctx.log.warn(`${this.#ctx.extra.DatagramDropCount ?? 0} datagrams were dropped in all; there is room again`);
    this.#ctx.healthy();
  }
}

/** The sender as Java's InetSocketAddress prints it: `/1.2.3.4:5678`, `/[0:0:0:0:0:0:0:1]:5678`. */
function javaAddress({ address, port }: RemoteInfo): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return `/${mapped}:${port}`;
  return address.includes(':') ? `/[${uncompressed(address)}]:${port}` : `/${address}:${port}`;
}

/** An IPv6 address with all its eight groups. */
function uncompressed(address: string): string {
  const [plain, zone] = address.split('%') as [string, string?];
  const [head, tail] = plain.split('::') as [string, string?];
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...new Array<string>(zeros).fill('0'), ...after].join(':') + (zone === undefined ? '' : `%${zone}`);
}
