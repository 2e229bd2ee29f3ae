/**
 * A real agent with a file channel on disks that are full, read-only or taken away, and without file handles. Whatever happens,
 * the client is told, the agent lives, work goes on by itself when the cause is gone, and what was answered OK is delivered once.
 * Small disks are tmpfs mounts, which need root; limits of a running process need prlimit. Without them those tests are skipped by name.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { LineClient, until } from './agent-process.ts';
import { NETCAT, PROOF, Rig } from './fault-rig.ts';

const CHANNEL = `channels.c1.type = file
  channels.c1.checkpointDir = $DIR/disk/checkpoint
  channels.c1.dataDirs = $DIR/disk/data
  channels.c1.transactionCapacity = 1000
  channels.c1.minimumRequiredSpace = 0
  ${NETCAT}
  sources.r1.max-line-length = 2000`;
const BESIDES = `sources = r1 r2
  channels = c1 c2
  sources.r2.type = seq
  sources.r2.totalEvents = 1
  sources.r2.channels = c2
  channels.c2.type = memory
  sinks = k1 k2
  sinks.k2.type = null
  sinks.k2.channel = c2`;
const MEGABYTE = 1_048_576;

const canMount = ((): boolean => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-mount-'));
  try {
    return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]).status === 0 && spawnSync('umount', [dir]).status === 0;
  } finally {
    fs.rmdirSync(dir);
  }
})();
const canLimit = spawnSync('prlimit', ['--version']).status === 0;

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.end();
  rig = undefined;
});

async function start(lines: string, before?: (made: Rig) => void, args: readonly string[] = []): Promise<Rig> {
  rig = await Rig.start({ lines: `${CHANNEL}\n${lines}`, args, ...(before === undefined ? {} : { before }) });
  return rig;
}

async function connected({ port, open }: Rig): Promise<LineClient> {
  let client: LineClient | undefined;
  await expect.poll(async () => (client = await LineClient.connect(port).catch(() => undefined)), { timeout: 20_000 }).toBeDefined();
  open.push(client as LineClient);
  return client as LineClient;
}

/** Sends lines one after the other until one is answered OK; answers what it was. */
async function sendUntilOk(client: LineClient, prefix: string): Promise<string> {
  for (let i = 0; i < 400; i++) {
    const [answer] = await client.ask(`${prefix}${i}`);
    if (answer === 'OK') return `${prefix}${i}`;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing is stored again:\n${rig?.agent.output.slice(-2_000)}`);
}

/** Mounts a small disk where the channel is. */
function mount(options: string): (made: Rig) => void {
  return (made) => {
    const dir = made.path('disk');
    fs.mkdirSync(dir);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir]).status).toBe(0);
    made.open.push({ close: () => spawnSync('umount', ['-l', dir]) });
  };
}

/** Fills the disk up but for some bytes. */
function fill(made: Rig, leave: number): void {
  const { bavail, bsize } = fs.statfsSync(made.path('disk'));
  const bytes = Math.max(0, bavail * bsize - leave);
  const fd = fs.openSync(made.path('disk', 'ballast'), 'w');
  try {
    for (let at = 0; at < bytes; at += MEGABYTE) fs.writeSync(fd, Buffer.alloc(Math.min(MEGABYTE, bytes - at), 1));
  } finally {
    fs.closeSync(fd);
  }
}
const empty = (made: Rig): void => fs.rmSync(made.path('disk', 'ballast'), { force: true });

/** A figure of the channel beyond those that all have. */
async function figure(made: Rig, name: string): Promise<number> {
  const metrics = (await (await fetch(`http://127.0.0.1:${made.monitoring}/metrics`)).json()) as Record<string, Record<string, string>>;
  return Number(metrics['CHANNEL.c1']?.[name]);
}

describe.runIf(canMount)('on a small disk (tmpfs)', () => {
  it('full in the middle of a commit: the client is told, nothing acknowledged is lost, and it goes on when there is room', async () => {
    const made = await start('', mount('size=8m'));
    made.steer('blocked', true);
    const client = await connected(made);
    const stored: string[] = [];
    const send = async (lines: readonly string[]): Promise<void> => {
      const answers = await client.ask(...lines);
      for (const [i, answer] of answers.entries()) if (answer === 'OK') stored.push(lines[i] as string);
    };
    // The channel asks for free space at most once a second: between two askings the disk fills up under its hands.
    for (let round = 0; !made.agent.output.includes('no space left on the disk'); round++) {
      expect(round).toBeLessThan(20);
      empty(made);
      await send([await sendUntilOk(client, `probe ${round}.`)].slice(1));
      fill(made, 20_000);
      await send(Array.from({ length: 100 }, (_, i) => `${round} ${i} ${'x'.repeat(1_500)}`));
    }
    expect(await figure(made, 'EventPutErrorCount')).toBeGreaterThan(0);
    empty(made);
    await send([`${await sendUntilOk(client, 'again ')} and more`]);
    made.agent.signal('SIGKILL');
    await made.agent.exited();
    made.steer('blocked', false);
    made.agent.start('--plugins-path', 'mine');
    await made.delivers(stored.length);
    expect(made.delivered.filter((line) => !/^(probe|again) [\d.]+$/.test(line))).toEqual(stored);
  });

  it('minimumRequiredSpace reached: puts are refused in the words of Flume, sinks go on, and puts again when there is room', async () => {
    const made = await start(`channels.c1.minimumRequiredSpace = ${8 * MEGABYTE}`, mount('size=32m'));
    const client = await connected(made);
    expect(await client.ask('before')).toEqual(['OK']);
    fill(made, 7 * MEGABYTE);
    let refused = '';
    await expect.poll(async () => (refused = (await client.ask('refused'))[0] as string), { timeout: 20_000 }).toMatch(/^FAILED/);
    expect(refused).toMatch(/Usable space exhausted, only \d+ bytes remaining, required \d+ bytes/);
    expect(await made.health()).toBe(503);
    empty(made);
    const again = await sendUntilOk(client, 'again ');
    await until(
      () => made.delivered.includes(again),
      () => `${again} in ${made.delivered}`,
    );
    expect(made.delivered.filter((line) => line !== 'refused')).toEqual(['before', again]);
  });

  it('read-only: the channel says so and is tried again until it is writable', async () => {
    // An agent of which nothing can start ends; here something else runs beside.
    const made = await start(BESIDES, (one) => {
      mount('size=8m')(one);
      expect(spawnSync('mount', ['-o', 'remount,ro', one.path('disk')]).status).toBe(0);
    });
    await made.agent.says('read-only');
    await made.becomes('c1', 'retrying');
    expect(await made.health()).toBe(503);
    expect(spawnSync('mount', ['-o', 'remount,rw', made.path('disk')]).status).toBe(0);
    await made.becomes('c1', 'running');
    const client = await connected(made);
    expect(await client.ask('stored')).toEqual(['OK']);
    await made.delivers(1);
  });
});

it('a directory removed while running: the client is told, the loss is said and counted, and work goes on in a new one', async () => {
  const made = await start('sinks.k1.type = steered', (one) => one.steer('blocked', true));
  const client = await connected(made);
  // The sink holds the first batch.
  expect(await client.ask('first')).toEqual(['OK']);
  expect(await client.ask('second', 'third')).toEqual(['OK', 'OK']);
  fs.rmSync(made.path('disk', 'data'), { recursive: true });
  expect((await client.ask('fourth'))[0]).toMatch(/^FAILED: .*no such file/);
  await made.agent.says('a directory was removed while in use; the channel is opened anew');
  await made.agent.says('3 events that had been safe are lost');
  made.steer('blocked', false);
  const again = await sendUntilOk(await connected(made), 'again ');
  await until(
    () => made.delivered.includes(again),
    () => `${again} in ${made.delivered}`,
  );
  expect(await figure(made, 'EventsLostCount')).toBe(3);
  expect(made.delivered.filter((line) => !['first', 'second', 'third', again].includes(line))).toEqual([]);
});

it('a second agent on the directories names the first, waits, and takes over when that has ended', async () => {
  const made = await start('');
  const other = await Rig.start({ lines: `${CHANNEL.replaceAll('$DIR/disk', made.path('disk'))}\n${BESIDES}` });
  try {
    await other.agent.says(new RegExp(`already locked.*channel c1 of agent a1, process ${made.agent.pid}`));
    await other.becomes('c1', 'retrying');
    await made.agent.stop();
    await other.becomes('c1', 'running');
    expect(await (await connected(other)).ask('stored')).toEqual(['OK']);
    await other.delivers(1);
  } finally {
    await other.end();
  }
});

const FULL_MS = PROOF ? 60_000 : 3_000;
it(`full for ${FULL_MS / 1000} s: what was answered OK arrives, once and in order`, async () => {
  const made = await start('sinks.k1.type = steered\n channels.c1.capacity = 100\n channels.c1.transactionCapacity = 100\n channels.c1.keep-alive = 0', (one) =>
    one.steer('blocked', true),
  );
  const client = await connected(made);
  const stored: string[] = [];
  const deadline = performance.now() + FULL_MS;
  for (let i = 0; i < 300 || performance.now() < deadline; i++) {
    const [answer] = await client.ask(`${i}`);
    if (answer === 'OK') stored.push(`${i}`);
    else expect(answer).toMatch(/^FAILED: The channel has reached it's capacity/);
  }
  expect(stored).toHaveLength(100);
  expect((await made.component('r1')).status).toBe('degraded');
  made.steer('blocked', false);
  await made.delivers(100);
  expect(await client.ask('after')).toEqual(['OK']);
  await made.delivers(101);
  expect(made.delivered).toEqual([...stored, 'after']);
});

describe.runIf(canLimit)('without file handles (prlimit)', () => {
  /** An agent that has loaded all of its program when it says that it is monitored, and has accepted a client. */
  const ready = async (lines: string): Promise<{ made: Rig; client: LineClient; stored: string[] }> => {
    const made = await start(lines, undefined, ['--no-reload-conf']);
    const client = await connected(made);
    return { made, client, stored: [await sendUntilOk(client, 'open ')] };
  };
  /** Sets how many files the agent may have open; what is open stays open. */
  const limit = (made: Rig, count: number): void => {
    expect(spawnSync('prlimit', ['--pid', String(made.agent.pid), `--nofile=${count}:`]).status).toBe(0);
  };

  it('a put that needs a new data file fails and is counted, and works when there are handles', async () => {
    const { made, client, stored } = await ready('channels.c1.maxFileSize = 20000');
    limit(made, 3);
    for (let i = 0; !made.agent.output.includes('too many files open'); i++) {
      expect(i).toBeLessThan(100);
      const [answer] = await client.ask(`${i} ${'x'.repeat(1_500)}`);
      if (answer === 'OK') stored.push(`${i} ${'x'.repeat(1_500)}`);
      else expect(answer).toMatch(/^FAILED: .*too many files open/);
      await until(
        () => answer === 'OK' || made.agent.output.includes('too many files open'),
        () => 'the log to say it',
      );
    }
    expect(stored.length).toBeGreaterThan(5);
    limit(made, 1024);
    stored.push(await sendUntilOk(client, 'again '));
    expect(await figure(made, 'EventPutErrorCount')).toBeGreaterThan(0);
    await made.delivers(stored.length);
    expect(made.delivered).toEqual(stored);
  });

  it('a channel that cannot be opened is tried again, and opens when there are handles', async () => {
    const { made, client, stored } = await ready('');
    await made.delivers(1);
    limit(made, 3);
    fs.rmSync(made.path('disk', 'data'), { recursive: true });
    expect((await client.ask('lost'))[0]).toMatch(/^FAILED: .*no such file/);
    await made.agent.says(/(too many files open|EMFILE)/);
    limit(made, 1024);
    await made.becomes('c1', 'running');
    stored.push(await sendUntilOk(await connected(made), 'again '));
    await made.delivers(2);
    expect(made.delivered).toEqual(stored);
  });
});
