/** better-sqlite3 for tests, and whether it is compiled here: what needs it is skipped by name where it is not. */
import { createRequire } from 'node:module';

/** A database as tests use one. */
export interface Connection {
  exec(sql: string): unknown;
  pragma(text: string): unknown;
  prepare(sql: string): { get(...values: unknown[]): unknown; all(...values: unknown[]): unknown[]; run(...values: unknown[]): unknown };
  close(): void;
}

/** @throws Error it is not installed */
export const sqlite = (): (new (file: string) => Connection) => createRequire(import.meta.url)('better-sqlite3');

export const compiled = ((): boolean => {
  try {
    new (sqlite())(':memory:').close();
    return true;
  } catch {
    return false;
  }
})();
