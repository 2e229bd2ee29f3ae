/**
 * The directories of a durable queue and what says so in them.
 *
 *   CHECKPOINT/channel.id         which channel this is (sealed-text.ts)
 *   CHECKPOINT/acks-0 acks-1      what is done with (acks.ts)
 *   CHECKPOINT/checkpoint.json    from where on each data directory must be verified after a crash
 *   CHECKPOINT/safe               up to which number puts were answered as durable (safe-mark.ts)
 *   BACKUP/channel.id acks        a copy of what is done with, when asked for
 *   DATA/channel.id               which channel, and which of its data directories
 *   DATA/%020d.log …              events (../log.ts); DATA/quarantine/: what was damaged
 *   each: in_use.lock             held by the process that has it open
 *
 * An id file that is damaged or gone is written anew from the others. Directories of two channels mixed up are refused:
 * acknowledgements of one would throw away events of the other.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { crc32c } from '../../lib/crc32c.ts';
import { ConfigError } from '../../lib/errors.ts';
import type { FileSystem } from '../../lib/files.ts';
import { readSealed, writeSealed } from './sealed-text.ts';

/** What this program writes; a larger number in a file is a newer program's. */
export const QUEUE_FORMAT = 1;
const ID_FILE = 'channel.id';
const ID_KIND = 'millrace-channel';
const CHECKPOINT_FILE = 'checkpoint.json';
const CHECKPOINT_KIND = 'millrace-checkpoint';

export interface HomeDirs {
  readonly checkpoint: string;
  readonly data: readonly string[];
  readonly backup?: string | undefined;
}

interface Identity {
  readonly channel: string;
  readonly directory: string;
  readonly role: 'checkpoint' | 'data' | 'backup';
}

/** What {@link openHome} found. */
export interface Home {
  /** Names the channel in its acknowledgement files. */
  readonly tag: number;
  /** Id of each data directory, in the order given. */
  readonly dataIds: readonly string[];
  /** Sentences about what had to be put right. */
  readonly notes: readonly string[];
}

/** What the last checkpoint said of a data directory. */
export interface StripeMark {
  readonly id: string;
  readonly dir: string;
  /** Everything below was durable and verified. */
  readonly recoveryPoint: number;
}

export interface Checkpoint {
  /** The queue was closed in order after it was written, and not opened since. */
  readonly clean: boolean;
  /** Sequence numbers below were given out. */
  readonly next: number;
  readonly stripes: readonly StripeMark[];
}

/** @throws ConfigError a directory of Java Flume, of a newer version, or of another channel; StorageError */
export function openHome(disk: FileSystem, dirs: HomeDirs, readOnly: boolean): Home {
  const all = [dirs.checkpoint, ...dirs.data, ...(dirs.backup === undefined ? [] : [dirs.backup])];
  if (!readOnly) for (const dir of all) makeDurably(disk, dir);
  for (const dir of all) refuseForeign(disk, dir);
  const notes: string[] = [];
  const read = (dir: string): Identity | null => readIdentity(disk, dir, notes);
  const checkpoint = read(dirs.checkpoint);
  const data = dirs.data.map(read);
  const backup = dirs.backup === undefined ? null : read(dirs.backup);
  const known = [checkpoint, ...data, backup].filter((id) => id !== null);
  const channels = [...new Set(known.map(({ channel }) => channel))];
  if (channels.length > 1) throw mixedUp(dirs, [checkpoint, ...data, backup]);
  const channel = channels[0] ?? randomBytes(8).toString('hex');
  const dataIds = data.map((id) => id?.directory ?? randomBytes(4).toString('hex'));
  if (new Set(dataIds).size < dataIds.length) {
    throw new ConfigError(`two of the data directories ${dirs.data.join(', ')} are copies of one`, { fix: 'name each data directory once, and no copy of it' });
  }
  const tag = crc32c(Buffer.from(channel), 0, channel.length);
  if (readOnly) return { tag, dataIds, notes };
  const keep = (dir: string, found: Identity | null, identity: Identity): void => {
    if (found === null) writeSealed(disk, join(dir, ID_FILE), { kind: ID_KIND, format: QUEUE_FORMAT, value: identity });
  };
  dirs.data.forEach((dir, i) => {
    keep(dir, data[i] ?? null, { channel, directory: dataIds[i]!, role: 'data' });
  });
  keep(dirs.checkpoint, checkpoint, { channel, directory: 'checkpoint', role: 'checkpoint' });
  if (dirs.backup !== undefined) keep(dirs.backup, backup, { channel, directory: 'backup', role: 'backup' });
  return { tag, dataIds, notes };
}

/** Makes a directory with its parents, so that after a power failure none of them is missing. @throws StorageError */
export function makeDurably(disk: FileSystem, dir: string): void {
  const made: string[] = [];
  for (let path = dir; !disk.stat(path); path = dirname(path)) {
    made.push(path);
    if (dirname(path) === path) break;
  }
  disk.mkdir(dir);
  for (const path of made) disk.syncDir(dirname(path));
}

/**
 * Makes the directories and takes the lock of each; answers how to give them back.
 * @throws DirectoryInUseError, StorageError; none is held then
 */
export function lockAll(options: {
  readonly disk: FileSystem;
  readonly dirs: HomeDirs;
  readonly lock?: ((dir: string) => () => void) | undefined;
}): (() => void)[] {
  const { disk, dirs, lock } = options;
  const held: (() => void)[] = [];
  if (lock === undefined) return held;
  try {
    for (const dir of [dirs.checkpoint, ...dirs.data, ...(dirs.backup === undefined ? [] : [dirs.backup])]) {
      makeDurably(disk, dir);
      held.push(lock(dir));
    }
  } catch (error) {
    for (const release of held) release();
    throw error;
  }
  return held;
}

function readIdentity(disk: FileSystem, dir: string, notes: string[]): Identity | null {
  if (!disk.stat(dir)) return null;
  const path = join(dir, ID_FILE);
  const found = readSealed(disk, path, ID_KIND);
  if (found.state !== 'sound') {
    if (found.state === 'damaged') notes.push(`${path} was damaged and is written anew`);
    return null;
  }
  if (found.format > QUEUE_FORMAT) throw tooNew(path, found.format);
  return found.value as Identity;
}

function tooNew(path: string, format: number): ConfigError {
  return new ConfigError(`${path} was written by a newer version of this program (format ${format}, this one knows ${QUEUE_FORMAT})`, {
    fix: 'start the newer version again; to go back, let it drain the channel first',
  });
}

/** Java Flume's files would be ignored, and with them the events inside. */
function refuseForeign(disk: FileSystem, dir: string): void {
  if (!disk.stat(dir)) return;
  const foreign = disk.readdir(dir).find((name) => /^log-\d+(\.meta)?$/.test(name) || /^(checkpoint\.meta|inflightputs|inflighttakes)$/.test(name));
  if (foreign === undefined) return;
  throw new ConfigError(`${dir} holds a file channel of Java Flume (${foreign}), which has another format`, {
    fix: 'let Flume drain it first and then remove its files, or give this channel other checkpointDir and dataDirs',
  });
}

function mixedUp(dirs: HomeDirs, ids: readonly (Identity | null)[]): ConfigError {
  const names = [dirs.checkpoint, ...dirs.data, ...(dirs.backup === undefined ? [] : [dirs.backup])];
  const list = names.flatMap((dir, i) => (ids[i] ? [`${dir} (channel ${ids[i].channel})`] : []));
  return new ConfigError(`these directories belong to different channels: ${list.join(', ')}`, {
    fix: 'name the checkpointDir and the dataDirs that were used together; a new channel needs new directories for all of them',
  });
}

/** The last checkpoint; null when there is none that can be used: then everything is verified. @throws ConfigError written by a newer version */
export function readCheckpoint(disk: FileSystem, dir: string, notes: string[]): Checkpoint | null {
  const path = join(dir, CHECKPOINT_FILE);
  const found = readSealed(disk, path, CHECKPOINT_KIND);
  if (found.state === 'damaged') notes.push(`${path} was damaged; everything is verified instead`);
  if (found.state !== 'sound') return null;
  if (found.format > QUEUE_FORMAT) throw tooNew(path, found.format);
  return found.value as Checkpoint;
}

/** @throws StorageError */
export function writeCheckpoint(disk: FileSystem, dir: string, checkpoint: Checkpoint): void {
  writeSealed(disk, join(dir, CHECKPOINT_FILE), { kind: CHECKPOINT_KIND, format: QUEUE_FORMAT, value: checkpoint });
}
