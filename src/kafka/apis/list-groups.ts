/**
 * ListGroups (key 16).
 *
 * The groups of this broker. Versions: 3 is flexible, 4 filters by state and answers it (KIP-518), 5 the same for types (KIP-848).
 */
import { api, array, int16, int32, string } from '../schema.ts';

export const ListGroups = api(
  16,
  { name: 'ListGroups', versions: '0-5', flexible: '3+' },
  {
    statesFilter: array(string()).since(4),
    typesFilter: array(string()).since(5),
  },
  {
    throttleTimeMs: int32().since(1).ignorable(),
    errorCode: int16(),
    groups: array({
      groupId: string(),
      protocolType: string(),
      groupState: string().since(4).ignorable(),
      groupType: string().since(5).ignorable(),
    }),
  },
);
