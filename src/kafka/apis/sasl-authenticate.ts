/**
 * SaslAuthenticate (key 36).
 *
 * Carries the tokens of the mechanism that SaslHandshake agreed on (KIP-152). Versions: 1 adds the session lifetime
 * (KIP-368; 0 = no re-authentication), 2 is flexible.
 */
import { api, bytes, int16, int64, string } from '../schema.ts';

export const SaslAuthenticate = api(
  36,
  { name: 'SaslAuthenticate', versions: '0-2', flexible: '2+' },
  {
    authBytes: bytes(),
  },
  {
    errorCode: int16(),
    errorMessage: string().nullable(),
    authBytes: bytes(),
    sessionLifetimeMs: int64().since(1).ignorable(),
  },
);
