/**
 * AVRO_EVENT: an Avro container file of whole events, headers and body (Flume's FlumeEventAvroEventSerializer). The
 * schema text is Flume's own, so files of both look the same to a reader.
 */
import { defineSerializer } from '../core/define.ts';
import type { Sealed } from '../core/event.ts';
import type { Serializer } from '../core/serializer.ts';
import { AvroBlocks, type BlockOptions, codecFindings, containerProperties } from '../wire/avro-blocks.ts';

const SCHEMA = '{"type":"record","name":"Event","fields":[{"name":"headers","type":{"type":"map","values":"string"}},{"name":"body","type":"bytes"}]}';

export default defineSerializer({
  type: 'AVRO_EVENT',
  aliases: ['org.apache.flume.serialization.FlumeEventAvroEventSerializer$Builder'],
  summary: 'An Avro container file with one record Event {headers, body} per event.',
  properties: containerProperties,
  check: (config) => codecFindings(config.compressionCodec),
  create: (config) => new AvroEventSerializer(config),
});

class AvroEventSerializer implements Serializer {
  readonly supportsReopen = false;
  readonly #blocks: AvroBlocks;

  constructor(options: BlockOptions) {
    this.#blocks = new AvroBlocks(options);
  }

  head(): Buffer {
    return this.#blocks.header(SCHEMA);
  }

  write(batch: readonly Sealed[], out: Buffer[]): void {
    const blocks = this.#blocks;
    for (let i = 0; i < batch.length; i++) {
      const { headers, body } = batch[i] as Sealed;
      const to = blocks.datums;
      const keys = Object.keys(headers);
      if (keys.length > 0) to.varlong(keys.length);
      for (let k = 0; k < keys.length; k++) {
        const key = keys[k] as string;
        const value = headers[key] as string;
        to.varlong(Buffer.byteLength(key));
        to.utf8(key);
        to.varlong(Buffer.byteLength(value));
        to.utf8(value);
      }
      to.varlong(0);
      to.varlong(body.length);
      to.bytes(body);
      blocks.ended(out);
    }
  }

  flush(): Buffer | null {
    return this.#blocks.flush();
  }

  tail(): Buffer | null {
    return this.#blocks.flush();
  }
}
