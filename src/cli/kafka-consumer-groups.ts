/** `kafka-consumer-groups.sh`: lists, describes, resets and deletes consumer groups (ConsumerGroupCommand 3.9). */
import { DeleteGroups } from '../kafka/apis/delete-groups.ts';
import { OffsetDelete } from '../kafka/apis/offset-delete.ts';
import { ErrorCode, errorMessage, errorName } from '../kafka/errors.ts';
import { errorText } from '../lib/errors.ts';
import type { Cluster } from './kafka-tool/cluster.ts';
import { describeGroups, printError } from './kafka-tool/group-description.ts';
import { listGroups } from './kafka-tool/group-state.ts';
import { columns, javaError } from './kafka-tool/java-text.ts';
import { checkReset, dryRunWarning, ResetFault, resetOffsets } from './kafka-tool/offset-reset.ts';
import { type Options, type ToolOption, UsageFault } from './kafka-tool/options.ts';
import { err, out, WireError } from './kafka-tool/output.ts';
import { byTopic, type TopicPartition } from './kafka-tool/partition-offsets.ts';
import { BOOTSTRAP, COMMAND_CONFIG, runTool, withCluster, ZOOKEEPER } from './kafka-tool/tool.ts';

const OPTIONS: readonly ToolOption[] = [
  BOOTSTRAP,
  COMMAND_CONFIG,
  ZOOKEEPER,
  { name: 'list', doc: 'List all consumer groups.' },
  { name: 'describe', doc: 'Describe consumer group and list offset lag (number of messages not yet processed) related to given group.' },
  { name: 'delete', doc: 'Delete consumer groups with their offsets.' },
  { name: 'reset-offsets', doc: 'Reset offsets of consumer groups without active members.' },
  { name: 'delete-offsets', doc: 'Delete offsets of a consumer group for topics.' },
  { name: 'group', value: 'String: consumer group', repeatable: true, doc: 'The consumer group we wish to act on.' },
  { name: 'all-groups', doc: 'Apply to all consumer groups.' },
  { name: 'topic', value: 'String: topic', repeatable: true, doc: 'The topic, with or without partitions: topic1:0,1,2.' },
  { name: 'all-topics', doc: 'All topics that the group has offsets of.' },
  { name: 'state', value: 'String', optional: true, doc: 'With --describe: the state of the group; with --list: states too, or only groups in these states.' },
  { name: 'type', value: 'String', optional: true, doc: 'With --list: types too, or only groups of these types.' },
  { name: 'members', doc: 'With --describe: the members of the group.' },
  { name: 'offsets', doc: 'With --describe: offsets and lag; the default.' },
  { name: 'verbose', doc: 'With --describe --members: also their partitions.' },
  { name: 'dry-run', doc: 'Only show results without executing changes.' },
  { name: 'execute', doc: 'Execute the reset.' },
  { name: 'export', doc: 'Print the new offsets as CSV.' },
  { name: 'to-earliest', doc: 'Reset offsets to the earliest.' },
  { name: 'to-latest', doc: 'Reset offsets to the latest.' },
  { name: 'to-current', doc: 'Reset offsets to what they are.' },
  { name: 'to-offset', value: 'Long: offset', doc: 'Reset offsets to this one.' },
  { name: 'shift-by', value: 'Long: number-of-offsets', doc: 'Move offsets by so many; may be negative.' },
  { name: 'to-datetime', value: 'String: datetime', doc: "Reset offsets to this time: 'YYYY-MM-DDTHH:mm:SS.sss'." },
  { name: 'by-duration', value: 'String: duration', doc: "Reset offsets to so long ago: 'PnDTnHnMnS'." },
  { name: 'from-file', value: 'String: path to CSV file', doc: 'Reset offsets to those in this file.' },
  { name: 'timeout', value: 'Long: timeout (ms)', doc: 'How long to wait for answers; default 5000.' },
  { name: 'new-consumer', doc: 'Older; has no effect.' },
];

const ACTIONS = ['list', 'describe', 'delete', 'reset-offsets', 'delete-offsets'] as const;
type Action = (typeof ACTIONS)[number];

/** Which groups the options mean. */
async function groupsOf(cluster: Cluster, options: Options): Promise<string[]> {
  if (!options.has('all-groups')) return [...new Set(options.all('group'))];
  return (await listGroups(cluster)).map(({ groupId }) => groupId).sort();
}

const STATES = ['PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead', 'Empty', 'Assigning', 'Reconciling'];
const TYPES = ['Consumer', 'Classic'];

function filterOf(text: string | undefined, valid: readonly string[], what: string): ReadonlySet<string> | null {
  if (text === undefined || text.trim() === '') return null;
  const words = text.split(',').map((word) => valid.find((one) => one.toLowerCase() === word.trim().toLowerCase()));
  if (words.includes(undefined)) throw new UsageFault(`Invalid ${what} list '${text}'. Valid ${what.replace(/s?$/, 's')} are: ${valid.join(', ')}`);
  return new Set(words as string[]);
}

async function list(cluster: Cluster, options: Options): Promise<void> {
  const states = filterOf(options.get('state'), STATES, 'state');
  const types = filterOf(options.get('type'), TYPES, 'types');
  const groups = (await listGroups(cluster)).filter(({ state, type }) => (states?.has(state) ?? true) && (types?.has(type) ?? true));
  if (!options.has('state') && !options.has('type')) {
    for (const { groupId } of groups) out(`${groupId}\n`);
    return;
  }
  const width = Math.max(15, ...groups.map(({ groupId }) => groupId.length)) + 10;
  const row = (group: string, type: string, state: string): void => {
    const cells = [group, ...(options.has('type') ? [type] : []), ...(options.has('state') ? [state] : [])];
    out(`${columns(cells, [width, 20, 20])}\n`);
  };
  row('GROUP', 'TYPE', 'STATE');
  for (const { groupId, type, state } of groups) row(groupId, type, state);
}

async function remove(cluster: Cluster, options: Options): Promise<void> {
  const done: string[] = [];
  const failed: [string, string][] = [];
  for (const groupId of await groupsOf(cluster, options)) {
    const { results } = await (await cluster.coordinatorOf(groupId)).call(DeleteGroups, { groupsNames: [groupId] });
    const errorCode = results[0]?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR;
    if (errorCode === ErrorCode.NONE) done.push(groupId);
    else failed.push([groupId, `java.util.concurrent.ExecutionException: ${javaError(errorCode)}`]);
  }
  const names = `'${done.join("', '")}'`;
  if (failed.length === 0) {
    out(`Deletion of requested consumer groups (${names}) was successful.\n`);
    return;
  }
  printError('Deletion of some consumer groups failed:');
  for (const [groupId, text] of failed) out(`* Group '${groupId}' could not be deleted due to: ${text}\n`);
  if (done.length > 0) out(`\nThese consumer groups were deleted successfully: ${names}\n`);
}

/** Topics as given, with all their partitions where none are named; -1 stands for a topic that is not there. */
async function offsetsToDelete(cluster: Cluster, words: readonly string[]): Promise<TopicPartition[]> {
  const { topics } = await cluster.metadata(words.map((word) => word.split(':')[0] as string));
  return words.flatMap((word) => {
    const [topic, ids] = word.split(':', 2) as [string, string | undefined];
    const existing = topics
      .find(({ name, errorCode }) => name === topic && errorCode === ErrorCode.NONE)
      ?.partitions.map(({ partitionIndex }) => partitionIndex);
    const wanted = ids?.split(',').map(Number) ?? existing ?? [-1];
    return wanted.map((partition) => ({ topic, partition }));
  });
}

const DELETE_ERRORS: Readonly<Record<number, (group: string) => string>> = {
  [ErrorCode.INVALID_GROUP_ID]: (group) => `'${group}' is not valid.`,
  [ErrorCode.GROUP_ID_NOT_FOUND]: (group) => `'${group}' does not exist.`,
  [ErrorCode.GROUP_AUTHORIZATION_FAILED]: (group) => `Access to '${group}' is not authorized.`,
  [ErrorCode.NON_EMPTY_GROUP]: (group) => `Deleting offsets of a consumer group '${group}' is forbidden if the group is not empty.`,
};

async function deleteOffsets(cluster: Cluster, options: Options): Promise<void> {
  const group = options.get('group') as string;
  const items = await offsetsToDelete(cluster, options.all('topic'));
  const known = items.filter(({ partition }) => partition >= 0);
  const answer = await (await cluster.coordinatorOf(group)).call(OffsetDelete, {
    groupId: group,
    topics: byTopic(known, ({ partition }) => ({ partitionIndex: partition })),
  });
  const codes = new Map(answer.topics.flatMap(({ name, partitions }) => partitions.map((p) => [`${name}-${p.partitionIndex}`, p.errorCode] as const)));
  const codeOf = ({ topic, partition }: TopicPartition): number =>
    answer.errorCode !== ErrorCode.NONE ? answer.errorCode : (codes.get(`${topic}-${partition}`) ?? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION);
  const bad = items.map(codeOf).find((code) => code !== ErrorCode.NONE) ?? ErrorCode.NONE;
  if (bad === ErrorCode.NONE) out(`Request succeed for deleting offsets with topic ${options.all('topic').join(', ')} group ${group}\n`);
  else
    printError(
      DELETE_ERRORS[answer.errorCode]?.(group) ??
        (answer.errorCode === ErrorCode.NONE
          ? 'Encounter some partition level error, see the follow-up details:'
          : `Encounter some unknown error: ${errorName(answer.errorCode)}`),
    );
  out(`\n${columns(['TOPIC', 'PARTITION', 'STATUS'], [30, 15, 15])}\n`);
  for (const item of items) {
    const code = codeOf(item);
    const status = code === ErrorCode.NONE ? 'Successful' : `Error: :${javaError(code, errorMessage(code))}`;
    out(`${columns([item.topic, item.partition >= 0 ? item.partition : 'Not Provided', status], [30, 15, 15])}\n`);
  }
}

/** @throws UsageFault */
function checkOptions(options: Options): Action {
  const actions = ACTIONS.filter((name) => options.has(name));
  const action = actions[0];
  if (action === undefined || actions.length > 1)
    throw new UsageFault('Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets');
  const needsGroup = action === 'describe' || action === 'delete';
  if (needsGroup && !options.has('group') && !options.has('all-groups'))
    throw new UsageFault(`Option [${action}] takes one of these options: [all-groups], [group]`);
  const forms = ['members', 'offsets', 'state'].filter((name) => options.has(name));
  if (action === 'describe' && forms.length > 1) throw new UsageFault('Option [describe] takes at most one of these options: [members], [offsets], [state]');
  if (action === 'describe' && options.get('state') !== undefined) throw new UsageFault('Option [describe] does not take a value for [state]');
  options.int('timeout', 5_000);
  if (action === 'delete' && options.has('topic')) throw new UsageFault('The consumer does not support topic-specific offset deletion from a consumer group.');
  if (action === 'delete-offsets' && !(options.has('group') && options.has('topic')))
    throw new UsageFault('Option [delete-offsets] takes the following options: [group], [topic]');
  if (action === 'reset-offsets') {
    const warning = dryRunWarning(options);
    if (warning !== undefined) err(`${warning}\n`);
    checkReset(options);
  }
  options.exclude('group', 'all-groups');
  options.onlyWith(action, [
    [['group'], ['describe', 'delete', 'reset-offsets', 'delete-offsets']],
    [['all-groups'], ['describe', 'delete', 'reset-offsets']],
    [['topic'], ['delete', 'reset-offsets', 'delete-offsets']],
  ]);
  return action;
}

async function perform(action: Action, cluster: Cluster, options: Options): Promise<void> {
  if (action === 'list') await list(cluster, options);
  else if (action === 'describe') await describeGroups(cluster, await groupsOf(cluster, options), options);
  else if (action === 'reset-offsets') await resetOffsets(cluster, await groupsOf(cluster, options), options);
  else if (action === 'delete') await remove(cluster, options);
  else await deleteOffsets(cluster, options);
}

await runTool({
  purpose: 'This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.',
  options: OPTIONS,
  run: async (options) => {
    const action = checkOptions(options);
    try {
      return await withCluster(options, (cluster) => perform(action, cluster, options).then(() => 0));
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof ResetFault)) throw error;
      printError(
        `Executing consumer group command failed due to ${error instanceof WireError ? `java.util.concurrent.ExecutionException: ${error.javaText}` : errorText(error)}`,
      );
      return 1;
    }
  },
});
