/**
 * DeleteGroups (key 42).
 *
 * Deletes empty groups with their offsets (KIP-229). Version 2 is flexible.
 */
import { api, array, int16, int32, string } from '../schema.ts';

export const DeleteGroups = api(
  42,
  { name: 'DeleteGroups', versions: '0-2', flexible: '2+' },
  {
    groupsNames: array(string()),
  },
  {
    throttleTimeMs: int32().default(0),
    results: array({
      groupId: string(),
      errorCode: int16(),
    }),
  },
);
