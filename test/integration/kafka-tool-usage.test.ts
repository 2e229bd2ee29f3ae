/**
 * What the Kafka tools answer to slips and old habits, as those of Kafka 3.9.1 do: options that do not go together, names
 * that cannot be, lines of any ending, scripts that a single node has no use for. Words of Kafka's tools were taken from runs of
 * them or from their source; what only exists here (absent scripts, notices, messages of Node) has words of its own.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HOUSE, TestBroker, tempDir } from './broker-harness.ts';
import { type Outcome, runTool } from './kafka-tool.ts';

let broker: TestBroker;
const place = tempDir('tool-usage');

beforeAll(async () => {
  broker = await TestBroker.start({ 'authorizer.class.name': 'kafka.security.authorizer.AclAuthorizer', 'super.users': 'User:ANONYMOUS' });
  await broker.topic('t', 2);
});
afterAll(async () => {
  try {
    // Absent when it could not start.
    await broker?.end();
  } finally {
    fs.rmSync(place, { recursive: true, force: true });
  }
});

const tool = (name: string, words: string, stdin = ''): Promise<Outcome> =>
  runTool(`kafka-${name}.sh`, ['--bootstrap-server', broker.address, ...words.split(' ').filter((word) => word !== '')], stdin);

/** Tool, its words, and what must be the beginning of what it says before the table of options; all end with 1. */
const REFUSED: readonly (readonly [tool: string, words: string, says: string])[] = [
  ['topics', '--list --partitions 1', 'Option "[partitions]" can\'t be used with option "[list]"\n'],
  ['topics', '--list --config a=b', 'Option "[config]" can\'t be used with option "[list]"\n'],
  ['topics', '--create --topic x --if-exists', 'Option "[if-exists]" can\'t be used with option "[create]"\n'],
  [
    'topics',
    '--describe --topics-with-overrides --at-min-isr-partitions',
    'Option "[at-min-isr-partitions]" can\'t be used with option "[topics-with-overrides]"\n',
  ],
  ['consumer-groups', '--describe --all-groups --group g', 'Option "[group]" can\'t be used with option "[all-groups]"\n'],
  ['consumer-groups', '--describe --group g --topic t', 'Option "[topic]" can\'t be used with option "[describe]"\n'],
  ['consumer-groups', '--list --state Foo', "Invalid state list 'Foo'. Valid states are: PreparingRebalance, "],
  ['consumer-groups', '--describe --group g --timeout soon', "Cannot parse argument 'soon' of option timeout\n"],
  [
    'consumer-groups',
    '--reset-offsets --group g --topic t --to-earliest --dry-run --execute',
    'Option [reset-offsets] only accepts one of [execute] and [dry-run]\n',
  ],
  ['consumer-groups', '--reset-offsets --group g', 'WARN: No action will be performed as the --execute option is missing.'],
  ['consumer-groups', '--reset-offsets --group g --dry-run', 'One of the reset scopes should be defined: --all-topics, --topic.\n'],
  ['consumer-groups', '--reset-offsets --group g --topic t:x --to-offset 2 --dry-run', "Invalid partition 'x' specified in topic arg 't:x''\n"],
  [
    'consumer-groups',
    '--reset-offsets --group g --topic t --shift-by 1 --dry-run',
    'Cannot shift offset for partition t-0 since there is no current committed',
  ],
  ['transactions', 'abort --topic t --partition 0 --producer-id 1', 'Missing required argument --producer-epoch\n'],
  ['transactions', 'abort --topic t --partition 0 --producer-id 1 --producer-epoch 0', 'Missing required argument --coordinator-epoch\n'],
  ['transactions', 'abort --topic t --partition 0', 'The transaction to abort must be identified either with --start-offset'],
  ['acls', '--add --allow-principal User:i --idempotent', 'The --idempotent option is only available if --producer is set\n'],
  ['acls', '--add --allow-principal alice --topic t', 'expected a string in format principalType:principalName but got alice\n'],
  ['acls', '--add --allow-principal User:c --topic t --operation ClusterAction', 'ResourceType TOPIC only supports operations Read, '],
  ['acls', '--add --allow-principal User:c --group g --operation Write', 'ResourceType GROUP only supports operations Read, '],
  ['acls', '--add --allow-principal User:c --producer --topic t --operation Read', 'Option "[producer]" can\'t be used with option "[operation]"\n'],
  ['acls', '--list --allow-principal User:c', 'Option "[list]" can\'t be used with option "[allow-principal]"\n'],
  ['configs', '--describe --topic t --entity-type topics', 'Duplicate entity type(s) specified: topics\n'],
  ['configs', '--describe --entity-type users --entity-type topics', "Only 'users' and 'clients' entity types may be specified together\n"],
  ['configs', '--describe --entity-type brokers --entity-name x', 'The entity name for brokers must be a valid integer broker id, but it is: x\n'],
  ['configs', '--describe --user a --entity-type clients', '--entity-{type,name,default} should not be used in conjunction with specific entity flags\n'],
  ['configs', '--describe --topic t --add-config a=b', 'Option "[describe]" can\'t be used with option "[add-config]"\n'],
  ['get-offsets', '--topic-partitions t:x', 'Error occurred: Invalid rule specification: t:x\n'],
  ['console-producer', '--topic t --batch-size many', "Cannot parse argument 'many' of option batch-size\n"],
  ['leader-election', '--election-type preferred --path-to-json-file /nosuch', "ENOENT: no such file or directory, open '/nosuch'\n"],
  ['cluster', 'unregister --id 1', 'unregister is for brokers that left a cluster for good'],
];

test('options that do not go together, or cannot be read, are refused in Kafka’s words', async () => {
  for (let at = 0; at < REFUSED.length; at += 4) {
    await Promise.all(
      REFUSED.slice(at, at + 4).map(async ([name, words, says]) => {
        const { code, err } = await tool(name, words);
        expect({ code, err: err.slice(0, says.length) }, `${name} ${words}`).toEqual({ code: 1, err: says });
        expect(err, `${name} ${words}`).not.toMatch(/^\s+at .*\.js:/m);
      }),
    );
  }
  // What is of no use does no harm: Kafka's tool lets it pass, too.
  expect((await tool('configs', '--alter --all --topic t --add-config retention.ms=1234567')).code).toBe(0);
  expect((await tool('configs', '--describe --topic t')).out).toContain('retention.ms=1234567');
  const acls = await tool('acls', '--list');
  expect(acls).toEqual({ code: 0, out: '', err: '' });
});

test('topics that cannot be: said on stdout, as Kafka’s tool does', async () => {
  const outcomes = await Promise.all([
    tool('topics', '--describe --topic-id xxx'),
    tool('topics', '--create --topic a --partitions many'),
    tool('topics', '--list --topic a --topic b'),
  ]);
  const said = 'Error while executing topic command : ';
  expect(outcomes.map(({ code, out }) => [code, out])).toEqual([
    [1, `${said}Input string \`xxx\` decoded as 2 bytes, which is not equal to the expected 16 bytes of a base64-encoded UUID\n`],
    [1, `${said}Cannot parse argument 'many' of option partitions\n`],
    [1, `${said}Found multiple arguments for option topic, but you asked for only one\n`],
  ]);
});

test('groups without offsets, and those that are not there', async () => {
  const [members, nothing] = await Promise.all([
    tool('consumer-groups', '--describe --group nosuch --members'),
    tool('consumer-groups', '--reset-offsets --group nosuch --all-topics --to-earliest --dry-run'),
  ]);
  expect(members).toMatchObject({ code: 0, out: expect.stringMatching(/^\nError: Consumer group 'nosuch' does not exist\.\n\nGROUP +CONSUMER-ID /) });
  expect(nothing).toMatchObject({ code: 0, out: expect.stringMatching(/^\nGROUP +TOPIC +PARTITION +NEW-OFFSET *\n$/) });
});

test('the console producer ends lines where Java does; the consumer shows what stands before a record it cannot show', async () => {
  await broker.topic('lines', 1);
  expect((await tool('console-producer', '--topic lines', 'crlf\r\nlone\rcr\n\neight by\nlast\r')).code).toBe(0);
  const read = await tool('console-consumer', '--topic lines --from-beginning --max-messages 6');
  expect(read.out).toBe('crlf\nlone\ncr\n\neight by\nlast\n');
  await broker.topic('mixed', 1);
  await tool('console-producer', '--topic mixed', '8 bytes.\nshort\n');
  const shown = await tool('console-consumer', '--topic mixed --from-beginning --value-deserializer org.apache.kafka.common.serialization.LongDeserializer');
  expect(shown).toMatchObject({ code: 1, out: `${Buffer.from('8 bytes.').readBigInt64BE()}\n` });
  expect(shown.err).toMatch(/Processed a total of 2 messages\n$/);
});

test('the console consumer does not wait for what cannot come', async () => {
  const [name, none] = await Promise.all([
    runTool('kafka-console-consumer.sh', ['--bootstrap-server', broker.address, '--topic', 'no topic', '--from-beginning']),
    tool('console-consumer', '--topic t --consumer-property auto.offset.reset=none'),
  ]);
  expect(name).toMatchObject({ code: 1, err: expect.stringContaining('InvalidTopicException: Invalid topics: [no topic]\nProcessed a total of 0 messages\n') });
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining('auto.offset.reset is none') });
});

test('kafka-acls of the days of ZooKeeper; principals one by one', async () => {
  await tool('acls', '--add --allow-principal User:p --producer --topic a');
  const legacy = ['--authorizer-properties', 'zookeeper.connect=localhost:2181', '--bootstrap-server', broker.address, '--list'];
  const listed = await runTool('kafka-acls.sh', [...legacy, '--principal', 'User:p', '--principal', 'User:nobody']);
  expect(listed.err).toMatch(/^NOTICE: ZooKeeper is not needed and --authorizer-properties is not used/);
  const rule = (operation: string): string => `\t(principal=User:p, host=*, operation=${operation}, permissionType=ALLOW)`;
  expect(listed.out).toBe(
    'ACLs for principal `User:p`\n' +
      'Current ACLs for resource `ResourcePattern(resourceType=TOPIC, name=a, patternType=LITERAL)`: \n' +
      ` ${['WRITE', 'DESCRIBE', 'CREATE'].map(rule).join('\n')} \n\n` +
      'ACLs for principal `User:nobody`\n',
  );
});

test('scripts of Kafka’s bin that have nothing to do here say so; features are told', async () => {
  expect(await tool('features', 'describe')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^(Feature: \S+\tSupportedMinVersion: \S+\tSupportedMaxVersion: \S+\t.*\n)+$/),
  });
  expect((await tool('preferred-replica-election', '')).code).toBe(0);
  const old = 'kafka.admin.PreferredReplicaLeaderElectionCommand';
  expect(await runTool('kafka-run-class.sh', [old, '--bootstrap-server', broker.address])).toMatchObject({ code: 0 });
  const shims = fs
    .readdirSync(path.join(HOUSE, 'bin'))
    .filter((name) => name.endsWith('.sh') && fs.readFileSync(path.join(HOUSE, 'bin', name), 'utf8').includes('program=kafka-absent'));
  expect(shims.length).toBeGreaterThan(12);
  const outcomes = await Promise.all(shims.map((name) => runTool(name, ['--describe'])));
  for (const [i, name] of shims.entries()) {
    const said = `${name.replace(/\.sh$/, '')} is not available here. `;
    expect(outcomes[i]).toMatchObject({ code: 1, out: '', err: expect.stringContaining(said) });
    // Each has a reason of its own.
    expect(outcomes[i]!.err).not.toContain('tells what is');
  }
});

test('environment of a Java installation, a link to the script, a reader that leaves: no harm', async () => {
  const folder = path.join(place, 'a folder');
  fs.mkdirSync(folder);
  fs.symlinkSync(path.join(HOUSE, 'bin', 'kafka-topics.sh'), path.join(folder, 'topics'));
  const java = { JMX_PORT: '9999', KAFKA_OPTS: '-Djava.security.auth.login.config=/x', KAFKA_HEAP_OPTS: '-Xmx1G', HOME: '/nonexistent', LC_ALL: 'zh_CN.GBK' };
  const listed = await runTool('kafka-topics.sh', ['--bootstrap-server', broker.address, '--list'], '', java);
  // A shell may say that it does not have the locale; the tools have nothing to say.
  const said = listed.err.split('\n').filter((text) => text !== '' && !text.includes('setlocale'));
  expect([listed.code, said]).toEqual([0, []]);
  const line = `cd / && '${folder}/topics' --bootstrap-server ${broker.address} --list | head -n 1`;
  const { stdout, stderr } = await promisify(execFile)('/bin/sh', ['-c', line]);
  expect([stdout, stderr]).toEqual([`${listed.out.split('\n')[0]}\n`, '']);
});

test('kafka-dump-log keeps blanks at the end of a value; a decoder’s name alone asks for values', async () => {
  await broker.topic('blanks', 1);
  await tool('console-producer', '--topic blanks', 'two blanks  \n');
  const log = path.join(broker.dir, 'blanks-0', '00000000000000000000.log');
  const dump = (...words: string[]): Promise<Outcome> => runTool('kafka-dump-log.sh', ['--files', log, ...words]);
  const [named, foreign, missing] = await Promise.all([
    dump('--value-decoder-class', 'kafka.serializer.StringDecoder', '--skip-record-metadata'),
    dump('--offsets-decoder', '--max-bytes', '1000'),
    runTool('kafka-dump-log.sh', ['--files', '/nosuch.log']),
  ]);
  expect(named.out.split('\n').at(-2)).toBe('| payload: two blanks  ');
  expect(foreign.err).toContain('(message had a missing key)');
  expect(missing).toMatchObject({ code: 1, out: 'Dumping /nosuch.log\n' });
});
