/**
 * Java's character classes and properties spelled for a JavaScript regular expression with the `v` flag.
 * Source: java.util.regex.Pattern of Java 8/11 (what Flume ran on); without (?U) the POSIX names are ASCII only.
 */

/** Line terminators of `.`, `^`, `$` as members of a class. */
export const LINE_ENDS = '\\n\\r\\u{85}\\u{2028}\\u{2029}';
const HORIZONTAL = '\\u{20}\\t\\u{a0}\\u{1680}\\u{180e}\\u{2000}-\\u{200a}\\u{202f}\\u{205f}\\u{3000}';
const VERTICAL = '\\n\\u{b}\\f\\r\\u{85}\\u{2028}\\u{2029}';
/** What `\b` of Java 8/11 calls a word character: letters and digits of every script. */
export const BOUNDARY_WORD = '[\\p{L}\\p{Nd}_]';

const ASCII_POSIX: Readonly<Record<string, string>> = {
  Lower: 'a-z',
  Upper: 'A-Z',
  ASCII: '\\u{0}-\\u{7f}',
  Alpha: 'a-zA-Z',
  Digit: '0-9',
  Alnum: 'a-zA-Z0-9',
  Punct: '\\u{21}-\\u{2f}\\u{3a}-\\u{40}\\u{5b}-\\u{60}\\u{7b}-\\u{7e}',
  Graph: '\\u{21}-\\u{7e}',
  Print: '\\u{20}-\\u{7e}',
  Blank: '\\u{20}\\t',
  Cntrl: '\\u{0}-\\u{1f}\\u{7f}',
  XDigit: '0-9a-fA-F',
  Space: '\\u{20}\\t-\\r',
};

/** The same names under (?U). */
const UNICODE_POSIX: Readonly<Record<string, string>> = {
  Lower: '\\p{Lowercase}',
  Upper: '\\p{Uppercase}',
  Alpha: '\\p{Alphabetic}',
  Digit: '\\p{Nd}',
  Alnum: '\\p{Alphabetic}\\p{Nd}',
  Punct: '\\p{P}',
  Graph: '[^\\p{White_Space}\\p{Cc}\\p{Cs}\\p{Cn}]',
  Print: '[^\\p{Zl}\\p{Zp}\\p{Cc}\\p{Cs}\\p{Cn}]',
  Blank: '[\\p{White_Space}&&[^\\n\\u{b}\\f\\r\\u{85}\\p{Zl}\\p{Zp}]]',
  Cntrl: '\\p{Cc}',
  XDigit: '\\p{Nd}\\p{Hex_Digit}',
  Space: '\\p{White_Space}',
};

/** java.lang.Character methods and the names after `Is` that ECMAScript spells differently. */
const RENAMED: Readonly<Record<string, string>> = {
  javaLowerCase: '\\p{Lowercase}',
  javaUpperCase: '\\p{Uppercase}',
  javaAlphabetic: '\\p{Alphabetic}',
  javaIdeographic: '\\p{Ideographic}',
  javaTitleCase: '\\p{Lt}',
  javaDigit: '\\p{Nd}',
  javaDefined: '\\P{Cn}',
  javaLetter: '\\p{L}',
  javaLetterOrDigit: '\\p{L}\\p{Nd}',
  javaSpaceChar: '\\p{Z}',
  javaWhitespace: '\\t-\\r\\u{1c}-\\u{1f}[\\p{Z}--[\\u{a0}\\u{2007}\\u{202f}]]',
  javaISOControl: '\\u{0}-\\u{1f}\\u{7f}-\\u{9f}',
  javaMirrored: '\\p{Bidi_Mirrored}',
  L1: '\\u{0}-\\u{ff}',
  all: '\\p{Any}',
  LC: '\\p{LC}',
  LD: '\\p{L}\\p{Nd}',
};

const BINARY: Readonly<Record<string, string>> = {
  alphabetic: '\\p{Alphabetic}',
  ideographic: '\\p{Ideographic}',
  letter: '\\p{L}',
  lowercase: '\\p{Lowercase}',
  uppercase: '\\p{Uppercase}',
  titlecase: '\\p{Lt}',
  punctuation: '\\p{P}',
  control: '\\p{Cc}',
  white_space: '\\p{White_Space}',
  whitespace: '\\p{White_Space}',
  digit: '\\p{Nd}',
  hex_digit: '\\p{Hex_Digit}',
  hexdigit: '\\p{Hex_Digit}',
  join_control: '\\p{Join_Control}',
  noncharacter_code_point: '\\p{Noncharacter_Code_Point}',
  assigned: '\\P{Cn}',
};

/** Blocks, normalized: lower case without blanks, hyphens and underscores. The ones log filters use. */
const BLOCKS: Readonly<Record<string, string>> = {
  basiclatin: '\\u{0}-\\u{7f}',
  latin1supplement: '\\u{80}-\\u{ff}',
  latinextendeda: '\\u{100}-\\u{17f}',
  latinextendedb: '\\u{180}-\\u{24f}',
  greek: '\\u{370}-\\u{3ff}',
  cyrillic: '\\u{400}-\\u{4ff}',
  hebrew: '\\u{590}-\\u{5ff}',
  arabic: '\\u{600}-\\u{6ff}',
  thai: '\\u{e00}-\\u{e7f}',
  hangulsyllables: '\\u{ac00}-\\u{d7af}',
  hiragana: '\\u{3040}-\\u{309f}',
  katakana: '\\u{30a0}-\\u{30ff}',
  cjksymbolsandpunctuation: '\\u{3000}-\\u{303f}',
  cjkunifiedideographs: '\\u{4e00}-\\u{9fff}',
  cjkunifiedideographsextensiona: '\\u{3400}-\\u{4dbf}',
  cjkcompatibilityideographs: '\\u{f900}-\\u{faff}',
  halfwidthandfullwidthforms: '\\u{ff00}-\\u{ffef}',
  generalpunctuation: '\\u{2000}-\\u{206f}',
};

/** `\d \D \h \H \s \S \v \V \w \W` as a class; undefined for other letters. */
export function predefinedClass(letter: string, unicode: boolean): string | undefined {
  const members = predefinedMembers(letter.toLowerCase(), unicode);
  if (members === undefined) return undefined;
  return letter === letter.toLowerCase() ? `[${members}]` : `[^${members}]`;
}

function predefinedMembers(letter: string, unicode: boolean): string | undefined {
  switch (letter) {
    case 'd':
      return unicode ? '\\p{Nd}' : '0-9';
    case 's':
      return unicode ? '\\p{White_Space}' : '\\u{20}\\t-\\r';
    case 'w':
      return unicode ? '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}' : 'a-zA-Z0-9_';
    case 'h':
      return HORIZONTAL;
    case 'v':
      return VERTICAL;
    default:
      return undefined;
  }
}

/** The class of `\p{name}` (or `\P{name}`), or undefined when JavaScript has no such property. */
export function propertyClass(name: string, negated: boolean, unicode: boolean): string | undefined {
  const members = propertyMembers(name, unicode);
  return members === undefined ? undefined : `[${negated ? '^' : ''}${members}]`;
}

function propertyMembers(name: string, unicode: boolean): string | undefined {
  const posix = (unicode ? UNICODE_POSIX[name] : undefined) ?? ASCII_POSIX[name] ?? RENAMED[name];
  if (posix !== undefined) return posix;
  const equals = name.indexOf('=');
  if (equals > 0) {
    const key = name.slice(0, equals).toLowerCase();
    const value = name.slice(equals + 1);
    if (key === 'script' || key === 'sc') return scriptMembers(value);
    if (key === 'general_category' || key === 'gc') return known(`\\p{gc=${value}}`);
    if (key === 'block' || key === 'blk') return BLOCKS[normalized(value)];
    return undefined;
  }
  if (name.startsWith('In')) return BLOCKS[normalized(name.slice(2))];
  const plain = name.startsWith('Is') ? name.slice(2) : name;
  const binary = name.startsWith('Is') ? BINARY[plain.toLowerCase()] : undefined;
  return binary ?? known(`\\p{gc=${plain}}`) ?? (name.startsWith('Is') ? scriptMembers(plain) : undefined);
}

function scriptMembers(name: string): string | undefined {
  const proper = name
    .split('_')
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1).toLowerCase())
    .join('_');
  return known(`\\p{sc=${proper}}`);
}

/** The property expression itself if this JavaScript engine knows it. */
function known(expression: string): string | undefined {
  try {
    new RegExp(expression, 'v');
    return expression;
  } catch {
    return undefined;
  }
}

function normalized(block: string): string {
  return block.toLowerCase().replace(/[\s_-]/g, '');
}
