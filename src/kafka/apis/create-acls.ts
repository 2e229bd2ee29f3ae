/**
 * CreateAcls (key 30).
 *
 * Adds access rules, each with a result of its own. Versions: 1 adds the pattern type, 2 is flexible, 3 the resource type "user".
 */
import { api, array, int8, int16, int32, string } from '../schema.ts';

export const CreateAcls = api(
  30,
  { name: 'CreateAcls', versions: '0-3', flexible: '2+' },
  {
    creations: array({
      resourceType: int8(),
      resourceName: string(),
      resourcePatternType: int8().default(3).since(1),
      principal: string(),
      host: string(),
      operation: int8(),
      permissionType: int8(),
    }),
  },
  {
    throttleTimeMs: int32().default(0),
    results: array({
      errorCode: int16(),
      errorMessage: string().nullable(),
    }),
  },
);
