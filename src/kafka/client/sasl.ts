/**
 * Logging in: PLAIN (RFC 4616), SCRAM-SHA-256/512 (RFC 5802, without channel binding) and OAUTHBEARER (RFC 7628), through SaslHandshake and
 * SaslAuthenticate (KIP-152). The server's signature is checked, so that nobody collects proofs by posing as a broker.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ProtocolError } from '../../lib/errors.ts';
import { SaslAuthenticate } from '../apis/sasl-authenticate.ts';
import { SaslHandshake } from '../apis/sasl-handshake.ts';
import { ErrorCode, errorMessage, errorName } from '../errors.ts';
import type { KafkaConnection } from './connection.ts';

interface PasswordLogin {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  readonly username: string;
  readonly password: string;
}

interface TokenLogin {
  readonly mechanism: 'OAUTHBEARER';
  /** A fresh token for each connection. */
  readonly token: () => Promise<string>;
}

export type SaslOptions = PasswordLogin | TokenLogin;

/** @throws ProtocolError with the broker's reason */
export async function login(connection: KafkaConnection, options: SaslOptions): Promise<void> {
  const { errorCode, mechanisms } = await connection.call(SaslHandshake, { mechanism: options.mechanism });
  if (errorCode !== ErrorCode.NONE) {
    const fix = mechanisms.length > 0 ? `use one of ${mechanisms.join(', ')}` : 'is this a SASL listener?';
    throw new ProtocolError(`${options.mechanism} was refused: ${errorName(errorCode)}: ${errorMessage(errorCode)}`, { wireCode: errorCode, fix });
  }
  const who = options.mechanism === 'OAUTHBEARER' ? 'with a token' : `as ${options.username}`;
  const send = async (text: string): Promise<string> => {
    const answer = await connection.call(SaslAuthenticate, { authBytes: Buffer.from(text) });
    if (answer.errorCode === ErrorCode.NONE) return answer.authBytes.toString();
    const reason = answer.errorMessage ?? errorMessage(answer.errorCode);
    throw new ProtocolError(`login ${who} failed: ${reason}`, { wireCode: answer.errorCode, fix: 'check user name and password' });
  };
  if (options.mechanism === 'OAUTHBEARER') await send(`n,,\x01auth=Bearer ${await options.token()}\x01\x01`);
  else if (options.mechanism === 'PLAIN') await send(`\0${options.username}\0${options.password}`);
  else await scram(send, options, options.mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512');
}

const derive = promisify(pbkdf2);

async function scram(send: (text: string) => Promise<string>, { username, password }: PasswordLogin, hash: 'sha256' | 'sha512'): Promise<void> {
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const nonce = randomBytes(18).toString('base64url');
  const first = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  const challenge = await send(`n,,${first}`);
  const { r: fullNonce = '', s: salt = '', i: iterations = '' } = attributes(challenge);
  if (!fullNonce.startsWith(nonce) || salt === '' || !(Number(iterations) >= 1))
    throw new ProtocolError(`the broker's SCRAM challenge makes no sense: ${challenge}`);
  const salted = await derive(password.normalize('NFKC'), Buffer.from(salt, 'base64'), Number(iterations), hash === 'sha256' ? 32 : 64, hash);
  const final = `c=biws,r=${fullNonce}`;
  const message = `${first},${challenge},${final}`;
  const clientKey = hmac(salted, 'Client Key');
  const signature = hmac(createHash(hash).update(clientKey).digest(), message);
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!));
  const { v: verifier = '', e: error } = attributes(await send(`${final},p=${proof.toString('base64')}`));
  if (error !== undefined) throw new ProtocolError(`login as ${username} failed: ${error}`, { wireCode: ErrorCode.SASL_AUTHENTICATION_FAILED });
  const expected = hmac(hmac(salted, 'Server Key'), message);
  const given = Buffer.from(verifier, 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new ProtocolError('the broker does not know the password it asks for: its signature is wrong');
}

/** "a=1,b=2" as an object. */
function attributes(text: string): { readonly [name: string]: string | undefined } {
  return Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));
}
