/**
 * DescribeUserScramCredentials (key 50).
 *
 * Mechanisms (1 SCRAM-SHA-256, 2 SCRAM-SHA-512) and iterations of users' SCRAM credentials (KIP-554); never the secrets.
 */
import { api, array, int8, int16, int32, string } from '../schema.ts';

export const DescribeUserScramCredentials = api(
  50,
  { name: 'DescribeUserScramCredentials', versions: '0', flexible: '0+' },
  {
    users: array({
      name: string(),
    }).nullable(),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    errorMessage: string().nullable(),
    results: array({
      user: string(),
      errorCode: int16(),
      errorMessage: string().nullable(),
      credentialInfos: array({
        mechanism: int8(),
        iterations: int32(),
      }),
    }),
  },
);
