/** Findings about regular expressions in a definition, so that `validate` tells what a start would. */
import { ConfigError } from '../../lib/errors.ts';
import { javaRegex } from '../../lib/java-regex.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';

/** One error for each pattern (property key → Java pattern) that cannot be used. */
export function regexFindings(patterns: Readonly<Record<string, string | undefined>>): readonly FindingDraft[] {
  return Object.entries(patterns).flatMap(([key, pattern]) =>
    pattern === undefined ? [] : configFindings(key, 'bad-regex', () => javaRegex(pattern, 'find')),
  );
}

/** The ConfigError that `attempt` throws as a finding about `key`; none if it succeeds. */
export function configFindings(key: string, code: string, attempt: () => unknown): readonly FindingDraft[] {
  try {
    attempt();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [{ code, severity: 'error', message: error.message, key, ...(error.fix === undefined ? {} : { fix: error.fix }) }];
  }
}
