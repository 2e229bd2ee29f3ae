/** `-Dflume.root.logger` and its relatives as tutorials write them, through the real command. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { endsWithTest } from '../ends-with-test.ts';
import { AgentProcess, freePort, LineClient, netcatFlow } from './agent-process.ts';

async function agentWith(...args: string[]): Promise<{ a1: AgentProcess; ask: (line: string) => Promise<void>; log: () => string }> {
  const port = await freePort();
  const a1 = endsWithTest(new AgentProcess(netcatFlow(port, 'sources.r1.keystore-pasword = hunter2\nsinks.k1.type = logger')));
  a1.startWith('agent', '--conf', a1.dir, '--conf-file', a1.file, '--name', 'a1', ...args);
  const ask = async (line: string): Promise<void> => {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const client = await LineClient.connect(port).catch(() => undefined);
      if (client !== undefined) {
        expect(await client.ask(line)).toEqual(['OK']);
        return client.close();
      }
      if (performance.now() > deadline) throw new Error(`no port:\n${a1.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return { a1, ask, log: () => fs.readFileSync(path.join(a1.dir, 'logs', 'flume.log'), 'utf8') };
}

const EVENT = 'Event: { headers:{} body: 68 69                                           hi }';

it('without a flag logs to logs/flume.log and says so in one line', async () => {
  const { a1, ask, log } = await agentWith();
  await ask('hi');
  expect(await a1.stop()).toBe(143);
  expect(a1.output.trim().split('\n')).toEqual([expect.stringContaining(`Log: ${path.join(fs.realpathSync(a1.dir), 'logs', 'flume.log')}`)]);
  expect(log()).toMatch(/^\d\d \w{3} \d{4} \d\d:\d\d:\d\d,\d{3} WARN {2}\[main\]/);
  expect(log()).toContain(EVENT);
});

it('takes INFO.LOGFILE, a tutorial’s slip, for INFO,LOGFILE, and says what is wrong with it', async () => {
  const { a1, ask, log } = await agentWith('-Dflume.root.logger=INFO.LOGFILE');
  await ask('hi');
  await a1.stop();
  expect(a1.output).toContain('level and appender are separated by a comma; taken as INFO,LOGFILE');
  expect(log()).toContain(EVENT);
});

it('writes lines for people, for machines, and to both places', async () => {
  const console = await agentWith('-Dflume.root.logger=INFO,console,LOGFILE');
  await console.ask('hi');
  await console.a1.stop();
  expect(console.a1.output).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \(sink k1\) \[INFO - org\.apache\.flume\.sink\.LoggerSink\] Event: /m);
  expect(console.log()).toContain(EVENT);
  const json = await agentWith('-Dflume.root.logger=INFO,JSON');
  await json.ask('hi');
  await json.a1.stop();
  const lines = json.a1.output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toContainEqual(expect.objectContaining({ component: 'sink k1', msg: EVENT, level: 30 }));
});

it('shows the configuration at DEBUG only when asked to, secrets masked even if misspelt, and events only with rawdata', async () => {
  const plain = await agentWith('-Dflume.root.logger=DEBUG,console');
  await plain.ask('hi there, a line of more than 16 bytes');
  await plain.a1.stop();
  expect(plain.a1.output).not.toContain('a1.channels.c1.type = memory');
  expect(plain.a1.output).not.toContain('16 bytes');
  const open = await agentWith('-Dflume.root.logger=DEBUG,console', '-Dorg.apache.flume.log.printconfig=true', '-Dorg.apache.flume.log.rawdata=true');
  await open.ask('hi there, a line of more than 16 bytes');
  await open.a1.stop();
  expect(open.a1.output).toContain('a1.channels.c1.type = memory');
  expect(open.a1.output).toContain('a1.sources.r1.keystore-pasword = ********');
  expect(open.a1.output).toContain('[DEBUG - org.apache.flume.source.NetcatSource] received {} "hi there, a line of more than 16 bytes"');
  expect(plain.a1.output + open.a1.output).not.toContain('hunter2');
});

it('takes flume.log.dir and flume.log.file', async () => {
  const { a1, ask } = await agentWith('-Dflume.log.dir=elsewhere', '-Dflume.log.file=mine.log');
  await ask('hi');
  await a1.stop();
  expect(fs.readFileSync(path.join(a1.dir, 'elsewhere', 'mine.log'), 'utf8')).toContain(EVENT);
});
