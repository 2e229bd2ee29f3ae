/**
 * DeleteAcls (key 31).
 *
 * Deletes all access rules that match the filters and answers them. Versions: 1 adds the pattern type, 2 is flexible, 3 the
 * resource type "user".
 */
import { api, array, int8, int16, int32, string } from '../schema.ts';

export const DeleteAcls = api(
  31,
  { name: 'DeleteAcls', versions: '0-3', flexible: '2+' },
  {
    filters: array({
      resourceTypeFilter: int8(),
      resourceNameFilter: string().nullable(),
      patternTypeFilter: int8().default(3).since(1),
      principalFilter: string().nullable(),
      hostFilter: string().nullable(),
      operation: int8(),
      permissionType: int8(),
    }),
  },
  {
    throttleTimeMs: int32().default(0),
    filterResults: array({
      errorCode: int16(),
      errorMessage: string().nullable(),
      matchingAcls: array({
        errorCode: int16(),
        errorMessage: string().nullable(),
        resourceType: int8(),
        resourceName: string(),
        patternType: int8().default(3).since(1),
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      }),
    }),
  },
);
