/**
 * What goes wrong between two ends of an RPC connection, in words: who speaks what, whose certificate it was, which side
 * has to change.
 */
import { DeliveryError, errorText } from '../../lib/errors.ts';

/**
 * Largest message that is taken in, request or answer. Far above what Flume's own limits and heaps allow; a length beyond
 * it is garbage or an attack, and is refused before memory is set aside for it.
 */
export const MESSAGE_LIMIT_BYTES = 256 * 1024 * 1024;

/** What the first bytes of a connection say about the other end; empty when nothing is to be guessed. */
export function strangerHint(first: Buffer): string {
  const [a, b] = first;
  if ((a === 0x16 || a === 0x15) && b === 3) return ' (it looks like TLS: one end has ssl = true, the other has not)';
  if (a === 0x78 && (b === 0x01 || b === 0x5e || b === 0x9c || b === 0xda)) return ' (it looks compressed: compression-type differs between the ends)';
  if (a === 0x80 && b === 1) return ' (it looks like Thrift)';
  if (/^(GET|POST|PUT|HEAD|OPTIONS|HTTP) ?\//.test(first.subarray(0, 16).toString('latin1'))) return ' (it looks like HTTP)';
  return '';
}

const CODES: Readonly<Record<string, readonly [what: string, fix: string]>> = {
  ECONNREFUSED: ['nobody listens there', 'start the agent at the other end, or correct host and port'],
  ENOTFOUND: ['the host name is not known', 'correct the name'],
  EAI_AGAIN: ['the host name could not be looked up', 'check the name service'],
  EHOSTUNREACH: ['there is no way to that host', 'check the network'],
  ENETUNREACH: ['there is no way to that host', 'check the network'],
  ETIMEDOUT: ['no answer', 'check the network and firewalls'],
  ECONNRESET: ['the other end closed the connection', 'its log tells why; ssl and compression-type must be the same on both ends'],
  EPIPE: ['the other end closed the connection', 'its log tells why'],
  CERT_HAS_EXPIRED: ['the certificate of the other end has expired', 'renew it there'],
  CERT_NOT_YET_VALID: ['the certificate of the other end is not valid yet', 'compare the clocks, or wait'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['the certificate of the other end is signed by itself and is not in the trust store', 'add it to the truststore'],
  SELF_SIGNED_CERT_IN_CHAIN: ['nobody in the trust store signed the certificate of the other end', 'add its authority to the truststore'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['nobody in the trust store signed the certificate of the other end', 'add its authority to the truststore'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['nobody in the trust store signed the certificate of the other end', 'add its authority to the truststore'],
  CERT_SIGNATURE_FAILURE: ['the certificate of the other end is not what the trust store says', 'renew the truststore'],
  ERR_SSL_WRONG_VERSION_NUMBER: ['the other end does not speak TLS', 'set ssl the same on both ends'],
  EPROTO: ['the other end does not speak TLS as we do', 'set ssl the same on both ends and compare the protocol and cipher lists'],
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: ['no TLS version is allowed', 'correct include-protocols and exclude-protocols'],
  Z_DATA_ERROR: ['what it sends is not compressed', 'set compression-type the same on both ends'],
  Z_BUF_ERROR: ['its compressed data breaks off', 'its log may tell why'],
};

/** Why a connection failed, and what to do; one line each. */
export function faultText(error: unknown): readonly [what: string, fix: string] {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const known = CODES[code];
  if (known !== undefined) return known;
  if (code.startsWith('ERR_SSL_')) {
    const reason = (error as { reason?: string }).reason ?? errorText(error);
    return [`the TLS handshake failed: ${reason}`, 'set ssl the same on both ends, and compare certificates, protocol and cipher lists'];
  }
  return [errorText(error).split('\n')[0] as string, 'see the log of the other end'];
}

/** The error of a connection to `host`:`port` that could not be made, or broke. */
export function connectionError(place: string, error: unknown, doing = 'connect to'): DeliveryError {
  if (error instanceof DeliveryError) return error;
  const [what, fix] = faultText(error);
  return new DeliveryError(`cannot ${doing} ${place}: ${what}`, { fix, cause: error });
}
