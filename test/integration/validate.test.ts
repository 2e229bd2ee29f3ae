// flume-ng validate as a person or a script uses it: texts, exit codes, JSON; and the tutorials' definitions.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is the syntax under test
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flumeNg } from './flume-ng.ts';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-validate-'));
});
afterAll(() => rm(dir, { recursive: true }));

async function file(name: string, text: string): Promise<string> {
  await writeFile(join(dir, name), text);
  return join(dir, name);
}

const SOUND = `a1.sources = r1
a1.channels = c1
a1.sinks = k1
a1.sources.r1.type = netcat
a1.sources.r1.bind = 127.0.0.1
a1.sources.r1.port = 0
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.sinks.k1.type = logger
a1.sinks.k1.channel = c1
`;

describe('exit codes', () => {
  it('0 for a sound definition, in one line per agent', async () => {
    const path = await file('sound.conf', SOUND);
    const { code, stdout, stderr } = await flumeNg(['validate', '-f', path, '-n', 'a1']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe(`agent a1: 1 source, 1 channel, 1 sink can run\n${path}: nothing to say\n`);
  });

  it('0 for warnings, 1 for the same with --strict', async () => {
    const path = await file('warning.conf', `${SOUND}a1.channels.c1.capcity = 5\n`);
    const { code, stdout } = await flumeNg(['validate', '-f', path]);
    expect(code).toBe(0);
    expect(stdout).toContain(`${path}:11  warning  channel c1 (memory): no property "capcity"\n`);
    expect(stdout).toMatch(/^ +did you mean "capacity"\? Until then it is ignored and the default is used$/m);
    expect((await flumeNg(['validate', '-f', path, '--strict'])).code).toBe(1);
  });

  it('1 for errors, all of them at once', async () => {
    const path = await file('errors.conf', SOUND.replace('= netcat', '= netcta').replace('= logger', '= hdfs'));
    const { code, stdout } = await flumeNg(['validate', '-f', path, '-n', 'a1']);
    expect(code).toBe(1);
    expect(stdout).toContain('did you mean netcat?');
    expect(stdout).toContain('type "hdfs" is not available here');
    expect(stdout).toContain('agent a1: nothing can run');
  });

  it('1 for a file that is not there, and for an agent that is not in it', async () => {
    const gone = await flumeNg(['validate', '-f', join(dir, 'none.conf')]);
    expect([gone.code, gone.stdout]).toEqual([1, expect.stringContaining('there is no such file')]);
    const other = await flumeNg(['validate', '-f', await file('sound.conf', SOUND), '-n', 'agent']);
    expect([other.code, other.stdout]).toEqual([1, expect.stringContaining('no agent is named "agent"; agents here: a1')]);
  });

  it.each([
    ['no file', ['validate']],
    ['the blank missing before --name', ['validate', '-f', 'conf/kafka.conf--name', 'a1']],
    ['a long dash', ['validate', '-f', 'conf/example.conf', '\u2013name', 'a1']],
    ['an unknown option', ['validate', '--bogus']],
  ])('2 for %s', async (_name, words) => {
    const { code, stdout, stderr } = await flumeNg(words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^Error: /);
  });
});

it('--json is for programs', async () => {
  const path = await file('json.conf', `${SOUND}a1.channels.c1.capcity = 5\n`);
  const { code, stdout } = await flumeNg(['validate', '-f', path, '-n', 'a1', '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    errors: 0,
    warnings: 1,
    infos: 0,
    agents: [{ name: 'a1', runs: true, sources: ['r1'], channels: ['c1'], sinks: ['k1'], leftOut: [] }],
    findings: [
      {
        severity: 'warning',
        code: 'unknown-property',
        file: path,
        line: 11,
        component: 'channel c1 (memory)',
        message: 'no property "capcity"',
        fix: 'did you mean "capacity"? Until then it is ignored and the default is used',
      },
    ],
  });
});

it('merges several files and reads the environment and -D', async () => {
  const base = await file('base.conf', SOUND.replace('= 127.0.0.1', '= ${BIND_TO}'));
  const over = await file('over.conf', 'a1.sinks.k1.maxBytesToLog = ${sys:bytes}\n');
  const { code, stdout } = await flumeNg(['validate', '-f', base, '-f', over, '-Dbytes=40'], { BIND_TO: '127.0.0.1' });
  expect(code).toBe(0);
  expect(stdout).toContain('${BIND_TO} is no property and was taken from the environment');
  expect(stdout).toContain('1 note');
});

it('prints no colour into a pipe', async () => {
  const { stdout } = await flumeNg(['validate', '-f', await file('w.conf', `${SOUND}a1.x = 1\n`)]);
  expect(stdout).not.toContain('\u001b');
});

it('reads a definition in GBK and says so', async () => {
  const path = join(dir, 'gbk.conf');
  await writeFile(path, Buffer.concat([Buffer.from('# '), Buffer.from([0xd6, 0xd0, 0xce, 0xc4]), Buffer.from(`\n${SOUND}`)]));
  const { code, stdout } = await flumeNg(['validate', '-f', path]);
  expect([code, stdout]).toEqual([0, expect.stringContaining('was read as GBK')]);
});

describe("the tutorials' definitions have exactly their true findings", () => {
  const retired = (...names: string[]): string[] => names.map((name) => `warning retired-property ${name}`);
  const TUTORIALS: [string, string, string[]][] = [
    ['example.conf', 'a1', []],
    ['kafka.conf', 'a1', retired('topic', 'brokerList', 'requiredAcks', 'batchSize')],
    ['spooldir_kafka.conf', 'a1', [...retired('kafka.flumeBatchSize'), 'info honoured-property undefined']],
    ['kafka-memory-avro.conf', 'kafka-memory-avro', ['warning unknown-property checkpontDir']],
    ['avro-memory-kafka.conf', 'avro-memory-kafka', retired('brokerList', 'batchSize', 'requiredAcks')],
    ['flume.conf', 'producer', ['info ignored-property serializer.class']],
  ];

  it('which are all of conf/', async () => {
    expect((await readdir('conf')).filter((name) => name.endsWith('.conf')).sort()).toEqual(TUTORIALS.map(([name]) => name).sort());
  });

  it.each(TUTORIALS)('%s', async (name, agent, expected) => {
    const { stdout, code } = await flumeNg(['validate', '-f', `conf/${name}`, '-n', agent, '--json']);
    expect(code).toBe(0);
    const { findings } = JSON.parse(stdout) as { findings: { severity: string; code: string; line: number; message: string }[] };
    expect(findings.map(({ severity, code, message }) => `${severity} ${code} ${/"([^"]+)"/.exec(message)?.[1]}`)).toEqual(expected);
  });
});
