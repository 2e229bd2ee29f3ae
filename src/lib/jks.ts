/**
 * Java's old key store format JKS, which keytool made by default up to Java 8 and in which most Flume key stores still are
 * (sun.security.provider.JavaKeyStore, KeyProtector): certificates in the clear, private keys under a SHA-1 key stream, a
 * SHA-1 digest with the password over all.
 *
 *   FEEDFEED | version | count | entries | digest (20)        numbers int32 big endian; text = int16 length | UTF-8
 *   key entry 1 = alias | date (8) | length, protected key | count, certificates
 *   certificate entry 2 = alias | date (8) | certificate      certificate = type (text, version 2 only) | length, DER
 */
import { createHash } from 'node:crypto';
import { ByteReader } from './bytes.ts';

export const JKS_MAGIC = 0xfeedfeed;
const DIGEST_BYTES = 20;
/** Mixed into the digest by Java, for ever. */
const WHITENER = 'Mighty Aphrodite';

/** What a JKS file holds, as DER. */
export interface JksContents {
  readonly certificates: readonly Buffer[];
  /** PKCS#8, decrypted. */
  readonly keys: readonly Buffer[];
}

/** Thrown by {@link readJks} when the digest does not fit. */
export class WrongPassword extends Error {}

/** Without a password nothing is checked, as in Java; keys then cannot be had. @throws WrongPassword; ProtocolError damaged */
export function readJks(bytes: Buffer, password: string | undefined): JksContents {
  const secret = password === undefined ? undefined : Buffer.from(password, 'utf16le').swap16();
  const input = new ByteReader(bytes, 4, bytes.length - DIGEST_BYTES);
  if (secret !== undefined) checkDigest(bytes, secret);
  const version = input.i32();
  const certificates: Buffer[] = [];
  const keys: Buffer[] = [];
  const certificate = (): void => {
    if (version === 2) input.skip(input.u16());
    certificates.push(input.bytes(input.i32()));
  };
  for (let left = input.i32(); left > 0; left--) {
    const tag = input.i32();
    input.skip(input.u16());
    input.skip(8);
    if (tag === 2) {
      certificate();
      continue;
    }
    const protectedKey = input.bytes(input.i32());
    if (secret !== undefined) keys.push(plainKey(protectedKey, secret));
    for (let chain = input.i32(); chain > 0; chain--) certificate();
  }
  return { certificates, keys };
}

function checkDigest(bytes: Buffer, secret: Buffer): void {
  const end = bytes.length - DIGEST_BYTES;
  const digest = createHash('sha1').update(secret).update(WHITENER).update(bytes.subarray(0, end)).digest();
  if (!digest.equals(bytes.subarray(end))) throw new WrongPassword('wrong password');
}

/** EncryptedPrivateKeyInfo { algorithm, OCTET STRING salt (20) | key XOR stream | digest (20) }. */
function plainKey(der: Buffer, secret: Buffer): Buffer {
  const input = new ByteReader(der);
  derHead(input);
  const algorithm = derHead(input);
  input.skip(algorithm);
  const sealed = input.bytes(derHead(input));
  const body = sealed.subarray(DIGEST_BYTES, sealed.length - DIGEST_BYTES);
  const plain = Buffer.alloc(body.length);
  let stream: Buffer = sealed.subarray(0, DIGEST_BYTES);
  for (let at = 0; at < body.length; at++) {
    if (at % DIGEST_BYTES === 0) stream = createHash('sha1').update(secret).update(stream).digest();
    plain[at] = (body[at] as number) ^ (stream[at % DIGEST_BYTES] as number);
  }
  const digest = createHash('sha1').update(secret).update(plain).digest();
  if (!digest.equals(sealed.subarray(sealed.length - DIGEST_BYTES))) throw new WrongPassword('wrong password');
  return plain;
}

/** Reads a DER tag and answers the length of what follows. */
function derHead(input: ByteReader): number {
  input.u8();
  const first = input.u8();
  if (first < 0x80) return first;
  let length = 0;
  for (let left = first & 0x7f; left > 0; left--) length = length * 256 + input.u8();
  return length;
}
