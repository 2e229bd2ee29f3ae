/**
 * OffsetFetch (key 9): committed offsets of one group, from version 8 on of several (KIP-709), from 9 on in the name of a
 * member of the new consumer protocol, whose epoch then has to be the present one. Null topics mean all.
 * Version 0 once meant ZooKeeper; it is answered from the same store.
 */
import { OffsetFetch } from '../../kafka/apis/offset-fetch.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import type { OffsetQuery } from '../coordinator/group-offsets.ts';
import { handle, type RequestContext } from '../request.ts';
import { Repeats } from './repeats.ts';

const SEVERAL_GROUPS_SINCE = 8;

export const offsetFetch = handle(OffsetFetch, (request, context) => {
  const { requireStable } = request;
  if (context.version >= SEVERAL_GROUPS_SINCE) {
    const repeats = new Repeats();
    const groups = request.groups.map(({ groupId, memberId, memberEpoch, topics }) => {
      const errorCode = context.broker.groupState.refuseFetch(groupId, memberId, memberEpoch);
      const answer = offsetsOf(groupId, { topics, requireStable }, context);
      // What is asked for by name costs the request as much as the answer.
      if (topics === null)
        repeats.count(
          groupId,
          answer.topics.reduce((sum, { partitions }) => sum + partitions.length, 0),
        );
      return answer.errorCode === ErrorCode.NONE && errorCode !== ErrorCode.NONE ? { groupId, topics: [], errorCode } : { groupId, ...answer };
    });
    return { topics: [], errorCode: ErrorCode.NONE, groups };
  }
  return { ...offsetsOf(request.groupId, { topics: request.topics, requireStable }, context), groups: [] };
});

function offsetsOf(groupId: string, query: OffsetQuery, { broker, client }: RequestContext) {
  if (!broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.group, groupId)) return { topics: [], errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED };
  return { topics: broker.groupState.fetchOffsets(groupId, query), errorCode: ErrorCode.NONE };
}
