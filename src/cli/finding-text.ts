/**
 * Findings as text for people: place, weight, component, what; the remedy below it, indented to the same column.
 * Colour only where the output is a terminal (and NO_COLOR is not set).
 */
import type { Finding, Severity } from '../lib/props/finding.ts';

const COLOURS: Readonly<Record<Severity, string>> = { error: '\u001b[31m', warning: '\u001b[33m', info: '\u001b[36m' };
const DIM = '\u001b[2m';
const PLAIN = '\u001b[0m';

/** Places longer than this do not push the texts of others aside. */
const WIDEST_PLACE = 48;

/** Each finding as one or two lines, ending with a line end; empty without findings. */
export function findingText(findings: readonly Finding[], colour = false): string {
  const paint = (code: string, text: string) => (colour ? `${code}${text}${PLAIN}` : text);
  const places = findings.map(placeText);
  const width = Math.min(WIDEST_PLACE, Math.max(0, ...places.map((place) => place.length)));
  const indent = ' '.repeat(width + 2 + 7 + 2);
  const lines = findings.map((finding, index) => {
    const place = places[index]!.padEnd(width);
    const what = finding.component === undefined ? finding.message : `${finding.component}: ${finding.message}`;
    const first = `${place}  ${paint(COLOURS[finding.severity], finding.severity.padEnd(7))}  ${what}\n`;
    return finding.fix === undefined ? first : `${first}${indent}${paint(DIM, finding.fix)}\n`;
  });
  return lines.join('');
}

/** `conf/a.conf:14`, or `-` for what has no place in a file. */
function placeText({ where }: Finding): string {
  return where === undefined ? '-' : `${where.file}:${where.line}`;
}

/** How many findings of each weight. */
export function countFindings(findings: readonly Finding[]): Readonly<Record<Severity, number>> {
  const counts = { error: 0, warning: 0, info: 0 };
  for (const { severity } of findings) counts[severity]++;
  return counts;
}

/** `1 error, 2 warnings, 1 note`; `nothing to say` without findings. */
export function countText(findings: readonly Finding[]): string {
  const { error, warning, info } = countFindings(findings);
  const part = (count: number, one: string) => (count === 0 ? [] : [`${count} ${one}${count === 1 ? '' : 's'}`]);
  return [...part(error, 'error'), ...part(warning, 'warning'), ...part(info, 'note')].join(', ') || 'nothing to say';
}

/** Whether a stream wants colour. */
export function wantsColour(stream: object, env: NodeJS.ProcessEnv): boolean {
  return 'isTTY' in stream && stream.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}

/** A finding for programs: flat, stable keys. */
export function findingRecord({ code, severity, message, fix, where, component }: Finding): Record<string, unknown> {
  return { severity, code, file: where?.file, line: where?.line, component, message, fix };
}
