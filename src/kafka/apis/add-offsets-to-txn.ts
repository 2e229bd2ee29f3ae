/**
 * AddOffsetsToTxn (key 25).
 *
 * Declares that a group's offsets are part of a transaction: adds the group's partition of __consumer_offsets (KIP-98).
 *
 * Versions: 3 is flexible, 4 may answer TRANSACTION_ABORTABLE (KIP-890).
 */
import { api, int16, int32, int64, string } from '../schema.ts';

export const AddOffsetsToTxn = api(
  25,
  { name: 'AddOffsetsToTxn', versions: '0-4', flexible: '3+' },
  {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    groupId: string(),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
  },
);
