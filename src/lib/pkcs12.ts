/**
 * Key stores and trust stores as Java users have them: PKCS12 (RFC 7292), PEM and JKS files. Node reads a PKCS12 file only as
 * a key with its certificates and, since OpenSSL 3, not the RC2 of older keytools; trust stores not at all. node-forge
 * does both. Java's old JKS is read by jks.ts; JCEKS is refused with the command that converts it.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type forgeModule from 'node-forge';
import { ConfigError, errorText } from './errors.ts';
import { JKS_MAGIC, readJks, WrongPassword } from './jks.ts';

/** What a store holds, as PEM texts. */
export interface StoreContents {
  /** All certificates in the order of the file; of a key store the key's own certificate comes first. */
  readonly certificates: readonly string[];
  /** Private keys, PKCS#8, decrypted. */
  readonly keys: readonly string[];
}

const require = createRequire(import.meta.url);
const JCEKS = 0xcececece;

/**
 * Reads a key store or trust store file, PKCS12, JKS or PEM, told apart by its content as Java does since 9.
 * @throws ConfigError unreadable, wrong password, damaged, or of a kind that only Java reads
 */
export function readStore(file: string, password: string | undefined): StoreContents {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new ConfigError(`cannot read the key store ${file}: ${errorText(cause)}`, { fix: 'check the path and its permissions', cause });
  }
  if (bytes.includes('-----BEGIN ')) return pemContents(bytes.toString('latin1'), file, password);
  const magic = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  if (magic === JKS_MAGIC) return jksContents(bytes, password, file);
  if (magic === JCEKS) {
    throw new ConfigError(`${file} is a Java key store (JCEKS), which only Java reads`, {
      fix: `convert it: keytool -importkeystore -srckeystore ${file} -destkeystore ${file}.p12 -deststoretype PKCS12`,
    });
  }
  return readPkcs12(bytes, password ?? '', file);
}

/** @param name what to call the store in messages. @throws ConfigError wrong password, or not a PKCS12 store */
export function readPkcs12(bytes: Buffer, password: string, name: string): StoreContents {
  const forge = require('node-forge') as typeof forgeModule;
  let store: forgeModule.pkcs12.Pkcs12Pfx;
  try {
    store = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(bytes.toString('binary')), false, password);
  } catch (cause) {
    if (/invalid password|could not be verified/i.test(errorText(cause))) throw wrongPassword(name, cause);
    throw new ConfigError(`${name} cannot be read as a PKCS12 key store: ${errorText(cause)}`, { fix: 'make it anew with keytool or openssl', cause });
  }
  const certificates: string[] = [];
  const keys: string[] = [];
  const { pki, asn1 } = forge;
  const der = (node: forgeModule.asn1.Asn1): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'binary');
  for (const bag of store.safeContents.flatMap((content) => content.safeBags)) {
    if (bag.type === pki.oids.certBag) certificates.push(pem('CERTIFICATE', der(bag.cert ? pki.certificateToAsn1(bag.cert) : bag.asn1)));
    // A key that forge does not know (EC, Ed25519) is left as it was read.
    else if (bag.key) keys.push(pem('PRIVATE KEY', der(pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(bag.key)))));
    else if (bag.asn1) keys.push(pem('PRIVATE KEY', der(bag.asn1)));
  }
  return { certificates: ownFirst(certificates, keys), keys };
}

function jksContents(bytes: Buffer, password: string | undefined, file: string): StoreContents {
  try {
    const { certificates, keys } = readJks(bytes, password);
    const texts = certificates.map((der) => pem('CERTIFICATE', der));
    const keyTexts = keys.map((der) => pem('PRIVATE KEY', der));
    return { certificates: ownFirst(texts, keyTexts), keys: keyTexts };
  } catch (cause) {
    if (cause instanceof WrongPassword) throw wrongPassword(file, cause);
    throw new ConfigError(`${file} cannot be read as a JKS key store: ${errorText(cause)}`, { fix: 'make it anew with keytool', cause });
  }
}

function wrongPassword(name: string, cause: unknown): ConfigError {
  return new ConfigError(`the password of the key store ${name} is wrong`, { fix: `check it: keytool -list -keystore ${name}`, cause });
}

function pem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`;
}

function pemContents(text: string, file: string, password: string | undefined): StoreContents {
  const blocks = text.match(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g) ?? [];
  const certificates = blocks.filter((block) => /BEGIN (X509 |TRUSTED )?CERTIFICATE/.test(block)).map((block) => `${block}\n`);
  const keys = blocks.filter((block) => /BEGIN [A-Z ]*PRIVATE KEY/.test(block)).map((block) => plainKey(block, file, password));
  return { certificates: ownFirst(certificates, keys), keys };
}

function plainKey(block: string, file: string, password: string | undefined): string {
  try {
    return createPrivateKey({ key: block, ...(password !== undefined && { passphrase: password }) }).export({ type: 'pkcs8', format: 'pem' }) as string;
  } catch (cause) {
    throw new ConfigError(`the private key in ${file} cannot be read: ${errorText(cause)}`, { fix: 'check its password', cause });
  }
}

/** Servers send the certificate of their key first; stores keep them in any order. */
function ownFirst(certificates: string[], keys: readonly string[]): string[] {
  if (keys.length === 0 || certificates.length < 2) return certificates;
  const key = createPrivateKey(keys[0] as string);
  const own = certificates.findIndex((text) => {
    try {
      return new X509Certificate(text).checkPrivateKey(key);
    } catch {
      // A certificate that this OpenSSL cannot read is not the one to serve.
      return false;
    }
  });
  return own <= 0 ? certificates : [certificates[own] as string, ...certificates.slice(0, own), ...certificates.slice(own + 1)];
}
