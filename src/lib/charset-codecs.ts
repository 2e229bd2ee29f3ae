/**
 * The work of decoding and encoding behind lib/charset.ts. UTF-8, ISO-8859-1, US-ASCII and UTF-16 need nothing but Node;
 * GBK and GB18030 decode through ICU (TextDecoder), three times as fast as iconv-lite; all others and all encoding use
 * iconv-lite, loaded on first need (20 ms), since ICU's tables for them differ between Node versions (windows-1252,
 * Shift_JIS).
 */
import { isAscii } from 'node:buffer';
import { createRequire } from 'node:module';
import { above80, eucJp, four, gb18030, one, type Step, shiftJis, utf8Step, utf16Step } from './charset-steps.ts';

/** How one family of character sets works; `strict` throws anything when the bytes are malformed. */
export interface Codec {
  readonly step: Step;
  /** Every byte below this value is a character by itself wherever it stands: where a walk over characters may begin. */
  readonly anchor: number;
  readonly strict: (bytes: Buffer) => string;
  readonly replace: (bytes: Buffer) => string;
  readonly encode: (text: string) => Buffer;
}

interface Iconv {
  decode(bytes: Buffer, name: string): string;
  encode(text: string, name: string): Buffer;
}
let iconvLite: Iconv | undefined;

function iconv(): Iconv {
  iconvLite ??= createRequire(import.meta.url)('iconv-lite') as Iconv;
  return iconvLite;
}

function icuCodec(label: string, step: Step, anchor: number, encode: (text: string) => Buffer): Codec {
  const strict = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  const lax = new TextDecoder(label, { ignoreBOM: true });
  return { step, anchor, strict: (bytes) => strict.decode(bytes), replace: (bytes) => lax.decode(bytes), encode };
}

/** Thrown by a codec's `strict`; replaced by MalformedInputError once the place is known. */
const malformed = new Error('malformed');

/** ICU reads a lone 0xFF of GBK as this private character; Java and everybody else call it malformed. */
const ICU_GBK_FF = '\uf8f5';

function gbkCodec(): Codec {
  const icu = icuCodec('gbk', above80, 0x40, (text) => iconv().encode(text, 'gbk'));
  const strict = (bytes: Buffer): string => {
    const text = icu.strict(bytes);
    if (text.includes(ICU_GBK_FF)) throw malformed;
    return text;
  };
  return { ...icu, strict, replace: (bytes) => icu.replace(bytes).replaceAll(ICU_GBK_FF, '\ufffd') };
}

/** A character set as iconv-lite has it, under iconv-lite's label. */
export function iconvCodec(label: string, step: Step, anchor: number): Codec {
  const replace = (bytes: Buffer): string => iconv().decode(bytes, label);
  return {
    step,
    anchor,
    replace,
    strict(bytes) {
      const text = replace(bytes);
      // None of these character sets has U+FFFD itself, but for UTF-32, where a real one is not worth telling apart.
      if (text.includes('\ufffd')) throw malformed;
      return text;
    },
    encode: (text) => iconv().encode(text, label),
  };
}

export const codecs: Readonly<Record<string, () => Codec>> = {
  'UTF-8': () => ({ ...icuCodec('utf-8', utf8Step, 0x80, (text) => Buffer.from(text, 'utf8')), replace: (bytes) => bytes.toString('utf8') }),
  'ISO-8859-1': () => {
    const decode = (bytes: Buffer): string => bytes.toString('latin1');
    return { step: one, anchor: 0x100, strict: decode, replace: decode, encode: (text) => Buffer.from(text.replace(/[^\0-\xff]/gu, '?'), 'latin1') };
  },
  'US-ASCII': () => ({
    step: one,
    anchor: 0x100,
    strict(bytes) {
      if (!isAscii(bytes)) throw malformed;
      return bytes.toString('latin1');
    },
    replace: (bytes) => bytes.toString('latin1').replace(/[^\0-\x7f]/g, '\ufffd'),
    encode: (text) => Buffer.from(text.replace(/[^\0-\x7f]/gu, '?'), 'latin1'),
  }),
  'UTF-16BE': () => icuCodec('utf-16be', utf16Step(0), 0, (text) => Buffer.from(text, 'utf16le').swap16()),
  'UTF-16LE': () => icuCodec('utf-16le', utf16Step(1), 0, (text) => Buffer.from(text, 'utf16le')),
  'UTF-32BE': () => iconvCodec('utf-32be', four, 0),
  'UTF-32LE': () => iconvCodec('utf-32le', four, 0),
  GBK: gbkCodec,
  GB18030: () => icuCodec('gb18030', gb18030, 0x30, (text) => iconv().encode(text, 'gb18030')),
  GB2312: () => iconvCodec('gb2312', above80, 0x40),
  Big5: () => iconvCodec('cp950', above80, 0x40),
  'Big5-HKSCS': () => iconvCodec('big5-hkscs', above80, 0x40),
  Shift_JIS: () => iconvCodec('shift_jis', shiftJis, 0x40),
  'EUC-JP': () => iconvCodec('euc-jp', eucJp, 0x80),
  'EUC-KR': () => iconvCodec('euc-kr', above80, 0x40),
};
