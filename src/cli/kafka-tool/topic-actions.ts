/** What kafka-topics does besides describing: list, create, alter, delete, and how its errors look. */
import { CreatePartitions } from '../../kafka/apis/create-partitions.ts';
import { CreateTopics } from '../../kafka/apis/create-topics.ts';
import { DeleteTopics } from '../../kafka/apis/delete-topics.ts';
import { IncrementalAlterConfigs } from '../../kafka/apis/incremental-alter-configs.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { AppError, errorText } from '../../lib/errors.ts';
import { type Cluster, check, type TopicMetadata } from './cluster.ts';
import { type Options, UsageFault } from './options.ts';
import { err, logLine, out, WireError } from './output.ts';
import { topicFilter } from './topic-filter.ts';

const CLASS = 'org.apache.kafka.tools.TopicCommand';
const TOPIC_RESOURCE = 2;
const COLLISION =
  "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.\n";
const PARTITION_WARNING = 'WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the messages will be affected\n';

export interface TopicJob {
  readonly options: Options;
  readonly cluster: Cluster;
  describe(job: TopicJob): Promise<void>;
}

/** The command was understood but cannot be carried out; printed as `Error while executing topic command : …`. */
export class TopicFault extends Error {
  readonly javaText: string;
  constructor(message: string, javaClass = 'java.lang.IllegalArgumentException') {
    super(message);
    this.javaText = `${javaClass}: ${message}`;
  }
}

/** Exit code 0, or 1 after printing why. */
export async function runTopicAction(action: 'list' | 'describe' | 'create' | 'alter' | 'delete', job: TopicJob): Promise<number> {
  const actions = { list, describe: job.describe, create, alter, delete: remove };
  try {
    await actions[action](job);
    return 0;
  } catch (error) {
    out(`Error while executing topic command : ${errorText(error)}\n`);
    const text =
      error instanceof WireError || error instanceof TopicFault
        ? error.javaText
        : `${error instanceof UsageFault ? `${error.javaClass}: ` : ''}${errorText(error)}`;
    logLine('ERROR', `${text}\n`, CLASS);
    if (error instanceof AppError && error.fix !== undefined) err(`${error.fix}\n`);
    return 1;
  }
}

/** Topics that `--topic` means, sorted by name; all without it. */
export async function selectTopics({ cluster, options }: TopicJob, mustExist: boolean): Promise<TopicMetadata[]> {
  const wanted = options.get('topic');
  const { topics } = await cluster.metadata(null);
  const matches = topicFilter(wanted);
  const found = topics
    .filter((topic) => matches(topic.name as string) && !(options.has('exclude-internal') && topic.isInternal))
    .sort((a, b) => ((a.name as string) < (b.name as string) ? -1 : 1));
  if (found.length === 0 && wanted !== undefined && mustExist && !options.has('if-exists')) {
    throw new TopicFault(options.has('zookeeper') ? 'Topics in [] does not exist' : `Topic 'Optional[${wanted}]' does not exist as expected`);
  }
  return found;
}

async function list(job: TopicJob): Promise<void> {
  for (const { name } of await selectTopics(job, false)) out(`${name}\n`);
}

/** `key=value`, blanks around both dropped. */
function configPairs(words: readonly string[]): { name: string; value: string }[] {
  return words.map((word) => {
    const at = word.indexOf('=');
    if (at <= 0) throw new TopicFault('requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".');
    return { name: word.slice(0, at).trim(), value: word.slice(at + 1).trim() };
  });
}

/** `0:1,1:2`: brokers of each partition. */
function assignments(text: string): { partitionIndex: number; brokerIds: number[] }[] {
  const parts = text.split(',').map((part, partitionIndex) => ({ partitionIndex, brokerIds: part.split(':').map((id) => Number.parseInt(id.trim(), 10)) }));
  for (const { brokerIds } of parts) {
    if (brokerIds.some((id) => Number.isNaN(id))) throw new TopicFault(`For input string: "${text}"`, 'java.lang.NumberFormatException');
    const twice = brokerIds.filter((id, i) => brokerIds.indexOf(id) !== i);
    if (twice.length > 0)
      throw new TopicFault(
        `Partition replica lists may not contain duplicate entries: ${twice.join(',')}`,
        'org.apache.kafka.server.common.AdminCommandFailedException',
      );
    if (brokerIds.length !== parts[0]?.brokerIds.length) {
      throw new TopicFault(`Partition ${parts.length - 1} has different replication factor: ${text}`, 'org.apache.kafka.server.common.AdminOperationException');
    }
  }
  return parts;
}

/** What a lone broker says about too large a replication factor, in the words of the tool that was called. */
function factorText(error: WireError, factor: number, job: TopicJob): string {
  return job.options.has('zookeeper') && error.wireCode === ErrorCode.INVALID_REPLICATION_FACTOR
    ? `Replication factor: ${factor} larger than available brokers: ${job.cluster.brokers.length}.`
    : error.message;
}

async function create(job: TopicJob): Promise<void> {
  const { options, cluster } = job;
  const name = options.get('topic') as string;
  const assigned = options.get('replica-assignment');
  const partitions = options.int('partitions', -1);
  const factor = options.int('replication-factor', -1);
  if (options.has('partitions') && partitions <= 0) throw new TopicFault('The partitions must be greater than 0');
  if (options.has('replication-factor') && (factor < 1 || factor > 32_767))
    throw new TopicFault(`The replication factor must be between 1 and 32767 inclusive`);
  const configs = configPairs(options.all('config'));
  if (/[._]/.test(name)) out(COLLISION);
  await cluster.metadata([]);
  const { topics } = await cluster.ask(CreateTopics, {
    topics: [
      {
        name,
        numPartitions: assigned === undefined ? partitions : -1,
        replicationFactor: assigned === undefined ? factor : -1,
        assignments: assigned === undefined ? [] : assignments(assigned),
        configs,
      },
    ],
    timeoutMs: 30_000,
    validateOnly: false,
  });
  for (const { errorCode, errorMessage } of topics) {
    if (errorCode === ErrorCode.TOPIC_ALREADY_EXISTS && options.has('if-not-exists')) return;
    try {
      check(errorCode, errorMessage);
    } catch (error) {
      throw error instanceof WireError ? new WireError(errorCode, factorText(error, factor, job)) : error;
    }
  }
  out(`Created topic ${name}.\n`);
}

async function alter(job: TopicJob): Promise<void> {
  const { options, cluster } = job;
  const topics = await selectTopics(job, true);
  for (const { name } of topics) if (options.has('config') || options.has('delete-config')) await alterConfigs(job, name as string);
  if (!options.has('partitions')) return;
  const count = options.int('partitions', 0);
  const legacy = options.has('zookeeper');
  if (legacy && topics.length > 0) out(PARTITION_WARNING);
  const assigned = options.get('replica-assignment');
  const { results } = await cluster.ask(CreatePartitions, {
    topics: topics.map(({ name, partitions }) => ({
      name: name as string,
      count,
      assignments:
        assigned === undefined
          ? null
          : assignments(assigned)
              .slice(partitions.length)
              .map(({ brokerIds }) => ({ brokerIds })),
    })),
    timeoutMs: 30_000,
    validateOnly: false,
  });
  for (const { errorCode, errorMessage } of results) check(errorCode, errorMessage);
  if (legacy && topics.length > 0) out('Adding partitions succeeded!\n');
}

/** As the tool of 2.2 did it in ZooKeeper; on brokers it is IncrementalAlterConfigs. */
async function alterConfigs({ options, cluster }: TopicJob, name: string): Promise<void> {
  out('WARNING: Altering topic configuration from this script has been deprecated and may be removed in future releases.\n');
  out('         Going forward, please use kafka-configs.sh for this functionality\n');
  const set = configPairs(options.all('config')).map((config) => ({ ...config, configOperation: 0 }));
  const unset = options.all('delete-config').map((key) => ({ name: key.trim(), value: null, configOperation: 1 }));
  const { responses } = await cluster.ask(IncrementalAlterConfigs, {
    resources: [{ resourceType: TOPIC_RESOURCE, resourceName: name, configs: [...set, ...unset] }],
    validateOnly: false,
  });
  for (const { errorCode, errorMessage } of responses) check(errorCode, errorMessage);
  out(`Updated config for topic ${name}.\n`);
}

async function remove(job: TopicJob): Promise<void> {
  const { options, cluster } = job;
  const names = (await selectTopics(job, true)).map(({ name }) => name as string);
  if (names.length === 0) return;
  const { responses } = await cluster.ask(DeleteTopics, {
    topics: names.map((name) => ({ name, topicId: undefined as never })),
    topicNames: names,
    timeoutMs: 30_000,
  });
  for (const { name, errorCode, errorMessage } of responses) {
    check(errorCode, errorMessage);
    if (!options.has('zookeeper')) continue;
    out(`Topic ${name} is marked for deletion.\n`);
    out('Note: This will have no impact if delete.topic.enable is not set to true.\n');
  }
}
