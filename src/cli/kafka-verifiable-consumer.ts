/**
 * `kafka-verifiable-consumer.sh`: a member of a group that prints a line of JSON for whatever happens to it (partitions
 * come and go, records are read, offsets are committed), for system tests (org.apache.kafka.tools.VerifiableConsumer 3.9).
 */
import { type Assigned, GroupConsumer } from '../kafka/client/consumer.ts';
import { isTopicName } from '../kafka/client/records.ts';
import { readConsumerConfig } from '../kafka/client/settings.ts';
import { ErrorCode } from '../kafka/errors.ts';
import { systemClock } from '../lib/clock.ts';
import { ProtocolError } from '../lib/errors.ts';
import { isFinal } from './kafka-tool/final-errors.ts';
import { javaClassOf } from './kafka-tool/java-text.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, logLine, out, WireError } from './kafka-tool/output.ts';
import { BOOTSTRAP, BROKER_LIST, runTool, settingsOf } from './kafka-tool/tool.ts';
import { argumentFault, bootstrapWords, printEvent, runUntilSignal } from './kafka-tool/verifiable.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  BROKER_LIST,
  { name: 'topic', value: 'TOPIC', doc: 'Consumes messages from this topic.' },
  { name: 'group-protocol', value: 'GROUP_PROTOCOL', doc: 'CLASSIC, the default; CONSUMER (KIP-848) is not spoken here.' },
  { name: 'group-remote-assignor', value: 'GROUP_REMOTE_ASSIGNOR', doc: 'Belongs to the protocol CONSUMER; has no effect.' },
  { name: 'group-id', value: 'GROUP_ID', doc: 'The group shared among members.' },
  { name: 'group-instance-id', value: 'GROUP_INSTANCE_ID', doc: 'A fixed name of this member.' },
  { name: 'max-messages', value: 'MAX-MESSAGES', doc: 'Consume so many messages; -1, the default, until the process is ended.' },
  { name: 'session-timeout', value: 'TIMEOUT_MS', doc: "The consumer's session timeout; default 30000." },
  { name: 'verbose', doc: 'Print each record.' },
  { name: 'enable-autocommit', doc: 'Commit now and then instead of after each batch, and do not say so.' },
  { name: 'reset-policy', value: 'RESETPOLICY', doc: "Where to begin without a committed offset: 'earliest' (the default), 'latest' or 'none'." },
  { name: 'assignment-strategy', value: 'ASSIGNMENTSTRATEGY', doc: 'The assignor, by its Java class; default RangeAssignor.' },
  { name: 'consumer.config', value: 'CONFIG_FILE', doc: 'File with settings of the consumer; options of the command line come first.' },
];
const USAGE =
  'usage: verifiable-consumer [-h] --topic TOPIC [--group-protocol GROUP_PROTOCOL] [--group-remote-assignor GROUP_REMOTE_ASSIGNOR] --group-id GROUP_ID [--group-instance-id GROUP_INSTANCE_ID] [--max-messages MAX-MESSAGES] [--session-timeout TIMEOUT_MS] [--verbose] [--enable-autocommit] [--reset-policy RESETPOLICY] [--assignment-strategy ASSIGNMENTSTRATEGY] [--consumer.config CONFIG_FILE] (--bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]] | --broker-list HOST1:PORT1[,HOST2:PORT2[...]])';
const fault = argumentFault('verifiable-consumer', USAGE);
/** Java's max.poll.records. */
const POLL_RECORDS = 500;
const AUTO_COMMIT_MS = 5_000;

async function settingsFor(options: Options): Promise<Record<string, string>> {
  for (const name of ['topic', 'group-id']) if (!options.has(name)) throw fault(`argument --${name} is required`);
  const protocol = options.get('group-protocol') ?? 'classic';
  if (!/^(classic|consumer)$/i.test(protocol)) throw fault(`argument --group-protocol: invalid choice: '${protocol}' (choose from {CLASSIC,CONSUMER})`);
  if (!/^classic$/i.test(protocol)) throw fault('argument --group-protocol: the protocol CONSUMER is not spoken by this tool; leave it out');
  const reset = options.get('reset-policy') ?? 'earliest';
  if (!['earliest', 'latest', 'none'].includes(reset)) {
    const message = `org.apache.kafka.common.config.ConfigException: Invalid value ${reset} for configuration auto.offset.reset: String must be one of: latest, earliest, none`;
    throw new UsageFault(message, { brief: true });
  }
  const instance = options.get('group-instance-id');
  return {
    ...(await settingsOf(options, 'consumer.config')),
    'group.id': options.get('group-id') as string,
    'session.timeout.ms': String(options.int('session-timeout', 30_000)),
    'auto.offset.reset': reset,
    'partition.assignment.strategy': options.get('assignment-strategy') ?? 'org.apache.kafka.clients.consumer.RangeAssignor',
    ...(instance !== undefined && { 'group.instance.id': instance }),
  };
}

const place = ({ topic, partition }: Assigned): { topic: string; partition: number } => ({ topic, partition });

/** What was handed out of one partition in one turn. */
interface Turn {
  readonly partition: Assigned;
  readonly records: { readonly offset: number; readonly key: string | null; readonly value: string | null }[];
}

class VerifiableConsumer {
  readonly #options: Options;
  readonly #consumer: GroupConsumer;
  readonly #total: number;
  #assigned: readonly Assigned[] = [];
  #count = 0;
  #trouble: Error | undefined;
  /** What ends it; the exit code says nothing of it, as that of Kafka's tool does not. */
  #fatal: Error | undefined;
  #committedAt = Date.now();
  readonly #stop = new AbortController();

  constructor(options: Options, settings: Readonly<Record<string, string>>) {
    this.#options = options;
    this.#total = options.int('max-messages', -1);
    const { config, findings } = readConsumerConfig(settings, '');
    const bad = findings.find(({ severity }) => severity === 'error');
    if (config === null || bad !== undefined) throw new UsageFault(bad?.message ?? 'the settings of the consumer cannot be used', { brief: true });
    this.#consumer = new GroupConsumer({
      bootstrap: bootstrapWords(options, fault),
      config,
      topics: [options.get('topic') as string],
      clientId: `consumer-${config['group.id']}-1`,
      clock: systemClock,
      onAssigned: (partitions) => this.#onAssigned(partitions),
      onTrouble: (error) => this.#onTrouble(error),
    });
  }

  stop(): void {
    this.#stop.abort();
  }

  async run(): Promise<void> {
    printEvent('startup_complete');
    const { signal } = this.#stop;
    try {
      const topic = this.#options.get('topic') as string;
      // No broker has such a topic, nor makes one: there is nothing to wait for.
      if (!isTopicName(topic)) throw new WireError(ErrorCode.INVALID_TOPIC_EXCEPTION, `Invalid topics: [${topic}]`);
      this.#consumer.start();
      while (!signal.aborted && !this.#isDone) if (await this.#consumer.wait(AUTO_COMMIT_MS, signal)) await this.#turn();
    } catch (error) {
      this.#fatal = error as Error;
    } finally {
      if (this.#fatal !== undefined) sayFatal(this.#fatal);
      await this.#consumer.stop();
      if (this.#assigned.length > 0) this.#say('partitions_revoked', this.#assigned);
      printEvent('shutdown_complete');
    }
  }

  get #isDone(): boolean {
    return this.#total >= 0 && this.#count >= this.#total;
  }

  /** Reads what lies ready, says so and commits it. */
  async #turn(): Promise<void> {
    const turns = new Map<Assigned, Turn>();
    const polled = this.#consumer.drain(POLL_RECORDS, (partition, cursor) => {
      const turn = turns.get(partition) ?? { partition, records: [] };
      turns.set(partition, turn);
      turn.records.push({ offset: cursor.offset, key: cursor.key()?.toString() ?? null, value: cursor.value()?.toString() ?? null });
    });
    if (polled === 0) return;
    const partitions = [];
    const offsets = [];
    for (const { partition, records: all } of turns.values()) {
      // Kafka's tool counts all that it got, and goes on with no more than was asked for.
      const records = this.#total < 0 ? all : all.slice(0, this.#total - this.#count);
      const [first, last] = [records[0], records.at(-1)];
      if (!first || !last) continue;
      const at = place(partition);
      if (this.#options.has('verbose')) for (const { offset, key, value } of records) printEvent('record_data', { key, value, ...at, offset });
      partitions.push({ ...at, count: records.length, minOffset: first.offset, maxOffset: last.offset });
      offsets.push({ ...at, offset: last.offset + 1 });
      partition.safe = last.offset + 1;
      this.#count += records.length;
    }
    printEvent('records_consumed', { count: polled, partitions });
    if (!this.#options.has('enable-autocommit')) await this.#commit(turns, offsets);
    else if (Date.now() - this.#committedAt >= AUTO_COMMIT_MS) {
      this.#committedAt = Date.now();
      await this.#consumer.commit();
    }
  }

  async #commit(turns: ReadonlyMap<Assigned, Turn>, offsets: readonly unknown[]): Promise<void> {
    this.#trouble = undefined;
    await this.#consumer.commit();
    const success = [...turns.keys()].every(({ committed, safe }) => committed >= safe);
    const error = (this.#trouble as Error | undefined)?.message ?? 'the group is in a rebalance';
    printEvent('offsets_committed', { offsets, ...(!success && { error }), success });
  }

  /** All partitions go and come with a rebalance, but those of a cooperative assignor: then only what changes. */
  #onAssigned(partitions: readonly Assigned[]): void {
    const isCooperative = /Cooperative/.test(this.#options.get('assignment-strategy') ?? '');
    const kept = (one: Assigned, among: readonly Assigned[]): boolean => isCooperative && among.includes(one);
    const gone = this.#assigned.filter((one) => !kept(one, partitions));
    const fresh = partitions.filter((one) => !kept(one, this.#assigned));
    if (this.#assigned.length > 0) this.#say('partitions_revoked', gone);
    this.#assigned = partitions;
    this.#say('partitions_assigned', fresh);
  }

  #say(name: string, partitions: readonly Assigned[]): void {
    printEvent(name, { partitions: partitions.map(place) });
  }

  #onTrouble(error: Error | undefined): void {
    if (error !== undefined && isFinal(error)) {
      this.#fatal ??= error;
      this.#stop.abort();
    } else if (error !== undefined && error.message !== this.#trouble?.message)
      logLine('WARN', `[Consumer groupId=${this.#options.get('group-id')}] ${error.message}`, 'org.apache.kafka.clients.NetworkClient');
    this.#trouble = error ?? this.#trouble;
  }
}

function sayFatal(error: Error): void {
  logLine('ERROR', 'Error during processing, terminating consumer process: ', 'org.apache.kafka.tools.VerifiableConsumer');
  err(`${error instanceof ProtocolError ? `${javaClassOf(error.wireCode)}: ` : ''}${error.message}\n`);
}

async function run(options: Options): Promise<number> {
  if (options.order.length === 0) {
    out(`${USAGE}\n`);
    return 0;
  }
  return runUntilSignal(new VerifiableConsumer(options, await settingsFor(options)));
}

await runTool({
  purpose: `This tool consumes messages from a specific topic and emits consumer events as JSON objects to STDOUT.\n${USAGE}`,
  options: OPTIONS,
  helpWithoutWords: false,
  run,
});
