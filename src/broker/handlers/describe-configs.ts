/** DescribeConfigs (key 32): settings of topics, of groups and of the broker, with sources and synonyms (KIP-133, KIP-226, KIP-569). */
import { DescribeConfigs } from '../../kafka/apis/describe-configs.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import type { RequestOf } from '../../kafka/schema.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import { brokerConfigEntries, brokerDefaultEntries, type ConfigEntry, groupConfigEntries, SOURCE, topicConfigEntries } from '../config-entries.ts';
import { handle, type RequestContext } from '../request.ts';
import { CONFIG_RESOURCE } from './config-resources.ts';
import { Repeats } from './repeats.ts';

type Request = RequestOf<typeof DescribeConfigs>;
type Asked = Request['resources'][number];

export const describeConfigs = handle(DescribeConfigs, (request, context) => {
  const repeats = new Repeats();
  const results = request.resources.map((asked) => {
    const { resourceType, resourceName } = asked;
    const found = entriesOf(asked, context);
    const failed = !Array.isArray(found);
    repeats.count(`${resourceType} ${resourceName}`, failed ? 0 : found.length);
    return {
      errorCode: failed ? found.errorCode : ErrorCode.NONE,
      errorMessage: failed ? found.message : '',
      resourceType,
      resourceName,
      configs: failed ? [] : select(found, asked).map((entry) => shown(entry, request, context.version)),
    };
  });
  return { results };
});

function entriesOf(
  { resourceType, resourceName }: Asked,
  { broker, client }: RequestContext,
): ConfigEntry[] | { readonly errorCode: number; readonly message: string } {
  const fail = (errorCode: number, message = errorMessage(errorCode)) => ({ errorCode, message });
  switch (resourceType) {
    case CONFIG_RESOURCE.topic: {
      if (!broker.authorizer.allowed(client, OPERATION.describeConfigs, RESOURCE.topic, resourceName)) return fail(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
      const badName = broker.topics.isLegalName(resourceName) ? null : broker.topics.nameError(resourceName);
      if (badName) return fail(ErrorCode.INVALID_TOPIC_EXCEPTION, badName);
      const topic = broker.topics.get(resourceName);
      return topic ? topicConfigEntries(topic.overrides, broker.config) : fail(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, '');
    }
    case CONFIG_RESOURCE.broker:
      if (!broker.authorizer.allowed(client, OPERATION.describeConfigs, RESOURCE.cluster, CLUSTER_NAME)) return fail(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
      if (resourceName === '') return brokerDefaultEntries(broker.config);
      if (!/^\d+$/.test(resourceName)) return fail(ErrorCode.INVALID_REQUEST, `Broker id must be an integer, but it is: ${resourceName}`);
      if (resourceName !== String(broker.nodeId)) {
        return fail(ErrorCode.INVALID_REQUEST, `Unexpected broker id, expected ${broker.nodeId} or empty string, but received ${resourceName}`);
      }
      return brokerConfigEntries(broker.config);
    case CONFIG_RESOURCE.brokerLogger:
      if (resourceName === '') return fail(ErrorCode.INVALID_REQUEST, 'Broker id must not be empty');
      if (!/^\d+$/.test(resourceName)) return fail(ErrorCode.INVALID_REQUEST, `Broker id must be an integer, but it is: ${resourceName}`);
      if (resourceName !== String(broker.nodeId))
        return fail(ErrorCode.INVALID_REQUEST, `Unexpected broker id, expected ${broker.nodeId} but received ${resourceName}`);
      return [];
    case CONFIG_RESOURCE.clientMetrics:
      return [];
    case CONFIG_RESOURCE.group:
      if (!broker.authorizer.allowed(client, OPERATION.describeConfigs, RESOURCE.group, resourceName)) return fail(ErrorCode.GROUP_AUTHORIZATION_FAILED);
      if (resourceName === '') return fail(ErrorCode.INVALID_REQUEST, 'Group name must not be empty');
      return groupConfigEntries(broker.metadata.groupConfigs(resourceName), broker.config);
    default:
      return fail(ErrorCode.INVALID_REQUEST, `Unsupported resource type: ${resourceType}`);
  }
}

/** An empty list is "all", as null is. */
function select(entries: readonly ConfigEntry[], { configurationKeys: keys }: Asked): readonly ConfigEntry[] {
  if (keys === null || keys.length === 0) return entries;
  return entries.filter(({ name }) => keys.includes(name));
}

function shown(entry: ConfigEntry, { includeSynonyms, includeDocumentation }: Request, version: number) {
  return {
    name: entry.name,
    value: entry.value,
    readOnly: entry.readOnly,
    isDefault: version === 0 && entry.source === SOURCE.builtIn,
    configSource: entry.source,
    isSensitive: entry.isSensitive,
    synonyms: includeSynonyms ? entry.synonyms : [],
    configType: entry.configType,
    documentation: includeDocumentation ? entry.documentation : null,
  };
}
