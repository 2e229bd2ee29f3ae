/** LeaveGroup (key 13): members go; from version 3 on several at once, static ones by their instance id (KIP-345). */
import { LeaveGroup } from '../../kafka/apis/leave-group.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

export const leaveGroup = handle(LeaveGroup, (request, context) => {
  const { broker, client, version } = context;
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, request.groupId)) return { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED };
  return unlessDiskRefuses(broker.groups.run({ kind: 'leave', request, version }), context, () => ({ errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE }));
});
