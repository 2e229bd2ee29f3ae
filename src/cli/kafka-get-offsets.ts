/** `kafka-get-offsets.sh`: offsets of partitions by time (org.apache.kafka.tools.GetOffsetShell 3.9). */
import type { TopicMetadata } from './kafka-tool/cluster.ts';
import { int64Text } from './kafka-tool/java-text.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, out, WireError } from './kafka-tool/output.ts';
import { byTopicThenPartition, EARLIEST, keyOf, LATEST, MAX_TIMESTAMP, offsetsAt, type TopicPartition } from './kafka-tool/partition-offsets.ts';
import { BOOTSTRAP, BROKER_LIST, COMMAND_CONFIG, runTool, withCluster, ZOOKEEPER } from './kafka-tool/tool.ts';
import { topicFilter } from './kafka-tool/topic-filter.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  BROKER_LIST,
  COMMAND_CONFIG,
  ZOOKEEPER,
  { name: 'topic', value: 'String: topic', doc: 'The topics, as a regular expression; all by default.' },
  {
    name: 'topic-partitions',
    value: 'String: topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3',
    doc: 'Topics and partitions: a regular expression, then a number or a range without its upper bound.',
  },
  { name: 'partitions', value: 'String: partition ids', doc: 'Partition ids, separated by commas; only without --topic-partitions.' },
  {
    name: 'time',
    value: 'String: <timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered',
    doc: 'Which offsets; default latest.',
  },
  { name: 'exclude-internal-topics', doc: 'Leave out internal topics.' },
  { name: 'offsets', value: 'Integer: count', doc: 'Older; has no effect.' },
  { name: 'max-wait-ms', value: 'Integer: ms', doc: 'Older; has no effect.' },
];

/** Said after `Error occurred: `, exit 1. */
class Refusal extends Error {}

const TIMES: Readonly<Record<string, number>> = {
  latest: LATEST,
  earliest: EARLIEST,
  'max-timestamp': MAX_TIMESTAMP,
  'earliest-local': -4,
  'latest-tiered': -5,
};

function timeOf(text: string): number {
  if (TIMES[text] !== undefined) return TIMES[text];
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  throw new Refusal(
    `Malformed time argument ${text}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered, or a specified long format timestamp`,
  );
}

type Filter = (item: TopicPartition) => boolean;

/** One `topic:partitions` of `--topic-partitions`; the upper bound of a range is excluded. */
function partitionFilter(text: string): Filter {
  const found = /^([^:,]*)(?::(?:(\d*)-(\d*)|(\d+)))?$/.exec(text);
  if (found === null) throw new Refusal(`Invalid rule specification: ${text}`);
  const [, topic, low, high, exact] = found;
  const matches = topicFilter(topic === '' ? undefined : topic);
  return (item) => {
    if (!matches(item.topic)) return false;
    if (exact !== undefined) return item.partition === Number(exact);
    return item.partition >= Number(low || 0) && item.partition < (high ? Number(high) : Number.POSITIVE_INFINITY);
  };
}

function filterOf(options: Options): Filter {
  const rules = options.get('topic-partitions');
  if (rules !== undefined) {
    if (options.has('topic') || options.has('partitions')) throw new Refusal('--topic-partitions cannot be used with --topic or --partitions');
    const filters = rules.split(',').map(partitionFilter);
    return (item) => filters.some((filter) => filter(item));
  }
  const matches = topicFilter(options.get('topic'));
  const wanted = options.get('partitions');
  const ids = wanted === undefined ? null : new Set(wanted.split(',').map((id) => Number(id.trim())));
  if (ids !== null && [...ids].some((id) => !Number.isInteger(id)))
    throw new Refusal('--partitions expects a comma separated list of numeric partition ids, but received: ' + wanted);
  return ({ topic, partition }) => matches(topic) && (ids === null || ids.has(partition));
}

function partitionsOf(topics: readonly TopicMetadata[], filter: Filter, withInternal: boolean): TopicPartition[] {
  const all = topics
    .filter(({ isInternal }) => withInternal || !isInternal)
    .flatMap(({ name, partitions }) => partitions.map(({ partitionIndex, leaderId }) => ({ topic: name as string, partition: partitionIndex, leaderId })));
  const wanted = all.filter(filter).sort(byTopicThenPartition);
  if (wanted.length === 0) throw new Refusal('Could not match any topic-partitions with the specified filters');
  for (const { topic, partition, leaderId } of wanted)
    if (leaderId < 0) err(`Error: partition ${partition} of ${topic} does not have a leader. Skip getting offsets\n`);
  return wanted.filter(({ leaderId }) => leaderId >= 0);
}

async function run(options: Options): Promise<number> {
  const timestamp = timeOf(options.get('time') ?? 'latest');
  const filter = filterOf(options);
  return withCluster(
    options,
    async (cluster) => {
      const { topics } = await cluster.metadata(null);
      const partitions = partitionsOf(topics, filter, !options.has('exclude-internal-topics'));
      const found = await offsetsAt(
        cluster,
        topics,
        partitions.map((item) => ({ ...item, timestamp })),
      );
      for (const item of partitions) {
        const result = found.get(keyOf(item));
        if (result instanceof WireError) err(`Skip getting offsets for topic-partition ${keyOf(item)} due to error: ${result.message}\n`);
        else if (result !== undefined && result.offset >= 0) out(`${item.topic}:${item.partition}:${int64Text(result.offset)}\n`);
      }
      return 0;
    },
    new UsageFault('Error occurred: Missing required option(s) [bootstrap-server]', { brief: true }),
  );
}

await runTool({
  purpose: 'An interactive shell for getting topic-partition offsets.',
  options: OPTIONS,
  run: async (options) => {
    try {
      return await run(options);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      err(`Error occurred: ${error.message}\n`);
      return 1;
    }
  },
});
