/** The LINE deserializer against a model of ten lines: any text, character set, line limit and batch size, from any mark. */
import fc from 'fast-check';
import iconv from 'iconv-lite';
import { expect, it } from 'vitest';
import line from '../../src/agent/deserializers/line.ts';
import { drain, open, texts } from '../unit/agent/deserializers/reading.ts';

/** Flume's readLine, but for surrogate pairs, which stay whole. */
function model(text: string, max: number): string[] {
  const lines: string[] = [];
  let current = '';
  let begun = false;
  for (const char of text) {
    if (char === '\n') {
      lines.push(current);
      [current, begun] = ['', false];
      continue;
    }
    if (char.length === 2 && current.length === max - 1 && current !== '') {
      lines.push(current);
      current = '';
    }
    current += char;
    begun = true;
    if (current.length >= max) {
      lines.push(current);
      [current, begun] = ['', false];
    }
  }
  if (begun) lines.push(current);
  return lines;
}

const sets = [
  { name: 'UTF-8', label: 'utf8', chars: ['a', '\n', 'é', '中', '😀', '\r', ' '] },
  { name: 'GBK', label: 'gbk', chars: ['a', '\n', '中', '文', '1', '\r'] },
  { name: 'GB18030', label: 'gb18030', chars: ['a', '\n', '中', '😀', 'é', '0'] },
  { name: 'UTF-16LE', label: 'utf-16le', chars: ['a', '\n', '中', '😀', 'Ċ', '\u0a0a'] },
  { name: 'UTF-16BE', label: 'utf-16be', chars: ['a', '\n', '中', '😀', 'Ċ', '\u0a0a'] },
  { name: 'ISO-8859-1', label: 'latin1', chars: ['a', '\n', 'é', '\x85', '\r'] },
] as const;

const cases = fc.constantFrom(...sets).chain((set) =>
  fc.record({
    set: fc.constant(set),
    text: fc.array(fc.constantFrom(...set.chars), { maxLength: 60 }),
    max: fc.integer({ min: 1, max: 9 }),
    batch: fc.integer({ min: 1, max: 7 }),
  }),
);

it('reads what the model reads', () => {
  fc.assert(
    fc.property(cases, ({ set, text, max, batch }) => {
      const bytes = iconv.encode(text.join(''), set.label, { addBOM: false });
      const reading = { charset: set.name, properties: { maxLineLength: String(max) } };
      const { events, marks } = drain(open(line, bytes, reading), batch);
      const wanted = model(text.join(''), max);
      expect(texts(events)).toEqual(wanted);
      for (const [index, position] of marks.entries()) {
        const rest = texts(drain(open(line, bytes, { ...reading, position })).events);
        expect(rest).toEqual(wanted.slice((index + 1) * batch));
      }
    }),
    { numRuns: 3_000 },
  );
});

it('reads them in the middle of large files too', () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 0, max: 40 }), ({ set, text, max, batch }, shift) => {
      const filler = `${'y'.repeat(7)}\n`.repeat(32_768 / set.chars.length) + 'z'.repeat(shift);
      const whole = `${filler}${text.join('').repeat(2_000)}`;
      const bytes = iconv.encode(whole, set.label, { addBOM: false });
      const { events } = drain(open(line, bytes, { charset: set.name, properties: { maxLineLength: String(max * 50) } }), batch * 1_000);
      expect(texts(events)).toEqual(model(whole, max * 50));
    }),
    { numRuns: 60 },
  );
});
