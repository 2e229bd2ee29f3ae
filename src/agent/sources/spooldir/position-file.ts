/**
 * Where reading stands, in Flume's own format (serialization/DurablePositionTracker), so that a directory half read by
 * either program goes on with the other: `.flumespool-main.meta`, an Avro container whose metadata entry `file` names
 * the file and whose last record TransferStateFileMeta {offset: long} is the byte position.
 *
 * A new file is written beside and renamed over, then one block (about 20 bytes) is appended per batch, after the batch
 * is in the channel. No fsync, as in Flume: a kill loses nothing, a power cut may bring back an older position, so events
 * come twice, never less than once. A torn last block is passed over; too many blocks are replaced by one.
 */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ByteReader, ByteWriter } from '../../../lib/bytes.ts';
import { containerBlock, containerHeader, newSync, readContainerHeader, SYNC_BYTES } from '../../wire/avro-container.ts';

const SCHEMA = '{"type":"record","name":"TransferStateFileMeta","namespace":"org.apache.flume.serialization","fields":[{"name":"offset","type":"long"}]}';
/** Appended bytes after which the file is written anew. */
const COMPACT_BYTES = 64 * 1024;

export interface Position {
  /** The file, as it was named when the position was stored. */
  readonly target: string;
  /** Bytes of it that are in the channel. */
  readonly offset: number;
}

export class PositionFile {
  readonly path: string;
  #fd: number | undefined;
  #target: string | undefined;
  #sync: Buffer = newSync();
  #appended = 0;

  constructor(file: string) {
    this.path = file;
  }

  /** The stored position; undefined when there is none. @throws ProtocolError it is not what either program writes */
  read(): Position | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const header = readContainerHeader(bytes);
    const target = header.meta.file?.toString();
    return target === undefined ? undefined : { target, offset: lastOffset(bytes.subarray(header.length)) };
  }

  /** Remembers that `offset` bytes of `target` are in the channel. @throws the system's error; the next call writes all anew */
  store(target: string, offset: number): void {
    if (this.#fd === undefined || this.#target !== target || this.#appended >= COMPACT_BYTES) {
      this.#rewrite(target, offset);
      return;
    }
    const block = this.#block(offset);
    try {
      if (writeSync(this.#fd, block) !== block.length) throw new Error(`${this.path}: the disk took only a part`);
      this.#appended += block.length;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Forgets the position: its file is done with. */
  remove(): void {
    this.close();
    rmSync(this.path, { force: true });
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #rewrite(target: string, offset: number): void {
    this.close();
    makeDirectory(path.dirname(this.path));
    const fresh = `${this.path}.tmp`;
    const fd = openSync(fresh, 'w');
    try {
      this.#sync = newSync();
      const bytes = Buffer.concat([containerHeader(SCHEMA, this.#sync, 'null', { file: target }), this.#block(offset)]);
      if (writeSync(fd, bytes) !== bytes.length) throw new Error(`${fresh}: the disk took only a part`);
      renameSync(fresh, this.path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#fd = fd;
    this.#target = target;
    this.#appended = 0;
  }

  #block(offset: number): Buffer {
    const datum = new ByteWriter(10);
    datum.varlong(offset);
    return containerBlock(1, datum.finish(), this.#sync);
  }
}

/** Makes the tracker directory anew if somebody removed it, but not the spool directory around it. */
function makeDirectory(directory: string): void {
  if (!existsSync(directory)) mkdirSync(directory);
}

/** The offset of the last whole block; 0 without one. */
function lastOffset(blocks: Buffer): number {
  let offset = 0;
  const input = new ByteReader(blocks);
  try {
    while (input.remaining > 0) {
      let count = input.varlong();
      const data = new ByteReader(input.bytes(input.varlong()));
      input.skip(SYNC_BYTES);
      for (; count > 0; count--) offset = data.varlong();
    }
  } catch {
    // The last block is torn; what was read before it is the newest position there is.
  }
  return offset;
}
