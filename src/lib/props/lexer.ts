/**
 * Java's .properties grammar (java.util.Properties.load, JDK 9+), with the place of every key. Exact on purpose: users'
 * files rely on escapes, continuations and separators that simpler readers get wrong. Keys and values come out as Java
 * would give them, not trimmed (Flume trims later).
 *
 * Where we go further: the bytes are read as UTF-8 (Flume 1.10+ reads ISO-8859-1, so Chinese needs escapes there), a
 * malformed \u leaves out one property with a finding instead of ending the load, and a backslash that vanishes is noted.
 */
import type { Finding, Where } from './finding.ts';

/** One property as written. */
export interface PropertyEntry {
  readonly key: string;
  readonly value: string;
  /** The line its key starts on. */
  readonly where: Where;
  /** Escapes that mean nothing, so that only their letter is left, as written (`\d`); empty as a rule. */
  readonly lost: readonly string[];
}

export interface LexedFile {
  /** In the order written, duplicates included. */
  readonly entries: readonly PropertyEntry[];
  readonly findings: readonly Finding[];
}

/** How the bytes of a file were read. */
export type PropertiesEncoding = 'utf-8' | 'gbk' | 'iso-8859-1' | 'utf-16le' | 'utf-16be';

/** Decodes and reads a whole file. */
export function readProperties(bytes: Uint8Array, file: string): LexedFile {
  const { text, finding } = decodeProperties(bytes, file);
  const lexed = lexProperties(text, file);
  return finding === undefined ? lexed : { entries: lexed.entries, findings: [finding, ...lexed.findings] };
}

/**
 * Bytes to text: UTF-8; else GBK when the bytes are valid GBK with at least one pair of high bytes (as all Chinese text
 * has); else ISO-8859-1, in which every byte means something. What was not plain UTF-8 is named in a finding.
 */
export function decodeProperties(bytes: Uint8Array, file: string): { text: string; encoding: PropertiesEncoding; finding?: Finding } {
  const mark = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined;
  if (mark !== undefined) {
    const text = new TextDecoder(mark).decode(bytes);
    return { text, encoding: mark, finding: encodingFinding(file, mark, 'save it as UTF-8; Flume could not read it at all') };
  }
  const utf8 = decodeStrictly('utf-8', bytes);
  if (utf8 !== undefined) {
    if (bytes[0] !== 0xef || bytes[1] !== 0xbb || bytes[2] !== 0xbf) return { text: utf8, encoding: 'utf-8' };
    const finding: Finding = {
      code: 'byte-order-mark',
      severity: 'info',
      message: 'the file starts with a byte order mark, which is skipped',
      fix: 'save it without; Flume takes the mark for a part of the first key',
      where: { file, line: 1 },
    };
    return { text: utf8, encoding: 'utf-8', finding };
  }
  const gbk = hasHighPair(bytes) ? decodeStrictly('gbk', bytes) : undefined;
  if (gbk !== undefined) return { text: gbk, encoding: 'gbk', finding: encodingFinding(file, 'GBK', 'save it as UTF-8') };
  return { text: Buffer.from(bytes).toString('latin1'), encoding: 'iso-8859-1', finding: encodingFinding(file, 'ISO-8859-1', 'save it as UTF-8') };
}

function encodingFinding(file: string, name: string, fix: string): Finding {
  return { code: 'file-encoding', severity: 'info', message: `the file is not UTF-8 and was read as ${name}`, fix, where: { file, line: 1 } };
}

function decodeStrictly(encoding: string, bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function hasHighPair(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i]! >= 0x80) {
      if (i + 1 < bytes.length && bytes[i + 1]! >= 0x80) return true;
      i++;
    }
  }
  return false;
}

/** Reads properties from text. Never throws; `file` only names the place. */
export function lexProperties(text: string, file: string): LexedFile {
  const entries: PropertyEntry[] = [];
  const findings: Finding[] = [];
  for (const { line, logical } of logicalLines(text)) {
    const where = { file, line };
    const { keyEnd, valueStart } = splitAt(logical);
    const lost: string[] = [];
    const key = unescaped(logical.slice(0, keyEnd), lost);
    const value = unescaped(logical.slice(valueStart), lost);
    if (key === undefined || value === undefined) {
      findings.push({
        code: 'malformed-unicode-escape',
        severity: 'error',
        message: 'a \\u is not followed by four hexadecimal digits; the property is left out',
        fix: 'write \\\\u for a backslash and a u (Flume refuses the whole file)',
        where,
      });
    } else {
      entries.push({ key, value, where, lost });
    }
  }
  return { entries, findings };
}

interface LogicalLine {
  /** Number of its first natural line. */
  readonly line: number;
  /** Without leading blanks and line ends; continuations joined. Escapes untouched. */
  readonly logical: string;
}

/**
 * Joins natural lines. A comment never continues, and a continued line is data even when it starts with `#`, unless
 * nothing was collected before it. A backslash before the end of the file is dropped.
 */
function* logicalLines(text: string): Generator<LogicalLine> {
  let joined = '';
  let firstLine = 0;
  let continued = false;
  for (const { start, end, line } of naturalLines(text)) {
    let from = start;
    while (from < end && isBlank(text.charCodeAt(from))) from++;
    if (joined === '') {
      const comment = text[from] === '#' || text[from] === '!';
      if (from === end || comment) {
        continued = false;
        continue;
      }
      firstLine = line;
    }
    const more = endsInOddBackslashes(text, from, end);
    joined += text.slice(from, more ? end - 1 : end);
    continued = more;
    if (more) continue;
    if (joined !== '') yield { line: firstLine, logical: joined };
    joined = '';
  }
  // Java takes a lone backslash before the end of the file for a property with an empty key, unless CR LF follows it.
  if (joined !== '' || (continued && !text.endsWith('\r\n'))) yield { line: firstLine, logical: joined };
}

function* naturalLines(text: string): Generator<{ start: number; end: number; line: number }> {
  let start = 0;
  let line = 1;
  while (start < text.length) {
    let end = start;
    while (end < text.length && text[end] !== '\n' && text[end] !== '\r') end++;
    yield { start, end, line };
    line++;
    start = text[end] === '\r' && text[end + 1] === '\n' ? end + 2 : end + 1;
  }
}

function endsInOddBackslashes(text: string, from: number, end: number): boolean {
  let count = 0;
  while (end - 1 - count >= from && text[end - 1 - count] === '\\') count++;
  return count % 2 === 1;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0c;
}

/** The key ends at the first unescaped `=`, `:` or blank; blanks around one optional separator belong to neither. */
function splitAt(logical: string): { keyEnd: number; valueStart: number } {
  let keyEnd = 0;
  while (keyEnd < logical.length) {
    const char = logical[keyEnd]!;
    if (char === '=' || char === ':' || isBlank(logical.charCodeAt(keyEnd))) break;
    keyEnd += char === '\\' ? 2 : 1;
  }
  keyEnd = Math.min(keyEnd, logical.length);
  let valueStart = keyEnd;
  let separated = false;
  while (valueStart < logical.length) {
    const char = logical[valueStart]!;
    if (!isBlank(logical.charCodeAt(valueStart))) {
      if (separated || (char !== '=' && char !== ':')) break;
      separated = true;
    }
    valueStart++;
  }
  return { keyEnd, valueStart };
}

const NAMED: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

/** Undefined = a malformed \u. Escapes without meaning are added to `lost`, quotes excepted: there it hardly matters. */
function unescaped(written: string, lost: string[]): string | undefined {
  if (!written.includes('\\')) return written;
  let out = '';
  for (let i = 0; i < written.length; i++) {
    const char = written[i]!;
    if (char !== '\\') {
      out += char;
      continue;
    }
    const next = written[++i];
    if (next === undefined) return out;
    if (next === 'u') {
      const digits = written.slice(i + 1, i + 5);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) return undefined;
      out += String.fromCharCode(Number.parseInt(digits, 16));
      i += 4;
      continue;
    }
    if (!(next in NAMED) && !'\\=:#! \t\f"\''.includes(next)) lost.push(`\\${next}`);
    out += NAMED[next] ?? next;
  }
  return out;
}

/** Escapes a key or value so that {@link lexProperties} (and Java) read it back as it is. */
export function escapeProperty(text: string, part: 'key' | 'value'): string {
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    const code = text.charCodeAt(i);
    if (char === '\\') out += '\\\\';
    else if (char === '\t') out += '\\t';
    else if (char === '\n') out += '\\n';
    else if (char === '\r') out += '\\r';
    else if (char === '\f') out += '\\f';
    else if (char === ' ') out += part === 'key' || i === 0 ? '\\ ' : ' ';
    else if (part === 'key' && '=:#!'.includes(char)) out += `\\${char}`;
    else if (code < 0x20 || code > 0x7e) out += `\\u${code.toString(16).padStart(4, '0')}`;
    else out += char;
  }
  return out;
}
