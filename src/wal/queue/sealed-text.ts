/**
 * Small JSON files with a checksum: `NAME FORMAT JSON-LENGTH CRC32C\nJSON\n`. The first line keeps this form in every later
 * format, so that a file of a newer version is told from a damaged one.
 */
import { crc32c } from '../../lib/crc32c.ts';
import { type FileSystem, readWhole, replaceWhole } from '../../lib/files.ts';

/** What a file turned out to be. */
export type SealedText = { readonly state: 'absent' | 'damaged' } | { readonly state: 'sound'; readonly format: number; readonly value: unknown };

/** Replaces the file, durable when it returns. @throws StorageError and the old one is still there */
export function writeSealed(disk: FileSystem, path: string, content: { readonly kind: string; readonly format: number; readonly value: unknown }): void {
  const json = Buffer.from(JSON.stringify(content.value));
  const head = `${content.kind} ${content.format} ${json.length} `;
  replaceWhole(disk, path, Buffer.from(`${head}${checksum(head, json)}\n${json.toString('utf8')}\n`));
}

function checksum(head: string, json: Buffer): string {
  return crc32c(Buffer.concat([Buffer.from(head), json]), 0, head.length + json.length)
    .toString(16)
    .padStart(8, '0');
}

/** @throws StorageError */
export function readSealed(disk: FileSystem, path: string, kind: string): SealedText {
  const bytes = readWhole(disk, path);
  if (bytes === null) return { state: 'absent' };
  const match = /^(([a-z-]+) (\d{1,6}) (\d{1,9}) )([0-9a-f]{8})\n/.exec(bytes.toString('latin1', 0, 64));
  if (match === null || match[2] !== kind) return { state: 'damaged' };
  const start = match[0].length;
  const json = bytes.subarray(start, start + Number(match[4]));
  if (json.length !== Number(match[4]) || checksum(match[1]!, json) !== match[5]) return { state: 'damaged' };
  return { state: 'sound', format: Number(match[3]), value: JSON.parse(json.toString('utf8')) as unknown };
}
