/** `kafka-log-dirs.sh`: sizes of partitions in the directories of brokers, as JSON (org.apache.kafka.tools.LogDirsCommand 3.9). */
import { DescribeLogDirs } from '../kafka/apis/describe-log-dirs.ts';
import { ErrorCode, errorMessage } from '../kafka/errors.ts';
import type { Cluster } from './kafka-tool/cluster.ts';
import { javaError } from './kafka-tool/java-text.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { out } from './kafka-tool/output.ts';
import { BOOTSTRAP, COMMAND_CONFIG, runTool, withCluster } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  COMMAND_CONFIG,
  { name: 'describe', doc: 'Describe the specified log directories on the specified brokers.' },
  { name: 'topic-list', value: 'String: Topic list', doc: 'Topics, separated by commas; all by default.' },
  { name: 'broker-list', value: 'String: Broker list', doc: 'Broker ids, separated by commas; all by default.' },
];

function brokersOf(options: Options, cluster: Cluster): number[] {
  const existing = cluster.brokers.map(({ nodeId }) => nodeId);
  const wanted = (options.get('broker-list') ?? '').split(',').filter((id) => id !== '');
  if (wanted.length === 0) return existing;
  const strangers = wanted.filter((id) => !existing.includes(Number(id)));
  if (strangers.length > 0) {
    throw new UsageFault(`ERROR: The given brokers do not exist from --broker-list: ${strangers.join(',')}. Current existent brokers: ${existing.join(',')}`, {
      brief: true,
    });
  }
  return wanted.map(Number);
}

async function describe(options: Options, cluster: Cluster): Promise<number> {
  await cluster.metadata([]);
  const ids = brokersOf(options, cluster);
  const wanted = (options.get('topic-list') ?? '').split(',').filter((name) => name !== '');
  const topics =
    wanted.length === 0
      ? null
      : (await cluster.metadata(wanted)).topics.map(({ name, partitions }) => ({
          topic: name as string,
          partitions: partitions.map(({ partitionIndex }) => partitionIndex),
        }));
  out('Querying brokers for log directories information\n');
  const brokers = [];
  for (const id of ids) {
    const { results } = await (await cluster.broker(id)).call(DescribeLogDirs, { topics });
    const logDirs = results.map(({ errorCode, logDir, topics: stored }) => ({
      partitions: stored.flatMap(({ name, partitions }) =>
        partitions.map((p) => ({ partition: `${name}-${p.partitionIndex}`, size: p.partitionSize, offsetLag: p.offsetLag, isFuture: p.isFutureKey })),
      ),
      error: errorCode === ErrorCode.NONE ? null : javaError(errorCode, errorMessage(errorCode)),
      logDir,
    }));
    brokers.push({ broker: id, logDirs });
  }
  out(`Received log directory information from brokers ${ids.join(',')}\n`);
  out(`${JSON.stringify({ brokers, version: 1 })}\n`);
  return 0;
}

await runTool({
  purpose: 'This tool helps to query log directory usage on the specified brokers.',
  options: OPTIONS,
  run: async (options) => {
    options.require('bootstrap-server', 'describe');
    return withCluster(options, (cluster) => describe(options, cluster));
  },
});
