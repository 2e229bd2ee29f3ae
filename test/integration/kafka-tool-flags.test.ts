/** The flags of the Kafka tools that no tutorial uses, each on our broker: what it does, or why it is refused. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestBroker, tempDir } from './broker-harness.ts';
import { type Outcome, runTool } from './kafka-tool.ts';

let broker: TestBroker;
let at: readonly string[];
const place = tempDir('tool-flags');

beforeAll(async () => {
  broker = await TestBroker.start();
  at = ['--bootstrap-server', broker.address];
});
afterAll(async () => {
  await broker.end();
  fs.rmSync(place, { recursive: true, force: true });
});

const tool = (name: string, ...words: string[]): Promise<Outcome> => runTool(`kafka-${name}.sh`, [...at, ...words]);
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
function file(name: string, text: string): string {
  const to = path.join(place, name);
  fs.writeFileSync(to, text);
  return to;
}
/** All at once: each is a process of its own. */
const all = (...commands: (readonly [string, ...string[]])[]): Promise<Outcome[]> => Promise.all(commands.map(([name, ...words]) => tool(name, ...words)));

test('kafka-topics: assignments by hand, and the filters of --describe', async () => {
  expect(await tool('topics', '--create', '--topic', 'hand', '--replica-assignment', '0,0')).toMatchObject({ code: 0, out: 'Created topic hand.\n' });
  const rows = (text: string): number => lines(text).filter((line) => line.startsWith('\t')).length;
  const [two, unavailable, under, least, paged, names] = await all(
    ['topics', '--create', '--topic', 'hand2', '--replica-assignment', '0:1'],
    ['topics', '--describe', '--unavailable-partitions'],
    ['topics', '--describe', '--under-min-isr-partitions'],
    ['topics', '--describe', '--topic', 'hand', '--at-min-isr-partitions'],
    ['topics', '--describe', '--topic', 'hand', '--partition-size-limit-per-response', '1'],
    ['topics', '--list', '--exclude-internal'],
  );
  expect(two).toMatchObject({ code: 1, out: expect.stringContaining('includes broker 1, but no such broker') });
  expect([unavailable, under].map((one) => [one!.code, one!.out])).toEqual([
    [0, ''],
    [0, ''],
  ]);
  expect([rows(least!.out), rows(paged!.out)]).toEqual([2, 2]);
  expect(lines(names!.out)).toEqual(['hand']);
});

test('kafka-configs: a file of settings, addresses, kinds of resources that have none here', async () => {
  await broker.topic('from-file');
  const settings = file('settings.properties', 'retention.ms=5000\nflush.messages=3\n');
  const [altered, address, ...empty] = await all(
    ['configs', '--alter', '--topic', 'from-file', '--add-config-file', settings],
    ['configs', '--alter', '--entity-type', 'ips', '--entity-name', '127.0.0.1', '--add-config', 'connection_creation_rate=10'],
    ['configs', '--describe', '--entity-type', 'broker-loggers', '--entity-name', '0'],
    ['configs', '--describe', '--entity-type', 'client-metrics'],
    ['configs', '--describe', '--entity-type', 'groups', '--entity-name', 'g'],
    ['configs', '--describe', '--broker-defaults'],
  );
  expect([altered!.out, address!.out]).toEqual(['Completed updating config for topic from-file.\n', 'Completed updating config for ip 127.0.0.1.\n']);
  for (const one of empty) expect(one.code).toBe(0);
  expect(broker.running.broker.topics.get('from-file')?.overrides).toEqual({ 'retention.ms': '5000', 'flush.messages': '3' });
  expect((await tool('configs', '--describe', '--entity-type', 'ips', '--entity-name', '127.0.0.1')).out).toBe(
    "Quota configs for ip '127.0.0.1' are connection_creation_rate=10.0\n",
  );
});

test('console producer: every option; a reader that is not here is refused', async () => {
  await broker.topic('many');
  const words = [
    '--sync',
    '--request-required-acks',
    '1',
    '--batch-size',
    '10',
    '--timeout',
    '5',
    '--message-send-max-retries',
    '2',
    '--retry-backoff-ms',
    '50',
  ];
  const more = ['--max-block-ms', '5000', '--request-timeout-ms', '5000', '--line-reader', 'org.apache.kafka.tools.LineMessageReader'];
  const config = ['--producer-property', 'linger.ms=1', '--producer.config', file('producer.properties', 'client.id=pc\n')];
  const sent = await runTool('kafka-console-producer.sh', [...at, '--topic', 'many', ...words, ...more, ...config], 'a\nb\nc\n');
  expect(sent).toEqual({ code: 0, out: '', err: '' });
  const foreign = await runTool('kafka-console-producer.sh', [...at, '--topic', 'many', '--line-reader', 'com.example.Mine'], 'x\n');
  expect([foreign.code, foreign.err]).toEqual([1, 'java.lang.ClassNotFoundException: com.example.Mine\n']);
  expect(broker.running.broker.topics.partition('many', 0)?.highWatermark).toBe(3);
});

test('console consumer: patterns, isolation, files, deserializers, formatters of internal topics', async () => {
  await broker.topic('one.a');
  await runTool('kafka-console-producer.sh', [...at, '--topic', 'one.a'], 'a\nb\n');
  const [files, wrong, skipped, grouped] = await all(
    [
      ...(['console-consumer', '--include', 'one\\..*', '--from-beginning', '--max-messages', '2', '--isolation-level', 'read_committed'] as const),
      ...['--enable-systest-events', '--formatter-config', file('formatter.properties', 'print.key=true\nprint.offset=true\n')],
      ...['--consumer.config', file('consumer.properties', 'client.id=x\n')],
    ],
    [
      'console-consumer',
      '--topic',
      'one.a',
      '--from-beginning',
      '--max-messages',
      '1',
      '--value-deserializer',
      'org.apache.kafka.common.serialization.LongDeserializer',
    ],
    [
      ...(['console-consumer', '--topic', 'one.a', '--from-beginning', '--max-messages', '2', '--skip-message-on-error'] as const),
      ...['--value-deserializer', 'org.apache.kafka.common.serialization.LongDeserializer'],
    ],
    ['console-consumer', '--topic', 'one.a', '--from-beginning', '--max-messages', '2', '--group', 'flags'],
  );
  expect([files!.code, files!.out]).toEqual([0, 'Offset:0\tnull\ta\nOffset:1\tnull\tb\nshutdown_complete\n']);
  expect([wrong!.code, wrong!.err]).toEqual([1, expect.stringContaining('Size of data received by LongDeserializer is not 8')]);
  expect([skipped!.code, skipped!.out]).toEqual([0, '']);
  expect(lines(grouped!.out)).toEqual(['a', 'b']);
  const formatter = (name: string) => ['--from-beginning', '--timeout-ms', '2000', '--formatter', `org.apache.kafka.tools.consumer.${name}MessageFormatter`];
  const [offsets, groups, foreign] = await all(
    ['console-consumer', '--topic', '__consumer_offsets', ...formatter('Offsets')],
    ['console-consumer', '--topic', '__consumer_offsets', ...formatter('GroupMetadata')],
    ['console-consumer', '--topic', 'one.a', '--formatter', 'com.example.Mine'],
  );
  expect(offsets!.out).toMatch(/"group":"flags","topic":"one\.a","partition":0\}\},"value":\{"version":3,"data":\{"offset":2,/);
  expect(groups!.out).toMatch(/"group":"flags"/);
  expect([foreign!.code, foreign!.err]).toEqual([1, expect.stringContaining('ClassNotFoundException: com.example.Mine')]);
});

test('kafka-consumer-groups: every way to name an offset, lists by state and type', async () => {
  await broker.topic('reset');
  await runTool('kafka-console-producer.sh', [...at, '--topic', 'reset'], 'a\nb\nc\n');
  await tool('console-consumer', '--topic', 'reset', '--from-beginning', '--max-messages', '3', '--group', 'resetting');
  const reset = (...words: string[]): [string, ...string[]] => ['consumer-groups', '--reset-offsets', '--group', 'resetting', ...words];
  const found = await all(
    reset('--topic', 'reset', '--by-duration', 'PT1H', '--dry-run'),
    reset('--topic', 'reset:0', '--to-offset', '1', '--dry-run'),
    reset('--all-topics', '--to-current', '--dry-run'),
    reset('--topic', 'reset', '--to-latest', '--dry-run'),
    reset('--topic', 'reset', '--shift-by', '-2', '--dry-run'),
  );
  expect(found.map(({ code, out }) => [code, /^resetting\s+reset\s+0\s+(\d+)/m.exec(out)?.[1]])).toEqual([
    [0, '0'],
    [0, '1'],
    [0, '3'],
    [0, '3'],
    [0, '1'],
  ]);
  const [empty, stable, everybody] = await all(
    ['consumer-groups', '--list', '--state', 'Empty'],
    ['consumer-groups', '--list', '--state', 'Stable'],
    ['consumer-groups', '--describe', '--all-groups', '--timeout', '3000'],
  );
  expect(empty!.out).toMatch(/^resetting\s+Empty\s*$/m);
  expect(stable!.out).not.toContain('resetting');
  expect(everybody!.out).toMatch(/^resetting\s+reset\s+0\s+3\s+3\s+0\s/m);
});

test('transactions, elections, offsets, directories, dumps', async () => {
  await broker.topic('rest');
  await runTool('kafka-console-producer.sh', [...at, '--topic', 'rest'], 'x\n');
  const log = path.join(broker.dir, 'rest-0', '00000000000000000000.log');
  const election = file('election.json', '{"partitions":[{"topic":"rest","partition":0}]}');
  const [hanging, unscoped, elected, offsets, dirs] = await all(
    ['transactions', 'find-hanging', '--broker-id', '0'],
    ['transactions', 'find-hanging'],
    ['leader-election', '--election-type', 'preferred', '--path-to-json-file', election],
    ['get-offsets', '--topic', 'res.', '--partitions', '0', '--exclude-internal-topics'],
    ['log-dirs', '--describe', '--broker-list', '0', '--topic-list', 'rest'],
  );
  expect(hanging!.out).toBe('Topic\tPartition\tProducerId\tProducerEpoch\tCoordinatorEpoch\tStartOffset\tLastTimestamp\tDuration(min)\t\n');
  expect([unscoped!.code, unscoped!.err]).toEqual([1, expect.stringContaining('requires either --topic or --broker-id')]);
  expect(elected!.out).toBe('Valid replica already elected for partitions rest-0\n');
  expect(offsets!.out).toBe('rest:0:1\n');
  expect(JSON.parse(lines(dirs!.out)[2]!).brokers[0].logDirs[0].partitions[0].partition).toBe('rest-0');
  const dump = (...words: string[]): Promise<Outcome> => runTool('kafka-dump-log.sh', ['--files', log, ...words]);
  const [plain, decoded] = await Promise.all([
    dump('--max-bytes', '80', '--print-data-log', '--skip-record-metadata'),
    dump('--print-data-log', '--key-decoder-class', 'x'),
  ]);
  expect(lines(plain!.out).at(-1)).toBe('| payload: x');
  expect([decoded!.code, decoded!.err]).toEqual([1, expect.stringContaining('ClassNotFoundException: x')]);
});

test('performance tools: contents from a file, transactions, figures, no heading', async () => {
  await broker.topic('fast');
  const payload = file('payload', 'one\ntwo\n');
  const sent = await runTool('kafka-producer-perf-test.sh', [
    ...['--topic', 'fast', '--num-records', '10', '--payload-file', payload, '--throughput', '-1', '--print-metrics'],
    ...['--transactional-id', 'perf', '--transaction-duration-ms', '100', '--producer-props', `bootstrap.servers=${broker.address}`],
  ]);
  expect(sent.out).toMatch(
    /^Reading payloads from: .*\nNumber of messages read: 2\n10 records sent, .*\n\nMetric Name +Value\nproducer-metrics:record-send-total:.* : 10\.000\n$/,
  );
  const [read, none] = await all(
    ['consumer-perf-test', '--topic', 'fast', '--messages', '10', '--hide-header', '--timeout', '10000'],
    ['consumer-perf-test', '--topic', 'fast', '--messages', '10', '--from-latest', '--timeout', '1000'],
  );
  expect(lines(read!.out)).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\d .*, 10, /)]);
  expect(none!.out).toMatch(/^start\.time, end\.time, .*\nWARNING: Exiting before consuming the expected number of messages/);
});

test('kafka-acls: roles, patterns, denials, hosts, filters', async () => {
  const guarded = await TestBroker.start({ 'authorizer.class.name': 'kafka.security.authorizer.AclAuthorizer', 'super.users': 'User:ANONYMOUS' });
  try {
    const acls = (...words: string[]): Promise<Outcome> => runTool('kafka-acls.sh', ['--bootstrap-server', guarded.address, ...words]);
    const producer = ['--producer', '--topic', 'pre', '--resource-pattern-type', 'prefixed', '--transactional-id', 'tx', '--idempotent'];
    const made = [
      await acls('--add', '--allow-principal', 'User:p', ...producer),
      await acls('--add', '--allow-principal', 'User:c', '--consumer', '--topic', 't', '--group', 'g'),
      await acls('--add', '--deny-principal', 'User:d', '--deny-host', '10.0.0.1', '--operation', 'All', '--cluster'),
      await acls('--add', '--allow-principal', 'User:r', '--allow-host', '10.0.0.2', '--operation', 'Read', '--operation', 'Write', '--topic', '*'),
    ];
    expect(made.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const rules = (text: string): string[] => {
      let resource = '';
      const out: string[] = [];
      for (const line of text.split('\n')) {
        resource = /resourceType=(.*)\)`/.exec(line)?.[1] ?? resource;
        const rule = /\((principal=.*)\)/.exec(line)?.[1];
        if (rule !== undefined) out.push(`${resource}: ${rule}`);
      }
      return out.sort();
    };
    const of = (resource: string, principal: string, operations: readonly string[], rest = 'host=*', permission = 'ALLOW'): string[] =>
      operations.map((operation) => `${resource}: principal=User:${principal}, ${rest}, operation=${operation}, permissionType=${permission}`);
    const topic = of('TOPIC, name=pre, patternType=PREFIXED', 'p', ['CREATE', 'DESCRIBE', 'WRITE']);
    const consumer = [...of('TOPIC, name=t, patternType=LITERAL', 'c', ['DESCRIBE', 'READ']), ...of('GROUP, name=g, patternType=LITERAL', 'c', ['READ'])];
    const everything = [
      ...topic,
      ...of('TRANSACTIONAL_ID, name=tx, patternType=PREFIXED', 'p', ['DESCRIBE', 'WRITE']),
      ...of('CLUSTER, name=kafka-cluster, patternType=LITERAL', 'p', ['IDEMPOTENT_WRITE']),
      ...consumer,
      ...of('CLUSTER, name=kafka-cluster, patternType=LITERAL', 'd', ['ALL'], 'host=10.0.0.1', 'DENY'),
      ...of('TOPIC, name=*, patternType=LITERAL', 'r', ['READ', 'WRITE'], 'host=10.0.0.2'),
    ];
    const [listed, matching, mine] = await Promise.all([
      acls('--list'),
      acls('--list', '--topic', 'pretty', '--resource-pattern-type', 'match'),
      acls('--list', '--principal', 'User:c'),
    ]);
    expect(rules(listed.out)).toEqual(everything.sort());
    expect(rules(matching.out)).toEqual([...topic, ...of('TOPIC, name=*, patternType=LITERAL', 'r', ['READ', 'WRITE'], 'host=10.0.0.2')].sort());
    expect(rules(mine.out)).toEqual(consumer.sort());
    await acls('--remove', '--force', '--topic', 'pre', '--resource-pattern-type', 'prefixed');
    expect(rules((await acls('--list', '--topic', 'pre', '--resource-pattern-type', 'any')).out)).toEqual([]);
  } finally {
    await guarded.end();
  }
});
