import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { agentSettings } from '../../../src/cli/agent-options.ts';
import { launcherFlags, systemPropertiesOf, UsageError } from '../../../src/cli/flags.ts';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-flags-'));
afterAll(() => fs.rmSync(dir, { recursive: true }));
const none = path.join(dir, 'none');

describe('launcherFlags', () => {
  it('takes the launcher’s flags at any position and leaves the rest', () => {
    const flags = launcherFlags([
      '-n',
      'a1',
      '--conf',
      'conf',
      '-Dflume.root.logger=INFO,console',
      '-f',
      'x.conf',
      '-C',
      'a:b',
      '-Dempty',
      '--plugins-path',
      'p:q',
    ]);
    expect(flags).toMatchObject({ confDir: 'conf', classpath: ['a', 'b'], pluginsPath: 'p:q', words: ['-n', 'a1', '-f', 'x.conf'] });
    expect(flags.systemProperties).toEqual({ 'flume.root.logger': 'INFO,console', empty: '' });
  });

  it('drops what is for a Java machine', () => {
    expect(launcherFlags(['-Xmx512m', '-XX:+UseG1GC', '-javaagent:a.jar=x', '-agentlib:jdwp', '-n', 'a1']).words).toEqual(['-n', 'a1']);
  });

  it('cuts options at blanks, as the launcher does, but not paths', () => {
    expect(launcherFlags(['-n a1', '--conf-file', 'my conf/x.conf']).words).toEqual(['-n', 'a1', '--conf-file', 'my conf/x.conf']);
  });

  it('misses an argument with exit code 1', () => {
    for (const flag of ['--conf', '-c', '--classpath', '-C']) {
      expect(() => launcherFlags(['x', flag])).toThrow(/requires an argument/);
      try {
        launcherFlags([flag]);
      } catch (error) {
        expect((error as UsageError).exitCode).toBe(1);
      }
    }
  });

  it('finds system properties in JAVA_OPTS', () => {
    expect(systemPropertiesOf('-Xmx20m -Da=b -Dc="d" -server')).toEqual({ a: 'b', c: 'd' });
    expect(systemPropertiesOf(undefined)).toEqual({});
  });
});

describe('agentSettings', () => {
  const read = (...words: string[]) => agentSettings(words, none);

  it.each([
    [['-n', 'a1', '-f', 'x']],
    [['--name', 'a1', '--conf-file', 'x']],
    [['--name=a1', '--conf-file=x']],
    [['-na1', '-fx']],
    [['-name', 'a1', '-conf-file', 'x']],
    [['--na', 'a1', '--conf-f', 'x']],
  ])('reads %j', (words) => {
    expect(read(...words)).toMatchObject({ name: 'a1', files: ['x'], uris: [], reload: true, strict: false, startupPolicy: 'degraded', stopTimeoutMs: 10_000 });
  });

  it('takes several files, and only the URIs when there are both', () => {
    expect(read('-n', 'a1', '-f', 'x', '-f', 'y')?.files).toEqual(['x', 'y']);
    const both = read('-n', 'a1', '-f', 'x', '-u', 'http://h/c');
    expect([both?.files, both?.uris]).toEqual([[], ['http://h/c']]);
    expect(both?.remarks.join()).toMatch(/only the URIs/);
  });

  it('reads its other options', () => {
    const settings = read(
      '-n',
      'a1',
      '-u',
      'http://h/c',
      '-user',
      'me',
      '-pwd',
      'secret',
      '-i',
      '5',
      '-b',
      'dir',
      '--no-reload-conf',
      '--strict',
      '--stop-timeout',
      '2.5',
    );
    expect(settings).toMatchObject({
      credentials: { user: 'me', password: 'secret' },
      pollMs: 5_000,
      backupDir: 'dir',
      reload: false,
      strict: true,
      stopTimeoutMs: 2_500,
    });
    expect(read('-n', 'a1', '-f', 'x', '--startup-policy', 'RETRY')?.startupPolicy).toBe('retry');
  });

  it('knows a broker with and without a file', () => {
    expect(read('-n', 'a1', '-f', 'x')?.broker).toBeUndefined();
    expect(read('--broker', '-n', 'a1', '-f', 'x')?.broker).toBe('');
    expect(read('-n', 'a1', '-f', 'x', '--broker', 'server.properties')?.broker).toBe('server.properties');
  });

  it('answers null when help is asked for', () => {
    expect(read('--help')).toBeNull();
    expect(read('-n', 'a1', '-h')).toBeNull();
  });

  it.each([
    [['-f', 'x'], /Missing required option: n/],
    [['-n', 'a1'], /No configuration was provided/],
    [['-n'], /Missing argument for option: -n/],
    [['--name', '--conf-file', 'x'], /Missing argument for option: --name/],
    [['-n', 'a1', '--conf', 'x'], /Ambiguous option: '--conf'/],
    [['-n', 'a1', '-f', 'x', '--verify-host'], /Unrecognized option: --verify-host/],
    [['-n', 'a1', '-f', 'x', '--strict=yes'], /takes no value/],
    [['-n', 'a1', '-f', 'x', '--stop-timeout', 'soon'], /number of seconds/],
    [['-n', 'a1', '-f', 'x', '--startup-policy', 'maybe'], /exit, degraded or retry/],
    [['-n', 'a1', '-f', 'x', '-z', 'h:2181'], /ZooKeeper/],
    [['-n', 'a1', '-f', 'x', '-prov', 'com.x.Y'], /Java class/],
    [['--conf-file', 'conf/kafka.conf--name', 'a1'], /blank is missing in "conf\/kafka\.conf--name" before --name/],
    [['—name', 'a1', '-f', 'x'], /long dash/],
    [['–n', 'a1', '-f', 'x'], /long dash/],
    [['-–name', 'a1', '-f', 'x'], /long dash/],
  ])('refuses %j', (words, message) => {
    expect(() => read(...words)).toThrow(UsageError);
    expect(() => read(...words)).toThrow(message);
  });

  it('says what to write instead of a long dash', () => {
    for (const [word, write] of [
      ['–name', 'write --name'],
      ['–n', 'write -n'],
    ] as const) {
      try {
        read(word, 'a1', '-f', 'x');
      } catch (error) {
        expect((error as UsageError).fix).toContain(write);
      }
    }
  });

  it('mentions words that belong to nothing', () => {
    expect(read('-n', 'a1', '-f', 'x', 'stray')?.remarks).toEqual(['"stray" belongs to no option and is ignored']);
  });

  it('takes defaults from flume.opts, the command line before them', () => {
    const file = path.join(dir, 'flume.opts');
    fs.writeFileSync(file, 'conf-file = /etc/a.conf\nname = from-file\nno-reload-conf = true\nunknown = 1\n');
    expect(agentSettings([], file)).toMatchObject({ name: 'from-file', files: ['/etc/a.conf'], reload: false });
    expect(agentSettings(['-n', 'a1'], file)).toMatchObject({ name: 'a1' });
  });
});
