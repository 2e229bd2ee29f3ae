/**
 * SCRAM-SHA-256 and SCRAM-SHA-512, server side (RFC 5802 without channel binding; KIP-84). Credentials are stored
 * salted: the password itself is never kept.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

export type ScramMechanism = 'SCRAM-SHA-256' | 'SCRAM-SHA-512';

/** What is stored of one user for one mechanism; all base64. */
export interface ScramCredential {
  readonly salt: string;
  readonly storedKey: string;
  readonly serverKey: string;
  readonly iterations: number;
}

const HASH: Readonly<Record<ScramMechanism, string>> = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' };
const HASH_BYTES: Readonly<Record<ScramMechanism, number>> = { 'SCRAM-SHA-256': 32, 'SCRAM-SHA-512': 64 };

/** A credential from a salted password, as AlterUserScramCredentials carries it. */
export function credentialFromSalted(mechanism: ScramMechanism, salted: Buffer, salt: Buffer, iterations: number): ScramCredential {
  const hash = HASH[mechanism];
  const clientKey = createHmac(hash, salted).update('Client Key').digest();
  return {
    salt: salt.toString('base64'),
    storedKey: createHash(hash).update(clientKey).digest('base64'),
    serverKey: createHmac(hash, salted).update('Server Key').digest('base64'),
    iterations,
  };
}

/** A credential from a plain password, with a fresh salt. */
export function credentialFromPassword(mechanism: ScramMechanism, password: string, iterations = 4096): ScramCredential {
  const salt = randomBytes(24);
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, HASH_BYTES[mechanism], HASH[mechanism]);
  return credentialFromSalted(mechanism, salted, salt, iterations);
}

/** One login in progress. `step` takes the client's bytes and answers ours. */
export class ScramExchange {
  readonly #mechanism: ScramMechanism;
  readonly #lookup: (user: string) => ScramCredential | undefined;
  #credential: ScramCredential | undefined;
  #firstBare = '';
  /** What the client must repeat in `c=`: that it wants no channel binding, and for whom it acts. */
  #header = '';
  #serverFirst = '';
  #nonce = '';
  #stage: 'first' | 'final' | 'done' = 'first';
  /** The user that logs in; meaningful when `done`. */
  user = '';

  constructor(mechanism: ScramMechanism, lookup: (user: string) => ScramCredential | undefined) {
    this.#mechanism = mechanism;
    this.#lookup = lookup;
  }

  get done(): boolean {
    return this.#stage === 'done';
  }

  /** Answers the next message, or null when the login failed. */
  step(message: Buffer): Buffer | null {
    if (this.#stage === 'first') return this.#first(message.toString('utf8'));
    if (this.#stage === 'final') return this.#final(message.toString('utf8'));
    return null;
  }

  #first(text: string): Buffer | null {
    const parts = /^((?:n|y),(?:a=([^,]*))?,)(n=([^,]*),r=([^,]+)(?:,.*)?)$/.exec(text);
    if (!parts) return null;
    this.#header = parts[1] as string;
    this.#firstBare = parts[3] as string;
    this.user = plainName(parts[4] as string);
    if (parts[2] !== undefined && plainName(parts[2]) !== this.user) return null;
    this.#credential = this.#lookup(this.user);
    if (!this.#credential) return null;
    this.#nonce = (parts[5] as string) + randomBytes(18).toString('base64').replace(/[+/=]/g, 'x');
    this.#serverFirst = `r=${this.#nonce},s=${this.#credential.salt},i=${this.#credential.iterations}`;
    this.#stage = 'final';
    return Buffer.from(this.#serverFirst);
  }

  #final(text: string): Buffer | null {
    const credential = this.#credential as ScramCredential;
    const parts = /^(c=([^,]*),r=([^,]+)(?:,[^p][^,]*)*),p=(.+)$/.exec(text);
    // Our nonce at the end is what counts, as in Kafka: librdkafka puts its own part in front twice.
    if (!parts?.[3]?.endsWith(this.#nonce) || Buffer.from(parts[2] as string, 'base64').toString('utf8') !== this.#header) return null;
    const hash = HASH[this.#mechanism];
    const authMessage = `${this.#firstBare},${this.#serverFirst},${parts[1]}`;
    const storedKey = Buffer.from(credential.storedKey, 'base64');
    const signature = createHmac(hash, storedKey).update(authMessage).digest();
    const proof = Buffer.from(parts[4] as string, 'base64');
    if (proof.length !== signature.length) return null;
    const clientKey = Buffer.alloc(proof.length);
    for (let i = 0; i < proof.length; i++) clientKey[i] = (proof[i] as number) ^ (signature[i] as number);
    if (!timingSafeEqual(createHash(hash).update(clientKey).digest(), storedKey)) return null;
    this.#stage = 'done';
    const serverKey = Buffer.from(credential.serverKey, 'base64');
    return Buffer.from(`v=${createHmac(hash, serverKey).update(authMessage).digest('base64')}`);
  }
}

/** A name as it was before `,` and `=` were written as numbers. */
function plainName(saslName: string): string {
  return saslName.replace(/=2C/g, ',').replace(/=3D/g, '=');
}
