/**
 * ListTransactions (key 66).
 *
 * Transactional ids with their state, filtered by state and producer id (KIP-664); version 1 by running time (KIP-994).
 */
import { api, array, int16, int32, int64, string } from '../schema.ts';

export const ListTransactions = api(
  66,
  { name: 'ListTransactions', versions: '0-1', flexible: '0+' },
  {
    stateFilters: array(string()),
    producerIdFilters: array(int64()),
    durationFilter: int64().noLimit().default(-1).since(1),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    unknownStateFilters: array(string()),
    transactionStates: array({
      transactionalId: string(),
      producerId: int64(),
      transactionState: string(),
    }),
  },
);
