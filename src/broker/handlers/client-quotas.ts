/** DescribeClientQuotas and AlterClientQuotas (keys 48 and 49, KIP-546). Kept in the metadata; enforced by quotas.ts. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { AlterClientQuotas } from '../../kafka/apis/alter-client-quotas.ts';
import { DescribeClientQuotas } from '../../kafka/apis/describe-client-quotas.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { RequestOf } from '../../kafka/schema.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import type { QuotaEntity } from '../coordinator/quota-limits.ts';
import { handle } from '../request.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

const MATCH = { exact: 0, byDefault: 1, any: 2 } as const;
const TYPES = ['user', 'client-id', 'ip'];
/** What can be limited, and up to which number; with a fraction only where it is no whole number in Kafka either. */
const KEYS: ReadonlyMap<string, { readonly ofIp?: true; readonly whole?: readonly [name: string, most: number] }> = new Map([
  ['producer_byte_rate', { whole: ['LONG', 2 ** 63] }],
  ['consumer_byte_rate', { whole: ['LONG', 2 ** 63] }],
  ['request_percentage', {}],
  ['controller_mutation_rate', {}],
  ['connection_creation_rate', { ofIp: true, whole: ['INT', 2 ** 31 - 1] }],
]);

type Component = RequestOf<typeof DescribeClientQuotas>['components'][number];

export const describeClientQuotas = handle(DescribeClientQuotas, ({ components, strict }, { broker, client }) => {
  if (!broker.authorizer.allowed(client, OPERATION.describeConfigs, RESOURCE.cluster, CLUSTER_NAME)) {
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, errorMessage: errorMessage(ErrorCode.CLUSTER_AUTHORIZATION_FAILED), entries: null };
  }
  const refusal = filterProblem(components);
  if (refusal) return { ...refusal, entries: null };
  const entries = [...broker.metadata.quotas]
    .filter(({ entity }) => components.every((component) => covers(component, entity)) && (!strict || entity.length === components.length))
    .map(({ entity, values }) => ({
      entity: entity.map(({ type, name }) => ({ entityType: type, entityName: name })),
      values: Object.entries(values).map(([key, value]) => ({ key, value })),
    }));
  return { errorCode: ErrorCode.NONE, errorMessage: '', entries };
});

/** What is wrong with a filter, in the order and words of Kafka's ClientQuotasImage. */
function filterProblem(components: readonly Component[]): { readonly errorCode: number; readonly errorMessage: string } | null {
  const seen = new Set<string>();
  for (const { entityType, matchType, match } of components) {
    const problem =
      entityType === ''
        ? 'Invalid empty entity type.'
        : seen.has(entityType)
          ? `Entity type ${entityType} cannot appear more than once in the filter.`
          : TYPES.includes(entityType)
            ? matchProblem(matchType, match)
            : null;
    if (problem !== null) return { errorCode: ErrorCode.INVALID_REQUEST, errorMessage: problem };
    if (!TYPES.includes(entityType)) return { errorCode: ErrorCode.UNSUPPORTED_VERSION, errorMessage: `Unsupported entity type ${entityType}` };
    seen.add(entityType);
  }
  if (!seen.has('ip') || seen.size === 1) return null;
  const errorMessage = 'Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component.';
  return { errorCode: ErrorCode.INVALID_REQUEST, errorMessage };
}

function matchProblem(matchType: number, match: string | null): string | null {
  switch (matchType) {
    case MATCH.exact:
      return match === null ? 'Request specified MATCH_TYPE_EXACT, but set match string to null.' : null;
    case MATCH.byDefault:
      return match === null ? null : 'Request specified MATCH_TYPE_DEFAULT, but also specified a match string.';
    case MATCH.any:
      return match === null ? null : 'Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.';
    default:
      return `Unknown match type ${matchType}`;
  }
}

function covers({ entityType, matchType, match }: Component, entity: readonly QuotaEntity[]): boolean {
  const part = entity.find(({ type }) => type === entityType);
  if (!part) return false;
  return matchType === MATCH.any || (matchType === MATCH.byDefault ? part.name === null : part.name === match);
}

type Entry = RequestOf<typeof AlterClientQuotas>['entries'][number];

export const alterClientQuotas = handle(AlterClientQuotas, async ({ entries, validateOnly }, context) => {
  const { broker, client } = context;
  const may = broker.authorizer.allowed(client, OPERATION.alterConfigs, RESOURCE.cluster, CLUSTER_NAME);
  const results = [];
  for (const entry of entries) {
    const problem = may ? await problemOf(entry) : null;
    let errorCode: number = may ? (problem ? ErrorCode.INVALID_REQUEST : ErrorCode.NONE) : ErrorCode.CLUSTER_AUTHORIZATION_FAILED;
    if (errorCode === ErrorCode.NONE && !validateOnly) {
      const entity = entry.entity.map(({ entityType, entityName }) => ({ type: entityType, name: entityName }));
      const values = Object.fromEntries(entry.ops.map(({ key, value, remove }) => [key, remove ? null : value]));
      const refused = { errorCode: ErrorCode.KAFKA_STORAGE_ERROR };
      ({ errorCode } = await unlessDiskRefuses(broker.changeMetadata({ kind: 'alter-quota', entity, values }), context, () => refused));
    }
    results.push({ errorCode, errorMessage: problem ?? (errorCode === ErrorCode.NONE ? null : errorMessage(errorCode)), entity: entry.entity });
  }
  return { entries: results };
});

/** Kafka's ClientQuotaControlManager, in its order and words. */
async function problemOf({ entity, ops }: Entry): Promise<string | null> {
  if (entity.length === 0) return 'Invalid empty client quota entity';
  const types = entity.map(({ entityType }) => entityType);
  const badType = types.find((type) => !TYPES.includes(type));
  if (badType !== undefined) return `Unhandled client quota entity type: ${badType}`;
  if (new Set(types).size !== types.length) return 'Invalid client quota entity: types may not repeat';
  const nameless = entity.find(({ entityName }) => entityName === '');
  if (nameless) return `Empty ${nameless.entityType} not supported`;
  const isOfIp = types.includes('ip');
  if (isOfIp && types.length > 1) return 'Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId';
  const address = entity[0]?.entityName ?? null;
  if (isOfIp && address !== null && !(await isAddressOrHost(address))) return `${address} is not a valid IP or resolvable host.`;
  for (const { key, value, remove } of ops) {
    const problem = remove ? null : valueProblem(key, value, isOfIp);
    if (problem !== null) return problem;
  }
  return null;
}

async function isAddressOrHost(name: string): Promise<boolean> {
  if (isIP(name) !== 0) return true;
  return lookup(name).then(
    () => true,
    () => false,
  );
}

function valueProblem(key: string, value: number, isOfIp: boolean): string | null {
  const known = KEYS.get(key);
  if (!known || isOfIp !== (known.ofIp ?? false)) return `Invalid configuration key ${key}`;
  if (!(value > 0)) return `Quota ${key} must be greater than 0`;
  if (!known.whole) return null;
  const [name, most] = known.whole;
  if (value > most) return `Proposed value for ${key} is too large for ${name === 'INT' ? 'an' : 'a'} ${name}.`;
  return value % 1 > 1e-6 ? `${key} cannot be a fractional value.` : null;
}
