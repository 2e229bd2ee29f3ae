/** LeaveGroup (key 13): members go; from version 3 on several at once, static ones by their instance id (KIP-345). */
import { LeaveGroup } from '../../kafka/apis/leave-group.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';

export const leaveGroup = handle(LeaveGroup, (request, { broker, client, version }) =>
  broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, request.groupId)
    ? broker.groups.run({ kind: 'leave', request, version })
    : { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED },
);
