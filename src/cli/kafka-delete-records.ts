/** `kafka-delete-records.sh`: moves the beginning of partitions up to an offset (org.apache.kafka.tools.DeleteRecordsCommand 3.9). */
import { readFileSync } from 'node:fs';
import { DeleteRecords } from '../kafka/apis/delete-records.ts';
import { ErrorCode, errorMessage } from '../kafka/errors.ts';
import type { Cluster } from './kafka-tool/cluster.ts';
import { javaError } from './kafka-tool/java-text.ts';
import { type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { out } from './kafka-tool/output.ts';
import { byLeader, byTopic, byTopicThenPartition, keyOf, type TopicPartition } from './kafka-tool/partition-offsets.ts';
import { BOOTSTRAP, COMMAND_CONFIG, runTool, withCluster } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  COMMAND_CONFIG,
  {
    name: 'offset-json-file',
    value: 'String: Offset json file path',
    doc: 'File with {"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], "version":1}: records before the offset are deleted; -1 stands for the high watermark.',
  },
];

interface Target extends TopicPartition {
  readonly offset: number;
}

function readTargets(file: string): Target[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new UsageFault(`Unable to read file ${file}`, { brief: true, javaClass: 'java.io.IOException' });
  }
  const bad = (message: string): UsageFault => new UsageFault(message, { brief: true, javaClass: 'org.apache.kafka.server.common.AdminOperationException' });
  let value: { partitions?: unknown; version?: unknown } | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    throw bad('The input string is not a valid JSON');
  }
  if (value?.version !== undefined && value.version !== 1) throw bad(`Not supported version field value ${value.version}`);
  if (!Array.isArray(value?.partitions)) throw bad('Missing partitions field');
  const targets = value.partitions.map((item: Partial<Target>) => {
    if (typeof item.topic !== 'string' || !Number.isInteger(item.partition) || !Number.isInteger(item.offset))
      throw bad(`A partition needs topic, partition and offset: ${JSON.stringify(item)}`);
    return { topic: item.topic, partition: item.partition as number, offset: item.offset as number };
  });
  const seen = new Set<string>();
  const twice = targets.map(keyOf).filter((key) => seen.has(key) || !seen.add(key));
  if (twice.length > 0) throw bad(`Offset json file contains duplicate topic partitions: ${twice.join(',')}`);
  return targets;
}

async function deleteRecords(cluster: Cluster, targets: readonly Target[]): Promise<void> {
  const { topics } = await cluster.metadata([...new Set(targets.map(({ topic }) => topic))]);
  const known = targets.filter((target) => topics.some((t) => t.name === target.topic && t.partitions.some((p) => p.partitionIndex === target.partition)));
  const results = new Map<string, string>();
  for (const target of targets) results.set(keyOf(target), `error: ${javaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)}`);
  for (const [leader, items] of byLeader(known, topics)) {
    const connection = await cluster.broker(leader);
    const answer = await connection.call(DeleteRecords, {
      topics: byTopic(items, ({ partition, offset }) => ({ partitionIndex: partition, offset })),
      timeoutMs: 30_000,
    });
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex, errorCode, lowWatermark } of partitions) {
        const text = errorCode === ErrorCode.NONE ? `low_watermark: ${lowWatermark}` : `error: ${javaError(errorCode, errorMessage(errorCode))}`;
        results.set(`${name}-${partitionIndex}`, text);
      }
    }
  }
  out('Records delete operation completed:\n');
  for (const target of [...targets].sort(byTopicThenPartition)) out(`partition: ${keyOf(target)}\t${results.get(keyOf(target))}\n`);
}

await runTool({
  purpose: 'This tool helps to delete records of the given partitions down to the specified offset.',
  options: OPTIONS,
  run: async (options) => {
    options.require('bootstrap-server', 'offset-json-file');
    const targets = readTargets(options.get('offset-json-file') as string);
    return withCluster(options, async (cluster) => {
      out('Executing records delete operation\n');
      await deleteRecords(cluster, targets);
      return 0;
    });
  },
});
