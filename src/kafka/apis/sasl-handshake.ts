/**
 * SaslHandshake (key 17).
 *
 * Names the SASL mechanism; never flexible. After version 0 the tokens travel as raw (int32 size, bytes) without Kafka
 * headers, after version 1 inside SaslAuthenticate (KIP-152).
 */
import { api, array, int16, string } from '../schema.ts';

export const SaslHandshake = api(
  17,
  { name: 'SaslHandshake', versions: '0-1' },
  {
    mechanism: string(),
  },
  {
    errorCode: int16(),
    mechanisms: array(string()),
  },
);
