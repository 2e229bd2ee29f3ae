/**
 * What tells the jdbc channel that something is missing, since SQLite has no checksums: a checksum per row, and its state, which
 * is how far numbers were given out and which of them are done with. The state is a row of the database, written with every
 * transaction, and a line in FILE.safe, written after it and before anybody is answered. That line is never synced, so it costs
 * a write into the page cache: a kill leaves it exact, a power failure at most too old. So it knows of transactions at the end
 * of SQLite's journal, which SQLite drops without a word from the first damaged byte on.
 *
 *   line = CRC-32C of the rest as 8 hex digits, a space, {"format":2,"tag":…,"next":…,"done":[[from,to],…]}
 *
 * All in a state only grows, so of two states of one database the union is true, however old one of them is.
 */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { crc32c } from '../../lib/crc32c.ts';
import { RangeSet } from '../../wal/queue/ranges.ts';

/** Version of the table and the state; 1 had neither checksums nor state. */
export const FORMAT = 2;

export interface QueueState {
  /** Tells databases apart: a line that lies beside another one says nothing about it. */
  readonly tag: string;
  /** The number the next event gets. */
  readonly next: number;
  /** What was delivered, or is lost and was said to be. */
  readonly done: RangeSet;
}

const scratch = Buffer.allocUnsafe(65_536);

/** The checksum of a row: over its number, headers and body. */
export function rowSum(seq: number, headers: string, body: Buffer): number {
  const most = 12 + 3 * headers.length + body.length;
  const bytes = most <= scratch.length ? scratch : Buffer.allocUnsafe(most);
  bytes.writeDoubleBE(seq, 0);
  const length = headers === '' ? 0 : bytes.write(headers, 12, 'utf8');
  bytes.writeUInt32BE(length, 8);
  return crc32c(bytes, 0, 12 + length + body.copy(bytes, 12 + length));
}

export function lineOf({ tag, next, done }: QueueState): string {
  const json = JSON.stringify({ format: FORMAT, tag, next, done: [...done.ranges()] });
  return `${sumOf(json)} ${json}`;
}

function sumOf(json: string): string {
  return crc32c(Buffer.from(json)).toString(16).padStart(8, '0');
}

/** Null when it is damaged, or of another version. */
export function stateOf(line: unknown): QueueState | null {
  if (typeof line !== 'string' || line.slice(0, 8) !== sumOf(line.slice(9))) return null;
  const { format, tag, next, done } = JSON.parse(line.slice(9)) as { format: number; tag: string; next: number; done: [number, number][] };
  return format === FORMAT ? { tag, next, done: rangesOf(done) } : null;
}

function rangesOf(ranges: Iterable<readonly [number, number]>): RangeSet {
  const set = new RangeSet();
  for (const [from, to] of ranges) set.add(from, to);
  return set;
}

/** What two states say together; of two databases, what the first says. */
export function joined(first: QueueState | null, second: QueueState | null): QueueState | null {
  if (first === null || second === null) return first ?? second;
  if (first.tag !== second.tag) return first;
  return { tag: first.tag, next: Math.max(first.next, second.next), done: rangesOf([...first.done.ranges(), ...second.done.ranges()]) };
}

/** Whether `other` knows of more than `state` does. */
export function isBehind(state: QueueState, other: QueueState | null): boolean {
  const both = joined(state, other) as QueueState;
  return both.next > state.next || both.done.low > state.done.low || both.done.above > state.done.above;
}

const pathOf = (file: string): string => `${file}.safe`;

/** What the line beside a database says; null when there is none that is sound. */
export function readSafeLine(file: string): QueueState | null {
  const path = pathOf(file);
  return existsSync(path) ? stateOf(readFileSync(path, 'utf8').split('\n', 1)[0]) : null;
}

/** The line beside a database, open for writing. */
export class SafeLine {
  readonly #fd: number;

  constructor(file: string) {
    this.#fd = openSync(pathOf(file), existsSync(pathOf(file)) ? 'r+' : 'w');
  }

  /** In place; what a longer line left behind the end is not read. */
  write(line: string): void {
    writeSync(this.#fd, `${line}\n`, 0);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
