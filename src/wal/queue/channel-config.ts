/**
 * The properties of Flume's file channel that are about storage, as the file channel and the overflow of the spillable
 * channel both have them, and the way from them to an open queue.
 */
import { resolve } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { lockDirectory } from '../../lib/dir-lock.ts';
import { type FileSystem, realDisk } from '../../lib/files.ts';
import type { Logger } from '../../lib/log.ts';
import type { FindingDraft, RawValue } from '../../lib/props/finding.ts';
import { bool, type Config, duration, int, list, path, size, text } from '../../lib/props/spec.ts';
import type { Damage } from '../recover.ts';
import { BatchCipher, readKeyFile } from './cipher.ts';
import type { HomeDirs } from './home.ts';
import type { QueueFile } from './housekeeping.ts';
import type { QueueOptions } from './queue.ts';

const CHECKPOINT_DIR = '.flume/file-channel/checkpoint';
const DATA_DIR = '.flume/file-channel/data';
/** 2^31 - 1 - 500 MiB, as in Flume. */
const MAX_FILE_BYTES = 1_623_195_647;
const LEAST_SPACE = 1_048_576;
const LEAST_INTERVAL_MS = 1_000;
const IN_USE = 'in_use.lock';
const JCEKS =
  'Node cannot read JCEKS keystores. Put the keys into a text file (alias = hex, one a line), set encryption.keyProvider = KEYFILE and encryption.keyProvider.keyFile to it';

export const storageProperties = {
  transactionCapacity: int({
    default: 10_000,
    min: 1,
    lenient: true,
    unit: 'events',
    doc: 'Largest batch a source may put or a sink may take at once; not above the capacity.',
  }),
  checkpointDir: path({ doc: `Where acknowledgements and checkpoints are kept; made when absent. Default: ~/${CHECKPOINT_DIR}.` }),
  dataDirs: list({
    separator: 'comma',
    doc: `Where events are kept, comma-separated; batches go to them in turn, so directories on several disks share the work. Default: ~/${DATA_DIR}.`,
  }),
  checkpointInterval: duration({ default: 30_000, unit: 'ms', doc: 'Longest time between two checkpoints; below 1000 counts as 1000.' }),
  useDualCheckpoints: bool({ default: false, doc: 'Keep a copy of each checkpoint in backupCheckpointDir.' }),
  backupCheckpointDir: path({ doc: 'Where the copy is kept; another directory than checkpointDir and dataDirs.' }),
  compressBackupCheckpoint: bool({ default: false, doc: 'Compress the copy (gzip; Flume used Snappy).' }),
  checkpointOnClose: bool({ default: true, doc: 'Write a checkpoint at a stop, so that the next start verifies nothing.' }),
  maxFileSize: size({
    default: MAX_FILE_BYTES,
    min: 1,
    doc: `Size at which a data file is closed and the next begun; above ${MAX_FILE_BYTES} counts as that.`,
  }),
  minimumRequiredSpace: size({ default: 524_288_000, doc: 'Free space below which a put fails; less than 1048576 counts as that.' }),
  fsyncPerTransaction: bool({ default: true, doc: 'A put is on the device when it returns; puts at one time share the wait.' }),
  fsyncInterval: duration({ default: 5, unit: 's', min: 1, doc: 'With fsyncPerTransaction = false: how often everything is brought to the device.' }),
  'use-log-replay-v1': bool({ doc: 'Flume: which of two ways to replay.', ignored: 'nothing is replayed at a start' }),
  'use-fast-replay': bool({ doc: 'Flume: replay without the queue.', ignored: 'nothing is replayed at a start' }),
  'encryption.activeKey': text({ doc: 'Alias of the key that new events are encrypted with.' }),
  'encryption.cipherProvider': text({ doc: 'AESCTRNOPADDING.' }),
  'encryption.keyProvider': text({ doc: 'KEYFILE: keys in a text file, see encryption.keyProvider.keyFile.' }),
  'encryption.keyProvider.keyFile': path({
    doc: 'One key a line: alias = 16, 24 or 32 bytes in hex or base64. Keys stay in it until what was written with them has left.',
  }),
  'encryption.keyProvider.keyStoreFile': path({ doc: 'Flume: the JCEKS keystore.', refused: JCEKS }),
  'encryption.keyProvider.keyStorePasswordFile': path({ doc: 'Flume: its password.', refused: JCEKS }),
  'encryption.keyProvider.keys': text({ doc: 'Flume: aliases in the keystore.', refused: JCEKS }),
};

export type StorageConfig = Config<typeof storageProperties>;

const CIPHERS = /^(AESCTRNOPADDING|org\.apache\.flume\.channel\.file\.encryption\.AESCTRNoPaddingProvider(\$EncryptorBuilder)?)$/i;

/** Rules between the storage properties. */
export function checkStorage(config: StorageConfig, raw: Readonly<Record<string, RawValue>>): FindingDraft[] {
  return [...checkDirs(config), ...checkEncryption(config), ...checkSizes(config, raw)];
}

function checkDirs(config: StorageConfig): FindingDraft[] {
  const findings: FindingDraft[] = [];
  const checkpoint = config.checkpointDir ?? `~/${CHECKPOINT_DIR}`;
  const data = config.dataDirs ?? [`~/${DATA_DIR}`];
  const same = (a: string, b: string): boolean => resolve(a) === resolve(b);
  const clash = (key: string, message: string): void => {
    findings.push({ code: 'storage-directories', severity: 'error', message, fix: 'give each its own directory', key });
  };
  if (data.some((dir) => same(dir, checkpoint))) clash('dataDirs', `checkpointDir ${checkpoint} is one of the dataDirs as well`);
  if (data.some((dir, i) => data.slice(0, i).some((other) => same(dir, other)))) clash('dataDirs', 'dataDirs names a directory twice');
  if (!config.useDualCheckpoints) return findings;
  const backup = config.backupCheckpointDir;
  if (backup === undefined) clash('useDualCheckpoints', 'useDualCheckpoints needs a backupCheckpointDir');
  else if (same(backup, checkpoint) || data.some((dir) => same(dir, backup)))
    clash('backupCheckpointDir', `backupCheckpointDir ${backup} is used otherwise as well`);
  return findings;
}

function checkEncryption(config: StorageConfig): FindingDraft[] {
  const provider = config['encryption.keyProvider'];
  const cipher = config['encryption.cipherProvider'];
  const keys = ['encryption.activeKey', 'encryption.cipherProvider', 'encryption.keyProvider'] as const;
  const given = keys.filter((key) => config[key] !== undefined);
  const refuse = (key: string, message: string, fix: string): FindingDraft[] => [{ code: 'encryption', severity: 'error', message, fix, key }];
  if (provider !== undefined && provider.toUpperCase() !== 'KEYFILE') {
    return refuse('encryption.keyProvider', `encryption.keyProvider ${provider} cannot be had here`, JCEKS);
  }
  if (cipher !== undefined && !CIPHERS.test(cipher)) {
    return refuse('encryption.cipherProvider', `encryption.cipherProvider ${cipher} is not known`, 'set it to AESCTRNOPADDING');
  }
  if (given.length === 0) return [];
  const missing = keys.filter((key) => config[key] === undefined);
  if (missing.length > 0)
    return refuse(given[0]!, `encryption needs ${missing.join(' and ')} as well`, 'set activeKey, cipherProvider and keyProvider, or none of them');
  if (config['encryption.keyProvider.keyFile'] === undefined) {
    return refuse('encryption.keyProvider', 'encryption needs encryption.keyProvider.keyFile', 'make a key file with lines such as: k1 = (64 hex digits)');
  }
  return [];
}

function checkSizes(config: StorageConfig, raw: Readonly<Record<string, RawValue>>): FindingDraft[] {
  if (config.maxFileSize <= MAX_FILE_BYTES || !('maxFileSize' in raw)) return [];
  return [
    {
      code: 'storage-size',
      severity: 'info',
      message: `maxFileSize ${config.maxFileSize} counts as ${MAX_FILE_BYTES}, as in Flume`,
      key: 'maxFileSize',
    },
  ];
}

/** Directories that nobody else may use, as written or as their defaults are written. */
export function ownedDirectories(config: StorageConfig): string[] {
  const dirs = [config.checkpointDir ?? `~/${CHECKPOINT_DIR}`, ...(config.dataDirs ?? [`~/${DATA_DIR}`])];
  return config.useDualCheckpoints && config.backupCheckpointDir !== undefined ? [...dirs, config.backupCheckpointDir] : dirs;
}

/** The directories of a configuration, absolute. */
export function homeDirs(config: StorageConfig, home: string): HomeDirs {
  return {
    checkpoint: resolve(config.checkpointDir ?? resolve(home, CHECKPOINT_DIR)),
    data: (config.dataDirs ?? [resolve(home, DATA_DIR)]).map((dir) => resolve(dir)),
    ...(config.useDualCheckpoints && config.backupCheckpointDir !== undefined ? { backup: resolve(config.backupCheckpointDir) } : {}),
  };
}

/** @throws ConfigError the key file is not one */
export function cipherOf(config: StorageConfig, disk: FileSystem): BatchCipher | null {
  const keyFile = config['encryption.keyProvider.keyFile'];
  const activeKey = config['encryption.activeKey'];
  return keyFile === undefined || activeKey === undefined ? null : new BatchCipher(readKeyFile(disk, keyFile), activeKey);
}

/** What a queue needs of the channel around it; a channel's context has it all. */
export interface QueueHost {
  readonly name: string;
  readonly agent: string;
  readonly home: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Counters CheckpointWriteErrorCount, CheckpointBackupWriteErrorCount, EventsLostCount. */
  readonly extra: Record<string, number>;
  /** Tests bring their own disk, which nobody else can lock. */
  readonly disk?: FileSystem;
  /** See StorageOptions. */
  readonly ackFileBytes?: number;
  degraded(error: Error): void;
  healthy(): void;
  failed(error: Error): void;
}

/** Counters that a channel on a queue declares. */
export const storageCounters = {
  EventPutErrorCount: 'Puts that the storage refused or failed.',
  EventTakeErrorCount: 'Takes that failed because stored events could not be read.',
  CheckpointWriteErrorCount: 'Checkpoints or acknowledgements that could not be written.',
  CheckpointBackupWriteErrorCount: 'Copies of a checkpoint that could not be written.',
  EventsLostCount: 'Events that were acknowledged to their source and are lost to damage of the storage.',
};

/** How to open the queue of a channel. @throws ConfigError the key file is not one */
export function queueOptionsOf(config: StorageConfig, host: QueueHost, events: Pick<QueueOptions, 'onEvents' | 'onGone'>): QueueOptions {
  const disk = host.disk ?? realDisk;
  const lose = (count: number): void => {
    host.extra.EventsLostCount = (host.extra.EventsLostCount ?? 0) + count;
  };
  return {
    disk,
    clock: host.clock,
    dirs: homeDirs(config, host.home),
    segmentBytes: Math.min(config.maxFileSize, MAX_FILE_BYTES),
    checkpointIntervalMs: Math.max(config.checkpointInterval, LEAST_INTERVAL_MS),
    checkpointOnClose: config.checkpointOnClose,
    compressBackup: config.compressBackupCheckpoint,
    syncEach: config.fsyncPerTransaction,
    syncIntervalMs: config.fsyncInterval * 1000,
    minimumFreeBytes: Math.max(config.minimumRequiredSpace, LEAST_SPACE),
    ackFileBytes: host.ackFileBytes,
    cipher: cipherOf(config, disk),
    lock: host.disk ? undefined : (dir) => lockDirectory(dir, IN_USE, `channel ${host.name} of agent ${host.agent}`),
    onDamage: (damage, undelivered) => reportDamage(host.log, damage, undelivered),
    onMissing: (count, from) => {
      lose(count);
      host.log.error(
        `${count} events (sequence ${from} to ${from + count - 1}) are in none of the data directories and are lost; delivery goes on behind them`,
      );
    },
    onTrouble: troubleTeller(host),
    onRemoved: (error) => {
      host.log.error(`${error.message}: a directory was removed while in use; the channel is opened anew, and says then what is lost`);
      host.failed(error);
    },
    ...events,
  };
}

/** Says what was lost, where its bytes are and how many events are concerned. */
function reportDamage(log: Logger, damage: Damage, undelivered: number): void {
  const { kind, file, position, sizeBytes, savedAs } = damage;
  if (kind === 'torn-tail') {
    log.info(`${file}: an unfinished write of ${sizeBytes} bytes at its end was cut off, as a kill or a power failure leaves it`);
    return;
  }
  const count = undelivered < 0 ? 'an unknown number of' : String(undelivered);
  const what = kind === 'missing' ? `the end of ${file} is gone (from byte ${position})` : `${file} is damaged at byte ${position} (${sizeBytes} bytes)`;
  const saved = savedAs === null ? '' : `; the bytes are kept in ${savedAs}, with a report beside them`;
  log.error(`${what}: ${count} events that were not delivered yet are lost with it${saved}. The channel goes on`);
}

/** What a file beside the logs is called, and what it costs that it cannot be written. */
const FILES: Readonly<Record<QueueFile, { readonly name: string; readonly cost: string }>> = {
  checkpoint: { name: 'checkpoint', cost: 'after a crash now some would be delivered twice' },
  backup: { name: 'backup checkpoint', cost: 'if the acknowledgements were lost now, some would be delivered twice' },
  mark: { name: 'safe mark', cost: 'if the end of the newest data file were lost now, nothing would tell' },
};

function troubleTeller(host: QueueHost): QueueOptions['onTrouble'] {
  const troubled = { checkpoint: false, backup: false, mark: false };
  return (what, error) => {
    if (error === null) {
      if (!troubled[what]) return;
      troubled[what] = false;
      host.log.info(`the ${FILES[what].name} can be written again`);
      if (!Object.values(troubled).includes(true)) host.healthy();
      return;
    }
    const counter = what === 'backup' ? 'CheckpointBackupWriteErrorCount' : 'CheckpointWriteErrorCount';
    host.extra[counter] = (host.extra[counter] ?? 0) + 1;
    if (troubled[what]) return;
    troubled[what] = true;
    host.log.warn(`${error.message}; events keep flowing, but ${FILES[what].cost}`);
    host.degraded(error);
  };
}
