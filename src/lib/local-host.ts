/**
 * This machine's name and address as Java's InetAddress.getLocalHost() tells them: the address that /etc/hosts (in a
 * container: its runtime) gives the host name, else the first IPv4 address that is not a loopback. A loopback address
 * from /etc/hosts (Debian's 127.0.1.1) helps nobody who reads events elsewhere, so an interface's address goes before it.
 */
import { readFileSync } from 'node:fs';
import os from 'node:os';

export interface LocalHost {
  readonly ip: string;
  readonly name: string;
  /** The first name of the host's line in /etc/hosts, else the plain name. */
  readonly canonicalName: string;
}

let found: LocalHost | undefined;

/** Looked up once per process, without asking the network. */
export function localHost(): LocalHost {
  found ??= lookUp();
  return found;
}

function lookUp(): LocalHost {
  const name = os.hostname();
  const lines = hostsFile()
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(/\s+/))
    .filter((words) => words.slice(1).includes(name));
  const own = lines.find(([address]) => address !== undefined && !isLoopback(address)) ?? lines[0];
  const listed = own?.[0];
  const external = Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((address) => address.family === 'IPv4' && !address.internal)?.address;
  const ip = listed !== undefined && !isLoopback(listed) ? listed : (external ?? listed ?? '127.0.0.1');
  const first = own?.[1];
  return { ip, name, canonicalName: first !== undefined && first !== 'localhost' ? first : name };
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

function hostsFile(): string {
  try {
    return readFileSync('/etc/hosts', 'utf8');
  } catch {
    // No such file on this system: the interfaces must do.
    return '';
  }
}
