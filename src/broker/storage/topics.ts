/**
 * All topics of the broker with their partitions: opened at start from the metadata and the data directories, created,
 * grown, reconfigured and removed while it runs.
 *
 * Order of changes, so that a crash at any moment leaves something whole: a new topic is durable in the metadata before
 * its directories are made (they are made at the next start if need be); a removed topic's directories are renamed to
 * `…-delete` before the metadata forgets it, so a directory without metadata is never a leftover. One that is there all
 * the same was brought by somebody, e.g. from another broker: it is taken over with the id in its partition.metadata.
 *
 * Above 400 lines because the steps of making, growing and removing rely on each other's order and are read together.
 */
import { statfsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ErrorCode } from '../../kafka/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { ConfigError, errorText } from '../../lib/errors.ts';
import { type FileSystem, StorageError } from '../../lib/files.ts';
import type { Logger } from '../../lib/log.ts';
import type { Damage } from '../../wal/recover.ts';
import type { Metadata, MetadataCommand, MetadataReply, TopicImage } from '../coordinator/metadata.ts';
import type { BrokerSettings } from '../settings.ts';
import { effectiveTopicConfig, type TopicConfig } from '../topic-config.ts';
import { type Offsets, readOffsets, writeOffsets } from './checkpoints.ts';
import { deletedDirName, parsePartitionDir, randomUuid, readPartitionMetadata } from './data-dir.ts';
import { Partition } from './partition.ts';

const RECOVERY_POINTS = 'recovery-point-offset-checkpoint';
const LOG_STARTS = 'log-start-offset-checkpoint';
const HIGH_WATERMARKS = 'replication-offset-checkpoint';
const LEGAL = /^[a-zA-Z0-9._-]{1,249}$/;

export const OFFSETS_TOPIC = '__consumer_offsets';
export const TRANSACTIONS_TOPIC = '__transaction_state';

/** One topic as handlers see it. */
export interface Topic {
  readonly name: string;
  readonly id: string;
  readonly internal: boolean;
  /** Own settings, as written. */
  readonly overrides: Readonly<Record<string, string>>;
  /** Settings in force. */
  readonly config: TopicConfig;
  readonly partitions: readonly Partition[];
}

interface MutableTopic extends Topic {
  overrides: Readonly<Record<string, string>>;
  config: TopicConfig;
  readonly partitions: Partition[];
}

/** Kafka code and, where there is more to say, text. */
export interface Outcome {
  readonly errorCode: number;
  readonly message?: string;
}

export interface TopicStoreOptions {
  readonly dirs: readonly string[];
  readonly disk: FileSystem;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: BrokerSettings;
  /** Id of this broker, known once the directories are taken. */
  readonly nodeId: () => number;
  readonly metadata: Metadata;
  readonly changeMetadata: (command: MetadataCommand) => Promise<MetadataReply>;
  /** Something was lost on disk. */
  readonly onDamage: (partition: string, damage: Damage) => void;
  /** Partitions that exist no longer; whoever waits for them must look again. */
  readonly onRemoved: (topic: string, partitions: readonly Partition[]) => void;
  /** Partitions whose place others have taken; as above. */
  readonly onReopened: (partitions: readonly Partition[]) => void;
}

export class TopicStore {
  readonly dirs: readonly string[];
  readonly #options: TopicStoreOptions;
  readonly #byName = new Map<string, MutableTopic>();
  readonly #byId = new Map<string, MutableTopic>();
  /** Creations under way, so that a second one waits instead of failing. */
  readonly #creating = new Map<string, Promise<Outcome>>();
  /** `topic-partition` of what the checkpoint files on disk may name with an offset above 0. */
  readonly #checkpointed = new Set<string>();
  readonly #erasing = new Set<{ cancel(): void }>();

  constructor(options: TopicStoreOptions) {
    this.#options = options;
    this.dirs = options.dirs;
  }

  get(name: string): Topic | undefined {
    return this.#byName.get(name);
  }
  byId(id: string): Topic | undefined {
    return this.#byId.get(id);
  }
  /** All topics, sorted by name. */
  all(): Topic[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
  partition(topic: string, index: number): Partition | undefined {
    return this.#byName.get(topic)?.partitions[index];
  }
  *allPartitions(): IterableIterator<Partition> {
    for (const topic of this.#byName.values()) yield* topic.partitions;
  }

  isLegalName(name: string): boolean {
    return LEGAL.test(name) && name !== '.' && name !== '..';
  }
  /** Why a topic may not be called so, or null. Names that differ in `.` and `_` alone collide in metrics, as in Kafka. */
  nameError(name: string): string | null {
    if (name === '') return 'Topic name is invalid: the empty string is not allowed';
    if (name === '.' || name === '..') return `Topic name is invalid: '${name}' is not allowed`;
    if (name.length > 249) return `Topic name is invalid: the length of '${name}' is longer than the max allowed length 249`;
    if (!LEGAL.test(name)) return `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`;
    const folded = name.replaceAll('.', '_');
    for (const other of this.#byName.keys()) {
      if (other !== name && other.replaceAll('.', '_') === folded) return `Topic '${name}' collides with existing topic: ${other}`;
    }
    return null;
  }
  /** Topics clients may not write to. */
  isGuarded(name: string): boolean {
    return this.#byName.get(name)?.internal === true;
  }

  // ---- opening ----

  /** Opens everything; `cleanDirs`: those whose last user stopped cleanly. */
  async open(cleanDirs: ReadonlySet<string>): Promise<void> {
    const found = this.#eraseLeftovers();
    await this.#adopt(found);
    const points = new Map(this.dirs.map((dir) => [dir, this.#checkpoints(dir)]));
    for (const image of this.#options.metadata.topics.values()) {
      const topic = this.#remember(image);
      for (let index = 0; index < image.partitions; index++) {
        const dir = found.get(`${image.name}-${index}`) ?? this.#emptiestDir();
        topic.partitions.push(this.#openPartition(topic, index, { dir, clean: cleanDirs.has(dir), points: points.get(dir) as DirCheckpoints }));
      }
    }
  }

  #checkpoints(dir: string): DirCheckpoints {
    const recovery = readOffsets(this.#options.disk, join(dir, RECOVERY_POINTS));
    const starts = readOffsets(this.#options.disk, join(dir, LOG_STARTS));
    for (const label of [...recovery.keys(), ...starts.keys()]) this.#checkpointed.add(label);
    return { recovery, starts };
  }

  /** Deletes directories on their way out; answers where each partition lies. @throws ConfigError one lies in two places */
  #eraseLeftovers(): Map<string, string> {
    const found = new Map<string, string>();
    for (const dir of this.dirs) {
      for (const name of this.#options.disk.readdir(dir)) {
        if (name.endsWith('-delete')) this.#options.disk.rmdir(join(dir, name));
        else if (parsePartitionDir(name)) {
          const other = found.get(name);
          // Only its owner knows which of the two is right; the wrong one would be a loss that nobody sees.
          if (other !== undefined) {
            throw new ConfigError(`${name} is in two directories of log.dirs: ${join(other, name)} and ${join(dir, name)}`, {
              fix: 'move the one that is not wanted away; Kafka refuses to start in this case too',
            });
          }
          found.set(name, dir);
        }
      }
    }
    return found;
  }

  /** Takes over partitions that the metadata does not know. */
  async #adopt(found: ReadonlyMap<string, string>): Promise<void> {
    const strays = new Map<string, { id: string; count: number }>();
    for (const [name, dir] of found) {
      const parsed = parsePartitionDir(name);
      if (!parsed || this.#options.metadata.topics.has(parsed.topic) || !this.isLegalName(parsed.topic)) continue;
      const stray = strays.get(parsed.topic) ?? { id: readPartitionMetadata(this.#options.disk, join(dir, name)) ?? randomUuid(), count: 0 };
      strays.set(parsed.topic, { ...stray, count: Math.max(stray.count, parsed.index + 1) });
    }
    for (const [name, { id, count }] of strays) {
      await this.#options.changeMetadata({ kind: 'create-topic', topic: { name, id, partitions: count, configs: {} } });
      this.#options.log.warn({ topic: name }, `found topic ${name} with ${count} partition(s) in ${this.dirs.join(', ')}; taken over with default settings`);
    }
  }

  #remember(image: TopicImage): MutableTopic {
    const topic: MutableTopic = {
      name: image.name,
      id: image.id,
      internal: image.name === OFFSETS_TOPIC || image.name === TRANSACTIONS_TOPIC,
      overrides: image.configs,
      config: effectiveTopicConfig(image.configs, this.#options.settings.server),
      partitions: [],
    };
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.id, topic);
    return topic;
  }

  #openPartition(topic: Topic, index: number, from: { readonly dir: string; readonly clean: boolean; readonly points: DirCheckpoints | null }): Partition {
    const label = `${topic.name}-${index}`;
    return new Partition({
      topic: topic.name,
      topicId: topic.id,
      index,
      dataDir: from.dir,
      disk: this.#options.disk,
      clock: this.#options.clock,
      config: topic.config,
      clean: from.clean,
      recoveryPoint: from.points?.recovery.get(label) ?? 0,
      logStartOffset: from.points?.starts.get(label) ?? 0,
      onDamage: (damage) => this.#options.onDamage(label, damage),
    });
  }

  /** New partitions go where the fewest are, as in Kafka. */
  #emptiestDir(): string {
    const counts = new Map(this.dirs.map((dir) => [dir, 0]));
    for (const partition of this.allPartitions()) counts.set(partition.dataDir, (counts.get(partition.dataDir) ?? 0) + 1);
    return this.dirs.reduce((best, dir) => ((counts.get(dir) as number) < (counts.get(best) as number) ? dir : best));
  }

  // ---- changing ----

  /** Makes a topic; its partitions are usable when this resolves. */
  create(name: string, spec: { readonly partitions: number; readonly overrides: Readonly<Record<string, string>> }): Promise<Outcome> {
    const running = this.#creating.get(name);
    if (running) return running.then(() => ({ errorCode: ErrorCode.TOPIC_ALREADY_EXISTS, message: `Topic '${name}' already exists.` }));
    const work = this.#create(name, spec).finally(() => this.#creating.delete(name));
    this.#creating.set(name, work);
    return work;
  }

  async #create(name: string, spec: { readonly partitions: number; readonly overrides: Readonly<Record<string, string>> }): Promise<Outcome> {
    const image: TopicImage = { name, id: randomUuid(), partitions: spec.partitions, configs: spec.overrides };
    const { errorCode, message } = await this.#change({ kind: 'create-topic', topic: image });
    if (errorCode !== ErrorCode.NONE) return { errorCode, ...(message !== undefined && { message }) };
    const topic = this.#remember(image);
    try {
      this.#grow(topic, spec.partitions);
    } catch (error) {
      this.#options.log.error({ err: error, topic: name }, `cannot make the partitions of ${name}: ${errorText(error)}`);
      await this.remove(name);
      return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, message: errorText(error) };
    }
    return { errorCode: ErrorCode.NONE };
  }

  #grow(topic: MutableTopic, count: number): void {
    while (topic.partitions.length < count) {
      const dir = this.#emptiestDir();
      try {
        topic.partitions.push(this.#openPartition(topic, topic.partitions.length, { dir, clean: false, points: null }));
      } catch (error) {
        // A directory that nobody knows would be taken for somebody's topic at the next start.
        this.#options.disk.rmdir(join(dir, `${topic.name}-${topic.partitions.length}`));
        throw error;
      }
    }
  }

  /** Changes the metadata; a disk that refuses is an error code. */
  async #change(command: MetadataCommand): Promise<Outcome> {
    try {
      return await this.#options.changeMetadata(command);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#options.log.error({ err: error }, `cannot store a change of the metadata: ${errorText(error)}`);
      return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, message: errorText(error) };
    }
  }

  /** Creation through Metadata: defaults, and no error when somebody was faster. */
  async autoCreate(name: string): Promise<Outcome> {
    const message = this.nameError(name);
    if (message) return { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, message };
    const outcome = await this.create(name, { partitions: this.#options.settings.own['num.partitions'], overrides: {} });
    if (outcome.errorCode === ErrorCode.NONE)
      this.#options.log.info({ topic: name }, `created topic ${name}, asked for by a client (auto.create.topics.enable)`);
    return outcome.errorCode === ErrorCode.TOPIC_ALREADY_EXISTS ? { errorCode: ErrorCode.NONE } : outcome;
  }

  async addPartitions(name: string, count: number): Promise<Outcome> {
    const topic = this.#byName.get(name);
    if (!topic) return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
    // An earlier attempt may have got no further than the metadata.
    if ((this.#options.metadata.topics.get(name)?.partitions ?? 0) !== count || topic.partitions.length >= count) {
      const changed = await this.#change({ kind: 'grow-topic', name, partitions: count });
      if (changed.errorCode !== ErrorCode.NONE) return changed;
    }
    if (this.#byName.get(name) !== topic) return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
    try {
      this.#grow(topic, count);
      return { errorCode: ErrorCode.NONE };
    } catch (error) {
      this.#options.log.error({ err: error, topic: name }, `cannot make the new partitions of ${name}: ${errorText(error)}`);
      return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, message: errorText(error) };
    }
  }

  async remove(name: string): Promise<Outcome> {
    const topic = this.#byName.get(name);
    if (!topic) return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION };
    this.#byName.delete(name);
    this.#byId.delete(topic.id);
    await Promise.all(topic.partitions.map((partition) => partition.close(false)));
    const doomed: string[] = [];
    try {
      for (const partition of topic.partitions) {
        const to = join(partition.dataDir, deletedDirName(name, partition.index));
        this.#options.disk.rename(partition.dir, to);
        doomed.push(to);
      }
      for (const dir of new Set(topic.partitions.map(({ dataDir }) => dataDir))) this.#options.disk.syncDir(dir);
      this.#forgetCheckpoints(topic);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#bringBack(topic, doomed);
      return { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, message: errorText(error) };
    }
    const outcome = await this.#change({ kind: 'delete-topic', name });
    this.#options.onRemoved(name, topic.partitions);
    this.#eraseLater(doomed, topic.config['file.delete.delay.ms']);
    return outcome;
  }

  /** A topic of the same name that comes later must not begin where this one ended: checkpoints know names alone. */
  #forgetCheckpoints(topic: Topic): void {
    if (!topic.partitions.some(({ label }) => this.#checkpointed.has(label))) return;
    this.writeRecoveryPoints();
    this.writeLogStarts();
    for (const { label } of topic.partitions) this.#checkpointed.delete(label);
  }

  /** A topic that could not be removed is there as before; those who wait for it look again. @throws StorageError */
  #bringBack(topic: MutableTopic, moved: readonly string[]): void {
    const old = [...topic.partitions];
    for (const [i, path] of moved.entries()) this.#options.disk.rename(path, (old[i] as Partition).dir);
    for (const [i, { dataDir, label, recoveryPoint, logStartOffset }] of old.entries()) {
      const points = { recovery: new Map([[label, recoveryPoint]]), starts: new Map([[label, logStartOffset]]) };
      topic.partitions[i] = this.#openPartition(topic, i, { dir: dataDir, clean: false, points });
    }
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.id, topic);
    this.#options.onReopened(old);
  }

  #eraseLater(paths: readonly string[], delayMs: number): void {
    const timer = this.#options.clock.after(delayMs, () => {
      this.#erasing.delete(timer);
      for (const path of paths) this.#options.disk.rmdir(path);
    });
    this.#erasing.add(timer);
  }

  async setConfigs(name: string, overrides: Readonly<Record<string, string>>): Promise<void> {
    await this.#options.changeMetadata({ kind: 'set-topic-configs', name, configs: overrides });
    const topic = this.#byName.get(name);
    if (!topic) return;
    topic.overrides = overrides;
    this.#reconfigure(topic);
  }

  async setBrokerConfigs(isDefault: boolean, values: Readonly<Record<string, string>>): Promise<void> {
    await this.#options.changeMetadata({ kind: 'set-broker-configs', nodeId: isDefault ? null : this.#options.nodeId(), configs: values });
    this.#options.settings.setDynamic(isDefault, values);
    for (const topic of this.#byName.values()) this.#reconfigure(topic);
  }

  #reconfigure(topic: MutableTopic): void {
    topic.config = effectiveTopicConfig(topic.overrides, this.#options.settings.server);
    for (const partition of topic.partitions) partition.configure(topic.config);
  }

  /** Moves the start of a partition up for good: the new start is on disk before any segment goes. Nothing if it is removed meanwhile. */
  async raiseLogStart(partition: Partition, offset: number): Promise<void> {
    if (offset <= partition.logStartOffset) return;
    await partition.sync();
    if (this.partition(partition.topic, partition.index) !== partition) return;
    this.writeLogStarts(new Map([[partition, offset]]));
    partition.deleteBefore(offset);
  }

  // ---- keeping ----

  /** Writes `recovery-point-…` and `replication-offset-checkpoint`: where recovery may begin. */
  writeRecoveryPoints(): void {
    for (const { label, recoveryPoint } of this.allPartitions()) if (recoveryPoint > 0) this.#checkpointed.add(label);
    for (const dir of this.dirs) {
      const mine = [...this.allPartitions()].filter(({ dataDir }) => dataDir === dir);
      writeOffsets(
        this.#options.disk,
        join(dir, RECOVERY_POINTS),
        mine.map(({ topic, index, recoveryPoint }) => ({ topic, index, offset: recoveryPoint })),
      );
      writeOffsets(
        this.#options.disk,
        join(dir, HIGH_WATERMARKS),
        mine.map(({ topic, index, highWatermark }) => ({ topic, index, offset: highWatermark })),
      );
    }
  }

  /** Writes `log-start-offset-checkpoint` for partitions that begin above their first segment; `raised` are about to. */
  writeLogStarts(raised: ReadonlyMap<Partition, number> = new Map()): void {
    for (const dir of this.dirs) {
      const entries = [...this.allPartitions()]
        .filter(({ dataDir }) => dataDir === dir)
        .map((partition) => ({ topic: partition.topic, index: partition.index, offset: raised.get(partition) ?? partition.logStartOffset }))
        .filter(({ offset }) => offset > 0);
      for (const { topic, index } of entries) this.#checkpointed.add(`${topic}-${index}`);
      writeOffsets(this.#options.disk, join(dir, LOG_STARTS), entries);
    }
  }

  /** Size of the volume of a data directory; -1 where the system does not say. */
  volume(dir: string): { readonly totalBytes: number; readonly usableBytes: number } {
    try {
      const { bsize, blocks, bavail } = statfsSync(dir);
      return { totalBytes: blocks * bsize, usableBytes: bavail * bsize };
    } catch {
      return { totalBytes: -1, usableBytes: -1 };
    }
  }

  /** Closes all partitions. True when everything is safely on disk. */
  async close(clean: boolean): Promise<boolean> {
    for (const timer of this.#erasing) timer.cancel();
    let allClean = clean;
    for (const partition of this.allPartitions()) {
      try {
        await partition.close(clean);
        if (partition.log.failure || partition.isBroken) allClean = false;
      } catch (error) {
        allClean = false;
        this.#options.log.error({ err: error }, `cannot close ${basename(partition.dir)}: ${errorText(error)}`);
      }
    }
    return allClean;
  }
}

interface DirCheckpoints {
  readonly recovery: Offsets;
  readonly starts: Offsets;
}
