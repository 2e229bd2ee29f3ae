/**
 * A TCP port for somebody who binds it a little later, and again after a restart. It lies below the range from which systems
 * give ports to connections (32768 up), so that none of these takes it meanwhile.
 */
import net from 'node:net';

const LOWEST_PORT = 20_000;
const PORTS = 12_000;

/** A port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST_PORT + Math.floor(Math.random() * PORTS);
    const server = net.createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
