/** Heartbeat (key 12): a member lives; the answer says when it has to rejoin. */
import { Heartbeat } from '../../kafka/apis/heartbeat.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';

export const heartbeat = handle(Heartbeat, (request, { broker, client }) => {
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, request.groupId)) return { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED };
  return request.groupId === '' ? { errorCode: ErrorCode.INVALID_GROUP_ID } : broker.groups.run({ kind: 'heartbeat', request });
});
