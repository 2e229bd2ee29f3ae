/**
 * What the cluster knows about itself: topics with ids, partition counts and configs, dynamic broker configs, configs of
 * groups, access rules, quotas, SCRAM credentials, and how far producer ids are given out. Kafka's KRaft keeps the same in
 * __cluster_metadata; our log is our own: key and value are JSON, the last value of a key counts, no value deletes.
 *
 *     topic/NAME             {"id":"…","partitions":3,"configs":{…}}
 *     broker/ID or broker/   {"configs":{…}}            (without id: the default of all brokers)
 *     group/NAME             {"configs":{…}}
 *     acl/[type,name,pattern,principal,host,operation,permission]     {}
 *     quota/[[type,name],…]  {"values":{"producer_byte_rate":1024}}   (a null name is the default entity)
 *     scram/MECHANISM/USER   {"salt":…,"storedKey":…,"serverKey":…,"iterations":…}
 *     producer-ids           {"next":2000}
 *
 * Handlers check names, numbers and rights; here is only what must not happen twice or be half done.
 */
import { ErrorCode } from '../../kafka/errors.ts';
import { AppError } from '../../lib/errors.ts';
import type { AclBinding } from '../auth/acl.ts';
import type { ScramCredential, ScramMechanism } from '../auth/scram.ts';
import type { Decision, Machine, StateRecord } from './machine.ts';
import { type QuotaEntity, QuotaLimits } from './quota-limits.ts';

export type Configs = Readonly<Record<string, string>>;

/** What has no settings of its own. */
export const NO_CONFIGS: Configs = {};

export interface TopicImage {
  readonly name: string;
  /** 22 characters; new with each creation. */
  readonly id: string;
  readonly partitions: number;
  /** Own settings of the topic, as written. */
  readonly configs: Configs;
}

export interface Quota {
  /** Sorted by type. */
  readonly entity: readonly QuotaEntity[];
  readonly values: Readonly<Record<string, number>>;
}

export type MetadataCommand =
  | { readonly kind: 'create-topic'; readonly topic: TopicImage }
  | { readonly kind: 'delete-topic'; readonly name: string }
  | { readonly kind: 'grow-topic'; readonly name: string; readonly partitions: number }
  | { readonly kind: 'set-topic-configs'; readonly name: string; readonly configs: Configs }
  /** `nodeId` null: the default of all brokers. */
  | { readonly kind: 'set-broker-configs'; readonly nodeId: number | null; readonly configs: Configs }
  | { readonly kind: 'set-group-configs'; readonly name: string; readonly configs: Configs }
  | { readonly kind: 'create-acls'; readonly bindings: readonly AclBinding[] }
  | { readonly kind: 'delete-acls'; readonly bindings: readonly AclBinding[] }
  /** A null value removes the key. */
  | { readonly kind: 'alter-quota'; readonly entity: readonly QuotaEntity[]; readonly values: Readonly<Record<string, number | null>> }
  | { readonly kind: 'set-scram'; readonly user: string; readonly mechanism: ScramMechanism; readonly credential: ScramCredential | null }
  | { readonly kind: 'reserve-producer-ids'; readonly count: number }
  | { readonly kind: 'tick' };

export interface MetadataReply {
  readonly errorCode: number;
  /** reserve-producer-ids: the first of the ids that now belong to the caller. */
  readonly firstProducerId?: number;
}

const DONE: MetadataReply = { errorCode: ErrorCode.NONE };

export class Metadata implements Machine<MetadataCommand, MetadataReply> {
  readonly #topics = new Map<string, TopicImage>();
  readonly #topicsById = new Map<string, TopicImage>();
  readonly #brokerConfigs = new Map<string, Configs>();
  readonly #groupConfigs = new Map<string, Configs>();
  readonly #acls = new Map<string, AclBinding>();
  readonly #quotas = new Map<string, Quota>();
  /** The quotas again, for looking up. */
  readonly quotaLimits = new QuotaLimits();
  readonly #scram = new Map<string, ScramCredential>();
  #nextProducerId = 0;
  #topicsVersion = 0;

  get topics(): ReadonlyMap<string, TopicImage> {
    return this.#topics;
  }
  /** Another number after every change of a topic. */
  get topicsVersion(): number {
    return this.#topicsVersion;
  }
  topicById(id: string): TopicImage | undefined {
    return this.#topicsById.get(id);
  }
  /** Dynamic settings of a broker, or of all (null). */
  brokerConfigs(nodeId: number | null): Configs {
    return this.#brokerConfigs.get(brokerKey(nodeId)) ?? NO_CONFIGS;
  }
  /** Own settings of a group, whether or not there is one of that name. */
  groupConfigs(name: string): Configs {
    return this.#groupConfigs.get(name) ?? NO_CONFIGS;
  }
  get acls(): Iterable<AclBinding> {
    return this.#acls.values();
  }
  get quotas(): Iterable<Quota> {
    return this.#quotas.values();
  }
  scram(user: string, mechanism: ScramMechanism): ScramCredential | undefined {
    return this.#scram.get(scramKey(mechanism, user));
  }
  /** Every user with a credential, sorted, with what there is of each. */
  scramUsers(): Map<string, { readonly mechanism: ScramMechanism; readonly iterations: number }[]> {
    const users = new Map<string, { readonly mechanism: ScramMechanism; readonly iterations: number }[]>();
    for (const key of [...this.#scram.keys()].sort()) {
      const [, mechanism, user] = /^scram\/([^/]+)\/(.*)$/s.exec(key) as unknown as [string, ScramMechanism, string];
      const known = users.get(user) ?? [];
      known.push({ mechanism, iterations: this.#scram.get(key)!.iterations });
      users.set(user, known);
    }
    return new Map([...users].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  nextDeadline(): number {
    return Number.POSITIVE_INFINITY;
  }

  decide(command: MetadataCommand): Decision<MetadataReply> {
    switch (command.kind) {
      case 'create-topic':
        if (this.#topics.has(command.topic.name)) return refused(ErrorCode.TOPIC_ALREADY_EXISTS);
        return stored([topicRecord(command.topic)]);
      case 'delete-topic':
        return this.#topics.has(command.name) ? stored([record(`topic/${command.name}`, null)]) : refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      case 'grow-topic':
        return this.#changeTopic(command.name, (topic) => (command.partitions > topic.partitions ? { ...topic, partitions: command.partitions } : undefined));
      case 'set-topic-configs':
        return this.#changeTopic(command.name, (topic) => ({ ...topic, configs: command.configs }));
      case 'set-broker-configs':
        return stored([configsRecord(brokerKey(command.nodeId), command.configs)]);
      case 'set-group-configs':
        return stored([configsRecord(`group/${command.name}`, command.configs)]);
      case 'create-acls':
        return stored(command.bindings.filter((binding) => !this.#acls.has(aclKey(binding))).map((binding) => record(aclKey(binding), {})));
      case 'delete-acls':
        return stored(command.bindings.filter((binding) => this.#acls.has(aclKey(binding))).map((binding) => record(aclKey(binding), null)));
      case 'alter-quota':
        return this.#alterQuota(command.entity, command.values);
      case 'set-scram': {
        const key = scramKey(command.mechanism, command.user);
        if (command.credential === null && !this.#scram.has(key)) return refused(ErrorCode.RESOURCE_NOT_FOUND);
        return stored([record(key, command.credential)]);
      }
      case 'reserve-producer-ids':
        return {
          records: [record('producer-ids', { next: this.#nextProducerId + command.count })],
          reply: { ...DONE, firstProducerId: this.#nextProducerId },
        };
      case 'tick':
        return { records: [] };
    }
  }

  #changeTopic(name: string, change: (topic: TopicImage) => TopicImage | undefined): Decision<MetadataReply> {
    const topic = this.#topics.get(name);
    if (topic === undefined) return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
    const changed = change(topic);
    return changed === undefined ? refused(ErrorCode.INVALID_PARTITIONS) : stored([topicRecord(changed)]);
  }

  #alterQuota(entity: readonly QuotaEntity[], changes: Readonly<Record<string, number | null>>): Decision<MetadataReply> {
    const key = quotaKey(entity);
    const values = Object.fromEntries(Object.entries({ ...this.#quotas.get(key)?.values, ...changes }).filter(([, value]) => value !== null));
    return stored([record(key, Object.keys(values).length > 0 ? { values } : null)]);
  }

  apply({ key, value }: StateRecord): void {
    const text = key.toString();
    const parsed: unknown = value === null ? undefined : JSON.parse(value.toString());
    switch (text.split('/', 1)[0]) {
      case 'topic':
        this.#applyTopic(text.slice('topic/'.length), parsed as Omit<TopicImage, 'name'> | undefined);
        return;
      case 'broker':
        put(this.#brokerConfigs, text, (parsed as { configs: Configs } | undefined)?.configs);
        return;
      case 'group':
        put(this.#groupConfigs, text.slice('group/'.length), (parsed as { configs: Configs } | undefined)?.configs);
        return;
      case 'acl':
        put(this.#acls, text, parsed === undefined ? undefined : aclOf(text));
        return;
      case 'quota': {
        const entity = quotaEntityOf(text);
        const values = (parsed as { values: Record<string, number> } | undefined)?.values;
        put(this.#quotas, text, values && { entity, values });
        this.quotaLimits.set(entity, values);
        return;
      }
      case 'scram':
        put(this.#scram, text, parsed as ScramCredential | undefined);
        return;
      case 'producer-ids':
        this.#nextProducerId = (parsed as { next: number }).next;
        return;
      default:
        throw new AppError('METADATA_UNKNOWN', `the metadata log has a record "${text}" that this version does not know`, {
          fix: 'run the version that wrote it, or a later one',
        });
    }
  }

  #applyTopic(name: string, value: Omit<TopicImage, 'name'> | undefined): void {
    this.#topicsVersion++;
    const old = this.#topics.get(name);
    if (old) this.#topicsById.delete(old.id);
    const topic = value && { name, ...value };
    put(this.#topics, name, topic);
    if (topic) this.#topicsById.set(topic.id, topic);
  }
}

function put<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function stored(records: readonly StateRecord[]): Decision<MetadataReply> {
  return { records, reply: DONE };
}

function refused(errorCode: number): Decision<MetadataReply> {
  return { records: [], reply: { errorCode } };
}

function record(key: string, value: object | null): StateRecord {
  return { owner: '', key: Buffer.from(key), value: value === null ? null : Buffer.from(JSON.stringify(value)) };
}

function topicRecord({ name, id, partitions, configs }: TopicImage): StateRecord {
  return record(`topic/${name}`, { id, partitions, configs });
}

/** Without settings there is nothing to keep. */
function configsRecord(key: string, configs: Configs): StateRecord {
  return record(key, Object.keys(configs).length > 0 ? { configs } : null);
}

function brokerKey(nodeId: number | null): string {
  return `broker/${nodeId ?? ''}`;
}

function scramKey(mechanism: ScramMechanism, user: string): string {
  return `scram/${mechanism}/${user}`;
}

function aclKey(acl: AclBinding): string {
  return `acl/${JSON.stringify([acl.resourceType, acl.resourceName, acl.patternType, acl.principal, acl.host, acl.operation, acl.permissionType])}`;
}

function aclOf(key: string): AclBinding {
  const [resourceType, resourceName, patternType, principal, host, operation, permissionType] = JSON.parse(key.slice('acl/'.length));
  return { resourceType, resourceName, patternType, principal, host, operation, permissionType };
}

function quotaKey(entity: readonly QuotaEntity[]): string {
  return `quota/${JSON.stringify([...entity].sort((a, b) => (a.type < b.type ? -1 : 1)).map(({ type, name }) => [type, name]))}`;
}

function quotaEntityOf(key: string): QuotaEntity[] {
  return (JSON.parse(key.slice('quota/'.length)) as [string, string | null][]).map(([type, name]) => ({ type, name }));
}
