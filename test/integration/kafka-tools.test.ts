/** The programs of bin/ named kafka-*: every command line of the tutorials, and what each tool prints, on our broker. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestBroker, tempDir } from './broker-harness.ts';
import { type Outcome, runLine, runTool } from './kafka-tool.ts';

let broker: TestBroker;
let at: readonly string[];
const place = tempDir('tools');

beforeAll(async () => {
  broker = await TestBroker.start({ 'broker.id': '1' });
  at = ['--bootstrap-server', broker.address];
});
afterAll(async () => {
  await broker.end();
  fs.rmSync(place, { recursive: true, force: true });
});

const tool = (name: string, ...words: string[]): Promise<Outcome> => runTool(`kafka-${name}.sh`, [...at, ...words]);
const produce = (topic: string, lines: string, ...words: string[]): Promise<Outcome> =>
  runTool('kafka-console-producer.sh', [...at, '--topic', topic, ...words], lines);
const consume = (topic: string, ...words: string[]): Promise<Outcome> => tool('console-consumer', '--topic', topic, '--from-beginning', ...words);
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describe('command lines of the tutorials', () => {
  /** Ours does not listen on 9092 in a test, so the line gets the address besides. */
  const line = (text: string, stdin = ''): Promise<Outcome> => runLine(`${text} --bootstrap-server ${broker.address}`, stdin);
  const NOTICE = /^NOTICE: ZooKeeper is not needed and --zookeeper is not used/m;

  test('flume + kafka: create with --zookeeper', async () => {
    const done = await line('bin/kafka-topics.sh --create --zookeeper localhost:2181 --replication-factor 1 --partitions 1 --topic topic1');
    expect(done).toMatchObject({ code: 0, out: 'Created topic topic1.\n' });
    expect(done.err.match(new RegExp(NOTICE, 'gm'))).toHaveLength(1);
  });

  test('day08: create, list, describe, more partitions, a setting on and off, delete', async () => {
    const two = await tool('topics', '--create', '--replication-factor', '2', '--partitions', '3', '--topic', 'test');
    expect(two.code).toBe(1);
    expect(two.out).toMatch(
      /^Error while executing topic command : Unable to replicate the partition 2 time\(s\): .*only 1 broker\(s\) are registered\..*Kafka cluster/,
    );
    expect(await tool('topics', '--create', '--replication-factor', '1', '--partitions', '3', '--topic', 'test')).toMatchObject({
      code: 0,
      out: 'Created topic test.\n',
    });
    const list = await runTool('kafka-topics.sh', ['--list', '--bootstrap-server', `${broker.address},127.0.0.1:1,127.0.0.1:2`]);
    expect(lines(list.out)).toContain('test');
    expect(lines(list.out)).not.toContain('__consumer_offsets');
    const described = lines((await tool('topics', '--describe', '--topic', 'test')).out);
    expect(described[0]).toMatch(/^Topic: test\tTopicId: \S{22}\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: $/);
    expect(described.slice(1)).toEqual([0, 1, 2].map((p) => `\tTopic: test\tPartition: ${p}\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: `));
    expect(await tool('topics', '--alter', '--topic', 'test', '--partitions', '5')).toEqual({ code: 0, out: '', err: '' });
    const config = await line('bin/kafka-topics.sh --zookeeper hadoop01:2181 --alter --topic test --config flush.messages=1');
    expect(config).toMatchObject({ code: 0 });
    expect(config.out).toBe(
      'WARNING: Altering topic configuration from this script has been deprecated and may be removed in future releases.\n' +
        '         Going forward, please use kafka-configs.sh for this functionality\nUpdated config for topic test.\n',
    );
    const old = await line('bin/kafka-topics.sh --zookeeper hadoop01:2181 --describe --topic test');
    expect(lines(old.out)[0]).toBe('Topic:test\tPartitionCount:5\tReplicationFactor:1\tConfigs:flush.messages=1');
    expect(lines(old.out)[5]).toBe('\tTopic: test\tPartition: 4\tLeader: 1\tReplicas: 1\tIsr: 1');
    await line('bin/kafka-topics.sh --zookeeper hadoop01:2181 --alter --topic test --delete-config flush.messages');
    expect(lines((await line('bin/kafka-topics.sh --zookeeper x:2181 --describe --topic test')).out)[0]).toMatch(/Configs:$/);
    // The dash of the tutorial's line is an en dash.
    const deleted = await runLine(`kafka-topics.sh –bootstrap-server ${broker.address} --delete --topic test`);
    expect(deleted).toMatchObject({ code: 0, out: '' });
    expect(deleted.err).toContain('"–bootstrap-server" is not written with plain hyphens');
    expect(lines((await tool('topics', '--list')).out)).not.toContain('test');
  });

  test('kafka and storm: torn dashes, em dashes, lists with blanks, an option that is misspelt', async () => {
    const create = await line('bin/kafka-topics.sh  - -create  - -zookeeper master:2181  - -replication-factor 1 - -partitions 3  - -topic test');
    expect(create).toMatchObject({ code: 0, out: 'Created topic test.\n' });
    expect(create.err).toContain('"- -create" is not written with plain hyphens');
    const three = await line(
      'bin/kafka-topics.sh —create —zookeeper  master:2181, slave1:2181,slave2:2181 —replication-factor 3 —partitions 3 —topic custormer-topic',
    );
    expect(three).toMatchObject({ code: 1, out: 'Error while executing topic command : Replication factor: 3 larger than available brokers: 1.\n' });
    expect(three.err).toContain('"—topic" is not written with plain hyphens');
    const sent = await runLine(
      `bin/kafka-console-producer.sh - -broker-list ${broker.address}, 127.0.0.1:1, 127.0.0.1:2 —topic test`,
      '明天会更好\nHello world !\n',
    );
    expect(sent.code).toBe(0);
    const read = await line('bin/kafka-console-consumer.sh - -zookeeper slave1:2181 - - topic  test  - -from-beginning --max-messages 2');
    expect(lines(read.out).sort()).toEqual(['Hello world !', '明天会更好']);
    expect(read.err).toMatch(NOTICE);
    const em = await line('bin/kafka-console-consumer.sh —zookeeper master:2181,slave1:2181,slave2:2181 —topic test —from-beginning --max-messages 2');
    expect(lines(em.out)).toHaveLength(2);
    const typo = await line('bin/kafka-topics.sh —create —zookeeper master:2181  —replication-factor 3 --partitiosns 3 —topic student-topic');
    expect(typo.code).toBe(1);
    expect(typo.err).toContain('partitiosns is not a recognized option; did you mean --partitions?');
  });

  test('ZooKeeper needs no starting', async () => {
    for (const script of [
      'bin/zkServer.sh start',
      'bin/zkServer.sh start conf/zoo.cfg',
      'bin/zookeeper-server-start.sh config/zookeeper.properties',
      'bin/zookeeper-server-stop.sh',
      'bin/zkCli.sh -server master:2181',
      'bin/zookeeper-shell.sh localhost:2181 ls /brokers/ids',
    ]) {
      const done = await runLine(script);
      expect(done.code).toBe(0);
      expect(done.out).toContain('ZooKeeper is not needed');
    }
  });
});

describe('kafka-topics', () => {
  test('says what Kafka’s says when something is wrong', async () => {
    await broker.topic('here', 5);
    const cases: [string[], string][] = [
      [['--create', '--topic', 'here'], "Topic 'here' already exists."],
      [['--create', '--topic', 'x', '--partitions', '0'], 'The partitions must be greater than 0'],
      [['--create', '--topic', 'x', '--config', 'bogus=1'], 'Unknown topic config name: bogus'],
      [['--create', '--topic', 'x', '--config', 'retention.ms=abc'], 'Invalid value abc for configuration retention.ms: Not a number of type LONG'],
      [['--create', '--topic', 'a b'], "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"],
      [['--describe', '--topic', 'nosuch'], "Topic 'Optional[nosuch]' does not exist as expected"],
      [['--delete', '--topic', 'nosuch'], "Topic 'Optional[nosuch]' does not exist as expected"],
      [['--alter', '--topic', 'here', '--partitions', '5'], 'Topic already has 5 partition(s).'],
      [['--alter', '--topic', 'here', '--partitions', '2'], 'The topic here currently has 5 partition(s); 2 would not be an increase.'],
    ];
    for (const [words, text] of cases) {
      const done = await tool('topics', ...words);
      expect(done).toMatchObject({ code: 1, out: `Error while executing topic command : ${text}\n` });
      expect(done.err).toMatch(/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] ERROR \S+: .*\n \(org\.apache\.kafka\.tools\.TopicCommand\)\n$/);
    }
    for (const words of [
      ['--create', '--topic', 'here', '--if-not-exists'],
      ['--delete', '--topic', 'nosuch', '--if-exists'],
      ['--alter', '--topic', 'nosuch', '--partitions', '3', '--if-exists'],
    ]) {
      expect(await tool('topics', ...words)).toEqual({ code: 0, out: '', err: '' });
    }
    const alter = await tool('topics', '--alter', '--topic', 'here', '--config', 'a=b');
    expect(alter.code).toBe(1);
    expect(lines(alter.err)[0]).toBe(
      'Option combination "[[bootstrap-server], [config]]" can\'t be used with option "[alter]" (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)',
    );
    expect(lines((await runTool('kafka-topics.sh', ['--list'])).err)[0]).toBe('--bootstrap-server must be specified');
    expect(lines((await tool('topics')).err)[0]).toBe('Command must include exactly one action: --list, --describe, --create, --alter or --delete');
    expect(await tool('topics', '--version')).toMatchObject({ code: 0, out: '3.9.1\n' });
  });

  test('warns of names that collide, filters, shows only what differs', async () => {
    const made = await tool('topics', '--create', '--topic', 'a.b_c', '--config', 'retention.ms=60000', '--partitions', '2');
    expect(made.out).toMatch(/^WARNING: Due to limitations in metric names.*\nCreated topic a\.b_c\.\n$/);
    expect(lines((await tool('topics', '--list', '--topic', 'a.*')).out)).toEqual(['a.b_c']);
    const overridden = lines((await tool('topics', '--describe', '--topics-with-overrides')).out);
    expect(overridden).toHaveLength(1);
    expect(overridden[0]).toContain('Topic: a.b_c\t');
    expect(overridden[0]).toContain('Configs: retention.ms=60000');
    expect((await tool('topics', '--describe', '--under-replicated-partitions')).out).toBe('');
  });
});

describe('kafka-configs', () => {
  const configs = (...words: string[]): Promise<Outcome> => tool('configs', ...words);

  test('topics', async () => {
    await broker.topic('c1');
    expect(
      await configs('--alter', '--entity-type', 'topics', '--entity-name', 'c1', '--add-config', 'retention.ms=1000,cleanup.policy=[compact,delete]'),
    ).toMatchObject({
      code: 0,
      out: 'Completed updating config for topic c1.\n',
    });
    expect((await configs('--describe', '--topic', 'c1')).out).toBe(
      'Dynamic configs for topic c1 are:\n' +
        '  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}\n' +
        '  retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000}\n',
    );
    expect((await configs('--describe', '--topic', 'c1', '--all')).out).toContain('  flush.ms=9223372036854775807 sensitive=false synonyms={}\n');
    await configs('--alter', '--topic', 'c1', '--delete-config', 'retention.ms,cleanup.policy');
    expect((await configs('--describe', '--topic', 'c1')).out).toBe('Dynamic configs for topic c1 are:\n');
    expect(await configs('--alter', '--topic', 'c1', '--delete-config', 'nosuch')).toEqual({ code: 1, out: '', err: 'Invalid config(s): nosuch\n' });
    const bogus = await configs('--alter', '--topic', 'c1', '--add-config', 'bogus=1');
    expect(bogus.code).toBe(1);
    expect(bogus.err).toContain(
      'java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.InvalidConfigurationException: Unknown topic config name: bogus',
    );
    const old = await configs('--zookeeper', 'x:2181', '--alter', '--entity-type', 'topics', '--entity-name', 'c1', '--add-config', 'retention.ms=5');
    expect(old.out).toBe("Completed Updating config for entity: topic 'c1'.\n");
    expect((await configs('--zookeeper', 'x:2181', '--describe', '--entity-type', 'topics', '--entity-name', 'c1')).out).toBe(
      "Configs for topic 'c1' are retention.ms=5\n",
    );
  });

  test('a broker setting that is of no use here is refused with the reason', async () => {
    const refused = await configs('--alter', '--entity-type', 'brokers', '--entity-default', '--add-config', 'log.cleaner.threads=2');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('Set(log.cleaner.threads). It is of no use here: this broker has one event loop');
  });

  test('quotas and SCRAM credentials', async () => {
    expect((await configs('--alter', '--entity-type', 'clients', '--entity-name', 'cl', '--add-config', 'producer_byte_rate=1024')).out).toBe(
      'Completed updating config for client cl.\n',
    );
    expect((await configs('--describe', '--entity-type', 'clients', '--entity-name', 'cl')).out).toBe(
      "Quota configs for client-id 'cl' are producer_byte_rate=1024.0\n",
    );
    expect((await configs('--alter', '--entity-type', 'clients', '--entity-default', '--add-config', 'request_percentage=50')).out).toBe(
      'Completed updating default config for clients in the cluster.\n',
    );
    expect((await configs('--describe', '--entity-type', 'clients')).out).toBe(
      "Quota configs for the default client-id are request_percentage=50.0\nQuota configs for client-id 'cl' are producer_byte_rate=1024.0\n",
    );
    expect((await configs('--alter', '--user', 'alice', '--add-config', 'SCRAM-SHA-256=[iterations=8192,password=alice-secret]')).out).toBe(
      'Completed updating config for user alice.\n',
    );
    expect((await configs('--describe', '--entity-type', 'users')).out).toBe(
      "SCRAM credential configs for user-principal 'alice' are SCRAM-SHA-256=iterations=8192\n",
    );
  });
});

describe('console producer and consumer', () => {
  test('keys, headers, nulls, columns', async () => {
    await produce('m1', 'h1:a,h2:b\tk1\tv1\n', '--property', 'parse.key=true', '--property', 'parse.headers=true');
    await produce(
      'm1',
      'k:v\nNUL:NUL\n',
      '--property',
      'parse.key=true',
      '--property',
      'key.separator=:',
      '--property',
      'null.marker=NUL',
      '--compression-codec',
      'zstd',
    );
    const shown = await consume(
      'm1',
      '--max-messages',
      '3',
      ...['timestamp', 'partition', 'offset', 'headers', 'key'].flatMap((name) => ['--property', `print.${name}=true`]),
    );
    expect(lines(shown.out).map((line) => line.replace(/CreateTime:\d{13}/, 'CreateTime:T'))).toEqual([
      'CreateTime:T\tPartition:0\tOffset:0\th1:a,h2:b\tk1\tv1',
      'CreateTime:T\tPartition:0\tOffset:1\tNO_HEADERS\tk\tv',
      'CreateTime:T\tPartition:0\tOffset:2\tNO_HEADERS\tnull\tnull',
    ]);
    expect(shown.err).toBe('Processed a total of 3 messages\n');
    const one = await tool(
      'console-consumer',
      '--topic',
      'm1',
      '--partition',
      '0',
      '--offset',
      '1',
      '--max-messages',
      '1',
      '--property',
      'print.key=true',
      '--property',
      'key.separator=-',
      '--property',
      'line.separator=;',
    );
    expect(one.out).toBe('k-v;');
    const bad = await produce('m1', 'ok:ok\nnokey\n', '--property', 'parse.key=true', '--property', 'key.separator=:');
    expect(bad).toMatchObject({ code: 1, err: "org.apache.kafka.common.KafkaException: No key separator found on line number 2: 'nokey'\n" });
    expect((await consume('m1', '--max-messages', '4')).out).toBe('v1\nv\nnull\nok\n');
  });

  test('a hundred thousand lines arrive in order, through pipes', async () => {
    const text = Array.from({ length: 100_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 50)}\n`).join('');
    expect((await produce('many', text)).code).toBe(0);
    expect((await consume('many', '--max-messages', '100000')).out).toBe(text);
  });

  test('a group goes on where it was; --timeout-ms ends it with 0', async () => {
    await produce('g1', '1\n2\n3\n');
    const first = await consume('g1', '--group', 'gr', '--max-messages', '2');
    expect(first.out).toBe('1\n2\n');
    const rest = await consume('g1', '--group', 'gr', '--timeout-ms', '3000');
    expect(rest).toMatchObject({ code: 0, out: '3\n' });
    expect(rest.err).toMatch(
      /ERROR Error processing message, terminating consumer process: .*\norg\.apache\.kafka\.common\.errors\.TimeoutException\nProcessed a total of 1 messages\n$/,
    );
    const offsets = await consume(
      '__consumer_offsets',
      '--timeout-ms',
      '1000',
      '--formatter',
      'kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter',
      '--consumer-property',
      'exclude.internal.topics=false',
    );
    expect(offsets.out).toMatch(/^\[gr,g1,0\]::OffsetAndMetadata\(offset=2, leaderEpoch=Optional\S+, metadata=, commitTimestamp=\d+, expireTimestamp=None\)$/m);
    const json = await consume('__consumer_offsets', '--timeout-ms', '1000', '--formatter', 'org.apache.kafka.tools.consumer.OffsetsMessageFormatter');
    expect(json.out).toContain('{"key":{"version":1,"data":{"group":"gr","topic":"g1","partition":0}},"value":{"version":3,"data":{"offset":3,"leaderEpoch":');
  });

  test('a consumer whose time is over before it has connected ends all the same', async () => {
    await runTool('kafka-console-producer.sh', [...at, '--topic', 'hasty'], 'a\n');
    const ends = await Promise.all(
      [1, 10, 40].map((ms) => runTool('kafka-console-consumer.sh', [...at, '--topic', 'hasty', '--from-beginning', '--timeout-ms', String(ms)])),
    );
    for (const { code, err } of ends) {
      expect(code).toBe(0);
      expect(err).toMatch(/Processed a total of [01] messages\n$/);
    }
  });

  test('usage errors', async () => {
    expect(lines((await tool('console-consumer')).err)[0]).toBe('Exactly one of --include/--topic is required. ');
    expect(lines((await tool('console-consumer', '--topic', 'x', '--offset', '5')).err)[0]).toBe('The partition is required when offset is specified.');
    expect(lines((await runTool('kafka-console-producer.sh', [...at])).err)[0]).toBe('Missing required argument "[topic]"');
    expect(lines((await runTool('kafka-console-producer.sh', ['--topic', 'x'])).err)[0]).toBe('Missing required option(s) [bootstrap-server]');
    const bogus = await produce('x', '', '--bogus');
    expect(bogus.code).toBe(1);
    expect(lines(bogus.err)[0]).toBe('bogus is not a recognized option');
  });
});

describe('kafka-consumer-groups', () => {
  const groups = (...words: string[]): Promise<Outcome> => tool('consumer-groups', ...words);

  test('lists, describes with lag, resets, deletes', async () => {
    await produce('t2', 'a\nb\nc\n');
    await consume('t2', '--group', 'gg', '--max-messages', '2');
    expect(lines((await groups('--list')).out)).toContain('gg');
    expect((await groups('--list', '--state')).out).toMatch(/^GROUP {21,}STATE {15}\n(.*\n)*gg {24,}Empty {15}\n/);
    const described = await groups('--describe', '--group', 'gg');
    expect(described.out).toBe(
      '\nGROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID\n' +
        'gg              t2              0          2               3               1               -               -               -\n',
    );
    expect(described.err).toBe("\nConsumer group 'gg' has no active members.\n");
    expect(await groups('--describe', '--group', 'nosuch')).toEqual({ code: 0, out: "\nError: Consumer group 'nosuch' does not exist.\n", err: '' });
    expect(lines((await groups('--describe', '--group', 'gg', '--state')).out)[1]).toMatch(/^gg {24}127\.0\.0\.1:\d+ {2}\(1\) +Empty {11}0$/);
    const reset = await groups('--reset-offsets', '--group', 'gg', '--topic', 't2', '--to-earliest', '--execute');
    expect(reset.out).toBe(
      '\nGROUP                          TOPIC                          PARTITION  NEW-OFFSET     \ngg                             t2                             0          0              \n',
    );
    expect((await groups('--reset-offsets', '--group', 'gg', '--topic', 't2', '--shift-by', '1', '--export', '--dry-run')).out).toBe('t2,0,1\n\n');
    const far = await groups('--reset-offsets', '--group', 'gg', '--topic', 't2:0', '--to-offset', '99', '--dry-run');
    expect(lines(far.out)[1]).toMatch(/ 3 {14}$/);
    expect(far.err).toContain('New offset (99) is higher than latest offset for topic partition t2-0. Value will be set to 3');
    expect((await groups('--reset-offsets', '--group', 'gg', '--all-topics', '--to-datetime', '2020-01-01T00:00:00.000', '--export', '--execute')).out).toBe(
      't2,0,0\n\n',
    );
    expect((await groups('--reset-offsets', '--group', 'gg', '--topic', 't2', '--to-latest')).err).toMatch(/^WARN: No action will be performed/);
    expect((await groups('--delete-offsets', '--group', 'gg', '--topic', 't2')).out).toBe(
      'Request succeed for deleting offsets with topic t2 group gg\n\nTOPIC                          PARTITION       STATUS         \nt2                             0               Successful     \n',
    );
    await consume('t2', '--group', 'gg2', '--max-messages', '1');
    expect((await groups('--delete', '--group', 'gg2')).out).toBe("Deletion of requested consumer groups ('gg2') was successful.\n");
    const gone = await groups('--delete', '--group', 'gg2');
    expect(gone).toMatchObject({ code: 0 });
    expect(gone.out).toContain(
      "* Group 'gg2' could not be deleted due to: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupIdNotFoundException: The group id does not exist.\n",
    );
  });

  test('shows live members, and refuses to reset under them', async () => {
    await produce('live', 'a\n');
    const reader = consume('live', '--group', 'lively', '--max-messages', '2', '--timeout-ms', '60000');
    let members: Outcome;
    do members = await groups('--describe', '--group', 'lively', '--members', '--verbose');
    while (!members.out.includes('live(0)'));
    expect(lines(members.out)[0]).toMatch(/^GROUP {11}CONSUMER-ID +HOST {12}CLIENT-ID +#PARTITIONS {5}ASSIGNMENT$/);
    expect(lines(members.out)[1]).toMatch(/^lively {10}console-consumer-\S+ \/127\.0\.0\.1 {6}console-consumer 1 {15}live\(0\)$/);
    expect((await groups('--describe', '--group', 'lively')).out).toMatch(/live +0 .* console-consumer-\S+ \/127\.0\.0\.1 +console-consumer\n$/);
    const reset = await groups('--reset-offsets', '--group', 'lively', '--topic', 'live', '--to-earliest', '--execute');
    expect(reset.out).toContain("\nError: Assignments can only be reset if the group 'lively' is inactive, but the current state is Stable.\n");
    await produce('live', 'b\n');
    expect((await reader).out).toBe('a\nb\n');
  });
});

describe('the smaller tools', () => {
  test('offsets, deletion of records, log directories, cluster, versions, elections', async () => {
    await broker.topic('o1', 2);
    await runTool('kafka-console-producer.sh', [...at, '--topic', 'o1', '--property', 'parse.key=true', '--property', 'key.separator=:'], 'a:1\na:2\na:3\n');
    const offsets = (...words: string[]): Promise<Outcome> => tool('get-offsets', '--topic', 'o1', ...words);
    const full = lines((await offsets()).out);
    expect(full.map((line) => Number(line.split(':')[2])).sort()).toEqual([0, 3]);
    const partition = full.findIndex((line) => line.endsWith(':3'));
    expect(lines((await offsets('--time', '-2')).out)).toEqual(['o1:0:0', 'o1:1:0']);
    expect((await tool('get-offsets', '--topic-partitions', 'o.*:1-2')).out).toMatch(/^o1:1:\d\n$/);
    expect(await tool('get-offsets', '--topic', 'nosuch')).toMatchObject({
      code: 1,
      err: 'Error occurred: Could not match any topic-partitions with the specified filters\n',
    });
    const old = await runTool('kafka-run-class.sh', ['kafka.tools.GetOffsetShell', '--broker-list', broker.address, '--topic', 'o1']);
    expect(lines(old.out)).toEqual(full);

    const json = path.join(place, 'delete.json');
    fs.writeFileSync(
      json,
      JSON.stringify({
        partitions: [
          { topic: 'o1', partition, offset: 1 },
          { topic: 'o1', partition: 1 - partition, offset: 99 },
        ],
        version: 1,
      }),
    );
    const deleted = lines((await tool('delete-records', '--offset-json-file', json)).out);
    expect(deleted.slice(0, 2)).toEqual(['Executing records delete operation', 'Records delete operation completed:']);
    expect(deleted).toContain(`partition: o1-${partition}\tlow_watermark: 1`);
    expect(deleted.find((line) => line.startsWith(`partition: o1-${1 - partition}\t`))).toContain(
      'error: org.apache.kafka.common.errors.OffsetOutOfRangeException: ',
    );

    const dirs = lines((await tool('log-dirs', '--describe', '--topic-list', 'o1')).out);
    expect(dirs.slice(0, 2)).toEqual(['Querying brokers for log directories information', 'Received log directory information from brokers 1']);
    const { brokers } = JSON.parse(dirs[2] as string) as {
      brokers: { broker: number; logDirs: { error: null; partitions: { partition: string; offsetLag: number }[] }[] }[];
    };
    expect(brokers[0]?.logDirs[0]?.partitions.map((one) => one.partition).sort()).toEqual(['o1-0', 'o1-1']);

    expect((await tool('cluster', 'cluster-id')).out).toMatch(/^Cluster ID: \S{22}\n$/);
    const versions = lines((await tool('broker-api-versions')).out);
    expect(versions[0]).toMatch(/^127\.0\.0\.1:\d+ \(id: 1 rack: null\) -> \($/);
    expect(versions[1]).toMatch(/^\tProduce\(0\): 0 to \d+ \[usable: \d+\],$/);
    expect(versions.at(-1)).toBe(')');
    expect((await tool('leader-election', '--election-type', 'preferred', '--topic', 'o1', '--partition', '0')).out).toBe(
      'Valid replica already elected for partitions o1-0\n',
    );
    expect(await tool('leader-election', '--election-type', 'preferred', '--all-topic-partitions')).toEqual({ code: 0, out: '', err: '' });
  });

  test('performance tests print Kafka’s lines, transactions their tables', async () => {
    const sent = await runTool('kafka-producer-perf-test.sh', [
      '--topic',
      'pp',
      '--num-records',
      '3000',
      '--record-size',
      '100',
      '--throughput',
      '-1',
      '--producer-props',
      `bootstrap.servers=${broker.address},`,
      broker.address,
      'acks=1',
    ]);
    expect(sent.out).toMatch(
      /^3000 records sent, \d+\.\d{6} records\/sec \(\d+\.\d\d MB\/sec\), \d+\.\d\d ms avg latency, \d+\.\d\d ms max latency, \d+ ms 50th, \d+ ms 95th, \d+ ms 99th, \d+ ms 99\.9th\.\n$/,
    );
    const began = performance.now();
    await runTool('kafka-producer-perf-test.sh', [
      '--topic',
      'pp',
      '--num-records',
      '500',
      '--record-size',
      '10',
      '--throughput',
      '500',
      '--producer-props',
      `bootstrap.servers=${broker.address}`,
    ]);
    expect(performance.now() - began).toBeGreaterThan(900);
    const txn = await runTool('kafka-producer-perf-test.sh', [
      '--topic',
      'pp',
      '--num-records',
      '50',
      '--record-size',
      '10',
      '--throughput',
      '-1',
      '--producer-props',
      `bootstrap.servers=${broker.address}`,
      '--transactional-id',
      'tx1',
    ]);
    expect(txn.out).toMatch(/^50 records sent/);
    const read = lines((await tool('consumer-perf-test', '--topic', 'pp', '--messages', '3500')).out);
    expect(read[0]).toBe(
      'start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec',
    );
    expect(read[1]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}, \d+\.\d{4}, \d+\.\d{4}, 3500, /);
    const list = lines((await tool('transactions', 'list')).out);
    expect(list[0]).toBe('TransactionalId\tCoordinator\tProducerId\tTransactionState\t');
    expect(list[1]).toMatch(/^tx1 {12}\t1 {10}\t\d+ +\tCompleteCommit {2}\t$/);
    expect(lines((await tool('transactions', 'describe', '--transactional-id', 'tx1')).out)[1]).toMatch(/^1 +\ttx1 +\t\d+ +\t\d+ +\tCompleteCommit +\t\d+ +\t/);
    expect(lines((await tool('transactions', 'describe-producers', '--topic', 'pp', '--partition', '0')).out)[0]).toBe(
      'ProducerId\tProducerEpoch\tLatestCoordinatorEpoch\tLastSequence\tLastTimestamp\tCurrentTransactionStartOffset\t',
    );
    expect((await tool('transactions', 'describe', '--transactional-id', 'nosuch')).code).toBe(1);
  });

  test('kafka-dump-log reads the files of a running broker', async () => {
    await produce('dump', 'k:v\n', '--property', 'parse.key=true', '--property', 'key.separator=:');
    const log = path.join(broker.dir, 'dump-0', '00000000000000000000.log');
    const dumped = lines((await runTool('kafka-dump-log.sh', ['--files', log, '--print-data-log'])).out);
    expect(dumped[0]).toBe(`Dumping ${log}`);
    expect(dumped[1]).toBe('Log starting offset: 0');
    expect(dumped[2]).toMatch(
      /^baseOffset: 0 lastOffset: 0 count: 1 baseSequence: 0 lastSequence: 0 producerId: \d+ producerEpoch: 0 partitionLeaderEpoch: 0 isTransactional: false isControl: false deleteHorizonMs: OptionalLong\.empty position: 0 CreateTime: \d+ size: 70 magic: 2 compresscodec: none crc: \d+ isvalid: true$/,
    );
    expect(dumped[3]).toMatch(/^\| offset: 0 CreateTime: \d+ keySize: 1 valueSize: 1 sequence: 0 headerKeys: \[\] key: k payload: v$/);
  });

  test('every script answers --version and --help, and does nothing else then', async () => {
    const bin = path.join(import.meta.dirname, '..', '..', 'bin');
    const scripts = fs.readdirSync(bin).filter((name) => name.startsWith('kafka-') && name !== 'kafka-run-class.sh');
    expect(scripts.length).toBeGreaterThan(18);
    for (const script of scripts) {
      expect(await runTool(script, ['--version']), script).toEqual({ code: 0, out: '3.9.1\n', err: '' });
      const help = await runTool(script, ['--help']);
      expect({ code: help.code, out: help.out }, script).toEqual({ code: 0, out: '' });
      expect(help.err, script).toMatch(/^(This tool|The Kafka cluster tool|An interactive shell|usage:|USAGE:)/i);
    }
    expect(lines((await tool('topics', '--list')).out)).toContain('dump');
  });

  test('kafka-storage and kafka-run-class take what scripts give them', async () => {
    expect((await runTool('kafka-storage.sh', ['random-uuid'])).out).toMatch(/^\S{22}\n$/);
    expect((await runTool('kafka-storage.sh', ['format', '-t', 'x', '-c', path.join(import.meta.dirname, '..', '..', 'conf', 'server.properties')])).code).toBe(
      0,
    );
    expect((await runTool('kafka-run-class.sh', [])).code).toBe(1);
    expect((await runTool('kafka-run-class.sh', ['kafka.Nope'])).err).toContain('Could not find or load main class kafka.Nope');
    expect(lines((await runTool('kafka-run-class.sh', ['kafka.admin.TopicCommand', ...at, '--list'])).out)).toContain('dump');
  });
});

describe('a broker with logins and access rules', () => {
  let guarded: TestBroker;
  const properties = (user: string): string => {
    const file = path.join(place, `${user}.properties`);
    fs.writeFileSync(
      file,
      `security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="${user}" password="${user}-secret";\n`,
    );
    return file;
  };

  beforeAll(async () => {
    guarded = await TestBroker.start({
      listeners: 'SASL_PLAINTEXT://127.0.0.1:0',
      'sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.sasl_plaintext.plain.sasl.jaas.config':
        'org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret" user_bob="bob-secret";',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:admin',
    });
  });
  afterAll(() => guarded.end());

  test('kafka-acls adds, lists and removes; --command-config logs in', async () => {
    const as = (user: string, name: string, ...words: string[]): Promise<Outcome> =>
      runTool(`kafka-${name}.sh`, ['--bootstrap-server', guarded.address, '--command-config', properties(user), ...words]);
    expect((await as('admin', 'topics', '--create', '--topic', 'secret')).out).toBe('Created topic secret.\n');
    expect((await as('bob', 'topics', '--list')).out).toBe('');
    const added = await as('admin', 'acls', '--add', '--allow-principal', 'User:bob', '--operation', 'Describe', '--topic', 'secret');
    expect(added.out).toBe(
      'Adding ACLs for resource `ResourcePattern(resourceType=TOPIC, name=secret, patternType=LITERAL)`: \n' +
        ' \t(principal=User:bob, host=*, operation=DESCRIBE, permissionType=ALLOW) \n\n' +
        'Current ACLs for resource `ResourcePattern(resourceType=TOPIC, name=secret, patternType=LITERAL)`: \n' +
        ' \t(principal=User:bob, host=*, operation=DESCRIBE, permissionType=ALLOW) \n\n',
    );
    expect((await as('bob', 'topics', '--list')).out).toBe('secret\n');
    expect((await as('admin', 'acls', '--list')).out).toContain('principal=User:bob');
    await as('admin', 'acls', '--remove', '--force', '--allow-principal', 'User:bob', '--operation', 'Describe', '--topic', 'secret');
    expect((await as('admin', 'acls', '--list')).out).toBe('');
    // Nothing is known of a topic that may not be read: the reader is told so, and does not wait for it to appear.
    const reading = ['--bootstrap-server', guarded.address, '--consumer.config', properties('bob'), '--topic', 'secret'];
    expect(await runTool('kafka-console-consumer.sh', reading)).toMatchObject({
      code: 1,
      err: expect.stringContaining('org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [secret]\n'),
    });
    await as('admin', 'acls', '--add', '--allow-principal', 'User:bob', '--operation', 'Read', '--group', 'g');
    expect(await runTool('kafka-console-consumer.sh', [...reading, '--group', 'g'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [secret]\n'),
    });
    const verifiable = ['--bootstrap-server', guarded.address, '--consumer.config', properties('bob'), '--topic', 'secret'];
    for (const [group, exception] of [
      ['g', 'TopicAuthorizationException'],
      ['other', 'GroupAuthorizationException'],
    ] as const) {
      const refused = await runTool('kafka-verifiable-consumer.sh', [...verifiable, '--group-id', group]);
      expect(refused).toMatchObject({ code: 0, out: expect.stringContaining('"shutdown_complete"'), err: expect.stringContaining(`.${exception}: `) });
      await as('admin', 'acls', '--add', '--allow-principal', 'User:bob', '--operation', 'Read', '--topic', 'secret');
    }
    const wrong = await runTool('kafka-topics.sh', ['--bootstrap-server', guarded.address, '--list', '--command-config', properties('eve')]);
    expect(wrong.code).toBe(1);
    expect(wrong.err).toMatch(/Authentication failed|login as eve failed/);
  });

  test('without an authorizer the rules are refused as Kafka refuses them', async () => {
    const refused = await tool('acls', '--list');
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.out).toMatch(/^Error while executing ACL command: org\.apache\.kafka\.common\.errors\.SecurityDisabledException: /);
  });
});
