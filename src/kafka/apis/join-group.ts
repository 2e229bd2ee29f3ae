/**
 * JoinGroup (key 11).
 *
 * Enters a consumer group; answered when the rebalance is complete. The leader is given all members, to assign partitions.
 *
 * Versions: 0 has no rebalance timeout, 4 answers MEMBER_ID_REQUIRED to a first join without id (KIP-394), 5 adds static
 * membership (KIP-345), 6 is flexible, 7 the protocol type and a nullable protocol name, 8 the reason (KIP-800), 9
 * skipAssignment (KIP-814). `protocolName` is "" before version 7 and null from then on when there is an error.
 */
import { api, array, bool, bytes, int16, int32, string } from '../schema.ts';

export const JoinGroup = api(
  11,
  { name: 'JoinGroup', versions: '0-9', flexible: '6+' },
  {
    groupId: string(),
    sessionTimeoutMs: int32(),
    rebalanceTimeoutMs: int32().default(-1).since(1).ignorable(),
    memberId: string(),
    groupInstanceId: string().nullable().default(null).since(5),
    protocolType: string(),
    protocols: array({
      name: string(),
      metadata: bytes(),
    }),
    reason: string().nullable().default(null).since(8).ignorable(),
  },
  {
    throttleTimeMs: int32().since(2).ignorable(),
    errorCode: int16(),
    generationId: int32().default(-1),
    protocolType: string().nullable().default(null).since(7).ignorable(),
    protocolName: string().nullable('7+'),
    leader: string(),
    skipAssignment: bool().since(9),
    memberId: string(),
    members: array({
      memberId: string(),
      groupInstanceId: string().nullable().default(null).since(5).ignorable(),
      metadata: bytes(),
    }),
  },
);
