/** JoinGroup (key 11): becomes or stays a member of a group; waits for the others (rules: coordinator/group-membership.ts). */
import { JoinGroup } from '../../kafka/apis/join-group.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

export const joinGroup = handle(JoinGroup, (request, context) => {
  const { broker, client, version } = context;
  const { groupId, memberId } = request;
  const refuse = (errorCode: number) => ({
    errorCode,
    generationId: -1,
    protocolType: null,
    protocolName: version >= 7 ? null : '',
    leader: '',
    memberId,
    members: [],
  });
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, groupId)) return refuse(ErrorCode.GROUP_AUTHORIZATION_FAILED);
  const mayDescribe = (topic: string): boolean => broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.topic, topic);
  const caller = { clientId: client.clientId, clientHost: `/${client.host}`, mayDescribe };
  const answer = broker.groups.wait((ticket) => ({ kind: 'join', request, version, ticket, ...caller }), {
    signal: client.gone,
    leave: (ticket) => ({ kind: 'gone', groupId, ticket }),
  });
  return unlessDiskRefuses(answer, context, () => refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE));
});
