import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import line from '../../../../src/agent/deserializers/line.ts';
import { drain, open, type Reading, texts, warnings } from './reading.ts';

function lines(bytes: Buffer | string, reading: Reading = {}, max = 1000): string[] {
  return texts(drain(open(line, Buffer.from(bytes as string), reading), max).events);
}

describe('lines', () => {
  it('ends lines at \\n only and keeps the carriage return', () => {
    expect(lines('a\r\nb\n\nc\rd\n')).toEqual(['a\r', 'b', '', 'c\rd']);
  });

  it('makes an event of a last line without a newline', () => {
    expect(lines('one\ntwo')).toEqual(['one', 'two']);
    expect(lines('')).toEqual([]);
    expect(lines('\n')).toEqual(['']);
  });

  it('keeps a byte order mark as U+FEFF', () => {
    expect(lines('\ufeffa\n')).toEqual(['\ufeffa']);
  });

  it('has no more events than asked for, and marks where each read ended', () => {
    const { events, marks } = drain(open(line, Buffer.from('aa\nb\nccc\nd')), 1);
    expect(texts(events)).toEqual(['aa', 'b', 'ccc', 'd']);
    expect(marks).toEqual([3, 5, 9, 10]);
  });

  it('reads files larger than a slab, whatever lies at its edge', () => {
    const wanted = Array.from({ length: 40_000 }, (_, i) => `${i} ${'中é😀x'.repeat(i % 5)}`);
    expect(lines(wanted.join('\n'), {}, 777)).toEqual(wanted);
  });

  it('hands out views of UTF-8 files, not copies', () => {
    const [first, second] = drain(open(line, Buffer.from('a\nb\n'))).events;
    expect(first?.body.buffer).toBe(second?.body.buffer);
  });
});

describe('maxLineLength', () => {
  const max = (n: number): Reading => ({ properties: { maxLineLength: String(n) } });

  it('makes the rest of a longer line the next events', () => {
    expect(lines('abcdefgh\nij\n', max(3))).toEqual(['abc', 'def', 'gh', 'ij']);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('Line length exceeds max (3), truncating line!');
  });

  it('follows a line of exactly that length with an empty event, as Flume does', () => {
    expect(lines('abc\nd\n', max(3))).toEqual(['abc', '', 'd']);
    expect(lines('abc', max(3))).toEqual(['abc']);
  });

  it('counts characters, not bytes', () => {
    expect(lines('中文中\n文\n', max(4))).toEqual(['中文中', '文']);
    expect(lines('中文中文中\n', max(2))).toEqual(['中文', '中文', '中']);
  });

  it('does not cut a surrogate pair', () => {
    expect(lines('a😀😀b\n', max(2))).toEqual(['a', '😀', '😀', 'b']);
    expect(lines('😀😀\n', max(1))).toEqual(['😀', '😀', '']);
  });

  it('cuts lines longer than a slab and marks every cut by its byte', () => {
    const text = '中x'.repeat(200_000);
    const bytes = Buffer.from(`${text}\nend\n`);
    const { events, marks } = drain(open(line, bytes, max(1000)), 7);
    expect(texts(events).join('|')).toBe(`${(text.match(/.{1,1000}/gu) as string[]).join('|')}||end`);
    expect(marks.at(-1)).toBe(bytes.length);
    for (const mark of [marks[0], marks[10], marks[30]]) {
      const rest = texts(drain(open(line, bytes, { ...max(1000), position: mark as number })).events);
      expect(rest.join('')).toBe(bytes.toString('utf8', mark).replaceAll('\n', ''));
    }
  });

  it('takes one line of any length when the limit is larger', () => {
    const long = 'x'.repeat(3_000_000);
    expect(lines(`${long}\ny`, max(10_000_000))).toEqual([long, 'y']);
  });
});

describe('character sets', () => {
  const wanted = Array.from({ length: 5_000 }, (_, i) => `第${i}行:你好,世界 ${'汉字abc'.repeat(i % 7)}\r`);
  const text = `${wanted.join('\n')}\n`;

  it.each(['GBK', 'GB18030', 'Big5', 'Shift_JIS', 'UTF-16', 'UTF-16LE', 'UTF-16BE', 'UTF-32'])('reads %s, and goes on from any mark', (name) => {
    const plain = name === 'Big5' || name === 'Shift_JIS' ? text.replace(/[^ -~\r\n]/g, '中') : text;
    const bytes = iconv.encode(plain, name === 'UTF-16' ? 'utf16' : name === 'Big5' ? 'cp950' : name);
    const reading: Reading = { charset: name };
    const all = plain.split('\n').slice(0, -1);
    const { events, marks } = drain(open(line, bytes, reading), 499);
    expect(texts(events)).toEqual(all);
    expect(marks.at(-1)).toBe(bytes.length);
    const rest = texts(drain(open(line, bytes, { ...reading, position: marks[2] as number })).events);
    expect(all.slice(-rest.length)).toEqual(rest);
    expect(all.length - rest.length).toBe(texts(events).length - rest.length);
  });

  it('cuts over-long GBK lines at the right byte', () => {
    const bytes = iconv.encode('汉字a汉字b汉字c\n尾\n', 'gbk');
    const reading: Reading = { charset: 'GBK', properties: { maxLineLength: '4' } };
    const { events, marks } = drain(open(line, bytes, reading), 1);
    expect(texts(events)).toEqual(['汉字a汉', '字b汉字', 'c', '尾']);
    expect(marks).toEqual([7, 14, 16, 19]);
    expect(lines(bytes, { ...reading, position: 7 })).toEqual(['字b汉字', 'c', '尾']);
  });

  it('writes bodies in outputCharset', () => {
    const { events } = drain(open(line, Buffer.from('汉字\n'), { properties: { outputCharset: 'GBK' } }));
    expect(events[0]?.body).toEqual(Buffer.from([0xba, 0xba, 0xd7, 0xd6]));
  });
});

describe('bytes that are not of the character set', () => {
  const bad = Buffer.concat([Buffer.from('good\nb'), Buffer.from([0xff]), Buffer.from('d\nlast\n')]);

  it('FAIL gives the lines before, then says which byte', () => {
    const input = open(line, bad);
    expect(texts(input.read(10))).toEqual(['good']);
    expect(input.mark()).toBe(5);
    expect(() => input.read(10)).toThrow('/spool/f: byte 6 is not valid UTF-8');
    expect(input.mark()).toBe(5);
  });

  it('REPLACE writes U+FFFD, IGNORE nothing', () => {
    expect(lines(bad, { policy: 'REPLACE' })).toEqual(['good', 'b\ufffdd', 'last']);
    expect(lines(bad, { policy: 'IGNORE' })).toEqual(['good', 'bd', 'last']);
  });

  it('a bad lead byte does not swallow the newline behind it (GBK)', () => {
    const bytes = Buffer.from([0x61, 0xd6, 0x0a, 0x62, 0x0a]);
    expect(lines(bytes, { charset: 'GBK', policy: 'REPLACE' })).toEqual(['a\ufffd', 'b']);
    expect(() => lines(bytes, { charset: 'GBK' })).toThrow('byte 1 is not valid GBK');
  });

  it('leaves out a character cut at the end of the file, under every policy, as Flume does', () => {
    const cut = Buffer.concat([Buffer.from('a\nb'), Buffer.from([0xe4, 0xb8])]);
    for (const policy of ['FAIL', 'REPLACE', 'IGNORE'] as const) expect(lines(cut, { policy })).toEqual(['a', 'b']);
    expect(warnings[0]).toContain('ends within a character');
  });

  it('gets through a slab of rubbish', () => {
    const rubbish = Buffer.alloc(700_000, 0xff);
    expect(lines(Buffer.concat([rubbish, Buffer.from('x\ny')]), { policy: 'IGNORE' })).toEqual(['x', 'y']);
  });
});
