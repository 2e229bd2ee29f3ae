/** SyncGroup (key 14): the leader hands in the assignments, everybody gets theirs; followers wait for it. */
import { SyncGroup } from '../../kafka/apis/sync-group.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

export const syncGroup = handle(SyncGroup, (request, context) => {
  const { broker, client, version } = context;
  const { groupId } = request;
  const refuse = (errorCode: number) => ({ errorCode, protocolType: null, protocolName: null, assignment: Buffer.alloc(0) });
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, groupId)) return refuse(ErrorCode.GROUP_AUTHORIZATION_FAILED);
  if (groupId === '') return refuse(ErrorCode.INVALID_GROUP_ID);
  const answer = broker.groups.wait((ticket) => ({ kind: 'sync', request, version, ticket }), {
    signal: client.gone,
    leave: (ticket) => ({ kind: 'gone', groupId, ticket }),
  });
  return unlessDiskRefuses(answer, context, () => refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE));
});
