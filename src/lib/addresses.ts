/** Addresses of peers in one form. */
import { isIP, SocketAddress } from 'node:net';

/** An address as sockets of its own family show it: IPv4 without the prefix it has on IPv6 sockets, IPv6 at its shortest. Other texts as they are. */
export function plainAddress(text: string): string {
  const address = text.startsWith('::ffff:') ? text.slice('::ffff:'.length) : text;
  return isIP(address) === 6 ? new SocketAddress({ address, family: 'ipv6' }).address : address;
}
