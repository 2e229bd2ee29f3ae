/**
 * AVRO: one event per datum of an Avro container file (Flume's AvroEventDeserializer). The body is the datum's binary
 * form; its schema goes along in a header, as fingerprint (HASH) or as text (LITERAL).
 * Positions are those Flume stores: the sync marker before the block being read. A restart within a block reads that
 * block again, so up to a block of events comes twice; a marker found by searching, so a position of either program will do.
 */

import { ByteReader } from '../../lib/bytes.ts';
import { AppError, errorText } from '../../lib/errors.ts';
import { oneOf } from '../../lib/props/spec.ts';
import { type DeserializerInput, defineDeserializer } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Deserializer } from '../core/serializer.ts';
import { type ContainerCodec, type ContainerHeader, containerCodec, readContainerHeader, SYNC_BYTES } from '../wire/avro-container.ts';
import { type DatumCutter, datumCutter, schemaFingerprint } from '../wire/avro-schema.ts';

const HEAD_BYTES = 16 * 1024;
/** Two varlongs. */
const BLOCK_HEAD_BYTES = 20;

export default defineDeserializer({
  type: 'AVRO',
  aliases: ['org.apache.flume.serialization.AvroEventDeserializer$Builder'],
  summary: 'One event per datum of an Avro container file, its schema in a header.',
  properties: {
    schemaType: oneOf(['HASH', 'LITERAL'], {
      default: 'HASH',
      doc: 'HASH puts the CRC-64-AVRO fingerprint of the schema into header flume.avro.schema.hash, LITERAL its text into flume.avro.schema.literal.',
    }),
  },
  create: (config, input) => new AvroDeserializer(input, config.schemaType === 'LITERAL'),
});

class AvroDeserializer implements Deserializer {
  readonly #input: DeserializerInput;
  readonly #header: ContainerHeader;
  readonly #codec: ContainerCodec;
  readonly #cut: DatumCutter;
  readonly #schemaKey: string;
  readonly #schemaValue: string;
  /** Position of the next block's count, and of the block that #datums came from. */
  #next: number;
  #block: number;
  #datums: readonly Buffer[] = [];
  #index = 0;

  /** @throws AppError the file is not an Avro container, or of a codec or schema that cannot be read */
  constructor(input: DeserializerInput, literal: boolean) {
    this.#input = input;
    this.#header = this.#guard('header', () => this.#readHeader());
    const { meta } = this.#header;
    const codecName = meta['avro.codec']?.toString() ?? 'null';
    const codec = containerCodec(codecName);
    if (!codec) throw this.#broken(`its codec ${codecName} is not supported here`);
    const schema = meta['avro.schema']?.toString() ?? '';
    this.#codec = codec;
    this.#cut = this.#guard('schema', () => datumCutter(schema));
    this.#schemaKey = literal ? 'flume.avro.schema.literal' : 'flume.avro.schema.hash';
    this.#schemaValue = literal ? schema : schemaFingerprint(schema);
    this.#next = this.#blockAfter(input.position);
    this.#block = this.#next;
  }

  read(max: number): Event[] {
    while (this.#index >= this.#datums.length) if (!this.#readBlock()) return [];
    const stop = Math.min(this.#datums.length, this.#index + max);
    const events: Event[] = [];
    while (this.#index < stop) events.push({ headers: { [this.#schemaKey]: this.#schemaValue }, body: this.#datums[this.#index++] as Buffer });
    return events;
  }

  mark(): number {
    return (this.#index < this.#datums.length ? this.#block : this.#next) - SYNC_BYTES;
  }

  #readHeader(): ContainerHeader {
    const { source } = this.#input;
    for (let length = HEAD_BYTES; ; length *= 4) {
      const head = source.read(0, length);
      try {
        return readContainerHeader(head);
      } catch (error) {
        if (head.length < length) throw error;
      }
    }
  }

  /** Position of the first block behind a sync marker at or after `position`. */
  #blockAfter(position: number): number {
    const { source } = this.#input;
    const { sync, length } = this.#header;
    let from = Math.max(position, length - SYNC_BYTES);
    while (from < source.length) {
      const piece = source.read(from, HEAD_BYTES);
      const found = piece.indexOf(sync);
      if (found >= 0) return from + found + SYNC_BYTES;
      if (piece.length < SYNC_BYTES) break;
      from += piece.length - SYNC_BYTES + 1;
    }
    return source.length;
  }

  #readBlock(): boolean {
    const { source } = this.#input;
    const start = this.#next;
    if (start >= source.length) return false;
    const frame = this.#guard(`block at byte ${start}`, () => {
      const head = new ByteReader(source.read(start, BLOCK_HEAD_BYTES));
      return { count: head.varlong(), size: head.varlong(), at: start + head.pos };
    });
    const { count, size, at } = frame;
    const bytes = size < 0 || at + size + SYNC_BYTES > source.length ? undefined : source.read(at, size + SYNC_BYTES);
    if (bytes?.length !== size + SYNC_BYTES) throw this.#broken(`the block at byte ${start} goes on behind the end of the file`);
    if (!bytes.subarray(size).equals(this.#header.sync)) throw this.#broken(`the block at byte ${start} does not end with the sync marker`);
    this.#datums = this.#guard(`block at byte ${start}`, () => this.#cut(this.#codec.unpack(bytes.subarray(0, size)), count));
    this.#index = 0;
    this.#block = start;
    this.#next = at + size + SYNC_BYTES;
    return true;
  }

  #guard<T>(what: string, read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw this.#broken(`${what}: ${errorText(error)}`, error);
    }
  }

  #broken(why: string, cause?: unknown): AppError {
    return new AppError('MALFORMED_INPUT', `${this.#input.source.path} cannot be read as an Avro container file: ${why}`, {
      fix: 'replace the file by a whole one, or use another deserializer for such files',
      cause,
    });
  }
}
