import { describe, expect, it } from 'vitest';
import { decodeProperties, escapeProperty, lexProperties, readProperties } from '../../../../src/lib/props/lexer.ts';

const pairs = (text: string) => lexProperties(text, 'f').entries.map(({ key, value }) => [key, value]);
const first = (text: string) => pairs(text)[0];

describe('separators', () => {
  it.each([
    ['k=v', ['k', 'v']],
    ['k = v', ['k', 'v']],
    ['k:v', ['k', 'v']],
    ['k : v', ['k', 'v']],
    ['k v', ['k', 'v']],
    ['k\tv', ['k', 'v']],
    ['k\fv', ['k', 'v']],
    ['  \t k=v', ['k', 'v']],
    ['k', ['k', '']],
    ['k=', ['k', '']],
    ['=v', ['', 'v']],
    [':v', ['', 'v']],
    ['k = = v', ['k', '= v']],
    ['k == v', ['k', '= v']],
    ['k =: v', ['k', ': v']],
    ['k v=w', ['k', 'v=w']],
    ['a b c', ['a', 'b c']],
    ['k=v  ', ['k', 'v  ']],
    ['a\\=b=c', ['a=b', 'c']],
    ['a\\:b:c', ['a:b', 'c']],
    ['a\\ b c', ['a b', 'c']],
    ['a\\\\=c', ['a\\', 'c']],
    ['conf/a.conf--name a1', ['conf/a.conf--name', 'a1']],
  ])('%j', (text, expected) => expect(first(text)).toEqual(expected));
});

describe('comments and blank lines', () => {
  it.each([
    ['# c\nk=v', [['k', 'v']]],
    ['! c\nk=v', [['k', 'v']]],
    ['  # c\nk=v', [['k', 'v']]],
    ['# c \\\nk=v', [['k', 'v']]],
    ['k=v # no comment', [['k', 'v # no comment']]],
    [
      'k=v\n\n \t\n\f\nj=w',
      [
        ['k', 'v'],
        ['j', 'w'],
      ],
    ],
    ['', []],
    ['#', []],
    ['\n\n', []],
  ])('%j', (text, expected) => expect(pairs(text)).toEqual(expected));
});

describe('line ends and continuations', () => {
  it.each([
    [
      'a=1\nb=2\r\nc=3\rd=4',
      [
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
        ['d', '4'],
      ],
    ],
    ['a=1\\\n2', [['a', '12']]],
    ['a=1\\\r\n2', [['a', '12']]],
    ['a=1\\\r2', [['a', '12']]],
    ['a=1 \\\n   \t2', [['a', '1 2']]],
    [
      'a=1\\\\\nb=2',
      [
        ['a', '1\\'],
        ['b', '2'],
      ],
    ],
    ['a=1\\\\\\\n2', [['a', '1\\2']]],
    ['a=1\\\n#2', [['a', '1#2']]],
    ['a=1\\\n!2', [['a', '1!2']]],
    ['ke\\\n  y=v', [['key', 'v']]],
    ['a=1\\', [['a', '1']]],
    ['a=1\\\n', [['a', '1']]],
    [
      'a=1\\\n\nb=2',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    ['\\\nb=2', [['b', '2']]],
    ['\\\n#b=2', []],
    ['a\\\n#b=2', [['a#b', '2']]],
    ['\\\n\n# c\nb=2', [['b', '2']]],
    ['a\\\n=b', [['a', 'b']]],
    ['\\', [['', '']]],
    ['\\\n  ', []],
  ])('%j', (text, expected) => expect(pairs(text)).toEqual(expected));
});

describe('escapes', () => {
  it.each([
    ['k=\\t\\n\\r\\f', '\t\n\r\f'],
    ['k=\\u4e2d\\u6587', '中文'],
    ['k=\\u4E2D', '中'],
    ['k=\\d\\s', 'ds'],
    ['k=C:\\new', 'C:\new'],
    ['k=^(.)*\\\\.tmp$', '^(.)*\\.tmp$'],
    ['k=\\ x\\ ', ' x '],
    ['k=\\"q\\"', '"q"'],
    ['k=中文', '中文'],
  ])('%j', (text, value) => expect(first(text)![1]).toBe(value));

  it('names the escapes that mean nothing, and only those', () => {
    const [entry] = lexProperties('k=\\d+\\w \\\\d \\t \\= \\" \\u0041', 'f').entries;
    expect(entry!.lost).toEqual(['\\d', '\\w']);
  });

  it.each(['k=\\u12', 'k=\\u12g4', 'k=\\u', '\\uzzzz=v'])('leaves %j out with an error and reads on', (text) => {
    const { entries, findings } = lexProperties(`a=1\n${text}\nb=2`, 'f');
    expect(entries.map(({ key }) => key)).toEqual(['a', 'b']);
    expect(findings).toMatchObject([{ code: 'malformed-unicode-escape', severity: 'error', where: { file: 'f', line: 2 } }]);
  });
});

describe('places', () => {
  it('counts natural lines, a continued property by its first', () => {
    const { entries } = lexProperties('# c\n\na=1\\\n  2\\\r\n 3\r\nb=2\rc=3', 'x.conf');
    expect(entries.map(({ key, where }) => [key, where.line])).toEqual([
      ['a', 3],
      ['b', 6],
      ['c', 7],
    ]);
    expect(entries[0]!.where.file).toBe('x.conf');
  });

  it('keeps duplicates in order', () => {
    expect(pairs('a=1\na=2')).toEqual([
      ['a', '1'],
      ['a', '2'],
    ]);
  });
});

describe('bytes', () => {
  const gbk = Buffer.concat([Buffer.from('k='), Buffer.from([0xd6, 0xd0, 0xce, 0xc4])]);

  it('reads UTF-8 without a word', () => {
    expect(decodeProperties(Buffer.from('k=中文'), 'f')).toEqual({ text: 'k=中文', encoding: 'utf-8' });
  });

  it('falls back to GBK', () => {
    const { text, encoding, finding } = decodeProperties(gbk, 'f');
    expect([text, encoding]).toEqual(['k=中文', 'gbk']);
    expect(finding).toMatchObject({ code: 'file-encoding', severity: 'info', message: expect.stringContaining('GBK') });
  });

  it.each([
    ['a lone byte before a blank', [0x63, 0x61, 0x66, 0xe9, 0x20]],
    ['a lone byte before a letter', [0x6e, 0xe9, 0x74]],
    ['bytes that are no GBK', [0x81, 0xff, 0x20]],
  ])('falls back to ISO-8859-1 for %s', (_name, bytes) => {
    const { text, encoding, finding } = decodeProperties(Buffer.from(bytes), 'f');
    expect(encoding).toBe('iso-8859-1');
    expect(text).toHaveLength(bytes.length);
    expect(finding?.message).toContain('ISO-8859-1');
  });

  it('skips a byte order mark', () => {
    const { entries, findings } = readProperties(Buffer.from('\ufeffa1.sources=r1'), 'f');
    expect(entries[0]!.key).toBe('a1.sources');
    expect(findings).toMatchObject([{ code: 'byte-order-mark', severity: 'info' }]);
  });

  it('reads UTF-16 by its mark', () => {
    expect(readProperties(Buffer.from('\ufeffk=中', 'utf16le'), 'f').entries).toMatchObject([{ key: 'k', value: '中' }]);
  });
});

describe('escapeProperty', () => {
  it.each(['', ' lead', 'trail ', 'a=b:c#d!e', 'x\ty\nz\\', '中文', '#', '\u0001\u007f'])('%j reads back', (text) => {
    const line = `${escapeProperty(`k${text}`, 'key')}=${escapeProperty(text, 'value')}`;
    expect(pairs(line)).toEqual([[`k${text}`, text]]);
    expect(line).toMatch(/^[\x20-\x7e]*$/);
  });
});
