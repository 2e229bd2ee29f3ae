import { isUtf8 } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { lookupCharset, MalformedInputError } from '../../../src/lib/charset.ts';

function charset(name: string) {
  const found = lookupCharset(name);
  if (found === undefined) throw new Error(`no charset ${name}`);
  return found;
}

const samples: readonly (readonly [string, string])[] = [
  ['UTF-8', 'héllo, 中文 🎉 end\r\n'],
  ['UTF-16BE', 'héllo, 中文 🎉 end\r\n'],
  ['UTF-16LE', 'héllo, 中文 🎉 end\r\n'],
  ['UTF-16', 'héllo, 中文 🎉 end\r\n'],
  ['UTF-32', '中文 🎉 end\n'],
  ['ISO-8859-1', 'naïve café ÿ\n'],
  ['US-ASCII', 'plain\n'],
  ['GBK', '中文日志 2024 用户登录成功，镕\n'],
  ['GB18030', '中文 ㆍ 𠀀 é 🎉 end0\n'],
  ['GB2312', '中文日志\n'],
  ['Big5', '繁體中文 功能\n'],
  ['Shift_JIS', 'ソフト ｶﾀｶﾅ 表示\n'],
  ['EUC-JP', '日本語 ｶﾅ\n'],
  ['EUC-KR', '한국어 로그\n'],
  ['windows-1252', '€ “quoted” ÿ\n'],
  ['windows-1251', 'Привет\n'],
  ['KOI8-R', 'Привет\n'],
  ['ISO-8859-15', '10 €\n'],
];

describe('lookupCharset', () => {
  it('knows Java spellings and aliases in any case, and nothing else', () => {
    for (const [alias, name] of [
      ['utf8', 'UTF-8'],
      ['Latin1', 'ISO-8859-1'],
      ['ISO8859_1', 'ISO-8859-1'],
      ['cp936', 'GBK'],
      ['gbk', 'GBK'],
      ['Cp1252', 'windows-1252'],
      ['MS949', 'EUC-KR'],
      ['sjis', 'Shift_JIS'],
      ['ascii', 'US-ASCII'],
    ] as const) {
      expect(lookupCharset(alias)?.name, alias).toBe(name);
    }
    expect(lookupCharset('UTF-9')).toBeUndefined();
    expect(lookupCharset('constructor')).toBeUndefined();
  });

  it('says what can be cut as bytes', () => {
    expect(charset('GBK')).toMatchObject({ asciiCompatible: true, isSingleByte: false, isUtf8: false, unitBytes: 1 });
    expect(charset('UTF-16')).toMatchObject({ asciiCompatible: false, unitBytes: 2 });
    expect(charset('windows-1252')).toMatchObject({ asciiCompatible: true, isSingleByte: true });
    expect(charset('UTF-8').isUtf8).toBe(true);
  });
});

describe('decoding', () => {
  it.each(samples)('%s returns what was encoded, cut at any byte', (name, text) => {
    const set = charset(name);
    const bytes = set.encode(text);
    expect(set.decode(bytes, 'FAIL')).toBe(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const decoder = set.decoder('FAIL');
      const first = decoder.write(bytes.subarray(0, cut));
      expect(decoder.position + decoder.pending).toBe(cut);
      expect(decoder.pending).toBeLessThan(5);
      expect(first + decoder.write(bytes.subarray(cut)) + decoder.end()).toBe(text);
      expect(decoder.position).toBe(bytes.length);
    }
  });

  it.each(samples)('%s decodes byte by byte', (name, text) => {
    const decoder = charset(name).decoder('FAIL');
    let out = '';
    for (const byte of charset(name).encode(text)) out += decoder.write(Buffer.of(byte));
    expect(out + decoder.end()).toBe(text);
  });

  it('reads every two-byte character of GBK alike through ICU and through the table that encodes', () => {
    const gbk = charset('GBK');
    let different = 0;
    for (let lead = 0xb0; lead <= 0xf7; lead++) {
      for (let trail = 0xa1; trail <= 0xfe; trail++) {
        const bytes = Buffer.of(lead, trail);
        const text = gbk.decode(bytes, 'REPLACE');
        if (!gbk.encode(text).equals(bytes)) different++;
      }
    }
    // D7FA-D7FE are user-defined and have no standing.
    expect(different).toBeLessThanOrEqual(5);
  });

  it('takes the byte order from the mark, also when it comes in two pieces', () => {
    const little = Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from('中a', 'utf16le')]);
    expect(charset('UTF-16').decode(little, 'FAIL')).toBe('中a');
    const decoder = charset('UTF-16').decoder('FAIL');
    expect(decoder.write(little.subarray(0, 1)) + decoder.write(little.subarray(1))).toBe('中a');
    expect(decoder.position).toBe(6);
    const resolved = charset('UTF-16').resolve(little);
    expect([resolved.charset.name, resolved.skip]).toEqual(['UTF-16LE', 2]);
    expect(charset('UTF-16').resolve(Buffer.from('00410042', 'hex'))).toMatchObject({ skip: 0, charset: { name: 'UTF-16BE' } });
  });
});

describe('malformed input', () => {
  const bad: readonly (readonly [string, Buffer, number, string])[] = [
    ['UTF-8', Buffer.from([0x61, 0x62, 0xff, 0x63]), 2, 'ab\ufffdc'],
    ['GBK', Buffer.from([0x61, 0xff, 0x0a, 0x62]), 1, 'a\ufffd\nb'],
    ['GBK', Buffer.from([0x61, 0x81, 0x0a, 0x62]), 1, 'a\ufffd\nb'],
    ['GB18030', Buffer.from([0x61, 0x81, 0x0a, 0x62]), 1, 'a\ufffd\nb'],
    ['Shift_JIS', Buffer.from([0x61, 0x81, 0x0a, 0x62]), 1, 'a\ufffd\nb'],
    ['EUC-KR', Buffer.from([0x61, 0xff, 0x62]), 1, 'a\ufffdb'],
    ['US-ASCII', Buffer.from([0x61, 0xe9, 0x62]), 1, 'a\ufffdb'],
    ['UTF-16BE', Buffer.from('0061dc000062', 'hex'), 2, 'a\ufffdb'],
  ];

  it.each(bad)('%s %o', (name, bytes, position, replaced) => {
    const set = charset(name);
    let error: unknown;
    try {
      set.decoder('FAIL').write(bytes);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(MalformedInputError);
    expect((error as MalformedInputError).position).toBe(position);
    expect(set.decode(bytes, 'REPLACE')).toBe(replaced);
    expect(set.decode(bytes, 'IGNORE')).toBe(replaced.replace('\ufffd', ''));
  });

  it('counts the position over pieces', () => {
    const decoder = charset('UTF-8').decoder('FAIL');
    decoder.write(Buffer.from('中').subarray(0, 2));
    decoder.write(Buffer.concat([Buffer.from('中').subarray(2), Buffer.from('abc')]));
    expect(() => decoder.write(Buffer.from([0x64, 0xc0]))).toThrow('byte 7 is not valid UTF-8');
  });

  it('keeps a U+FFFD that is really there when bad bytes are left out', () => {
    const bytes = Buffer.concat([Buffer.from('a\ufffdb'), Buffer.of(0xff)]);
    expect(charset('UTF-8').decode(bytes, 'IGNORE')).toBe('a\ufffdb');
  });

  it('reports a character cut by the end of the stream', () => {
    const half = Buffer.of(0x61, 0xd6);
    const failing = charset('GBK').decoder('FAIL');
    expect(failing.write(half)).toBe('a');
    expect(() => failing.end()).toThrow(MalformedInputError);
    const replacing = charset('GBK').decoder('REPLACE');
    expect(replacing.write(half) + replacing.end()).toBe('a\ufffd');
    const ignoring = charset('GBK').decoder('IGNORE');
    expect(ignoring.write(half) + ignoring.end()).toBe('a');
  });
});

describe('toUtf8 and encode', () => {
  it('hands back the very bytes when they are UTF-8 already', () => {
    const bytes = Buffer.from('中文');
    expect(charset('UTF-8').toUtf8(bytes, 'FAIL')).toBe(bytes);
    const ascii = Buffer.from('abc');
    expect(charset('GBK').toUtf8(ascii, 'FAIL')).toBe(ascii);
    expect(charset('GBK').toUtf8(charset('GBK').encode('中文'), 'FAIL').toString()).toBe('中文');
  });

  it('makes bad bytes U+FFFD, so the result is always UTF-8', () => {
    expect(isUtf8(charset('UTF-8').toUtf8(Buffer.of(0x61, 0xff), 'REPLACE'))).toBe(true);
  });

  it('writes ? for what a set does not have', () => {
    expect(charset('ISO-8859-1').encode('a中é').toString('latin1')).toBe('a?é');
    expect(charset('US-ASCII').encode('aé').toString('latin1')).toBe('a?');
    expect(charset('GBK').encode('🎉a').toString('latin1')).toMatch(/^\?+a$/);
  });
});
