/** Event serializers turn events into bytes of a file or stream (Flume's EventSerializer); deserializers the other way. */
import type { Event, Sealed } from './event.ts';

/** One output stream's serializer; a fresh one per file. */
export interface Serializer {
  /** Bytes that open the stream, e.g. an Avro container header. */
  head?(): Buffer;
  /** Appends the bytes of the batch to `out`. */
  write(batch: readonly Sealed[], out: Buffer[]): void;
  /** Bytes due before a flush (e.g. a pending Avro block). */
  flush?(): Buffer | null;
  /** Bytes that close the stream. */
  tail?(): Buffer | null;
  /** Whether writing may go on in an existing file of the same kind. */
  readonly supportsReopen: boolean;
}

/** What a deserializer reads from: bytes of one file with positions that can be remembered. */
export interface ByteSource {
  readonly path: string;
  /** Reads up to `length` bytes at `position`; an empty buffer = end. Synchronous page-cache read. */
  read(position: number, length: number): Buffer;
  /** Length when opened. */
  readonly length: number;
}

/** Reads events from one file, from a byte position that `mark` returned earlier. */
export interface Deserializer {
  /** Up to `max` next events; an empty array = end of input. @throws AppError undecodable input, with file and position. */
  read(max: number): Event[];
  /** Byte position after the last event returned: where reading can go on after a restart. */
  mark(): number;
}
