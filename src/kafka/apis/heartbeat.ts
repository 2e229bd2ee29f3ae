/**
 * Heartbeat (key 12).
 *
 * A group member says that it lives; REBALANCE_IN_PROGRESS in the answer calls it back to JoinGroup.
 *
 * Versions: 3 adds static membership (KIP-345), 4 is flexible.
 */
import { api, int16, int32, string } from '../schema.ts';

export const Heartbeat = api(
  12,
  { name: 'Heartbeat', versions: '0-4', flexible: '4+' },
  {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string().nullable().default(null).since(3),
  },
  {
    throttleTimeMs: int32().since(1).ignorable(),
    errorCode: int16(),
  },
);
