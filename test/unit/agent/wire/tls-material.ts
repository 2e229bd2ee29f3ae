/**
 * Keys, certificates and stores for tests of TLS, made once a run: an authority, a server's certificate, one that has
 * expired, and an authority that signed nothing.
 */
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import forge from 'node-forge';

export const PASSWORD = 'changeit';

export interface TlsMaterial {
  readonly dir: string;
  /** The server's key and certificate as PKCS12 and PEM. */
  readonly keyStore: string;
  readonly keyStorePem: string;
  /** The authority's certificate as PKCS12 trust store and PEM. */
  readonly trustStore: string;
  readonly trustStorePem: string;
  /** A key store whose certificate expired long ago, signed by the same authority. */
  readonly expired: string;
  /** Another authority, which signed nothing. */
  readonly stranger: string;
  remove(): void;
}

interface Pair {
  readonly privateKey: forge.pki.rsa.PrivateKey;
  readonly publicKey: forge.pki.rsa.PublicKey;
}

function keyPair(): Pair {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const key = forge.pki.privateKeyFromPem(privateKey) as forge.pki.rsa.PrivateKey;
  return { privateKey: key, publicKey: forge.pki.setRsaPublicKey(key.n, key.e) };
}

interface Wanted {
  readonly name: string;
  readonly pair: Pair;
  readonly years: readonly [from: number, to: number];
  /** Absent = signed by itself, as an authority is. */
  readonly signer?: { readonly name: string; readonly pair: Pair };
}

let serial = 1;
function certificate({ name, pair, years, signer }: Wanted): forge.pki.Certificate {
  const made = forge.pki.createCertificate();
  const subject = (cn: string): forge.pki.CertificateField[] => [{ name: 'commonName', value: cn }];
  made.publicKey = pair.publicKey;
  made.serialNumber = `0${serial++}`;
  made.validity.notBefore = new Date(Date.UTC(years[0], 0, 1));
  made.validity.notAfter = new Date(Date.UTC(years[1], 0, 1));
  made.setSubject(subject(name));
  made.setIssuer(subject(signer?.name ?? name));
  if (signer === undefined) made.setExtensions([{ name: 'basicConstraints', cA: true, critical: true }]);
  made.sign((signer?.pair ?? pair).privateKey, forge.md.sha256.create());
  return made;
}

function pkcs12(key: Pair | null, certificates: forge.pki.Certificate[]): Buffer {
  const store = forge.pkcs12.toPkcs12Asn1((key?.privateKey ?? null) as forge.pki.rsa.PrivateKey, certificates, PASSWORD, { algorithm: 'aes256' });
  return Buffer.from(forge.asn1.toDer(store).getBytes(), 'binary');
}

export function makeTlsMaterial(): TlsMaterial {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-tls-'));
  const put = (name: string, bytes: Buffer | string): string => {
    fs.writeFileSync(path.join(dir, name), bytes);
    return path.join(dir, name);
  };
  const [authority, server, other] = [keyPair(), keyPair(), keyPair()];
  const now: readonly [number, number] = [2020, 2099];
  const ca = certificate({ name: 'ca', pair: authority, years: now });
  const signer = { name: 'ca', pair: authority };
  const valid = certificate({ name: 'agent.example', pair: server, years: now, signer });
  const expired = certificate({ name: 'agent.example', pair: server, years: [2020, 2021], signer });
  const { pki } = forge;
  return {
    dir,
    keyStore: put('server.p12', pkcs12(server, [valid, ca])),
    keyStorePem: put('both.pem', pki.privateKeyToPem(server.privateKey) + pki.certificateToPem(valid)),
    trustStore: put('trust.p12', pkcs12(null, [ca])),
    trustStorePem: put('ca.pem', pki.certificateToPem(ca)),
    expired: put('expired.p12', pkcs12(server, [expired, ca])),
    stranger: put('stranger.pem', pki.certificateToPem(certificate({ name: 'stranger', pair: other, years: now }))),
    remove: () => fs.rmSync(dir, { recursive: true, force: true }),
  };
}
