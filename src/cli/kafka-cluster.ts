/** `kafka-cluster.sh cluster-id`: the id of the cluster (org.apache.kafka.tools.ClusterTool 3.9). */
import { DescribeCluster } from '../kafka/apis/describe-cluster.ts';
import { check } from './kafka-tool/cluster.ts';
import { type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { out } from './kafka-tool/output.ts';
import { BOOTSTRAP, COMMAND_CONFIG, ELSEWHERE, runTool, withCluster } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  { ...COMMAND_CONFIG, name: 'config' },
  COMMAND_CONFIG,
  ...ELSEWHERE,
  { name: 'id', value: 'Integer: broker id', doc: 'unregister: the broker; a single node has none to forget.' },
];
const USAGE = 'usage: kafka-cluster [-h] {cluster-id} --bootstrap-server HOST:PORT [--config FILE]';

await runTool({
  purpose: `The Kafka cluster tool.\n${USAGE}`,
  options: OPTIONS,
  run: async (options) => {
    if (options.rest[0] === 'unregister')
      throw new UsageFault('unregister is for brokers that left a cluster for good; it is not available here', { brief: true });
    if (options.rest[0] !== 'cluster-id')
      throw new UsageFault(
        `${USAGE}\nkafka-cluster: error: ${options.rest.length === 0 ? 'too few arguments' : `invalid choice: '${options.rest[0]}' (choose from 'cluster-id')`}`,
        { brief: true },
      );
    return withCluster(
      options,
      async (cluster) => {
        if (cluster.entry.versionOf(DescribeCluster) < 0) {
          const { clusterId } = await cluster.metadata([]);
          out(clusterId === null ? 'No cluster ID found. The Kafka version is probably too old.\n' : `Cluster ID: ${clusterId}\n`);
          return 0;
        }
        const answer = await cluster.entry.call(DescribeCluster, { includeClusterAuthorizedOperations: false });
        check(answer.errorCode, answer.errorMessage);
        out(`Cluster ID: ${answer.clusterId}\n`);
        return 0;
      },
      new UsageFault(`${USAGE}\nkafka-cluster: error: argument --bootstrap-server is required`, { brief: true }),
    );
  },
});
