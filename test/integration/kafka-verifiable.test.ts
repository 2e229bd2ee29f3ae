/** kafka-verifiable-producer and -consumer: the lines of JSON that Kafka's own print (3.9.1), in their order and spelling. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { placeFor } from '../ends-with-test.ts';
import { freePort } from './agent-process.ts';
import { brokerWith, eventually, HOUSE, type TestBroker } from './broker-harness.ts';
import { type Outcome, runTool } from './kafka-tool.ts';

type Event = Readonly<Record<string, unknown>> & { readonly name: string; readonly timestamp: number };

const tool = (broker: TestBroker, kind: 'producer' | 'consumer', ...words: string[]): Promise<Outcome> =>
  runTool(`kafka-verifiable-${kind}.sh`, ['--bootstrap-server', broker.address, ...words]);

/** Lines without what differs from run to run, which must be there all the same. */
function bare(text: string): string[] {
  const lines = text.trimEnd().split('\n');
  for (const line of lines) expect(line).toMatch(/^\{"timestamp":\d{13},"name":"/);
  return lines.map((line) => line.replace(/^\{"timestamp":\d+,/, '{').replace(/"avg_throughput":\d+\.\d+\}$/, '"avg_throughput":_}'));
}

const events = (text: string): Event[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);

test('the producer says what was acknowledged, with keys, prefix and offsets', async () => {
  const broker = await brokerWith();
  const first = await tool(broker, 'producer', '--topic', 'vt', '--max-messages', '3');
  expect(first.code).toBe(0);
  const sent = (offset: number, key: string, value: string, partition = 0): string =>
    `{"name":"producer_send_success","key":${key},"value":"${value}","offset":${offset},"topic":"vt","partition":${partition}}`;
  const end = (count: number, target = -1): string[] => [
    '{"name":"shutdown_complete"}',
    `{"name":"tool_data","sent":${count},"acked":${count},"target_throughput":${target},"avg_throughput":_}`,
  ];
  expect(bare(first.out)).toEqual(['{"name":"startup_complete"}', sent(0, 'null', '0'), sent(1, 'null', '1'), sent(2, 'null', '2'), ...end(3)]);
  const words = ['--max-messages', '3', '--value-prefix', '7', '--repeating-keys', '2', '--acks', '1', '--message-create-time', '1500000000000'];
  const second = await tool(broker, 'producer', '--topic', 'vt', ...words, '--throughput', '20');
  expect(bare(second.out).slice(1)).toEqual([sent(3, '"0"', '7.0'), sent(4, '"1"', '7.1'), sent(5, '"0"', '7.2'), ...end(3, 20)]);
  const unheard = await tool(broker, 'producer', '--topic', 'vt', '--max-messages', '1', '--acks', '0');
  expect(bare(unheard.out)[1]).toBe(sent(-1, 'null', '0'));
  const times = await runTool('kafka-console-consumer.sh', [
    ...['--bootstrap-server', broker.address, '--topic', 'vt', '--partition', '0', '--offset', '3', '--max-messages', '1'],
    ...['--property', 'print.timestamp=true'],
  ]);
  expect(times.out).toMatch(/^CreateTime:1500000000\d{3}\t7\.0\n$/);
});

test('the producer says what was lost, keeps to its speed, and sums up when it is ended', async () => {
  const broker = await brokerWith();
  const bad = await tool(broker, 'producer', '--topic', 'bad!name', '--max-messages', '1');
  expect(bare(bad.out)[1]).toBe(
    '{"name":"producer_send_error","topic":"bad!name","key":null,"value":"0","exception":"class org.apache.kafka.common.errors.InvalidTopicException","message":"Invalid topics: [bad!name]"}',
  );
  await broker.topic('small', 1, { 'max.message.bytes': '10' });
  const large = events((await tool(broker, 'producer', '--topic', 'small', '--max-messages', '2')).out);
  expect(large.filter(({ exception }) => exception === 'class org.apache.kafka.common.errors.RecordTooLargeException')).toHaveLength(2);
  expect(large.at(-1)).toMatchObject({ sent: 2, acked: 0, avg_throughput: 0 });
  await broker.topic('picky', 1, { 'message.timestamp.before.max.ms': '1000' });
  const old = events((await tool(broker, 'producer', '--topic', 'picky', '--max-messages', '1', '--message-create-time', '1')).out);
  expect(old[1]).toMatchObject({ name: 'producer_send_error', exception: 'class org.apache.kafka.common.errors.InvalidTimestampException' });
  const running = spawned('producer', ['--bootstrap-server', broker.address, '--topic', 'endless', '--throughput', '50']);
  await eventually(() => running.text().split('producer_send_success').length > 10, 'ten messages');
  running.child.kill('SIGTERM');
  expect(await running.ended).toBe(143);
  const all = events(running.text());
  expect(all.at(-1)).toMatchObject({ name: 'tool_data', target_throughput: 50 });
  expect(all.at(-1)!.acked).toBe(all.filter(({ name }) => name === 'producer_send_success').length);
  expect(all.at(-1)!.acked).toBeLessThan(50 * ((all.at(-1)!.timestamp - all[0]!.timestamp) / 1000) + 10);
});

test('the consumer says what it has, reads and commits, and no more than it was asked for is committed', async () => {
  const broker = await brokerWith();
  await tool(broker, 'producer', '--topic', 'vt', '--max-messages', '6', '--repeating-keys', '2');
  const part = '"topic":"vt","partition":0';
  const record = (offset: number): string => `{"name":"record_data","key":"${offset % 2}","value":"${offset}",${part},"offset":${offset}}`;
  const read = (polled: number, count: number, from: number): string =>
    `{"name":"records_consumed","count":${polled},"partitions":[{${part},"count":${count},"minOffset":${from},"maxOffset":${from + count - 1}}]}`;
  const moved = (what: string): string => `{"name":"partitions_${what}","partitions":[{${part}}]}`;
  const committed = (offset: number): string => `{"name":"offsets_committed","offsets":[{${part},"offset":${offset}}],"success":true}`;
  const [start, end] = ['{"name":"startup_complete"}', '{"name":"shutdown_complete"}'];
  const some = await tool(broker, 'consumer', '--topic', 'vt', '--group-id', 'g', '--max-messages', '4', '--verbose');
  expect(some.code).toBe(0);
  expect(bare(some.out)).toEqual([start, moved('assigned'), record(0), record(1), record(2), record(3), read(6, 4, 0), committed(4), moved('revoked'), end]);
  const rest = await tool(broker, 'consumer', '--topic', 'vt', '--group-id', 'g', '--max-messages', '2');
  expect(bare(rest.out)).toEqual([start, moved('assigned'), read(2, 2, 4), committed(6), moved('revoked'), end]);
  const silent = await tool(broker, 'consumer', '--topic', 'vt', '--group-id', 'h', '--max-messages', '6', '--enable-autocommit');
  expect(bare(silent.out)).toEqual([start, moved('assigned'), read(6, 6, 0), moved('revoked'), end]);
  expect(broker.running.broker.groupState.all.get('h')?.offsets.all.get('vt')?.get(0)?.offset).toBe(6);
});

test('consumers share a topic, and say so when one comes and goes', async () => {
  const broker = await brokerWith();
  await broker.topic('two', 2);
  const words = ['--bootstrap-server', broker.address, '--topic', 'two', '--group-id', 'g', '--session-timeout', '6000'];
  const place = placeFor('verifiable');
  const file = path.join(place, 'consumer.properties');
  writeFileSync(file, 'heartbeat.interval.ms=200\n');
  const counts = (text: string): string[] =>
    events(text).flatMap(({ name, partitions }) =>
      /^partitions_/.test(name) ? `${name.slice('partitions_'.length)} ${(partitions as unknown[]).length}` : [],
    );
  const first = spawned('consumer', [...words, '--consumer.config', file]);
  await eventually(() => counts(first.text()).at(-1) === 'assigned 2', 'both partitions');
  const second = spawned('consumer', [...words, '--consumer.config', file]);
  await eventually(() => counts(second.text()).at(-1) === 'assigned 1', 'one partition');
  await eventually(() => counts(first.text()).at(-1) === 'assigned 1', 'the other partition');
  expect(counts(first.text())).toEqual(['assigned 2', 'revoked 2', 'assigned 1']);
  second.child.kill('SIGINT');
  expect(await second.ended).toBe(130);
  expect(events(second.text()).map(({ name }) => name)).toEqual(['startup_complete', 'partitions_assigned', 'partitions_revoked', 'shutdown_complete']);
  await eventually(() => counts(first.text()).at(-1) === 'assigned 2', 'both again');
});

test('the consumer ends where there is nothing to wait for, and says why on stderr', async () => {
  const broker = await brokerWith();
  await broker.topic('vt', 1);
  const outcomes = await Promise.all([
    tool(broker, 'consumer', '--topic', 'vt', '--group-id', 'none', '--reset-policy', 'none'),
    tool(broker, 'consumer', '--topic', 'bad!name', '--group-id', 'bad'),
  ]);
  const said = (name: string): unknown => expect.stringContaining(`\norg.apache.kafka.common.errors.${name}: `);
  expect(outcomes.map(({ code, out, err }) => [code, events(out).at(-1)?.name, err])).toEqual([
    [0, 'shutdown_complete', said('OffsetOutOfRangeException')],
    [0, 'shutdown_complete', said('InvalidTopicException')],
  ]);
});

test('the producer waits for a broker that is just starting', async () => {
  const port = await freePort();
  const producer = spawned('producer', ['--bootstrap-server', `127.0.0.1:${port}`, '--topic', 'vt', '--max-messages', '2']);
  await eventually(() => producer.errors().includes('trying on'), 'the first attempt');
  await brokerWith({ listeners: `PLAINTEXT://127.0.0.1:${port}` });
  expect(await producer.ended).toBe(0);
  expect(events(producer.text()).at(-1)).toMatchObject({ sent: 2, acked: 2 });
});

test('command lines that cannot be used are answered as Kafka’s do', async () => {
  const outcomes = await Promise.all([
    runTool('kafka-verifiable-producer.sh', []),
    runTool('kafka-verifiable-producer.sh', ['--bootstrap-server', 'x:1']),
    runTool('kafka-verifiable-producer.sh', ['--topic', 't']),
    runTool('kafka-verifiable-producer.sh', ['--topic', 't', '--broker-list', 'x:1', '--acks', '7']),
    runTool('kafka-verifiable-consumer.sh', []),
    runTool('kafka-verifiable-consumer.sh', ['--bootstrap-server', 'x:1', '--topic', 't']),
    runTool('kafka-verifiable-consumer.sh', ['--bootstrap-server', 'x:1', '--topic', 't', '--group-id', 'g', '--reset-policy', 'foo']),
    runTool('kafka-verifiable-consumer.sh', ['--bootstrap-server', 'x:1', '--topic', 't', '--group-id', 'g', '--group-protocol', 'consumer']),
    runTool('kafka-run-class.sh', ['org.apache.kafka.tools.VerifiableProducer', '--topic', 't']),
  ]);
  expect(outcomes.map(({ code, out, err }) => [code, out.slice(0, 26), err.trimEnd().split('\n').at(-1)])).toEqual([
    [0, 'usage: verifiable-producer', expect.any(String)],
    [1, '', 'verifiable-producer: error: argument --topic is required'],
    [1, '', 'verifiable-producer: error: one of the arguments --bootstrap-server --broker-list is required'],
    [1, '', "verifiable-producer: error: argument --acks: invalid choice: '7' (choose from {0,1,-1})"],
    [0, 'usage: verifiable-consumer', expect.any(String)],
    [1, '', 'verifiable-consumer: error: argument --group-id is required'],
    [1, '', expect.stringMatching(/ConfigException: Invalid value foo for configuration auto\.offset\.reset/)],
    [1, '', 'verifiable-consumer: error: argument --group-protocol: the protocol CONSUMER is not spoken by this tool; leave it out'],
    [1, '', 'verifiable-producer: error: one of the arguments --bootstrap-server --broker-list is required'],
  ]);
});

/** A tool that runs until it is ended, at the latest with the test. */
function spawned(
  kind: 'producer' | 'consumer',
  words: readonly string[],
): { child: ChildProcess; text(): string; errors(): string; ended: Promise<number | null> } {
  const child = spawn(path.join(HOUSE, 'bin', `kafka-verifiable-${kind}.sh`), words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  // The last line may not be whole yet.
  return { child, text: () => text.slice(0, text.lastIndexOf('\n') + 1), errors: () => errors, ended };
}
