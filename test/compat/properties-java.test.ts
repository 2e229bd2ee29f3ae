// The lexer against java.util.Properties itself, through a single-file program. Named as skipped where Java is missing.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { lexProperties } from '../../src/lib/props/lexer.ts';

const PROGRAM = `
import java.io.*; import java.nio.charset.StandardCharsets; import java.nio.file.*; import java.util.*;
public class Load {
  static void hex(StringBuilder out, String s) { for (char c : s.toCharArray()) out.append(String.format("%04x", (int) c)); }
  public static void main(String[] args) throws Exception {
    StringBuilder out = new StringBuilder();
    for (String line : Files.readAllLines(Path.of(args[0]), StandardCharsets.US_ASCII)) {
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < line.length(); i += 4) text.append((char) Integer.parseInt(line.substring(i, i + 4), 16));
      Properties p = new Properties();
      try { p.load(new StringReader(text.toString())); } catch (IllegalArgumentException e) { out.append("malformed\\n"); continue; }
      for (String key : new TreeSet<>(p.stringPropertyNames())) { hex(out, key); out.append('='); hex(out, p.getProperty(key)); out.append(' '); }
      out.append('\\n');
    }
    System.out.print(out);
  }
}`;

const hex = (text: string) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i).toString(16).padStart(4, '0')).join('');

function ours(text: string): string {
  const { entries, findings } = lexProperties(text, 'f');
  if (findings.length > 0) return 'malformed';
  const last = new Map(entries.map(({ key, value }) => [key, value]));
  const keys = [...last.keys()].sort();
  return keys.map((key) => `${hex(key)}=${hex(last.get(key)!)} `).join('');
}

const java = spawnSync('java', ['-version']).status === 0;

it.runIf(java)(`reads as java.util.Properties does${java ? '' : ' (skipped: java is not installed)'}`, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-props-'));
  try {
    const grammar = fc
      .array(fc.constantFrom('\\', '\\', '\n', '\r', '=', ':', ' ', '\t', '\f', '#', '!', 'u', '0041', 'd', 'n', 'k', 'v', '中', '\u0000', '\u000b'), {
        maxLength: 40,
      })
      .map((parts) => parts.join(''));
    const texts = fc.sample(grammar, { numRuns: 20_000, seed: 4 }).filter((text) => text !== '');
    await writeFile(join(dir, 'Load.java'), PROGRAM);
    await writeFile(join(dir, 'cases'), texts.map(hex).join('\n'));
    const answers = execFileSync('java', [join(dir, 'Load.java'), join(dir, 'cases')], { maxBuffer: 1 << 28 })
      .toString()
      .split('\n');
    for (const [index, text] of texts.entries()) expect(ours(text), JSON.stringify(text)).toBe(answers[index]);
  } finally {
    await rm(dir, { recursive: true });
  }
});
