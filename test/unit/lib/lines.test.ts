import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineSplitter } from '../../../src/lib/lines.ts';

/** What the splitter makes of pieces, the unterminated rest last, as text. */
function split(pieces: readonly (string | Buffer)[], ends: 'lf' | 'any'): string[] {
  const splitter = new LineSplitter({ ends });
  const out: Buffer[] = [];
  for (const piece of pieces) splitter.push(Buffer.from(piece as string), out);
  const rest = splitter.rest();
  return [...out, ...(rest === null ? [] : [rest])].map((line) => line.toString('latin1'));
}

describe('LineSplitter', () => {
  it('keeps carriage returns and empty lines when only a line feed ends a line', () => {
    expect(split(['a\r\n\nb\n', 'c'], 'lf')).toEqual(['a\r', '', 'b', 'c']);
  });

  it("ends lines as Java's readLine does", () => {
    expect(split(['a\r\nb\rc\nd\r\re\n\rf'], 'any')).toEqual(['a', 'b', 'c', 'd', '', 'e', '', 'f']);
    expect(split(['a\r', '\nb'], 'any')).toEqual(['a', 'b']);
    expect(split(['a\r', '', '\n', '\nb'], 'any')).toEqual(['a', '', 'b']);
    expect(split(['a\r', 'b\r'], 'any')).toEqual(['a', 'b']);
  });

  it('makes the same lines wherever the stream is cut', () => {
    const text = fc.string({ unit: fc.constantFrom('\n', '\r', 'a', 'bc'), maxLength: 40 });
    fc.assert(
      fc.property(text, fc.array(fc.nat(60), { maxLength: 6 }), fc.constantFrom('lf' as const, 'any' as const), (whole, cuts, ends) => {
        const expected = whole.split(ends === 'lf' ? '\n' : /\r\n|\r|\n/);
        if (expected.at(-1) === '') expected.pop();
        const places = [...cuts.map((cut) => Math.min(cut, whole.length)), 0, whole.length].sort((a, b) => a - b);
        const pieces = places.slice(1).map((end, i) => whole.slice(places[i], end));
        expect(split(pieces, ends)).toEqual(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it('copies a short rest, so that it does not keep the piece it came in', () => {
    const splitter = new LineSplitter({ ends: 'lf' });
    const piece = Buffer.allocUnsafeSlow(65_536).fill(0x61);
    piece[60_000] = 10;
    const out: Buffer[] = [];
    splitter.push(piece, out);
    piece.fill(0x62);
    expect(splitter.pendingBytes).toBe(65_536 - 60_001);
    expect(splitter.rest()?.toString()).toBe('a'.repeat(5_535));
    expect(out[0]?.buffer).toBe(piece.buffer);
  });
});

describe('maxChars', () => {
  const outcome = (pieces: readonly string[], maxChars: number): [boolean, string[]] => {
    const splitter = new LineSplitter({ ends: 'lf', maxChars });
    const out: Buffer[] = [];
    let fits = true;
    for (const piece of pieces) fits = fits && splitter.push(Buffer.from(piece), out);
    return [fits, out.map(String)];
  };

  it('counts the line feed, as Flume does: of 20, nineteen characters fit', () => {
    expect(outcome([`${'x'.repeat(19)}\n`], 20)).toEqual([true, ['x'.repeat(19)]]);
    expect(outcome([`ok\n${'x'.repeat(20)}\nlater\n`], 20)).toEqual([false, ['ok']]);
  });

  it('counts characters, not bytes, over any number of pieces', () => {
    expect(outcome([`${'中'.repeat(19)}\n`], 20)[0]).toBe(true);
    expect(outcome([`${'中'.repeat(20)}\n`], 20)[0]).toBe(false);
    expect(outcome([...'中'.repeat(19), '\n'], 20)).toEqual([true, ['中'.repeat(19)]]);
    expect(outcome([...'🎉'.repeat(9), 'x', '\n'], 20)[0]).toBe(true);
    expect(outcome([...'🎉'.repeat(10), '\n'], 20)[0]).toBe(false);
  });

  it('gives up on a line that never ends', () => {
    expect(outcome(['x'.repeat(19)], 20)[0]).toBe(true);
    expect(outcome(['x'.repeat(19), 'x'], 20)[0]).toBe(false);
    expect(outcome(['x\nyy'], 2)).toEqual([false, ['x']]);
  });
});
