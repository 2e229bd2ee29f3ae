/** Drives groups of the new consumer protocol by hand, through the {@link GroupDriver}: topics, heartbeats, what members are told. */
import type { HeartbeatReply } from '../src/broker/coordinator/consumer-heartbeat.ts';
import type { GroupRules } from '../src/broker/coordinator/groups.ts';
import type { ConsumerGroupHeartbeat } from '../src/kafka/apis/consumer-group-heartbeat.ts';
import type { RequestOf } from '../src/kafka/schema.ts';
import { GroupDriver } from './group-driver.ts';

type Request = RequestOf<typeof ConsumerGroupHeartbeat>;

export interface BeatOptions {
  readonly epoch?: number;
  readonly topics?: readonly string[] | null;
  readonly regex?: string | null;
  readonly instanceId?: string;
  readonly assignor?: string;
  readonly rebalanceMs?: number;
  /** What the member holds, as `topic-partition`; null = it does not say. */
  readonly owned?: readonly string[] | null;
  readonly version?: number;
  readonly mayDescribe?: (topic: string) => boolean;
}

export class ConsumerDriver {
  readonly d: GroupDriver;
  readonly #topics = new Map<string, { id: string; partitions: number }>();
  #version = 0;
  #ids = 0;

  constructor(consumer: Partial<GroupRules['consumer']> = {}, rules: Partial<GroupRules> = {}) {
    const driver = this;
    const catalog = {
      get topicsVersion() {
        return driver.#version;
      },
      topics: this.#topics,
    };
    const defaults = { assignors: ['uniform', 'range'] as const, sessionMs: 45_000, heartbeatMs: 5000, maxSize: 1000, migration: 'bidirectional' as const };
    this.d = new GroupDriver({ ...rules, consumer: { ...defaults, topics: catalog, ...consumer } });
  }

  /** Makes a topic, or gives it so many partitions; none = deletes it. */
  topic(name: string, partitions: number): void {
    this.#version++;
    if (partitions === 0) this.#topics.delete(name);
    else this.#topics.set(name, { id: this.#topics.get(name)?.id ?? `${name}${++this.#ids}`.padEnd(22, 'A'), partitions });
  }

  idOf(name: string): string {
    return this.#topics.get(name)!.id;
  }

  /** One heartbeat as it is. */
  send(groupId: string, memberId: string, request: Partial<Request>, { version = 1, mayDescribe = () => true }: BeatOptions = {}): HeartbeatReply {
    const nothing = { instanceId: null, rackId: null, rebalanceTimeoutMs: -1, subscribedTopicNames: null, subscribedTopicRegex: null };
    const full: Request = { groupId, memberId, memberEpoch: 0, ...nothing, serverAssignor: null, topicPartitions: null, ...request };
    return this.d.run<'consumer-heartbeat'>({ kind: 'consumer-heartbeat', request: full, version, clientId: 'c', clientHost: '/127.0.0.1', mayDescribe });
  }

  join(groupId: string, memberId: string, options: BeatOptions = {}): HeartbeatReply {
    const { topics = ['t'], regex = null, instanceId = null, assignor = null, rebalanceMs = 60_000 } = options;
    const subscription = { subscribedTopicNames: topics === null ? null : [...topics], subscribedTopicRegex: regex };
    const request = { memberEpoch: 0, instanceId, serverAssignor: assignor, rebalanceTimeoutMs: rebalanceMs, topicPartitions: [] };
    return this.send(groupId, memberId, { ...request, ...subscription }, options);
  }

  /** A sign of life; `owned` says what the member holds. */
  beat(groupId: string, memberId: string, epoch: number, options: BeatOptions = {}): HeartbeatReply {
    const { instanceId = null, owned = null, topics = null, regex = null } = options;
    const subscription = { subscribedTopicNames: topics === null ? null : [...topics], subscribedTopicRegex: regex };
    return this.send(
      groupId,
      memberId,
      { memberEpoch: epoch, instanceId, topicPartitions: owned === null ? null : this.list(owned), ...subscription },
      options,
    );
  }

  list(names: readonly string[]): { topicId: string; partitions: number[] }[] {
    return names.map((name) => {
      const at = name.lastIndexOf('-');
      return { topicId: this.idOf(name.slice(0, at)), partitions: [Number(name.slice(at + 1))] };
    });
  }

  /** What an answer assigns, as `topic-partition`; null = as before. */
  assigned({ assignment }: HeartbeatReply): string[] | null {
    if (!assignment) return null;
    const names = new Map([...this.#topics].map(([name, { id }]) => [id, name]));
    return assignment.topicPartitions
      .flatMap(({ topicId, partitions }) => partitions.map((partition) => `${names.get(topicId) ?? topicId}-${partition}`))
      .sort();
  }

  describe(groupId: string) {
    return this.d.groups.describeConsumerGroup(groupId);
  }

  /** State and epochs of a group: `Stable 3/3`. */
  state(groupId: string): string {
    const { groupState, groupEpoch, assignmentEpoch } = this.describe(groupId);
    return `${groupState} ${groupEpoch}/${assignmentEpoch}`;
  }
}
