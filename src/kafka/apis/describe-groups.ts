/**
 * DescribeGroups (key 15).
 *
 * State and members of groups. An unknown group is no error but state `Dead`.
 *
 * Versions: 3 adds authorized operations (-2147483648 = not asked for), 4 instance ids, 5 is flexible.
 */
import { api, array, bool, bytes, int16, int32, string } from '../schema.ts';

export const DescribeGroups = api(
  15,
  { name: 'DescribeGroups', versions: '0-5', flexible: '5+' },
  {
    groups: array(string()),
    includeAuthorizedOperations: bool().since(3),
  },
  {
    throttleTimeMs: int32().since(1).ignorable(),
    groups: array({
      errorCode: int16(),
      groupId: string(),
      groupState: string(),
      protocolType: string(),
      protocolData: string(),
      members: array({
        memberId: string(),
        groupInstanceId: string().nullable().default(null).since(4).ignorable(),
        clientId: string(),
        clientHost: string(),
        memberMetadata: bytes(),
        memberAssignment: bytes(),
      }),
      authorizedOperations: int32().default(-2147483648).since(3),
    }),
  },
);
