/** `kafka-leader-election.sh`: asks for an election of leaders (org.apache.kafka.tools.LeaderElectionCommand 3.9). */
import { readFileSync } from 'node:fs';
import { ElectLeaders } from '../kafka/apis/elect-leaders.ts';
import { ErrorCode } from '../kafka/errors.ts';
import { type Cluster, check } from './kafka-tool/cluster.ts';
import { javaError } from './kafka-tool/java-text.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, out } from './kafka-tool/output.ts';
import { byTopic, type TopicPartition } from './kafka-tool/partition-offsets.ts';
import { BOOTSTRAP, COMMAND_CONFIG, runTool, withCluster, ZOOKEEPER } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  { ...COMMAND_CONFIG, name: 'admin.config' },
  COMMAND_CONFIG,
  ZOOKEEPER,
  {
    name: 'election-type',
    value: 'election type',
    doc: 'preferred: the preferred replica is elected where it is not the leader; unclean: any replica where there is no leader.',
  },
  { name: 'all-topic-partitions', doc: 'Every partition that qualifies.' },
  { name: 'topic', value: 'topic name', doc: 'The topic; with --partition.' },
  { name: 'partition', value: 'partition id', doc: 'The partition; with --topic.' },
  { name: 'path-to-json-file', value: 'Path to JSON file', doc: 'File with {"partitions": [{"topic": "foo", "partition": 1}]}.' },
];

const fault = (message: string): UsageFault =>
  new UsageFault(message, { brief: true, javaClass: 'org.apache.kafka.server.common.AdminCommandFailedException' });

function partitionsOf(options: Options): TopicPartition[] | null {
  if (options.has('all-topic-partitions')) return null;
  const file = options.get('path-to-json-file');
  if (file === undefined) return [{ topic: options.get('topic') as string, partition: options.int('partition', 0) }];
  const parsed = JSON.parse(readFileSync(file, 'utf8')) as { partitions?: TopicPartition[] };
  if (!Array.isArray(parsed.partitions)) throw fault('Replica election data is missing "partitions" field');
  return parsed.partitions.map(({ topic, partition }) => ({ topic, partition }));
}

async function elect(cluster: Cluster, kind: 'preferred' | 'unclean', partitions: readonly TopicPartition[] | null): Promise<number> {
  const answer = await cluster.ask(ElectLeaders, {
    electionType: kind === 'preferred' ? 0 : 1,
    topicPartitions:
      partitions === null ? null : byTopic(partitions, ({ partition }) => partition).map(({ name, partitions: ids }) => ({ topic: name, partitions: ids })),
    timeoutMs: 30_000,
  });
  check(answer.errorCode);
  const done: string[] = [];
  const needless: string[] = [];
  const failed: [string, string][] = [];
  for (const { topic, partitionResult } of answer.replicaElectionResults) {
    for (const { partitionId, errorCode, errorMessage } of partitionResult) {
      const name = `${topic}-${partitionId}`;
      if (errorCode === ErrorCode.NONE) done.push(name);
      else if (errorCode === ErrorCode.ELECTION_NOT_NEEDED) needless.push(name);
      else failed.push([name, javaError(errorCode, errorMessage)]);
    }
  }
  if (done.length > 0) out(`Successfully completed leader election (${kind.toUpperCase()}) for partitions ${done.join(', ')}\n`);
  if (needless.length > 0) out(`Valid replica already elected for partitions ${needless.join(', ')}\n`);
  for (const [name, text] of failed) out(`Error completing leader election (${kind.toUpperCase()}) for partition: ${name}: ${text}\n`);
  if (failed.length === 0) return 0;
  const message = `${failed.length} replica(s) could not be elected`;
  err(`${message}\norg.apache.kafka.server.common.AdminCommandFailedException: ${message}\n`);
  for (const [, text] of failed) err(`\tSuppressed: ${text}\n`);
  return 1;
}

await runTool({
  purpose: 'This tool attempts to elect a new leader for a set of topic partitions.',
  options: OPTIONS,
  run: async (options) => {
    const missing = ['bootstrap-server', 'election-type'].filter((name) => !options.has(name) && !(name === 'bootstrap-server' && options.has('zookeeper')));
    if (missing.length > 0) throw fault(`Missing required option(s): ${missing.join(', ')}`);
    const kind = options.get('election-type')?.toLowerCase();
    if (kind !== 'preferred' && kind !== 'unclean')
      throw fault(`Value [${options.get('election-type')}] of option election-type is neither preferred nor unclean`);
    const scopes = ['topic', 'all-topic-partitions', 'path-to-json-file'].filter((name) => options.has(name));
    if (scopes.length !== 1) throw fault('One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file');
    if (options.has('topic') !== options.has('partition')) {
      throw fault(options.has('topic') ? 'Missing required option(s): partition' : 'Option partition is only allowed if topic is used');
    }
    return withCluster(options, (cluster) => elect(cluster, kind, partitionsOf(options)));
  },
});
