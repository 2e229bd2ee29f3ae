/**
 * AlterConfigs and IncrementalAlterConfigs (keys 33 and 44, KIP-133, KIP-339): the first replaces all settings of a
 * resource, the second changes single ones (set, delete, append, subtract). Answered when the change is on disk.
 */
import { AlterConfigs } from '../../kafka/apis/alter-configs.ts';
import { IncrementalAlterConfigs } from '../../kafka/apis/incremental-alter-configs.ts';
import { ErrorCode, errorMessage } from '../../kafka/errors.ts';
import { errorText } from '../../lib/errors.ts';
import type { Property } from '../../lib/props/spec.ts';
import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import { brokerProperty, isDynamicBrokerKey, notNeeded } from '../broker-config.ts';
import { checkLimits, overridesOf } from '../connection-limits.ts';
import { groupConfigError, groupKeyError } from '../group-config.ts';
import { handle, type RequestContext } from '../request.ts';
import { configText, conflictingConfigs, TOPIC_PROPERTIES, topicConfigError, valueError } from '../topic-config.ts';
import { CONFIG_RESOURCE } from './config-resources.ts';
import { unlessDiskRefuses } from './refusing-disk.ts';
import { timesNamed } from './repeats.ts';

const OP = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

interface Change {
  readonly name: string;
  readonly value: string | null;
  /** Undefined = AlterConfigs: part of a whole new set. */
  readonly configOperation?: number;
}
interface Resource {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly configs: readonly Change[];
}
type Values = Readonly<Record<string, string>>;
/** A refused change: Kafka code and text. */
interface Refusal {
  readonly errorCode: number;
  readonly message: string;
}
/** One resource whose settings can change: what it has, how a change is checked and stored. */
interface Target {
  readonly current: Values;
  check(name: string, value: string | null): Refusal | null;
  /** Whether a setting may be taken away that it does not know; false if absent. */
  readonly deletesUnknown?: true;
  /** Checks what must hold between settings. */
  checkAll?(values: Values): Refusal | null;
  /** The value in force without an own one: what append and subtract start from. */
  inherited(name: string): string;
  isList(name: string): boolean;
  store(values: Values): Promise<void>;
}

/** Whether settings that the request does not name go, and whether anything is changed. */
interface Mode {
  readonly replaces: boolean;
  readonly validateOnly: boolean;
}

export const alterConfigs = handle(AlterConfigs, async ({ resources, validateOnly }, context) => ({
  responses: await alterAll(resources, { replaces: true, validateOnly }, context),
}));
export const incrementalAlterConfigs = handle(IncrementalAlterConfigs, async ({ resources, validateOnly }, context) => ({
  responses: await alterAll(resources, { replaces: false, validateOnly }, context),
}));

async function alterAll(resources: readonly Resource[], mode: Mode, context: RequestContext) {
  const key = ({ resourceType, resourceName }: Resource): string => `${resourceType} ${resourceName}`;
  const counts = timesNamed(resources.map(key));
  const out = [];
  for (const resource of resources) {
    const twice = (counts.get(key(resource)) ?? 0) > 1;
    const refusal = twice
      ? { errorCode: ErrorCode.INVALID_REQUEST, message: 'Each resource must appear at most once.' }
      : await alterOne(resource, mode, context);
    out.push({
      errorCode: refusal?.errorCode ?? ErrorCode.NONE,
      errorMessage: refusal?.message ?? null,
      resourceType: resource.resourceType,
      resourceName: resource.resourceName,
    });
  }
  return out;
}

async function alterOne(resource: Resource, { replaces, validateOnly }: Mode, context: RequestContext): Promise<Refusal | null> {
  const target = targetOf(resource, context);
  if ('errorCode' in target) return target;
  const names = resource.configs.map(({ name }) => name);
  if (new Set(names).size !== names.length) return { errorCode: ErrorCode.INVALID_REQUEST, message: 'Error due to duplicate config keys' };
  const nulls = resource.configs.filter(({ value, configOperation }) => value === null && configOperation !== OP.delete).map(({ name }) => name);
  if (nulls.length > 0) return { errorCode: ErrorCode.INVALID_REQUEST, message: `Null value not supported for : ${nulls.join(',')}` };
  const next: Record<string, string> = replaces ? {} : { ...target.current };
  for (const change of resource.configs) {
    const refusal = applyChange(next, change, target);
    if (refusal) return refusal;
  }
  const refusal = target.checkAll?.(next) ?? null;
  if (refusal || validateOnly) return refusal;
  const stored = target.store(next).then(() => null);
  return unlessDiskRefuses(stored, context, (message) => ({ errorCode: ErrorCode.KAFKA_STORAGE_ERROR, message }));
}

function applyChange(next: Record<string, string>, { name, value, configOperation = OP.set }: Change, target: Target): Refusal | null {
  if (configOperation === OP.delete) {
    const refusal = target.deletesUnknown ? null : target.check(name, target.inherited(name));
    if (refusal) return refusal;
    delete next[name];
    return null;
  }
  let wanted = value;
  if (configOperation === OP.append || configOperation === OP.subtract) {
    if (!target.isList(name))
      return {
        errorCode: ErrorCode.INVALID_CONFIG,
        message: `Can't ${configOperation === OP.append ? 'APPEND' : 'SUBTRACT'} to key ${name} because its type is not LIST.`,
      };
    wanted = changedList(next[name] ?? target.inherited(name), value ?? '', configOperation === OP.append);
  } else if (configOperation !== OP.set) return { errorCode: ErrorCode.INVALID_REQUEST, message: `Unknown operation type ${configOperation}` };
  const refusal = target.check(name, wanted);
  if (!refusal && wanted !== null) next[name] = wanted;
  return refusal;
}

function changedList(current: string, change: string, append: boolean): string {
  const words = (text: string): string[] =>
    text
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== '');
  const changed = new Set(words(change));
  const rest = words(current).filter((word) => append || !changed.has(word));
  return append ? [...new Set([...rest, ...changed])].join(',') : rest.join(',');
}

function targetOf(resource: Resource, context: RequestContext): Target | Refusal {
  const { broker, client } = context;
  const { resourceType, resourceName } = resource;
  const refuse = (errorCode: number, message = errorMessage(errorCode)): Refusal => ({ errorCode, message });
  if (resourceType === CONFIG_RESOURCE.topic) {
    if (!broker.authorizer.allowed(client, OPERATION.alterConfigs, RESOURCE.topic, resourceName)) return refuse(ErrorCode.TOPIC_AUTHORIZATION_FAILED);
    if (resourceName === '') return refuse(ErrorCode.INVALID_REQUEST, 'Default topic resources are not allowed.');
    if (!broker.topics.isLegalName(resourceName)) return refuse(ErrorCode.INVALID_TOPIC_EXCEPTION, broker.topics.nameError(resourceName) ?? undefined);
    return broker.topics.get(resourceName)
      ? topicTarget(resourceName, context)
      : refuse(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${resourceName}' does not exist.`);
  }
  if (resourceType === CONFIG_RESOURCE.broker) {
    if (!broker.authorizer.allowed(client, OPERATION.alterConfigs, RESOURCE.cluster, CLUSTER_NAME)) return refuse(ErrorCode.CLUSTER_AUTHORIZATION_FAILED);
    if (!/^\d*$/.test(resourceName)) return refuse(ErrorCode.INVALID_REQUEST, `Node id must be an integer, but it is: ${resourceName}`);
    if (resourceName !== '' && resourceName !== String(broker.nodeId)) {
      return refuse(ErrorCode.INVALID_REQUEST, `Unexpected broker id, expected ${broker.nodeId}, but received ${resourceName}`);
    }
    return brokerTarget(resourceName === '', context);
  }
  if (resourceType === CONFIG_RESOURCE.group) {
    if (!broker.authorizer.allowed(client, OPERATION.alterConfigs, RESOURCE.group, resourceName)) return refuse(ErrorCode.GROUP_AUTHORIZATION_FAILED);
    return resourceName === '' ? refuse(ErrorCode.INVALID_REQUEST, 'Default group resources are not allowed.') : groupTarget(resourceName, context);
  }
  if (!Object.values<number>(CONFIG_RESOURCE).includes(resourceType)) return refuse(ErrorCode.INVALID_REQUEST, `Unknown resource type ${resourceType}`);
  return refuse(ErrorCode.INVALID_REQUEST, `Settings of resource type ${resourceType} cannot be changed on this broker.`);
}

function topicTarget(name: string, { broker }: RequestContext): Target {
  const properties = TOPIC_PROPERTIES as Readonly<Record<string, Property<unknown>>>;
  const topic = broker.topics.get(name);
  return {
    current: topic?.overrides ?? {},
    check(key, value) {
      const message = topicConfigError(key, value);
      return message === null ? null : { errorCode: ErrorCode.INVALID_CONFIG, message };
    },
    checkAll(values) {
      const message = conflictingConfigs(values);
      return message === null ? null : { errorCode: ErrorCode.INVALID_CONFIG, message };
    },
    deletesUnknown: true,
    inherited: (key) => configText((topic?.config as Readonly<Record<string, unknown>> | undefined)?.[key] ?? properties[key]?.options.default) ?? '',
    isList: (key) => properties[key]?.kind === 'list',
    store: (values) => broker.topics.setConfigs(name, values),
  };
}

function brokerTarget(isDefault: boolean, { broker }: RequestContext): Target {
  return {
    current: isDefault ? broker.config.dynamicDefault : broker.config.dynamicBroker,
    check(key, value) {
      const property = brokerProperty(key);
      if (!property || !isDynamicBrokerKey(key)) {
        const useless = notNeeded(key);
        const why = useless === undefined ? '' : `. It is of no use here: ${useless}`;
        return { errorCode: ErrorCode.INVALID_REQUEST, message: `Cannot update these configs dynamically: Set(${key})${why}` };
      }
      const message = valueError(key, value, property) ?? connectionLimitError(key, value as string);
      return message === null ? null : { errorCode: ErrorCode.INVALID_REQUEST, message };
    },
    checkAll(values) {
      try {
        checkLimits({ ...broker.config.server, ...values });
        return null;
      } catch (error) {
        return { errorCode: ErrorCode.INVALID_REQUEST, message: errorText(error) };
      }
    },
    inherited: (key) => broker.config.server[key] ?? configText(brokerProperty(key)?.options.default) ?? '',
    isList: (key) => brokerProperty(key)?.kind === 'list',
    async store(values) {
      await broker.topics.setBrokerConfigs(isDefault, values);
      broker.connectionLimits.changed();
    },
  };
}

function groupTarget(name: string, { broker }: RequestContext): Target {
  const invalid = (message: string | null): Refusal | null => (message === null ? null : { errorCode: ErrorCode.INVALID_CONFIG, message });
  return {
    current: broker.metadata.groupConfigs(name),
    check: (key, value) => invalid(groupKeyError(key, value)),
    checkAll: (values) => invalid(groupConfigError(values, broker.config.own)),
    inherited: (key) => broker.config.file[`group.${key}`] ?? configText(brokerProperty(`group.${key}`)?.options.default) ?? '',
    isList: () => false,
    async store(configs) {
      await broker.changeMetadata({ kind: 'set-group-configs', name, configs });
    },
  };
}

/** What the types of the limits of connections do not say. */
function connectionLimitError(key: string, value: string): string | null {
  if (key.endsWith('max.connection.creation.rate')) return Number(value) > 0 ? null : `Invalid max.connection.creation.rate ${value}`;
  if (key !== 'max.connections.per.ip.overrides') return null;
  try {
    overridesOf(value);
    return null;
  } catch (error) {
    return `Error parsing configuration property '${key}': ${errorText(error)}`;
  }
}
