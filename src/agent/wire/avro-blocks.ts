/**
 * What both Avro serializers do alike: gather datums until a block is due, pack it, frame it. A block ends when its
 * datums reach syncIntervalBytes, and with every flush, as Flume flushes its writer with every batch of a sink.
 */
import { ByteWriter } from '../../lib/bytes.ts';
import type { FindingDraft } from '../../lib/props/finding.ts';
import { bool, int, text } from '../../lib/props/spec.ts';
import { CONTAINER_CODECS, type ContainerCodec, containerBlock, containerCodec, containerHeader, newSync } from './avro-container.ts';

/** Properties of Flume's AbstractAvroEventSerializer. */
export const containerProperties = {
  syncIntervalBytes: int({ default: 2_048_000, min: 32, max: 2 ** 30, unit: 'bytes', doc: 'A block ends when it holds this much.' }),
  compressionCodec: text({ default: 'null', doc: `How blocks are packed: ${CONTAINER_CODECS.join(', ')}.` }),
  appendNewline: bool({ default: false, doc: 'Belongs to the text serializers.', ignored: 'a container file has no lines' }),
} as const;

/** As in Flume an unknown codec is worth a warning only; blocks are not packed then. */
export function codecFindings(codec: string): FindingDraft[] {
  if (containerCodec(codec)) return [];
  return [
    {
      code: 'unknown-codec',
      severity: 'warning',
      message: `there is no compression codec "${codec}" here; files are written without compression`,
      fix: `use one of ${CONTAINER_CODECS.join(', ')}`,
      key: 'compressionCodec',
    },
  ];
}

export interface BlockOptions {
  readonly syncIntervalBytes: number;
  readonly compressionCodec: string;
}

/** One container file being written. */
export class AvroBlocks {
  readonly #interval: number;
  readonly #codecName: string;
  readonly #codec: ContainerCodec;
  readonly #sync = newSync();
  #count = 0;
  #datums: ByteWriter;

  constructor({ syncIntervalBytes, compressionCodec }: BlockOptions) {
    const codec = containerCodec(compressionCodec);
    this.#interval = syncIntervalBytes;
    this.#codecName = codec ? compressionCodec : 'null';
    this.#codec = codec ?? (containerCodec('null') as ContainerCodec);
    this.#datums = new ByteWriter(64 * 1024);
  }

  header(schema: string): Buffer {
    return containerHeader(schema, this.#sync, this.#codecName);
  }

  /** Where the next datum's bytes go; call {@link ended} after each. */
  get datums(): ByteWriter {
    return this.#datums;
  }

  /** A datum is complete; appends a block to `out` when one is due. */
  ended(out: Buffer[]): void {
    this.#count++;
    if (this.#datums.length >= this.#interval) out.push(this.#close());
  }

  /** The block that is pending, if any. */
  flush(): Buffer | null {
    return this.#count === 0 ? null : this.#close();
  }

  #close(): Buffer {
    const block = containerBlock(this.#count, this.#codec.pack(this.#datums.finish()), this.#sync);
    this.#count = 0;
    this.#datums = new ByteWriter(64 * 1024);
    return block;
  }
}
