/** A client that says bytes, for what no proper client would say. */
import net from 'node:net';

export class RawClient {
  readonly socket: net.Socket;
  closed = false;
  #received: Buffer[] = [];

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#received.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static connect(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => resolve(new RawClient(socket)));
      socket.once('error', reject);
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  say(bytes: Buffer | string): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes.replaceAll(' ', ''), 'hex') : bytes);
  }

  /** Waits until `count` bytes have come in all, and answers them as hex. */
  async hears(count: number): Promise<string> {
    const deadline = Date.now() + 8_000;
    while (this.received.length < count) {
      if (Date.now() > deadline || this.closed) throw new Error(`heard ${this.received.length} of ${count} bytes: ${this.received.toString('hex')}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.received.toString('hex');
  }
}
