/**
 * How many lines per second the splitter cuts, and what checking and converting character sets costs, per 64 KB piece.
 * Run: npx tsx bench/micro-lines.ts
 */
import os from 'node:os';
import { CharacterJoiner, type Charset, lookupCharset } from '../src/lib/charset.ts';
import { LineSplitter } from '../src/lib/lines.ts';

const PIECE_BYTES = 65_536;
const ROUNDS = 5;
const MS_PER_ROUND = 400;

function pieces(charset: Charset, line: string): { pieces: Buffer[]; lines: number } {
  const bytes = charset.encode(`${line}\n`);
  const lines = Math.ceil((PIECE_BYTES * 16) / bytes.length);
  const all = Buffer.allocUnsafeSlow(lines * bytes.length).fill(bytes);
  const cut: Buffer[] = [];
  for (let at = 0; at < all.length; at += PIECE_BYTES) cut.push(all.subarray(at, at + PIECE_BYTES));
  return { pieces: cut, lines };
}

/** Millions of lines per second, median of the rounds. `toUtf8`: as netcat does it; otherwise as exec, which only checks. */
function measure(charset: Charset, line: string, options: { ends: 'lf' | 'any'; toUtf8: boolean }): number {
  const input = pieces(charset, line);
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    let lines = 0;
    do {
      const joiner = new CharacterJoiner(charset);
      const splitter = new LineSplitter({ ends: options.ends });
      for (const piece of input.pieces) {
        const out: Buffer[] = [];
        const whole = joiner.write(piece);
        if (options.toUtf8) splitter.push(charset.toUtf8(whole, 'FAIL'), out);
        else if (charset.isValid(whole)) splitter.push(whole, out);
        lines += out.length;
      }
    } while (performance.now() - began < MS_PER_ROUND);
    rates.push(lines / (performance.now() - began) / 1_000);
  }
  return rates.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] as number;
}

const ascii = '2024-01-01 12:00:00 INFO user logged in id=12345 and some more text';
const chinese = '2024-01-01 12:00:00 信息 用户登录成功 编号=12345 以及更多的文字';
const cases: readonly (readonly [string, string, string, 'lf' | 'any', boolean])[] = [
  ['ASCII text as UTF-8, LF', 'UTF-8', ascii, 'lf', true],
  ['ASCII text as UTF-8, CR LF', 'UTF-8', `${ascii}\r`, 'any', true],
  ['empty lines', 'UTF-8', '', 'lf', true],
  ['Chinese text as UTF-8', 'UTF-8', chinese, 'lf', true],
  ['Chinese text as GBK, to UTF-8', 'GBK', chinese, 'lf', true],
  ['Chinese text as GBK, checked', 'GBK', chinese, 'any', false],
  ['Japanese text as Shift_JIS, to UTF-8', 'Shift_JIS', 'ログイン成功 番号=12345 そしてもっと多くの文字', 'lf', true],
];
console.log(`machine: ${os.cpus()[0]?.model ?? '?'} x${os.cpus().length}, Node ${process.version}, ${os.platform()} ${os.release()}`);
for (const [what, name, line, ends, toUtf8] of cases) {
  console.log(
    `${what.padEnd(38)} ${measure(lookupCharset(name) as Charset, line, { ends, toUtf8 })
      .toFixed(2)
      .padStart(6)} M lines/s`,
  );
}
