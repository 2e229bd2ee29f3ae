/** Where a broker's log is: of one in the background, and of one in the foreground. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { placeFor } from '../ends-with-test.ts';
import { freePort } from './agent-process.ts';
import { eventually } from './broker-harness.ts';
import { runTool } from './kafka-tool.ts';

const LINE = /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] (INFO|WARN) .+ \([\w.]+\)$/;

/** Process ids of brokers on this file of settings. */
function brokersOn(file: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return words.includes(file) && words.some((word) => word.endsWith('kafka-server-start.js'));
      } catch {
        return false;
      }
    })
    .map(Number);
}

test.runIf(process.platform === 'linux')(
  'in the background: server.log in Kafka’s line format goes on from start to start, kafkaServer.out begins anew (needs /proc)',
  async () => {
    const place = placeFor('daemon');
    const logs = path.join(place, 'new', 'logs');
    const file = path.join(place, 'server.properties');
    const port = await freePort();
    writeFileSync(file, `listeners=PLAINTEXT://127.0.0.1:${port}\nlog.dirs=${path.join(place, 'data')}\noffsets.topic.num.partitions=1\nbroker.id=${port}\n`);
    onTestFinished(async () => {
      for (const pid of brokersOn(file)) process.kill(pid, 'SIGKILL');
      await eventually(() => brokersOn(file).length === 0, 'the broker to be gone');
    });
    const read = (name: string): string => readFileSync(path.join(logs, name), 'utf8');
    // The hour may end while the test runs.
    const wholeLog = (): string =>
      [
        ...readdirSync(logs)
          .filter((name) => /^server\.log\./.test(name))
          .sort(),
        'server.log',
      ]
        .map(read)
        .join('');
    const times = (text: string, word: string): number => text.split(word).length - 1;
    for (const run of [1, 2]) {
      expect(await runTool('kafka-server-start.sh', ['-daemon', file], '', { LOG_DIR: logs })).toMatchObject({ code: 0, out: '' });
      await eventually(() => times(wholeLog(), '] started (kafka.server.KafkaServer)') === run, 'the start in server.log');
      const [pid] = brokersOn(file);
      if (run === 1) process.kill(pid as number, 'SIGTERM');
      else expect(await runTool('kafka-server-stop.sh', [`--node-id=${port}`])).toEqual({ code: 0, out: '', err: '' });
      await eventually(() => brokersOn(file).length === 0, 'the broker to stop');
      const [log, out] = [wholeLog(), read('kafkaServer.out')];
      for (const line of log.trimEnd().split('\n')) expect(line).toMatch(LINE);
      expect([times(log, 'shut down completed'), times(out, 'shut down completed')]).toEqual([run, 1]);
      expect(log.endsWith(out)).toBe(true);
    }
    expect(
      readdirSync(logs)
        .filter((name) => !/^server\.log\.[-\d]+$/.test(name))
        .sort(),
    ).toEqual(['kafkaServer.out', 'server.log']);
  },
);

test('whoever asks for help, or is not understood, stops and starts nothing', async () => {
  const outcomes = await Promise.all([
    runTool('kafka-server-stop.sh', ['-h']),
    runTool('kafka-server-stop.sh', ['--nodes', '1']),
    runTool('kafka-server-stop.sh', ['server.properties']),
    runTool('kafka-server-stop.sh', ['--process-role=controller']),
    runTool('kafka-server-start.sh', ['-h']),
  ]);
  expect(outcomes.map(({ code, out, err }) => [code, out, err.slice(0, 27)])).toEqual([
    [0, '', 'USAGE: kafka-server-stop.sh'],
    [1, '', 'USAGE: kafka-server-stop.sh'],
    [1, '', 'USAGE: kafka-server-stop.sh'],
    [1, 'No kafka server to stop\n', ''],
    [0, '', 'USAGE: kafka-server-start.s'],
  ]);
});

test('in the background without a place for logs: refused with what to do', async () => {
  const place = placeFor('daemon');
  const file = path.join(place, 'a-file');
  writeFileSync(file, '');
  const refused = await runTool('kafka-server-start.sh', ['-daemon', file], '', { LOG_DIR: path.join(file, 'logs') });
  expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/^cannot write logs in .*set LOG_DIR to a directory/) });
});

test('in the foreground: server.log too where LOG_DIR is set', async () => {
  const place = placeFor('daemon');
  const settings = path.join(place, 'server.properties');
  writeFileSync(settings, `listeners=PLAINTEXT://127.0.0.1:0\nlog.dirs=${path.join(place, 'data')}\nbroker.id=nonsense\n`);
  const { code, out } = await runTool('kafka-server-start.sh', [settings], '', { LOG_DIR: path.join(place, 'logs') });
  expect(code).toBe(1);
  expect(readFileSync(path.join(place, 'logs', 'server.log'), 'utf8')).toBe(out);
});
