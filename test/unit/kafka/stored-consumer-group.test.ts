/** Records of consumer groups, byte by byte as Kafka 3.9 wrote them into its own __consumer_offsets. */
import { expect, it } from 'vitest';
import {
  type ConsumerGroupRecordKind,
  decodeConsumerGroupKey,
  decodeConsumerGroupValue,
  encodeConsumerGroupKey,
  encodeConsumerGroupValue,
} from '../../../src/kafka/stored/consumer-group.ts';

const topicId = '8_usBebkQf6BQAoZEN4Usw';
const id = 'f3fbac05e6e441fe81400a1910de14b3';
const member = {
  instanceId: null,
  rackId: null,
  clientId: 'cmp',
  clientHost: '/127.0.0.1',
  subscribedTopicNames: ['t'],
  subscribedTopicRegex: '',
  rebalanceTimeoutMs: 60_000,
  serverAssignor: null,
  classicMemberMetadata: null,
};
const hex = (words: string): Buffer => Buffer.from(words.replaceAll(' ', ''), 'hex');

const RECORDS: readonly (readonly [kind: ConsumerGroupRecordKind, memberId: string, key: string, value: string, fields: object])[] = [
  ['epoch', '', '0003 0001 67', '0000 00000001 00', { epoch: 1 }],
  ['topics', '', '0004 0001 67', `0000 02 ${id} 02 74 00000004 01 00 00`, { topics: [{ topicId, topicName: 't', numPartitions: 4, partitionMetadata: [] }] }],
  ['member', 'a', '0005 0001 67 0001 61', '0000 00 00 04 636d70 0b 2f3132372e302e302e31 02 02 74 01 0000ea60 00 01 00 01 00', member],
  ['target-epoch', '', '0006 0001 67', '0000 00000001 00', { assignmentEpoch: 1 }],
  ['target', 'a', '0007 0001 67 0001 61', `0000 02 ${id} 03 00000000 00000001 00 00`, { topicPartitions: [{ topicId, partitions: [0, 1] }] }],
  [
    'current',
    'a',
    '0008 0001 67 0001 61',
    `0000 00000001 00000001 01 02 ${id} 03 00000000 00000001 00 02 ${id} 03 00000002 00000003 00 00`,
    {
      memberEpoch: 1,
      previousMemberEpoch: 1,
      state: 1,
      assignedPartitions: [{ topicId, partitions: [0, 1] }],
      partitionsPendingRevocation: [{ topicId, partitions: [2, 3] }],
    },
  ],
];

it.each(RECORDS)('%s', (kind, memberId, key, value, fields) => {
  expect(encodeConsumerGroupKey({ kind, groupId: 'g', memberId }).toString('hex')).toBe(hex(key).toString('hex'));
  expect(decodeConsumerGroupKey(hex(key))).toEqual({ kind, groupId: 'g', memberId });
  expect(encodeConsumerGroupValue(kind, fields as never).toString('hex')).toBe(hex(value).toString('hex'));
  expect(decodeConsumerGroupValue(kind, hex(value))).toEqual({ ...fields, version: 0 });
});

it('a member of the classic protocol, as it is while a group migrates, is read too', () => {
  const classic = { sessionTimeoutMs: 45_000, supportedProtocols: [{ name: 'range', metadata: Buffer.from('m') }] };
  const value = encodeConsumerGroupValue('member', { ...member, classicMemberMetadata: classic });
  expect(value.toString('hex')).toContain('01 00 10 01 0000afc8 02 06 72616e6765 02 6d 00 00'.replaceAll(' ', ''));
  expect(decodeConsumerGroupValue('member', value)).toEqual({ ...member, classicMemberMetadata: classic, version: 0 });
});

it('keys of other protocols are left alone', () => {
  expect(decodeConsumerGroupKey(hex('0009 0001 67'))).toBeNull();
  expect(decodeConsumerGroupKey(hex('0002 0001 67'))).toBeNull();
  expect(() => decodeConsumerGroupKey(hex('0003 0005 67'))).toThrow();
});
