import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileOutput } from '../../../src/cli/log-outputs.ts';
import { createLogging, type Logging, parseRootLogger } from '../../../src/cli/logging.ts';
import { ConfigError } from '../../../src/lib/errors.ts';

let dir: string;
let said: string[];
let opened: Logging[];
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'logging-'));
  said = [];
  opened = [];
});
afterEach(() => {
  for (const logging of opened) logging.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

/** A log whose standard output is a file in `dir`. */
function logTo(setting: string | undefined, more: Record<string, string> = {}): { logging: Logging; stdout: () => string } {
  const file = path.join(dir, 'stdout');
  const fd = fs.openSync(file, 'a');
  const systemProperties = setting === undefined ? more : { 'flume.root.logger': setting, ...more };
  const logging = createLogging({ systemProperties, cwd: dir, stderr: { write: (text) => said.push(text) }, stdoutFd: fd });
  opened.push(logging);
  const stdout = (): string => {
    logging.flush();
    return fs.readFileSync(file, 'utf8');
  };
  return { logging, stdout };
}

describe('flume.root.logger', () => {
  it('defaults to INFO,LOGFILE', () => {
    expect(parseRootLogger(undefined)).toEqual({ level: 'info', appenders: ['LOGFILE'], complaints: [] });
  });
  it('takes level and appenders in any case, several of them', () => {
    expect(parseRootLogger('debug, Console ,json')).toEqual({ level: 'debug', appenders: ['console', 'JSON'], complaints: [] });
    expect(parseRootLogger('OFF').level).toBe('silent');
    expect(parseRootLogger('console')).toEqual({ level: 'info', appenders: ['console'], complaints: [] });
  });
  it('complains of bad words and runs on with the defaults', () => {
    const bad = parseRootLogger('LOUD,konsole');
    expect(bad.level).toBe('info');
    expect(bad.appenders).toEqual(['LOGFILE']);
    expect(bad.complaints.join()).toMatch(/no level "LOUD".*no appender "konsole"/);
  });
  it('reads INFO.LOGFILE, as tutorials misspell it', () => {
    expect(parseRootLogger('INFO.LOGFILE')).toMatchObject({ level: 'info', appenders: ['LOGFILE'] });
    expect(parseRootLogger('INFO.LOGFILE').complaints).toHaveLength(1);
  });
});

describe('console lines', () => {
  it('have the shape of Flume', () => {
    const { logging, stdout } = logTo('INFO,console');
    logging.child('SinkRunner-k1', 'sink.logger').info('Event: { headers:{} body: 68 69                                           hi }');
    expect(stdout()).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \(SinkRunner-k1\) \[INFO - sink\.logger\] Event: \{ headers:\{\} body: 68 69 {43}hi \}\n$/);
    expect(said).toEqual([]);
  });
  it('show fields, errors with their remedy, and causes', () => {
    const { logging, stdout } = logTo('INFO,console');
    logging.root.info({ port: 44444, what: { a: 1 } }, 'listening');
    logging.root.error({ err: new ConfigError('no such port', { fix: 'Choose another.', cause: new ConfigError('deeper') }) }, 'cannot start');
    logging.root.error(new Error('surprise'));
    const text = stdout();
    expect(text).toContain('(main) [INFO - millrace] listening port=44444 what={"a":1}\n');
    expect(text).toContain('[ERROR - millrace] cannot start: no such port (Choose another.)\nCaused by: deeper\n');
    expect(text).toMatch(/\[ERROR - millrace\] surprise\nError: surprise\n {4}at /);
  });
  it('keep to the level', () => {
    const { logging, stdout } = logTo('WARN,console');
    logging.root.info('quiet');
    logging.root.warn('loud');
    expect(stdout()).toMatch(/^[^\n]*\[WARN - millrace\] loud\n$/);
  });
});

describe('files', () => {
  it('without a setting go to logs/flume.log, which stderr names once', () => {
    const { logging, stdout } = logTo(undefined);
    logging.child('c1').info('hello');
    expect(stdout()).toBe('');
    const file = path.join(dir, 'logs', 'flume.log');
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(file);
    expect(fs.readFileSync(file, 'utf8')).toMatch(/^\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d,\d{3} INFO {2}\[c1\] \(millrace\) {2}- hello\n$/);
  });
  it('follow flume.log.dir and flume.log.file, and go beside the console', () => {
    const { logging, stdout } = logTo('INFO,LOGFILE,console', { 'flume.log.dir': 'elsewhere', 'flume.log.file': 'a.log' });
    logging.root.info('both');
    expect(stdout()).toContain('both');
    expect(fs.readFileSync(path.join(dir, 'elsewhere', 'a.log'), 'utf8')).toContain('both');
  });
  it('are rolled by size, the oldest dropped', () => {
    const file = path.join(dir, 'r.log');
    const output = new FileOutput(file, { maxBytes: 100, backups: 2 }, (text) => said.push(text));
    for (let i = 0; i < 5; i++) {
      output.write(`${i}`.repeat(79) + '\n');
      output.flush();
    }
    output.close();
    const first = (name: string): string => fs.readFileSync(path.join(dir, name), 'utf8').slice(0, 1);
    expect([first('r.log'), first('r.log.1'), first('r.log.2')]).toEqual(['4', '3', '2']);
    expect(fs.existsSync(path.join(dir, 'r.log.3'))).toBe(false);
    expect(output.lost).toBe(0);
  });
  it('are rolled by hour where that is asked for', () => {
    const file = path.join(dir, 'server.log');
    let now = new Date(2018, 10, 6, 9, 59, 59).getTime();
    const rolling = { maxBytes: 1, backups: 0, every: 'hour' } as const;
    const output = new FileOutput(
      file,
      rolling,
      (text) => said.push(text),
      () => now,
    );
    output.write('old\n');
    output.flush();
    now += 2000;
    output.write('new\n');
    output.close();
    expect([fs.readFileSync(`${file}.2018-11-06-09`, 'utf8'), fs.readFileSync(file, 'utf8'), said]).toEqual(['old\n', 'new\n', []]);
  });
  it('are rolled once where two write them, and no period is lost', () => {
    const file = path.join(dir, 'two.log');
    let now = new Date(2018, 10, 6, 9, 59, 59, 900).getTime();
    const rolling = { maxBytes: 1, backups: 0, every: 'hour' } as const;
    const writers = [0, 1].map(
      () =>
        new FileOutput(
          file,
          rolling,
          (text) => said.push(text),
          () => now,
        ),
    );
    const write = (text: string): void => {
      for (const [i, output] of writers.entries()) {
        output.write(`${text} ${i}\n`);
        output.flush();
        // A file is taken to be of the period in which it was written last.
        fs.utimesSync(file, now / 1000, now / 1000);
      }
    };
    write('old');
    now += 200;
    write('new');
    for (const output of writers) output.close();
    expect([fs.readFileSync(`${file}.2018-11-06-09`, 'utf8'), fs.readFileSync(file, 'utf8'), said]).toEqual(['old 0\nold 1\n', 'new 0\nnew 1\n', []]);
  });
  it('are rolled by day with DAILY', () => {
    const file = path.join(dir, 'd.log');
    let now = new Date(2018, 10, 6, 23, 59).getTime();
    const output = new FileOutput(
      file,
      { maxBytes: 1, backups: 0, every: 'day' },
      (text) => said.push(text),
      () => now,
    );
    output.write('old\n');
    output.flush();
    now += 120_000;
    output.write('new\n');
    output.close();
    expect(fs.readFileSync(`${file}.2018-11-06`, 'utf8')).toBe('old\n');
    expect(fs.readFileSync(file, 'utf8')).toBe('new\n');
  });
  it('are made anew when somebody moves them away', () => {
    const file = path.join(dir, 'm.log');
    let now = 0;
    const output = new FileOutput(
      file,
      { maxBytes: 1e6, backups: 1 },
      (text) => said.push(text),
      () => now,
    );
    output.write('one\n');
    output.flush();
    fs.renameSync(file, `${file}.old`);
    now += 2_000;
    output.write('two\n');
    output.close();
    expect(fs.readFileSync(file, 'utf8')).toBe('two\n');
  });
  it('that cannot be written cost lines, said once, and come back', () => {
    const file = path.join(dir, 'blocked', 'x.log');
    fs.writeFileSync(path.join(dir, 'blocked'), 'a file where the directory should be');
    const output = new FileOutput(file, { maxBytes: 1e6, backups: 1 }, (text) => said.push(text));
    for (let i = 0; i < 3; i++) {
      output.write('lost\n');
      output.flush();
    }
    expect(said).toHaveLength(1);
    expect(output.lost).toBe(3);
    fs.rmSync(path.join(dir, 'blocked'));
    output.write('kept\n');
    output.close();
    expect(fs.readFileSync(file, 'utf8')).toBe('kept\n');
    expect(said[1]).toContain('3 lines are missing');
  });
  it.runIf(fs.existsSync('/dev/full'))('on a full disk cost lines and not the process', () => {
    const fd = fs.openSync('/dev/full', 'w');
    const logging = createLogging({
      systemProperties: { 'flume.root.logger': 'INFO,console' },
      cwd: dir,
      stderr: { write: (t) => said.push(t) },
      stdoutFd: fd,
    });
    opened.push(logging);
    logging.root.info('one');
    logging.flush();
    logging.root.info('two');
    logging.flush();
    expect(said.filter((line) => line.includes('ENOSPC'))).toHaveLength(1);
    expect(logging.lost()).toBe(2);
  });
});

describe('JSON lines', () => {
  it('are pino records with component and fields', () => {
    const { logging, stdout } = logTo('INFO,JSON');
    logging.child('k1', 'sink.null').info({ n: 1 }, 'made "it"\nso');
    expect(JSON.parse(stdout())).toMatchObject({ level: 30, component: 'k1', where: 'sink.null', n: 1, msg: 'made "it"\nso' });
  });
});
