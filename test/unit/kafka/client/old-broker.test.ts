/** A broker of Kafka 0.10: the lean producer has no message format for it, and kafkajs takes over by itself, for good. */
import { expect, it } from 'vitest';
import { ApiVersions } from '../../../../src/kafka/apis/api-versions.ts';
import { Metadata } from '../../../../src/kafka/apis/metadata.ts';
import { Produce } from '../../../../src/kafka/apis/produce.ts';
import { openProducer } from '../../../../src/kafka/client/open-producer.ts';
import { type ProducerConfig, readProducerConfig } from '../../../../src/kafka/client/settings.ts';
import { encodeResponse } from '../../../../src/kafka/headers.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import type { Logger } from '../../../../src/lib/log.ts';
import { scriptedBroker } from './scripted-broker.ts';

const RANGES = [
  { apiKey: Produce.key, minVersion: 0, maxVersion: 2 },
  { apiKey: Metadata.key, minVersion: 0, maxVersion: 2 },
  { apiKey: ApiVersions.key, minVersion: 0, maxVersion: 0 },
];

it('hands over to kafkajs when the broker takes no record batches', async () => {
  const produced: { readonly version: number; readonly magic: number; readonly text: string }[] = [];
  const port: number = await scriptedBroker(({ api, version, correlationId, body }) => {
    if (api.key === ApiVersions.key) {
      // What is newer than it knows it answers in version 0, without saying what it has.
      if (version > 0) return Buffer.concat(encodeResponse({ api: ApiVersions, version: 0, correlationId }, { errorCode: 35, apiKeys: [] }));
      return { errorCode: 0, apiKeys: RANGES };
    }
    if (api.key === Metadata.key) {
      const partitions = [{ errorCode: 0, partitionIndex: 0, leaderId: 7, replicaNodes: [7], isrNodes: [7] }];
      return { brokers: [{ nodeId: 7, host: '127.0.0.1', port }], controllerId: 7, topics: [{ errorCode: 0, name: 't', partitions }] };
    }
    const { topicData } = body as { topicData: { partitionData: { records: Buffer }[] }[] };
    const records = topicData[0]?.partitionData[0]?.records ?? Buffer.alloc(17);
    produced.push({ version, magic: records[16] as number, text: records.toString('latin1') });
    return { responses: [{ name: 't', partitionResponses: [{ index: 0, errorCode: 0, baseOffset: 0 }] }] };
  });
  const warnings: string[] = [];
  const log = { trace() {}, debug() {}, info() {}, error() {}, warn: (text: string) => void warnings.push(text), isLevelEnabled: () => false };
  const producer = openProducer({
    bootstrap: [`127.0.0.1:${port}`],
    config: readProducerConfig({}).config as ProducerConfig,
    clientId: 'test',
    clock: systemClock,
    log: log as unknown as Logger,
    client: 'lean',
  });
  for (const text of ['first', 'second']) {
    const refusals = await producer.send({
      count: 1,
      load(_, record) {
        Object.assign(record, { topic: 't', partition: -1, key: null, value: Buffer.from(text), timestamp: Date.now(), headers: [] });
        return true;
      },
    });
    expect(refusals).toEqual([]);
  }
  await producer.close();
  expect(produced.map(({ version, magic }) => [version, magic])).toEqual([
    [2, 1],
    [2, 1],
  ]);
  expect(produced[0]?.text).toContain('first');
  expect(produced[1]?.text).toContain('second');
  expect(warnings).toEqual(['the broker is older than Kafka 0.11 and takes no record batches of the present format; kafkajs is used instead']);
});
