/**
 * SyncGroup (key 14).
 *
 * The leader hands in the assignments, every member gets its own; followers wait for the leader.
 *
 * Versions: 3 adds static membership, 4 is flexible, 5 protocol type and name, to be compared with the group's (KIP-559).
 */
import { api, array, bytes, int16, int32, string } from '../schema.ts';

export const SyncGroup = api(
  14,
  { name: 'SyncGroup', versions: '0-5', flexible: '4+' },
  {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string().nullable().default(null).since(3),
    protocolType: string().nullable().default(null).since(5).ignorable(),
    protocolName: string().nullable().default(null).since(5).ignorable(),
    assignments: array({
      memberId: string(),
      assignment: bytes(),
    }),
  },
  {
    throttleTimeMs: int32().since(1).ignorable(),
    errorCode: int16(),
    protocolType: string().nullable().default(null).since(5).ignorable(),
    protocolName: string().nullable().default(null).since(5).ignorable(),
    assignment: bytes(),
  },
);
