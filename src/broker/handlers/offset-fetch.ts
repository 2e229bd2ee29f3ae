/**
 * OffsetFetch (key 9): committed offsets of one group, from version 8 on of several (KIP-709). Null topics mean all.
 * Version 0 once meant ZooKeeper; it is answered from the same store.
 */
import { OffsetFetch } from '../../kafka/apis/offset-fetch.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import type { OffsetQuery } from '../coordinator/group-offsets.ts';
import { handle, type RequestContext } from '../request.ts';

const SEVERAL_GROUPS_SINCE = 8;

export const offsetFetch = handle(OffsetFetch, (request, context) => {
  const { requireStable } = request;
  if (context.version >= SEVERAL_GROUPS_SINCE) {
    const groups = request.groups.map(({ groupId, topics }) => ({ groupId, ...offsetsOf(groupId, { topics, requireStable }, context) }));
    return { topics: [], errorCode: ErrorCode.NONE, groups };
  }
  return { ...offsetsOf(request.groupId, { topics: request.topics, requireStable }, context), groups: [] };
});

function offsetsOf(groupId: string, query: OffsetQuery, { broker, client }: RequestContext) {
  if (!broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.group, groupId)) return { topics: [], errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED };
  return { topics: broker.groupState.fetchOffsets(groupId, query), errorCode: ErrorCode.NONE };
}
