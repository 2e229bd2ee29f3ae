/**
 * FindCoordinator (key 10).
 *
 * Which broker keeps the state of a group (key type 0) or a transactional id (key type 1).
 *
 * Versions: 1 adds the key type, 3 is flexible, 4 asks for several keys at once (KIP-699); 5 and 6 have the layout of 4.
 */
import { api, array, int8, int16, int32, string } from '../schema.ts';

export const FindCoordinator = api(
  10,
  { name: 'FindCoordinator', versions: '0-6', flexible: '3+' },
  {
    key: string().until(3),
    keyType: int8().since(1),
    coordinatorKeys: array(string()).since(4),
  },
  {
    throttleTimeMs: int32().since(1).ignorable(),
    errorCode: int16().until(3),
    errorMessage: string().nullable().since(1).until(3).ignorable(),
    nodeId: int32().until(3),
    host: string().until(3),
    port: int32().until(3),
    coordinators: array({
      key: string(),
      nodeId: int32(),
      host: string(),
      port: int32(),
      errorCode: int16(),
      errorMessage: string().nullable().ignorable(),
    }).since(4),
  },
);
