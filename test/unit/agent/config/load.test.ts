// Definitions and exactly what is said about them: code, severity, line; and what is left of the agent.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is the syntax under test
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../../../src/lib/props/finding.ts';
import { load, SOUND } from './fixture-catalog.ts';

const brief = (findings: readonly Finding[]) => findings.map(({ code, severity, where }) => `${severity} ${code} ${where?.line ?? '-'}`);

/** SOUND with lines added (from line 11 on) and lines replaced by key. */
function sound(added = '', replaced: Record<string, string> = {}): string {
  const lines = SOUND.trimEnd().split('\n');
  const kept = lines.map((line) => {
    const key = line.split(' = ')[0]!;
    return key in replaced ? `${key} = ${replaced[key]}` : line;
  });
  return [...kept, ...(added === '' ? [] : [added])].join('\n');
}

it('has nothing to say about a sound definition', async () => {
  const { findings, model } = await load(SOUND);
  expect(findings).toEqual([]);
  expect(model).toMatchObject({
    name: 'a1',
    sources: [
      {
        name: 'r1',
        type: 'netcat',
        channels: ['c1'],
        config: { bind: '127.0.0.1', port: 4444, 'ack-every-event': true },
        selector: { type: 'replicating' },
        interceptors: [],
      },
    ],
    channels: [{ name: 'c1', config: { capacity: 100 }, facts: { transactionCapacity: 100 } }],
    sinks: [{ name: 'k1', channel: 'c1' }],
    groups: [],
    leftOut: [],
  });
});

describe('one thing wrong', () => {
  it.each<[string, string, string[]]>([
    ['unknown property', sound('a1.channels.c1.capcity = 5'), ['warning unknown-property 11']],
    ['bad number', sound('', { 'a1.sources.r1.port': 'abc' }), ['error bad-value 6', 'warning dangling-channel 8']],
    ['number out of range', sound('', { 'a1.sources.r1.port': '70000' }), ['error bad-value 6', 'warning dangling-channel 8']],
    ['lenient bad number', sound('a1.channels.c1.capacity = many'), ['warning bad-value 11']],
    ['missing required', SOUND.replace('a1.sources.r1.port = 4444\n', ''), ['error missing-property 4', 'warning dangling-channel 7']],
    ['odd boolean', sound('a1.sources.r1.ack-every-event = yes'), ['warning odd-boolean 11']],
    ['unknown source type', sound('', { 'a1.sources.r1.type': 'netcta' }), ['error unknown-type 4', 'warning dangling-channel 8']],
    ['unavailable sink', sound('', { 'a1.sinks.k1.type': 'hdfs' }), ['error unavailable-type 9', 'warning dangling-channel 8']],
    ['no type', SOUND.replace('a1.sinks.k1.type = logger\n', ''), ['error missing-type 9', 'warning dangling-channel 8']],
    ['source without channel', SOUND.replace('a1.sources.r1.channels = c1\n', ''), ['error missing-channel 4', 'warning dangling-channel 7']],
    [
      'source with the key channel',
      SOUND.replace('r1.channels', 'r1.channel'),
      ['warning unknown-property 7', 'error source-channel-key 7', 'warning dangling-channel 8'],
    ],
    ['sink without channel', SOUND.replace('a1.sinks.k1.channel = c1\n', ''), ['error missing-channel 9', 'warning dangling-channel 8']],
    ['sink with channels', SOUND.replace('k1.channel', 'k1.channels'), ['error sink-channels-key 10', 'warning dangling-channel 8']],
    ['sink with both', sound('a1.sinks.k1.channels = c1'), ['warning sink-channels-key 11']],
    ['sink with two channels', sound('', { 'a1.sinks.k1.channel': 'c1 c2' }), ['error several-channels 10', 'warning dangling-channel 8']],
    ['dangling sink', sound('', { 'a1.sinks.k1.channel': 'c9' }), ['error unknown-channel 10', 'warning dangling-channel 8']],
    ['one dangling channel of a source', sound('', { 'a1.sources.r1.channels': 'c1 c9' }), ['warning unknown-channel 7']],
    ['all channels dangling', sound('', { 'a1.sources.r1.channels': 'c9' }), ['error unknown-channel 7', 'warning dangling-channel 8']],
    ['unused channel', sound('a1.channels.c2.type = memory', { 'a1.channels': 'c1 c2' }), ['warning unused-channel 11']],
    ['listed, never written', sound('', { 'a1.channels': 'c1 c2' }), ['error empty-component 2']],
    ['written, not listed', sound('a1.sinks.k2.type = logger'), ['warning unlisted-component 11']],
    ['listed twice', sound('', { 'a1.channels': 'c1 c1' }), ['warning listed-twice 2']],
    [
      'capacity below transactionCapacity',
      sound('a1.channels.c1.transactionCapacity = 500'),
      ['error capacity-below-transaction 11', 'error channel-left-out 7', 'error channel-left-out 10', 'error nothing-runs 1'],
    ],
    [
      'batch above transactionCapacity',
      sound('a1.sinks.k1.batchSize = 200', { 'a1.sinks.k1.type': 'null' }),
      ['error batch-exceeds-transaction 11', 'warning dangling-channel 8'],
    ],
    ['batch equal to transactionCapacity', sound('a1.sinks.k1.batchSize = 100', { 'a1.sinks.k1.type': 'null' }), []],
    ['empty value', sound('a1.sources.r1.max-line-length ='), ['warning empty-value 11']],
    ['key without agent', sound('port = 1'), ['warning malformed-key 11']],
    ['component without key', sound('a1.sources.r1 = netcat'), ['warning malformed-key 11']],
    ['list misspelt', sound('a1.source.r1.port = 1'), ['warning unknown-section 11']],
    [
      'comma in a list',
      sound('', { 'a1.sources.r1.channels': 'c1, c2' }),
      ['warning comma-in-list 7', 'error unknown-channel 7', 'error unknown-channel 7', 'warning dangling-channel 8'],
    ],
    ['duplicate', sound('a1.sources.r1.port = 5555'), ['warning duplicate-property 11']],
    ['duplicate of the same', sound('a1.sources.r1.port = 4444'), ['info duplicate-property 11']],
    ['interceptor not listed', sound('a1.sources.r1.interceptors.i1.type = static'), ['warning unlisted-component 11']],
    [
      'interceptor without type',
      sound('a1.sources.r1.interceptors = i1\na1.sources.r1.interceptors.i1.key = k'),
      ['error missing-type 12', 'warning dangling-channel 8'],
    ],
    [
      'interceptor unknown',
      sound('a1.sources.r1.interceptors = i1\na1.sources.r1.interceptors.i1.type = statik'),
      ['error unknown-type 12', 'warning dangling-channel 8'],
    ],
    ['tilde', sound('a1.sinks.k1.sink.directory = ~/out', { 'a1.sinks.k1.type': 'file_roll' }), ['warning tilde-path 11']],
    [
      'bad pattern',
      sound('a1.sources.r1.interceptors = i1\na1.sources.r1.interceptors.i1.type = regex_filter\na1.sources.r1.interceptors.i1.regex = (a'),
      ['error bad-value 13', 'warning dangling-channel 8'],
    ],
    ['selector unknown', sound('a1.sources.r1.selector.type = multiplex'), ['error unknown-type 11', 'warning dangling-channel 8']],
    [
      'selector names no channel',
      sound('a1.sources.r1.selector.type = multiplexing\na1.sources.r1.selector.mapping.x = c9'),
      ['error bad-selector 12', 'warning dangling-channel 8'],
    ],
    ['selector key misspelt', sound('a1.sources.r1.selector.optionl = c1'), ['warning unknown-property 11']],
    [
      'lost backslash',
      sound('a1.sources.r1.interceptors = i1\na1.sources.r1.interceptors.i1.type = regex_filter\na1.sources.r1.interceptors.i1.regex = \\d+'),
      ['warning lost-backslash 13'],
    ],
  ])('%s', async (_name, text, expected) => {
    const { findings } = await load(text);
    expect(brief(findings).sort()).toEqual([...expected].sort());
    for (const finding of findings) {
      expect(finding.fix, finding.code).toBeTruthy();
      expect(finding.where, finding.code).toBeDefined();
    }
  });
});

describe('what is suggested', () => {
  it.each<[string, string, string]>([
    ['a property', sound('a1.channels.c1.capcity = 5'), 'did you mean "capacity"?'],
    ['a property with other case', sound('a1.sources.r1.Max_Line_Length = 5'), 'did you mean "max-line-length"?'],
    ['a wiring key', sound('a1.sources.r1.interceptor = i1'), 'did you mean "interceptors"?'],
    ['a type', sound('', { 'a1.sources.r1.type': 'netcta' }), 'did you mean netcat?'],
    ['a type by class name', sound('', { 'a1.sources.r1.type': 'org.acme.NetCatSource' }), 'did you mean netcat?'],
    ['the right kind', sound('', { 'a1.sinks.k1.type': 'netcat' }), 'netcat is a source'],
    ['a way out', sound('', { 'a1.sinks.k1.type': 'hbase' }), 'Kafka with an HBase connector'],
    ['a foreign class', sound('', { 'a1.sinks.k1.type': 'org.apache.flume.plugins.KafkaSink' }), 'kafka.bootstrap.servers'],
    ['a channel', sound('', { 'a1.sinks.k1.channel': 'cl' }), 'did you mean c1?'],
    ['a list', sound('a1.source.r1.port = 1'), 'did you mean a1.sources.r1.port?'],
    ['the component meant', sound('', { 'a1.channels': 'ch1' }), 'did you mean c1, whose properties are written?'],
    ['blanks for commas', sound('', { 'a1.sources.r1.channels': 'c1, c2' }), 'write a1.sources.r1.channels = c1 c2'],
    [
      'both ways to fit a batch',
      sound('a1.sinks.k1.batchSize = 200', { 'a1.sinks.k1.type': 'null' }),
      'set a1.channels.c1.transactionCapacity to 200 or more and a1.channels.c1.capacity to 200 or more, or a1.sinks.k1.batchSize to 100 or less',
    ],
    [
      'a doubled backslash',
      sound('a1.sources.r1.interceptors = i1\na1.sources.r1.interceptors.i1.type = regex_filter\na1.sources.r1.interceptors.i1.regex = \\d+'),
      'write \\\\d',
    ],
    [
      'the prefix of client properties',
      sound('a1.sinks.k1.kafka.produser.acks = 1\na1.sinks.k1.brokerList = b:1', { 'a1.sinks.k1.type': 'kafka' }),
      'did you mean "kafka.producer.acks"?',
    ],
  ])('%s', async (_name, text, expected) => {
    const { findings } = await load(text);
    expect(findings.map((finding) => finding.fix).join('\n')).toContain(expected);
  });
});

it('names the new spelling of a retired key and uses its value', async () => {
  const { findings, model } = await load(
    sound('a1.sinks.k1.brokerList = b:1\na1.sinks.k1.topic = t', { 'a1.sinks.k1.type': 'org.apache.flume.sink.kafka.KafkaSink' }),
  );
  expect(brief(findings)).toEqual(['warning retired-property 11', 'warning retired-property 12']);
  expect(findings[1]).toMatchObject({ component: 'sink k1 (kafka)', fix: expect.stringContaining('kafka.topic') });
  expect(model?.sinks[0]?.config).toMatchObject({ 'kafka.bootstrap.servers': 'b:1', 'kafka.topic': 't' });
});

it('leaves out what is broken and says so, and keeps complete paths', async () => {
  const text = `${sound('', { 'a1.sinks': 'k1 k2' })}\na1.sinks.k2.type = hbase\na1.sinks.k2.channel = c1`;
  const { model } = await load(text);
  expect(model?.sinks.map((sink) => sink.name)).toEqual(['k1']);
  expect(model?.leftOut).toMatchObject([{ kind: 'sink', name: 'k2', findings: [{ code: 'unavailable-type' }] }]);
});

it('has no model when nothing can run', async () => {
  expect((await load('a1.sources = r1\na1.sources.r1.type = netcat')).model).toBeNull();
});

it('reads the properties of serializers by their own declaration', async () => {
  const base = { 'a1.sinks.k1.type': 'file_roll' };
  const dir = 'a1.sinks.k1.sink.directory = /tmp/x\n';
  expect((await load(sound(`${dir}a1.sinks.k1.sink.serializer = text\na1.sinks.k1.sink.serializer.appendNewline = false`, base))).findings).toEqual([]);
  expect(brief((await load(sound(`${dir}a1.sinks.k1.sink.serializer.appendNewLines = false`, base))).findings)).toEqual(['warning unknown-property 12']);
  expect(brief((await load(sound(`${dir}a1.sinks.k1.sink.serializer = txt`, base))).findings).sort()).toEqual([
    'error unknown-type 12',
    'warning dangling-channel 8',
  ]);
});

it('knows character sets', async () => {
  const lines = 'a1.sources.r1.spoolDir = /tmp/in\na1.sources.r1.inputCharset = ';
  const text = (name: string) => sound(lines + name, { 'a1.sources.r1.type': 'spooldir' }).replace(/a1.sources.r1.(bind|port).*\n/g, '');
  expect((await load(text('GBK'))).findings).toEqual([]);
  expect(brief((await load(text('KLINGON'))).findings)).toContain('error bad-value 10');
});

describe('ports and directories', () => {
  const second = (bind: string, port: number) =>
    `${sound('', { 'a1.sources': 'r1 r2' })}\na1.sources.r2.type = netcat\na1.sources.r2.bind = ${bind}\na1.sources.r2.port = ${port}\na1.sources.r2.channels = c1`;

  it.each<[string, number, number]>([
    ['127.0.0.1', 4444, 1],
    ['localhost', 4444, 1],
    ['0.0.0.0', 4444, 1],
    ['10.0.0.1', 4444, 0],
    ['127.0.0.1', 4445, 0],
  ])('another source on %s:%i', async (bind, port, conflicts) => {
    const { findings, model } = await load(second(bind, port));
    expect(findings.filter((finding) => finding.code === 'port-conflict')).toHaveLength(conflicts);
    expect(model?.sources).toHaveLength(2 - conflicts);
  });

  it('two file channels on the default directories', async () => {
    const text = `${sound('', { 'a1.channels': 'c1 c2', 'a1.channels.c1.type': 'file', 'a1.sources.r1.channels': 'c1 c2' })}\na1.channels.c2.type = file`;
    const { findings, model } = await load(text);
    expect(brief(findings)).toEqual(['error directory-conflict 11', 'warning channel-left-out 7']);
    expect(findings[0]?.fix).toContain('both use the default');
    expect(model?.channels.map((channel) => channel.name)).toEqual(['c1']);
    expect(model?.sources[0]?.channels).toEqual(['c1']);
  });

  it('in different agents it is only worth knowing', async () => {
    const { findings, models } = await load(SOUND + SOUND.replaceAll('a1.', 'a2.'));
    expect(brief(findings)).toEqual(['info port-conflict 14']);
    expect(findings[0]?.component).toBe('a2 source r1 (netcat)');
    expect([...models.values()].every((model) => model?.sources.length === 1)).toBe(true);
  });
});

describe('sink groups', () => {
  const group = (added: string, sinks = 'k1 k2') =>
    `${sound('', { 'a1.sinks': 'k1 k2' })}\na1.sinks.k2.type = logger\na1.sinks.k2.channel = c1\na1.sinkgroups = g1\na1.sinkgroups.g1.sinks = ${sinks}\n${added}`;
  const processor = (text: string) =>
    text
      .split('\n')
      .map((line) => `a1.sinkgroups.g1.processor.${line}`)
      .join('\n');

  it.each<[string, string, string[], number, number]>([
    ['failover', group(processor('type = failover\npriority.k1 = 5\npriority.k2 = 10')), [], 1, 2],
    ['load_balance', group(processor('type = load_balance\nselector = random')), [], 1, 2],
    ['default with one', group(processor('type = default'), 'k1'), [], 1, 2],
    [
      'default with two',
      group(processor('type = default')),
      ['error group-size 15', 'error group-left-out 9', 'error group-left-out 11', 'warning dangling-channel 8'],
      0,
      0,
    ],
    ['no processor, one sink', group('', 'k1'), ['warning missing-processor-type 14'], 1, 2],
    [
      'no processor, two sinks',
      group(''),
      ['error missing-processor-type 14', 'error group-left-out 9', 'error group-left-out 11', 'warning dangling-channel 8'],
      0,
      0,
    ],
    ['load_balance with one', group(processor('type = load_balance'), 'k1'), ['error group-size 15', 'error group-left-out 9'], 0, 1],
    ['unknown member', group(processor('type = failover'), 'k1 k2 k9'), ['warning unknown-sink 14'], 1, 2],
    [
      'only unknown members',
      group(processor('type = failover'), 'k8 k9'),
      ['warning unknown-sink 14', 'warning unknown-sink 14', 'error empty-group 14'],
      0,
      2,
    ],
    [
      'no sinks key',
      group('').replace('a1.sinkgroups.g1.sinks = k1 k2\n', 'a1.sinkgroups.g1.processor.type = failover'),
      ['error group-without-sinks 14'],
      0,
      2,
    ],
    [
      'unknown processor',
      group(processor('type = failsafe')),
      ['error unknown-type 15', 'error group-left-out 9', 'error group-left-out 11', 'warning dangling-channel 8'],
      0,
      0,
    ],
    ['priority of nobody', group(processor('type = failover\npriority.k3 = 5')), ['warning unknown-sink 16'], 1, 2],
    ['priority that is no number', group(processor('type = failover\npriority.k1 = high')), ['warning bad-value 16'], 1, 2],
    ['key of the group', group(`${processor('type = failover')}\na1.sinkgroups.g1.sink = k1`), ['warning unknown-property 16'], 1, 2],
    [
      'in two groups',
      group(`${processor('type = failover')}\na1.sinkgroups.g2.sinks = k1\na1.sinkgroups.g2.processor.type = default`).replace('= g1', '= g1 g2'),
      ['warning sink-in-two-groups 16', 'error empty-group 16'],
      1,
      2,
    ],
  ])('%s', async (_name, text, expected, groups, sinks) => {
    const { findings, models } = await load(text);
    const model = models.get('a1');
    expect(brief(findings).sort()).toEqual([...expected].sort());
    expect(model?.groups ?? []).toHaveLength(groups);
    expect(model?.sinks ?? []).toHaveLength(sinks);
  });
});

describe('config filters', () => {
  it('replace in any value, quoted or not', async () => {
    for (const use of ["${f1['MY_PORT']}", '${f1["MY_PORT"]}', '${f1[MY_PORT]}']) {
      const { findings, model } = await load(`${sound('', { 'a1.sources.r1.port': use })}\na1.configfilters = f1\na1.configfilters.f1.type = env`);
      expect(findings).toEqual([]);
      expect(model?.sources[0]?.config.port).toBe(4444);
    }
  });

  it('take what a filter says literally', async () => {
    const { model } = await load(`${sound('', { 'a1.sources.r1.bind': 'x${f1[EVIL]}y' })}\na1.configfilters = f1\na1.configfilters.f1.type = env`);
    expect(model?.sources[0]?.config.bind).toBe('x$&y');
  });

  it.each<[string, string, string[]]>([
    [
      'unknown key',
      "a1.configfilters = f1\na1.configfilters.f1.type = env\na1.sources.r1.max-line-length = 5${f1['NO']}",
      ['warning config-filter-no-value 13', 'error bad-value 13', 'warning dangling-channel 8'],
    ],
    [
      'failing filter',
      "a1.configfilters = f1\na1.configfilters.f1.type = broken\na1.sources.r1.max-line-length = 5${f1['NO']}",
      ['warning config-filter-failed 13', 'error bad-value 13', 'warning dangling-channel 8'],
    ],
    ['no such filter', "a1.sources.r1.max-line-length = 5${f1['NO']}", ['warning unresolved-variable 11', 'error bad-value 11', 'warning dangling-channel 8']],
    ['unknown filter type', 'a1.configfilters = f1\na1.configfilters.f1.type = vault', ['error unknown-type 12']],
  ])('%s', async (_name, added, expected) => {
    expect(brief((await load(sound(added))).findings).sort()).toEqual([...expected].sort());
  });
});

describe('several files', () => {
  it('merges key by key, later ones win', async () => {
    const { loadAgent } = await import('../../../../src/agent/config/load.ts');
    const { fixtures } = await import('./fixture-catalog.ts');
    const files = [
      { file: 'one.conf', bytes: Buffer.from(SOUND) },
      { file: 'two.conf', bytes: Buffer.from('a1.sources.r1.port = 5555') },
    ];
    const { model, findings, agents } = await loadAgent({ files, catalog: fixtures, env: {}, name: 'a1' });
    expect([findings, agents, model?.sources[0]?.config.port]).toEqual([[], ['a1'], 5555]);
  });

  it('lists the agents there are when the name is wrong', async () => {
    const { loadAgent } = await import('../../../../src/agent/config/load.ts');
    const { fixtures } = await import('./fixture-catalog.ts');
    const files = [{ file: 'one.conf', bytes: Buffer.from(SOUND) }];
    const { model, findings } = await loadAgent({ files, catalog: fixtures, env: {}, name: 'a2' });
    expect(model).toBeNull();
    expect(findings).toMatchObject([
      { code: 'unknown-agent', severity: 'error', message: expect.stringContaining('agents here: a1'), fix: 'did you mean --name a1?' },
    ]);
  });

  it('says which file cannot be read', async () => {
    const { loadAgent } = await import('../../../../src/agent/config/load.ts');
    const { fixtures } = await import('./fixture-catalog.ts');
    const { findings } = await loadAgent({ files: ['no/such.conf'], catalog: fixtures, env: {}, name: 'a1' });
    expect(findings).toMatchObject([
      { code: 'unreadable-file', message: 'the file cannot be read: there is no such file', where: { file: 'no/such.conf', line: 1 } },
    ]);
  });
});

it('judges every agent of a file', async () => {
  const { findings } = await load(`${SOUND}a2.sources = r1\n`);
  expect(findings.map((finding) => finding.component)).toContain('agent a2');
});

it('tells each agent of a file only what is wrong with its own lines', async () => {
  const { loadAgent } = await import('../../../../src/agent/config/load.ts');
  const { fixtures } = await import('./fixture-catalog.ts');
  const other = SOUND.replaceAll('a1.', 'b2.').replace('= 4444', '= ${B2_PORT}');
  const files = [{ file: 'both.conf', bytes: Buffer.from(`${SOUND}${other}b2.source.r1.type = x\n`) }];
  const about = async (name: string) => (await loadAgent({ files, catalog: fixtures, env: {}, name })).findings.map(({ code }) => code);
  expect(await about('a1')).toEqual([]);
  expect(await about('b2')).toEqual(expect.arrayContaining(['unresolved-variable', 'bad-value', 'unknown-section']));
});

it('never shows a secret', async () => {
  const { findings } = await load(
    sound('a1.sinks.k1.brokerList = b:1\na1.sinks.k1.password = hunter2\na1.sinks.k1.passwort = hunter2', { 'a1.sinks.k1.type': 'kafka' }),
  );
  expect(JSON.stringify(findings)).not.toContain('hunter2');
});

it('a file without any agent', async () => {
  expect((await load('# nothing here')).findings).toMatchObject([{ code: 'no-agent', severity: 'error', where: { file: 'test.conf', line: 1 } }]);
});
