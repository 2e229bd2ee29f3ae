/** The bit fields of allowed operations that Metadata, DescribeCluster and DescribeGroups answer when asked (KIP-430). */
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import type { RequestContext } from '../request.ts';

const TOPIC = [
  OPERATION.read,
  OPERATION.write,
  OPERATION.create,
  OPERATION.delete,
  OPERATION.alter,
  OPERATION.describe,
  OPERATION.describeConfigs,
  OPERATION.alterConfigs,
];
const CLUSTER = [
  OPERATION.create,
  OPERATION.alter,
  OPERATION.describe,
  OPERATION.clusterAction,
  OPERATION.describeConfigs,
  OPERATION.alterConfigs,
  OPERATION.idempotentWrite,
];
const GROUP = [OPERATION.read, OPERATION.delete, OPERATION.describe];

function bits(operations: readonly number[], resourceType: number, name: string, { broker, client }: RequestContext): number {
  return operations.reduce((sum, operation) => (broker.authorizer.allowed(client, operation, resourceType, name) ? sum | (1 << operation) : sum), 0);
}

export function topicOperations(name: string, context: RequestContext): number {
  return bits(TOPIC, RESOURCE.topic, name, context);
}

export function clusterOperations(context: RequestContext): number {
  return bits(CLUSTER, RESOURCE.cluster, CLUSTER_NAME, context);
}

export function groupOperations(groupId: string, context: RequestContext): number {
  return bits(GROUP, RESOURCE.group, groupId, context);
}
