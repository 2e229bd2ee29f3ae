/** `kafka-consumer-groups --describe` in its three forms: offsets with lag, members, state. */
import type { Cluster } from './cluster.ts';
import { committedOffsets, describeGroup, type GroupDescription, type GroupMember } from './group-state.ts';
import { columns } from './java-text.ts';
import type { Options } from './options.ts';
import { err, out, WireError } from './output.ts';
import { byTopicThenPartition, keyOf, LATEST, offsetsAt, type TopicPartition } from './partition-offsets.ts';

const NONE = '-';
const REBALANCING = new Set(['PreparingRebalance', 'CompletingRebalance', 'Assigning', 'Reconciling']);

/** As the tools print it: on stdout, after a blank line. */
export function printError(message: string): void {
  out(`\nError: ${message}\n`);
}

export async function describeGroups(cluster: Cluster, groups: readonly string[], options: Options): Promise<void> {
  for (const groupId of groups) {
    const group = await describeGroup(cluster, groupId);
    // As in Kafka's tool a list of members has its heading even when there is no such group.
    if (!announce(group) && !options.has('members')) continue;
    if (options.has('members')) printMembers(group, options.has('verbose'));
    else if (options.has('state')) printState(group);
    else await printOffsets(cluster, group);
  }
}

/** Says what is special about the group's state; false = there is no such group. */
function announce({ groupId, state }: GroupDescription): boolean {
  if (state === 'Dead') printError(`Consumer group '${groupId}' does not exist.`);
  else if (state === 'Empty') err(`\nConsumer group '${groupId}' has no active members.\n`);
  else if (REBALANCING.has(state)) err(`\nWarning: Consumer group '${groupId}' is rebalancing.\n`);
  return state !== 'Dead';
}

/** A heading and rows; each column as wide as `widths` says or its longest cell, the last one open. */
function printTable(heading: readonly string[], rows: readonly (readonly string[])[], widths: readonly number[]): void {
  const wide = widths.map((width, i) => (width < 0 ? -width : width === 0 ? 0 : Math.max(width, ...rows.map((row) => (row[i] as string).length))));
  out('\n');
  for (const row of [heading, ...rows]) out(`${columns(row, wide)}\n`);
}

async function printOffsets(cluster: Cluster, group: GroupDescription): Promise<void> {
  const rows = await offsetRows(cluster, group);
  if (rows.length === 0) return;
  const heading = ['GROUP', 'TOPIC', 'PARTITION', 'CURRENT-OFFSET', 'LOG-END-OFFSET', 'LAG', 'CONSUMER-ID', 'HOST', 'CLIENT-ID'];
  printTable(heading, rows, [15, 15, -10, -15, -15, -15, 15, 15, 0]);
}

async function offsetRows(cluster: Cluster, group: GroupDescription): Promise<string[][]> {
  const committed = new Map((await committedOffsets(cluster, group.groupId)).map((one) => [keyOf(one), one]));
  const members = [...group.members].sort((a, b) => b.partitions.length - a.partitions.length);
  const assigned = new Set(members.flatMap(({ partitions }) => partitions.map(keyOf)));
  const free = [...committed.values()].filter((one) => !assigned.has(keyOf(one)));
  const ends = await endOffsets(cluster, [...members.flatMap(({ partitions }) => partitions), ...free]);
  const row = (item: TopicPartition, member: GroupMember | undefined): string[] => {
    const offset = committed.get(keyOf(item))?.offset;
    const end = ends.get(keyOf(item));
    const lag = offset === undefined || end === undefined ? NONE : String(end - offset);
    const who = member === undefined ? [NONE, NONE, NONE] : [member.memberId, member.host, member.clientId];
    return [
      group.groupId,
      item.topic,
      String(item.partition),
      offset === undefined ? NONE : String(offset),
      end === undefined ? NONE : String(end),
      lag,
      ...who,
    ];
  };
  const idle = (member: GroupMember): string[] => [group.groupId, NONE, NONE, NONE, NONE, NONE, member.memberId, member.host, member.clientId];
  return [
    ...members.flatMap((member) =>
      member.partitions.length === 0 ? [idle(member)] : [...member.partitions].sort(byTopicThenPartition).map((item) => row(item, member)),
    ),
    ...free.sort(byTopicThenPartition).map((item) => row(item, undefined)),
  ];
}

/** Ends of those partitions that exist and have a leader. */
async function endOffsets(cluster: Cluster, partitions: readonly TopicPartition[]): Promise<Map<string, number>> {
  const names = [...new Set(partitions.map(({ topic }) => topic))];
  if (names.length === 0) return new Map();
  const { topics } = await cluster.metadata(names);
  const live = new Set(
    topics.flatMap(({ name, partitions: all }) => all.filter(({ leaderId }) => leaderId >= 0).map(({ partitionIndex }) => `${name}-${partitionIndex}`)),
  );
  const found = await offsetsAt(
    cluster,
    topics,
    partitions.filter((one) => live.has(keyOf(one))).map(({ topic, partition }) => ({ topic, partition, timestamp: LATEST })),
  );
  const ends = new Map<string, number>();
  for (const [key, result] of found) if (!(result instanceof WireError)) ends.set(key, result.offset);
  return ends;
}

function assignmentText(partitions: readonly TopicPartition[]): string {
  const byTopic = new Map<string, number[]>();
  for (const { topic, partition } of [...partitions].sort(byTopicThenPartition)) byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition]);
  return byTopic.size === 0 ? NONE : Array.from(byTopic, ([topic, ids]) => `${topic}(${ids.join(',')})`).join(', ');
}

function printMembers({ groupId, members }: GroupDescription, verbose: boolean): void {
  const withInstance = members.some(({ instanceId }) => instanceId !== null && instanceId !== '');
  const heading = [
    'GROUP',
    'CONSUMER-ID',
    ...(withInstance ? ['GROUP-INSTANCE-ID'] : []),
    'HOST',
    'CLIENT-ID',
    '#PARTITIONS',
    ...(verbose ? ['ASSIGNMENT'] : []),
  ];
  const rows = members.map((member) => [
    groupId,
    member.memberId,
    ...(withInstance ? [member.instanceId || NONE] : []),
    member.host,
    member.clientId,
    String(member.partitions.length),
    verbose ? assignmentText(member.partitions) : '',
  ]);
  printTable(heading, rows, [15, 15, ...(withInstance ? [17] : []), 15, 15, 15, 0]);
}

function printState({ groupId, state, strategy, members, coordinator }: GroupDescription): void {
  const heading = ['GROUP', 'COORDINATOR (ID)', 'ASSIGNMENT-STRATEGY', 'STATE', '#MEMBERS'];
  const row = [groupId, `${coordinator.host}:${coordinator.port}  (${coordinator.nodeId})`, strategy, state, String(members.length)];
  printTable(heading, [row], [25, 25, 20, 15, 0]);
}
