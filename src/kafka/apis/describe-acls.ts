/**
 * DescribeAcls (key 29).
 *
 * Lists the access rules that match a filter. Without an authorizer: SECURITY_DISABLED.
 *
 * Versions: 1 adds the pattern type (3 literal, 4 prefixed; in filters also 1 any, 2 match), 2 is flexible, 3 the resource
 * type "user" (KIP-373).
 */
import { api, array, int8, int16, int32, string } from '../schema.ts';

export const DescribeAcls = api(
  29,
  { name: 'DescribeAcls', versions: '0-3', flexible: '2+' },
  {
    resourceTypeFilter: int8(),
    resourceNameFilter: string().nullable(),
    patternTypeFilter: int8().default(3).since(1),
    principalFilter: string().nullable(),
    hostFilter: string().nullable(),
    operation: int8(),
    permissionType: int8(),
  },
  {
    throttleTimeMs: int32().default(0),
    errorCode: int16(),
    errorMessage: string().nullable(),
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      patternType: int8().default(3).since(1),
      acls: array({
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      }),
    }),
  },
);
