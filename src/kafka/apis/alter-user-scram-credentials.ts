/**
 * AlterUserScramCredentials (key 51).
 *
 * Deletes and upserts SCRAM credentials (KIP-554). The client salts the password; 4096 to 16384 iterations.
 */
import { api, array, bytes, int8, int16, int32, string } from '../schema.ts';

export const AlterUserScramCredentials = api(
  51,
  { name: 'AlterUserScramCredentials', versions: '0', flexible: '0+' },
  {
    deletions: array({
      name: string(),
      mechanism: int8(),
    }),
    upsertions: array({
      name: string(),
      mechanism: int8(),
      iterations: int32(),
      salt: bytes(),
      saltedPassword: bytes(),
    }),
  },
  {
    throttleTimeMs: int32().default(0),
    results: array({
      user: string(),
      errorCode: int16(),
      errorMessage: string().nullable(),
    }),
  },
);
