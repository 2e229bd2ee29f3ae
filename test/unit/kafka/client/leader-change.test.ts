/** A partition whose leader goes elsewhere: the lean producer asks again and sends the same batch to the new one, once. */
import { expect, it } from 'vitest';
import { ApiVersions } from '../../../../src/kafka/apis/api-versions.ts';
import { InitProducerId } from '../../../../src/kafka/apis/init-producer-id.ts';
import { Metadata } from '../../../../src/kafka/apis/metadata.ts';
import { Produce } from '../../../../src/kafka/apis/produce.ts';
import { LeanProducer } from '../../../../src/kafka/client/producer.ts';
import { type ProducerConfig, readProducerConfig } from '../../../../src/kafka/client/settings.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import { batches } from '../../../../src/records/batch.ts';
import { type Script, scriptedBroker } from './scripted-broker.ts';

const RANGES = [ApiVersions, Metadata, Produce, InitProducerId].map((api) => ({ apiKey: api.key, minVersion: 0, maxVersion: 3 }));
const NOT_LEADER = 6;
const NOT_ENOUGH_REPLICAS = 19;

it.each([
  ['it is told so', NOT_LEADER],
  ['replicas are missing for a moment', NOT_ENOUGH_REPLICAS],
  ['the connection breaks', 'broken'],
] as const)('sends to the new leader when %s', async (_, how) => {
  let leader = 0;
  const ports: number[] = [];
  const got: { readonly by: number; readonly sequence: number; readonly producerId: number }[] = [];
  const node =
    (id: number): Script =>
    ({ api, body }, socket) => {
      if (api.key === ApiVersions.key) return { errorCode: 0, apiKeys: RANGES };
      if (api.key === InitProducerId.key) return { errorCode: 0, producerId: 77, producerEpoch: 0 };
      if (api.key === Metadata.key) {
        const partitions = [{ errorCode: 0, partitionIndex: 0, leaderId: leader, replicaNodes: [0, 1], isrNodes: [0, 1] }];
        const nodes = ports.map((port, nodeId) => ({ nodeId, host: '127.0.0.1', port }));
        return { brokers: nodes, controllerId: 0, topics: [{ errorCode: 0, name: 't', partitions }] };
      }
      const { topicData } = body as { topicData: { partitionData: { records: Buffer }[] }[] };
      const [batch] = [...batches(topicData[0]?.partitionData[0]?.records as Buffer)];
      got.push({ by: id, sequence: batch?.baseSequence as number, producerId: batch?.producerId as number });
      if (id === 0) leader = 1;
      if (id === 0 && how === 'broken') {
        socket.destroy();
        return null;
      }
      return { responses: [{ name: 't', partitionResponses: [{ index: 0, errorCode: id === 0 ? (how as number) : 0, baseOffset: 0 }] }] };
    };
  ports.push(await scriptedBroker(node(0)), await scriptedBroker(node(1)));
  const producer = new LeanProducer({
    bootstrap: ports.map((port) => `127.0.0.1:${port}`),
    config: readProducerConfig({ 'enable.idempotence': 'true', 'retry.backoff.ms': '10' }).config as ProducerConfig,
    clientId: 'test',
    clock: systemClock,
  });
  const send = () =>
    producer.send({
      count: 3,
      load(index, record) {
        Object.assign(record, { topic: 't', partition: -1, key: null, value: Buffer.from(`${index}`), timestamp: 1, headers: [] });
        return true;
      },
    });
  expect(await send()).toEqual([]);
  expect(await send()).toEqual([]);
  await producer.close();
  // The repeated batch bears the same numbers, so a broker that had it already stores it once.
  expect(got).toEqual([
    { by: 0, sequence: 0, producerId: 77 },
    { by: 1, sequence: 0, producerId: 77 },
    { by: 1, sequence: 3, producerId: 77 },
  ]);
});
