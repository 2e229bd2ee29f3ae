/**
 * The raw table: the properties of one or several files merged, later files over earlier ones, trimmed as Flume trims
 * (Java's trim: everything up to U+0020), each with its place. Flume: UriConfigurationProvider, FlumeConfiguration.
 */
import type { Finding, Where } from '../../lib/props/finding.ts';
import { type PropertyEntry, readProperties } from '../../lib/props/lexer.ts';

/** One value of the raw table. */
export interface TableValue {
  readonly value: string;
  readonly where: Where;
  /** Backslashes that vanished, as written. */
  readonly lost: readonly string[];
}

/** By full key (`a1.sources.r1.type`), in the order of the files. */
export type Table = ReadonlyMap<string, TableValue>;

/** A definition file as bytes; `file` is how it is named in findings. */
export interface DefinitionText {
  readonly file: string;
  readonly bytes: Uint8Array;
}

/** Merges files. An empty value acts as not set: it hides an earlier value, and is then dropped, as in Flume. */
export function mergeFiles(texts: readonly DefinitionText[]): { table: Map<string, TableValue>; findings: Finding[] } {
  const table = new Map<string, TableValue>();
  const findings: Finding[] = [];
  for (const { file, bytes } of texts) {
    const foreign = /\.(json|ya?ml|xml)$/i.exec(file)?.[1];
    if (foreign !== undefined) {
      findings.push({
        code: 'unsupported-format',
        severity: 'warning',
        message: `a definition in ${foreign} is not supported; the file is skipped, as in Flume`,
        fix: 'write it as Java properties (key = value)',
        where: { file, line: 1 },
      });
      continue;
    }
    const lexed = readProperties(bytes, file);
    findings.push(...lexed.findings);
    addFile(lexed.entries, table, findings);
  }
  for (const [key, { value, where }] of table) if (value === '') dropEmpty(key, where, table, findings);
  return { table, findings };
}

function addFile(entries: readonly PropertyEntry[], table: Map<string, TableValue>, findings: Finding[]): void {
  const seen = new Map<string, TableValue>();
  for (const entry of entries) {
    const key = javaTrim(entry.key);
    const next = { value: javaTrim(entry.value), where: entry.where, lost: entry.lost };
    const earlier = seen.get(key);
    if (earlier !== undefined) findings.push(duplicate(key, earlier, next));
    seen.set(key, next);
    table.set(key, next);
    if (/^[A-Za-z]:./.test(next.value) && /[\t\n\r\f]/.test(next.value)) findings.push(windowsPath(key, next));
  }
}

function duplicate(key: string, earlier: TableValue, later: TableValue): Finding {
  const same = earlier.value === later.value;
  return {
    code: 'duplicate-property',
    severity: same ? 'info' : 'warning',
    message: `"${key}" is set on line ${earlier.where.line} and again on line ${later.where.line}; the last one counts`,
    fix: same ? 'delete one of the two' : `delete the one that is not meant; in use is line ${later.where.line}`,
    where: later.where,
  };
}

function windowsPath(key: string, { where }: TableValue): Finding {
  return {
    code: 'lost-backslash',
    severity: 'warning',
    message: `"${key}" looks like a Windows path, but its backslashes were read as escapes (\\n is a line end, \\t a tab)`,
    fix: 'write each backslash twice, or use /',
    where,
  };
}

function dropEmpty(key: string, where: Where, table: Map<string, TableValue>, findings: Finding[]): void {
  table.delete(key);
  findings.push({
    code: 'empty-value',
    severity: 'warning',
    message: `"${key}" has no value, which acts as if it were not set`,
    fix: 'give it a value, or delete the line',
    where,
  });
}

/** Java's String.trim: blanks and control characters up to U+0020. */
export function javaTrim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(start, end);
}
