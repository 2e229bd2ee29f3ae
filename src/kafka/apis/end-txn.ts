/**
 * EndTxn (key 26).
 *
 * Commits or aborts a transaction (KIP-98). Versions: 3 is flexible, 4 may answer TRANSACTION_ABORTABLE (KIP-890).
 */
import { api, bool, int16, int32, int64, string } from '../schema.ts';

export const EndTxn = api(
  26,
  { name: 'EndTxn', versions: '0-4', flexible: '3+' },
  {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    committed: bool(),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
  },
);
