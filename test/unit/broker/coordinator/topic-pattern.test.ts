/** Regular expressions over topic names: the syntax of RE2/J, in linear time. */
import { describe, expect, it } from 'vitest';
import { TopicPattern } from '../../../../src/broker/coordinator/topic-pattern.ts';

const NAMES = [
  '',
  'a',
  'b',
  'A',
  'ab',
  'abc',
  'aab',
  'aaa',
  'foo-1',
  'foo-12',
  'FOO',
  'x.y',
  'x_y',
  '-',
  'foo.bar',
  '__consumer_offsets',
  '9',
  'z'.repeat(249),
];

/** Patterns that JavaScript reads the same way. */
const SHARED = [
  'a',
  'a|b',
  'a*',
  'a+b?c?',
  '(?:a|b)+',
  '(a|ab)(c|bcd)?',
  'foo-\\d+',
  'foo-\\d{1}',
  'fo{2}-\\d{1,2}',
  'a{2,}',
  'a{0}',
  '[a-c]+',
  '[^a-c]+',
  '[]a]+'.replace(']a', '\\]a'),
  '[a-]+',
  '[-a]+',
  '.*',
  '.+\\..+',
  '\\w+',
  '\\W',
  '[\\w.]+',
  '[^\\d]+',
  '^foo.*$',
  'foo$.*',
  '.*\\bbar',
  'foo\\B.*',
  '(a*)*',
  '(a|b|)*c?',
  '((a+)+)+',
  'a*?b',
  '|a',
  '()',
  'x[._]y',
  '\\x61b',
  'a{,2}',
  '(?<name>a)b',
];

describe('a pattern', () => {
  it.each(SHARED)('%s matches whole names as JavaScript says', (source) => {
    const pattern = new TopicPattern(source);
    const oracle = new RegExp(`^(?:${source})$`);
    for (const name of NAMES) expect(pattern.matches(name), name).toBe(oracle.test(name));
  });

  it.each([
    ['(?i)foo', ['FOO', 'foo'], ['fo']],
    ['(?i:f)oo', ['Foo', 'foo'], ['FOO']],
    ['f(?i)oo|x', ['fOO', 'X'], ['FOO']],
    ['(?i)a(?-i)b', ['Ab', 'ab'], ['aB']],
    ['(?P<n>a)b', ['ab'], ['a']],
    ['\\Qx.y\\E+', ['x.y', 'x.yy'], ['x-y']],
    ['\\Qa.b', ['a.b'], ['aab']],
    ['[[:alpha:]_]+', ['a_B'], ['a1']],
    ['[[:^digit:]]+', ['a-b'], ['a1']],
    ['\\pL\\p{Nd}', ['a1'], ['11', 'aa']],
    ['\\p{Latin}+', ['ab'], ['1']],
    ['\\PL+', ['12'], ['a']],
    ['\\p{^Lu}+', ['a1'], ['A']],
    ['[]a]+', [']a'], ['b']],
    ['\\Aab\\z', ['ab'], ['abc']],
    ['\\x{61}\\141', ['aa'], ['ab']],
    ['\\.\\-\\_', ['.-_'], ['a-_']],
    ['é|a', ['a'], ['e']],
    ['(?s).', ['a'], ['ab']],
    ['(?U)a+', ['aa'], ['']],
  ] as const)('%s', (source, good, bad) => {
    const pattern = new TopicPattern(source);
    for (const name of good) expect(pattern.matches(name), name).toBe(true);
    for (const name of bad) expect(pattern.matches(name), name).toBe(false);
  });

  it.each([
    ['a(', 'missing closing )'],
    ['a)', 'unexpected )'],
    ['[a', 'missing closing ]'],
    ['[', 'missing closing ]'],
    ['[z-a]', 'invalid character class range'],
    ['[[:nope:]]', 'invalid character class range'],
    ['\\p{Nope}', 'invalid character class range'],
    ['*a', 'missing argument to repetition operator'],
    ['(?i)*', 'missing argument to repetition operator'],
    ['a**', 'invalid nested repetition operator'],
    ['a{1001}', 'invalid repeat count'],
    ['a{3,2}', 'invalid repeat count'],
    ['\\', 'trailing backslash at end of expression'],
    ['\\1', 'invalid escape sequence'],
    ['\\C', 'invalid escape sequence'],
    ['(?=a)', 'invalid or unsupported Perl syntax'],
    ['(?<!a)b', 'invalid or unsupported Perl syntax'],
    ['(?>a)', 'invalid or unsupported Perl syntax'],
    ['((a{1000}){1000}){1000}', 'expression is too large'],
    ['('.repeat(5000), 'expression nests too deeply'],
  ])('refuses %s', (source, text) => {
    expect(() => new TopicPattern(source)).toThrow(text);
  });

  it('refuses those of which a name would be compared with thousands of places at once', () => {
    for (const source of ['((.?){39}){100}', '.?'.repeat(2000)]) expect(() => new TopicPattern(source)).toThrow('expression is too large');
  });

  it('takes long lists of names', () => {
    const names = Array.from({ length: 400 }, (_, i) => `topic-${i}`);
    const pattern = new TopicPattern(names.join('|'));
    expect(names.every((name) => pattern.matches(name))).toBe(true);
    expect(pattern.matches('topic-400')).toBe(false);
  });

  it('takes no longer for the patterns that make others go back and forth for years', () => {
    const name = 'a'.repeat(248);
    for (const source of ['(a+)+b', '(a|a)*b', 'a*a*a*a*a*a*a*a*b', '(a?){200}a{200}b']) expect(new TopicPattern(source).matches(name)).toBe(false);
  });
});
