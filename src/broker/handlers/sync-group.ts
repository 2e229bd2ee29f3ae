/** SyncGroup (key 14): the leader hands in the assignments, everybody gets theirs; followers wait for it. */
import { SyncGroup } from '../../kafka/apis/sync-group.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';

export const syncGroup = handle(SyncGroup, (request, { broker, client, version }) => {
  const { groupId } = request;
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, groupId)) {
    return { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED, protocolType: null, protocolName: null, assignment: Buffer.alloc(0) };
  }
  return broker.groups.wait((ticket) => ({ kind: 'sync', request, version, ticket }), {
    signal: client.gone,
    leave: (ticket) => ({ kind: 'gone', groupId, ticket }),
  });
});
