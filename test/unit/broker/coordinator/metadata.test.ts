/** The cluster's memory: every change, and the same state after a replay. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { StateRecord } from '../../../../src/broker/coordinator/machine.ts';
import { Metadata, type MetadataCommand } from '../../../../src/broker/coordinator/metadata.ts';
import { ErrorCode as E } from '../../../../src/kafka/errors.ts';

let metadata: Metadata;
let log: StateRecord[];
beforeEach(() => {
  metadata = new Metadata();
  log = [];
});

function run(command: MetadataCommand): number {
  const { records, reply } = metadata.decide(command);
  for (const record of records) metadata.apply(record);
  log.push(...records);
  return reply!.errorCode;
}

/** Replays the last value of each key alone, as after compaction. */
function restart(): void {
  const last = new Map(log.map((record) => [record.key.toString(), record]));
  metadata = new Metadata();
  for (const record of last.values()) metadata.apply(record);
}

const topic = { name: 't', id: 'YTC-aEGUSOuQn-GOcGzdOA', partitions: 2, configs: { 'retention.ms': '5' } };

describe('topics', () => {
  it('are created, changed, deleted and found by name and id', () => {
    expect(run({ kind: 'create-topic', topic })).toBe(0);
    expect(run({ kind: 'create-topic', topic })).toBe(E.TOPIC_ALREADY_EXISTS);
    expect(run({ kind: 'grow-topic', name: 't', partitions: 5 })).toBe(0);
    expect(run({ kind: 'grow-topic', name: 't', partitions: 5 })).toBe(E.INVALID_PARTITIONS);
    expect(run({ kind: 'set-topic-configs', name: 't', configs: { 'flush.messages': '1' } })).toBe(0);
    restart();
    expect(metadata.topicById(topic.id)).toEqual({ ...topic, partitions: 5, configs: { 'flush.messages': '1' } });
    expect(run({ kind: 'delete-topic', name: 't' })).toBe(0);
    expect(run({ kind: 'delete-topic', name: 't' })).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    expect(run({ kind: 'create-topic', topic: { ...topic, id: '0000000000000000000000' } })).toBe(0);
    restart();
    expect([metadata.topicById(topic.id), metadata.topics.size]).toEqual([undefined, 1]);
    expect(run({ kind: 'set-topic-configs', name: 'none', configs: {} })).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
  });
});

describe('settings of others', () => {
  it('broker configs, for one broker and for all', () => {
    run({ kind: 'set-broker-configs', nodeId: null, configs: { 'log.retention.ms': '9' } });
    run({ kind: 'set-broker-configs', nodeId: 1, configs: { 'log.retention.ms': '8' } });
    restart();
    expect([metadata.brokerConfigs(null), metadata.brokerConfigs(1), metadata.brokerConfigs(2)]).toEqual([
      { 'log.retention.ms': '9' },
      { 'log.retention.ms': '8' },
      {},
    ]);
    run({ kind: 'set-broker-configs', nodeId: 1, configs: {} });
    expect(metadata.brokerConfigs(1)).toEqual({});
  });

  it('access rules, once each', () => {
    const acl = { resourceType: 2, resourceName: 'a/b "c"', patternType: 3, principal: 'User:x', host: '*', operation: 3, permissionType: 3 };
    run({ kind: 'create-acls', bindings: [acl, { ...acl, operation: 4 }] });
    run({ kind: 'create-acls', bindings: [acl] });
    expect(log).toHaveLength(2);
    restart();
    expect([...metadata.acls]).toEqual([acl, { ...acl, operation: 4 }]);
    run({ kind: 'delete-acls', bindings: [acl, { ...acl, operation: 9 }] });
    restart();
    expect([...metadata.acls]).toEqual([{ ...acl, operation: 4 }]);
  });

  it('quotas, merged by key, whatever the order of the entity', () => {
    run({
      kind: 'alter-quota',
      entity: [
        { type: 'user', name: 'u' },
        { type: 'client-id', name: null },
      ],
      values: { producer_byte_rate: 10, consumer_byte_rate: 20 },
    });
    run({
      kind: 'alter-quota',
      entity: [
        { type: 'client-id', name: null },
        { type: 'user', name: 'u' },
      ],
      values: { producer_byte_rate: null },
    });
    restart();
    expect([...metadata.quotas]).toEqual([
      {
        entity: [
          { type: 'client-id', name: null },
          { type: 'user', name: 'u' },
        ],
        values: { consumer_byte_rate: 20 },
      },
    ]);
    run({
      kind: 'alter-quota',
      entity: [
        { type: 'client-id', name: null },
        { type: 'user', name: 'u' },
      ],
      values: { consumer_byte_rate: null },
    });
    expect([...metadata.quotas]).toEqual([]);
  });

  it('SCRAM credentials', () => {
    const credential = { salt: 's', storedKey: 'k', serverKey: 'v', iterations: 4096 };
    run({ kind: 'set-scram', user: 'zoe/x', mechanism: 'SCRAM-SHA-512', credential });
    run({ kind: 'set-scram', user: 'ann', mechanism: 'SCRAM-SHA-256', credential });
    restart();
    expect(metadata.scram('zoe/x', 'SCRAM-SHA-512')).toEqual(credential);
    expect([...metadata.scramUsers()]).toEqual([
      ['ann', [{ mechanism: 'SCRAM-SHA-256', iterations: 4096 }]],
      ['zoe/x', [{ mechanism: 'SCRAM-SHA-512', iterations: 4096 }]],
    ]);
    expect(run({ kind: 'set-scram', user: 'ann', mechanism: 'SCRAM-SHA-512', credential: null })).toBe(E.RESOURCE_NOT_FOUND);
    expect(run({ kind: 'set-scram', user: 'ann', mechanism: 'SCRAM-SHA-256', credential: null })).toBe(0);
    expect(metadata.scram('ann', 'SCRAM-SHA-256')).toBeUndefined();
  });

  it('producer ids never repeat', () => {
    const reserve = (): number => {
      const { records, reply } = metadata.decide({ kind: 'reserve-producer-ids', count: 1000 });
      for (const record of records) metadata.apply(record);
      log.push(...records);
      return reply!.firstProducerId!;
    };
    expect([reserve(), reserve()]).toEqual([0, 1000]);
    restart();
    expect(reserve()).toBe(2000);
  });

  it('stops at records of a later version', () => {
    expect(() => metadata.apply({ owner: '', key: Buffer.from('novelty/1'), value: Buffer.from('{}') })).toThrow(/novelty/);
  });
});
