/** The spooldir source on real directories. Unreadable files are dangling links here: root, who runs tests in containers, may read everything. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import iconv from 'iconv-lite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeserializerInput, DeserializerSpec } from '../../../../src/agent/core/define.ts';
import type { Deserializer } from '../../../../src/agent/core/serializer.ts';
import type { Source } from '../../../../src/agent/core/source.ts';
import avro from '../../../../src/agent/deserializers/avro.ts';
import blob from '../../../../src/agent/deserializers/blob.ts';
import line from '../../../../src/agent/deserializers/line.ts';
import { PositionFile } from '../../../../src/agent/sources/spooldir/position-file.ts';
import spooldir from '../../../../src/agent/sources/spooldir.ts';
import { ManualClock } from '../../../../src/lib/clock.ts';
import { ConfigError } from '../../../../src/lib/errors.ts';
import { parseProperties } from '../../../../src/lib/props/spec.ts';
import { latch, type Rig, rig, TestOutput, until } from './source-harness.ts';

let folder: string;
let spool: string;
const running: Source[] = [];
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'spool-'));
  spool = path.join(folder, 'in');
  mkdirSync(spool);
});
afterEach(async () => {
  for (const source of running.splice(0)) await source.stop();
  rmSync(folder, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: any deserializer's properties
const specs: Readonly<Record<string, DeserializerSpec<any>>> = { LINE: line, AVRO: avro, [blob.aliases?.[0] as string]: blob };

function deserializer(type: string, properties: Readonly<Record<string, string>>, input: DeserializerInput): Deserializer {
  const spec = specs[type];
  if (!spec) throw new ConfigError(`there is no deserializer "${type}"`);
  const { config } = parseProperties(spec.properties, Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, { value }])));
  if (!config) throw new ConfigError('bad properties');
  return spec.create(config, input);
}

function make(written: Record<string, string> = {}, options: Parameters<typeof rig>[2] = {}): Rig<Source> {
  const made = rig<Source>(spooldir, { spoolDir: spool, pollDelay: '5', ...written }, { deserializer, ...options });
  running.push(made.source);
  return made;
}

async function started(written: Record<string, string> = {}, options: Parameters<typeof rig>[2] = {}): Promise<Rig<Source>> {
  const made = make(written, options);
  await made.source.start();
  return made;
}

/** Puts a whole file in, as a careful writer does. */
function drop(name: string, content: string | Buffer, modifiedMs?: number): string {
  const target = path.join(spool, name);
  const hidden = path.join(folder, 'incoming');
  writeFileSync(hidden, content);
  if (modifiedMs !== undefined) utimesSync(hidden, modifiedMs / 1000, modifiedMs / 1000);
  renameSync(hidden, target);
  return target;
}

const names = (directory = spool): string[] => readdirSync(directory).sort();
const visible = (): string[] => names().filter((name) => !name.startsWith('.'));
const T0 = 1_600_000_000_000;

describe('files', () => {
  it('become one event per line and are renamed', async () => {
    drop('a.log', 'one\ntwo\r\nthree');
    const { output, ctx } = await started();
    await until(() => existsSync(path.join(spool, 'a.log.COMPLETED')), 'a.log.COMPLETED');
    expect(output.bodies).toEqual(['one', 'two\r', 'three']);
    expect(output.events[0]?.headers).toEqual({});
    expect(ctx.extra).toEqual({ FilesCompletedCount: 1, FilesAsideCount: 0 });
    expect(ctx.counters).toMatchObject({ AppendBatchReceivedCount: 1, AppendBatchAcceptedCount: 1, EventReadFail: 0 });
  });

  it('without content are one event without content', async () => {
    drop('empty', '');
    const { output } = await started();
    await until(() => visible().includes('empty.COMPLETED'), 'completed');
    expect(output.bodies).toEqual(['']);
  });

  it('that come later are found', async () => {
    const { output } = await started();
    for (let i = 0; i < 3; i++) {
      drop(`f${i}`, `${i}\n`);
      await until(() => output.count === i + 1, `file ${i}`);
    }
    expect(output.bodies).toEqual(['0', '1', '2']);
  });

  it('are passed over by suffix, leading dot, includePattern and ignorePattern', async () => {
    for (const name of ['a.log', 'b.log.DONE', '.hidden.log', 'c.txt', 'd.tmp.log']) drop(name, `${name}\n`);
    const { output } = await started({ fileSuffix: '.DONE', includePattern: '.*\\.log', ignorePattern: '^.*\\.tmp\\..*$' });
    await until(() => visible().includes('a.log.DONE'), 'a.log.DONE');
    await output.put([]);
    expect(output.bodies).toEqual(['a.log']);
    expect(visible()).toEqual(['a.log.DONE', 'b.log.DONE', 'c.txt', 'd.tmp.log']);
  });

  it.each([
    ['oldest', ['b', 'a', 'c', 'd']],
    ['youngest', ['c', 'd', 'a', 'b']],
  ])('are read %s first, then by name', async (consumeOrder, order) => {
    drop('a', 'a\n', T0 + 1000);
    drop('b', 'b\n', T0);
    drop('d', 'd\n', T0 + 2000);
    drop('c', 'c\n', T0 + 2000);
    const { output } = await started({ consumeOrder });
    await until(() => output.count === 4, 'four events');
    expect(output.bodies).toEqual(order);
  });

  it('are all read in random order', async () => {
    for (let i = 0; i < 20; i++) drop(`f${i}`, `${i}\n`);
    const { output } = await started({ consumeOrder: 'random' });
    await until(() => output.count === 20, 'twenty events');
    expect(output.bodies.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('are deleted with deletePolicy immediate', async () => {
    drop('a', '1\n');
    const { output } = await started({ deletePolicy: 'immediate' });
    await until(() => visible().length === 0, 'nothing left');
    expect(output.bodies).toEqual(['1']);
  });

  it('of sub-directories are read when asked for, those of hidden and ignored ones never', async () => {
    for (const below of ['sub/deep', '.git', 'skip']) mkdirSync(path.join(spool, below), { recursive: true });
    drop('sub/deep/x', 'deep\n');
    drop('.git/x', 'git\n');
    drop('skip/x', 'skip\n');
    const { output } = await started({ recursiveDirectorySearch: 'true', ignorePattern: 'skip', basenameHeader: 'true', fileHeader: 'true' });
    await until(() => existsSync(path.join(spool, 'sub/deep/x.COMPLETED')), 'sub/deep/x.COMPLETED');
    expect(output.events.map(({ headers }) => headers)).toEqual([{ file: path.join(spool, 'sub/deep/x'), basename: 'x' }]);
    expect(output.bodies).toEqual(['deep']);
  });

  it('name themselves in headers of any name', async () => {
    drop('a', '1\n2\n');
    const { output } = await started({ fileHeader: 'TRUE', fileHeaderKey: 'path', basenameHeader: 'true', basenameHeaderKey: 'name' });
    await until(() => output.count === 2, 'two events');
    expect(output.events[1]?.headers).toEqual({ path: path.join(spool, 'a'), name: 'a' });
  });

  it('in GBK come out as UTF-8, also where a character lies across the edge of a read', async () => {
    const text = Array.from({ length: 60_000 }, (_, i) => `${'x'.repeat(i % 3)}第${i}行`);
    drop('gbk.txt', iconv.encode(text.join('\n'), 'gbk'));
    const { output } = await started({ inputCharset: 'GBK' }, { output: Object.assign(new TestOutput(), { maxBatch: 1000 }) });
    await until(() => output.count === text.length, 'all lines');
    expect(output.bodies).toEqual(text);
  });

  it('become blobs or Avro datums with their deserializers', async () => {
    drop('a', 'x\ny\n');
    const one = await started({ deserializer: blob.aliases?.[0] as string });
    await until(() => one.output.count === 1, 'a blob');
    expect(one.output.bodies).toEqual(['x\ny\n']);
    await one.source.stop();
    drop('b', readFileSync(new URL('../../../fixtures/avro/records-null.avro', import.meta.url)));
    const two = await started({ deserializer: 'AVRO', 'deserializer.schemaType': 'LITERAL' });
    await until(() => two.output.count === 7, 'seven datums');
    expect(Object.keys(two.output.events[0]?.headers ?? {})).toEqual(['flume.avro.schema.literal']);
  });

  it('are put in batches no larger than the channel takes', async () => {
    drop('a', Array.from({ length: 1000 }, (_, i) => `${i}\n`).join(''));
    const output = new TestOutput();
    output.maxBatch = 300;
    await started({}, { output });
    await until(() => output.count === 1000, 'all lines');
    expect(output.batches).toEqual([300, 300, 300, 100]);
  });

  it('with the retired bufferMaxLineLength cut lines at it', async () => {
    drop('a', 'abcdef\n');
    const { output } = await started({ bufferMaxLineLength: '4', bufferMaxLines: '7' });
    await until(() => output.count === 2, 'two events');
    expect(output.bodies).toEqual(['abcd', 'ef']);
  });
});

describe('the tracker directory', () => {
  it('records files that are left untouched, across restarts', async () => {
    mkdirSync(path.join(spool, 'sub'));
    drop('a', '1\n');
    drop('sub/b', '2\n');
    const settings = { trackingPolicy: 'tracker_dir', trackerDir: '.done', recursiveDirectorySearch: 'true' };
    const first = await started(settings);
    await until(() => existsSync(path.join(spool, '.done/sub/b.COMPLETED')), 'marker');
    await until(() => existsSync(path.join(spool, '.done/a.COMPLETED')), 'marker');
    await first.source.stop();
    expect(readFileSync(path.join(spool, '.done/a.COMPLETED'), 'utf8')).toBe('');
    expect(visible()).toEqual(['a', 'sub']);
    drop('c', '3\n');
    const second = await started(settings);
    await until(() => second.output.count === 1, 'the new file');
    expect(second.output.bodies).toEqual(['3']);
  });
});

describe('positions', () => {
  const lines = Array.from({ length: 500 }, (_, i) => `line ${i}`);
  const meta = (): PositionFile => new PositionFile(path.join(spool, '.flumespool/.flumespool-main.meta'));

  /** Stops a source after its first `batches` batches of 100, as a kill would: nothing after the last put is done. */
  async function partly(batches: number): Promise<void> {
    const output = new TestOutput();
    output.room = batches * 100;
    const { source } = await started({}, { output });
    await until(() => output.attempts > batches, 'a refused batch');
    await source.stop();
    expect(output.count).toBe(batches * 100);
  }

  it('are stored after each batch in Flume’s format, and reading goes on from there', async () => {
    const file = drop('a', `${lines.join('\n')}\n`);
    await partly(2);
    const offset = Buffer.byteLength(`${lines.slice(0, 200).join('\n')}\n`);
    expect(meta().read()).toEqual({ target: file, offset });
    const { output } = await started();
    await until(() => visible().includes('a.COMPLETED'), 'completed');
    expect(output.bodies).toEqual(lines.slice(200));
    expect(existsSync(meta().path)).toBe(false);
  });

  it('are of their file only: it comes first, and another file of that name later begins anew', async () => {
    drop('b', `${lines.join('\n')}\n`, T0 + 1000);
    await partly(1);
    drop('a', 'older\n', T0);
    const { output, source } = await started();
    await until(() => output.count === 401, 'both files');
    expect(output.bodies[0]).toBe('line 100');
    expect(output.bodies.at(-1)).toBe('older');
    await source.stop();

    drop('c', `${lines.join('\n')}\n`);
    await partly(1);
    rmSync(path.join(spool, 'c'));
    const idle = await started();
    await until(() => !existsSync(meta().path), 'the position forgotten');
    drop('c', `${lines.join('\n')}\n`);
    await until(() => idle.output.count === 500, 'the new file as a whole');
  });

  it('that cannot be read mean reading from the beginning', async () => {
    drop('a', 'x\n');
    mkdirSync(path.join(spool, '.flumespool'));
    writeFileSync(meta().path, 'rubbish');
    const { output, logged } = await started();
    await until(() => output.count === 1, 'the event');
    expect(logged.join()).toContain('The position file cannot be read');
  });

  it('survive a torn last block and are compacted', () => {
    mkdirSync(path.join(spool, '.flumespool'));
    const writer = meta();
    for (let i = 1; i <= 5_000; i++) writer.store('/x/y', i * 1000);
    writer.close();
    expect(statSync(writer.path).size).toBeLessThan(70_000);
    expect(meta().read()).toEqual({ target: '/x/y', offset: 5_000_000 });
    const bytes = readFileSync(writer.path);
    writeFileSync(writer.path, bytes.subarray(0, bytes.length - 5));
    expect(meta().read()).toEqual({ target: '/x/y', offset: 4_999_000 });
  });
});

describe('a full channel', () => {
  it('is tried again after 250 ms, doubling to maxBackoff, and loses nothing', async () => {
    drop('a', '1\n2\n');
    const clock = new ManualClock();
    const output = new TestOutput();
    output.room = 0;
    const { logged } = await started({ maxBackoff: '800' }, { clock, output });
    await until(() => output.attempts === 1, 'first try');
    for (const [waitMs, attempts] of [
      [250, 2],
      [500, 3],
      [800, 4],
      [800, 5],
    ] as const) {
      await clock.advance(waitMs - 1);
      expect(output.attempts).toBe(attempts - 1);
      await clock.advance(1);
      expect(output.attempts).toBe(attempts);
    }
    output.room = 10;
    await clock.advance(800);
    await until(() => visible().includes('a.COMPLETED'), 'completed');
    expect(output.bodies).toEqual(['1', '2']);
    expect(logged.filter((text) => text.includes('did not take a batch'))).toHaveLength(1);
  });

  it('does not keep the source from stopping', async () => {
    drop('a', '1\n');
    const output = new TestOutput();
    output.room = 0;
    const { source } = await started({}, { output });
    await until(() => output.attempts > 0, 'a try');
    await source.stop();
    expect(visible()).toEqual(['a']);
  });
});

describe('pollDelay', () => {
  it('is the pause between two listings', async () => {
    const clock = new ManualClock();
    const { output } = await started({ pollDelay: '700' }, { clock });
    // The first listing is asynchronous; it found nothing when a sleeper is there.
    await new Promise((resolve) => setTimeout(resolve, 50));
    drop('a', '1\n');
    await clock.advance(699);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(output.count).toBe(0);
    await clock.advance(1);
    await until(() => output.count === 1, 'the file');
  });
});

describe('faults', () => {
  /** A source held at its first put: the file is open and half read. */
  async function held(written: Record<string, string> = {}): Promise<Rig<Source> & { release(): void }> {
    const output = new TestOutput();
    const gate = latch();
    output.gate = gate.promise;
    const made = await started(written, { output });
    await until(() => output.attempts === 1, 'the first put');
    return { ...made, release: gate.open };
  }

  it('a file that grows while it is read is put aside, and others go on', async () => {
    const file = drop('a', '1\n', T0);
    drop('b', '2\n', T0 + 1000);
    const { release, output, ctx, isHealthy, logged, failures } = await held();
    appendFileSync(file, 'more\n');
    release();
    await until(() => visible().includes('b.COMPLETED'), 'b completed');
    expect(output.bodies).toEqual(['1', '2']);
    expect(visible()).toEqual(['b.COMPLETED']);
    expect(readFileSync(path.join(spool, '.aside/a'), 'utf8')).toBe('1\nmore\n');
    expect(ctx.extra.FilesAsideCount).toBe(1);
    expect(isHealthy()).toBe(false);
    expect(failures).toEqual([]);
    expect(logged.join('\n')).toContain(`ERROR File has changed size since being read: ${file}`.replace('ERROR', 'error'));
    rmSync(path.join(spool, '.aside/a'));
    await until(isHealthy, 'healthy once the file is taken away');
  });

  it('a file modified without growing is put aside too', async () => {
    const file = drop('a', '1\n', T0);
    const { release, logged } = await held();
    writeFileSync(file, '2\n');
    release();
    await until(() => existsSync(path.join(spool, '.aside/a')), 'aside');
    expect(logged.join('\n')).toContain('File has been modified since being read');
  });

  it('a name that comes twice is delivered and put aside', async () => {
    drop('a', '1\n');
    const { output, ctx, logged, isHealthy } = await started();
    await until(() => visible().includes('a.COMPLETED'), 'completed');
    drop('a', 'other\n');
    await until(() => existsSync(path.join(spool, '.aside/a')), 'aside');
    drop('a', 'third\n');
    await until(() => existsSync(path.join(spool, '.aside/a.1')), 'aside again');
    expect(output.bodies).toEqual(['1', 'other', 'third']);
    expect(ctx.extra.FilesAsideCount).toBe(2);
    expect(logged.join('\n')).toContain('File name has been re-used with different files. Spooling assumptions violated for');
    expect(isHealthy()).toBe(false);
  });

  it('a name that comes twice under tracker_dir stays and is not read again', async () => {
    mkdirSync(path.join(spool, '.flumespool'));
    const { output, ctx } = await started({ trackingPolicy: 'tracker_dir' });
    writeFileSync(path.join(spool, '.flumespool/a.COMPLETED'), '');
    drop('a', '1\n');
    await until(() => ctx.extra.FilesAsideCount === 1, 'aside');
    drop('b', '2\n');
    await until(() => output.count === 2, 'the other file');
    expect(visible()).toEqual(['a', 'b']);
  });

  it('a file that cannot be decoded is put aside with what is wrong; lines before are delivered', async () => {
    drop('a', Buffer.concat([Buffer.from('good\nbad '), Buffer.from([0xff, 0x0a])]), T0);
    drop('b', 'fine\n');
    const { output, ctx, degraded } = await started();
    await until(() => visible().includes('b.COMPLETED'), 'b completed');
    expect(output.bodies).toEqual(['good', 'fine']);
    expect(ctx.extra.FilesAsideCount).toBe(1);
    expect(ctx.counters.EventReadFail).toBe(1);
    expect(degraded[0]?.message).toContain('byte 9 is not valid UTF-8');
    expect(existsSync(path.join(spool, '.aside/a'))).toBe(true);
  });

  it('decodeErrorPolicy REPLACE and IGNORE read such a file', async () => {
    drop('a', Buffer.from([0x61, 0xff, 0x62, 0x0a]));
    const { output } = await started({ decodeErrorPolicy: 'replace' });
    await until(() => output.count === 1, 'the event');
    expect(output.bodies).toEqual(['a\ufffdb']);
  });

  it('a file that vanishes while it is read is delivered as a whole', async () => {
    const file = drop('a', Array.from({ length: 1000 }, (_, i) => `${i}\n`).join(''));
    const { release, output, failures, logged } = await held();
    rmSync(file);
    release();
    await until(() => output.count === 1000, 'all lines');
    await until(() => logged.some((text) => text.includes('vanished')), 'a word about it');
    expect(failures).toEqual([]);
  });

  it('a file that cannot be opened is told once, tried again, and holds nobody up', async () => {
    symlinkSync(path.join(folder, 'nowhere'), path.join(spool, 'a'));
    mkdirSync(path.join(folder, 'directory'));
    symlinkSync(path.join(folder, 'directory'), path.join(spool, 'link-to-directory'));
    mkdirSync(path.join(spool, 'named-like-a-file.log'));
    drop('b', '2\n');
    const { output, isHealthy, logged, ctx } = await started();
    await until(() => visible().includes('b.COMPLETED'), 'b completed');
    await until(() => ctx.counters.EventReadFail === 2, 'both told');
    expect(isHealthy()).toBe(false);
    writeFileSync(path.join(folder, 'nowhere'), 'now\n');
    await until(() => output.count === 2, 'the file that can be read now');
    rmSync(path.join(spool, 'link-to-directory'));
    await until(isHealthy, 'healthy');
    expect(logged.filter((text) => text.includes('cannot be opened') || text.includes('not a regular file'))).toHaveLength(2);
  });

  it('a directory removed while it runs degrades the source until it is back', async () => {
    drop('a', '1\n');
    const { output, isHealthy, degraded, failures } = await started();
    await until(() => visible().includes('a.COMPLETED'), 'a completed');
    rmSync(spool, { recursive: true });
    await until(() => !isHealthy(), 'degraded');
    expect(degraded[0]?.message).toContain(`spoolDir ${spool} cannot be listed`);
    mkdirSync(spool);
    drop('b', '2\n');
    await until(() => visible().includes('b.COMPLETED'), 'b completed');
    expect(output.bodies).toEqual(['1', '2']);
    expect(isHealthy()).toBe(true);
    expect(failures).toEqual([]);
  });

  it('a directory removed in the middle of a file does not come back by our own doing', async () => {
    drop('a', Array.from({ length: 1000 }, (_, i) => `${i}\n`).join(''));
    const { release, output, isHealthy } = await held();
    rmSync(spool, { recursive: true });
    release();
    await until(() => output.count === 1000, 'all lines');
    await until(() => !isHealthy(), 'degraded');
    expect(existsSync(spool)).toBe(false);
  });
});

describe('the start', () => {
  it('fails, to be tried again, without the directory', async () => {
    const missing = path.join(folder, 'missing');
    const { source } = make({ spoolDir: missing });
    await expect(source.start()).rejects.toMatchObject({ retriable: true, message: `spoolDir ${missing} does not exist` });
    mkdirSync(missing);
    await source.start();
    writeFileSync(path.join(folder, 'file'), '');
    await expect(make({ spoolDir: path.join(folder, 'file') }).source.start()).rejects.toThrow('is not a directory');
  });

  it('says at once that a deserializer or its properties are wrong', async () => {
    await expect(make({ deserializer: 'NONE' }).source.start()).rejects.toBeInstanceOf(ConfigError);
    await expect(make({ 'deserializer.maxLineLength': 'x' }).source.start()).rejects.toBeInstanceOf(ConfigError);
    await make({ deserializer: 'AVRO' }).source.start();
  });

  it('shows files that an earlier run put aside', async () => {
    mkdirSync(path.join(spool, '.aside'));
    writeFileSync(path.join(spool, '.aside/old'), '');
    const { isHealthy } = await started();
    expect(isHealthy()).toBe(false);
  });

  it('refuses patterns and character sets that do not exist', async () => {
    expect(() => make({ includePattern: '(' })).toThrow(ConfigError);
    await expect(make({ inputCharset: 'KLINGON' }).source.start()).rejects.toThrow('there is no character set "KLINGON"');
    expect(() => make({ deletePolicy: 'sometimes' })).toThrow('must be one of never, immediate');
  });

  it('may be stopped twice, without a start, and started again', async () => {
    const { source, output } = make();
    await source.stop();
    await source.start();
    await source.stop();
    await source.stop();
    drop('a', '1\n');
    await source.start();
    await until(() => output.count === 1, 'the event');
  });
});
