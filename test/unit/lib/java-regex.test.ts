import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/lib/errors.ts';
import { javaRegex, javaReplacement, translateJavaRegex } from '../../../src/lib/java-regex.ts';

/** Pattern, text, [start, group 0, group 1, …] of the first find (null = none, "error" = PatternSyntaxException), matches(); answers of java.util.regex itself. */
type Case = [pattern: string, text: string, found: (number | string | null)[] | null | 'error', whole: boolean];
const cases: Case[] = JSON.parse(readFileSync(new URL('java-regex-cases.json', import.meta.url), 'utf8'));

function find(pattern: string, text: string): unknown {
  try {
    const found = javaRegex(pattern, 'find').exec(text);
    return found === null ? null : [found.index, ...Array.from(found, (group) => group ?? null)];
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return 'error';
  }
}

describe('a translated pattern answers as java.util.regex', () => {
  test.each(cases)('%j on %j', (pattern, text, found, whole) => {
    expect(find(pattern, text)).toEqual(found);
    if (found !== 'error') expect(javaRegex(pattern, 'matches').test(text)).toBe(whole);
  });
});

describe('what cannot be translated', () => {
  test.each([
    ['a\\G', '\\G'],
    ['\\X', '\\X'],
    ['\\p{IsKlingonLetters}', '\\p{IsKlingonLetters}'],
    ['(?<=a*+)b', 'lookbehind'],
    ['(a)(?i)\\1', 'back references'],
  ])('%s is refused by name', (pattern, named) => {
    expect(() => javaRegex(pattern, 'find')).toThrow(ConfigError);
    expect(() => javaRegex(pattern, 'find')).toThrow(named);
  });

  test('a broken pattern says what and where', () => {
    expect(() => javaRegex('ab(c', 'find')).toThrow('the regular expression "ab(c" has an unclosed group at position 2');
  });
});

describe('flags', () => {
  test('Java letters apply to the whole pattern; g makes it a searcher', () => {
    expect('xAByab'.match(javaRegex('ab', 'find', 'ig'))).toEqual(['AB', 'ab']);
  });
});

describe('replacement', () => {
  const replaceAll = (pattern: string, text: string, replacement: string): string => {
    const { groupCount, names } = translateJavaRegex(pattern);
    return text.replace(javaRegex(pattern, 'find', 'g'), javaReplacement(replacement, groupCount, names));
  };
  test.each([
    ['(a)(b)', 'xab', '$2$1', 'xba'],
    ['(a)', 'a', '$10', 'a0'],
    ['(a)', 'aa', '[$0]', '[a][a]'],
    ['a', 'a', '\\$1', '$1'],
    ['a', 'a', '\\\\n', '\\n'],
    ['a', 'a', "\\$&$0'", "$&a'"],
    ['(?<y>\\d+)-(?<m>\\d+)', '2024-05', '${m}/${y}', '05/2024'],
    ['(a)|(b)', 'ab', '<$1,$2>', '<a,><,b>'],
    ['x*', 'abc', '-', '-a-b-c-'],
    ['(a)((?>b+))(c)', 'abbc', '$3$2$1', 'cbba'],
    ['(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)', 'abcdefghijk', '$11$1', 'ka'],
  ])('%s in %s by %s', (pattern, text, replacement, expected) => {
    expect(replaceAll(pattern, text, replacement)).toBe(expected);
  });

  test.each([
    ['$1', 'group 1'],
    ['$', 'no group number'],
    ['$x', 'no group number'],
    ['a\\', 'lone backslash'],
    ['${n}', '"n"'],
  ])('%s is refused', (replacement, named) => {
    expect(() => javaReplacement(replacement, 0)).toThrow(named);
  });
});

test('hidden groups stay hidden in replace, split and matchAll', () => {
  expect('1aab2'.split(javaRegex('a++(b)', 'find'))).toEqual(['1', 'b', '2']);
  expect([...'aab aab'.matchAll(javaRegex('a++(b)', 'find', 'g'))].map((found) => found[1])).toEqual(['b', 'b']);
});

test('an unmatched back reference is the known difference: Java fails, JavaScript takes it as empty', () => {
  expect(find('(a)?b\\1', 'b')).toEqual([0, 'b', null]);
});
