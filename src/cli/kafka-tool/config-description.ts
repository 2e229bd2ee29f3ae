/** `kafka-configs --describe`. */
import { DescribeClientQuotas } from '../../kafka/apis/describe-client-quotas.ts';
import { DescribeConfigs } from '../../kafka/apis/describe-configs.ts';
import { DescribeUserScramCredentials } from '../../kafka/apis/describe-user-scram-credentials.ts';
import type { ResponseOf } from '../../kafka/schema.ts';
import { check } from './cluster.ts';
import { type ConfigJob, type Entity, QUOTA_TYPE, SCRAM, TYPES } from './config-entities.ts';
import { listGroups } from './group-state.ts';
import { javaDouble } from './java-text.ts';
import { out } from './output.ts';

const SOURCES: Readonly<Record<number, string>> = {
  1: 'DYNAMIC_TOPIC_CONFIG',
  2: 'DYNAMIC_BROKER_CONFIG',
  3: 'DYNAMIC_DEFAULT_BROKER_CONFIG',
  4: 'STATIC_BROKER_CONFIG',
  5: 'DEFAULT_CONFIG',
  6: 'DYNAMIC_BROKER_LOGGER_CONFIG',
  7: 'DYNAMIC_CLIENT_METRICS_CONFIG',
  8: 'DYNAMIC_GROUP_CONFIG',
};

type ConfigEntry = ResponseOf<typeof DescribeConfigs>['results'][number]['configs'][number];

export async function describeEntity(job: ConfigJob): Promise<void> {
  const first = job.entities[0] as Entity;
  if (TYPES.get(first.type) !== 0) return describeResources(job, first);
  await describeQuotas(job);
  if (first.type === 'users' && job.entities.length === 1) await describeScram(job, first.name);
}

async function describeResources(job: ConfigJob, { type, name }: Entity): Promise<void> {
  const all = job.options.has('all');
  for (const one of name === undefined ? await namesOf(job, type) : [name]) {
    const kind = type.replace(/s$/, '');
    if (job.options.has('zookeeper')) {
      const entries = await configsOf(job, type, one);
      out(
        `Configs for ${kind} '${one}' are ${entries
          .filter((entry) => isOwn(entry, type, one))
          .map((entry) => `${entry.name}=${entry.value}`)
          .join(',')}\n`,
      );
      continue;
    }
    if (one === '' && type === 'brokers') out('Default configs for brokers in the cluster are:\n');
    else out(`${all ? 'All' : 'Dynamic'} configs for ${kind} ${one} are:\n`);
    const entries = await configsOf(job, type, one);
    for (const entry of entries) if (all || isOwn(entry, type, one)) out(entryLine(entry));
  }
}

function entryLine({ name, value, isSensitive, synonyms }: ConfigEntry): string {
  const list = synonyms.map((synonym) => `${SOURCES[synonym.source] ?? 'UNKNOWN'}:${synonym.name}=${synonym.value}`).join(', ');
  return `  ${name}=${value} sensitive=${isSensitive} synonyms={${list}}\n`;
}

/** Whether the entry is set on the entity itself. */
export function isOwn({ configSource }: Pick<ConfigEntry, 'configSource'>, type: string, name: string): boolean {
  if (type === 'topics') return configSource === 1;
  if (type === 'brokers') return configSource === (name === '' ? 3 : 2);
  if (type === 'broker-loggers') return true;
  return configSource === (type === 'groups' ? 8 : 7);
}

/** All configs of one entity, by name. @throws WireError */
export async function configsOf({ cluster }: ConfigJob, type: string, name: string): Promise<ConfigEntry[]> {
  const ofBroker = (type === 'brokers' || type === 'broker-loggers') && name !== '';
  const connection = ofBroker ? await cluster.broker(Number(name)) : cluster.entry;
  const { results } = await connection.call(DescribeConfigs, {
    resources: [{ resourceType: TYPES.get(type) as number, resourceName: name, configurationKeys: null }],
    includeSynonyms: true,
    includeDocumentation: false,
  });
  for (const { errorCode, errorMessage } of results) check(errorCode, errorMessage);
  return results.flatMap(({ configs }) => configs).sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function namesOf({ cluster }: ConfigJob, type: string): Promise<string[]> {
  if (type === 'groups') return (await listGroups(cluster)).map(({ groupId }) => groupId).sort();
  const { topics, brokers } = await cluster.metadata(type === 'topics' ? null : []);
  if (type === 'topics') return topics.map(({ name }) => name as string).sort();
  const ids = brokers.map(({ nodeId }) => String(nodeId)).sort();
  if (type === 'brokers') return [...ids, ''];
  return type === 'broker-loggers' ? ids : [];
}

type QuotaEntry = NonNullable<ResponseOf<typeof DescribeClientQuotas>['entries']>[number];

/** Quotas of exactly these kinds of entities; a name narrows, '' is the default entity. */
export async function quotasOf({ cluster, entities }: ConfigJob): Promise<QuotaEntry[]> {
  const components = entities.map(({ type, name }) => ({
    entityType: QUOTA_TYPE[type] ?? type,
    matchType: name === undefined ? 2 : name === '' ? 1 : 0,
    match: name === undefined || name === '' ? null : name,
  }));
  const answer = await cluster.entry.call(DescribeClientQuotas, { components, strict: true });
  check(answer.errorCode, answer.errorMessage);
  return answer.entries ?? [];
}

async function describeQuotas(job: ConfigJob): Promise<void> {
  const order = ['user', 'client-id', 'ip'];
  const entries = await quotasOf(job);
  const isDefault = ({ entity }: QuotaEntry): number => (entity.some(({ entityName }) => entityName === null) ? 0 : 1);
  for (const { entity, values } of entries.sort((a, b) => isDefault(a) - isDefault(b))) {
    const parts = [...entity]
      .sort((a, b) => order.indexOf(a.entityType) - order.indexOf(b.entityType))
      .map(({ entityType, entityName }) => {
        const kind = entityType === 'user' ? 'user-principal' : entityType;
        return entityName === null ? `the default ${kind}` : `${kind} '${entityName}'`;
      });
    const shown = [...values].sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, value }) => `${key}=${javaDouble(value)}`);
    out(`Quota configs for ${parts.join(', ')} are ${shown.join(', ')}\n`);
  }
}

async function describeScram({ cluster }: ConfigJob, name: string | undefined): Promise<void> {
  if (name === '') return;
  const answer = await (await cluster.controller()).call(DescribeUserScramCredentials, { users: name === undefined ? null : [{ name }] });
  check(answer.errorCode, answer.errorMessage);
  const names = new Map([...SCRAM].map(([mechanism, number]) => [number, mechanism]));
  for (const { user, errorCode, credentialInfos } of answer.results) {
    if (errorCode !== 0) continue;
    const shown = credentialInfos.map(({ mechanism, iterations }) => `${names.get(mechanism) ?? 'UNKNOWN'}=iterations=${iterations}`);
    out(`SCRAM credential configs for user-principal '${user}' are ${shown.join(', ')}\n`);
  }
}
