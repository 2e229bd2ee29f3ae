import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import exec, { type ExecSource } from '../../../../src/agent/sources/exec.ts';
import { lookupCharset } from '../../../../src/lib/charset.ts';
import { AppError } from '../../../../src/lib/errors.ts';
import { FULL, type Rig, rig, TestOutput, until } from './source-harness.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const SHELL = { shell: '/bin/sh -c' };

async function started(written: Record<string, string>, output = new TestOutput()): Promise<Rig<ExecSource>> {
  const built = rig<ExecSource>(exec, written, { output });
  cleanups.push(() => built.source.stop());
  await built.source.start();
  return built;
}

function directory(): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'exec-source-'));
  cleanups.push(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Whether a process runs (a zombie does not). */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('lines', () => {
  it('splits the command at white space and runs it directly: quotes stay', async () => {
    const { output } = await started({ command: "echo  'a\tb'   $HOME", batchTimeout: '0' });
    await until(() => output.count === 1, 'the line');
    expect(output.bodies).toEqual(["'a b' $HOME"]);
    expect(output.events[0]?.headers).toEqual({});
  });

  it('hands the whole command to a shell when there is one', async () => {
    const { output, logged } = await started({ ...SHELL, command: 'for i in 1 2 3; do echo "n $i" | cat; done' });
    await until(() => output.count === 3, 'three lines');
    expect(output.bodies).toEqual(['n 1', 'n 2', 'n 3']);
    await until(() => logged.some((line) => line.includes('exited with 0')), 'the exit');
    expect(logged).toContain('info Command [for i in 1 2 3; do echo "n $i" | cat; done] exited with 0');
  });

  it('ends lines at LF, CR and CRLF, and makes an event of a last line without end', async () => {
    const { output } = await started({ ...SHELL, command: "printf 'a\\r\\nb\\rc\\n\\nlast'" });
    await until(() => output.count === 5, 'five lines');
    expect(output.bodies).toEqual(['a', 'b', 'c', '', 'last']);
  });

  it('keeps the bytes of the charset and replaces bad ones', async () => {
    const gbk = lookupCharset('GBK');
    const dir = directory();
    const file = path.join(dir, 'gbk.txt');
    fs.writeFileSync(file, gbk?.encode('中文\n日志\n') ?? '');
    const first = await started({ command: `cat ${file}`, charset: 'GBK' });
    await until(() => first.output.count === 2, 'two lines');
    expect(gbk?.decode(first.output.events[1]?.body ?? Buffer.alloc(0), 'FAIL')).toBe('日志');

    fs.writeFileSync(file, Buffer.concat([Buffer.from('ok 中\nbad '), Buffer.of(0xff), Buffer.from(' x\nok\ncut '), Buffer.of(0xe4, 0xb8)]));
    const second = await started({ command: `cat ${file}` });
    await until(() => second.output.count === 4, 'four lines');
    expect(second.output.events.map((event) => event.body)).toEqual(['ok 中', 'bad \ufffd x', 'ok', 'cut \ufffd'].map((line) => Buffer.from(line)));

    const little = Buffer.from('\ufeff中\r\n🎉', 'utf16le');
    fs.writeFileSync(file, Buffer.concat([little, Buffer.of(0x61)]));
    const third = await started({ command: `cat ${file}`, charset: 'UTF-16' });
    await until(() => third.output.count === 2, 'two lines');
    expect(third.output.events.map((event) => event.body.toString('hex'))).toEqual(['feff4e2d', 'feffd83cdf89fffd']);
  });

  it('keeps characters whole that a read cuts in two', async () => {
    const dir = directory();
    const file = path.join(dir, 'utf8.txt');
    const line = '日志消息：用户登录成功';
    fs.writeFileSync(file, `${line}\n`.repeat(20_000));
    const { output } = await started({ command: `cat ${file}` });
    await until(() => output.count === 20_000, 'all lines');
    expect(new Set(output.bodies)).toEqual(new Set([line]));
  });

  it('logs stderr lines with their number when asked to', async () => {
    const { logged } = await started({ ...SHELL, command: 'echo one >&2; printf two >&2', logStdErr: 'true' });
    await until(() => logged.some((entry) => entry.includes('StderrLogger[2]')), 'two lines');
    expect(logged).toContain("info StderrLogger[1] = 'one'");
    expect(logged).toContain("info StderrLogger[2] = 'two'");
  });
});

describe('batches', () => {
  it('stores the lines of a read together, cut to maxBatch', async () => {
    const { output } = await started({ command: 'seq 1 250' });
    await until(() => output.count === 250, '250 lines');
    expect(output.batches).toEqual([100, 100, 50]);
  });

  it('stores fewer lines than batchSize when batchTimeout has passed since the last batch, while the command runs', async () => {
    const { output, source } = await started({ ...SHELL, command: 'echo a; echo b; exec sleep 60', batchTimeout: '300' });
    const began = performance.now();
    await until(() => output.count === 2, 'two lines');
    expect(performance.now() - began).toBeGreaterThan(100);
    expect(source.pid).toBeDefined();
  });

  it('stores at once what comes later than batchTimeout after the last batch', async () => {
    const { output } = await started({ ...SHELL, command: 'sleep 0.3; echo late; exec sleep 60', batchTimeout: '200' });
    await until(() => output.count === 1, 'the line');
  });

  it('stores batchSize lines without waiting', async () => {
    const { output } = await started({ ...SHELL, command: 'echo a; echo b; exec sleep 60', batchSize: '2', batchTimeout: '600000' });
    await until(() => output.count === 2, 'two lines');
  });
});

describe('restart', () => {
  it('runs the command again after the throttle', async () => {
    const { output, logged } = await started({ ...SHELL, command: 'echo x; exit 3', restart: 'true', restartThrottle: '20' });
    await until(() => output.count >= 3, 'three runs');
    expect(logged).toContain('info Restarting in 20ms, exit code 3');
  });

  it('does not spin when the command crashes in a loop', async () => {
    const dir = directory();
    const { source } = await started({ ...SHELL, command: `echo x >> ${dir}/runs; kill -9 $$`, restart: 'true', restartThrottle: '60000' });
    await until(() => source.pid === undefined, 'the end of the first run');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(fs.readFileSync(`${dir}/runs`, 'utf8')).toBe('x\n');
  });

  it('stays, degraded, when the command fails and is not to be restarted', async () => {
    const { degraded, failures, logged } = await started({ ...SHELL, command: 'exit 7' });
    await until(() => degraded.length === 1, 'the status');
    expect(degraded[0]).toMatchObject({ message: 'command [exit 7] exited with 7; no more events come from it' });
    expect(logged).toContain('info Command [exit 7] exited with 7');
    expect(failures).toEqual([]);
  });

  it('says which command is missing and what to do; the supervisor may try again', async () => {
    const { source } = rig<ExecSource>(exec, { command: 'no-such-command-here -x' });
    const error = await source.start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'COMMAND', retriable: true, message: 'cannot run "no-such-command-here": no such program' });
    expect((error as AppError).fix).toContain('PATH');
    await source.stop();
  });

  it('keeps trying when the command vanishes between two runs', async () => {
    const dir = directory();
    const script = path.join(dir, 'job');
    const write = (): void => fs.writeFileSync(script, '#!/bin/sh\necho ran\n', { mode: 0o755 });
    write();
    const { output, degraded, isHealthy } = await started({ command: script, restart: 'true', restartThrottle: '20' });
    await until(() => output.count >= 1, 'a run');
    fs.rmSync(script);
    await until(() => degraded.length > 0, 'the status');
    const before = output.count;
    write();
    await until(() => output.count > before, 'another run');
    expect(isHealthy()).toBe(true);
  });
});

describe('a channel without room', () => {
  it('keeps the batch, reads no further, and loses nothing', async () => {
    const output = new TestOutput();
    output.room = 150;
    output.counting = true;
    const dir = directory();
    const { degraded, isHealthy } = await started({ ...SHELL, command: `seq 1 2000000; echo done > ${dir}/done` }, output);
    await until(() => output.attempts >= 5, 'refusals');
    expect(degraded[0]?.message).toBe(FULL);
    expect(fs.existsSync(`${dir}/done`)).toBe(false);
    expect(output.count).toBe(100);
    output.room = Number.POSITIVE_INFINITY;
    await until(() => output.count === 2_000_000, 'all lines');
    expect(output.mostInFlight).toBe(1);
    expect(isHealthy()).toBe(true);
  });

  it('keeps a batch that an interceptor refuses', async () => {
    const output = new TestOutput();
    output.error = new Error('interceptor bug');
    await started({ command: 'echo a' }, output);
    await until(() => output.attempts >= 2, 'two attempts');
    output.error = undefined;
    await until(() => output.count === 1, 'the line');
  });

  it('stops all the same, and says what is lost', async () => {
    const output = new TestOutput();
    output.room = 0;
    const { source, logged } = await started({ command: 'yes' }, output);
    await until(() => output.attempts >= 1, 'an attempt');
    await source.stop();
    expect(logged.join('\n')).toMatch(/stopped with \d+ lines read and not stored/);
  });
});

describe('much output', () => {
  it('cuts output that has no line ends, with flat memory', async () => {
    const output = new TestOutput();
    output.counting = true;
    const { ctx } = await started({ ...SHELL, command: 'head -c 100000000 /dev/zero' }, output);
    await until(() => output.bytes === 100_000_000, 'all bytes');
    expect(output.count).toBe(6);
    expect(ctx.extra.LineCutCount).toBe(5);
  });

  it('takes a million lines', async () => {
    const output = new TestOutput();
    output.counting = true;
    await started({ command: 'seq 1 1000000' }, output);
    await until(() => output.count === 1_000_000, 'all lines');
    expect(output.bytes).toBe(5_888_896);
  });
});

describe('the processes', () => {
  it('ends the command and its children with the source', async () => {
    const { source, output } = await started({ ...SHELL, command: 'sleep 300 & echo $!; sleep 301 | cat & echo $!; wait', batchSize: '2' });
    await until(() => output.count === 2, 'the children');
    const pids = [...output.bodies.map(Number), source.pid as number];
    expect(pids.every(runs)).toBe(true);
    await source.stop();
    await until(() => !pids.some(runs), 'the end of all');
    expect(source.pid).toBeUndefined();
  });

  it('kills what ignores SIGTERM', async () => {
    const { source, output } = await started({ ...SHELL, command: "trap '' TERM; echo $$; while :; do sleep 0.1; done", batchSize: '1' });
    await until(() => output.count === 1, 'the pid');
    const pid = Number(output.bodies[0]);
    await source.stop();
    await until(() => !runs(pid), 'its end');
  });

  it('ends background jobs that a command leaves behind', async () => {
    const { output, source } = await started({ ...SHELL, command: 'sleep 300 >/dev/null 2>&1 & echo $!' });
    await until(() => output.count === 1, 'the child');
    const pid = Number(output.bodies[0]);
    await until(() => source.pid === undefined && !runs(pid), 'its end');
  });

  it('takes what the command printed before it was stopped', async () => {
    const { source, output } = await started({ ...SHELL, command: 'echo a; echo b; exec sleep 60', batchTimeout: '600000' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await source.stop();
    expect(output.bodies).toEqual(['a', 'b']);
  });

  it('stops twice, without start, and during start', async () => {
    const idle = rig<ExecSource>(exec, { command: 'sleep 300' });
    await idle.source.stop();
    const starting = idle.source.start();
    await idle.source.stop();
    await starting;
    expect(idle.source.pid).toBeUndefined();
    await idle.source.stop();
  });

  it('follows a file by name through a rotation with tail -F', async () => {
    const dir = directory();
    const file = path.join(dir, 'app.log');
    fs.writeFileSync(file, 'one\n');
    const { output } = await started({ command: `tail -F ${file}`, batchSize: '1' });
    await until(() => output.bodies.includes('one'), 'the first line');
    fs.renameSync(file, `${file}.1`);
    fs.writeFileSync(file, 'two\n');
    await until(() => output.bodies.includes('two'), 'the line after rotation');
    fs.appendFileSync(file, 'three\n');
    await until(() => output.bodies.includes('three'), 'the next line');
    expect(output.bodies).toEqual(['one', 'two', 'three']);
  });
});

describe('declaration', () => {
  const findings = (written: Record<string, unknown>) =>
    (exec.check?.({ command: 'x', charset: 'UTF-8', shell: undefined, ...written } as never, {}) ?? []).map((finding) => finding.code);

  it('warns of tail -f and of shell syntax without a shell', () => {
    expect(findings({ command: 'tail -f /var/log/x' })).toEqual(['tail-by-descriptor']);
    expect(findings({ command: 'tail -n 0 -F /var/log/x' })).toEqual([]);
    expect(findings({ command: 'cat x | grep y' })).toEqual(['shell-syntax']);
    expect(findings({ command: 'cat x | grep y', shell: '/bin/sh -c' })).toEqual([]);
    expect(findings({ charset: 'UTF-9' })).toEqual(['unknown-charset']);
  });
});
