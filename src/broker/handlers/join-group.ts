/** JoinGroup (key 11): becomes or stays a member of a group; waits for the others (rules: coordinator/group-membership.ts). */
import { JoinGroup } from '../../kafka/apis/join-group.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';

export const joinGroup = handle(JoinGroup, (request, { broker, client, version }) => {
  const { groupId } = request;
  if (!broker.authorizer.allowed(client, OPERATION.read, RESOURCE.group, groupId)) {
    const { memberId } = request;
    return {
      errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED,
      generationId: -1,
      protocolType: null,
      protocolName: version >= 7 ? null : '',
      leader: '',
      memberId,
      members: [],
    };
  }
  return broker.groups.wait((ticket) => ({ kind: 'join', request, version, ticket, clientId: client.clientId, clientHost: `/${client.host}` }), {
    signal: client.gone,
    leave: (ticket) => ({ kind: 'gone', groupId, ticket }),
  });
});
