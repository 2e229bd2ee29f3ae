/**
 * Keys, certificates and stores for tests of TLS, made once a run with openssl (and keytool where there is one): an
 * authority, a server's certificate, one that has expired.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

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

function openssl(dir: string, line: string): void {
  execFileSync('openssl', line.split(' '), { cwd: dir, stdio: 'pipe' });
}

function authority(dir: string, name: string): void {
  openssl(dir, `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${name}.key -out ${name}.pem -days 3650 -subj /CN=${name}`);
}

export function hasTool(name: string): boolean {
  try {
    execFileSync('which', [name], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

export function makeTlsMaterial(): TlsMaterial {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-tls-'));
  const at = (name: string): string => path.join(dir, name);
  authority(dir, 'ca');
  authority(dir, 'stranger');
  openssl(dir, 'req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=agent.example');
  openssl(dir, 'x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 3650');
  // `openssl ca` is the only command of older releases that sets both dates.
  fs.writeFileSync(
    at('ca.cnf'),
    ['[ca]', 'default_ca=d', '[d]', 'database=index.txt', 'serial=serial', 'default_md=sha256', 'policy=p', 'unique_subject=no', '[p]', 'CN=supplied'].join(
      '\n',
    ),
  );
  fs.writeFileSync(at('index.txt'), '');
  fs.writeFileSync(at('serial'), '10\n');
  openssl(
    dir,
    'ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in server.csr -out expired.pem -outdir . -notext -startdate 20200101000000Z -enddate 20210101000000Z',
  );
  for (const name of ['server', 'expired']) {
    openssl(dir, `pkcs12 -export -inkey server.key -in ${name}.pem -certfile ca.pem -name agent -out ${name}.p12 -passout pass:${PASSWORD}`);
  }
  openssl(dir, `pkcs12 -export -nokeys -in ca.pem -out trust.p12 -passout pass:${PASSWORD}`);
  fs.writeFileSync(at('both.pem'), fs.readFileSync(at('server.key'), 'utf8') + fs.readFileSync(at('server.pem'), 'utf8'));
  return {
    dir,
    keyStore: at('server.p12'),
    keyStorePem: at('both.pem'),
    trustStore: at('trust.p12'),
    trustStorePem: at('ca.pem'),
    expired: at('expired.p12'),
    stranger: at('stranger.pem'),
    remove: () => fs.rmSync(dir, { recursive: true, force: true }),
  };
}
