/**
 * The five tutorials as a person follows them: an empty machine, the files of conf/ as they stand, and the tutorials' own
 * command lines, host names and install directories apart. (`compat/` runs three of them on a real Kafka cluster.)
 */
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installed } from './agent-process.ts';
import { eventually } from './broker-harness.ts';
import { type Answer, EmptyMachine, findGround, type Terminal } from './empty-machine.ts';

const ground = await findGround();
const why = ground.kind === 'none' ? ` (not followed: ${ground.reason})` : '';

const ZOOKEEPER = /ZooKeeper is not needed/;
const lines = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => `line ${from + i}`);

describe.skipIf(ground.kind === 'none')(`the tutorials${why}`, { timeout: 240_000 }, () => {
  let machine: EmptyMachine;
  beforeEach(async () => {
    machine = await EmptyMachine.start(ground);
  });
  afterEach(() => machine.end());

  const run = (line: string, stdin = ''): Promise<Answer> => machine.run(line, stdin);

  /** A console consumer in a terminal of its own, ended by Ctrl-C when `done` with its lines. */
  async function consumed(line: string, done: (values: readonly string[]) => boolean): Promise<string[]> {
    const consumer = machine.open(line);
    const values = (): string[] => consumer.output.split('\n').filter((text) => text !== '' && !/^(NOTICE|Processed)/.test(text));
    await eventually(() => done(values()), `the lines of ${line}`, 90_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${consumer.output.slice(-2_000)}`);
    });
    await consumer.kill('INT');
    return values();
  }
  const atLeast =
    (count: number) =>
    (values: readonly string[]): boolean =>
      new Set(values).size >= count;

  it('1: netcat → memory → KafkaSink with the keys of 1.6, and the console consumer', async () => {
    expect((await run('bin/zkServer.sh start')).out).toMatch(ZOOKEEPER);
    await run('bin/kafka-server-start.sh -daemon config/server.properties &');
    await machine.listens(9092);
    const create = 'bin/kafka-topics.sh --create --zookeeper localhost:2181 --replication-factor 1 --partitions 1 --topic topic1';
    expect((await run(create)).out).toContain('Created topic topic1');
    // The tutorial's line lacks a blank, which is said.
    const slip = await run('bin/flume-ng agent --conf-file  conf/kafka.conf--name a1 -Dflume.root.logger=DEBUG,console');
    expect(slip).toMatchObject({ code: 2, err: expect.stringContaining('a blank is missing in "conf/kafka.conf--name"') });
    const agent = machine.open('bin/flume-ng agent --conf-file  conf/kafka.conf --name a1 -Dflume.root.logger=DEBUG,console');
    await agent.says(/listening on/);
    expect(await machine.telnet(44444, 'hello', '你好')).toEqual(['OK', 'OK']);
    const consumer = 'bin/kafka-console-consumer.sh --bootstrap-server localhost:9092 --from-beginning --topic topic1';
    expect(await consumed(consumer, atLeast(2))).toEqual(['hello', '你好']);
    expect(agent.output).toMatch(/brokerList.*is retired/);
    expect(await agent.kill('INT')).toBe(130);
  });

  it('1, in one command: --broker runs the broker that the file names', async () => {
    const agent = machine.open('bin/flume-ng agent --conf-file conf/kafka.conf --name a1 -Dflume.root.logger=INFO,console --broker');
    await agent.says(/NetcatSource\] listening on/);
    expect(await machine.telnet(44444, 'hello')).toEqual(['OK']);
    expect(await consumed('bin/kafka-console-consumer.sh --bootstrap-server localhost:9092 --from-beginning --topic topic1', atLeast(1))).toEqual(['hello']);
    expect(await agent.kill('INT')).toBe(130);
  });

  const EXAMPLE = (home: string): string => `--conf ${home}/conf --conf-file ${home}/config/example.conf --name a1 -Dflume.root.logger=`;

  it('2: netcat → memory → logger, in the foreground and in the background', async () => {
    const { home } = machine;
    await run('mkdir config && cp conf/example.conf config/');
    const front = machine.open(`flume-ng agent ${EXAMPLE(home)}INFO,console`);
    await front.says(/listening on/);
    expect(await machine.telnet(44444, 'Hello world!')).toEqual(['OK']);
    await front.says(/body: 48 65 6C 6C 6F 20 77 6F 72 6C 64 21/);
    expect(await front.kill('INT')).toBe(130);
    const back = machine.open(`nohup flume-ng agent ${EXAMPLE(home)}INFO,LOGFILE`);
    await machine.listens(44444);
    expect(await machine.telnet(44444, 'again')).toEqual(['OK']);
    await eventually(() => fs.readFileSync(machine.file('logs/flume.log'), 'utf8').includes('body: 61 67 61 69 6E'), 'the event in logs/flume.log');
    expect(await back.kill('TERM')).toBe(143);
  });

  const hasSupervisor = installed('supervisord') && installed('supervisorctl');
  it.skipIf(!hasSupervisor)(`2: the same under supervisord${hasSupervisor ? '' : ' (not installed: Debian has it as supervisor)'}`, async () => {
    const { home } = machine;
    await run('mkdir config supervisor.d && cp conf/example.conf config/');
    fs.writeFileSync(machine.file('supervisor.d/flume-netcat-memory-logger.ini'), PROGRAM(home));
    fs.writeFileSync(machine.file('supervisord.conf'), SUPERVISORD(home));
    machine.open(`supervisord -n -c ${home}/supervisord.conf`);
    await eventually(() => fs.existsSync(machine.file('supervisor.sock')), 'supervisord');
    const control = async (words: string): Promise<string> => (await run(`supervisorctl -c ${home}/supervisord.conf ${words}`)).out;
    const state = async (): Promise<string | undefined> => (await control('status')).split(/\s+/)[1];
    await control('update');
    expect(await state()).toBe('STOPPED');
    expect(await control('start flume-netcat-memory-logger')).toContain('started');
    expect(await state()).toBe('RUNNING');
    expect(await machine.telnet(44444, 'first')).toEqual(['OK']);
    expect(await control('restart flume-netcat-memory-logger')).toContain('started');
    expect(await machine.telnet(44444, 'second')).toEqual(['OK']);
    expect(await control('stop flume-netcat-memory-logger')).toContain('stopped');
    expect(await state()).toBe('STOPPED');
    const log = fs.readFileSync(machine.file('config/example.log'), 'utf8');
    for (const body of ['66 69 72 73 74', '73 65 63 6F 6E 64']) expect(log).toContain(`body: ${body}`);
  });

  it('3: topics created, changed, deleted; spooldir GBK → memory → KafkaSink with three brokers named, of which one answers', async () => {
    const three = 'localhost:9092,localhost:9093,localhost:9094';
    const broker = machine.open('nohup bin/kafka-server-start.sh config/server.properties 2>&1');
    await broker.says(/started/);
    const create = 'bin/kafka-topics.sh --create --bootstrap-server localhost:9092 --replication-factor 2 --partitions 3 --topic test';
    // One node keeps no second copy, and says so.
    expect((await run(create)).out).toContain('Unable to replicate the partition 2 time(s)');
    expect((await run(create.replace('factor 2', 'factor 1'))).out).toContain('Created topic test');
    expect((await run(`bin/kafka-topics.sh --list --bootstrap-server ${three}`)).out.split('\n')).toContain('test');
    expect((await run(`bin/kafka-console-producer.sh --broker-list ${three} --topic test`, 'by hand\n')).code).toBe(0);
    expect(await consumed(`bin/kafka-console-consumer.sh --from-beginning --topic test  --bootstrap-server ${three}`, atLeast(1))).toEqual(['by hand']);
    const described = async (): Promise<string> => (await run('bin/kafka-topics.sh --describe  --bootstrap-server localhost:9092 --topic test')).out;
    expect(await described()).toMatch(/PartitionCount: 3/);
    expect((await run('bin/kafka-topics.sh --bootstrap-server localhost:9092 --alter --topic test --partitions 5')).code).toBe(0);
    expect(await described()).toMatch(/PartitionCount: 5/);
    expect((await run('bin/kafka-topics.sh --zookeeper localhost:2181 --alter --topic test --config flush.messages=1')).code).toBe(0);
    expect(await described()).toContain('flush.messages=1');
    expect((await run('bin/kafka-topics.sh --zookeeper localhost:2181 --alter --topic test --delete-config flush.messages')).code).toBe(0);
    expect(await described()).not.toContain('flush.messages');

    await run('mkdir -p /tmp/flumedata');
    const agent = machine.open('bin/flume-ng agent -c conf -f conf/spooldir_kafka.conf -n a1 -Dflume.root.logger=INFO,console');
    // 中文日志 and 第二行 in GBK.
    fs.writeFileSync(machine.file('a.txt'), Buffer.from('d6d0cec4c8d5d6be0ab5dab6fed0d00a', 'hex'));
    fs.writeFileSync(machine.file('/tmp/flumedata/half.tmp'), 'not yet\n');
    await run('mv a.txt /tmp/flumedata/');
    const values = await consumed(`bin/kafka-console-consumer.sh --from-beginning --topic test  --bootstrap-server ${three}`, atLeast(3));
    expect(values.sort()).toEqual(['by hand', '中文日志', '第二行'].sort());
    await eventually(() => fs.existsSync(machine.file('/tmp/flumedata/a.txt.COMPLETED')), 'the completed file');
    expect(fs.existsSync(machine.file('/tmp/flumedata/half.tmp'))).toBe(true);
    expect(agent.output).toMatch(/flumeBatchSize/);
    expect(await agent.kill('INT')).toBe(130);

    // The dash of the tutorial's line is an en dash.
    expect((await run('kafka-topics.sh –bootstrap-server localhost:9092 --delete --topic test')).code).toBe(0);
    expect((await run(`bin/kafka-topics.sh --list --bootstrap-server ${three}`)).out.split('\n')).not.toContain('test');
    if (!machine.isPrivate) return; // it would stop brokers of others
    expect((await run('bin/kafka-server-stop.sh')).code).toBe(0);
    await broker.says(/shut down completed/);
  });

  it('4: exec tail -F through a rotation → memory → the plugin sink', async () => {
    expect((await run('bin/zkServer.sh start')).out).toMatch(ZOOKEEPER);
    await run('bin/kafka-server-start.sh -daemon config/server.properties');
    await machine.listens(9092);
    const create = 'bin/kafka-topics.sh --create --zookeeper localhost:2181 --replication-factor 1 --partitions 3 --topic test-topic';
    expect((await run(create)).out).toContain('Created topic test-topic');
    await run('mkdir -p /tmp/flume-logs');
    // The tutorial's script, with the stray word at its end.
    fs.writeFileSync(
      machine.file('flume.bash'),
      'bin/flume-ng agent -n producer -c conf -f ./conf/flume.conf -Dflume.root.logger=INFO,console>./flume.log 2>&1 1\n',
    );
    machine.open('bash flume.bash');
    const consumer = 'bin/kafka-console-consumer.sh --zookeeper localhost:2181 --topic test-topic --from-beginning';
    const log = (): string => (fs.existsSync(machine.file('flume.log')) ? fs.readFileSync(machine.file('flume.log'), 'utf8') : '');
    await eventually(() => /agent producer runs/.test(log()), 'the agent').catch((error: Error) => {
      throw new Error(`${error.message}\n${log()}`);
    });
    await run('echo "hello" >> /tmp/flume-logs/test.log; echo "两行" >> /tmp/flume-logs/test.log');
    expect((await consumed(consumer, atLeast(2))).sort()).toEqual(['hello', '两行']);
    await run('mv /tmp/flume-logs/test.log /tmp/flume-logs/test.log.1; echo "rotated" >> /tmp/flume-logs/test.log');
    expect((await consumed(consumer, atLeast(3))).sort()).toEqual(['hello', 'rotated', '两行']);
  });

  describe('5: Kafka test3 → flume A → Avro → flume B → Kafka test2', () => {
    const FLUME_A = 'bin/flume-ng agent --name kafka-memory-avro -c conf/ -f conf/kafka-memory-avro.conf -Dflume.root.logger=DEBUG,console';
    const FLUME_B = 'bin/flume-ng agent --name avro-memory-kafka -c conf -f conf/avro-memory-kafka.conf -Dflume.root.logger=INFO,console';
    const CONSUMER = 'bin/kafka-console-consumer.sh --bootstrap-server localhost:9092 --from-beginning --topic';

    async function follow(): Promise<{ readonly a: Terminal; readonly b: Terminal }> {
      expect((await run('bin/zkServer.sh start conf/zoo.cfg')).out).toMatch(ZOOKEEPER);
      await machine.open('bin/kafka-server-start.sh config/server.properties').says(/started/);
      for (const topic of ['test3', 'test2']) {
        const create = `bin/kafka-topics.sh --create --zookeeper localhost:2181 --replication-factor 1 --partitions 1 --topic ${topic}`;
        expect((await run(create)).out).toContain(`Created topic ${topic}`);
      }
      const b = machine.open(FLUME_B);
      await b.says(/listening on/);
      const a = machine.open(FLUME_A);
      await a.says(/reads test3-0/);
      return { a, b };
    }
    async function produce(values: readonly string[]): Promise<void> {
      const { code, err } = await run('bin/kafka-console-producer.sh --broker-list localhost:9092 --topic test3', `${values.join('\n')}\n`);
      expect(code, err).toBe(0);
    }
    const withoutInterceptor = (): void => machine.edit('conf/kafka-memory-avro.conf', (text) => text.replace(/^[^#\n]*interceptors.*$/gm, ''));

    it('with the static interceptor; flume B is killed twice on the way and nothing is lost', async () => {
      const { a, b } = await follow();
      expect(a.output).toMatch(/checkpontDir/);
      await produce(lines(0, 50));
      expect((await consumed(`${CONSUMER} test2`, atLeast(50))).slice(0, 50)).toEqual(lines(0, 50));
      let present = b;
      const all = lines(0, 50);
      for (const round of [1, 2]) {
        const batches = Array.from({ length: 5 }, (_, i) => lines(round * 1_000 + i * 100, 100));
        all.push(...batches.flat());
        await produce(batches[0] as string[]);
        const producing = (async () => {
          for (const batch of batches.slice(1)) await produce(batch);
        })();
        expect(await present.kill('KILL')).toBe(137);
        await producing;
        present = machine.open(FLUME_B);
      }
      const values = new Set(await consumed(`${CONSUMER} test2`, atLeast(all.length)));
      expect([...values].sort()).toEqual([...all].sort());
      expect(a.output).not.toContain('topic loop');
      // checkpontDir is misspelt: the checkpoint is in the default place below the home.
      expect(fs.existsSync(machine.file('../home/.flume/file-channel/checkpoint'))).toBe(true);
    });

    it('with allowTopicOverride = false instead', async () => {
      withoutInterceptor();
      machine.edit(
        'conf/avro-memory-kafka.conf',
        (text) => `${text}\navro-memory-kafka.sinks.kafka-sink.allowTopicOverride = false\navro-memory-kafka.sinks.kafka-sink.topic = test2\n`,
      );
      await follow();
      await produce(lines(0, 30));
      expect(await consumed(`${CONSUMER} test2`, atLeast(30))).toEqual(lines(0, 30));
      expect(await consumed(`${CONSUMER} test3`, atLeast(30))).toEqual(lines(0, 30));
    });

    it('with neither: the loop is found before, and broken at run time', async () => {
      withoutInterceptor();
      const found = await run('bin/flume-ng validate -f conf/kafka-memory-avro.conf -f conf/avro-memory-kafka.conf');
      expect(found.out + found.err).toMatch(/overrides topic/);
      const { b } = await follow();
      await produce(['round and round']);
      await b.says(/topic loop: events went round through topic test3/, 60_000);
      // The line itself, and one copy for each hop that was allowed.
      const everything = await run(`${CONSUMER} test3 --timeout-ms 3000`);
      expect(everything.out.split('\n').filter((line) => line === 'round and round')).toHaveLength(17);
    });
  });
});

/** The file of the tutorial; whom to run it as is left out. */
const PROGRAM = (home: string): string => `[program:flume-netcat-memory-logger]
command=${home}/bin/flume-ng agent ${`--conf ${home}/conf --conf-file ${home}/config/example.conf --name a1`} -Dflume.root.logger=INFO,console
directory=${home}/config
autostart=false                 ; 在supervisord启动的时候也自动启动
startsecs=10                    ; 启动10秒后没有异常退出，就表示进程正常启动了，默认为1秒
autorestart=true                ; 程序退出后自动重启,可选值：[unexpected,true,false]，默认为unexpected，表示进程意外杀死后才重启
startretries=3                  ; 启动失败自动重试次数，默认是3
priority=70                     ; 进程启动优先级，默认999，值小的优先启动
redirect_stderr=true            ; 把stderr重定向到stdout，默认false
stdout_logfile_maxbytes=20MB    ; stdout 日志文件大小，默认50MB
stdout_logfile_backups = 20     ; stdout 日志文件备份数，默认是10
environment=JAVA_HOME="/usr/local/java"
stdout_logfile=${home}/config/example.log
stopasgroup=true                ;默认为false,进程被杀死时，是否向这个进程组发送stop信号，包括子进程
killasgroup=true                ;默认为false，向进程组发送kill信号，包括子进程
`;

const SUPERVISORD = (home: string): string => `[supervisord]
logfile=${home}/supervisord.log
pidfile=${home}/supervisord.pid
[unix_http_server]
file=${home}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${home}/supervisor.sock
[include]
files=${home}/supervisor.d/*.ini
`;
