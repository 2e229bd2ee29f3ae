/** Reads every byte of a queue's files and says what is wrong, changing nothing; an agent may run beside it. */
import { join } from 'node:path';
import type { FileSystem } from '../../lib/files.ts';
import { segmentBases } from '../recover.ts';
import { verifyScan } from '../scan.ts';
import { offsetName } from '../segment.ts';
import { readAcks } from './acks.ts';
import { type HomeDirs, openHome, readCheckpoint } from './home.ts';
import { RangeSet } from './ranges.ts';
import { readSafeMark } from './safe-mark.ts';

export interface BadPlace {
  readonly file: string;
  readonly position: number;
  readonly sizeBytes: number;
  /** The end of the last file, as a write leaves it that was cut off: nobody was told that it is safe. */
  readonly torn: boolean;
}

export interface VerifyReport {
  readonly files: number;
  readonly batches: number;
  readonly bytes: number;
  readonly bad: readonly BadPlace[];
  /** Small files that are damaged: ids, checkpoint, acknowledgements. */
  readonly unreadable: readonly string[];
}

/** @throws ConfigError directories that are no queue's; StorageError */
export function verifyFiles(disk: FileSystem, dirs: HomeDirs): VerifyReport {
  const notes: string[] = [];
  const home = openHome(disk, dirs, true);
  notes.push(...home.notes);
  readCheckpoint(disk, dirs.checkpoint, notes);
  readSafeMark(disk, { dir: dirs.checkpoint, tag: home.tag }, notes);
  const { damaged } = readAcks(disk, dirs.checkpoint, home.tag, new RangeSet());
  const unreadable = notes.map((note) => note.split(' ')[0] as string);
  if (damaged > 0) unreadable.push(join(dirs.checkpoint, 'acks-0 or acks-1'));
  const report = { files: 0, batches: 0, bytes: 0, bad: [] as BadPlace[], unreadable };
  for (const dir of dirs.data) {
    if (!disk.stat(dir)) continue;
    const bases = segmentBases(disk.readdir(dir));
    bases.forEach((base, i) => {
      verifyFile(disk, { path: join(dir, `${offsetName(base)}.log`), base, limit: bases[i + 1] ?? Number.MAX_SAFE_INTEGER }, report);
    });
  }
  return report;
}

function verifyFile(
  disk: FileSystem,
  file: { readonly path: string; readonly base: number; readonly limit: number },
  report: { files: number; batches: number; bytes: number; bad: BadPlace[] },
): void {
  const { path, base, limit } = file;
  const fd = disk.open(path, 'read');
  try {
    const sizeBytes = disk.size(fd);
    const range = { position: 0, firstOffset: base, limitOffset: limit, baseOffset: base, recoveryPoint: 0, endOffset: undefined, gapless: false };
    const found = verifyScan({ disk, fd, path, sizeBytes }, range, () => {
      report.batches++;
    });
    report.files++;
    report.bytes += sizeBytes;
    for (const { position, sizeBytes: bytes, torn } of found.bad) {
      report.bad.push({ file: path, position, sizeBytes: bytes, torn: torn && limit === Number.MAX_SAFE_INTEGER });
    }
  } finally {
    disk.close(fd);
  }
}
