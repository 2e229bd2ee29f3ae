/**
 * A finding is one thing to say about somebody's definition: what, where, and what to do. Findings are collected,
 * never thrown one by one, so that a person sees all of them at once.
 */

/** `error`: the component cannot run as written. `warning`: it runs, but not as its author thinks. `info`: worth knowing. */
export type Severity = 'error' | 'warning' | 'info';

/** A place in a text file; line counts from 1. */
export interface Where {
  readonly file: string;
  readonly line: number;
}

export interface Finding {
  /** Stable identifier in kebab-case, e.g. `unknown-property`. */
  readonly code: string;
  readonly severity: Severity;
  /** What, one sentence, without the place. */
  readonly message: string;
  /** What to do, one sentence. */
  readonly fix?: string;
  readonly where?: Where | undefined;
  /** e.g. `channel c1 (file)`. */
  readonly component?: string | undefined;
}

/** A finding before somebody who knows the place and the component completes it. `key` names the property it is about. */
export interface FindingDraft {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly fix?: string;
  readonly key?: string;
}

/** A raw property value with the place it was written at. */
export interface RawValue {
  readonly value: string;
  readonly where?: Where | undefined;
}
