/** The interceptors that read or change bodies. */
import { describe, expect, test } from 'vitest';
import type { InterceptorContext, InterceptorSpec } from '../../../../src/agent/core/define.ts';
import type { Event } from '../../../../src/agent/core/event.ts';
import regexExtractor from '../../../../src/agent/interceptors/regex-extractor.ts';
import regexFilter from '../../../../src/agent/interceptors/regex-filter.ts';
import searchReplace from '../../../../src/agent/interceptors/search-replace.ts';
import { AppError } from '../../../../src/lib/errors.ts';
import { type Parsed, type Properties, parseProperties } from '../../../../src/lib/props/spec.ts';

function parse<P extends Properties>(spec: InterceptorSpec<P>, raw: Record<string, string>): Parsed<P> {
  return parseProperties(spec.properties, Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, { value }])));
}
function apply<P extends Properties>(spec: InterceptorSpec<P>, raw: Record<string, string>, batch: Event[]): Event[] {
  const { config } = parse(spec, raw);
  return spec.create(config as NonNullable<typeof config>, {} as InterceptorContext).apply(batch);
}
function findings<P extends Properties>(spec: InterceptorSpec<P>, raw: Record<string, string>): [string, string | undefined][] {
  const { config } = parse(spec, raw);
  return (spec.check?.(config as NonNullable<typeof config>, {}) ?? []).map((finding) => [finding.severity, finding.key]);
}
const events = (...bodies: (string | Buffer)[]): Event[] => bodies.map((body) => ({ headers: {}, body: Buffer.from(body) }));
const texts = (batch: Event[]): string[] => batch.map((event) => event.body.toString());

describe('regex_filter', () => {
  const input = (): Event[] => events('INFO ok', 'ERROR bad', '错误 ERROR', '');
  test('keeps what matches anywhere', () => {
    expect(texts(apply(regexFilter, { regex: 'ERR' }, input()))).toEqual(['ERROR bad', '错误 ERROR']);
  });
  test('excludeEvents drops it', () => {
    expect(texts(apply(regexFilter, { regex: '^错', excludeEvents: 'true' }, input()))).toEqual(['INFO ok', 'ERROR bad', '']);
  });
  test('the default matches all', () => {
    expect(apply(regexFilter, {}, input())).toHaveLength(4);
    expect(apply(regexFilter, { excludeEvents: 'true' }, input())).toEqual([]);
  });
  test('the batch given stays whole', () => {
    const batch = input();
    apply(regexFilter, { regex: 'ERR' }, batch);
    expect(batch).toHaveLength(4);
  });
  test('a bad pattern is a finding', () => {
    expect(findings(regexFilter, { regex: 'a{' })).toEqual([['error', 'regex']]);
  });
});

describe('regex_extractor', () => {
  const headers = (raw: Record<string, string>, body: string): Record<string, string> | undefined => apply(regexExtractor, raw, events(body))[0]?.headers;
  const base = {
    regex: '(\\d):(\\d):(\\d)',
    serializers: 's1 s2 s3',
    'serializers.s1.name': 'one',
    'serializers.s2.name': 'two',
    'serializers.s3.name': 'three',
  };

  test('the example of the user guide', () => {
    expect(headers(base, '1:2:3.4foobar5')).toEqual({ one: '1', two: '2', three: '3' });
  });
  test('extra groups are ignored, missing groups too, no match changes nothing', () => {
    expect(headers({ ...base, serializers: 's1' }, '1:2:3')).toEqual({ one: '1' });
    expect(headers({ ...base, regex: '(\\d)' }, '7')).toEqual({ one: '7' });
    expect(headers(base, 'none')).toEqual({});
  });
  test('only the first match counts; a group that took no part sets nothing', () => {
    expect(headers({ ...base, regex: '(a)|(b)' }, 'ba')).toStrictEqual({ two: 'b' });
  });
  test('types: default in any case, by class name, dates to milliseconds', () => {
    const millis = {
      regex: '^(?:\\n)?(\\d\\d\\d\\d-\\d\\d-\\d\\d\\s\\d\\d:\\d\\d)',
      serializers: 's1',
      'serializers.s1.type': 'org.apache.flume.interceptor.RegexExtractorInterceptorMillisSerializer',
      'serializers.s1.name': 'timestamp',
      'serializers.s1.pattern': 'yyyy-MM-dd HH:mm',
    };
    expect(headers(millis, '2012-10-18 18:47:57,614 some log line')).toEqual({ timestamp: String(new Date(2012, 9, 18, 18, 47).getTime()) });
    expect(() => headers(millis, '2012-13-18 18:47')).toThrow(AppError);
    expect(headers({ ...base, 'serializers.s1.type': 'default' }, '1:2:3')).toMatchObject({ one: '1' });
    const passThrough = 'org.apache.flume.interceptor.RegexExtractorInterceptorPassThroughSerializer';
    expect(headers({ ...base, 'serializers.s1.type': passThrough }, '1:2:3')).toMatchObject({ one: '1' });
    expect(findings(regexExtractor, { ...millis, 'serializers.s1.pattern': 'bb' })).toEqual([['error', 'serializers.s1']]);
  });
  test('findings', () => {
    expect(findings(regexExtractor, base)).toEqual([]);
    expect(findings(regexExtractor, { ...base, regex: '(' })).toEqual([['error', 'regex']]);
    expect(findings(regexExtractor, { ...base, serializers: 's1 s4' })).toContainEqual(['error', 'serializers.s4']);
    expect(findings(regexExtractor, { ...base, 'serializers.s1.type': 'com.example.Mine' })).toEqual([['error', 'serializers.s1']]);
    expect(findings(regexExtractor, { ...base, 'serializers.s1.nam': 'x' })).toEqual([['warning', 'serializers.s1.nam']]);
    expect(parse(regexExtractor, {}).findings.map((finding) => finding.code)).toEqual(['missing-property', 'missing-property']);
  });
});

describe('search_replace', () => {
  const replaced = (raw: Record<string, string>, body: string): string | undefined => texts(apply(searchReplace, raw, events(body)))[0];
  test('replaces all, with groups', () => {
    expect(replaced({ searchPattern: '^[A-Za-z0-9_]+' }, 'abc_1, rest')).toBe(', rest');
    expect(replaced({ searchPattern: '(\\w+)@(\\w+)', replaceString: '$2 at $1' }, 'a@b c@d')).toBe('b at a d at c');
    expect(replaced({ searchPattern: 'EUR', replaceString: '\\$' }, '5 EUR')).toBe('5 $');
    expect(replaced({ searchPattern: '中', replaceString: '国' }, '中a中')).toBe('国a国');
  });
  test('other character sets', () => {
    const gbk = Buffer.from([0xd6, 0xd0, 0x61]);
    const [event] = apply(searchReplace, { searchPattern: 'a', replaceString: '中', charset: 'GBK' }, events(gbk));
    expect(event?.body).toEqual(Buffer.from([0xd6, 0xd0, 0xd6, 0xd0]));
  });
  test('a body without a match keeps its bytes, even malformed ones', () => {
    const body = Buffer.from([0xff, 0x61]);
    expect(apply(searchReplace, { searchPattern: 'x' }, [{ headers: {}, body }])[0]?.body).toBe(body);
  });
  test('findings', () => {
    expect(findings(searchReplace, { searchPattern: '(a)', replaceString: '$1' })).toEqual([]);
    expect(findings(searchReplace, { searchPattern: '(' })).toEqual([['error', 'searchPattern']]);
    expect(findings(searchReplace, { searchPattern: 'a', replaceString: '$1' })).toEqual([['error', 'replaceString']]);
    expect(findings(searchReplace, { searchPattern: 'a', charset: 'KLINGON' })).toEqual([['error', 'charset']]);
  });
});
