/**
 * `kafka-topics.sh`: creates, lists, describes, alters and deletes topics (org.apache.kafka.tools.TopicCommand 3.9). With
 * `--zookeeper` it takes what the tool of 2.2 took (`--config` and `--delete-config` with `--alter`, `--force`) and prints
 * what that printed.
 */

import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { BOOTSTRAP, BROKER_LIST, COMMAND_CONFIG, runTool, withCluster, ZOOKEEPER } from './kafka-tool/tool.ts';
import { runTopicAction } from './kafka-tool/topic-actions.ts';
import { describeTopics, PARTITION_FILTERS } from './kafka-tool/topic-description.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  COMMAND_CONFIG,
  ZOOKEEPER,
  BROKER_LIST,
  { name: 'list', doc: 'List all available topics.' },
  { name: 'create', doc: 'Create a new topic.' },
  { name: 'delete', doc: 'Delete a topic' },
  { name: 'alter', doc: 'Alter the number of partitions. Configs of an existing topic are altered with kafka-configs.' },
  { name: 'describe', doc: 'List details for the given topics.' },
  { name: 'topic', value: 'String: topic', doc: 'The topic to create, alter, describe or delete; a regular expression except with --create.' },
  { name: 'topic-id', value: 'String: topic-id', doc: 'The id of the topic to describe.' },
  { name: 'config', value: 'String: name=value', repeatable: true, doc: 'A config of the topic that is created.' },
  { name: 'delete-config', value: 'String: name', repeatable: true, doc: 'A config to be removed; only with --zookeeper, use kafka-configs else.' },
  { name: 'partitions', value: 'Integer: # of partitions', doc: 'The number of partitions of the topic; default: what the cluster says.' },
  { name: 'replication-factor', value: 'Integer: replication factor', doc: 'The number of copies of each partition; default: what the cluster says.' },
  {
    name: 'replica-assignment',
    value: 'String: broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , ...',
    doc: 'Which brokers hold which partition.',
  },
  { name: 'under-replicated-partitions', doc: 'With --describe: only partitions that lack replicas in sync.' },
  { name: 'unavailable-partitions', doc: 'With --describe: only partitions without leader.' },
  { name: 'under-min-isr-partitions', doc: 'With --describe: only partitions with fewer replicas in sync than min.insync.replicas.' },
  { name: 'at-min-isr-partitions', doc: 'With --describe: only partitions with exactly as many as min.insync.replicas.' },
  { name: 'topics-with-overrides', doc: 'With --describe: only topics with configs of their own.' },
  { name: 'if-exists', doc: 'With --alter, --delete and --describe: do nothing if the topic does not exist.' },
  { name: 'if-not-exists', doc: 'With --create: do nothing if the topic exists.' },
  { name: 'exclude-internal', doc: 'Leave out internal topics.' },
  {
    name: 'partition-size-limit-per-response',
    value: 'Integer: maximum number of partitions in one response.',
    doc: 'How many partitions to ask for at once with --describe.',
  },
  { name: 'force', doc: 'Older; has no effect.' },
  { name: 'disable-rack-aware', doc: 'Older; has no effect.' },
];

const ACTIONS = ['list', 'describe', 'create', 'alter', 'delete'] as const;

function checkOptions(options: Options): (typeof ACTIONS)[number] {
  const legacy = options.has('zookeeper');
  const actions = ACTIONS.filter((name) => options.has(name));
  if (actions.length !== 1) throw new UsageFault('Command must include exactly one action: --list, --describe, --create, --alter or --delete');
  const action = actions[0] as (typeof ACTIONS)[number];
  if (action === 'create' || action === 'alter' || action === 'delete') options.require('topic');
  if (action === 'alter' && !legacy) {
    if (options.has('config')) {
      throw new UsageFault(
        `Option combination "[[bootstrap-server], [config]]" can't be used with option "[alter]" (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)`,
      );
    }
    options.require('partitions');
  }
  if (options.has('replica-assignment')) {
    options.exclude('replica-assignment', ...(action === 'create' ? ['partitions'] : []), 'replication-factor');
  }
  options.onlyWith(action, [
    [
      ['config', 'delete-config', 'partitions', 'replica-assignment'],
      ['create', 'alter'],
    ],
    [['replication-factor'], legacy ? ['create', 'alter'] : ['create']],
    [[...PARTITION_FILTERS, 'topics-with-overrides'], ['describe']],
    [['if-exists'], ['alter', 'delete', 'describe']],
    [['if-not-exists'], ['create']],
    [['exclude-internal'], ['list', 'describe']],
  ]);
  for (const name of PARTITION_FILTERS) options.exclude(name, 'topics-with-overrides');
  return action;
}

await runTool({
  purpose: 'This tool helps to create, delete, describe, or change a topic.',
  options: OPTIONS,
  run: async (options) => {
    if (!['bootstrap-server', 'zookeeper', 'broker-list'].some((name) => options.has(name))) {
      throw new UsageFault('--bootstrap-server must be specified', { brief: true, javaClass: 'java.lang.IllegalArgumentException' });
    }
    const action = checkOptions(options);
    return withCluster(options, (cluster) => runTopicAction(action, { options, cluster, describe: describeTopics }));
  },
});
