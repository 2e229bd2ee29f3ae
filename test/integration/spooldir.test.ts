/**
 * The spooldir source through the real command into file_roll: kills between batches, signals, trouble with files, and
 * what monitoring says. Every line carries its number, so that lost and doubled ones can be told apart.
 */
import fs from 'node:fs';
import path from 'node:path';
import iconv from 'iconv-lite';
import { afterEach, expect, it } from 'vitest';
import { AgentProcess, definition, freePort, until } from './agent-process.ts';

const open: AgentProcess[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.end();
});

/** An agent in a directory with `spool` and `out`. */
function agentWith(more = ''): AgentProcess {
  const agent = new AgentProcess('');
  for (const name of ['spool', 'out']) fs.mkdirSync(path.join(agent.dir, name));
  agent.rewrite(
    definition(`
    sources = r1
    channels = c1
    sinks = k1
    sources.r1.type = spooldir
    sources.r1.spoolDir = ${path.join(agent.dir, 'spool')}
    sources.r1.pollDelay = 20
    sources.r1.channels = c1
    channels.c1.type = memory
    channels.c1.capacity = 1000
    channels.c1.transactionCapacity = 100
    sinks.k1.type = file_roll
    sinks.k1.sink.directory = ${path.join(agent.dir, 'out')}
    sinks.k1.sink.rollInterval = 0
    sinks.k1.channel = c1
    ${more}`),
  );
  open.push(agent);
  return agent;
}

function drop(agent: AgentProcess, name: string, content: string | Buffer): void {
  const hidden = path.join(agent.dir, name);
  fs.writeFileSync(hidden, content);
  fs.renameSync(hidden, path.join(agent.dir, 'spool', name));
}

const spooled = (agent: AgentProcess, name: string): boolean => fs.existsSync(path.join(agent.dir, 'spool', name));

/** All lines in all files of file_roll, in the order of the files. */
function delivered(agent: AgentProcess): string[] {
  const out = path.join(agent.dir, 'out');
  const files = fs.readdirSync(out).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return files.flatMap((file) => fs.readFileSync(path.join(out, file), 'utf8').split('\n').slice(0, -1));
}

it('loses nothing and keeps the order when it is stopped again and again', async () => {
  const agent = agentWith('sinks.k1.sink.batchSize = 1');
  const lines = Array.from({ length: 60_000 }, (_, i) => `line ${i} ${'x'.repeat(80)}`);
  for (let file = 0; file < 3; file++) drop(agent, `f${file}`, `${lines.slice(file * 20_000, (file + 1) * 20_000).join('\n')}\n`);
  let stoppedEarly = 0;
  for (let round = 0; round < 3; round++) {
    if (spooled(agent, 'f2.COMPLETED')) break;
    const [before, said] = [delivered(agent).length, agent.output.length];
    agent.start();
    await agent.says('runs after', said);
    await until(
      () => delivered(agent).length > before,
      () => `lines:\n${agent.output}`,
      () => agent.exitCode !== undefined,
    );
    expect(await agent.stop()).toBe(143);
    if (delivered(agent).length < lines.length) stoppedEarly++;
  }
  agent.start();
  await until(
    () => spooled(agent, 'f2.COMPLETED'),
    () => `all files:\n${agent.output}`,
  );
  expect(await agent.stop()).toBe(143);
  expect(delivered(agent)).toEqual(lines);
  expect(stoppedEarly).toBeGreaterThan(0);
});

it('reads on after kill -9 from a stored position: what was in the memory channel is gone, nothing else, and at most a batch comes twice', async () => {
  const agent = agentWith('sinks.k1.sink.batchSize = 1');
  const count = 100_000;
  drop(agent, 'big', `${Array.from({ length: count }, (_, i) => `${i} ${'x'.repeat(60)}`).join('\n')}\n`);
  let kills = 0;
  for (let round = 0; round < 4 && !spooled(agent, 'big.COMPLETED'); round++) {
    const before = delivered(agent).length;
    agent.start();
    await until(
      () => spooled(agent, 'big.COMPLETED') || delivered(agent).length > before + 1_000,
      () => `progress:\n${agent.output}`,
      () => agent.exitCode !== undefined,
    );
    if (spooled(agent, 'big.COMPLETED')) break;
    agent.signal('SIGKILL');
    await agent.exited();
    kills++;
  }
  if (!spooled(agent, 'big.COMPLETED')) agent.start();
  await until(
    () => spooled(agent, 'big.COMPLETED'),
    () => `the file completed:\n${agent.output}`,
  );
  await agent.stop();
  expect(kills).toBeGreaterThan(0);
  const seen = new Set(delivered(agent).map((line) => Number.parseInt(line, 10)));
  // Capacity of the channel, and the batch a sink had in hand, per kill.
  expect(seen.size).toBeGreaterThanOrEqual(count - kills * 1_100);
  expect(delivered(agent).length - seen.size).toBeLessThanOrEqual(kills * 200);
});

it('reads GBK files as UTF-8, leaves out what ignorePattern says, and names files as told (tutorial settings)', async () => {
  const agent = agentWith(`sources.r1.inputCharset = GBK
    sources.r1.fileSuffix = .DONE
    sources.r1.ignorePattern = ^(.)*\\\\.tmp$
    sources.r1.fileHeader = true
    sinks.k1.sink.serializer = HEADER_AND_TEXT`).start();
  await agent.says('runs after');
  drop(agent, 'a.tmp', 'not this\n');
  drop(agent, 'a.txt', iconv.encode('你好,世界\n第二行', 'gbk'));
  await until(
    () => delivered(agent).length === 2,
    () => `two lines:\n${agent.output}`,
  );
  const file = path.join(agent.dir, 'spool', 'a.txt');
  expect(delivered(agent)).toEqual([`{file=${file}} 你好,世界`, `{file=${file}} 第二行`]);
  await until(
    () => spooled(agent, 'a.txt.DONE'),
    () => `the name of a file that is done:\n${agent.output}`,
  );
  expect(spooled(agent, 'a.tmp')).toBe(true);
});

it('puts one bad file aside, says so in log, metrics and health, and goes on with the others', async () => {
  const port = await freePort();
  const agent = agentWith().start('-Dflume.monitoring.type=http', `-Dflume.monitoring.port=${port}`);
  await agent.says('runs after');
  drop(agent, 'bad', Buffer.from([0x6f, 0x6b, 0x0a, 0xff, 0xfe, 0x0a]));
  drop(agent, 'good', 'fine\n');
  drop(agent, 'empty', '');
  await until(
    () => spooled(agent, 'good.COMPLETED') && spooled(agent, 'empty.COMPLETED'),
    () => `good files:\n${agent.output}`,
  );
  await until(
    () => delivered(agent).length === 3,
    () => `lines: ${delivered(agent)}`,
  );
  expect(delivered(agent).sort()).toEqual(['', 'fine', 'ok']);
  await agent.says('byte 3 is not valid UTF-8. The file was put aside');
  expect(spooled(agent, '.aside/bad')).toBe(true);
  const metrics = (await (await fetch(`http://127.0.0.1:${port}/metrics`)).json()) as Record<string, unknown>;
  expect(metrics['SOURCE.r1']).toMatchObject({ EventReceivedCount: '3', EventAcceptedCount: '3', EventReadFail: '1', FilesAsideCount: '1' });
  const status = await (await fetch(`http://127.0.0.1:${port}/status`)).text();
  expect(status).toContain('degraded');
  fs.rmSync(path.join(agent.dir, 'spool', '.aside', 'bad'));
  const deadline = performance.now() + 10_000;
  while ((await (await fetch(`http://127.0.0.1:${port}/status`)).text()).includes('degraded')) {
    expect(performance.now()).toBeLessThan(deadline);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

it('waits while the sink has no directory, and starts by itself when directories appear', async () => {
  const agent = agentWith();
  fs.rmSync(path.join(agent.dir, 'out'), { recursive: true });
  fs.rmSync(path.join(agent.dir, 'spool'), { recursive: true });
  agent.start('--startup-policy', 'retry');
  await agent.says(/spoolDir .* does not exist/);
  await agent.says(/sink\.directory .* does not exist/);
  for (const name of ['spool', 'out']) fs.mkdirSync(path.join(agent.dir, name));
  drop(agent, 'a', '1\n');
  await until(
    () => delivered(agent).length === 1,
    () => `the line:\n${agent.output}`,
  );
});
