/**
 * Opening a queue's files: what is in them, what is missing, and what is put right. After a clean stop nothing is scanned;
 * after a crash only what was written since the last checkpoint. How much is waiting makes no difference.
 *
 * A hole is a range of sequence numbers in no data directory. Above the last checkpoint it is what was never
 * acknowledged, or damage that was reported just now; both are done with. Below, the reader finds holes when it gets there.
 */
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Clock } from '../../lib/clock.ts';
import { ConfigError } from '../../lib/errors.ts';
import { type FileSystem, readWhole } from '../../lib/files.ts';
import { Log } from '../log.ts';
import type { Damage } from '../recover.ts';
import { AckFiles, type AcksFound, readAcks, readSnapshot } from './acks.ts';
import { type Checkpoint, type HomeDirs, openHome, readCheckpoint } from './home.ts';
import { RangeSet } from './ranges.ts';
import { readSafeMark } from './safe-mark.ts';
import { Stripe } from './stripe.ts';

export const BACKUP_FILE = 'acks-backup';
const INDEX_INTERVAL_BYTES = 32_768;
const NO_AGE_LIMIT_MS = Number.MAX_SAFE_INTEGER;
const DEFAULT_CHUNK_BYTES = 262_144;

export interface StorageOptions {
  readonly disk: FileSystem;
  readonly clock: Clock;
  readonly dirs: HomeDirs;
  /** Size at which a data file is closed and the next begun. */
  readonly segmentBytes: number;
  /** Bytes read ahead from each data directory. Default 256 KiB. */
  readonly chunkBytes?: number | undefined;
  /** Size of an acknowledgement file. Default 1 MiB. */
  readonly ackFileBytes?: number | undefined;
  /**
   * Told of everything that was damaged, while opening and later. `undelivered`: how many events not yet acknowledged are
   * gone with it, -1 = unknown; with several data directories at most so many.
   */
  readonly onDamage: (damage: Damage, undelivered: number) => void;
}

/** A queue's files, open. */
export interface Storage {
  readonly tag: number;
  readonly stripes: readonly Stripe[];
  /** Sequence numbers that are done with. */
  readonly done: RangeSet;
  /** Null when opened for reading only. */
  readonly acks: AckFiles | null;
  /** The next sequence number to give out. */
  readonly next: number;
  readonly wasClean: boolean;
  /** Events that were safe once and not acknowledged, and are gone now. */
  readonly lost: number;
  /** Sentences about what was found and put right. */
  readonly notes: readonly string[];
}

/**
 * Opens everything; on an error nothing stays open.
 * @throws ConfigError directories that cannot be this queue's; StorageError
 */
export function openStorage(options: StorageOptions, readOnly = false): Storage {
  const { disk, dirs } = options;
  const home = openHome(disk, dirs, readOnly);
  const notes = [...home.notes];
  const checkpoint = readCheckpoint(disk, dirs.checkpoint, notes);
  const done = new RangeSet();
  const damaged = new RangeSet();
  let acks: AckFiles | null = null;
  const stripes: Stripe[] = [];
  try {
    const found = readOnly ? readAcks(disk, dirs.checkpoint, home.tag, done) : openAcks();
    noteAcks(found, notes, stripesHold(disk, dirs));
    // Read before the logs: beside a running agent it must not be newer than they are.
    const mark = readSafeMark(disk, { dir: dirs.checkpoint, tag: home.tag }, notes);
    readBackup(options, home.tag, done, notes);
    refuseMissing(checkpoint, { ids: home.dataIds, dirs: dirs.data }, done);
    dirs.data.forEach((dir, i) => {
      stripes.push(openStripe(options, { id: home.dataIds[i]!, dir, checkpoint, readOnly, done, damaged }));
    });
    // Beside a running agent files may have gone meanwhile, of which all was acknowledged before.
    if (readOnly) readAcks(disk, dirs.checkpoint, home.tag, done);
    const next = Math.max(done.high, damaged.high, mark, checkpoint?.next ?? 0, ...stripes.map(({ log }) => log.nextOffset));
    const points = home.dataIds.map((id) => markOf(checkpoint, id)?.recoveryPoint ?? 0);
    const safe = Math.max(mark, ...(checkpoint?.stripes ?? []).map(({ recoveryPoint }) => recoveryPoint));
    let lost = skipDeleted(stripes, { done, next, safe, isKnown: found.present && found.damaged === 0 }, notes);
    const wasClean = checkpoint?.clean ?? false;
    if (!wasClean) lost += skipHoles(stripes, { done, damaged, next, mark, from: Math.min(...points) }, notes);
    return { tag: home.tag, stripes, done, acks, next, wasClean, lost, notes };
  } catch (error) {
    (acks as AckFiles | null)?.close();
    abandon(stripes);
    throw error;
  }

  function openAcks(): AcksFound {
    acks = new AckFiles({ disk, dir: dirs.checkpoint, tag: home.tag, bytes: options.ackFileBytes });
    return acks.open(done);
  }
}

/** Closes logs after an error that will be told; what closing has to say adds nothing to it. */
export function abandon(stripes: readonly Stripe[]): void {
  for (const { log } of stripes) log.close({ clean: false }).catch(() => {});
}

function markOf(checkpoint: Checkpoint | null, id: string): { readonly recoveryPoint: number } | undefined {
  return checkpoint?.stripes.find((mark) => mark.id === id);
}

function openStripe(
  options: StorageOptions,
  place: { id: string; dir: string; checkpoint: Checkpoint | null; readOnly: boolean; done: RangeSet; damaged: RangeSet },
): Stripe {
  const { id, dir, checkpoint, readOnly, done, damaged } = place;
  const mark = markOf(checkpoint, id);
  const log = Log.open({
    dir,
    disk: options.disk,
    clock: options.clock,
    config: { segmentBytes: options.segmentBytes, segmentMs: NO_AGE_LIMIT_MS, indexIntervalBytes: INDEX_INTERVAL_BYTES },
    clean: checkpoint?.clean === true && mark !== undefined,
    recoveryPoint: mark?.recoveryPoint ?? 0,
    readOnly,
    onDamage: (damage) => {
      if (damage.kind !== 'torn-tail') damaged.add(damage.firstOffset, damage.nextOffset);
      options.onDamage(damage, damage.nextOffset < 0 ? -1 : done.missingIn(damage.firstOffset, damage.nextOffset));
    },
  });
  return new Stripe(id, log, { disk: options.disk, chunkBytes: options.chunkBytes ?? DEFAULT_CHUNK_BYTES });
}

function stripesHold(disk: FileSystem, dirs: HomeDirs): boolean {
  return dirs.data.some((dir) => disk.stat(dir) && disk.readdir(dir).some((name) => name.endsWith('.log') && (disk.stat(join(dir, name))?.sizeBytes ?? 0) > 0));
}

function noteAcks(found: AcksFound, notes: string[], holdsEvents: boolean): void {
  if (found.damaged > 0) notes.push(`${found.damaged} acknowledgement records are damaged; some events may be delivered a second time`);
  if (!found.present && holdsEvents) notes.push('the acknowledgements are gone; events that were delivered already may be delivered a second time');
}

function readBackup({ disk, dirs }: StorageOptions, tag: number, done: RangeSet, notes: string[]): void {
  if (dirs.backup === undefined) return;
  for (const name of [BACKUP_FILE, `${BACKUP_FILE}.gz`]) {
    const path = join(dirs.backup, name);
    const content = disk.stat(dirs.backup) ? readWhole(disk, path) : null;
    if (content === null) continue;
    let plain: Buffer | null = content;
    try {
      if (name.endsWith('.gz')) plain = gunzipSync(content);
    } catch {
      plain = null; // damaged: said below
    }
    if (plain === null || !readSnapshot(plain, tag, done)) notes.push(`the backup checkpoint ${path} is damaged; the next checkpoint writes it anew`);
  }
}

/** A data directory that left the definition with events inside would make them holes, that is, lost. @throws ConfigError */
function refuseMissing(checkpoint: Checkpoint | null, here: { ids: readonly string[]; dirs: readonly string[] }, done: RangeSet): void {
  // A directory that is still named but was emptied is no slip of the pen: what is gone is said, and work goes on.
  const missing = (checkpoint?.stripes ?? []).filter(
    ({ id, dir, recoveryPoint }) => !here.ids.includes(id) && !here.dirs.includes(dir) && recoveryPoint > done.low,
  );
  if (missing.length === 0) return;
  throw new ConfigError(`events wait in ${missing.map((mark) => mark.dir).join(', ')}, which dataDirs no longer names`, {
    fix: 'name it again in dataDirs, and take it out when the channel is empty; if its files are lost, remove checkpoint.json in checkpointDir to go on without them',
  });
}

/**
 * Data files go only when everything in them is acknowledged, durably; so what lies before the first file is done with. Where the
 * acknowledgements are all there (`isKnown`) and say otherwise, somebody removed files.
 */
function skipDeleted(stripes: readonly Stripe[], range: { done: RangeSet; next: number; safe: number; isKnown: boolean }, notes: string[]): number {
  const { done, next, safe, isKnown } = range;
  const starts = stripes.filter(({ log }) => log.sizeBytes > 0).map(({ log }) => log.logStartOffset);
  const begin = starts.length === 0 ? next : Math.min(...starts);
  // Without any data all files are gone, and with them what was safe at the last checkpoint.
  const end = starts.length === 0 ? safe : isKnown ? begin : 0;
  const lost = done.missingIn(0, end);
  if (lost > 0) notes.push(goneNote(done.nextOutside(0), end));
  done.add(0, begin);
  return lost;
}

function goneNote(from: number, to: number): string {
  return `events ${from} to ${to - 1} had been stored and are in none of the data files any more`;
}

/**
 * Takes holes above the last checkpoint for done. Lost are those of them that were safe once: below the mark that a later
 * batch carries or the one beside the checkpoint, or reported as damaged. The rest was never acknowledged.
 */
function skipHoles(
  stripes: readonly Stripe[],
  range: { done: RangeSet; damaged: RangeSet; next: number; mark: number; from: number },
  notes: string[],
): number {
  const { done, damaged, next } = range;
  const holes: (readonly [from: number, to: number])[] = [];
  let safe = range.mark;
  let at = Math.max(range.from, done.low);
  while (at < next) {
    const nearest = nearestStripe(stripes, at, next);
    const base = nearest?.peek(at, next) ?? next;
    for (let hole = done.nextOutside(at); hole < base; hole = done.nextOutside(hole)) {
      const end = Math.min(base, done.nextInside(hole));
      holes.push([hole, end]);
      done.add(hole, end);
    }
    at = nearest === null ? next : nearest.lastOfHead + 1;
    safe = Math.max(safe, nearest?.safeAtHead ?? 0);
  }
  for (const stripe of stripes) stripe.forget();
  const known = new RangeSet();
  for (const [from, to] of damaged.ranges()) known.add(from, to);
  for (const [from, to] of holes) {
    const end = Math.min(to, safe);
    if (from < end && known.missingIn(from, end) > 0) notes.push(goneNote(from, end));
  }
  known.add(0, safe);
  return holes.reduce((lost, [from, to]) => lost + to - from - known.missingIn(from, to), 0);
}

/** The stripe whose next batch reaches `from` first; null when none has any below `upTo`. */
export function nearestStripe(stripes: readonly Stripe[], from: number, upTo: number): Stripe | null {
  let nearest: Stripe | null = null;
  let lowest = Number.POSITIVE_INFINITY;
  for (const stripe of stripes) {
    const base = stripe.peek(from, upTo);
    if (base < lowest) {
      lowest = base;
      nearest = stripe;
    }
  }
  return nearest;
}
