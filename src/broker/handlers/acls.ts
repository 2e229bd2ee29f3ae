/**
 * DescribeAcls, CreateAcls, DeleteAcls (keys 29 to 31, KIP-140, KIP-290). Without an authorizer: SECURITY_DISABLED.
 * Changes are answered when they are on disk.
 */
import { CreateAcls } from '../../kafka/apis/create-acls.ts';
import { DeleteAcls } from '../../kafka/apis/delete-acls.ts';
import { DescribeAcls } from '../../kafka/apis/describe-acls.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { type AclBinding, type AclFilter, CLUSTER_NAME, isConcrete, LAST_OPERATION, matchesFilter, OPERATION, PATTERN, RESOURCE } from '../auth/acl.ts';
import { handle, type RequestContext } from '../request.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

const NO_AUTHORIZER = 'No Authorizer is configured.';

/** NONE, or why the caller may not do this to the cluster's rules. */
function refusal(operation: number, { broker, client }: RequestContext): { readonly errorCode: number; readonly errorMessage: string | null } {
  if (!broker.hasAuthorizer) return { errorCode: ErrorCode.SECURITY_DISABLED, errorMessage: NO_AUTHORIZER };
  const errorCode = broker.authorizer.allowed(client, operation, RESOURCE.cluster, CLUSTER_NAME) ? ErrorCode.NONE : ErrorCode.CLUSTER_AUTHORIZATION_FAILED;
  return { errorCode, errorMessage: errorCode === ErrorCode.NONE ? null : errorMessage(errorCode) };
}

interface WireFilter {
  readonly resourceTypeFilter: number;
  readonly resourceNameFilter: string | null;
  readonly patternTypeFilter: number;
  readonly principalFilter: string | null;
  readonly hostFilter: string | null;
  readonly operation: number;
  readonly permissionType: number;
}

function filterOf(wire: WireFilter): AclFilter {
  return {
    resourceType: wire.resourceTypeFilter,
    resourceName: wire.resourceNameFilter,
    patternType: wire.patternTypeFilter,
    principal: wire.principalFilter,
    host: wire.hostFilter,
    operation: wire.operation,
    permissionType: wire.permissionType,
  };
}

export const describeAcls = handle(DescribeAcls, (request, context) => {
  const refused = refusal(OPERATION.describe, context);
  if (refused.errorCode === ErrorCode.SECURITY_DISABLED) return { ...refused, errorMessage: 'No Authorizer is configured on the broker', resources: [] };
  if (refused.errorCode !== ErrorCode.NONE) return { ...refused, resources: [] };
  const filter = filterOf(request);
  const byResource = new Map<string, AclBinding[]>();
  for (const binding of context.broker.metadata.acls) {
    if (!matchesFilter(binding, filter)) continue;
    const key = `${binding.resourceType} ${binding.patternType} ${binding.resourceName}`;
    byResource.set(key, [...(byResource.get(key) ?? []), binding]);
  }
  const resources = [...byResource.values()].map((bindings) => {
    const { resourceType, resourceName, patternType } = bindings[0] as AclBinding;
    return {
      resourceType,
      resourceName,
      patternType,
      acls: bindings.map(({ principal, host, operation, permissionType }) => ({ principal, host, operation, permissionType })),
    };
  });
  return { errorCode: ErrorCode.NONE, errorMessage: '', resources };
});

export const createAcls = handle(CreateAcls, async (request, context) => {
  const refused = refusal(OPERATION.alter, context);
  if (refused.errorCode !== ErrorCode.NONE) return { results: request.creations.map(() => refused) };
  const bindings = request.creations.map(({ resourcePatternType, ...rest }) => ({ ...rest, patternType: resourcePatternType }));
  const results = bindings.map((binding) => {
    const bad = bindingError(binding) ?? principalError(binding.principal);
    return { errorCode: bad ? ErrorCode.INVALID_REQUEST : ErrorCode.NONE, errorMessage: bad ?? '' };
  });
  const good = bindings.filter((_, i) => results[i]?.errorCode === ErrorCode.NONE);
  const stored = context.broker.changeMetadata({ kind: 'create-acls', bindings: good });
  return unlessDiskRefuses(
    stored.then(() => ({ results })),
    context,
    (text) => ({ results: results.map(() => ({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR, errorMessage: text })) }),
  );
});

function principalError(principal: string): string | null {
  return principal.includes(':')
    ? null
    : `Could not parse principal from \`${principal}\` (no colon is present separating the principal type from the principal name)`;
}

/** What keeps a rule from being one, in the words of Kafka's AclControlManager. */
function bindingError(binding: AclBinding): string | null {
  const { resourceType, resourceName, patternType, operation } = binding;
  if (resourceName === '') return 'Invalid empty resource name';
  if (resourceType === RESOURCE.cluster && resourceName !== CLUSTER_NAME) return `The only valid name for the CLUSTER resource is ${CLUSTER_NAME}`;
  if (isConcrete(binding)) return null;
  if (resourceType < RESOURCE.topic || resourceType > RESOURCE.user) return `Invalid resourceType ${vague(resourceType)}`;
  if (patternType !== PATTERN.literal && patternType !== PATTERN.prefixed)
    return `Invalid patternType ${patternType === PATTERN.match ? 'MATCH' : vague(patternType)}`;
  if (operation < OPERATION.all || operation > LAST_OPERATION) return `Invalid operation ${vague(operation)}`;
  return `Invalid permissionType ${vague(binding.permissionType)}`;
}

/** 1 is "any" in each of them. */
function vague(code: number): string {
  return code === RESOURCE.any ? 'ANY' : 'UNKNOWN';
}

export const deleteAcls = handle(DeleteAcls, async (request, context) => {
  const refused = refusal(OPERATION.alter, context);
  if (refused.errorCode !== ErrorCode.NONE) return { filterResults: request.filters.map(() => ({ ...refused, matchingAcls: [] })) };
  const known = [...context.broker.metadata.acls];
  const matches = request.filters.map((filter) => known.filter((binding) => matchesFilter(binding, filterOf(filter))));
  const stored = context.broker.changeMetadata({ kind: 'delete-acls', bindings: [...new Set(matches.flat())] });
  const { errorCode } = await unlessDiskRefuses(stored, context, () => ({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR }));
  if (errorCode !== ErrorCode.NONE) {
    return { filterResults: request.filters.map(() => ({ errorCode, errorMessage: errorMessage(errorCode), matchingAcls: [] })) };
  }
  const filterResults = matches.map((bindings) => ({
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    matchingAcls: bindings.map((binding) => ({ errorCode: ErrorCode.NONE, errorMessage: null, ...binding })),
  }));
  return { filterResults };
});
