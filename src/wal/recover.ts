/**
 * Putting a log's directory right, before it is used and when a read meets something that cannot be.
 *
 * Recovery rule. After a clean stop nothing is scanned. Otherwise every segment that reaches beyond the recovery point is
 * read from there, each checksum verified, and
 *  - a torn tail (a batch whose rest was never written, or zeros) is cut off;
 *  - a bad batch with good ones behind it, or one below the recovery point, is moved to quarantine/: its bytes and a JSON
 *    file that says which offsets are gone. The good batches keep their offsets, the gap stays;
 *  - offsets that were in use are not given out again: the log goes on at the recovery point if it now ends before it.
 * Every step is safe to be cut off: bytes are put aside and synced before they leave the log, and a segment is replaced by
 * writing `.log.cleaned`, fsync, rename. Leftovers of a rewrite (`.cleaned`, `.deleted`) are removed, a finished one
 * (`.swap`) is put in place of the segments it covers, as Kafka does.
 */
import { join } from 'node:path';
import { type FileSystem, replaceWhole } from '../lib/files.ts';
import { type BadRange, HeaderScanner, type LogFile, verifyScan } from './scan.ts';
import { offsetName, SEGMENT_ENDINGS, Segment } from './segment.ts';

/** Something that was in the log and is no more. */
export interface Damage {
  /** `torn-tail`: an unfinished write at the end, cut off. `damaged`: bytes put aside. `missing`: the end of the log is gone. */
  readonly kind: 'torn-tail' | 'damaged' | 'missing';
  readonly file: string;
  readonly position: number;
  readonly sizeBytes: number;
  /** Offsets from here … */
  readonly firstOffset: number;
  /** … to before this one are lost. -1: unknown, there was nothing readable behind it. */
  readonly nextOffset: number;
  /** Where the bytes were put, or null. */
  readonly savedAs: string | null;
}

/** What recovery works with. */
export interface Workshop {
  readonly disk: FileSystem;
  readonly dir: string;
  readonly indexIntervalBytes: number;
  /** Wall clock, for names and reports. */
  readonly now: () => number;
  /** Look, but change nothing. */
  readonly readOnly: boolean;
  /** The owner never leaves offsets out: no compaction, no numbering shared with other logs. */
  readonly gapless: boolean;
  readonly onDamage: (damage: Damage) => void;
}

const COPY_BYTES = 1_048_576;
const SEGMENT_FILE = /^(\d{20})\.log$/;
const PART_FILE = /^(\d{20})(\.(?:log|index|timeindex|txnindex|snapshot))\.(cleaned|swap|deleted)$/;

/** Base offsets of the segments in a directory listing, rising. */
export function segmentBases(names: readonly string[]): number[] {
  const bases: number[] = [];
  for (const name of names) {
    const match = SEGMENT_FILE.exec(name);
    if (match) bases.push(Number(match[1]));
  }
  return bases.sort((a, b) => a - b);
}

/** Removes what an interrupted rewrite or deletion left, finishes what had been decided, and answers the names that are left. */
export function tidyDirectory(shop: Workshop): string[] {
  const { disk, dir } = shop;
  const names = disk.readdir(dir);
  if (shop.readOnly) return names;
  const left = names.some((name) => PART_FILE.test(name)) ? tidyParts(shop, names) : names;
  const bases = new Set(segmentBases(left).map(offsetName));
  for (const name of left) {
    const match = /^(\d{20})\.(?:index|timeindex)$/.exec(name);
    if (match && !bases.has(match[1] as string)) disk.unlink(join(dir, name));
  }
  return left;
}

/** Removes half-done rewrites and deletions, finishes decided ones; the names that are left. */
function tidyParts(shop: Workshop, names: readonly string[]): string[] {
  const { disk, dir } = shop;
  const swapped: number[] = [];
  for (const name of names) {
    const match = PART_FILE.exec(name);
    if (!match) continue;
    if (match[3] !== 'swap') disk.unlink(join(dir, name));
    else if (match[2] === '.log') swapped.push(Number(match[1]));
  }
  for (const base of swapped.sort((a, b) => a - b)) finishSwap(shop, base);
  const rest = disk.readdir(dir);
  for (const name of rest) if (PART_FILE.test(name)) disk.rename(join(dir, name), join(dir, name.replace(/\.swap$/, '')));
  return disk.readdir(dir);
}

/** The rewritten segment `base` is whole: removes the segments that it replaces and gives it its name. */
function finishSwap(shop: Workshop, base: number): void {
  const { disk, dir } = shop;
  const path = join(dir, `${offsetName(base)}.log.swap`);
  const fd = disk.open(path, 'read');
  let nextOffset = base;
  try {
    const scanner = new HeaderScanner({ disk, fd, path, sizeBytes: disk.size(fd) }, 0);
    while (scanner.next()) nextOffset = scanner.lastOffset + 1;
  } finally {
    disk.close(fd);
  }
  for (const covered of segmentBases(disk.readdir(dir))) {
    if (covered > base && covered < nextOffset) removeSegmentFiles(shop, covered);
  }
  // Indexes of `base` may be the old ones or, where the renaming was cut off, the new: they can be made again. Its aborted
  // transactions cannot, and old ones that are about nothing any more do no harm.
  for (const ending of ['.log', '.index', '.timeindex']) if (disk.stat(join(dir, offsetName(base) + ending))) disk.unlink(join(dir, offsetName(base) + ending));
  for (const ending of SEGMENT_ENDINGS) {
    const from = join(dir, offsetName(base) + ending);
    if (ending !== '.log' && disk.stat(`${from}.swap`)) disk.rename(`${from}.swap`, from);
  }
  disk.rename(path, path.slice(0, -'.swap'.length));
  disk.syncDir(dir);
}

function removeSegmentFiles(shop: Workshop, base: number): void {
  for (const ending of SEGMENT_ENDINGS) {
    const path = join(shop.dir, offsetName(base) + ending);
    if (ending !== '.snapshot' && shop.disk.stat(path)) shop.disk.unlink(path);
  }
}

/** Where a segment stands in its log. */
export interface RecoveryRange {
  /** No offset below this belongs here. */
  readonly firstOffset: number;
  /** Base of the next segment; Infinity for the last. */
  readonly limitOffset: number;
  /** Everything below this was durable: what is wrong there is damage, not an unfinished write. */
  readonly recoveryPoint: number;
  /** Trust the log up to the recovery point and scan only from there. */
  readonly fromRecoveryPoint: boolean;
  /** End of the log, when that is known: no batch may claim an offset from here on. */
  readonly knownEnd?: number;
}

/**
 * Verifies a segment, repairs it, and leaves it with right indexes and everything durable.
 * @returns the offset after its last good batch
 */
export function recoverSegment(shop: Workshop, segment: Segment, range: RecoveryRange): number {
  const { baseOffset } = segment;
  const trusted = range.fromRecoveryPoint && range.recoveryPoint > baseOffset ? segment.trustIndexesBelow(range.recoveryPoint) : null;
  if (!trusted) segment.resetIndexes();
  const start = { position: trusted?.position ?? 0, firstOffset: trusted?.firstOffset ?? Math.max(range.firstOffset, baseOffset) };
  const file = segment.asFile();
  const limitOffset = Math.min(range.limitOffset, range.knownEnd ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  const endOffset = Number.isFinite(range.limitOffset) ? range.limitOffset : range.knownEnd;
  const scope = { ...start, limitOffset, baseOffset, recoveryPoint: range.recoveryPoint, endOffset, gapless: shop.gapless };
  const result = verifyScan(file, scope, (batch) => segment.noteBatch(batch, shop.indexIntervalBytes));
  if (result.bad.length === 0) {
    if (!shop.readOnly) makeDurable(shop, segment, start.position);
    return result.nextOffset;
  }
  for (const bad of result.bad) report(shop, file, bad, range);
  const tailOnly = result.bad.length === 1 && result.bad[0]?.nextOffset === -1;
  if (tailOnly) segment.sizeBytes = result.goodBytes;
  if (shop.readOnly) return result.nextOffset;
  if (tailOnly) {
    shop.disk.truncate(file.fd, result.goodBytes);
    makeDurable(shop, segment, start.position);
  } else {
    replaceWithout(shop, segment, result.bad);
    segment.flushIndexes('durable');
  }
  return result.nextOffset;
}

/**
 * What was verified may be in the page cache alone. When the sync fails, the kernel calls those pages clean all the same, and
 * a second sync would succeed without writing them: so they are written again first. Indexes go along, for entries about
 * batches that are no more must not survive beside new ones.
 */
function makeDurable(shop: Workshop, segment: Segment, position: number): void {
  try {
    segment.sync();
  } catch {
    const { fd } = segment.asFile();
    copyRange(shop.disk, { from: fd, position, sizeBytes: segment.sizeBytes - position }, { to: fd, at: position });
    segment.sync();
  }
  segment.flushIndexes('durable');
}

/** Puts bad bytes aside where that makes sense, and tells. */
function report(shop: Workshop, file: LogFile, bad: BadRange, range: RecoveryRange): void {
  const { position, sizeBytes, firstOffset } = bad;
  const unfinished = bad.torn && firstOffset >= range.recoveryPoint && range.limitOffset === Number.POSITIVE_INFINITY;
  let { nextOffset } = bad;
  if (nextOffset < 0 && Number.isFinite(range.limitOffset)) nextOffset = range.limitOffset;
  if (nextOffset < 0 && !unfinished) nextOffset = Math.max(claimedEnd(file, bad), range.recoveryPoint > firstOffset ? range.recoveryPoint : -1);
  const damage: Damage = { kind: unfinished ? 'torn-tail' : 'damaged', file: file.path, position, sizeBytes, firstOffset, nextOffset, savedAs: null };
  if (unfinished || shop.readOnly) {
    shop.onDamage(damage);
    return;
  }
  shop.onDamage({ ...damage, savedAs: putAside(shop, file, damage) });
}

/** What the headers of a bad tail say of its last offset, as far as they agree with themselves; -1 when the first does not. */
function claimedEnd(file: LogFile, bad: BadRange): number {
  const scanner = new HeaderScanner(file, bad.position);
  let next = bad.firstOffset;
  try {
    while (scanner.next() && scanner.baseOffset === next && scanner.lastOffset - next + 1 === scanner.count) next = scanner.lastOffset + 1;
  } catch {
    // The headers are damaged too: what was readable so far is all there is to say.
  }
  return next > bad.firstOffset ? next : -1;
}

/** Copies bytes of the log to quarantine/ with a report beside them, both durable, and answers the copy's path. */
function putAside(shop: Workshop, file: LogFile, damage: Damage): string {
  const { disk } = shop;
  const quarantine = join(shop.dir, 'quarantine');
  disk.mkdir(quarantine);
  const segment = file.path.slice(shop.dir.length + 1).replace(/\.log$/, '');
  const savedAs = join(quarantine, `${segment}-at-${damage.position}-${shop.now()}.bad`);
  const fd = disk.open(savedAs, 'create');
  try {
    copyRange(disk, { from: file.fd, position: damage.position, sizeBytes: damage.sizeBytes }, { to: fd, at: 0 });
    disk.sync(fd);
  } finally {
    disk.close(fd);
  }
  const lost = damage.nextOffset < 0 ? null : damage.nextOffset - damage.firstOffset;
  const text = JSON.stringify({ ...damage, savedAs, lostOffsets: lost, foundAt: new Date(shop.now()).toISOString() }, null, 2);
  replaceWhole(disk, savedAs.replace(/\.bad$/, '.json'), Buffer.from(`${text}\n`));
  disk.syncDir(shop.dir);
  return savedAs;
}

function copyRange(disk: FileSystem, source: { from: number; position: number; sizeBytes: number }, target: { to: number; at: number }): void {
  const buf = Buffer.allocUnsafeSlow(Math.max(1, Math.min(COPY_BYTES, source.sizeBytes)));
  for (let done = 0; done < source.sizeBytes; ) {
    const n = disk.read(source.from, buf, 0, Math.min(buf.length, source.sizeBytes - done), source.position + done);
    if (n === 0) return;
    disk.write(target.to, buf.subarray(0, n), target.at + done);
    done += n;
  }
}

/** Writes the segment anew without the bad ranges, in place of the old file. */
function replaceWithout(shop: Workshop, segment: Segment, bad: readonly BadRange[]): void {
  const { disk } = shop;
  const { fd, path, sizeBytes } = segment.asFile();
  const cleaned = `${path}.cleaned`;
  const to = disk.open(cleaned, 'create');
  let at = 0;
  let position = 0;
  try {
    disk.truncate(to, 0);
    for (const range of [...bad, { position: sizeBytes, sizeBytes: 0 }]) {
      copyRange(disk, { from: fd, position, sizeBytes: range.position - position }, { to, at });
      at += range.position - position;
      position = range.position + range.sizeBytes;
    }
    disk.sync(to);
  } finally {
    disk.close(to);
  }
  // The old indexes must not be found beside the new file: positions in it differ.
  for (const ending of ['.index', '.timeindex'] as const) if (disk.stat(segment.file(ending))) disk.unlink(segment.file(ending));
  disk.rename(cleaned, path);
  disk.syncDir(shop.dir);
  segment.close();
  segment.sizeBytes = at;
  segment.rebuildIndexes(shop.indexIntervalBytes);
}

/** The segments of a directory, rising, not yet opened. */
export function listSegments(shop: Workshop, names: readonly string[]): Segment[] {
  const { disk, dir, readOnly } = shop;
  const createdMs = shop.now();
  return segmentBases(names).map((baseOffset) => {
    const stat = disk.stat(join(dir, `${offsetName(baseOffset)}.log`));
    return new Segment(disk, { dir, baseOffset, readOnly }, { sizeBytes: stat?.sizeBytes ?? 0, createdMs });
  });
}
