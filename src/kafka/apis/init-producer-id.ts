/**
 * InitProducerId (key 22).
 *
 * Gives a producer its id and epoch; with a transactional id it also fences the predecessor and aborts what it left open.
 *
 * Versions: 2 is flexible, 3 takes the current id and epoch (KIP-360), 4 may answer PRODUCER_FENCED, 5 TRANSACTION_ABORTABLE.
 */
import { api, int16, int32, int64, string } from '../schema.ts';

export const InitProducerId = api(
  22,
  { name: 'InitProducerId', versions: '0-5', flexible: '2+' },
  {
    transactionalId: string().nullable(),
    transactionTimeoutMs: int32(),
    producerId: int64().default(-1).since(3),
    producerEpoch: int16().default(-1).since(3),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    producerId: int64().default(-1),
    producerEpoch: int16(),
  },
);
