/**
 * `kafka-transactions.sh`: lists and describes transactions and producers, finds and aborts hanging ones
 * (org.apache.kafka.tools.TransactionsCommand 3.9, KIP-664).
 */
import { DescribeProducers } from '../kafka/apis/describe-producers.ts';
import { DescribeTransactions } from '../kafka/apis/describe-transactions.ts';
import { ListTransactions } from '../kafka/apis/list-transactions.ts';
import { WriteTxnMarkers } from '../kafka/apis/write-txn-markers.ts';
import { ErrorCode } from '../kafka/errors.ts';
import { type Cluster, check } from './kafka-tool/cluster.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, out, WireError } from './kafka-tool/output.ts';
import { byLeader, byTopic, byTopicThenPartition, keyOf, type TopicPartition } from './kafka-tool/partition-offsets.ts';
import { BOOTSTRAP, COMMAND_CONFIG, runTool, withCluster } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  COMMAND_CONFIG,
  { name: 'transactional-id', value: 'TRANSACTIONAL-ID', doc: 'describe: the transactional id.' },
  { name: 'duration-filter', value: 'DURATION', doc: 'list: only transactions that run longer than so many ms.' },
  { name: 'topic', value: 'TOPIC', doc: 'describe-producers, abort, find-hanging: the topic.' },
  { name: 'partition', value: 'PARTITION', doc: 'describe-producers, abort, find-hanging: the partition.' },
  { name: 'broker-id', value: 'BROKER', doc: 'describe-producers: ask this replica; find-hanging: partitions that this broker leads.' },
  { name: 'start-offset', value: 'START-OFFSET', doc: 'abort: where the transaction begins.' },
  { name: 'producer-id', value: 'PRODUCER-ID', doc: 'abort: the producer, with --producer-epoch and --coordinator-epoch.' },
  { name: 'producer-epoch', value: 'EPOCH', doc: 'abort: the epoch of the producer.' },
  { name: 'coordinator-epoch', value: 'EPOCH', doc: 'abort: the epoch of the coordinator.' },
  { name: 'max-transaction-timeout', value: 'MINUTES', doc: 'find-hanging: how long a transaction may run; default 15.' },
];
const USAGE = 'usage: kafka-transactions.sh [-h] [-v] [--command-config FILE]\n                             --bootstrap-server host:port COMMAND ...';

function fault(message: string): UsageFault {
  return new UsageFault(`${USAGE}\nkafka-transactions.sh: error: ${message}`, { brief: true });
}

/** Said on stderr, exit 1. */
class Refusal extends Error {}

/** Columns as wide as their widest cell, each followed by a tab. */
function table(rows: readonly (readonly (string | number)[])[]): void {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)));
  for (const row of rows) out(`${row.map((cell, i) => `${String(cell).padEnd(widths[i] ?? 0)}\t`).join('')}\n`);
}

async function list(cluster: Cluster, options: Options): Promise<void> {
  await cluster.metadata([]);
  const rows: (string | number)[][] = [['TransactionalId', 'Coordinator', 'ProducerId', 'TransactionState']];
  for (const { nodeId } of cluster.brokers) {
    const answer = await (await cluster.broker(nodeId)).call(ListTransactions, {
      stateFilters: [],
      producerIdFilters: [],
      ...(options.has('duration-filter') && { durationFilter: options.int('duration-filter', -1) }),
    });
    check(answer.errorCode);
    for (const t of answer.transactionStates) rows.push([t.transactionalId, nodeId, t.producerId, t.transactionState]);
  }
  table(rows);
}

const HEADINGS = ['CoordinatorId', 'TransactionalId', 'ProducerId', 'ProducerEpoch', 'TransactionState', 'TransactionTimeoutMs'];

async function describe(cluster: Cluster, options: Options): Promise<void> {
  const id = options.get('transactional-id');
  if (id === undefined) throw fault('argument --transactional-id is required');
  const coordinator = await cluster.coordinator(id, 1);
  const { transactionStates } = await (await cluster.broker(coordinator.nodeId)).call(DescribeTransactions, { transactionalIds: [id] });
  const t = transactionStates[0];
  if (t?.errorCode === ErrorCode.TRANSACTIONAL_ID_NOT_FOUND || t === undefined) {
    throw new Refusal(
      `Failed to describe transaction state of transactional-id \`${id}\`: DescribeTransactions request for transactionalId \`${id}\` failed because the ID could not be found. Enable debug logging for additional detail.`,
    );
  }
  check(t.errorCode);
  const started = t.transactionStartTimeMs >= 0;
  table([
    [...HEADINGS, 'CurrentTransactionStartTimeMs', 'TransactionDurationMs', 'TopicPartitions'],
    [
      coordinator.nodeId,
      t.transactionalId,
      t.producerId,
      t.producerEpoch,
      t.transactionState,
      t.transactionTimeoutMs,
      started ? t.transactionStartTimeMs : 'None',
      started ? Date.now() - t.transactionStartTimeMs : 'None',
      t.topics.flatMap(({ topic, partitions }) => partitions.map((partition) => `${topic}-${partition}`)).join(','),
    ],
  ]);
}

type Producer = Awaited<ReturnType<typeof producersOf>>[number];

async function producersOf(cluster: Cluster, partitions: readonly TopicPartition[], brokerId?: number) {
  const { topics } = await cluster.metadata([...new Set(partitions.map(({ topic }) => topic))]);
  const groups = brokerId === undefined ? byLeader(partitions, topics) : new Map([[brokerId, [...partitions]]]);
  const found = [];
  for (const [broker, items] of groups) {
    const answer = await (await cluster.broker(broker)).call(DescribeProducers, {
      topics: byTopic(items, ({ partition }) => partition).map((t) => ({ name: t.name, partitionIndexes: t.partitions })),
    });
    for (const { name, partitions: results } of answer.topics) {
      for (const { partitionIndex, errorCode, errorMessage, activeProducers } of results) {
        check(errorCode, errorMessage);
        for (const producer of activeProducers) found.push({ topic: name, partition: partitionIndex, ...producer });
      }
    }
  }
  return found.sort(byTopicThenPartition);
}

function partitionOf(options: Options): TopicPartition {
  const topic = options.get('topic');
  if (topic === undefined) throw fault('argument --topic is required');
  if (!options.has('partition')) throw fault('argument --partition is required');
  return { topic, partition: options.int('partition', 0) };
}

async function describeProducers(cluster: Cluster, options: Options): Promise<void> {
  const producers = await producersOf(cluster, [partitionOf(options)], options.has('broker-id') ? options.int('broker-id', -1) : undefined);
  table([
    ['ProducerId', 'ProducerEpoch', 'LatestCoordinatorEpoch', 'LastSequence', 'LastTimestamp', 'CurrentTransactionStartOffset'],
    ...producers.map((p) => [
      p.producerId,
      p.producerEpoch,
      p.coordinatorEpoch,
      p.lastSequence,
      p.lastTimestamp,
      p.currentTxnStartOffset < 0 ? 'None' : p.currentTxnStartOffset,
    ]),
  ]);
}

async function abort(cluster: Cluster, options: Options): Promise<void> {
  const target = partitionOf(options);
  let marker = {
    producerId: options.int('producer-id', -1),
    producerEpoch: options.int('producer-epoch', -1),
    coordinatorEpoch: options.int('coordinator-epoch', -1),
  };
  if (options.has('start-offset') === options.has('producer-id')) {
    throw new Refusal(
      'The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)',
    );
  }
  // A marker that lacks one of these would be taken for another producer's.
  for (const name of ['producer-epoch', 'coordinator-epoch'])
    if (options.has('producer-id') && !options.has(name)) throw new Refusal(`Missing required argument --${name}`);
  if (options.has('start-offset')) {
    const start = options.int('start-offset', 0);
    const open = (await producersOf(cluster, [target])).find((p) => p.currentTxnStartOffset === start);
    if (open === undefined) throw new Refusal(`Could not find any open transactions starting at offset ${start} on partition ${keyOf(target)}`);
    marker = { producerId: open.producerId, producerEpoch: open.producerEpoch, coordinatorEpoch: open.coordinatorEpoch };
  }
  const { topics } = await cluster.metadata([target.topic]);
  for (const leader of byLeader([target], topics).keys()) {
    const answer = await (await cluster.broker(leader)).call(WriteTxnMarkers, {
      markers: [
        {
          ...marker,
          coordinatorEpoch: Math.max(0, marker.coordinatorEpoch),
          transactionResult: false,
          topics: [{ name: target.topic, partitionIndexes: [target.partition] }],
        },
      ],
    });
    for (const { topics: results } of answer.markers) for (const { partitions } of results) for (const { errorCode } of partitions) check(errorCode);
  }
}

const HANGING = ['Topic', 'Partition', 'ProducerId', 'ProducerEpoch', 'CoordinatorEpoch', 'StartOffset', 'LastTimestamp', 'Duration(min)'];

async function findHanging(cluster: Cluster, options: Options): Promise<void> {
  const brokerId = options.has('broker-id') ? options.int('broker-id', -1) : undefined;
  if (!options.has('topic') && brokerId === undefined)
    throw new Refusal('The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search');
  if (options.has('partition') && !options.has('topic')) throw new Refusal('The --partition argument requires --topic to be provided');
  const { topics } = await cluster.metadata(options.has('topic') ? [options.get('topic') as string] : null);
  const partitions = topics.flatMap(({ name, partitions: all }) =>
    all
      .filter(
        (p) => (brokerId === undefined || p.replicaNodes.includes(brokerId)) && (!options.has('partition') || p.partitionIndex === options.int('partition', 0)),
      )
      .map((p) => ({ topic: name as string, partition: p.partitionIndex })),
  );
  const limitMs = (options.int('max-transaction-timeout', 15) + 5) * 60_000;
  const now = Date.now();
  const old = (await producersOf(cluster, partitions)).filter((p) => p.currentTxnStartOffset >= 0 && now - p.lastTimestamp > limitMs);
  const hanging = await withoutTransaction(cluster, old);
  table([
    HANGING,
    ...hanging.map((p) => [
      p.topic,
      p.partition,
      p.producerId,
      p.producerEpoch,
      p.coordinatorEpoch,
      p.currentTxnStartOffset,
      p.lastTimestamp,
      Math.floor((now - p.lastTimestamp) / 60_000),
    ]),
  ]);
}

/** Those whose coordinator knows of no transaction on the partition. */
async function withoutTransaction(cluster: Cluster, producers: readonly Producer[]): Promise<Producer[]> {
  if (producers.length === 0) return [];
  const busy = new Set<string>();
  for (const { nodeId } of cluster.brokers) {
    const connection = await cluster.broker(nodeId);
    const { transactionStates } = await connection.call(ListTransactions, {
      stateFilters: [],
      producerIdFilters: producers.map(({ producerId }) => producerId),
    });
    if (transactionStates.length === 0) continue;
    const described = await connection.call(DescribeTransactions, { transactionalIds: transactionStates.map(({ transactionalId }) => transactionalId) });
    for (const t of described.transactionStates) {
      for (const { topic, partitions } of t.topics) for (const partition of partitions) busy.add(`${t.producerId} ${topic}-${partition}`);
    }
  }
  return producers.filter((p) => !busy.has(`${p.producerId} ${keyOf(p)}`));
}

const COMMANDS: Readonly<Record<string, (cluster: Cluster, options: Options) => Promise<void>>> = {
  list,
  describe,
  'describe-producers': describeProducers,
  abort,
  'find-hanging': findHanging,
};

await runTool({
  purpose: `This tool is used to analyze the transactional state of producers in the cluster.\n${USAGE}\ncommands: ${Object.keys(COMMANDS).join(', ')}`,
  options: OPTIONS,
  run: async (options) => {
    const name = options.rest[0];
    if (name === undefined) throw fault('too few arguments');
    const command = COMMANDS[name];
    if (command === undefined) throw fault(`argument COMMAND: invalid choice: '${name}' (choose from ${Object.keys(COMMANDS).join(', ')})`);
    try {
      return await withCluster(options, async (cluster) => command(cluster, options).then(() => 0), fault('argument --bootstrap-server is required'));
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof WireError)) throw error;
      err(`${error.message}\n`);
      return 1;
    }
  },
});
