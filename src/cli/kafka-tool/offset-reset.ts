/** `kafka-consumer-groups --reset-offsets`: works out new offsets of groups that nobody reads with, and stores them. */
import { readFileSync } from 'node:fs';
import { OffsetCommit } from '../../kafka/apis/offset-commit.ts';
import { ErrorCode } from '../../kafka/errors.ts';
import { type Cluster, check } from './cluster.ts';
import { printError } from './group-description.ts';
import { committedOffsets, describeGroup } from './group-state.ts';
import { columns } from './java-text.ts';
import { type Options, UsageFault } from './options.ts';
import { logLine, out, WireError } from './output.ts';
import { byTopic, byTopicThenPartition, EARLIEST, keyOf, LATEST, offsetsAt, type TopicPartition } from './partition-offsets.ts';

const CLASS = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand';
const WIDTHS = [30, 30, 10, 15];

/** Why a reset cannot be done; printed as an error of the command. */
export class ResetFault extends Error {}

export interface NewOffset extends TopicPartition {
  readonly offset: number;
}

/** One group's reset, with what was found out on the way. */
interface Reset {
  readonly cluster: Cluster;
  readonly options: Options;
  readonly groupId: string;
  /** By topic-partition. */
  readonly committed: ReadonlyMap<string, number>;
}

export async function resetOffsets(cluster: Cluster, groups: readonly string[], options: Options): Promise<void> {
  const all = new Map<string, NewOffset[]>();
  for (const groupId of groups) {
    const { state } = await describeGroup(cluster, groupId);
    if (state !== 'Empty' && state !== 'Dead') {
      printError(`Assignments can only be reset if the group '${groupId}' is inactive, but the current state is ${state}.`);
      all.set(groupId, []);
      continue;
    }
    const committed = new Map((await committedOffsets(cluster, groupId)).map((one) => [keyOf(one), one.offset]));
    const offsets = await newOffsets({ cluster, options, groupId, committed });
    all.set(groupId, offsets);
    if (options.has('execute')) await store(cluster, groupId, offsets);
  }
  if (options.has('export')) printCsv(all);
  else printTable(all);
}

function printTable(all: ReadonlyMap<string, readonly NewOffset[]>): void {
  out(`\n${columns(['GROUP', 'TOPIC', 'PARTITION', 'NEW-OFFSET'], WIDTHS)}\n`);
  for (const [groupId, offsets] of all) for (const { topic, partition, offset } of offsets) out(`${columns([groupId, topic, partition, offset], WIDTHS)}\n`);
}

function printCsv(all: ReadonlyMap<string, readonly NewOffset[]>): void {
  for (const [groupId, offsets] of all) {
    for (const { topic, partition, offset } of offsets) out(`${all.size > 1 ? `${groupId},` : ''}${topic},${partition},${offset}\n`);
  }
  out('\n');
}

async function store(cluster: Cluster, groupId: string, offsets: readonly NewOffset[]): Promise<void> {
  if (offsets.length === 0) return;
  const connection = await cluster.coordinatorOf(groupId);
  const answer = await connection.call(OffsetCommit, {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    topics: byTopic(offsets, ({ partition, offset }) => ({ partitionIndex: partition, committedOffset: offset, committedMetadata: '' })),
  });
  for (const { partitions } of answer.topics) for (const { errorCode } of partitions) check(errorCode);
}

async function newOffsets(reset: Reset): Promise<NewOffset[]> {
  const { options } = reset;
  if (options.has('from-file')) return clamp(reset, offsetsInFile(options.get('from-file') as string, reset.groupId));
  const partitions = await partitionsToReset(reset);
  const fromLog = async (timestamp: number): Promise<NewOffset[]> => logOffsets(reset.cluster, partitions, timestamp);
  if (options.has('to-earliest')) return fromLog(EARLIEST);
  if (options.has('to-latest')) return fromLog(LATEST);
  if (options.has('to-offset'))
    return clamp(
      reset,
      withOffset(partitions, () => options.int('to-offset', 0)),
    );
  if (options.has('shift-by'))
    return clamp(
      reset,
      withOffset(partitions, (item) => shifted(reset, item)),
    );
  if (options.has('to-datetime')) return byTime(reset, partitions, dateTime(options.get('to-datetime') as string));
  if (options.has('by-duration')) return byTime(reset, partitions, Date.now() - duration(options.get('by-duration') as string));
  const missing = partitions.filter((item) => !reset.committed.has(keyOf(item)));
  const ends = new Map((await logOffsets(reset.cluster, missing, LATEST)).map((one) => [keyOf(one), one.offset]));
  return withOffset(partitions, (item) => reset.committed.get(keyOf(item)) ?? (ends.get(keyOf(item)) as number));
}

function withOffset(partitions: readonly TopicPartition[], offset: (item: TopicPartition) => number): NewOffset[] {
  return partitions.map((item) => ({ ...item, offset: offset(item) }));
}

function shifted({ committed, options }: Reset, item: TopicPartition): number {
  const current = committed.get(keyOf(item));
  if (current === undefined) throw new UsageFault(`Cannot shift offset for partition ${keyOf(item)} since there is no current committed offset`);
  return current + options.int('shift-by', 0);
}

/** What `--topic t[:p,p]` and `--all-topics` mean. */
async function partitionsToReset({ cluster, options, committed, groupId }: Reset): Promise<TopicPartition[]> {
  if (options.has('all-topics')) {
    if (committed.size === 0) return [];
    return (await committedOffsets(cluster, groupId)).map(({ topic, partition }) => ({ topic, partition })).sort(byTopicThenPartition);
  }
  return topicPartitions(cluster, options.all('topic'));
}

/** Topics with or without partitions, as `t`, `t:0` or `t:0,1`. @throws WireError a topic or partition does not exist */
export async function topicPartitions(cluster: Cluster, words: readonly string[]): Promise<TopicPartition[]> {
  const wanted = words.map((word) => {
    const [topic, list] = word.split(':', 2) as [string, string | undefined];
    const ids = list?.split(',').map((id) => id.trim());
    for (const id of ids ?? []) if (!/^\d+$/.test(id)) throw new UsageFault(`Invalid partition '${id}' specified in topic arg '${word}''`);
    return { topic, ids: ids?.map(Number) };
  });
  const { topics } = await cluster.metadata([...new Set(wanted.map(({ topic }) => topic))]);
  return wanted
    .flatMap(({ topic, ids }) => {
      const found = topics.find(({ name }) => name === topic);
      check(found?.errorCode ?? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
      const existing = (found?.partitions ?? []).map(({ partitionIndex }) => partitionIndex);
      for (const id of ids ?? []) if (!existing.includes(id)) check(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `The topic ${topic} has no partition ${id}.`);
      return (ids ?? existing).map((partition) => ({ topic, partition }));
    })
    .sort(byTopicThenPartition);
}

async function logOffsets(cluster: Cluster, partitions: readonly TopicPartition[], timestamp: number): Promise<NewOffset[]> {
  if (partitions.length === 0) return [];
  const { topics } = await cluster.metadata([...new Set(partitions.map(({ topic }) => topic))]);
  const found = await offsetsAt(
    cluster,
    topics,
    partitions.map(({ topic, partition }) => ({ topic, partition, timestamp })),
  );
  return partitions.map((item) => {
    const result = found.get(keyOf(item));
    if (result instanceof WireError) throw result;
    return { ...item, offset: result?.offset ?? -1 };
  });
}

async function byTime({ cluster }: Reset, partitions: readonly TopicPartition[], timestamp: number): Promise<NewOffset[]> {
  const found = await logOffsets(cluster, partitions, Math.max(0, timestamp));
  const late = found.filter(({ offset }) => offset < 0);
  const ends = new Map((await logOffsets(cluster, late, LATEST)).map((one) => [keyOf(one), one.offset]));
  for (const { topic, partition } of late) out(`\nWarn: Partition ${partition} from topic ${topic} is empty. Falling back to latest known offset.\n`);
  return found.map((one) => (one.offset < 0 ? { ...one, offset: ends.get(keyOf(one)) as number } : one));
}

/** Offsets outside of what the log has become its nearest end. */
async function clamp({ cluster }: Reset, wanted: readonly NewOffset[]): Promise<NewOffset[]> {
  const [first, last] = await Promise.all([EARLIEST, LATEST].map((time) => logOffsets(cluster, wanted, time)));
  return wanted.map((one, i) => {
    const [low, high] = [first?.[i]?.offset ?? 0, last?.[i]?.offset ?? 0];
    if (one.offset > high)
      logLine('WARN', `New offset (${one.offset}) is higher than latest offset for topic partition ${keyOf(one)}. Value will be set to ${high}`, CLASS);
    else if (one.offset < low)
      logLine('WARN', `New offset (${one.offset}) is lower than earliest offset for topic partition ${keyOf(one)}. Value will be set to ${low}`, CLASS);
    return { topic: one.topic, partition: one.partition, offset: Math.min(high, Math.max(low, one.offset)) };
  });
}

/** Lines `topic,partition,offset`, or with the group in front. */
function offsetsInFile(file: string, groupId: string): NewOffset[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new ResetFault(`java.io.IOException: Unable to read file ${file}`);
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.flatMap((line) => {
    const cells = line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
    const [group, topic, partition, offset] = cells.length === 4 ? cells : [groupId, ...cells];
    if (topic === undefined || !/^\d+$/.test(partition ?? '') || !/^\d+$/.test(offset ?? ''))
      throw new ResetFault(`java.lang.IllegalArgumentException: "${line}" in ${file} is not topic,partition,offset`);
    return group === groupId ? [{ topic, partition: Number(partition), offset: Number(offset) }] : [];
  });
}

/** ISO 8601; UTC unless it says otherwise, as Kafka's Utils.getDateTime. */
export function dateTime(text: string): number {
  const failed = (why: string): ResetFault => new ResetFault(`java.text.ParseException: ${why}`);
  const [, time] = text.split('T', 2);
  if (time === undefined) throw failed("Error parsing timestamp. It does not contain a 'T' according to ISO8601 format");
  const parsed = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}(:?\d{2})?)?$/.test(text)
    ? Date.parse(/[+Z-]/.test(time) ? text.replace(/([+-]\d{2})(\d{2})$/, '$1:$2').replace(/([+-]\d{2})$/, '$1:00') : `${text}Z`)
    : Number.NaN;
  if (Number.isNaN(parsed)) throw failed(`Unparseable date: "${text}"`);
  return parsed;
}

/** java.time.Duration: `P1DT2H3M4.5S`, in ms. */
export function duration(text: string): number {
  const found = /^([+-])?P(?:([+-]?\d+)D)?(?:T(?=[\d+-])(?:([+-]?\d+)H)?(?:([+-]?\d+)M)?(?:([+-]?\d+(?:\.\d{0,9})?)S)?)?$/i.exec(text);
  const parts = found?.slice(2, 6) ?? [];
  if (found === null || parts.every((part) => part === undefined)) throw new ResetFault('Text cannot be parsed to a Duration');
  const [days, hours, minutes, seconds] = parts.map((part) => Number(part ?? 0)) as [number, number, number, number];
  return (found[1] === '-' ? -1 : 1) * Math.trunc((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000);
}

const SCENARIOS = ['to-offset', 'to-current', 'to-datetime', 'from-file', 'by-duration', 'to-earliest', 'to-latest', 'shift-by'];
const DRY =
  'WARN: No action will be performed as the --execute option is missing.In a future major release, the default behavior of this command will be to prompt the user before executing the reset rather than doing a dry run. You should add the --dry-run option explicitly if you are scripting this command and want to keep the current default behavior without prompting.';

/** What should be said before a reset, or undefined. @throws UsageFault it shall be done and not be done */
export function dryRunWarning(options: Options): string | undefined {
  if (options.has('execute') && options.has('dry-run')) throw new UsageFault('Option [reset-offsets] only accepts one of [execute] and [dry-run]');
  return options.has('execute') || options.has('dry-run') ? undefined : DRY;
}

/** @throws UsageFault no groups, no topics, or not exactly one way to find the offsets */
export function checkReset(options: Options): void {
  if (!options.has('group') && !options.has('all-groups')) throw new UsageFault('Option [reset-offsets] takes one of these options: [all-groups], [group]');
  const scenarios = SCENARIOS.filter((name) => options.has(name));
  if (scenarios.length > 1) throw new UsageFault(`Option "[${scenarios[0]}]" can't be used with option "[${scenarios[1]}]"`);
  if (!options.has('from-file') && !options.has('topic') && !options.has('all-topics'))
    throw new UsageFault('One of the reset scopes should be defined: --all-topics, --topic.');
  if (scenarios.length === 0)
    throw new UsageFault(`Option '[reset-offsets]' requires one of the following scenarios: [${SCENARIOS.map((name) => `[${name}]`).join(', ')}]`);
}
