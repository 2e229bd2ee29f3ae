/**
 * Kafka's small text files. Offset checkpoints hold one number per partition:
 *
 *     0                      version
 *     2                      entries
 *     my-topic 0 42          topic partition offset
 *
 * and `leader-epoch-checkpoint` of a partition `epoch startOffset` lines under the same head. All are replaced whole
 * (temporary file, fsync, rename), so a crash leaves the old or the new one. One that does not parse is as if absent:
 * everything they say can be found again in the logs, more slowly.
 */
import { type FileSystem, readWhole, replaceWhole } from '../../lib/files.ts';

/** Offsets by `topic-partition`. */
export type Offsets = ReadonlyMap<string, number>;

/** Reads the lines of a checkpoint file; null when it is absent or does not parse. */
function readLines(disk: FileSystem, path: string, fields: number): string[][] | null {
  const content = readWhole(disk, path);
  if (content === null) return null;
  const [version, count, ...rest] = content.toString('utf8').split('\n');
  const lines = rest.filter((line) => line !== '').map((line) => line.split(' '));
  if (version !== '0' || Number(count) !== lines.length || lines.some((words) => words.length !== fields)) return null;
  return lines;
}

function writeLines(disk: FileSystem, path: string, lines: readonly string[]): void {
  replaceWhole(disk, path, Buffer.from(['0', String(lines.length), ...lines, ''].join('\n')));
}

/** An offset checkpoint; empty when it is absent or damaged. */
export function readOffsets(disk: FileSystem, path: string): Offsets {
  const out = new Map<string, number>();
  for (const [topic, partition, offset] of readLines(disk, path, 3) ?? []) {
    const value = Number(offset);
    if (Number.isSafeInteger(value)) out.set(`${topic}-${partition}`, value);
  }
  return out;
}

export function writeOffsets(
  disk: FileSystem,
  path: string,
  entries: Iterable<{ readonly topic: string; readonly index: number; readonly offset: number }>,
): void {
  writeLines(
    disk,
    path,
    [...entries].map(({ topic, index, offset }) => `${topic} ${index} ${offset}`),
  );
}

/** From which offset on an epoch wrote. */
export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: number;
}

/** The epochs of a partition, oldest first; empty when the file is absent or damaged. */
export function readEpochs(disk: FileSystem, path: string): EpochStart[] {
  return (readLines(disk, path, 2) ?? []).map(([epoch, startOffset]) => ({ epoch: Number(epoch), startOffset: Number(startOffset) }));
}

export function writeEpochs(disk: FileSystem, path: string, epochs: readonly EpochStart[]): void {
  writeLines(
    disk,
    path,
    epochs.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`),
  );
}
