/**
 * BlobDeserializer: a whole file is one event (Flume's org.apache.flume.sink.solr.morphline.BlobDeserializer). A file
 * longer than maxBlobLength is cut into several events. A blob is in memory as a whole until it is delivered.
 */
import { int } from '../../lib/props/spec.ts';
import { type DeserializerInput, defineDeserializer } from '../core/define.ts';
import type { Event } from '../core/event.ts';
import type { Deserializer } from '../core/serializer.ts';

export default defineDeserializer({
  type: 'BLOB',
  aliases: ['org.apache.flume.sink.solr.morphline.BlobDeserializer$Builder'],
  summary: 'One event per file; the body is the content, byte for byte.',
  properties: {
    maxBlobLength: int({ default: 100_000_000, min: 1, unit: 'bytes', doc: 'A longer file is cut into several events of this size.' }),
  },
  create: (config, input) => new BlobDeserializer(input, config.maxBlobLength),
});

class BlobDeserializer implements Deserializer {
  readonly #input: DeserializerInput;
  readonly #maxBytes: number;
  #at: number;

  constructor(input: DeserializerInput, maxBytes: number) {
    this.#input = input;
    this.#maxBytes = maxBytes;
    this.#at = input.position;
  }

  /** One event a call, however many are asked for: a batch of blobs would be held in memory together. */
  read(_max: number): Event[] {
    const { source, log } = this.#input;
    const body = source.read(this.#at, Math.min(this.#maxBytes, Math.max(0, source.length - this.#at)));
    if (body.length === 0) return [];
    if (this.#at === 0 && source.length > body.length) {
      log.warn({ path: source.path }, `File length exceeds maxBlobLength (${this.#maxBytes}), truncating BLOB event! What is left becomes the next event.`);
    }
    this.#at += body.length;
    return [{ headers: {}, body }];
  }

  mark(): number {
    return this.#at;
  }
}
