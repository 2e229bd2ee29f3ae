/**
 * Access control (Kafka's StandardAuthorizer): deny beats allow; literal, `*` and prefixed patterns; super users may
 * everything; without any matching ACL the setting allow.everyone.if.no.acl.found decides.
 */

/** Resource types, operations, permissions and patterns as the wire numbers them. */
export const RESOURCE = { any: 1, topic: 2, group: 3, cluster: 4, transactionalId: 5, token: 6, user: 7 } as const;
export const OPERATION = {
  any: 1,
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
} as const;
export const PERMISSION = { any: 1, deny: 2, allow: 3 } as const;
export const PATTERN = { any: 1, match: 2, literal: 3, prefixed: 4 } as const;
/** Describe tokens. */
export const LAST_OPERATION = 14;
/** Name of the one resource of type cluster. */
export const CLUSTER_NAME = 'kafka-cluster';

export interface AclBinding {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly patternType: number;
  /** `User:name` or `User:*`. */
  readonly principal: string;
  /** An address or `*`. */
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}

/** A filter; null and the `any` numbers match everything. */
export interface AclFilter {
  readonly resourceType: number;
  readonly resourceName: string | null;
  readonly patternType: number;
  readonly principal: string | null;
  readonly host: string | null;
  readonly operation: number;
  readonly permissionType: number;
}

/** Who asks: principal `User:name` and the address without a slash. */
export interface Caller {
  readonly principal: string;
  readonly host: string;
}

/** Operations that another operation implies (Kafka's AclOperation documentation). */
const IMPLIED_BY: Readonly<Record<number, readonly number[]>> = {
  [OPERATION.describe]: [OPERATION.read, OPERATION.write, OPERATION.delete, OPERATION.alter],
  [OPERATION.describeConfigs]: [OPERATION.alterConfigs],
};

export interface Authorizer {
  /** Whether the caller may do `operation` on the resource. */
  allowed(caller: Caller, operation: number, resourceType: number, resourceName: string): boolean;
  /** Whether the caller may do `operation` on at least one resource of the type (InitProducerId without an id). */
  allowedAny(caller: Caller, operation: number, resourceType: number): boolean;
}

/** No authorizer configured: everybody may everything. */
export const OPEN: Authorizer = { allowed: () => true, allowedAny: () => true };

/**
 * An authorizer over a live set of bindings.
 * @param bindings read at every question, so changes take effect at once
 */
export function aclAuthorizer(
  bindings: () => Iterable<AclBinding>,
  options: { readonly superUsers: ReadonlySet<string>; readonly allowIfNone: boolean },
): Authorizer {
  return {
    allowed: (caller, operation, type, name) => {
      if (options.superUsers.has(caller.principal)) return true;
      let any = false;
      let allow = false;
      for (const binding of bindings()) {
        if (binding.resourceType !== type || !covers(binding, name)) continue;
        any = true;
        if (!forCaller(binding, caller)) continue;
        if (binding.permissionType !== PERMISSION.deny) allow ||= grants(binding.operation, operation);
        else if (binding.operation === OPERATION.all || binding.operation === operation) return false;
      }
      return any ? allow : options.allowIfNone;
    },
    allowedAny: (caller, operation, type) =>
      options.superUsers.has(caller.principal) || allowsAny(bindings(), caller, { operation, type }, options.allowIfNone),
  };
}

/** Whether some resource of a type is allowed: one that no deny rule takes back (KIP-679, Authorizer.authorizeByResourceType). */
function allowsAny(
  bindings: Iterable<AclBinding>,
  caller: Caller,
  { operation, type }: { readonly operation: number; readonly type: number },
  allowIfNone: boolean,
): boolean {
  const mine = [...bindings].filter((binding) => binding.resourceType === type && forCaller(binding, caller));
  const denied = mine.filter(
    (binding) => binding.permissionType === PERMISSION.deny && (binding.operation === OPERATION.all || binding.operation === operation),
  );
  if (denied.some(({ patternType, resourceName }) => patternType === PATTERN.literal && resourceName === '*')) return false;
  const taken = (allow: AclBinding): boolean =>
    denied.some((deny) =>
      deny.patternType === PATTERN.prefixed
        ? allow.resourceName !== '*' && allow.resourceName.startsWith(deny.resourceName)
        : allow.patternType === PATTERN.literal && allow.resourceName === deny.resourceName,
    );
  return allowIfNone || mine.some((binding) => binding.permissionType === PERMISSION.allow && grants(binding.operation, operation) && !taken(binding));
}

function grants(granted: number, asked: number): boolean {
  return granted === OPERATION.all || granted === asked || (IMPLIED_BY[asked]?.includes(granted) ?? false);
}

function forCaller(binding: AclBinding, caller: Caller): boolean {
  return (binding.principal === caller.principal || binding.principal === 'User:*') && (binding.host === '*' || binding.host === caller.host);
}

function covers(binding: AclBinding, name: string): boolean {
  if (binding.patternType === PATTERN.prefixed) return name.startsWith(binding.resourceName);
  return binding.resourceName === name || binding.resourceName === '*';
}

/** Whether a binding is what a Describe or Delete filter asks for. */
export function matchesFilter(binding: AclBinding, filter: AclFilter): boolean {
  return (
    (filter.resourceType === RESOURCE.any || filter.resourceType === binding.resourceType) &&
    patternMatches(binding, filter) &&
    (filter.principal === null || filter.principal === binding.principal) &&
    (filter.host === null || filter.host === binding.host) &&
    (filter.operation === OPERATION.any || filter.operation === binding.operation) &&
    (filter.permissionType === PERMISSION.any || filter.permissionType === binding.permissionType)
  );
}

function patternMatches(binding: AclBinding, filter: AclFilter): boolean {
  if (filter.patternType === PATTERN.match) return filter.resourceName === null || covers(binding, filter.resourceName);
  if (filter.patternType !== PATTERN.any && filter.patternType !== binding.patternType) return false;
  return filter.resourceName === null || filter.resourceName === binding.resourceName;
}

/** True when the numbers of a binding to be created are real ones, not `any` or `match`. */
export function isConcrete(binding: AclBinding): boolean {
  return (
    binding.resourceType >= RESOURCE.topic &&
    binding.resourceType <= RESOURCE.user &&
    (binding.patternType === PATTERN.literal || binding.patternType === PATTERN.prefixed) &&
    binding.operation >= OPERATION.all &&
    binding.operation <= LAST_OPERATION &&
    (binding.permissionType === PERMISSION.allow || binding.permissionType === PERMISSION.deny) &&
    binding.resourceName !== ''
  );
}
