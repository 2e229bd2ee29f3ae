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
  /** Events that were stored and not acknowledged, and cannot be read from any data file. */
  readonly missing: number;
}

/** A report while it is written. */
interface Draft {
  files: number;
  batches: number;
  bytes: number;
  readonly bad: BadPlace[];
  /** Numbers of the events that can be read. */
  readonly found: [from: number, to: number][];
}

/** @throws ConfigError directories that are no queue's; StorageError */
export function verifyFiles(disk: FileSystem, dirs: HomeDirs): VerifyReport {
  const notes: string[] = [];
  const home = openHome(disk, dirs, true);
  notes.push(...home.notes);
  readCheckpoint(disk, dirs.checkpoint, notes);
  // Before the data files, and the acknowledgements behind them: beside a running agent both go on.
  const mark = readSafeMark(disk, { dir: dirs.checkpoint, tag: home.tag }, notes);
  const draft: Draft = { files: 0, batches: 0, bytes: 0, bad: [], found: [] };
  for (const dir of dirs.data) {
    if (!disk.stat(dir)) continue;
    const bases = segmentBases(disk.readdir(dir));
    bases.forEach((base, i) => {
      verifyFile(disk, { path: join(dir, `${offsetName(base)}.log`), base, limit: bases[i + 1] ?? Number.MAX_SAFE_INTEGER }, draft);
    });
  }
  const { found, ...report } = draft;
  const known = new RangeSet();
  const { present, damaged } = readAcks(disk, dirs.checkpoint, home.tag, known);
  const unreadable = notes.map((note) => note.split(' ')[0] as string);
  if (damaged > 0) unreadable.push(join(dirs.checkpoint, 'acks-0 or acks-1'));
  // In order, since directories take turns.
  found.sort(([a], [b]) => a - b);
  // Without acknowledgements what lies before the first file may have been delivered.
  if (!present || damaged > 0) known.add(0, found[0]?.[0] ?? mark);
  for (const [from, to] of found) known.add(from, to);
  return { ...report, unreadable, missing: known.missingIn(0, mark) };
}

function verifyFile(disk: FileSystem, file: { readonly path: string; readonly base: number; readonly limit: number }, report: Draft): void {
  const { path, base, limit } = file;
  const fd = disk.open(path, 'read');
  try {
    const sizeBytes = disk.size(fd);
    const range = { position: 0, firstOffset: base, limitOffset: limit, baseOffset: base, recoveryPoint: 0, endOffset: undefined, gapless: false };
    const scanned = verifyScan({ disk, fd, path, sizeBytes }, range, ({ baseOffset, lastOffset }) => {
      report.batches++;
      const last = report.found.at(-1);
      if (last?.[1] === baseOffset) last[1] = lastOffset + 1;
      else report.found.push([baseOffset, lastOffset + 1]);
    });
    report.files++;
    report.bytes += sizeBytes;
    for (const { position, sizeBytes: bytes, torn } of scanned.bad) {
      report.bad.push({ file: path, position, sizeBytes: bytes, torn: torn && limit === Number.MAX_SAFE_INTEGER });
    }
  } finally {
    disk.close(fd);
  }
}
