/**
 * The fixture was printed by SimpleDateFormat (lines F: pattern and two moments) and Joda-Time 2.9.9 (lines P: pattern,
 * text, epoch ms or ERR) on OpenJDK 17 in three time zones.
 */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/lib/errors.ts';
import { DateTextError, javaDateFormatter, jodaDateParser } from '../../../src/lib/java-date-format.ts';

const rows = readFileSync(new URL('../../fixtures/java-dates.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((row) => row.split('|') as [string, string, string, string, string]);
const zone = process.env.TZ;
afterAll(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

describe('dates are written and read as by Java', () => {
  it.each(rows.filter((row) => row[1] === 'F'))('%s %s "%s"', (where, _kind, pattern, first, second) => {
    process.env.TZ = where;
    const format = javaDateFormatter(pattern);
    expect([format(1_704_164_645_067), format(1_720_000_000_000)]).toEqual([first, second]);
  });

  it.each(rows.filter((row) => row[1] === 'P'))('%s %s "%s" from "%s"', (where, _kind, pattern, text, wanted) => {
    process.env.TZ = where;
    const parse = jodaDateParser(pattern);
    if (wanted === 'ERR') expect(() => parse(text)).toThrow(DateTextError);
    else expect(parse(text)).toBe(Number(wanted));
  });
});

it('refuses letters and quotes that mean nothing, at once', () => {
  expect(() => javaDateFormatter('yyyy b')).toThrow(ConfigError);
  expect(() => javaDateFormatter("yyyy 'open")).toThrow('a quote that is never closed');
  expect(() => jodaDateParser('yyyy ZZZ')).toThrow('uses the letter Z');
  expect(() => jodaDateParser('yyyy')('x')).toThrow('"x" does not fit the date pattern "yyyy": malformed at "x"');
});
