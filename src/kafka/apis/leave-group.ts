/**
 * LeaveGroup (key 13).
 *
 * Removes members from a group at once. Versions 0 to 2 carry one member, 3 and later a list (KIP-345: an administrator
 * removes static members by instance id), with an error for each; 4 is flexible, 5 adds the reason (KIP-800).
 */
import { api, array, int16, int32, string } from '../schema.ts';

export const LeaveGroup = api(
  13,
  { name: 'LeaveGroup', versions: '0-5', flexible: '4+' },
  {
    groupId: string(),
    memberId: string().until(2),
    members: array({
      memberId: string(),
      groupInstanceId: string().nullable().default(null),
      reason: string().nullable().default(null).since(5).ignorable(),
    }).since(3),
  },
  {
    throttleTimeMs: int32().since(1).ignorable(),
    errorCode: int16(),
    members: array({
      memberId: string(),
      groupInstanceId: string().nullable(),
      errorCode: int16(),
    }).since(3),
  },
);
