/** Why a port could not be opened, as something a person can act on. */
import { AppError } from './errors.ts';

/** The error of a failed listen or bind on `host`:`port`, to be thrown by whoever starts. Always retriable: the port may become free. */
export function listenError(cause: unknown, host: string, port: number, protocol: 'tcp' | 'udp' = 'tcp'): AppError {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const [what, fix] = reasons[code] ?? [(cause as Error).message, 'See the cause.'];
  const show = protocol === 'tcp' ? `ss -ltnp 'sport = :${port}'` : `ss -lunp 'sport = :${port}'`;
  return new AppError('LISTEN', `cannot listen on ${protocol} ${place}: ${what}`, { fix: fix.replace('{show}', show), cause, retriable: true });
}

const reasons: Readonly<Record<string, readonly [string, string]>> = {
  EADDRINUSE: ['the port is in use', 'Stop the program that has it (`{show}` names it) or choose another port; it is tried again by itself.'],
  EACCES: ['not allowed', 'Choose a port above 1023, or give the process the right to bind low ports.'],
  EADDRNOTAVAIL: ['this machine does not have that address', 'Name an address of this machine, or 0.0.0.0 for all of them.'],
  ENOTFOUND: ['the host name is not known', 'Correct the name, or give an address, e.g. 0.0.0.0.'],
  EAI_AGAIN: ['the host name could not be looked up', 'Check the name service, or give an address, e.g. 0.0.0.0.'],
};
