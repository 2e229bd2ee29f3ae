/** DescribeClientQuotas and AlterClientQuotas (keys 48 and 49, KIP-546). Kept in the metadata; enforced by quotas.ts. */
import { AlterClientQuotas } from '../../kafka/apis/alter-client-quotas.ts';
import { DescribeClientQuotas } from '../../kafka/apis/describe-client-quotas.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { RequestOf } from '../../kafka/schema.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import type { QuotaEntity } from '../coordinator/metadata.ts';
import { handle } from '../request.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';

const MATCH = { exact: 0, byDefault: 1, any: 2 } as const;
const TYPES = ['user', 'client-id', 'ip'];
const KEYS = ['producer_byte_rate', 'consumer_byte_rate', 'request_percentage', 'controller_mutation_rate', 'connection_creation_rate'];

type Component = RequestOf<typeof DescribeClientQuotas>['components'][number];

export const describeClientQuotas = handle(DescribeClientQuotas, ({ components, strict }, { broker, client }) => {
  if (!broker.authorizer.allowed(client, OPERATION.describeConfigs, RESOURCE.cluster, CLUSTER_NAME)) {
    return { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, errorMessage: errorMessage(ErrorCode.CLUSTER_AUTHORIZATION_FAILED), entries: null };
  }
  const unknown = components.find(({ entityType }) => !TYPES.includes(entityType));
  if (unknown) return { errorCode: ErrorCode.UNSUPPORTED_VERSION, errorMessage: `Custom entity type '${unknown.entityType}' not supported`, entries: null };
  const entries = [...broker.metadata.quotas]
    .filter(({ entity }) => components.every((component) => covers(component, entity)) && (!strict || entity.length === components.length))
    .map(({ entity, values }) => ({
      entity: entity.map(({ type, name }) => ({ entityType: type, entityName: name })),
      values: Object.entries(values).map(([key, value]) => ({ key, value })),
    }));
  return { errorCode: ErrorCode.NONE, errorMessage: null, entries };
});

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
    const problem = may ? problemOf(entry) : null;
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

function problemOf({ entity, ops }: Entry): string | null {
  const types = entity.map(({ entityType }) => entityType);
  if (entity.length === 0) return 'Invalid empty client quota entity';
  const badType = types.find((type) => !TYPES.includes(type));
  if (badType !== undefined) return `Unhandled client quota entity type: ${badType}`;
  if (new Set(types).size !== types.length || (types.includes('ip') && types.length > 1))
    return 'Invalid client quota entity: types may not repeat, and ip stands alone';
  const badKey = ops.find(({ key, remove }) => !remove && !KEYS.includes(key));
  if (badKey) return `Invalid quota key ${badKey.key}`;
  const badValue = ops.find(({ value, remove }) => !remove && !(value > 0));
  return badValue ? `Quota ${badValue.key} must be greater than 0` : null;
}
