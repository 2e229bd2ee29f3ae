import fc from 'fast-check';
import { expect, it } from 'vitest';
import { escapeProperty, lexProperties, readProperties } from '../../src/lib/props/lexer.ts';

/** Text that is dense in what matters to the grammar. */
const grammar = fc
  .array(fc.constantFrom('\\', '\n', '\r', '=', ':', ' ', '\t', '\f', '#', '!', 'u', '0041', 'd', 'k', 'v', '中'), { maxLength: 60 })
  .map((parts) => parts.join(''));

it('reads any text without throwing, with places inside it', () => {
  fc.assert(
    fc.property(fc.oneof(grammar, fc.string()), (text) => {
      const lines = text.split(/\r\n|\r|\n/).length;
      let last = 0;
      for (const { where } of lexProperties(text, 'f').entries) {
        expect(where.line).toBeGreaterThan(last);
        expect(where.line).toBeLessThanOrEqual(lines);
        last = where.line;
      }
    }),
    { numRuns: 3000 },
  );
});

it('reads any bytes without throwing', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => readProperties(bytes, 'f').entries.length <= bytes.length));
});

it('reads back what was escaped', () => {
  const text = fc.oneof(grammar, fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 5 }), (pairs) => {
      const file = pairs.map(([key, value]) => `${escapeProperty(key, 'key')}=${escapeProperty(value, 'value')}`).join('\n');
      expect(lexProperties(file, 'f').entries.map(({ key, value }) => [key, value])).toEqual(pairs);
    }),
    { numRuns: 2000 },
  );
});

it('does not mind which line end is used', () => {
  fc.assert(
    fc.property(grammar, (text) => {
      const unix = `${text.replace(/\r\n?/g, '\n')}\nlast=1`; // (at the very end Java makes a difference)
      const pairs = (one: string) => lexProperties(one, 'f').entries.map(({ key, value }) => [key, value]);
      expect(pairs(unix.replace(/\n/g, '\r\n'))).toEqual(pairs(unix));
      expect(pairs(unix.replace(/\n/g, '\r'))).toEqual(pairs(unix));
    }),
  );
});
