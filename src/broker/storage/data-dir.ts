/**
 * One data directory (`log.dirs` entry) in Kafka's layout: who may use it, whether it was closed cleanly, which broker and
 * cluster it belongs to, and what lies in it.
 *
 *     .lock                     held by the running broker (lib/dir-lock.ts; the empty one that Kafka leaves is free)
 *     .kafka_cleanshutdown      present only between a clean stop and the next start
 *     meta.properties           node and cluster id
 *     TOPIC-N/                  partitions; TOPIC-N.HEX-delete/ those on their way out
 *     *-checkpoint              see checkpoints.ts
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, readWhole, replaceWhole } from '../../lib/files.ts';

export const CLEAN_MARKER = '.kafka_cleanshutdown';
const META = 'meta.properties';
/** Name of the lock file in a data directory. */
export const LOCK = '.lock';

/** What meta.properties says. */
export interface DirMeta {
  readonly nodeId: number | undefined;
  readonly clusterId: string | undefined;
}

/** A Kafka id: 16 random bytes as 22 characters, not beginning with a dash. */
export function randomUuid(): string {
  for (;;) {
    const text = randomBytes(16).toString('base64url');
    if (!text.startsWith('-')) return text;
  }
}

/** meta.properties of a directory; undefined ids when there is none. */
export function readMeta(disk: FileSystem, dir: string): DirMeta {
  const text = readWhole(disk, join(dir, META))?.toString('utf8') ?? '';
  const value = (key: string): string | undefined => new RegExp(`^${key.replace('.', '\\.')}=(.*)$`, 'm').exec(text)?.[1]?.trim();
  const node = value('node.id') ?? value('broker.id');
  return { nodeId: node === undefined ? undefined : Number(node), clusterId: value('cluster.id') };
}

export function writeMeta(disk: FileSystem, dir: string, meta: { readonly nodeId: number; readonly clusterId: string; readonly now: Date }): void {
  const lines = ['#', `#${meta.now.toUTCString()}`, `node.id=${meta.nodeId}`, `directory.id=${randomUuid()}`, 'version=1', `cluster.id=${meta.clusterId}`, ''];
  replaceWhole(disk, join(dir, META), Buffer.from(lines.join('\n')));
}

/** Whether the last user of the directory stopped cleanly; the marker is removed, so that a crash from here on shows. */
export function takeCleanMarker(disk: FileSystem, dir: string): boolean {
  const path = join(dir, CLEAN_MARKER);
  if (!disk.stat(path)) return false;
  disk.unlink(path);
  disk.syncDir(dir);
  return true;
}

export function leaveCleanMarker(disk: FileSystem, dir: string): void {
  replaceWhole(disk, join(dir, CLEAN_MARKER), Buffer.from('{"version":0,"brokerEpoch":-1}'));
}

/** Splits `topic-3` at its last dash; null for every other name. */
export function parsePartitionDir(name: string): { readonly topic: string; readonly index: number } | null {
  const match = /^(.+)-(\d+)$/.exec(name);
  return match && !name.endsWith('-delete') ? { topic: match[1] as string, index: Number(match[2]) } : null;
}

/** Name of a partition directory on its way out; the topic part is cut so that it stays within 255 characters. */
export function deletedDirName(topic: string, index: number): string {
  const suffix = `-${index}.${randomBytes(16).toString('hex')}-delete`;
  return topic.slice(0, 255 - suffix.length) + suffix;
}

/** The topic id in partition.metadata, or null. */
export function readPartitionMetadata(disk: FileSystem, dir: string): string | null {
  return /^topic_id: (\S{22})$/m.exec(readWhole(disk, join(dir, 'partition.metadata'))?.toString('utf8') ?? '')?.[1] ?? null;
}

/**
 * Writes partition.metadata. Not synced by itself: the metadata log has the id too, and a file that a crash took is
 * written again at the next start. The sync of every file of every partition is what a first start would wait for.
 */
export function writePartitionMetadata(disk: FileSystem, dir: string, topicId: string): void {
  const fd = disk.open(join(dir, 'partition.metadata'), 'create');
  try {
    disk.write(fd, Buffer.from(`version: 0\ntopic_id: ${topicId}`), 0);
  } finally {
    disk.close(fd);
  }
}
