/** What admin tools ask about groups: DescribeGroups, ListGroups, DeleteGroups, OffsetDelete (keys 15, 16, 42, 47). */
import { DeleteGroups } from '../../kafka/apis/delete-groups.ts';
import { DescribeGroups } from '../../kafka/apis/describe-groups.ts';
import { ListGroups } from '../../kafka/apis/list-groups.ts';
import { OffsetDelete } from '../../kafka/apis/offset-delete.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { OPERATION, RESOURCE } from '../auth/acl.ts';
import { handle } from '../request.ts';
import { groupOperations } from './authorized-operations.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';
import { Repeats } from './repeats.ts';

export const describeGroups = handle(DescribeGroups, (request, context) => {
  const { broker, client } = context;
  const repeats = new Repeats();
  const groups = request.groups.map((groupId) => {
    if (!broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.group, groupId)) {
      return { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED, groupId, groupState: '', protocolType: '', protocolData: '', members: [] };
    }
    const group = broker.groupState.describe(groupId);
    repeats.count(groupId, group.members.length);
    return request.includeAuthorizedOperations ? { ...group, authorizedOperations: groupOperations(groupId, context) } : group;
  });
  return { groups };
});

export const listGroups = handle(ListGroups, (request, { broker, client }) => ({
  errorCode: ErrorCode.NONE,
  groups: broker.groupState.list(request).filter(({ groupId }) => broker.authorizer.allowed(client, OPERATION.describe, RESOURCE.group, groupId)),
}));

export const deleteGroups = handle(DeleteGroups, async (request, context) => {
  const { broker, client } = context;
  const may = (groupId: string): boolean => broker.authorizer.allowed(client, OPERATION.delete, RESOURCE.group, groupId);
  const names = [...new Set(request.groupsNames)];
  const groups = names.filter(may);
  const { results } = await unlessDiskRefuses(broker.groups.run({ kind: 'delete-groups', groups }), context, () => ({
    results: groups.map((groupId) => ({ groupId, errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE })),
  }));
  const refused = names.filter((groupId) => !may(groupId)).map((groupId) => ({ groupId, errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED }));
  return { results: [...results, ...refused] };
});

export const offsetDelete = handle(OffsetDelete, (request, context) => {
  const { broker, client } = context;
  if (!broker.authorizer.allowed(client, OPERATION.delete, RESOURCE.group, request.groupId))
    return { errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED, topics: [] };
  // Offsets may be committed for the group with no name, as Kafka lets old clients; it is not administered.
  if (request.groupId === '') return { errorCode: ErrorCode.INVALID_GROUP_ID, topics: [] };
  const exists = (topic: string, partition: number): boolean => broker.topics.partition(topic, partition) !== undefined;
  const answer = broker.groups.run({ kind: 'delete-offsets', request, exists });
  return unlessDiskRefuses(answer, context, () => ({ errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, topics: [] }));
});
