/** The netcatudp source through the real command. */
import { createSocket } from 'node:dgram';
import { it, onTestFinished } from 'vitest';
import { endsWithTest } from '../ends-with-test.ts';
import { AgentProcess, definition } from './agent-process.ts';

it('logs a datagram with the sender in the documented header, and says which port is in use', async () => {
  const other = createSocket('udp4');
  await new Promise<void>((resolve) => other.bind(0, '127.0.0.1', resolve));
  onTestFinished(() => void other.close());
  const taken = other.address().port;
  const a1 = endsWithTest(
    new AgentProcess(
      definition(`
    sources = r1 r2
    channels = c1
    sinks = k1
    sources.r1.type = netcatudp
    sources.r1.bind = 127.0.0.1
    sources.r1.port = 0
    sources.r1.remoteAddressHeader = from
    sources.r1.channels = c1
    sources.r2.type = netcatudp
    sources.r2.bind = 127.0.0.1
    sources.r2.port = ${taken}
    sources.r2.channels = c1
    channels.c1.type = memory
    sinks.k1.type = logger
    sinks.k1.channel = c1`),
    ),
  );
  a1.start();
  await a1.says(new RegExp(`cannot listen on udp 127.0.0.1:${taken}: the port is in use`));
  const port = Number(/listening on udp 127\.0\.0\.1:(\d+)/.exec(await a1.says(/listening on udp 127\.0\.0\.1:\d+/))?.[1]);
  other.send('hello\nrest', port, '127.0.0.1');
  await a1.says(new RegExp(`Event: \\{ headers:\\{from=/127\\.0\\.0\\.1:${taken}\\} body: 68 65 6C 6C 6F +hello \\}`));
});
